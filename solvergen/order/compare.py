"""Solvers side by side: the order first, then the error constant at equal cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .grid import ARBITRARY
from .report import OrderReport
from .verdict import Order


@dataclass(frozen=True)
class Ranked:
    """One solver of a comparison.

    Args:
        name: the solver.
        integrand: constants are comparable among solvers of one integrand: words of D and of ε are
            different derivatives.
        order: the order that counts.
        main: the order of the main step, which start or end may lower.
        evaluations_per_step: model calls.
        error_norm: principal error norm √Σ coef² of the leading local error, uniform grid.
        cost_constant: C s^p: the error constant per model call instead of per step.
        limited_by: what keeps `order` below `main`, in words.
    """

    name: str
    integrand: str
    order: Order
    main: Order
    evaluations_per_step: int
    error_norm: float
    cost_constant: float
    limited_by: tuple[str, ...] = ()


def compare(
    reports: Iterable[OrderReport], grid: str = ARBITRARY, mode: str = "own_end"
) -> list[Ranked]:
    """Rank solvers: higher order first, then the smaller error constant at equal cost.

    This is the asymptotic truth. At 5 to 20 evaluations the ranking can differ: measure it.

    Args:
        reports: analyses of the solvers.
        grid: grid class whose order counts: uniform, smooth or arbitrary.
        mode: ``exact_start``, ``own_start`` or ``own_end``.

    Returns:
        The solvers, best first.
    """
    ranked = [
        Ranked(
            name=report.program.name,
            integrand=report.program.integrand,
            order=report.orders[grid][mode],
            main=report.orders[grid]["exact_start"],
            evaluations_per_step=report.evaluations_per_step,
            error_norm=report.error_norm,
            cost_constant=report.cost_constant,
            limited_by=tuple(str(b) for b in report.bottlenecks),
        )
        for report in reports
    ]
    return sorted(ranked, key=lambda r: (-r.order.value, r.cost_constant, r.name))
