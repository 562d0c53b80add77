"""Zero-stability: do errors of past states die out, or at least not grow, as h tends to 0?

A step whose rows start from the current state alone (Adams type) has the roots 1 and 0 on any grid.
Where accepted states of earlier steps are carried, the map of the last accepted states is a companion
matrix, whose characteristic polynomial is read at z = 0 in the limit of small steps: no root may exceed
1 in size, and those on the circle must be simple. On a grid whose clock steps all grow by one factor q
the matrix depends on q; the largest q that keeps the root condition bounds how fast steps may grow.

Source: Hairer, Norsett and Wanner, Solving ODEs I, III.3 and III.5 (variable steps: Theorem 5.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ...algebra.ring import Ring, SeriesRing
from ...algebra.scalar import Scalar
from ...errors import OrderError
from ...program.model import Program
from ...program.row import depth
from ..expansion.grid import Grid, from_steps, uniform
from ..expansion.local_error import defaults
from ..expansion.symbol_values import StepValues
from ..verdict import ZeroStability
from .memory import remembers_for_ever
from .stability import limit, polynomial_roots

CIRCLE = 1e-7
NEAR = 1e-6  # double roots are found to the square root of rounding
LARGEST_FACTOR = Fraction(8)


def zero_stability(program: Program, parameters: Mapping[str, Scalar]) -> ZeroStability:
    """The root condition of a program's main step.

    Args:
        program: the solver.
        parameters: value of every parameter.

    Raises:
        OrderError: factors that have no limit as h tends to 0.
    """
    if lasting := remembers_for_ever(program, parameters):
        return ZeroStability(False, (), lasting)
    history = program.main.history
    if not program.main.past_states:
        known = ((1, 1), (0, history)) if history else ((1, 1),)
        reason = (
            "every row starts from the current state alone (Adams type): the roots are 1 and 0, "
        )
        return ZeroStability(True, known, reason + "on any grid")
    roots = _roots(program, parameters, uniform())
    stable, counted = _holds(roots), _counted(roots)
    listed = ", ".join(_shown(root, count) for root, count in counted)
    if not stable:
        return ZeroStability(
            False, counted, f"the root condition fails on a uniform grid: roots {listed}"
        )
    factor = _factor(program, parameters)
    limited = (
        f"clock steps that grow by a constant factor up to {float(factor):.4g} keep it"
        if factor < LARGEST_FACTOR
        else "it holds for clock steps that grow by any constant factor up to 8"
    )
    reason = f"past states are carried; roots {listed}; {limited}"
    return ZeroStability(True, counted, reason, float(factor))


def unstable(program: Program) -> list[str]:
    """A sentence where past states grow without bound, with the roots; for solvers without noise."""
    if program.stochastic or not (program.main.past_states or program.main.memory):
        return []
    try:
        found = zero_stability(program, defaults(program))
    except OrderError as error:
        return [str(error)]
    return [] if found.stable else [f"not zero-stable, so it does not converge: {found.reason}"]


def accumulation(program: Program, parameters: Mapping[str, Scalar]) -> float:
    """1/ρ'(1) on a uniform grid: what a local error leaves in the solution once past states have settled.

    With factors s_k on x_{n−k}, which sum to 1, ρ'(1) = 1 + Σ k s_k; it is 1 for Adams type.

    Source: Hairer, Norsett and Wanner, Solving ODEs I, III.2 (error constant C = C_{p+1}/σ(1)).
    """
    if not program.main.past_states:
        return 1.0
    step_values = StepValues(program.kappa, SeriesRing(3), uniform(), parameters)
    slope = 1 + sum(k * share for k, share in enumerate(shares(program, step_values, 0)))
    return float(1 / slope) if slope else float("inf")


def shares(program: Program, step_values: StepValues[Ring], site: int) -> list[Fraction]:
    """The factors of the row that ends a step on x, x−1, …, as h tends to 0."""
    final, values = program.main.final, step_values.at(site)
    found = [Fraction(0)] * (program.main.history + 1)
    for source, weight in (("x", final.decay), *((t.source, t.weight) for t in final.carry)):
        found[depth(source)] += limit(values.expr(weight))
    return found


def _roots(program: Program, parameters: Mapping[str, Scalar], grid: Grid) -> list[complex]:
    """The roots of the first characteristic polynomial of the row that ends a step."""
    factors = shares(program, StepValues(program.kappa, SeriesRing(3), grid, parameters), 0)
    return polynomial_roots([*(complex(-f) for f in reversed(factors)), 1 + 0j])


def _holds(roots: list[complex]) -> bool:
    on_circle = [root for root in roots if abs(abs(root) - 1) <= NEAR]
    simple = all(abs(a - b) > 10 * NEAR for i, a in enumerate(on_circle) for b in on_circle[:i])
    return all(abs(root) <= 1 + CIRCLE for root in roots) and simple


def _counted(roots: list[complex]) -> tuple[tuple[complex, int], ...]:
    """Roots with multiplicities, the largest first; integers where they are."""
    found: list[tuple[complex, int]] = []
    for root in sorted(roots, key=lambda root: (-abs(root), -root.real, root.imag)):
        whole = complex(round(root.real), 0)
        value = int(whole.real) if abs(root - whole) < CIRCLE else root
        for i, (known, count) in enumerate(found):
            if abs(known - value) < CIRCLE:
                found[i] = (known, count + 1)
                break
        else:
            found.append((value, 1))
    return tuple(found)


def _shown(root: complex, count: int) -> str:
    text = f"{root.real:.4g}" if abs(root.imag) < CIRCLE else f"{root.real:.4g}{root.imag:+.4g}i"
    return text if count == 1 else f"{text} ({count} times)"


def _factor(program: Program, parameters: Mapping[str, Scalar]) -> Fraction:
    """The largest factor by which clock steps may grow from step to step, to four digits."""

    def holds(factor: Fraction) -> bool:
        return _holds(_roots(program, parameters, from_steps(lambda i: factor**i)))

    low, high = Fraction(1), LARGEST_FACTOR
    if holds(high):
        return high
    for _ in range(17):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
