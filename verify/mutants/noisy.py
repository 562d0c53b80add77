"""What a mutant of a sampler with noise changes, measured beside the judge: on Gaussian targets.

Each draw is answered in a channel of its own, so that one run shows the weight of every draw in the
result, and with it the exact mean and covariance where the model is that of a Gaussian. The statement
that a mutant is held to is the file's WEAK_ORDER.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ANYTHING
from ..probe.noise_sources import Source, replaced
from ..probe.noise_trace import count
from ..probe.trace import Run, level_told
from ..problems import grids
from .mutations import Row

Array = NDArray[np.float64]

FINE = (96, 192)
# standard deviation of the data
DATA = 0.8
PARTS = ("mean", "covariance")
ROUNDING = 1e-12


@dataclass(frozen=True)
class Law:
    """Mean and covariance of the result on a Gaussian, with what they are at the last level.

    Args:
        mean: (2,) share of the start value, and the result where the data's mean is one.
        covariance: of the result.
        exact: what the covariance should be.
    """

    mean: Array
    covariance: float
    exact: float


def laws(run: Run) -> list[Law]:
    """The laws of the results on the grids of FINE."""
    return [_law(run, grids.rough(n)) for n in FINE]


def _law(run: Run, sigmas: Array) -> Law:
    width = 2 + count(run, sigmas)[1]
    table = np.eye(width)[2:]
    centre = torch.zeros(1, width, 1, 1, dtype=torch.float64)
    centre[:, 1] = 1.0

    def model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        share = DATA**2 / (DATA**2 + level_told(sigma) ** 2)
        return centre + share * (x - centre)

    first = torch.zeros_like(centre)
    first[:, 0] = float(np.hypot(DATA, sigmas[0]))
    first[:, 1] = 1.0
    with replaced(Source((1, width, 1, 1), table)):
        made = run(model, first, torch.from_numpy(sigmas.copy())).reshape(-1).numpy()
    return Law(
        made[:2].copy(), float(made[0] ** 2 + made[2:] @ made[2:]), DATA**2 + sigmas[-1] ** 2
    )


def effect(honest: list[Law], other: Run, stated: dict[str, Any]) -> tuple[str, float]:
    """What a mutant changes, by how its law parts from the honest one's.

    Args:
        honest: laws() of the honest sampler.
        stated: WEAK_ORDER of the file, on arbitrary grids.

    Returns:
        As judging.effect(); "order" where a part that is stated to be exact is not, too.
    """
    try:
        wrong = laws(other)
    except ANYTHING:  # a mutant may break in any way; then it has no order
        return "order", float("inf")
    gaps = {
        "mean": [float(np.abs(a.mean - b.mean).max()) for a, b in zip(honest, wrong, strict=True)],
        "covariance": [
            abs(a.covariance - b.covariance) for a, b in zip(honest, wrong, strict=True)
        ],
    }
    error = max(abs(honest[-1].covariance - honest[-1].exact), ROUNDING)
    shift = max(gap[-1] for gap in gaps.values()) / error
    found = {_kind(gaps[part], said) for part in PARTS if (said := stated.get(part)) is not None}
    return next(k for k in ("order", "constant", "higher", "equivalent") if k in found), shift


def _kind(gap: list[float], said: Any) -> str:
    if gap[1] < ROUNDING:
        return "equivalent"
    if said == "exact":
        return "order"
    order = said[0] if isinstance(said, (list, tuple)) else said
    slope = float(np.log2(gap[0] / gap[1]))
    if slope < order - 0.5:
        return "order"
    return "constant" if slope < order + 0.5 else "higher"


def changed_rows(one: list[Row], two: list[Row]) -> set[int]:
    """Steps in which two plans of one file differ."""
    if len(one) != len(two):
        return set()
    pairs = zip(one, two, strict=True)
    return {a[0] for a, b in pairs if _apart(list(_numbers(a[2:])), list(_numbers(b[2:])))}


def _apart(one: list[float], two: list[float]) -> bool:
    size = max(map(abs, one), default=0.0)
    pairs = itertools.zip_longest(one, two, fillvalue=np.inf)
    return any(abs(a - b) > 1e-9 * size for a, b in pairs)


def _numbers(part: Any) -> Iterator[float]:
    if isinstance(part, (list, tuple)):
        for p in part:
            yield from _numbers(p)
    else:
        yield float(part)
