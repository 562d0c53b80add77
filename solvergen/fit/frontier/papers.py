"""The tables of the papers, rebuilt as endpoint errors on one problem, with their figures beside.

Papers measure the Fréchet distance of images after training networks that are not here; what can be
compared is the ranking. Published figures are those of `PUBLISHED`, and no others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..grids.methods import fitted_grid
from ..run import Scaled, end
from ..shipped import names, shipped
from ..table import Array
from ..teacher import levels as teacher_levels
from . import amed
from .runs import Ground, Point, ends_of, ground, levels_of, measured, sampler, table_point

# FID on CIFAR-10 (EDM's network), as tabulated by GAS (2025), Table 2.
PUBLISHED = {
    "unipc_3_bh2": {4: 43.9, 5: 24.2, 6: 13.1, 8: 4.41, 10: 3.16},
    "ipndm3": {4: 35.0, 6: 11.8, 8: 5.67, 10: 3.69},
}
SEVEN = ("ddim", "deis_tab2", "dpmpp_2m", "unipc_3_bh2")
MULTISTEP = ("ddim", "dpmpp_2m", "dpmpp_3m", "unipc_3_bh2", "deis_tab3", "ipndm3", "ipndm4")
SINGLE = ("dpm_solver_2", "heun_edm", "dpm2")
LADDER = (4, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128)
FRECHET = 500  # starts for the Fréchet distance
GOALS = (0.1, 0.01, 0.001)
CLIMBERS = ("ddim", "dpmpp_2m", "dpmpp_3m", "unipc_3_bh2", "ipndm4", "heun_edm", "rk4_clock")

Told = Callable[[str], None]


@dataclass(frozen=True)
class Sheet:
    """One table: a title, what it says of its paper, column heads and rows of cells."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """As Markdown."""
        lines = [f"### {self.title}", "", "| " + " | ".join(self.heads) + " |"]
        lines.append("|" + "---|" * len(self.heads))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        lines += ["", *self.words] if self.words else []
        return "\n".join(lines) + "\n"


def sheets(where: Ground, tell: Told = lambda line: None) -> list[Sheet]:
    """All tables on one problem; the Fréchet distance where there is a classifier for it: on digits."""
    found = []
    makers = [seven_steps, four_grids, few_calls, schedules, teachers]
    makers += [against_papers, sweet_spots, trajectories]
    if where.name == "digits":
        makers.append(frechet)
    for make in makers:
        found.append(make(where))
        tell(f"{where.name}: {found[-1].title}")
    return found


def seven_steps(where: Ground) -> Sheet:
    """Seven steps of four samplers, on the grid that suits each best and on all others."""
    lists = levels_of(where, 7)
    rows = []
    for solver in SEVEN:
        points = {grid: measured(sampler(solver), where, lists[grid]) for grid in lists}
        grid = min(points, key=lambda g: _value(points[g]))
        rows.append(
            (solver, _shown(points["uniform_lambda"]), _shown(points["karras"]))
            + (f"{_shown(points[grid])} on {grid}",)
        )
    return Sheet("Seven steps", ("sampler", "uniform λ", "EDM", "best grid"), rows)


def four_grids(where: Ground) -> Sheet:
    """Five evaluations on an optimised grid, uniform t, EDM's grid and uniform λ."""
    rows = []
    for solver in (*SEVEN, "ipndm3"):
        own = fitted_grid("own", where.problem, 5, solver=solver, starts=16, seed=7, points=41)
        lists = levels_of(where, 5)
        grids = {
            "optimised": own.levels,
            "t": uniform_time(5, where.problem.sigma_max, where.problem.sigma_min),
            "edm": lists["karras"],
            "lambda": lists["uniform_lambda"],
        }
        cells = [measured(sampler(solver), where, levels) for levels in grids.values()]
        least = min(map(_value, cells))
        rows.append(
            (solver, *(f"**{_shown(c)}**" if _value(c) == least else _shown(c) for c in cells))
        )
    heads = ("sampler", "optimised (own)", "uniform t", "EDM", "uniform λ")
    return Sheet("Five evaluations on four grids", heads, rows)


