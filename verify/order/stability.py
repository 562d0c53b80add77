"""Stability region of a sampler, from its recovered tableau.

On y' = mu y in the plain clock with equal steps, a rule multiplies y by a factor that depends on
z = mu * step alone once the start has died out. The region is where that factor is at most one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..probe.past_states import own_form
from ..probe.tableau import Tableau, in_form
from ..probe.trace import Run, trace
from ..problems.grids import Array

STEPS = 24
BOX = (-4.5, 1.0, -4.0, 4.0)


def clock_uniform(form: str, n: int) -> Array:
    """A grid of nearly equal steps in the clock of a form."""
    if form == "data":
        return np.asarray(1.0 / np.linspace(1.0, 1.05, n + 1))
    if form == "noise":
        return np.linspace(1.05, 1.0, n + 1)
    if form == "v":
        return np.tan(np.linspace(0.81, 0.785, n + 1))
    t = np.linspace(0.52, 0.5, n + 1)
    return np.asarray(t / (1 - t))


def region(run: Run, *, columns: int = 56, rows: int = 40) -> dict[str, Any]:
    """Growth factors a step over a box of z.

    Returns:
        {"form", "box": (x0, x1, y0, y1), "stable": rows of 0/1 from the lower edge up,
        "real": length of the stable interval on the negative real axis}.
    """
    form = own_form(trace(run, clock_uniform("data", STEPS))).form
    table = in_form(trace(run, clock_uniform(form, STEPS)), form)
    x = np.linspace(BOX[0], BOX[1], columns)
    y = np.linspace(BOX[2], BOX[3], rows)
    z = (x[None, :] + 1j * y[:, None]).ravel()
    stable = growth(table, z).reshape(rows, columns) <= 1 + 1e-3
    line = np.linspace(0.0, -8.0, 401)
    along = growth(table, line.astype(complex)) <= 1 + 1e-3
    first = int(np.argmax(~along)) if not along.all() else len(line)
    return {
        "form": form,
        "box": BOX,
        "stable": stable.astype(int).tolist(),
        "real": float(-line[max(first - 1, 0)]),
    }


def growth(table: Tableau, z: NDArray[np.complex128]) -> Array:
    """|factor| a step at each z, from the second half of the run."""
    step = (table.c[-1] - table.c[0]) / STEPS
    y = np.ones((len(table.c), len(z)), dtype=complex)
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(1, len(y)):
            y[i] = 1 + (table.a[i, :i] / step) @ (z * y[:i])
        early, late = table.accepted[STEPS // 2], table.accepted[STEPS]
        ratio = np.abs(y[late]) / np.maximum(np.abs(y[early]), 1e-300)
    out = np.where(np.isfinite(ratio), ratio, np.inf) ** (1.0 / (STEPS - STEPS // 2))
    return np.asarray(out)
