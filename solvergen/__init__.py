"""solvergen: diffusion solvers from a short spec, with exact coefficients and their true order.

    import solvergen as sg

    sg.solver("dpmpp_2m").explain()  # of the gallery
    sg.read("mine.toml").generate("samplers/")  # from a spec file
    sg.Solver("mine", "data", step={"rule": "adams-bashforth", "steps": 2}).order()
    sg.audit(my_sampler, claim=2)  # anybody's

Importing the package is cheap: each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import Explanation, Solver, read, solver
    from .errors import DeriveError, OrderError, SolvergenError, SpecError
    from .fit.pipelines import calibrate
    from .verdicts import audit

__version__ = "0.1.0"

# In a checkout `generated` and `verify` lie beside this package; in a wheel they lie inside it.
__path__.append(str(Path(__file__).resolve().parent.parent))

# The public names and the modules that hold them.
_PLACES = {
    "Explanation": "api",
    "Solver": "api",
    "audit": "verdicts",
    "read": "api",
    "solver": "api",
    "calibrate": "fit.pipelines",
    "DeriveError": "errors",
    "OrderError": "errors",
    "SolvergenError": "errors",
    "SpecError": "errors",
}

__all__ = [
    "DeriveError",
    "Explanation",
    "OrderError",
    "Solver",
    "SolvergenError",
    "SpecError",
    "audit",
    "calibrate",
    "read",
    "solver",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _PLACES[name] == "api":
        from .notebook import register

        register()
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_PLACES]
