"""The gallery: the solvers that come with solvergen, as spec files; and the names of the fitted tables."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import hint

if TYPE_CHECKING:
    from .spec.model import Solver

CATALOG = Path(__file__).parent / "catalog"
TABLES = Path(__file__).parent / "fit" / "tables"
# The commands that take a calibrated file, or a table written as one, beside specs.
TAKE_TABLES = "explain, same, audit, verify, export and generate --check"


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in CATALOG.glob("*.toml")))


def names() -> list[str]:
    """Names of all solvers in the gallery, sorted."""
    return list(_names())


def is_name(target: str) -> bool:
    """Whether a target is the name of a gallery solver."""
    return target in _names()


def unknown(name: str, elsewhere: str = "") -> str:
    """What to say of a name that no gallery solver has: a fitted table's, or what is meant perhaps.

    Args:
        name: what was given.
        elsewhere: where else it was looked for, as " and no such file".
    """
    if any(path.stem == name for path in TABLES.glob("gauss*.json")):
        return (
            f"is a fitted table, numbers without a spec; write it as a file with `solvergen generate {name} "
            f"--out samplers/` and give samplers/{name}.py to {TAKE_TABLES}"
        )
    nearest = hint(name, names()) or "; see solvergen list"
    return f"no solver of that name in the gallery{elsewhere}{nearest}"


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
        raise KeyError(f"`{name}`: {unknown(name)}")

    return read_solver(CATALOG / f"{name}.toml")
