"""Samplers that do not run on single pixels: judged on states of a shape that they take.

Weights are read from states of one pixel with many channels. A sampler that takes images of some
size alone, so many channels, or a video gets the same values in a state of its own shape, and its
states are read back from there.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import ANYTHING, ConductError
from ..probe.noise_sources import Source, draws_placed, replaced
from ..probe.trace import Denoiser, Run, count_calls

# values that lie apart where a constant should be
MIXED = 1e-9
# no number of channels that a model has
WIDTH = 5
NAMES = {0: "", 1: "n", 2: "hw", 3: "thw"}


@dataclass(frozen=True)
class Room:
    """A shape of states.

    Args:
        channels: how many; None for any number.
        sides: what the dimensions after the channels are multiples of.
    """

    channels: int | None
    sides: tuple[int, ...]

    def words(self) -> str:
        """The shape, such as "b x 4 x 8h x 8w"."""
        names = NAMES[len(self.sides)]
        parts = [f"{s}{n}" if s > 1 else n for s, n in zip(self.sides, names, strict=True)]
        return " x ".join(["b", str(self.channels or "c"), *parts])

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether states of this shape are of it."""
        fits = len(shape) == 2 + len(self.sides) and self.channels in (None, shape[1])
        return fits and all(n % s == 0 for n, s in zip(shape[2:], self.sides, strict=True))

    def placed(self, x: Tensor) -> Tensor:
        """A state of this shape with the values of another: alike in space, or one after the other."""
        flat = x.reshape(len(x), -1)
        if self.channels is None:
            spread = flat.reshape(*flat.shape, *[1] * len(self.sides))
            return spread.expand(*flat.shape, *self.sides).contiguous()
        size = self.channels * math.prod(self.sides)
        count = -(-flat.shape[1] // size)
        room = flat.new_zeros(len(x), count * size)
        room[:, : flat.shape[1]] = flat
        return room.reshape(len(x), self.channels, count * self.sides[0], *self.sides[1:])

    def read(self, state: Tensor, like: Tensor) -> Tensor:
        """The values that `placed` has put into a state, in the shape of `like`.

        Raises:
            ConductError: "shape", the state has another shape, or mixes values in space.
        """
        count = like[0].numel()
        if not isinstance(state, Tensor) or state.shape != self.placed(like).shape:
            found = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
            raise ConductError("shape", f"a state of shape {self.words()} became {found}")
        flat = state.reshape(len(state), -1)
        if self.channels is None:
            alike = state.reshape(len(state), count, -1)
            flat = alike[..., 0]
            gap = float((alike - flat[..., None]).abs().max())
            if gap > max(MIXED, 10 * torch.finfo(state.dtype).eps) * (1 + float(flat.abs().max())):
                raise ConductError(
                    "shape",
                    f"a state that is constant in space does not stay so (differences of {gap:.2g}): "
                    "what a pixel gets depends on where it lies",
                )
        return flat[:, :count].reshape(like.shape)

    def around(self, run: Run) -> Run:
        """The sampler on states of any shape."""

        def roomy(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
            if self.holds(tuple(x.shape)):
                return run(denoiser, x, sigmas)

            def model(state: Tensor, sigma: Tensor, **named: object) -> Tensor:
                return self.placed(denoiser(self.read(state, x), sigma, **named))

            start = self.placed(x)
            with draws_placed(self.placed, tuple(start.shape)):
                return self.read(run(model, start, sigmas), x)

        return roomy


# the least first
ROOMS = tuple(
    Room(channels, sides)
    for sides, channels in (
        *itertools.product([(2, 2)], [None]),
        *itertools.product([(8, 8)], [None]),
        *itertools.product([(1, 1), (8, 8)], [4, 3, 1, 16]),
        *itertools.product([(1,), (8,)], [None, 4, 3, 1]),
        *itertools.product([(1, 1, 1), (1, 8, 8), (4, 8, 8)], [None, 4, 16, 3]),
        ((), None),
        *itertools.product([(16, 16), (64, 64)], [None, 4, 3]),
    )
)


def room_for(run: Run) -> Room | None:
    """The first shape that a sampler runs on, where it does not on single pixels; None without one."""
    sigmas = np.exp(-0.1 * np.arange(4.0))
    for room in ROOMS:
        try:
            with replaced(Source((1, WIDTH, 1, 1))):
                if count_calls(room.around(run), sigmas, width=WIDTH):
                    return room
        except ANYTHING:
            continue
    return None
