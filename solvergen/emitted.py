"""Emitted files as running modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from .errors import SolvergenError
from .installing import install

if TYPE_CHECKING:
    from .catalogue import Entry


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
        raise SolvergenError(f"{error.name} is not installed; {install('verify')}") from None
    return module


def current(one: Entry, folder: Path) -> ModuleType:
    """A solver's emitted file as a module: the generated one where it is of this very program.

    Args:
        one: the solver.
        folder: where the file is written if the generated one is missing or stale.

    Raises:
        SolvergenError: torch is not installed.
    """
    from . import __path__ as roots

    for root in roots:
        path = Path(root) / "generated" / f"{one.name}.py"
        if path.is_file() and f'SPEC_SHA256 = "{one.digest}"' in path.read_text(encoding="utf-8"):
            return imported(path)
    from .proof import proved
    from .writing import write

    path = folder / f"{one.name}.py"
    write(path, proved(one.loaded).text)
    return imported(path)
