"""The gallery: the solvers that come with solvergen, as spec files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import hint

if TYPE_CHECKING:
    from .spec.model import Solver

CATALOG = Path(__file__).parent / "catalog"


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in CATALOG.glob("*.toml")))


def names() -> list[str]:
    """Names of all solvers in the gallery, sorted."""
    return list(_names())


def is_name(target: str) -> bool:
    """Whether a target is the name of a gallery solver."""
    return target in _names()


def fingerprint(name: str) -> str:
    """A short hash of a gallery spec's text; empty when there is no such spec."""
    path = CATALOG / f"{name}.toml"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


@cache
def load(name: str) -> Solver:
    """The solver of that name.

    Raises:
        KeyError: there is none; the message suggests the nearest name.
    """
    from .spec.reader import read_solver

    if not is_name(name):
        shown = hint(name, names()) or "; see solvergen list"
        raise KeyError(f"no solver is named `{name}` in the gallery" + shown)

    return read_solver(CATALOG / f"{name}.toml")
