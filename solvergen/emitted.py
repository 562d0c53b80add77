"""Emitted files as running modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from .errors import SolvergenError


def imported(path: Path) -> ModuleType:
    """An emitted file as a module.

    Raises:
        SolvergenError: torch, which emitted files need, is not installed.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise SolvergenError(
            f"{error.name} is not installed; pip install 'solvergen[verify]'"
        ) from None
    return module
