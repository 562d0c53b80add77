"""Samplers that choose their own steps: k-diffusion's dpm_adaptive, `sample_adaptive` of emitted files.

Of a grid such a run takes the two ends. Its rule is judged interval by interval, with tolerances out
of reach: every interval is then one step, and the steps are the grid's. The tolerances come into play
in probe/adaptive.py, which reads the embedded pair and the controller, and in real runs.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..probe.trace import Denoiser, Run

# of a local error: nothing that a judge's model answers comes near it
OUT_OF_REACH = 1e30
FIRST_STEPS = ("h_init", "first_step")


@dataclass(frozen=True)
class Adaptive:
    """A sampler with a tolerance.

    Args:
        between: between(denoiser, x, high, low, options) runs from one level to another.
        options: what the user gave.
        tolerances: names of its relative and its absolute tolerance.
        first: name of the option for its first step in λ, or "".
    """

    between: Callable[[Denoiser, Tensor, float, float, dict[str, Any]], Tensor]
    options: dict[str, Any]
    tolerances: tuple[str, str] = ("rtol", "atol")
    first: str = ""

    def rule(self) -> Run:
        """Its rule on a grid: one step an interval, whatever the error is."""
        relative, absolute = self.tolerances
        loose = {**self.options, relative: 0.0, absolute: OUT_OF_REACH}

        def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
            for high, low in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
                x = self._double(denoiser, x, high, low, loose)
            return x

        return run

    def whole(self, **tolerances: float) -> Run:
        """A run as people make it: from the first to the last level of the grid at its tolerances."""

        def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
            ends = float(sigmas[0]), float(sigmas[-1])
            return self.between(denoiser, x, *ends, {**self.options, **tolerances})

        return run

    def _double(
        self, denoiser: Denoiser, x: Tensor, high: float, low: float, options: dict[str, Any]
    ) -> Tensor:
        if low > 0 and self.first:
            options = {**options, self.first: 2 * abs(torch.tensor(high / low).log().item())}
        with double():
            return self.between(denoiser, x, high, low, options)


def adaptive(function: Callable[..., Any], options: dict[str, Any]) -> Adaptive | None:
    """A function with tolerances as an Adaptive; None where it has none."""
    known = list(inspect.signature(function).parameters)
    if not {"rtol", "atol"} <= set(known):
        return None
    first = next((name for name in FIRST_STEPS if name in known and name not in options), "")
    if known[2:4] == ["sigma_min", "sigma_max"]:

        def ends(
            denoiser: Denoiser, x: Tensor, high: float, low: float, given: dict[str, Any]
        ) -> Tensor:
            out: Tensor = function(denoiser, x, low, high, disable=True, **given)
            return out

        return Adaptive(ends, options, first=first)
    if known[:3] == ["model", "x", "sigmas"]:

        def pair(
            denoiser: Denoiser, x: Tensor, high: float, low: float, given: dict[str, Any]
        ) -> Tensor:
            levels = torch.tensor([high, low], dtype=torch.float64)
            out: Tensor = function(denoiser, x, levels, **given)
            return out

        return Adaptive(pair, options, first=first)
    return None


@contextlib.contextmanager
def double() -> Iterator[None]:
    """New tensors in float64: a host that makes its levels from numbers is judged without rounding."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
