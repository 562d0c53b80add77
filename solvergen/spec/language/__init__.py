"""The whole spec language as declared: every table by its name, in the order of the reference page."""

from __future__ import annotations

from collections.abc import Iterator

from ..declare import Table, tables_of
from ..model import Solver

_TOP = Table(
    Solver, "(top of the file)", "What the solver is and which model output it integrates."
)


def _tables() -> Iterator[Table]:
    yield _TOP
    for field, table in tables_of(Solver).items():
        yield table
        if table.of is not None:
            yield from tables_of(table.of).values()
        if field in Solver.WRITTEN_OUT:
            yield Solver.WRITTEN_OUT[field]


TABLES: dict[str, Table] = {table.name: table for table in _tables()}

# Names at the top of a file that are tables of their own.
TOP_TABLES = frozenset(name for name in TABLES if name and "." not in name)