def few_calls(where: Ground) -> Sheet:
    """3, 5, 7 and 9 evaluations: multistep, single-step, with an analytic first step, fitted."""
    budget = (3, 5, 7, 9)
    rows = []
    for solver in MULTISTEP:
        rows.append((solver, *(_shown(_at(where, solver, n)) for n in budget)))
        rows.append(
            (
                f"{solver}, first step analytic",
                *(_shown(_at(where, solver, n, True)) for n in budget),
            )
        )
    for solver in SINGLE:
        points = [_at(where, solver, n - 1) for n in budget]  # two calls a step: one call unused
        rows.append((f"{solver} (a call fewer)", *map(_shown, points)))
    for kind in ("gauss", "gauss_net", "gauss_mix"):
        have = {shipped(n).table.calls: n for n in names() if n.rsplit("_", 1)[0] == kind}
        cells = [
            _shown(table_point(shipped(have[n]).table, where)) if n in have else "-" for n in budget
        ]
        rows.append((f"{kind} (ours, own levels)", *cells))
    words = (
        "On EDM's grid. The analytic first step answers the first call by x (1 − σ/√(1 + σ²)) and is not "
        "counted. AMED's plug-in, fitted here, is in the tables of schedules and teachers."
    )
    return Sheet("3 to 9 evaluations", ("sampler", *map(str, budget)), rows, [words])


def schedules(where: Ground) -> Sheet:
    """AMED's Table 5: schedules, without and with the plug-in."""
    words = (
        "DPM-Solver-2, two calls a step. The plug-in's place of the inner evaluation and its factors on "
        f"direction and level are fitted for each schedule on {amed.FITTED} trajectories, the same for "
        "all samples; AMED learns them by sample. The fit keeps the first minimum that it finds: where "
        "more calls do worse than fewer, that is why."
    )
    rows = amed.schedule_rows(where, uniform_time)
    return Sheet("Schedules (AMED, Table 5)", ("schedule", "4", "6", "8"), rows, [words])


def teachers(where: Ground) -> Sheet:
    """AMED's Table 4: what the plug-in learns from teachers."""
    words = (
        f"Six calls on EDM's grid; the plug-in is fitted on the ends that a teacher of "
        f"{amed.TEACHER_CALLS} calls gives, and measured against exact ends. Without it: "
        f"{_shown(_at(where, 'dpm_solver_2', 2 * amed.STEPS))}."
    )
    heads = ("teacher", "its own error", "the plug-in's")
    return Sheet("Teachers (AMED, Table 4)", heads, amed.teacher_rows(where), [words])


def against_papers(where: Ground) -> Sheet:
    """Two samplers whose published figures are at hand: whether ours rank them alike."""
    budget = (4, 6, 8, 10)
    first, second = PUBLISHED
    rows = []
    agreed: list[str] = []
    parted: list[str] = []
    for calls in budget:
        lists = levels_of(where, calls)
        errors = [
            min(_value(measured(sampler(s), where, lists[g])) for g in lists) for s in PUBLISHED
        ]
        fids = [PUBLISHED[s][calls] for s in PUBLISHED]
        alike = (errors[0] < errors[1]) == (fids[0] < fids[1])
        (agreed if alike else parted).append(str(calls))
        rows.append(
            (str(calls), *(f"{e:.3g}" for e in errors), *(f"{f:g}" for f in fids))
            + ("yes" if alike else "**no**",)
        )
    told = (
        "The published figures are FIDs on CIFAR-10; ours are rms errors of the end, each sampler on its "
        "best published grid."
    )
    words = [told]
    if parted:
        words.append(
            f"The ranking differs at {', '.join(parted)} calls. Another network, another grid and another "
            "measure are behind the two columns: FID counts sharp and wrong ends as right, the error "
            "does not, and the papers run both samplers on one grid."
        )
    heads = ("calls", first, second, f"FID {first}", f"FID {second}", "same ranking")
    return Sheet("Beside published figures", heads, rows, words)


