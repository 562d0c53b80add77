"""What a solver is: the spec language, its model and its reader.

Names are imported when they are first used: expressions are sympy's, and a starter spec needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Solver as Solver
    from .reader import parse_solver as parse_solver
    from .reader import read_solver as read_solver


def __getattr__(name: str) -> Any:
    if name == "Solver":
        from .model import Solver

        return Solver
    if name in ("parse_solver", "read_solver"):
        from . import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
