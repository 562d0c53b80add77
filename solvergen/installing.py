"""How a package that is missing is installed here: from a checkout, or from an index."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from .errors import SolvergenError


def install(extras: str) -> str:
    """The command that installs some extras.

    In a checkout it installs from there, with the pinned torch: an index may not have solvergen.

    Args:
        extras: their names, with commas between.
    """
    root = Path(__file__).parents[1]
    if (root / "constraints.txt").is_file() and (root / "pyproject.toml").is_file():
        return f"cd {root} && pip install -c constraints.txt -e '.[{extras}]'"
    return f"pip install 'solvergen[{extras}]'"


def needs(*packages: str, extras: str = "fit") -> None:
    """Say which package is missing before anything is imported or run.

    Args:
        packages: the names under which they are imported.
        extras: those that install them.

    Raises:
        SolvergenError: with the command that installs them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise SolvergenError(f"this needs {', '.join(missing)}; {install(extras)}")
