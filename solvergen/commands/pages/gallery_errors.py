"""Errors of the gallery's samplers against model evaluations, on the mixture of the demo."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from ...catalogue import Entry
from ...emitted import current
from ...trial import Trial, one_thread
from ..terminal import shown

BUDGETS = (6, 12, 24, 48, 96)


def measure(entries: Iterable[Entry]) -> dict[str, list[tuple[int, float]]]:
    """(evaluations, RMS distance to the exact end points) of each solver at a few budgets."""
    trial, found = Trial(), {}
    with tempfile.TemporaryDirectory() as folder, one_thread():
        for one in shown([one for one in entries if not one.weak], "measuring"):
            module = current(one, Path(folder))
            calls = one.evaluations
            steps = sorted({budget // calls for budget in BUDGETS} - {0, 1})
            found[one.name] = [trial.point(module, n) for n in steps]
    return found
