"""The constant of the global error, predicted from a stated leading local error and measured.

A rule whose local error is h^(p+1) sum_w c_w(r) w(lam) has global error, to leading order,

    E_n = sum_k Phi(lam_n, lam_(k+1)) h_k^(p+1) sum_w c_w(r_k) w(lam_k),

with Phi = p_lam(x_lam) / p_n(x_n) the exact propagator in one dimension. Measured and predicted are
compared on the recovered tableau, run from exact values, so that start and end play no part. Where
a sampler hands predicted states to the model (PEC), a state differs from the accepted one by the predictor's local
error: on a uniform grid the stated words give it, on a rough one its size is fitted beside the
ratio.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..probe.past_states import rewritten, shape_of
from ..probe.tableau import Tableau, in_form
from ..probe.trace import Run, trace
from ..problems import grids
from ..problems.exact_path import Path, exact_path
from ..problems.jets import integrand_series
from ..problems.mixture import GaussianMixture
from ..rates import measure
from .audit import Audit
from .stated_error import Stated, bound_only, breadth, evaluate, stated_error, weight

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

LADDER = (96, 192)
SKIP = 12
PERIOD = len(grids.ROUGH)
CLOSE = (0.97, 1.03)
LOOSE = 0.01
SETTLED = 0.1
HIGHEST = 4
TABLES = {"uniform": "uniform", "rough": "symbolic"}


def _word_value(tree: Any, series: Array) -> Array:
    """A word at all points, from the series of N along the trajectories."""
    leaves, children = int(tree[0]), tree[1]
    m = len(children)
    out = series[leaves, m] * math.factorial(leaves) * math.factorial(m)
    for child in children:
        out = out * _word_value(child, series)
    return np.asarray(out)


def predicted(
    stated: Stated, task: measure.Problem, path: Path, first: int, past: Array | None = None
) -> Array:
    """Predicted error (m, b) in u = x/alpha or x/sigma at every level after `first`.

    Args:
        past: (m, m) weights of the state at each level on the states before it; None when each goes
            on from the last one alone.
    """
    lam = path.lam
    h = np.diff(lam)
    depth = max(stated.power, 2)
    columns = 1 + max(breadth(tree) for tree, _ in stated.words)
    series = integrand_series(
        task.mixture, stated.kappa, lam[:, None] + 0 * path.x, path.x, depth + 1, columns
    )
    out = np.zeros_like(path.x)
    for n in range(first, len(h)):
        names: dict[str, Any] = {f"r{k}": h[n - k] / h[n] for k in range(1, min(n, 8) + 1)}
        names |= {"kappa": float(stated.kappa), "sigma": math.exp(-lam[n])}
        local = np.zeros(path.x.shape[1])
        for tree, text in stated.words:
            coefficient = evaluate(text, {**names, "h": h[n]})
            local += coefficient * _word_value(tree, series[:, :, n])
        out[n + 1] = h[n] ** stated.power * local
        for k in [n] if past is None else np.flatnonzero(past[n + 1, first : n + 1]) + first:
            carried = np.exp(path.log_density[k] - path.log_density[n + 1])
            if stated.kappa == -1:
                carried = carried * np.exp(lam[n + 1] - lam[k])
            out[n + 1] += (1.0 if past is None else past[n + 1, k]) * carried * out[k]
    return out


def executed(tableau: Tableau, task: measure.Problem, exact: int, nodes: Path) -> Array:
    """States Y (k+1, b) of the recovered tableau, run from exact values up to row `exact`.

    Stages before it have the errors of their own steps: two-step methods weigh them once more.

    Args:
        nodes: exact trajectories at the levels of the model calls, and at the end.
    """
    sigma = np.exp(-nodes.lam)
    scale = {"data": 1 / sigma, "noise": np.ones_like(sigma)}[tableau.form]
    y = nodes.x * scale[:, None]
    f = np.zeros((tableau.a.shape[1], y.shape[1]))
    states, before = set(tableau.states), 0  # the last exact state
    for i in range(len(y)):
        if i <= exact and i in states:
            before = i
        elif i < exact and tableau.past is None:
            y[i] = y[before] + (tableau.a[i, :i] - tableau.a[before, :i]) @ f[:i]
        if i > exact and tableau.past is not None and tableau.own is not None:
            y[i] = tableau.past[i, :i] @ y[:i] + tableau.own[i, :i] @ f[:i]
        elif i > exact:
            y[i] = y[exact] + (tableau.a[i, :i] - tableau.a[exact, :i]) @ f[:i]
        if i < len(f):
            f[i] = _right(task.mixture, tableau.form, y[i] / scale[i], sigma[i])
    return y


def _right(mixture: GaussianMixture, form: str, x: Array, sigma: float) -> Array:
    denoised = mixture.denoise(torch.from_numpy(x[:, None].copy()), 1.0, float(sigma)).numpy()[:, 0]
    return np.asarray(denoised if form == "data" else (x - denoised) / sigma)


def compare(run: Run, stated: dict[str, Any], audited: Audit) -> dict[str, Any]:
    """Measured over predicted global error on a uniform and on a rough grid.

    Returns:
        grid -> {"ratio", "ok", "order", "fit"}: the ratio extrapolated to h = 0, whether it lies
        within 0.97 to 1.03, the order whose constant it is, and the relative misfit of the
        whole error curve over time and trajectories. Grids without a stated table are absent, and
        those of order 0, whose error tends to no multiple of a local one.

    Raises:
        ClaimError: a statement that cannot be read.
    """
    tables = stated.get("LEADING_ERROR") or {}
    return {
        grid: _compared(run, stated, audited, grid, kind)
        for grid, kind in (("uniform", "uniform"), ("rough", "arbitrary"))
        if tables.get(TABLES[grid])
        and kind in audited.grids
        and audited.grids[kind].exact_start > 0
    }


def _compared(
    run: Run, stated: dict[str, Any], audited: Audit, grid: str, kind: str
) -> dict[str, Any]:
    found = audited.grids[kind]
    order = found.exact_start

    def without(note: str, ok: bool | None = None, fit: float | None = None) -> dict[str, Any]:
        return {"ratio": None, "ok": ok, "order": order, "fit": fit, "note": note}

    if order > HIGHEST:
        return without(f"order {order}: float64 leaves too few digits of the error")
    if not found.exact:
        return without(f"order {order} is a lower bound, which has no constant")
    if bound_only(stated, kind, order):
        return without(
            f"the file states at least a lower order than the {order} found, so no constant"
        )
    claim = stated_error(stated, TABLES[grid], order + 1)
    highest = max(weight(tree) for tree, _ in claim.words)
    if highest > order + 1:
        return without(f"states a local error h^{highest}; the audit finds h^{order + 1}", ok=False)
    pairs = [_ratio(run, claim, grid, n, audited.after) for n in LADDER]
    (coarse, _), (fine, misfit) = pairs
    if coarse is None or fine is None:
        return without(
            "not determined: predicted and accepted states cannot be distinguished here", fit=misfit
        )
    # the ratio deviates by O(h)
    ratio = 2 * fine - coarse
    ok = bool(CLOSE[0] <= ratio <= CLOSE[1])
    if not ok and abs(fine - coarse) > SETTLED:
        return without(
            f"not determined: measured / predicted is {coarse:.2f} at N = {LADDER[0]} and "
            f"{fine:.2f} at {LADDER[1]}, higher powers of h still outweigh the constant",
            fit=misfit,
        )
    return {"ratio": float(ratio), "ok": ok, "order": order, "fit": misfit}


def _ratio(run: Run, claim: Stated, grid: str, n: int, after: int) -> tuple[float | None, float]:
    """Least-squares ratio measured / predicted, and the relative misfit."""
    task = measure.problem("oracle")
    sigmas = grids.GRIDS[grid](n, task.lam)
    traced = trace(run, sigmas)
    tableau = in_form(traced, "data" if claim.kappa == 1 else "noise", after)
    tableau = rewritten(tableau, shape_of(tableau))
    first = SKIP
    rows = np.asarray(tableau.accepted)
    past = None if tableau.past is None else tableau.past[np.ix_(rows, rows)]
    path = exact_path(task, sigmas)
    y = executed(tableau, task, int(rows[first]), exact_path(task, traced.nodes))
    steps: Indices = np.arange(first + PERIOD, n + 1 - PERIOD, PERIOD)
    # Y is x/sigma or x, u is x or x/sigma
    sigma = sigmas[steps][:, None]
    x = y[rows[steps]] * (sigma if claim.kappa == 1 else 1.0)
    error = x - path.x[steps]
    wanted = predicted(claim, task, path, first, past)[steps]
    wanted = wanted * (1.0 if claim.kappa == 1 else sigma)
    # bring all times to one footing: divide by the propagator from the first state
    unit = np.exp(path.log_density[steps] - path.log_density[first])
    models = [[wanted]]
    if grid == "uniform":
        models.append([wanted + _stated_predictor(claim, task, path, sigmas, first, steps)])
    else:
        shapes = _predictor_shapes(claim, task, path, sigmas, first, steps)
        models += [[wanted, *shapes[: k + 1]] for k in range(len(shapes))]
    return _fitted(error * unit, [[c * unit for c in model] for model in models])


def _predictor_shapes(
    claim: Stated, task: measure.Problem, path: Path, sigmas: Array, first: int, steps: Indices
) -> list[Array]:
    """How predicted and accepted states may differ, in x and each up to a factor.

    h^p D^(p-1) is the error of an exact rule on p - 1 nodes; h^p D^(p-2) comes beside it where a
    weight is approximated.
    """
    p = claim.power - 1
    lam = path.lam[:, None] + 0 * path.x
    series = integrand_series(task.mixture, claim.kappa, lam, path.x, p + 1, 1)
    h = np.concatenate([np.diff(path.lam), [0.0]])[:, None]
    carried = np.exp(path.log_density[first] - path.log_density[steps])
    out = []
    for degree in range(p - 1, max(p - 3, 0), -1):
        shape = series[degree, 0] * np.roll(h, 1, axis=0) ** p
        if claim.kappa == -1:
            shape = shape * sigmas[:, None]
        out.append(np.asarray(shape[steps] - carried * shape[first]))
    return out


def _stated_predictor(
    claim: Stated, task: measure.Problem, path: Path, sigmas: Array, first: int, steps: Indices
) -> Array:
    """The same difference on a uniform grid, where the stated words give its size.

    The corrector's weights sum to one there, so the coefficient of J[X] is the predictor's of X.
    """
    p = claim.power - 1
    lam = path.lam[:, None] + 0 * path.x
    columns = 1 + max(breadth(tree) for tree, _ in claim.words)
    series = integrand_series(task.mixture, claim.kappa, lam, path.x, p + 1, columns)
    h = path.lam[1] - path.lam[0]
    names = {**{f"r{k}": 1.0 for k in range(1, 9)}, "kappa": float(claim.kappa), "h": h}
    out = np.zeros_like(path.x)
    for tree, text in claim.words:
        if int(tree[0]) == 0 and len(tree[1]) == 1:
            out = out + evaluate(text, names) * _word_value(tree[1][0], series) * h**p
    if claim.kappa == -1:
        out = out * sigmas[:, None]
    carried = np.exp(path.log_density[first] - path.log_density[steps])
    return np.asarray(out[steps] - carried * out[first])


def _fitted(error: Array, models: list[list[Array]]) -> tuple[float | None, float]:
    """Ratio and misfit of the simplest model that explains the errors; None where loose."""
    target = error.ravel()
    norm = float(np.linalg.norm(target)) or 1.0
    ratio: float | None = None
    best = math.inf
    for columns in models:
        basis = np.stack([c.ravel() for c in columns], axis=1)
        found, *_ = np.linalg.lstsq(basis, target, rcond=None)
        misfit = float(np.linalg.norm(basis @ found - target)) / norm
        # a further term must earn its place
        if misfit < 0.5 * best:
            best = misfit
            spread = float(np.sqrt(np.linalg.pinv(basis.T @ basis)[0, 0])) * misfit * norm
            ratio = float(found[0]) if spread < LOOSE or len(columns) == 1 else None
    return ratio, best
