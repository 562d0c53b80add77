"""A run as one CUDA graph: captured once, replayed without a launch per kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .runs import Sampler


class Captured:
    """A `Sampler` captured on a state's device, to be replayed on states of the same shape.

    Noise that torch draws is drawn anew by each replay. The model must be one that CUDA graphs
    allow: no host-device synchronisation, no shapes that depend on data.

    Args:
        sampler: what is captured.
        x: a state on a CUDA device; its values do not matter.
        extra: arguments of the model; replays see changes made to these tensors in place.

    Raises:
        ValueError: x is not on a CUDA device.
    """

    def __init__(self, sampler: Sampler, x: Tensor, **extra: Any) -> None:
        if not x.is_cuda:
            raise ValueError(f"CUDA graphs need a state on a CUDA device; found {x.device}")
        self.x = x.clone()
        with torch.no_grad():
            side = torch.cuda.Stream(x.device)
            side.wait_stream(torch.cuda.current_stream(x.device))
            with torch.cuda.stream(side):
                sampler(self.x, **extra)  # allocations and autotuning happen here
            torch.cuda.current_stream(x.device).wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.end = sampler(self.x, **extra)

    def __call__(self, x: Tensor) -> Tensor:
        """The final state from x.

        Raises:
            ValueError: x has another shape, dtype or device than the captured state.
        """
        check_captured(self.x, x)
        self.x.copy_(x)
        self.graph.replay()
        return self.end.clone()


def check_captured(captured: Tensor, x: Tensor) -> None:
    """Refuse a state that a captured run does not fit.

    Raises:
        ValueError: another shape, dtype or device.
    """
    for name in ("shape", "dtype", "device"):
        wanted, found = getattr(captured, name), getattr(x, name)
        if wanted != found:
            raise ValueError(
                f"this run was captured for a state of {name} {wanted}; found {found}. Capture "
                "another run for it"
            )
