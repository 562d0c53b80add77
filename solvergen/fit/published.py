"""The best published pair of sampler and grid on a problem: what a fitted solver must beat."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import grids
from .problem import Problem

# One call a step, deterministic, the field's best below 20 calls.
RULES = (
    "ddim",
    "dpmpp_2m",
    "dpmpp_3m_as_published",
    "ab2_lambda",
    "ipndm2",
    "ipndm3",
    "ipndm4",
    "deis_tab3",
    "unipc_2_bh2",
    "unipc_3_bh2",
    "unipc_3_bh2_noise",
    "flow_ab3",
)
# Those that win somewhere on images below ten calls; a quick look needs no more.
SHORT_RULES = ("gradient_estimation", "ipndm3", "ipndm4", "dpmpp_2m", "flow_ab2", "flow_ab3")
SHORT_GRIDS = ("ays_sd1", "karras", "arctan", "flow", "flow_2")


@dataclass(frozen=True)
class Pair:
    """A sampler of the gallery on a grid, and its rms error in the problem's own units."""

    rule: str
    grid: str
    error: float


def level_lists(problem: Problem, calls: int) -> dict[str, list[float]]:
    """The published grids of so many steps between the problem's ends, by name."""
    first, last, std = problem.sigma_max, problem.sigma_min, problem.std or 0.5
    found = {
        "uniform_lambda": grids.exponential(calls, last, first, zero=False),
        "karras": grids.karras(calls, last, first, zero=False),
        "arctan": [std * v for v in grids.kl_optimal(calls, last / std, first / std, zero=False)],
    }
    for name, c in (("flow", std), ("flow_2", 2 * std), ("flow_half", std / 2)):
        found[name] = _flow(calls, last, first, c)
    for model in ("sd1", "sdxl", "svd"):
        levels = grids.align_your_steps(calls, model, zero=False)
        found[f"ays_{model}"] = _spread(levels, last, first)
    return found


def best_published(
    problem: Problem,
    starts: Tensor,
    ends: Tensor,
    calls: int,
    *,
    rules: Sequence[str] = RULES,
    names: Sequence[str] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Pair]:
    """All pairs at so many calls, the best first.

    Args:
        rules: gallery samplers of one call a step.
        names: of the grids; all unless given.
        tell: takes a line of progress for every pair.
    """
    found = []
    lists = level_lists(problem, calls)
    chosen = {k: v for k, v in lists.items() if names is None or k in names}
    for rule in rules:
        sample = importlib.import_module(f"solvergen.generated.{rule}").sample
        for name, levels in chosen.items():
            error = _error(problem, sample, starts, ends, levels)
            found.append(Pair(rule, name, error))
            tell(f"{rule} on {name}: {error:.4g}")
    return sorted(found, key=lambda pair: pair.error)


def _error(
    problem: Problem,
    sample: Callable[..., Tensor],
    starts: Tensor,
    ends: Tensor,
    levels: list[float],
) -> float:
    def model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        return problem.denoiser(x, sigma.flatten()[0].to(x.dtype))

    grid = torch.tensor(levels, dtype=torch.float64)
    total = 0.0
    for x, y in _parts(problem, starts, ends):
        with torch.no_grad():
            total += float(((sample(model, x, grid) - y).double() ** 2).sum())
    error = math.sqrt(total / ends.numel())
    return error if math.isfinite(error) else math.inf


def _parts(problem: Problem, starts: Tensor, ends: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(starts.split(problem.chunk), ends.split(problem.chunk), strict=True)


def _spread(levels: Sequence[float], last: float, first: float) -> list[float]:
    """The same levels with other ends: an affine change of log σ, as users of other ranges do."""
    stretch = math.log(first / last) / math.log(levels[0] / levels[-1])
    inner = [first * (level / levels[0]) ** stretch for level in levels[1:-1]]
    return [first, *inner, last]


def _flow(n: int, last: float, first: float, c: float) -> list[float]:
    """Levels uniform in the flow time σ/(σ + c)."""
    begin, finish = first / (first + c), last / (last + c)
    times = [begin + (finish - begin) * i / n for i in range(1, n)]
    return [first, *(c * t / (1 - t) for t in times), last]
