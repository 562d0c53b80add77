"""Parts of an audit that are only for readers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..probe.tableau import Tableau, accepted_row
from ..probe.trace import Trace


def on_grid(first: Trace) -> str:
    """One line on where the model is called."""
    on = int(first.on_grid().any(axis=0).sum())
    off = first.calls - on
    return f"{on} of {first.calls} calls on grid levels" + (f", {off} between" if off else "")


def display(table: Tableau, per_step: float) -> dict[str, Any]:
    """Increments of three middle steps, as fractions of the step, newest output first."""
    rows = []
    for step in (12, 13, 14):
        low, high = accepted_row(table, step), accepted_row(table, step + 1)
        move = table.move(low, high)[0] / (table.c[high] - table.c[low])
        used = np.flatnonzero(np.abs(move) > 1e-6 * np.abs(move).max())
        rows.append(
            {
                "step": step,
                "nodes": [
                    float((table.c[j] - table.c[low]) / (table.c[high] - table.c[low]))
                    for j in used[::-1]
                ],
                "weights": [float(move[j]) for j in used[::-1]],
            }
        )
    return {"form": table.form, "steps": rows, "calls_per_step": per_step}
