"""The gallery: the solvers that come with solvergen, as spec files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import hint

if TYPE_CHECKING:
    from .spec.model import Solver

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
    from .spec.reader import read_solver

    return read_solver(CATALOG / f"{name}.toml")
