"""Whether orders hold at the parameters' values or for all of them, and constants in the parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import OrderError
from ...expr.printing import rational
from ...program.model import Program
from ..ode.analyse import analyse
from ..ode.report import OrderReport
from ..verdict import Document

if TYPE_CHECKING:
    from fractions import Fraction


@dataclass(frozen=True)
class Scope:
    """The parameter values for which a table of orders holds.

    Args:
        fixed: (name, value) of parameters whose other values give less.
        free: names of parameters that may have almost any value: single ones, where a weight divides
            by zero or an order is gained, apart.

    >>> from fractions import Fraction
    >>> print(Scope((("c", Fraction(1)),), ("r",)))
    for c = 1 and almost all values of r
    """

    fixed: tuple[tuple[str, Fraction], ...]
    free: tuple[str, ...]

    def __str__(self) -> str:
        at = ", ".join(f"{name} = {rational(value)}" for name, value in self.fixed)
        everywhere = f"almost all values of {', '.join(self.free)}" if self.free else ""
        if at and not everywhere:
            at += ", not for almost all values"
        return f"for {' and '.join(filter(None, (at, everywhere)))}"

    def json(self) -> Document:
        """``{"at": {"c": "1"}, "all": ["r"]}``."""
        return {"at": {n: rational(v) for n, v in self.fixed}, "all": list(self.free)}


def scope(report: OrderReport) -> Scope | None:
    """For which values of the parameters a solver has the orders of its report.

    Args:
        report: of a program at its defaults.

    Returns:
        The scope; ``None`` where it has no free parameters, or where they cannot be symbols.
    """
    program = report.program
    names = [p.name for p in program.parameters if not p.per]
    if not names:
        return None
    try:
        free = names if _keeps(report, names) else [n for n in names if _keeps(report, [n])]
        free = free if len(free) in (0, 1, len(names)) or _keeps(report, free) else []
    except OrderError:
        return None
    fixed = tuple((p.name, p.default) for p in program.parameters if p.name in names)
    return Scope(tuple(pair for pair in fixed if pair[0] not in free), tuple(free))


def _keeps(report: OrderReport, names: Iterable[str]) -> bool:
    """Whether no order of a report is lost where these parameters are symbols."""
    other = analyse(report.program, None, tuple(names)).orders
    return all(
        other[kind][mode].value >= order.value
        for kind, modes in report.orders.items()
        for mode, order in modes.items()
    )


def in_parameters(program: Program, names: Iterable[str] = ()) -> OrderReport:
    """The report of a solver with parameters as symbols: orders for almost all values, constants in them.

    Args:
        program: a solver with parameters.
        names: those that are symbols; all unless given.

    Raises:
        OrderError: there are none, or one of that name.
    """
    chosen = tuple(names) or tuple(p.name for p in program.parameters if not p.per)
    if not chosen:
        raise OrderError(f"{program.name} has no parameters to be symbols")
    return analyse(program, None, chosen)


def constants(report: OrderReport) -> Iterable[tuple[str, str]]:
    """The leading local error on uniform grids and on any: grid and expression, or why not expanded."""
    yield "uniform grid", str(report.uniform)
    if report.program.main.uneven:
        try:
            yield "any grid, r_k = h_(n-k)/h_n", str(report.symbolic)
        except OrderError as error:
            yield "any grid", f"({error})"
