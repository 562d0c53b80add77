"""Maps of a guided field: for a class and a scale the flow is exact, though no law belongs to it."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from .check import Check, judged
from .flow import Denoise, shelved, sobol_starts
from .pointwise import Row, measures
from .problem import Problem, component
from .target import Target

COUNT = 512


def guided_field(problem: Problem, label: int, scale: float) -> Denoise:
    """D_u + scale (D_c - D_u); scale 1 is the class alone (latent consistency writes w = scale - 1)."""
    alone = component(problem.mixture, label)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        without = problem.mixture.denoise(x, 1.0, sigma)
        return without + scale * (alone.denoise(x, 1.0, sigma) - without)

    return denoise


def guided_rows(
    target: Target, problem: Problem, scales: tuple[float, ...]
) -> tuple[list[Row], list[Check]]:
    """Errors by class and scale, and whether the map answers to its scale at all."""
    low, top = problem.sigma_min, problem.sigma_max
    rows: list[Row] = []
    moved: dict[int, tuple[list[Tensor], list[Tensor]]] = {}
    for label in range(len(problem.mixture.weights)):
        start = sobol_starts(problem, COUNT, top, seed=label)
        labels = torch.full((COUNT,), label)
        found, exact = [], []
        for scale in scales:
            field, key = guided_field(problem, label, scale), f"guided {label} {scale}"
            made = shelved(problem, key, field, functools.partial(_same, start), (top, low), COUNT)
            truth = made.ends
            extra = {"label": labels}
            if "scale" in target.conditions:
                extra["scale"] = torch.full((COUNT,), scale, dtype=target.dtype)
            ends = target(start, top, **extra)
            found.append(ends)
            exact.append(truth)
            rows.append({"label": label, "scale": scale, **measures(problem, ends, truth)})
        moved[label] = found, exact
    return rows, [_answers(moved, scales)] if len(scales) > 1 else []


def _answers(
    moved: dict[int, tuple[list[Tensor], list[Tensor]]], scales: tuple[float, ...]
) -> Check:
    """The change of the ends from the first scale to the last, found over exact."""
    found = math.sqrt(sum(float((f[-1] - f[0]).square().mean()) for f, _ in moved.values()))
    exact = math.sqrt(sum(float((e[-1] - e[0]).square().mean()) for _, e in moved.values()))
    share = found / max(exact, 1e-12)
    return judged(
        "guidance shown",
        0.5 / max(share, 1e-12),
        1.0,
        f"from scale {scales[0]:g} to {scales[-1]:g} the ends move by {share:.0%} of what they should",
        remedy="the scale is drawn in training and not shown to the network; make it an input",
    )


def _same(value: Tensor) -> Tensor:
    return value


def by_scale(rows: list[Row]) -> list[Row]:
    """Root mean square over classes for each scale."""
    out = []
    for scale in sorted({row["scale"] for row in rows}):
        chosen = [row["rms"] ** 2 for row in rows if row["scale"] == scale]
        out.append({"scale": scale, "rms": math.sqrt(sum(chosen) / len(chosen))})
    return out
