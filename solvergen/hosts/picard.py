"""Many model calls of one run at a time: sliding Picard iteration, for any emitted sampler.

A run is a chain: every state follows from the ones before it and from model outputs there. Guess the
states of a window of calls, evaluate the model at all of them in one batch, go through the window with
these outputs, and repeat; the states that no longer move leave the window at its front and new ones
enter at its end. The first state of the window is always exact, so that every round settles one call
at least, and in smooth parts of a run many: fewer rounds than calls, each a larger batch.

Source: Shih et al. 2023, ParaDiGMS, arXiv:2305.16317, Algorithm 1; there for DDPM and DDIM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .first_output import require_calls
from .noise import NoiseSampler

Model = Callable[..., Tensor]
Memory = tuple[Any, ...]


@dataclass
class Rounds:
    """What a parallel run took.

    Args:
        calls: model calls of the run when one follows the other.
        rounds: batches that the model was called with, one after the other.
        evaluated: calls in all batches together, at least `calls`.
    """

    calls: int
    rounds: int = 0
    evaluated: int = 0


@dataclass
class _Call:
    """A call of the plan: its row, its draws, the state guessed there and the memory that goes in."""

    row: Any
    lifts: list[Tensor]
    drawn: dict[str, list[Tensor]]
    x: Tensor | None = None
    memory: Memory = field(default_factory=tuple)


def sample_parallel(
    module: ModuleType,
    model: Model,
    x: Tensor,
    sigmas: Any,
    alphas: Any = None,
    *,
    window: int = 16,
    tolerance: float = 1e-2,
    extra_args: dict[str, Any] | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
    noise_sampler: NoiseSampler | None = None,
    **parameters: float,
) -> tuple[Tensor, Rounds]:
    """Sample with up to `window` model calls of the run in one batch.

    Args:
        module: an emitted sampler, with or without noise.
        model: as for `sample`; it sees batches of up to window times that of x.
        x: (batch, …) the state at the first level.
        window: calls that are guessed together; 1 is the run as it is.
        tolerance: a state has settled when a round moves it by at most this times its σ (root mean
            square of the sample that moves most); 0 repeats until nothing moves, which gives the
            result of `sample` up to the rounding of batches.
        extra_args: of the model; tensors as long as the batch are repeated with it.
        callback: called once a round with x, i, sigma, sigma_hat of the call where the window begins.
        noise_sampler: as for `sample`; every draw is made once, in the order of the run.
        parameters: of the solver.

    Returns:
        The sample, and how many rounds it took.

    Raises:
        ValueError: a window below 1, a negative tolerance, or what `sample` refuses.
    """
    if window < 1 or not tolerance >= 0:
        raise ValueError(
            f"window must be at least 1 and tolerance at least 0; found {window} and {tolerance}"
        )
    module.check_state(x)
    require_calls(module, "sample_parallel")
    rows = list(module.coefficients(sigmas, alphas, **parameters))
    run = _Window(module, model, x.dtype, extra_args or {}, noise_sampler)
    found = Rounds(len(rows))
    with torch.no_grad():
        run.front = x.to(torch.promote_types(x.dtype, torch.float32))
        while rows or run.calls:
            taken = min(window - len(run.calls), len(rows))
            run.enter(rows[:taken])
            del rows[:taken]
            found.rounds += 1
            if callback is not None:
                first = run.calls[0].row
                level = {"sigma": first[2], "sigma_hat": first[2]}
                callback({"x": run.front.to(x.dtype), "i": first[0], **level})
            run.round(tolerance)
    found.evaluated = run.evaluated
    return run.front.to(x.dtype), found


class _Window:
    """The calls that are guessed together; `front` is the exact state of the first of them."""

    def __init__(
        self,
        module: ModuleType,
        model: Model,
        dtype: torch.dtype,
        extra_args: dict[str, Any],
        noise_sampler: NoiseSampler | None,
    ) -> None:
        self.module, self.model, self.dtype = module, model, dtype
        self.extra_args, self.noise_sampler = extra_args, noise_sampler
        self.calls: list[_Call] = []
        self.front: Tensor = torch.empty(0)
        self.memory: Memory = ()
        self.last: Tensor | None = None  # the newest output, which stands in for those to come
        self.evaluated = 0

    def draw(self, levels: Sequence[Tensor]) -> Tensor:
        if self.noise_sampler is None:
            return torch.randn_like(self.front)
        noise = self.noise_sampler(*levels)
        self.module.check_noise(self.front, noise, self.dtype, not self.evaluated)
        return noise.to(self.front)

    def enter(self, rows: Sequence[Any]) -> None:
        """New calls at the end of the window, each guessed with the newest output in its place."""
        for row in rows:
            lifts = [self.draw(levels) for _, _, *levels in (row[5] if row[5:] else ())]
            drawn = {"noise": [self.draw(levels) for levels in row[4]]} if row[4:] else {}
            call = _Call(row, lifts, drawn)
            x, memory = self.front, self.memory
            if self.calls:
                before = self.calls[-1]
                assert before.x is not None
                output = before.x if self.last is None else self.last
                x, memory = self.after(before, before.x, output, before.memory)
            call.x, call.memory = self.lifted(call, x), memory
            self.calls.append(call)

    def lifted(self, call: _Call, x: Tensor) -> Tensor:
        """The state with the noise that comes before a call."""
        lifts = call.row[5] if call.row[5:] else ()
        for (keep, spread, *_), noise in zip(lifts, call.lifts, strict=True):
            x = keep * x + spread * noise
        return x

    def after(
        self, call: _Call, x: Tensor, output: Tensor, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """The state and the memory after a call."""
        made: tuple[Tensor, Memory] = self.module.step(call.row, x, output, memory, **call.drawn)
        return made

    def outputs(self) -> list[Tensor]:
        """The model's outputs at all guesses, in one batch."""
        states = [call.x.to(self.dtype) for call in self.calls if call.x is not None]
        size, count = len(states[0]), len(states)
        ones = self.front.new_ones([size])
        levels = torch.cat([call.row[2] * ones for call in self.calls])
        extra = {
            name: torch.cat([value] * count)
            if isinstance(value, Tensor) and value.ndim and len(value) == size
            else value
            for name, value in self.extra_args.items()
        }
        seen = torch.cat(states)
        denoised = self.model(seen, levels, **extra)
        self.module.check(seen, denoised, self.evaluated)
        self.evaluated += count
        return list(denoised.to(self.front.dtype).split(size))

    def round(self, tolerance: float) -> None:
        """Evaluate, go through the window, and let go of the calls whose states have settled."""
        outputs, settled, moving = self.outputs(), 0, False
        x, memory = self.front, self.memory
        for call, output in zip(self.calls, outputs, strict=True):
            x = self.lifted(call, x)
            assert call.x is not None
            moving = moving or not _near(x, call.x, tolerance * float(call.row[2]))
            call.x, call.memory = x, memory
            x, memory = self.after(call, x, output, memory)
            if not moving:  # its output is that of its state, and so is what follows from it
                self.front, self.memory, settled = x, memory, settled + 1
        self.last = outputs[-1]
        del self.calls[:settled]


def _near(x: Tensor, guess: Tensor, distance: float) -> bool:
    """Whether no sample has moved by more than a distance, as root mean square."""
    moved = (x - guess).reshape(len(x), -1).square().mean(dim=1).sqrt()
    return bool((moved <= distance).all())
