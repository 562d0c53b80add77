"""A sampler compiled once: one graph for any number of steps, grid, batch and spatial size."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as shapes

from .runs import Sampler

LIMITS: tuple[type[Exception], ...] = tuple(
    getattr(torch._dynamo.exc, name)
    for name in ("FailOnRecompileLimitHit", "FailOnCacheLimitHit")  # since torch 2.6, before
    if hasattr(torch._dynamo.exc, name)
)
FAILURES: tuple[type[Exception], ...] = (RuntimeError, *LIMITS)


class Compiled(nn.Module):
    """A `Sampler` that runs on one compiled graph, and the same graph for every other run.

    Weights are inputs of the graph, so that runs of any length on any grid share it, and so do other
    samplers of the same emitted file and model. Batch and spatial sizes are symbols of the graph from
    the first run on; the number of channels is not. The model must be one that torch.compile takes
    whole and must not write to its buffers.

    In inference the graph is a model call with its update, which costs about what compiling one step
    does. With gradients, or with a `mode` or `options`, which may ask for a CUDA graph, it is the
    whole run, with the loop over steps in it.

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
        self.plan: Any = list(sampler.plan) if unrolled else sampler.plan
        self._run = torch.compile(sampler.integrate, fullgraph=True, **options)
        whole = getattr(self.plan, "tensors", None) is None or hasattr(self.plan, "first")
        self.by_calls = not (whole or {"mode", "options"} & set(options))
        kept = kept_values(sampler.plan.tensors[1]) if self.by_calls else ()
        self._call = torch.compile(_call(sampler.module, kept), fullgraph=True, **options)

    def forward(self, x: Tensor, **extra: Any) -> Tensor:
        """The final state from x at the first grid point."""
        if self.failed:
            return self.sampler(x, **extra)
        try:
            with one_graph():
                if self.by_calls and not torch.is_grad_enabled():
                    return self._called(x, extra)
                seen = any_size(x.view_as(x))  # marks are left on a tensor of our own
                found: Tensor = self._run(self.sampler.model, seen, self.plan, extra)
                return found
        except FAILURES as error:
            failed_compile(error, "the run")
            self.failed = True
            return self.sampler(x, **extra)

    def _called(self, x: Tensor, extra: dict[str, Any]) -> Tensor:
        """The final state, one call of the graph after the other."""
        self.sampler.module.check_state(x)
        levels, moves, *lifts = (part.to(x.device).unbind() for part in self.plan.tensors)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        states = [wide.clone(), *(torch.zeros_like(wide) for _ in moves[0][1:])]
        for state in states:
            any_size(state)
        for row in zip(levels, moves, *lifts, strict=True):
            states = self._call(self.sampler.model, states, row, x.dtype, extra)
        return states[0].to(x.dtype)


def any_size(x: Tensor) -> Tensor:
    """The state, marked: its batch and spatial sizes are symbols of a graph."""
    torch._dynamo.maybe_mark_dynamic(x, [0, *range(2, x.ndim)])
    return x


def kept_values(moves: Tensor) -> tuple[int | None, ...]:
    """For each state that a call returns, the value that it is in every row of a plan.

    A value that is only handed on, such as a model output that is remembered, needs no sum. Two states
    are never the same tensor. A run begins with zeros remembered, which the first row may leave out.

    moves: the matrices of a plan (see the emitted `stacked`).

    Returns:
        An index among x, the model output, what is remembered and the draws; None for a sum.
    """
    kept: list[int | None] = []
    for entry in moves.unbind(1):
        place = int(entry[-1].argmax())
        unit = torch.zeros_like(entry)
        unit[:, place] = 1
        if 2 <= place <= moves.shape[1]:
            unit[0, place] = entry[0, place]
        alone = bool((entry == unit).all()) and place not in kept
        kept.append(place if alone and kept else None)  # the next x is always made
    return tuple(kept)


@functools.cache
def _call(module: ModuleType, kept: tuple[int | None, ...]) -> Callable[..., list[Tensor]]:
    """A model call and its update: all states from a row of the matrices that a plan holds."""
    check = module.check

    def call(
        model: Callable[..., Tensor],
        states: list[Tensor],
        row: tuple[Tensor, ...],
        dtype: torch.dtype,
        extra: dict[str, Any],
    ) -> list[Tensor]:
        x, *memory = states
        level, moves, *lifts = row
        for keep, spread in (lift for part in lifts for lift in part.unbind()):
            x = keep * x + spread * torch.randn_like(x)
        seen = x.to(dtype)
        denoised = model(seen, level * x.new_ones([x.shape[0]]), **extra)
        check(seen, denoised)
        draws = moves.shape[1] - 2 - len(memory)
        drawn = [torch.randn_like(x) for _ in range(draws)]
        values = [x, denoised.to(x.dtype), *memory, *drawn]
        first, *others = values
        following = []
        for weights, place in zip(moves.unbind(), kept, strict=True):
            if place is not None:
                following.append(values[place])
                continue
            total = weights[0] * first
            for k, value in enumerate(others, 1):
                total = total + weights[k] * value
            following.append(total)
        return following

    return with_own_graphs(call)


def with_own_graphs(function: Any) -> Any:
    """The function with a code object of its own: dynamo keeps graphs by code object, eight at most."""
    made = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def one_graph() -> AbstractContextManager[None]:
    """A context in which a graph takes a batch of 1 for a batch like any other."""
    context: AbstractContextManager[None] = shapes.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    return context


def failed_compile(error: Exception, what: str) -> None:
    """Warn that compiling failed and why; other errors, those of the model, are raised again."""
    known = isinstance(error, (torch._dynamo.exc.TorchDynamoException, *LIMITS))
    if not known and "no compiled frames" not in str(error):
        raise error
    cause = " ".join(str(error).strip().split("\n\n")[0].split())
    warnings.warn(f"compiling {what} failed; eager mode goes on: {cause}", stacklevel=3)
