"""How a package that is missing is installed here: from a checkout, or from an index."""

from __future__ import annotations

from pathlib import Path


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
