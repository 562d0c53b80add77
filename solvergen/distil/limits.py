"""What a recipe converges to, computed without training.

E_teacher: the teacher's own run on the recipe's grid against exact ends. The metric's bias in
consistency training: by quadrature on the line, by posterior draws elsewhere. Start mismatch, and the
cheapest teacher whose error is below half of a claim.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import teacher
from .data import World, world
from .keys import BANKED, SYSTEMS
from .recipe import Recipe, grid_of

Array = NDArray[np.float64]
STARTS = 1024
SOLVERS = ("ddim", "heun_edm", "dpmpp_2s", "dpmpp_2m", "dpmpp_3m")
STEPS = (4, 6, 8, 10, 14, 18, 24, 30, 40, 56, 80, 112, 160, 240, 320)
ADVERSARIAL = (
    "distribution-matching",
    "moments",
    "adversarial-denoising",
    "adversarial-distillation",
)


@dataclass(frozen=True)
class TeacherError:
    """The end points of a solver's run from the highest level, over sd.

    Args:
        solver, calls, steps: what was run.
        rms, mean, flips, rms_kept: of the error; flips are ends in another component's basin.
    """

    solver: str
    steps: int
    calls: int
    rms: float
    mean: float
    flips: float
    rms_kept: float


@dataclass
class Limits:
    """What is known of a recipe before training.

    Args:
        limit: what it converges to, in words.
        teacher: its teacher's error, None where no teacher is run.
        cheapest: the cheapest teacher below half of the claim, None without a claim.
        score: "exact" or the name of the denoiser.
        start: start mismatch over sd, None where the law of data is not known.
        bias: rows of the metric's bias.
        warnings: what will go wrong.
        refused: why lint refuses it, or "".
    """

    limit: str
    teacher: TeacherError | None = None
    cheapest: TeacherError | None = None
    score: str = "exact"
    start: float | None = None
    bias: list[dict[str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: str = ""


def limits(recipe: Recipe, *, full: bool = True) -> Limits:
    """The limits of a recipe.

    Args:
        full: with the cheapest teacher, start mismatch and bias; otherwise what lint needs.

    Raises:
        SolvergenError: a teacher that does not exist, or data that cannot be had.
    """
    made, found = world(recipe), Limits(SYSTEMS[recipe.system])
    found.score = str(recipe.teacher["denoiser"])
    exact = made.mixture is not None and found.score == "exact"
    claim = recipe.claim.get("endpoint_error")
    if recipe.system in BANKED or recipe.system == "latent-consistency":
        module = teacher.solver(recipe)
        if exact and not made.classes:
            found.teacher = teacher_error(module, made, recipe.grid())
            if claim is not None and found.teacher.rms > claim:
                found.refused = (
                    f"the teacher's own error is {found.teacher.rms:.2%} of sd, above the claim of "
                    f"{claim:.2%}; take more sub-steps or a better solver"
                )
    if not full:
        return found
    if exact:
        found.start = start_mismatch(made, recipe)
    if found.teacher and claim is not None:
        found.cheapest = cheapest_teacher(made, recipe, claim / 2)
    found.bias = metric_bias(recipe, made)
    found.warnings = warnings(recipe, made, found)
    return found


def teacher_error(module: Any, made: World, grid: list[float], count: int = STARTS) -> TeacherError:
    """Run a solver with the exact denoiser; errors as the examiner defines them."""
    start, exact = _truth(made, grid[0], grid[-1], count)
    ends = teacher.run(module, made.mixture.model(), start, grid)[-1]
    gap = (ends - exact).square().mean(1).sqrt() / made.sd
    flip = _basin(made, ends, grid[-1]) != _basin(made, exact, grid[-1])
    kept = gap[~flip]
    return TeacherError(
        str(getattr(module, "NAME", "teacher")),
        len(grid) - 1,
        (len(grid) - 1) * int(getattr(module, "EVALUATIONS_PER_STEP", 1)),
        float(gap.square().mean().sqrt()),
        float(gap.mean()),
        float(flip.double().mean()),
        float(kept.square().mean().sqrt()) if len(kept) else math.inf,
    )


_KNOWN: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}


def _truth(made: World, top: float, low: float, count: int) -> tuple[Tensor, Tensor]:
    """Low-discrepancy starts in the marginal at the highest level, with their exact ends."""
    key = (made.name, made.size, top, low, count)
    if key not in _KNOWN:
        start = sobol_starts(made, count, top)
        _KNOWN[key] = start, exact_flow(made, start, top, low)
    return _KNOWN[key]


def sobol_starts(made: World, count: int, top: float) -> Tensor:
    """(count, d) states x0 + top z from a scrambled Sobol sequence."""
    engine = torch.quasirandom.SobolEngine(2 * made.size + 1, scramble=True, seed=5)
    points = engine.draw(count, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    weights = made.mixture.weights
    pick = torch.searchsorted(weights.cumsum(0), points[:, 0].contiguous()).clamp(
        max=len(weights) - 1
    )
    normal = torch.special.ndtri(points[:, 1:])
    within = normal[:, : made.size] * made.mixture.variances[pick].sqrt()
    if made.mixture.axes is not None:
        within = torch.einsum("be,bde->bd", within, made.mixture.axes[pick])
    return made.mixture.means[pick] + within + top * normal[:, made.size :]


def exact_flow(made: World, start: Tensor, top: float, low: float) -> Tensor:
    """Ends of the exact flow, by scipy's DOP853 at 1e-11."""
    from solvergen.verify.problems.reference import dop853

    def field_of(sigma: float, state: Array) -> Array:
        x = torch.from_numpy(np.ascontiguousarray(state.reshape(start.shape)))
        out: Array = made.mixture.denoise(x, 1.0, sigma).numpy()
        return out

    return torch.from_numpy(dop853(field_of, start.numpy(), top, low, 1e-11))


