"""How a step is carried out: on one process, or by accelerate on several.

Gradients are averaged over processes after each backward pass, not by a wrapper around the module: a
loss here calls a student in several ways (forward-mode derivatives, an inner network), and a wrapper
silently leaves out of its synchronisation what does not pass through it.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from ..errors import SolvergenError
from ..installing import install


class Engine(Protocol):
    """What the loop asks of an engine."""

    rank: int
    world: int

    def backward(self, loss: Tensor, module: nn.Module) -> None:
        """Gradients of a module, averaged over processes."""

    def mean(self, value: Tensor) -> float:
        """Mean over processes of a number."""

    def wait(self) -> None:
        """Until all processes are here."""


class Alone:
    """One process."""

    rank, world = 0, 1

    def backward(self, loss: Tensor, module: nn.Module) -> None:
        """Plain backpropagation."""
        loss.backward()

    def mean(self, value: Tensor) -> float:
        """The number itself."""
        return float(value)

    def wait(self) -> None:
        """Nobody to wait for."""


class Accelerated:
    """Processes by accelerate (`accelerate launch … solvergen train … --accelerate`).

    Raises:
        SolvergenError: accelerate is not installed.
    """

    def __init__(self) -> None:
        try:
            from accelerate import Accelerator
        except ModuleNotFoundError:
            raise SolvergenError(f"--accelerate needs accelerate; {install('train')}") from None
        self.inner = Accelerator(cpu=True)
        self.rank, self.world = self.inner.process_index, self.inner.num_processes

    def backward(self, loss: Tensor, module: nn.Module) -> None:
        """All gradients in one message."""
        self.inner.backward(loss)
        held = [one.grad for one in module.parameters() if one.grad is not None]
        if self.world == 1 or not held:
            return
        flat = torch.cat([one.flatten() for one in held])
        made = self.inner.reduce(flat, reduction="mean")
        for one, part in zip(held, made.split([one.numel() for one in held]), strict=True):
            one.copy_(part.view_as(one))

    def mean(self, value: Tensor) -> float:
        """Mean over the processes."""
        return float(self.inner.reduce(value.detach().clone(), reduction="mean"))

    def wait(self) -> None:
        """A barrier."""
        self.inner.wait_for_everyone()
