"""A sampler compiled once: one graph for any number of steps, grid, batch and spatial size."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as shapes

from .runs import Sampler


class Compiled(nn.Module):
    """A `Sampler` whose whole run is one compiled graph, and the same graph for every other run.

    The loop over steps is part of the graph and the weights are its inputs, so that runs of any
    length on any grid share it, and so do other samplers of the same emitted file and model. Batch
    and spatial sizes are symbols of the graph from the first run on; the number of channels is not.
    The model must be one that torch.compile takes whole and must not write to its buffers.

    Where compiling fails, runs go on in eager mode after one warning that names the cause.

    Args:
        sampler: what is compiled.
        unrolled: write all steps out in the graph, for one CUDA graph of a whole run: it is made
            anew for each number of steps.
        options: for `torch.compile`: backend, mode, options.
    """

    def __init__(self, sampler: Sampler, *, unrolled: bool = False, **options: Any) -> None:
        super().__init__()
        self.sampler, self.failed = sampler, False
        self.plan = list(sampler.plan) if unrolled else sampler.plan
        self._run = torch.compile(sampler.integrate, fullgraph=True, **options)

    def forward(self, x: Tensor, **extra: Any) -> Tensor:
        """The final state from x at the first grid point."""
        if self.failed:
            return self.sampler(x, **extra)
        seen = x.view_as(x)  # marks are left on a tensor of our own
        torch._dynamo.maybe_mark_dynamic(seen, [0, *range(2, x.ndim)])
        try:
            # A batch of 1 is a batch like others.
            with shapes.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
                found: Tensor = self._run(self.sampler.model, seen, self.plan, extra)
                return found
        except torch._dynamo.exc.TorchDynamoException as error:
            self.failed = True
            cause = " ".join(str(error).strip().split("\n\n")[0].split())
            warnings.warn(
                f"compiling the run failed, so it goes on in eager mode: {cause}", stacklevel=2
            )
            return self.sampler(x, **extra)
