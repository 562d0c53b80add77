"""How solvers, programs and reports show themselves in notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from .explanation import GRIDS, MODES, orders, short, shown_rate

if TYPE_CHECKING:
    from .catalogue import Entry
    from .program.model import Program

_HEADS = {"exact_start": "exact start", "own_start": "own start", "own_end": "own end"}


def explanation_html(one: Entry, formula: str) -> str:
    """A solver with its update and its table of orders.

    Args:
        one: the entry.
        formula: LaTeX between dollars, which notebooks typeset.
    """
    lines = [line for line in orders(one) if not line.startswith(("order, proved", "  "))]
    return "".join(
        [
            f"<h4>{escape(one.title)}</h4>",
            *(f"<p>{escape(said)}</p>" for said in (one.description, one.source) if said),
            f"<p>{formula}</p>",
            noise_table(one.weak) if one.weak else order_table(one.order),
            f"<p>{'<br>'.join(map(escape, lines))}</p>",
        ]
    )


def order_table(order: Any) -> str:
    """Proved orders as an HTML table: a row for each class of grids."""
    if not order:
        return ""
    rows = ((label, (short(*order[kind][mode]) for mode in MODES)) for kind, label in GRIDS.items())
    return _table(_HEADS.values(), rows)


def noise_table(weak: Any) -> str:
    """Proved rates of a solver with noise as an HTML table."""
    heads = [name.replace("_", " ") for name in weak["uniform"]]
    rows = (
        (label, (shown_rate(rate) for rate in weak[kind].values())) for kind, label in GRIDS.items()
    )
    return _table(heads, rows)


def _table(heads: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("order, proved", *heads))
    body = "".join(
        f"<tr><td>{escape(label)}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for label, cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def program_latex(program: Program) -> str:
    """A program's update between dollars."""
    from .emit.formulas.formula import latex

    return f"$\\displaystyle {latex(program)}$"


def report_html(report: Any) -> str:
    """The order table of a report."""
    if hasattr(report, "parameters"):
        return noise_table(report.json())
    found = report.orders
    return order_table(
        {k: {m: (o.value, o.exact) for m, o in modes.items()} for k, modes in found.items()}
    )


def register() -> None:
    """Teach a running IPython to show programs and reports; elsewhere nothing happens."""
    import sys

    if "IPython" not in sys.modules:
        return
    shell = sys.modules["IPython"].get_ipython()
    if shell is None:
        return
    formatters = shell.display_formatter.formatters
    latex, html = formatters["text/latex"], formatters["text/html"]
    latex.for_type_by_name("solvergen.program.model", "Program", program_latex)
    html.for_type_by_name("solvergen.order.ode.report", "OrderReport", report_html)
    html.for_type_by_name("solvergen.order.sde.report", "StochasticReport", report_html)
