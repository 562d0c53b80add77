"""Runs in halves on a CPU, a block that fits into its cache after the other: one pass over memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .memory import Recycler

BLOCK = 2**17  # entries: half a megabyte of float32
LARGE = 2**21  # entries from which on a run goes block by block: 4 MB of halves

Memory = tuple[Tensor, ...]
Step = Callable[..., tuple[Tensor, Memory]]


def goes_by_blocks(module: ModuleType, x: Tensor) -> bool:
    """Whether a run of this state is one for `run_by_blocks`.

    It is for large halves on a CPU, solvers without noise and inference; elsewhere torch's kernels
    for whole states are as fast, or memory is not what a step waits for.
    """
    half = x.is_cpu and x.dtype in (torch.bfloat16, torch.float16) and x.numel() >= LARGE
    busy = torch.is_grad_enabled() or torch.compiler.is_compiling() or hasattr(module, "NOISE")
    return half and not busy and not hasattr(module, "FIRST")


def run_by_blocks(
    module: ModuleType, model: Callable[..., Tensor], plan: Any, x: Tensor, extra: dict[str, Any]
) -> Tensor:
    """What `integrate` gives for a large state in halves, its updates block by block.

    The state is kept in float32 and updated where it is; of each block the half that the model sees
    next is written while it is in the cache.

    Raises:
        ValueError: as `integrate` does.
    """
    module.check_state(x)
    update, empty = by_blocks(module.step), Recycler()
    memory: Memory = ()
    seen, ones = x.contiguous(), x.new_ones([x.shape[0]], dtype=torch.float32)
    state = seen.view(-1).to(torch.float32)
    for number, row in enumerate(plan):
        denoised = model(seen, row[2] * ones, **extra)
        alike = torch.is_tensor(denoised) and denoised.dtype == x.dtype and denoised.is_contiguous()
        if not (alike and number and denoised.shape == x.shape):
            module.check(seen, denoised, number)
        following = empty(seen)
        memory, total = update(row, state, denoised.reshape(-1), memory, following.view(-1))
        if not math.isfinite(total):
            module.check(seen, denoised, number)
        seen = following
        del denoised, following
    return seen.view(x.shape)


def by_blocks(step: Step, size: int = BLOCK) -> Callable[..., tuple[Memory, float]]:
    """An update of flat states by an emitted `step`, a block after the other.

    Returns:
        ``update(row, state, denoised, memory, shown)``, which writes the next state over the state
        and its rounded values to ``shown``. It returns what is remembered, model outputs as they
        came, and the sum of the model output.
    """

    empty = Recycler()

    def widen(value: Tensor, like: Tensor) -> Tensor:
        return value if value.dtype == like.dtype else empty(like).copy_(value)

    def update(
        row: Any, state: Tensor, denoised: Tensor, memory: Memory, shown: Tensor
    ) -> tuple[Memory, float]:
        given, kept, total = (denoised, *memory), [], 0.0
        for begin in range(0, state.numel(), size):
            part = slice(begin, begin + size)
            x = state[part]
            widened = [widen(v[part], x) for v in given]
            total += widened[0].sum().item()
            following, after = step(row, x, widened[0], tuple(widened[1:]), empty=empty)
            if not begin:  # outputs are kept as they came, what is made here in memory of its own
                places = [[new is v for new in widened] for v in after]
                kept = [
                    given[same.index(True)] if any(same) else torch.empty_like(state)
                    for same in places
                ]
            for same, whole, value in zip(places, kept, after, strict=True):
                if not any(same):
                    whole[part] = value
            x.copy_(following)
            shown[part].copy_(following)
        return tuple(kept), total

    return update
