"""What a real run of a scheduler is made from, and what it showed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from ..probe.watch import Layout, answers, combined

Array = NDArray[np.float64]

SHAPE = (8, 8, 8)
# what single precision and casts leave of a state that is linear
BENT = 1e-3


@dataclass(frozen=True)
class Case:
    """One run to make.

    Args:
        n: steps.
        seed: of the answers.
        dtype: of the state.
        amplitude: factor of start value and answers.
        begin: the step to begin at, as image-to-image pipelines do.
        batch, shape: of the state; a sample sees the same values in every batch.
        only: run this sample alone, in place of the first `batch`.
        layout: how the start value lies in memory; contiguous if None.
        second: make another run with the same scheduler first.
    """

    n: int
    seed: int = 0
    dtype: torch.dtype = torch.float32
    amplitude: float = 1.0
    begin: int = 0
    batch: int = 1
    shape: tuple[int, ...] = SHAPE
    only: int | None = None
    layout: Layout | None = None
    second: bool = False

    @property
    def samples(self) -> slice:
        """Which samples are run."""
        return slice(self.batch) if self.only is None else slice(self.only, self.only + 1)

    @property
    def full(self) -> tuple[int, ...]:
        """Shape of the state."""
        return (self.batch if self.only is None else 1, *self.shape)

    def values(self, seed: int, call: int, amplitude: float) -> Array:
        """(b, d) values for one call."""
        return answers(seed, call, int(np.prod(self.shape)), amplitude)[self.samples]


@dataclass(eq=False)
class RealRun:
    """One run of a scheduler.

    Args:
        times: (k,) as the network was told.
        told: (k,) sigma/alpha that these times had in training.
        states: (k+1, b, d) states before each call, and the result.
        basis: (1 + k + m, d) start value, outputs, draws of the first sample.
        draws: number of draws among the basis.
        start: (alpha, sigma) of the first of the basis, in the host's scaling.
        tables: the levels sigma/alpha that the scheduler lists, or empty.
        warned: what the host warned of.
        kept: tensors of the state's shape that the scheduler holds afterwards, by attribute.
        dtype: of the result.
    """

    times: Array
    told: Array
    states: Array
    basis: Array
    draws: int
    start: tuple[float, float]
    tables: Array
    warned: tuple[str, ...] = ()
    kept: dict[str, int] = field(default_factory=dict)
    dtype: str = "float32"

    @property
    def rows(self) -> Array:
        """(k+1, d) states of the first sample."""
        out: Array = self.states[:, 0]
        return out

    @property
    def finite(self) -> bool:
        """Whether every state and the result is finite."""
        return bool(np.isfinite(self.states).all())

    @cached_property
    def weights(self) -> tuple[Array, Array]:
        """(k+1, 1+k+m) weights of the rows, and what they leave unexplained, (k+1,)."""
        size = np.linalg.norm(self.basis, axis=1)
        size[size == 0] = 1.0
        table = combined((self.basis / size[:, None]).T, self.rows.T).T / size
        left = np.abs(table @ self.basis - self.rows).max(axis=1)
        return table, left / (np.abs(self.rows).max(axis=1) + 1.0)

    @property
    def linear(self) -> bool:
        """Whether every state is a combination of start value, outputs and draws."""
        return self.finite and bool(self.weights[1].max() <= BENT)

    @cached_property
    def stands(self) -> Array:
        """(k+1, 2) alpha and sigma at which each state stands, were every output the same constant."""
        table, _ = self.weights
        calls = table.shape[1] - 1 - self.draws
        alpha = table[:, 0] * self.start[0] + table[:, 1 : 1 + calls].sum(axis=1)
        noise = (table[:, 1 + calls :] ** 2).sum(axis=1)
        sigma = np.sqrt((table[:, 0] * self.start[1]) ** 2 + noise)
        return np.stack([alpha, sigma], axis=1)
