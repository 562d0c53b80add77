"""What a solver is: the spec language, its model and its reader. Loaded when a name is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Solver
    from .reader import parse_solver, read_solver, solver_of

_PLACES = {
    "Solver": "model",
    "parse_solver": "reader",
    "read_solver": "reader",
    "solver_of": "reader",
}

__all__ = ["Solver", "parse_solver", "read_solver", "solver_of"]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
