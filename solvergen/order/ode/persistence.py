"""Do small local errors add up on grids that repeat a pattern, where past states are carried?

The errors of accepted values obey E_{n+1} = Σ_k c_k E_{n−k} + τ_n with the factors of the states, as
h tends to 0. On a grid with a repeating pattern they stay bounded where the local errors τ cancel
over the roots of that recursion (as h_n² − h_{n−1}² does where only the last state is used), and
otherwise grow in proportion to the number of steps.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import SupportsFloat, cast

from ...algebra.ring import SeriesRing
from ...algebra.series import coefficient
from ..expansion import grid as grids
from ..expansion.local_error import local_error
from ..expansion.symbol_values import StepValues
from ..expansion.words import Word
from .analysed import Analysed
from .zero_stability import shares

PERIODS = 30


def accumulates(analysis: Analysed, exponent: int, length: int) -> bool:
    """Whether local errors of an exponent grow without bound on some pattern of a length.

    Args:
        analysis: the solver.
        exponent: power of h of its local error.
        length: how many steps the pattern has.
    """
    sizes = tuple(grids.generic_ratio(79, i) for i in range(length))
    grid = grids.pattern(sizes)
    case = replace(analysis.case(grids.ARBITRARY), grid=lambda ring: grid)
    errors: list[dict[Word, float]] = []
    for site in range(length):
        found = local_error(case, exponent, analysis.predictor, site)
        errors.append({w: float(cast(SupportsFloat, coefficient(v, 0))) for w, v in found.items()})
    step_values = StepValues(analysis.program.kappa, SeriesRing(3), grid, analysis.values)
    factors = [
        [float(f) for f in shares(analysis.program, step_values, site)] for site in range(length)
    ]
    words = {word for error in errors for word in error}
    return any(_grows([error.get(word, 0.0) for error in errors], factors) for word in words)


def growth(analysis: Analysed) -> int:
    """The power of the number of steps with which errors grow on some pattern of step sizes.

    The recursion without local errors: 0 where past states are damped or kept, 1 where what they
    hold adds up (O-BELM on steps that alternate), 2 for anything faster.
    """
    program = analysis.program
    worst = 0
    for seed, length in product((79, 83), (2, 3, 4)):
        grid = grids.pattern(tuple(grids.generic_ratio(seed, i) for i in range(length)))
        step_values = StepValues(program.kappa, SeriesRing(3), grid, analysis.values)
        factors = [[float(f) for f in shares(program, step_values, site)] for site in range(length)]
        for start in range(len(factors[0])):
            past = [float(k == start) for k in range(len(factors[0]))]
            sizes = []
            for _ in range(3):
                for n in range(PERIODS * length):
                    carried = zip(factors[n % length], past, strict=True)
                    past = [sum(f * e for f, e in carried), *past[:-1]]
                sizes.append(max(map(abs, past)))
            if sizes[2] > 1.2 * sizes[1]:
                worst = max(worst, 1 if sizes[2] < 2 * sizes[1] else 2)
    return worst


def _grows(errors: list[float], factors: list[list[float]]) -> bool:
    """Whether the recursion's solution after twice as many periods is about twice as large."""
    past = [0.0] * len(factors[0])
    sizes = []
    for _ in range(2):
        for n in range(PERIODS * len(errors)):
            site = n % len(errors)
            carried = zip(factors[site], past, strict=True)
            past = [sum(f * e for f, e in carried) + errors[site], *past[:-1]]
        sizes.append(max(map(abs, past)))
    return sizes[1] > 1.5 * sizes[0] > 0
