"""The strength of a solver's noise as steps shrink, and what is left of the solver without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from sympy import Expr, Symbol

from ...algebra.fixed import FixedSeries, RealRing
from ...algebra.scalar import Scalar
from ...errors import OrderError
from ...expr.arithmetic import (
    ONE,
    ZERO,
    function_names,
    substitute,
    subtract,
    symbols,
    symbols_outside_windows,
)
from ...expr.evaluation import evaluate
from ...program.model import Program
from ...program.row import Row
from ...program.step import Step
from ..expansion.grid import SMOOTH, Grid, pattern, uniform
from .gaussian import LEVEL, Target, generic
from .gaussian_runs import LENGTH, Walk
from .grids import density
from .step_symbols import located, located_names


def strength(
    program: Program, parameters: Mapping[str, Scalar], kind: str, sizes: list[Fraction], count: int
) -> FixedSeries | None:
    """τ² = lim Var/(2 h σ̃²) of a step's draws, as a Taylor series in λ about the base point.

    Only the direct weights of the draws count, with all outputs held fixed, so it does not depend on
    the target.
    With h = x^{2m} and the step at λ = x beyond the base point, the powers of x below 2m of one
    step's variance are the Taylor series of the limit. On a grid whose steps repeat a pattern the
    limit is the average over a period.

    Args:
        program: the solver.
        parameters: value of every parameter.
        kind: class of the grid, with `sizes` of a period of steps.
        count: how many terms.

    Returns:
        The series, or ``None`` when steps do not become the identity, or their noise does not
        vanish like √h, as steps shrink: there is no reverse SDE in the limit.
    """
    half = count // 2 + 1 if _moves(program, kind) else 1
    ring = RealRing(6 * half + 4, 2 * half)
    main, shift = program.main, ring.x / ring.h
    total: Scalar = ring.constant(0)
    for site in range(len(sizes)):
        grid = _local(ring, shift, kind, sizes, site)

        flat = FixedSeries(0, [], 2)
        walk = Walk(program, ring, grid, Target(ring, flat, generic(101)), dict(parameters))
        form = walk.run([main], site, main.history, bare=True)
        kept = (v for key, v in form.items() if key[0] == "w")
        carried = ring.lifted(sum(kept, ring.constant(-1)))
        if carried.low <= 0:
            return None
        # noise that returns through evaluations with weights O(1) is not part of the strength
        silent = walk.onto(Target(ring, flat, Fraction(0)))
        direct = silent.run([main], site, main.history, bare=True)
        squares = (v * v for key, v in direct.items() if key[0] == "z")
        drawn = ring.lifted(sum(squares, ring.constant(0)))
        if drawn.terms and drawn.low < ring.power:
            return None
        level = ring.exp(-(grid.position(site) * ring.h)) * LEVEL
        total = total + drawn / (2 * level**2 * ring.h)
    span = ring.lifted(sum(sizes)) if kind != SMOOTH else density(ring.x, ring)
    found = ring.lifted(total / span)
    terms = [found.coefficient(k) for k in range(min(count, found.end) if half > 1 else 1)]
    return FixedSeries(0, terms, count)


def lingers(program: Program, parameters: Mapping[str, Scalar]) -> bool:
    """Whether past evaluations keep weights as steps shrink, so that errors in them die out slowly."""
    ring = RealRing(8)
    flat = Target(ring, FixedSeries(0, [], 2))
    main = program.main
    walk = Walk(program, ring, uniform(), flat, dict(parameters))
    form = walk.run([main], 0, main.history, bare=True)
    return any(ring.lifted(v).low <= 0 for key, v in form.items() if key[0] == "w" and key[1] < 0)


def windowed(program: Program) -> bool:
    """Whether noise is drawn inside a window of levels only."""
    every = (e for step in program.steps for e in step.expressions)
    return any("between" in function_names(e) for e in every)


def _local(ring: RealRing, shift: Scalar, kind: str, sizes: list[Fraction], site: int) -> Grid:
    if kind == SMOOTH:
        scale = density(ring.x, ring)
        return Grid(kind, lambda i: shift + i * scale)
    plain = pattern(tuple(sizes))
    return Grid(kind, lambda i: shift + (plain.position(i) - plain.position(site)))


def _moves(program: Program, kind: str) -> bool:
    """Whether τ may depend on λ."""
    main = program.main
    names = located_names(main)
    weights = [e for row in main.rows for e in (row.decay, *(d.weight for d in row.noise))]
    all_of = [
        *weights,
        *(e for _, e in main.lets),
        *(e for e in (main.down, main.churn) if e is not None),
    ]
    if any(located(e, names) for e in all_of):
        return True
    return kind == SMOOTH and any("steps" in symbols(e) for e in all_of)


# -- without noise -----------------------------------------------------------------------------


def silenced(program: Program) -> Program | None:
    """The deterministic solver that is left where a parameter makes the strength zero.

    Returns:
        The program without noise, or ``None`` when no parameter is its strength.
    """
    for name in sorted(_noise_symbols(program)):
        quiet = _without(program, name)
        if quiet is not None:
            return quiet
    return None


def raising(program: Program) -> dict[str, Fraction]:
    """Generic values for the parameters of the noise that are 0 unless given."""
    zero = [p.name for p in program.parameters if not p.default]
    used = _noise_symbols(program)
    return {name: generic(131, i) for i, name in enumerate(zero) if name in used}


def _noise_symbols(program: Program) -> set[str]:
    """Parameters in draws, decays and lengths of noise, window bounds apart."""
    known = {parameter.name for parameter in program.parameters}
    found: set[str] = set()
    for step in program.steps:
        extra = [e for _, e in step.lets] + [e for e in (step.down, step.churn) if e is not None]
        rows = [e for r in step.rows for e in (r.decay, *(d.weight for d in r.noise))]
        for expression in (*extra, *rows):
            found |= symbols_outside_windows(expression)
    return found & known


def _without(program: Program, name: str) -> Program | None:
    silent: dict[str, Expr] = {name: ZERO}
    steps = {id(step): _quiet(program, step, silent) for step in program.steps}
    if any(step is None for step in steps.values()):
        return None

    def made(step: Step) -> Step:
        found = steps.get(id(step)) or _quiet(program, step, silent)
        assert found is not None
        return found

    return replace(
        program,
        main=made(program.main),
        start=tuple(map(made, program.start)),
        end=tuple(map(made, program.end)),
        jumps=False,
        form="",
    )


def _quiet(program: Program, step: Step, silent: dict[str, Expr]) -> Step | None:
    """A step without its noise, or ``None`` when it has some at these values."""
    values = dict(silent)
    for name, expression in step.lets:
        values[name] = substitute(expression, values)
    if _is_loud(program, step, values):
        return None

    def plain(row: Row) -> Row:
        terms = tuple(replace(t, weight=substitute(t.weight, values)) for t in row.terms)
        return replace(row, terms=terms, decay=ONE, noise=())

    return replace(
        step,
        stages=tuple(map(plain, step.stages)),
        final=plain(step.final),
        corrector=step.corrector and plain(step.corrector),
        lets=(),
        down=None,
        lower=None,
        churn=None,
        churn_scale=ONE,
        draws=(),
        kernel=ONE,
        positive=(),
    )


def _is_loud(program: Program, step: Step, values: Mapping[str, Expr]) -> bool:
    """Whether a step still draws noise, or is not that of the ODE, at a step of finite size."""
    if step.chain is not None:
        return True
    numbers = {p.name: p.default or generic(137, i) for i, p in enumerate(program.parameters)}
    ring = RealRing(1, 0)
    h = ring.constant(Fraction(3, 10))
    named = {"h": h, "sigma": ring.constant(1), "sigma_next": ring.exp(-h), "steps": LENGTH / h}

    def size(expression: Expr) -> Scalar:
        simple = substitute(expression, values)
        return evaluate(simple, {**numbers, **named}, ring.functions, lambda number: number)

    loud = [draw.weight for row in step.rows for draw in row.noise]
    loud += [subtract(row.decay, ONE) for row in step.rows if row.decay != ONE]
    loud += [subtract(step.down, Symbol("h"))] if step.down is not None else []
    loud += [step.churn] if step.churn is not None else []
    try:
        return any(size(expression) for expression in loud)
    except (KeyError, OrderError):
        return True
