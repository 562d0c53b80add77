"""Errors of the gallery's samplers against model evaluations, on the mixture of the demo."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from ..catalogue import Entry
from ..emitted import imported
from ..trial import Trial
from .terminal import shown

BUDGETS = (6, 12, 24, 48, 96)


def measure(entries: Iterable[Entry]) -> dict[str, list[tuple[int, float]]]:
    """(evaluations, RMS distance to the exact end points) of each solver at a few budgets."""
    trial, found = Trial(), {}
    with tempfile.TemporaryDirectory() as folder:
        for one in shown([one for one in entries if not one.weak], "measuring"):
            module = _module(one, Path(folder))
            calls = one.evaluations
            steps = sorted({budget // calls for budget in BUDGETS} - {0, 1})
            found[one.name] = [trial.point(module, n) for n in steps]
    return found


def _module(one: Entry, folder: Path) -> ModuleType:
    """The solver's emitted file: the generated one where it is of this very program."""
    from .. import __path__ as roots

    for root in roots:
        path = Path(root) / "generated" / f"{one.name}.py"
        if path.is_file() and f'SPEC_SHA256 = "{one.digest}"' in path.read_text(encoding="utf-8"):
            return imported(path)
    from ..emit.torch_file import torch_file
    from ..writing import write

    path = folder / f"{one.name}.py"
    write(path, torch_file(one.loaded.solver, one.loaded.program))
    return imported(path)
