"""Runs whose updates are one compiled kernel each, around a model that runs as it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .compiled import FAILURES, failed_compile, one_graph, with_own_graphs
from .first_output import require_calls
from .memory import recycler
from .runs import Model, Sampler

Memory = tuple[Tensor, ...]


class Fused(Sampler):
    """A `Sampler` whose steps are compiled, not its model: one kernel a step, in one pass.

    States are flat to the kernel, so that its graphs, one for each kind of row and one more for the
    first, serve every shape, batch and grid. Halves are updated with float32 arithmetic inside: the
    state is kept in float32 and updated where it is, the model's outputs are kept as they came, and the
    same kernel writes the half that the model sees next. For inference with solvers without noise.

    Where compiling fails, runs go on in eager mode after one warning that names the cause: halves on
    a CPU block by block.

    Args:
        module, model, sigmas, alphas, parameters: as for `Sampler`.
        options: for `torch.compile`: backend, mode, options.

    Raises:
        ValueError: the solver draws noise, its first output needs no call, or a state is not a dense
            tensor of floating-point numbers with a batch dimension.
    """

    def __init__(
        self,
        module: ModuleType,
        model: Model,
        sigmas: Any,
        alphas: Any = None,
        *,
        options: dict[str, Any] | None = None,
        **parameters: float,
    ) -> None:
        require_calls(module, "Fused")
        super().__init__(module, model, sigmas, alphas, **parameters)
        if self.stochastic:
            raise ValueError(f"{module.NAME} draws noise; use Sampler or Compiled")
        self.check, self.failed = module.check, False
        self.options = options or {}
        self.updates: dict[tuple[Any, torch.dtype], Callable[..., Memory]] = {}

    def _updated(self, kind: Any, dtype: torch.dtype) -> Callable[..., Memory]:
        """The compiled update of a kind of row, for states of a dtype."""
        if (kind, dtype) not in self.updates:
            update = _update(self.module.step, kind, dtype)
            self.updates[kind, dtype] = torch.compile(
                update, dynamic=True, fullgraph=True, **self.options
            )
        return self.updates[kind, dtype]

    @torch.no_grad()
    def forward(self, x: Tensor, noise_sampler: Any = None, **extra: Any) -> Tensor:
        """The final state from x at the first grid point."""
        if self.failed:
            return super().forward(x, noise_sampler, **extra)
        self.module.check_state(x)
        seen: Tensor = x
        memory: Memory = ()
        wide = torch.promote_types(x.dtype, torch.float32)
        state, ones = x.reshape(-1).to(wide), x.new_ones([x.shape[0]])
        empty = recycler() if x.is_cpu and x.numel() >= 2**20 else torch.empty_like
        for number, row in enumerate(self.plan):
            denoised = self.model(seen, row[2] * ones, **extra)
            if number == 0:
                self.check(seen, denoised)
            half = x.dtype != wide  # the state is then our own, and no model sees it
            target = state if half else empty(state)
            shown = empty(state, dtype=x.dtype) if half else target
            given = row, state, denoised.reshape(-1), memory, target, shown
            try:
                with one_graph():
                    memory = self._updated(row[1], x.dtype)(*given)
            except FAILURES as error:
                failed_compile(error, "steps")
                self.failed = True
                return super().forward(x, noise_sampler, **extra)
            state, seen = target, shown.view(x.shape)
            del target, shown, given
        return seen


@functools.cache
def _update(step: Callable[..., Any], kind: Any, dtype: torch.dtype) -> Callable[..., Memory]:
    """Writes the next state, and the same for the model; returns what is remembered as it came.

    Every step, kind of row and dtype has graphs of its own, so that many of them reach no limit.

    The target may be the state itself: a step that remembers it gets a copy.
    """

    def update(
        row: Any, state: Tensor, denoised: Tensor, memory: Memory, target: Tensor, shown: Tensor
    ) -> Memory:
        widened = [v.to(state.dtype) for v in (denoised, *memory)]
        following, after = step(row, state, widened[0], tuple(widened[1:]))
        after = tuple(v.clone() if v is state else v for v in after)
        target.copy_(following)
        if shown is not target:
            shown.copy_(following)
        pairs = list(zip(widened, (denoised, *memory), strict=True))
        return tuple(next((old for new, old in pairs if v is new), v) for v in after)

    made: Callable[..., Memory] = with_own_graphs(update)
    return made
