"""Where a map leads against where the exact flow leads, start by start.

Starts come from one scrambled Sobol sequence, so the figures carry no sampling luck: over six
scrambles the rms of a teacher's error moved by 0.03 % of itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import ANYTHING, ConductError
from ..problems.mixture import GaussianMixture
from .check import REPORTED, SKIPPED, Check, judged
from .conduct import arguments
from .flow import Trajectories
from .problem import Problem
from .target import Target

JUMP, LOUD = 4.0, 0.2
Row = dict[str, Any]


def basins(mixture: GaussianMixture, ends: Tensor, low: float) -> Tensor:
    """(n,) index of the component to which each end belongs: the largest responsibility."""
    alpha = torch.ones(1, 1, dtype=ends.dtype)
    share, _, _ = mixture._posterior(ends, alpha, low * alpha)
    return share.argmax(1)


def measures(problem: Problem, found: Tensor, exact: Tensor) -> Row:
    """The error of ends, over sd and coordinates: rms, mean, quantiles, flips, rms without flips.

    Args:
        found, exact: (n, d) ends.

    Returns:
        rms, mean, median, q90, flips, rms_kept; all but flips relative to the data's sd.
    """
    gap = (found - exact).square().mean(1).sqrt() / problem.sd
    gap = torch.where(gap.isfinite(), gap, torch.full_like(gap, math.inf))
    flip = basins(problem.mixture, found.nan_to_num(1e30), problem.sigma_min) != basins(
        problem.mixture, exact, problem.sigma_min
    )
    kept = gap[~flip]
    return {
        "rms": float(gap.square().mean().sqrt()),
        "mean": float(gap.mean()),
        "median": float(gap.median()),
        "q90": float(gap.quantile(0.9)),
        "flips": float(flip.double().mean()),
        "rms_kept": float(kept.square().mean().sqrt()) if len(kept) else math.inf,
    }


def by_level(target: Target, problem: Problem, truth: Trajectories) -> list[Row]:
    """One row of measures a level, highest first, with how far the map strays from itself.

    `defect` is |f(x_t, t) - f(x_s, s)| for the next lower level s of the same exact trajectory. It
    sees a map's own noise, never its teacher's error.
    """
    low, rows, after = problem.sigma_min, [], truth.ends
    for level in reversed(truth.levels[:-1]):
        ends = target(truth.at(level), *arguments(target, level, low))
        defect = (ends - after).square().mean().sqrt() / problem.sd
        rows.append(
            {
                "level": level,
                "on_grid": _on_grid(target, level),
                **measures(problem, ends, truth.ends),
                "defect": float(defect),
            }
        )
        after = ends
    return rows[::-1]


def _on_grid(target: Target, level: float) -> bool:
    return any(math.isclose(level, one, rel_tol=1e-6) for one in target.levels)


def certificate(problem: Problem, rows: list[Row]) -> list[Check]:
    """The bound on the law that follows from the pointwise error at the highest level."""
    at_top = rows[0]["rms"] * problem.sd * math.sqrt(problem.dimension)
    return [
        Check(
            "certificate",
            REPORTED,
            f"the law of one step lies within W2 <= {at_top:.3g} of the data, by the coupling of "
            "equal starts",
            at_top,
        )
    ]


def level_jump(rows: list[Row]) -> list[Check]:
    """A level at which the map breaks while the next lower one is fine was never trained."""
    if len(rows) < 2:
        return []
    worst, where = 0.0, rows[0]["level"]
    for high, low in itertools.pairwise(rows):
        if high["rms"] > LOUD and (ratio := high["rms"] / max(low["rms"], 1e-9)) > worst:
            worst, where = ratio, high["level"]
    return [
        judged(
            "untrained level",
            worst,
            JUMP,
            f"the error at level {where:g} is {worst:.1f} times that of the next lower level"
            if worst
            else "no level stands out with an error above 20 % of sd",
            remedy="train that level too, or do not start there",
        )
    ]


def off_grid(rows: list[Row], target: Target) -> list[Check]:
    """Errors at the trained levels against those between."""
    if not target.levels:
        return [Check("off-grid", SKIPPED, "the map states no levels that it was trained on")]
    on = [row["rms"] for row in rows if row["on_grid"]]
    off = [row["rms"] for row in rows if not row["on_grid"]]
    if not on or not off:
        return []
    ratio = (sum(off) / len(off)) / max(sum(on) / len(on), 1e-12)
    return [
        Check(
            "off-grid",
            REPORTED,
            f"between its levels the error is {ratio:.2f} times that at them",
            ratio,
        )
    ]


def identity_of(target: Target, problem: Problem, truth: Trajectories) -> list[Check]:
    """Is it a map at all? A denoiser returns the mean of the data where a map returns data."""
    low = problem.sigma_min
    level = next((one for one in truth.levels if 0.9 < one < 4 * problem.sd + 1), truth.levels[0])
    x = truth.at(level)
    found = target(x, *arguments(target, level, low))
    denoised = problem.mixture.denoise(x, 1.0, level)
    to_mean = float((found - denoised).square().mean().sqrt())
    to_map = float((found - truth.ends).square().mean().sqrt())
    apart = float((denoised - truth.ends).square().mean().sqrt())
    share = to_map / max(to_map + to_mean, 1e-12)
    checks = [
        judged(
            "denoiser",
            share if to_mean < 0.5 * apart else 0.0,
            0.5,
            f"at level {level:g} the output is {to_mean / problem.sd:.1%} of sd away from the "
            f"denoiser and {to_map / problem.sd:.1%} from the map",
            remedy="a denoiser is not a one-step map; distil it, or call it many times",
        )
    ]
    top = truth.levels[0]
    out = target(truth.at(top), *arguments(target, top, low))
    kept = float(out.var(0).mean().sqrt()) / problem.sd
    checks.append(
        judged(
            "collapse",
            0.5 / max(kept, 1e-12),
            1.0,
            f"the ends from level {top:g} have {kept:.2f} of the data's spread",
            remedy="the map tends to a mean: noise redrawn between the two levels, or no map",
        )
    )
    return checks


def level_shift(
    target: Target,
    problem: Problem,
    truth: Trajectories,
    flow: Callable[[Tensor, Tensor], Tensor],
) -> list[Check]:
    """Does the map answer for a neighbouring level? Its error against the change with the level.

    Args:
        flow: the exact endpoint map f(x, sigma).
    """
    found = []
    for level in [one for one in truth.levels if 0.3 < one / problem.sd < 4][:2]:
        x, step = truth.at(level)[:512], 1e-3
        ones = torch.ones(len(x), dtype=torch.float64)
        slope = (flow(x, ones * level * math.exp(step)) - truth.ends[:512]) / step
        gap = target(x, *arguments(target, level, problem.sigma_min)) - truth.ends[:512]
        shift = float((gap * slope).sum() / slope.square().sum())
        left = float((gap - shift * slope).square().sum() / gap.square().sum().clamp_min(1e-300))
        found.append((shift, 1 - left, level))
    if not found:
        return []
    shift, share, level = min(found, key=lambda one: abs(one[0]))
    together = share > 0.6 and all(one[0] * shift > 0 for one in found)
    return [
        judged(
            "level shift",
            abs(shift) if together else 0.0,
            0.05,
            f"{share:.0%} of the error at level {level:g} is that of a map for level "
            f"{level * math.exp(shift):.3g}"
            if together
            else "the error is not that of a neighbouring level",
            remedy="the target was taken at the wrong level of the pair",
        )
    ]


def derivative_law(target: Target, problem: Problem, truth: Trajectories) -> list[Check]:
    """The rms of d f(x(t), t) / d log t along the exact flow, which is 0 for an exact map."""
    level = next((one for one in truth.levels if one < 2.5 * problem.sd), truth.levels[-2])
    x = truth.at(level)[:512].to(target.dtype)
    pace = x.double() - problem.mixture.denoise(x.double(), 1.0, level)
    sigma = torch.full((len(x),), level, dtype=target.dtype)

    def called(state: Tensor, at: Tensor) -> Tensor:
        out: Tensor = target.call(state, *_with_end(target, at, problem.sigma_min))
        return out

    try:
        moved = torch.func.jvp(called, (x, sigma), (pace.to(x), sigma))[1]
    except ANYTHING as error:
        first = str(error).splitlines()[0][:120] if str(error) else ""
        return [
            Check(
                "derivative law", SKIPPED, f"no forward derivative: {type(error).__name__}: {first}"
            )
        ]
    size = float(moved.detach().double().square().mean().sqrt()) / problem.sd
    return [
        Check(
            "derivative law",
            REPORTED,
            f"along the flow the map changes by {size:.2%} of sd for each unit of log t at level "
            f"{level:g}; an exact map does not change",
            size,
        )
    ]


def _with_end(target: Target, at: Tensor, low: float) -> tuple[Tensor, ...]:
    return (at, torch.full_like(at, low)) if target.form == "flow-map" else (at,)


def start_mismatch(problem: Problem, flow: Callable[[Tensor, Tensor], Tensor]) -> list[Check]:
    """What it costs to start from N(0, T^2) in place of the marginal at T.

    The optimal coupling of two nearly equal Gaussians shifts and stretches; its image under the
    exact flow says how far the law of an exact map lies from the data.
    """
    from .flow import sobol_starts
    from .problem import covariance, mean

    x = sobol_starts(problem, 512, problem.sigma_max)
    top, size = problem.sigma_max, problem.dimension
    total = covariance(problem.mixture) + top**2 * torch.eye(size, dtype=torch.float64)
    values, axes = torch.linalg.eigh(total)
    stretch = axes @ torch.diag(top / values.sqrt()) @ axes.T
    moved = (x - mean(problem.mixture)) @ stretch
    sigma = torch.full((len(x),), top, dtype=torch.float64)
    gap = float((flow(moved, sigma) - flow(x, sigma)).square().mean().sqrt()) / problem.sd
    return [
        Check(
            "start mismatch",
            REPORTED,
            f"starting from N(0, {top:g}^2) in place of the marginal moves the ends by {gap:.2%} "
            "of sd (an exact map's, too)",
            gap,
        )
    ]


def require_finite(rows: list[Row]) -> None:
    """Refuse to go on with a map that returns no numbers.

    Raises:
        ConductError: an error is not finite.
    """
    for row in rows:
        if not math.isfinite(row["rms"]):
            raise ConductError("nan", f"the map returns NaN or infinity at level {row['level']:g}")
