"""A sampler compiled once: one graph for any number of steps, grid, batch and spatial size."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
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
            with one_graph():
                found: Tensor = self._run(self.sampler.model, seen, self.plan, extra)
                return found
        except RuntimeError as error:
            failed_compile(error, "the run")
            self.failed = True
            return self.sampler(x, **extra)


def one_graph() -> AbstractContextManager[None]:
    """A context in which a graph takes a batch of 1 for a batch like any other."""
    context: AbstractContextManager[None] = shapes.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    return context


def failed_compile(error: RuntimeError, what: str) -> None:
    """Warn that compiling failed and why; other errors, those of the model, are raised again."""
    known = isinstance(error, torch._dynamo.exc.TorchDynamoException)
    if not known and "no compiled frames" not in str(error):
        raise error
    cause = " ".join(str(error).strip().split("\n\n")[0].split())
    warnings.warn(f"compiling {what} failed; eager mode goes on: {cause}", stacklevel=3)
