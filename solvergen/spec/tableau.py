"""Runge-Kutta tables: the shorthand [tableau] written out as stages and a final rule."""

# Annotations are read at run time here, so they are not postponed.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from sympy import Expr, Symbol

from ..errors import DeriveError
from ..expr.arithmetic import ONE, ZERO, add, multiply
from .declare import Key
from .kinds import Expression, Integer, List
from .rule import Rule, Stage
from .scope import Vocabulary

MAX_STAGES = 32


@dataclass(frozen=True)
class Tableau:
    """A Runge-Kutta table; with `sweeps` it is implicit and its stages are repeated so often."""

    c: Annotated[
        tuple[Expr, ...],
        Key(
            List(Expression(Vocabulary.PARAMETERS)),
            "Places of the stages after the first, which is the point n (all stages if implicit). A table "
            "as it is printed, with its first row of zeros, is read too.",
            '["1/2", "1"]',
        ),
    ]
    a: Annotated[
        tuple[tuple[Expr, ...], ...],
        Key(
            List(List(Expression(Vocabulary.WEIGHTS))),
            "Weights of each stage, one list a stage.",
            '[["1/2"], ["-1", "2"]]',
        ),
    ]
    b: Annotated[
        tuple[Expr, ...],
        Key(
            List(Expression(Vocabulary.WEIGHTS)),
            "Weights of the step.",
            '["1/6", "2/3", "1/6"]',
        ),
    ]
    sweeps: Annotated[
        int | None,
        Key(
            Integer(1, 10),
            "Makes the table implicit: this many sweeps of fixed-point iteration, written out. The "
            "emitted sampler ends them early where it is given a tolerance; solvergen.hosts.implicit "
            "goes on until it is reached. The order shown is that of the sweeps written out.",
            "3",
        ),
    ] = None


def written_out(
    places: Sequence[Expr],
    rows: Sequence[Sequence[Expr]],
    final: Sequence[Expr],
    coordinate: str,
    sweeps: int | None,
) -> tuple[tuple[Stage, ...], Rule]:
    """Stages and final rule of a table.

    Args:
        places: c: of the stages after the first (explicit: the first is the point n itself), or of
            all stages (implicit).
        rows: a: row i holds the weights of the stages before stage i (explicit), or of all stages.
        final: b: one weight a stage.
        coordinate: "lambda" (entries multiply h and may hold φ-functions) or a clock (entries
            multiply the clock's step: an ordinary Butcher table).
        sweeps: of fixed-point iteration, which makes the table implicit; the first guess of every
            stage is the evaluation at n. ``None`` for an explicit table.

    Raises:
        DeriveError: rows whose lengths do not fit.

    >>> heun = written_out([ONE], [[ONE]], [ONE / 2, ONE / 2], "clock", None)
    >>> [stage.name for stage in heun[0]], [source for source, _ in heun[1].weights]
    (['k2'], ['n', 'k2'])
    """
    if sweeps is None:
        places, rows = _without_zeros(places, rows, len(final))
    _check(places, rows, final, implicit=sweeps is not None)
    scale: Expr = Symbol("h") if coordinate == "lambda" else ONE

    def rule(sources: Sequence[str], weights: Sequence[Expr], *where: str | int) -> Rule:
        pairs = [
            (s, multiply(w, scale)) for s, w in zip(sources, weights, strict=True) if w != ZERO
        ]
        return Rule("weights", weights=_merged(pairs), where=("tableau", *where))

    if sweeps is None:
        names = ["n", *(f"k{i}" for i in range(2, len(final) + 1))]
        stages = tuple(
            Stage(names[i + 1], c, rule(names[: i + 1], row, "a"))
            for i, (c, row) in enumerate(zip(places, rows, strict=True))
        )
        return stages, rule(names, final, "b")
    known = ["n"] * len(final)
    stages = ()
    for sweep in range(1, sweeps + 1):
        names = [f"k{i}_{sweep}" for i in range(1, len(final) + 1)]
        stages += tuple(
            Stage(name, c, rule(known, row, "a"))
            for name, c, row in zip(names, places, rows, strict=True)
        )
        known = names
    return stages, rule(known, final, "b")


def _without_zeros(
    places: Sequence[Expr], rows: Sequence[Sequence[Expr]], stages: int
) -> tuple[Sequence[Expr], Sequence[Sequence[Expr]]]:
    """An explicit table printed in full: its first row, all zero, and the zeros above its diagonal dropped."""
    if len(places) == len(rows) == stages and places[0] == ZERO and not any(rows[0]):
        places, rows = places[1:], rows[1:]
    return places, [row if any(row[i:]) else row[:i] for i, row in enumerate(rows, 1)]


def _merged(pairs: Sequence[tuple[str, Expr]]) -> tuple[tuple[str, Expr], ...]:
    """Weights of one source added up: in the first sweep every stage is the evaluation at n."""
    total: dict[str, Expr] = {}
    for source, weight in pairs:
        total[source] = add(total[source], weight) if source in total else weight
    return tuple(total.items())


def _check(
    places: Sequence[Expr], rows: Sequence[Sequence[Expr]], final: Sequence[Expr], implicit: bool
) -> None:
    stages = len(final)
    expected = stages if implicit else stages - 1
    if len(places) != expected or len(rows) != expected:
        raise DeriveError(
            f"b has {stages} weights, so c and a need {expected} entries"
            + ("" if implicit else " (the first stage is the point n)")
            + f"; found {len(places)} and {len(rows)}",
            ("tableau",),
        )
    for i, row in enumerate(rows):
        wanted = stages if implicit else i + 1
        if len(row) != wanted:
            raise DeriveError(
                f"row {i + 1} of a needs {wanted} weights, found {len(row)}; a stage that uses a "
                "later one is implicit: give `sweeps` and full rows",
                ("tableau", "a"),
            )
    if stages > MAX_STAGES:
        raise DeriveError(f"{stages} stages; at most {MAX_STAGES} are read", ("tableau", "b"))
