"""The gallery: the solvers that come with solvergen, as spec files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .errors import hint
from .spec.model import Solver
from .spec.reader import read_solver

CATALOG = Path(__file__).parent / "catalog"


def names() -> list[str]:
    """Names of all solvers in the gallery, sorted."""
    return sorted(path.stem for path in CATALOG.glob("*.toml"))


@cache
def load(name: str) -> Solver:
    """The solver of that name.

    Raises:
        KeyError: there is none; the message suggests the nearest name.
    """
    if name not in names():
        shown = hint(name, names()) or "; see solvergen list"
        raise KeyError(f"no solver is named `{name}` in the gallery" + shown)
    return read_solver(CATALOG / f"{name}.toml")
