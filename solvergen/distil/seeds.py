"""Random numbers as a function of (seed, purpose, step, global sample): no state to save.

Every batch is drawn whole and each process takes its slice, so two processes see what one sees.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


class Draws:
    """The draws of one training step.

    Args:
        seed: of the run.
        step: the iteration; resuming at it gives the same numbers.
        rank, world: this process and how many there are.

    >>> torch.equal(Draws(0, 3).normal((4, 2), "noise"), Draws(0, 3).normal((4, 2), "noise"))
    True
    >>> whole = Draws(0, 3).uniform(4, "level")
    >>> torch.equal(whole[2:], Draws(0, 3, 1, 2).uniform(2, "level"))
    True
    """

    def __init__(self, seed: int, step: int, rank: int = 0, world: int = 1) -> None:
        self.seed, self.step, self.rank, self.world = seed, step, rank, world

    def generator(self, purpose: str) -> torch.Generator:
        """A generator of its own for a purpose of this step."""
        text = f"{self.seed} {purpose} {self.step}".encode()
        number = int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
        return torch.Generator().manual_seed(number)

    def _mine(self, whole: Tensor) -> Tensor:
        if self.world == 1:
            return whole
        count = len(whole) // self.world
        return whole[self.rank * count : (self.rank + 1) * count]

    def normal(self, shape: tuple[int, ...], purpose: str) -> Tensor:
        """Standard normal; shape is that of this process's part."""
        whole = (shape[0] * self.world, *shape[1:])
        return self._mine(torch.randn(whole, generator=self.generator(purpose)))

    def uniform(self, count: int, purpose: str) -> Tensor:
        """Uniform in [0, 1)."""
        return self._mine(torch.rand(count * self.world, generator=self.generator(purpose)))

    def integers(self, high: int, count: int, purpose: str) -> Tensor:
        """Integers below `high`."""
        made = torch.randint(high, (count * self.world,), generator=self.generator(purpose))
        return self._mine(made)

    def weighted(self, weights: Tensor, count: int, purpose: str) -> Tensor:
        """Indices with given weights."""
        whole = torch.multinomial(
            weights, count * self.world, replacement=True, generator=self.generator(purpose)
        )
        return self._mine(whole)