def sweet_spots(where: Ground) -> Sheet:
    """The fewest calls, of a ladder to 128, with which an error is reached on EDM's grid."""
    rows = []
    goals = [goal for goal in GOALS if goal > 5 * where.floor]
    for solver in CLIMBERS:
        module = sampler(solver)
        each = int(module.EVALUATIONS_PER_STEP)
        reached: dict[float, str] = {}
        for calls in LADDER:
            if calls % each or calls // each < 2:
                continue
            error = _value(measured(module, where, levels_of(where, calls // each)["karras"]))
            for goal in goals:
                if error <= goal * where.problem.std:
                    reached.setdefault(goal, str(calls))
            if len(reached) == len(goals):
                break
        order = module.ORDER["arbitrary"]["own_end"][0]
        rows.append((solver, str(order), *(reached.get(goal, "> 128") for goal in goals)))
    heads = ("sampler", "order", *(f"to {goal:g} deviations" for goal in goals))
    words = ["A high order pays where the error asked for is small; at few calls it does not rank."]
    if len(goals) < len(GOALS):
        words.append(f"The ends themselves are known to {where.floor:.2g} deviations.")
    return Sheet("Orders and sweet spots", heads, rows, words)


def trajectories(where: Ground) -> Sheet:
    """How flat trajectories are, and where in each of five steps the mean slope lies."""
    fine = _fine(where, 120)
    states = torch.stack([x.flatten(1) for _, x, _ in fine]).double()
    moved = states - states[-1:]
    shares = []
    for k in range(moved.shape[1]):
        values = torch.linalg.svdvals(moved[:, k] - moved[:, k].mean(0)) ** 2
        shares.append((values.cumsum(0) / values.sum())[:3])
    flat = [float(v) for v in torch.stack(shares).mean(0)]
    rows = []
    levels = levels_of(where, 5)["karras"]
    for high, low in itertools.pairwise(levels):
        place, scale, left = _mean_slope(fine, high, low)
        rows.append((f"{high:.4g} → {low:.4g}", f"{place:.2f}", f"{scale:.3f}", f"{left:.2g}"))
    words = (
        f"One, two and three principal components hold {100 * flat[0]:.2f}, {100 * flat[1]:.2f} and "
        f"{100 * flat[2]:.3f} % of a trajectory's variance. r is the place (σ_low^r σ_high^(1−r)) whose "
        "slope dx/dσ, scaled by c, gives the step of the exact trajectory with the least error; AMED "
        "learns both by sample."
    )
    heads = ("step in σ", "r", "c", "what is left of the step")
    return Sheet("Trajectories", heads, rows, [words])


def frechet(where: Ground) -> Sheet:
    """On digits, at 5 calls: the endpoint error beside the Fréchet distance in a classifier's features."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    pictures, labels = load_digits(return_X_y=True)
    net = MLPClassifier((32,), max_iter=300, random_state=0).fit(pictures / 8 - 1, labels)

    def features(x: Tensor) -> Array:
        return np.maximum(x.numpy() @ net.coefs_[0] + net.intercepts_[0], 0)

    large = ground(where.name, FRECHET)
    exact = features(large.ends)
    lists = levels_of(large, 5)
    found: list[tuple[float, str, float]] = []
    for solver in MULTISTEP:
        errors = {grid: _value(measured(sampler(solver), large, lists[grid])) for grid in lists}
        grid = min(errors, key=lambda g: errors[g])
        ends, _ = ends_of(sampler(solver), large, lists[grid])
        found.append((errors[grid], f"{solver} on {grid}", distance(features(ends), exact)))
    for name in names():
        table = shipped(name).table
        if table.calls == 5:
            error = _value(table_point(table, large))
            scaled = Scaled(large.problem)
            ends = scaled.outward(end(scaled, table, large.pairs().starts), scaled.end)
            found.append((error, f"{name} (ours)", distance(features(ends), exact)))
    found.sort()
    ranks = np.argsort(np.argsort([far for _, _, far in found]))
    inside = float(np.corrcoef(ranks, np.arange(len(found)))[0, 1])
    rows = [(name, f"{error:.4g}", f"{far:.3g}") for error, name, far in found]
    words = (
        f"{FRECHET} starts, against the exact ends, in the 32 hidden features of a classifier of digits. "
        f"Rank correlation of the two columns: {inside:.2f}."
    )
    heads = ("5 calls", "rms error", "Fréchet distance")
    return Sheet("Error and quality", heads, rows, [words])


def distance(a: Array, b: Array) -> float:
    """Fréchet distance of two samples' Gaussians: |Δμ|² + tr(A + B − 2 (A B)^½).

    >>> round(distance(np.eye(3), np.eye(3) + 2.0), 6)
    12.0
    """
    first, second = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.clip(np.linalg.eigvals(first @ second).real, 0, None)).sum()
    moved = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(moved + np.trace(first) + np.trace(second) - 2 * roots)


def uniform_time(steps: int, high: float, low: float) -> list[float]:
    """Levels ρ uniform in the time of the VP process with β from 0.1 to 20.

    ρ² = exp(0.1 t + 9.95 t²) − 1 (Song et al. 2021, eq. 33).
    """

    def time(rho: float) -> float:
        return (-0.1 + math.sqrt(0.01 + 4 * 9.95 * math.log1p(rho * rho))) / (2 * 9.95)

    first, last = time(high), time(low)
    times = [first + (last - first) * i / steps for i in range(1, steps)]
    inner = [math.sqrt(math.expm1(0.1 * t + 9.95 * t * t)) for t in times]
    return [high, *inner, low]


def _at(where: Ground, solver: str, calls: int, analytic: bool = False) -> Point:
    """A sampler on EDM's grid at so many calls; with an analytic first step, one step more."""
    module = sampler(solver)
    each = int(module.EVALUATIONS_PER_STEP)
    if calls < each or calls % each:
        return Point(None, calls)
    if not analytic:
        return measured(module, where, levels_of(where, calls // each)["karras"])
    problem = where.problem
    first = problem.sigma_max

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        if float(sigma) >= first * (1 - 1e-6):
            return x * (1 - first / math.sqrt(1 + first**2))
        return problem.denoiser(x, sigma)

    changed = Ground(
        where.name,
        type(problem)(**{**problem.__dict__, "denoiser": denoiser}),
        where.starts,
        where.ends,
        where.alpha,
        where.floor,
        where.digest,
    )
    return measured(module, changed, levels_of(where, calls + 1)["karras"])


def _fine(where: Ground, steps: int) -> list[tuple[float, Tensor, Tensor]]:
    """Levels, states and slopes dx/dσ of a fine run on a few starts."""
    few = where.starts[:8]
    scaled = Scaled(where.problem)
    std = where.problem.std
    levels = [*(float(v) * std for v in teacher_levels(scaled, steps)), where.problem.sigma_min]
    kept: list[tuple[float, Tensor, Tensor]] = []

    def model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        level = sigma.flatten()[0]
        out = where.problem.denoiser(x, level.to(x.dtype))
        kept.append((float(level), x.clone(), (x - out) / float(level)))
        return out

    with torch.no_grad():
        grid = torch.tensor(levels, dtype=torch.float64)
        sampler("dpmpp_2m").sample(model, few, grid)
    return kept


def _mean_slope(
    fine: Sequence[tuple[float, Tensor, Tensor]], high: float, low: float
) -> tuple[float, float, float]:
    """Place, scale and what is left, for a step between two levels of a fine run."""
    logs = np.log([level for level, _, _ in fine])
    first, last = (int(np.abs(logs - math.log(level)).argmin()) for level in (high, low))
    begin, finish = fine[first], fine[last]
    step = (finish[1] - begin[1]).double()
    found = []
    for level, _, slope in fine[first : last + 1]:
        full = (finish[0] - begin[0]) * slope.double()
        scale = float((full * step).sum() / (full * full).sum())
        left = float((step - scale * full).norm() / step.norm())
        place = math.log(begin[0] / level) / math.log(begin[0] / finish[0])
        found.append((left, place, scale))
    left, place, scale = min(found)
    return place, scale, left


def _value(point: Point) -> float:
    return math.inf if point.error is None else point.error


def _shown(point: Point) -> str:
    return "-" if point.error is None else f"{point.error:.3g}"
