"""The explorer's trained students: where they are kept, and whether they fit their recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import SolvergenError
from .figures import problems

RECIPES = Path(__file__).parent / "recipes"
KEPT = Path(__file__).parent / "assets" / "students.json"
REMAKE = "solvergen explore --learn"


def line() -> Any:
    """The mixture in one dimension that the page's students learn."""
    from solvergen.verify.problems.mixture import GaussianMixture

    return GaussianMixture(**problems()["line"])


def kept() -> dict[str, Any]:
    """The students that the page draws: recipe → what `commands.explore_students` wrote of it.

    Raises:
        SolvergenError: the file is missing or was not made by this command.
    """
    try:
        found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SolvergenError(f"{KEPT}: {error}; make it again with: {REMAKE}") from None
    return found
