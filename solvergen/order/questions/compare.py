"""Solvers side by side: the order first, then the error constant at equal cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...expr.printing import show
from ...program.model import Program
from ..expansion.grid import ARBITRARY, UNIFORM
from ..ode.report import OrderReport
from ..verdict import Order


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
        power: the power of h of the global error: the order that counts.
        error_norm: principal error norm √Σ coef² of the leading local error, uniform grid; ``None``
            where this is not the error that limits the order, or depends on the schedule.
        cost_constant: C s^p: the error constant per model call instead of per step; or ``None``.
        limited_by: what keeps `order` below `main`, in words.
        no_constant: why there are no constants, or empty.
    """

    name: str
    integrand: str
    order: Order
    main: Order
    evaluations_per_step: int
    power: int
    error_norm: float | None
    cost_constant: float | None
    limited_by: tuple[str, ...] = ()
    no_constant: str = ""


def compare(
    reports: Iterable[OrderReport], grid: str = ARBITRARY, mode: str = "own_end"
) -> list[Ranked]:
    """Rank solvers: higher order first, then the smaller error constant at equal cost.

    Where first or last steps, or the grid, limit the order, the main step's constant says nothing:
    such solvers have none and come after the others of their order. So do those whose constant
    depends on the schedule. Among them fewer evaluations come first.

    This is the asymptotic truth. At 5 to 20 evaluations the ranking can differ: measure it.

    Args:
        reports: analyses of the solvers.
        grid: grid class whose order counts: uniform, smooth or arbitrary.
        mode: ``exact_start``, ``own_start`` or ``own_end``.

    Returns:
        The solvers, best first.
    """
    ranked = [_ranked(report, grid, mode) for report in reports]
    return sorted(ranked, key=_rank)


def _integrated(program: Program) -> str:
    """The integrand, with the linear part that is taken out where it is the solver's own."""
    return program.integrand + (
        "" if program.linear is None else f", linear {show(program.linear)}"
    )


def _rank(entry: Ranked) -> tuple[int, bool, float, str]:
    """Higher orders first, then known constants, then the smaller constant or fewer evaluations."""
    constant = entry.cost_constant
    size = entry.evaluations_per_step if constant is None else constant
    return -entry.order.value, constant is None, size, entry.name


def _ranked(report: OrderReport, grid: str, mode: str) -> Ranked:
    order, uniform = report.orders[grid][mode], report.orders[UNIFORM]["exact_start"]
    reason = ""
    if order.value < report.orders[grid]["exact_start"].value:
        reason = "first or last steps limit the order: the main step's constant does not apply"
    elif order.value < uniform.value:
        reason = "the order is lower on this grid: the constant of a uniform grid does not apply"
    elif report.error_norm is None:
        reason = "the constant depends on the schedule, whose derivatives it holds: only order and calls rank"
    parts = {"exact_start": (), "own_start": ("start",)}.get(mode, ("start", "end"))
    return Ranked(
        name=report.program.name,
        integrand=_integrated(report.program),
        order=order,
        main=report.orders[grid]["exact_start"],
        evaluations_per_step=report.evaluations_per_step,
        power=order.value,
        error_norm=None if reason else report.error_norm,
        cost_constant=None if reason else report.cost_constant,
        limited_by=tuple(str(b) for b in report.bottlenecks if b.part in parts)
        or (() if order.value else (report.divergence,)),
        no_constant=reason,
    )
