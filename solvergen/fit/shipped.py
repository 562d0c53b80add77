"""The family of own solvers: tables fitted on mixtures, one JSON file each, decimals as strings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import hint
from ..gallery import TABLES
from ..writing import write
from .record import RecordError
from .table import Table

FOLDER = TABLES
# Name of the solver, the mixtures it is fitted on, and whether a constant output is exact.
KINDS = {
    "gauss": ("image", False),
    "gauss_net": ("network", False),
    "gauss_mix": ("generic", False),
    "gauss_sum": ("image", True),
}


@dataclass(frozen=True)
class Shipped:
    """A fitted table with where it comes from.

    Args:
        name: gauss_5, gauss_mix_8, gauss_sum_6 …
        family: of the mixtures it was fitted on.
        sums: whether the shares of every row sum to 1 for all numbers.
        figures: errors over the best published pair, and what the fit said.
    """

    name: str
    family: str
    sums: bool
    table: Table
    figures: dict[str, Any]


def shipped(name: str, folder: Path = FOLDER) -> Shipped:
    """A table of the family by name.

    Raises:
        RecordError: there is none of that name, or its file is damaged.
    """
    known = names(folder)
    path = folder / f"{name}.json"
    if name not in known:
        raise RecordError(
            f"no fitted table `{name}`{hint(name, known)}; there are {', '.join(known) or 'none'}; "
            "make one with solvergen search"
        )
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        table = Table(
            tuple(map(float, kept["levels"])),
            tuple(tuple(map(float, row)) for row in kept["shares"]),
        )
        return Shipped(name, kept["family"], bool(kept["sums"]), table, kept["figures"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path}: not a fitted table ({error}); make it anew") from None


def names(folder: Path = FOLDER) -> list[str]:
    """The fitted tables that there are, by kind and number of calls."""
    found = [p.stem for p in folder.glob("*_*.json") if p.stem.rsplit("_", 1)[1].isdigit()]
    return sorted(found, key=lambda n: (n.rsplit("_", 1)[0], int(n.rsplit("_", 1)[1])))


def write_shipped(made: Shipped, folder: Path = FOLDER) -> Path:
    """Write a table, whole or not at all."""
    kept = asdict(made)
    table = made.table.rounded()
    kept.pop("table")
    kept["levels"] = [repr(v) for v in table.levels]
    kept["shares"] = [[repr(v) for v in row] for row in table.shares]
    path = folder / f"{made.name}.json"
    write(path, json.dumps(kept, indent=1) + "\n")
    return path
