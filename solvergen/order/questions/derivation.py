"""Textbook derivations: from the Taylor expansion to the local and the global truncation error.

A solver whose weights are plain numbers in its clock is derived as lecture notes do it, for y' =
f(t, y) with t the clock. Any other solver is derived in λ for u' = −κu + N(λ, u), where the exact
solution is the variation-of-constants formula and weights are expanded in h. All coefficients come
from the same recursion as the verdicts; nothing is typed in.
"""

from __future__ import annotations

from ...errors import OrderError
from ...program.model import Program
from ..ode.analyse import analyse
from ..ode.clock_methods import clock_method
from .derivation_parts import Notation, Writer
from .derivation_text import Derivation

LARGEST_ORDER = 5


def derivation(program: Program) -> Derivation:
    """Derive the truncation errors of a small solver step by step, on a uniform grid.

    Args:
        program: the solver; parameters take their defaults.

    Returns:
        StepValues, expansion of the exact solution, of the stages and of the step, the comparison word
        by word, the local error, the comparison with the shortcut that takes f as a function of
        time alone, and the global error.

    Raises:
        OrderError: a solver of too high order to be read (above 5), or whose weights count steps or switch.
    """
    if program.own is not None:
        raise OrderError(
            f"{program.name}: a derivation is written out for the linear part of the integrand; `solvergen explain` "
            "states the orders and the local error for its own"
        )
    if program.main.memory:
        raise OrderError(
            f"{program.name}: it remembers combinations of evaluations, so that its local error depends on all "
            "steps before; `solvergen explain` states the orders"
        )
    plain = clock_method(program)
    studied = plain or program
    report = analyse(studied)
    exact = report.orders["uniform"]["exact_start"]
    if exact.value > LARGEST_ORDER:
        raise OrderError(
            f"{program.name}: the derivation of order {exact.value} has too many terms to be read; "
            f"at most order {LARGEST_ORDER} is written out, use the leading error"
        )
    return Writer(program, studied, report, Notation(program.kappa, plain is not None)).write()