def _basin(made: World, x: Tensor, low: float) -> Tensor:
    one = torch.ones(1, 1, dtype=x.dtype)
    share, _, _ = made.mixture._posterior(x, one, low * one)
    return share.argmax(1)


def cheapest_teacher(made: World, recipe: Recipe, most: float) -> TeacherError | None:
    """The solver and number of steps with the fewest model calls and an error of at most `most`.

    Candidates are deterministic solvers of proved orders 1, 2 and 3; orders say who wins in the end,
    the run on this grid says who wins here.
    """
    best: TeacherError | None = None
    for name in SOLVERS:
        module = teacher.solver_named(name)
        each = int(getattr(module, "EVALUATIONS_PER_STEP", 1))
        for steps in STEPS:
            if best and steps * each >= best.calls:
                break
            table = {**recipe.teacher["levels"], "n": steps}
            found = teacher_error(module, made, grid_of(table, 1), 256)
            if found.rms <= most:
                best = found
                break
    return best


def start_mismatch(made: World, recipe: Recipe) -> float:
    """What starting from N(0, T^2) costs, over sd: the optimal map between the two starts, flowed."""
    from solvergen.verify.problems.named import covariance, mean

    levels = recipe.teacher["levels"]
    top, low = float(levels["sigma_max"]), float(levels["sigma_min"])
    start, exact = _truth(made, top, low, 256)
    total = covariance(made.mixture) + top**2 * torch.eye(made.size, dtype=torch.float64)
    values, axes = torch.linalg.eigh(total)
    moved = (start - mean(made.mixture)) @ (axes @ torch.diag(top / values.sqrt()) @ axes.T)
    gap = exact_flow(made, moved, top, low) - exact
    return float(gap.square().mean().sqrt()) / made.sd


def metric_bias(recipe: Recipe, made: World) -> list[dict[str, float]]:
    """How far the metric's centre of the posterior lies from its mean, over the posterior's sd.

    Only losses with a random target have it: consistency training and its kin. Rows by level: the
    geometric median (c well below the target's jumps) against the mean.
    """
    random = recipe.system in ("consistency-training", "easy-consistency")
    if not random or made.mixture is None:
        return []
    rows = []
    for level in (4.0, 2.0, 1.0, 0.5):
        t = level * made.sd
        x = sobol_starts(made, 64, t)
        draws = posterior(made, x, t, 512)
        centre = draws.mean(1)
        middle = geometric_median(draws)
        spread = (draws - centre[:, None]).square().sum(-1).mean(1).sqrt()
        off = (middle - centre).norm(dim=1) / spread
        rows.append({"level": t, "median": float(off.square().mean().sqrt())})
    return rows


def posterior(made: World, x: Tensor, t: float, count: int) -> Tensor:
    """(b, count, d) draws of x0 given x = x0 + t z, by weighting draws of the data."""
    data = made.mixture.sample(20000, seed=3)
    log = -0.5 * torch.cdist(x, data).square() / t**2
    generator = torch.Generator().manual_seed(0)
    pick = torch.multinomial(log.softmax(1), count, replacement=True, generator=generator)
    return data[pick]


def geometric_median(points: Tensor) -> Tensor:
    """(b, d) of (b, n, d), by Weiszfeld's iteration."""
    centre = points.mean(1)
    for _ in range(60):
        weight = 1 / (points - centre[:, None]).norm(dim=-1).clamp_min(1e-9)
        centre = (weight[..., None] * points).sum(1) / weight.sum(1, keepdim=True)
    return centre


def warnings(recipe: Recipe, made: World, found: Limits) -> list[str]:
    """What is known to go wrong with such settings."""
    said, loss = [], recipe.loss
    few = made.size < 50
    if found.bias and loss.get("metric") == "pseudo-huber" and few and loss["c"] < made.sd:
        worst = max(row["median"] for row in found.bias)
        said.append(
            f"metric pseudo-huber with c = {loss['c']:g} below the data's sd {made.sd:.2g}: the limit "
            f"follows the posterior's median, up to {worst:.2f} of its sd from the mean, and more "
            'levels do not remove that; write metric = "l2"'
        )
    if loss.get("velocity") == "data" and float(loss.get("power") or 0) > 0 and few:
        said.append("an adaptive weight with a random target biases the limit; write power = 0")
    levels = int(recipe.teacher["levels"]["n"])
    if recipe.system == "consistency" and loss.get("schedule") == "fixed" and levels > 20:
        said.append(
            f"{levels} levels without doubling: the price of bootstrapping grows with levels (10 % at "
            "40, 2 % at 8); write fewer levels with more sub-steps"
        )
    name, steps = str(recipe.teacher["solver"]), levels * int(recipe.teacher["substeps"])
    if recipe.system in BANKED and name.startswith("heun") and steps < 8:
        said.append("Heun below 8 steps is worse than Euler on such grids")
    if found.start and found.start > 0.02:
        said.append(
            f"starting from N(0, T^2) costs {found.start:.1%} of sd; start from the marginal"
        )
    if recipe.system in ADVERSARIAL:
        said.append("no map is learned: examine the law, never the endpoint error")
    return said
