"""The draws of a step whose noise follows from a strength: the parts they cover, their weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from sympy import Expr, Symbol, exp

from ...errors import DeriveError
from ...expr.arithmetic import ONE, ZERO, multiply, substitute
from ...expr.functions import expm1, sqrt
from ...program.row import Draw, Row, Term
from ...program.step import Interval, Step
from ...spec.model import Noise

H = Symbol("h")


def fraction_in_lambda(row: Row, form: str) -> Expr:
    """A row's place as a fraction of the step in λ, where its kernel is known in closed form.

    Raises:
        DeriveError: a place or a rule in another variable than λ.
    """
    place = row.place
    plain = place.coordinate == "lambda" or place.fraction in (ZERO, ONE)
    if row.gauge != "lambda" or not plain:
        raise DeriveError(
            f'the form {form} follows from rules and places in lambda; write coordinate = "lambda", '
            'or give decay and noise yourself with form = "explicit"',
            ("noise", "form"),
        )
    return place.fraction


def scaled(terms: Iterable[Term], factor: Expr) -> tuple[Term, ...]:
    """Terms with their weights multiplied by a factor."""
    return tuple(Term(t.source, multiply(factor, t.weight)) for t in terms)


def stretched(terms: Iterable[Term], length: Expr) -> tuple[Term, ...]:
    """Terms of a step of another length in λ."""
    return tuple(Term(t.source, substitute(t.weight, {"h": length})) for t in terms)


def with_draws(step: Step, rows: dict[str, Row], strength: Expr, noise: Noise, kappa: int) -> Step:
    """Rows with their draws: one Brownian path through all stages, or a draw of its own for each."""
    ends = _ordered({fraction_in_lambda(row, noise.form) for row in step.rows})
    if noise.stages == "path":
        edges = enumerate(pairwise([ZERO, *ends]), 1)
        parts = [Interval(f"z{k}", start, end) for k, (start, end) in edges]
        met = {row.name: parts[: ends.index(row.place.fraction) + 1] for row in step.rows}
    else:
        own = {
            row.name: Interval(f"z{k}", ZERO, row.place.fraction)
            for k, row in enumerate((*step.stages, step.final), 1)
        }
        parts = list(own.values())
        met = {row.name: [own.get(row.name, parts[-1])] for row in step.rows}

    def drawn(row: Row) -> Row:
        weights = (
            Draw(part.name, multiply(noise.scale, _spread(row, part, strength, noise.form, kappa)))
            for part in met[row.name]
        )
        return replace(rows[row.name], noise=tuple(w for w in weights if w.weight != ZERO))

    return replace(
        step,
        stages=tuple(drawn(row) for row in step.stages),
        final=drawn(step.final),
        corrector=step.corrector and drawn(step.corrector),
        draws=tuple(part for part in parts if part.start != part.end),
    )


def _ordered(fractions: set[Expr]) -> list[Expr]:
    """Places in the order of λ.

    Raises:
        DeriveError: places that parameters decide, whose order is not known.
    """
    known = [f for f in fractions if f.is_Rational]
    open_ = [f for f in fractions if not f.is_Rational]
    if len(open_) > 1 or (open_ and any(0 < f < 1 for f in known)):
        raise DeriveError(
            "one Brownian path needs the order of the stages; at most one place may be a parameter",
            ("noise", "stages"),
        )
    inner = sorted(f for f in known if f < 1)
    return [*[f for f in inner if f != ZERO], *open_, *[f for f in known if f >= 1]]


def _spread(row: Row, draw: Interval, strength: Expr, form: str, kappa: int) -> Expr:
    """Weight of a draw over a part of the step at a row's place, in units of σ there."""
    rest = (row.place.fraction - draw.end) * H
    length = (draw.end - draw.start) * H
    if form == "ancestral":
        return multiply(strength, sqrt(-expm1(-2 * length)))
    if kappa == -1:
        return multiply(exp(rest), strength, sqrt(expm1(2 * length)))
    excess = strength**2
    return multiply(exp(-excess * rest), sqrt(-expm1(-2 * excess * length)))
