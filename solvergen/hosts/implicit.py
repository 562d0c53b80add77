"""Implicit steps solved: the stages of an emitted sampler iterated to a tolerance, beyond its sweeps.

An emitted implicit rule writes out as many sweeps of fixed-point iteration as its order needs. That is
enough where steps are short; where they are long, the stages are not solved and what the rule is known
for (that it is stable, symmetric, of its order in stiff problems) is lost. Here the states X of a step's
stages are solved for, X = F(X), where F goes through the rows of the last sweep with the model at X as the
sweep before, by Anderson's method (Walker and Ni 2011), for each sample by itself.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .first_output import require_calls
from .inversion import KEPT, mixed

Memory = tuple[Any, ...]


class NotSolved(UserWarning):
    """A step whose stages were not solved to the tolerance asked for."""


@torch.no_grad()
def sample_solved(
    module: ModuleType,
    model: Callable[..., Tensor],
    x: Tensor,
    sigmas: Any,
    alphas: Any = None,
    *,
    tolerance: float | None = None,
    max_calls: int = 100,
    extra_args: dict[str, Any] | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
    **parameters: Any,
) -> Tensor:
    """Sample with an implicit rule whose stages are solved in every step.

    Args:
        module: an emitted sampler with two sweeps or more (`gauss_legendre_2`, `radau_iia_3`, …).
        model: (x, sigma, **extra_args) -> denoised prediction.
        x: (batch, …) the state at the first level.
        sigmas, alphas: the grid, as for `sample`.
        tolerance: of |F(X) - X| / |X| in each sample, X the states of all stages; 50 roundings of the
            dtype of x, from 1e-8 to 1e-2, unless given.
        max_calls: most model calls of one step.
        extra_args: keyword arguments of the model.
        callback: called once a step with x, i, sigma, sigma_hat, denoised, residual and calls.
        parameters: of the solver.

    Returns:
        The state at the last level.

    Warns:
        NotSolved: a step has not come within the tolerance; its best iterate is used.

    Raises:
        ValueError: module is not an emitted sampler or has no sweeps to repeat, or max_calls does not suffice for one.

    >>> from solvergen.generated import gauss_legendre_2
    >>> gaussian = lambda x, sigma: x * 0.36 / (0.36 + sigma[0] ** 2)
    >>> x = sample_solved(gauss_legendre_2, gaussian, torch.ones(1, 1, dtype=torch.float64), [0.4, 0.1])
    >>> exact = ((0.36 + 0.1 ** 2) / (0.36 + 0.4 ** 2)) ** 0.5
    >>> abs(float(x) - exact) < 1e-4
    True
    """
    if not hasattr(module, "coefficients"):
        raise ValueError(f"module must be an emitted sampler, imported; found {module!r}")
    repeats = getattr(module, "REPEATS", None)
    if not repeats:
        raise ValueError(
            f"{module.NAME} has no stages to solve: it is explicit, or writes out one "
            "sweep; give its [tableau] `sweeps` of 2 or more"
        )
    module.check_state(x)
    require_calls(module, "sample_solved")
    (size,) = set(repeats.values())
    if not max_calls >= 1 + 2 * size:
        raise ValueError(
            f"max_calls must be at least {1 + 2 * size}, two sweeps of {size} and the call at n; found {max_calls}"
        )
    least = min(max(1e-8, 50 * torch.finfo(x.dtype).eps), 1e-2) if tolerance is None else tolerance
    if not least >= 0:
        raise ValueError(f"tolerance must be 0 or more; found {tolerance}")
    run = _Run(module, model, x.dtype, extra_args or {})
    state, memory = x.to(torch.promote_types(x.dtype, torch.float32)), ()
    plan = module.coefficients(sigmas, alphas, **parameters)
    for i, group in itertools.groupby(plan, key=lambda row: row[0]):
        rows, begin = list(group), state
        run.calls, residual = 0, 0.0
        first = run.call(rows[0], state)
        if rows[-1][1] in repeats:
            state, memory, residual = run.solved(rows, state, memory, first, least, max_calls)
            if not residual <= least:
                _report(i, rows, residual, least, run.calls)
        else:
            state, memory = run.plain(rows, state, memory, first)
        if callback is not None:
            level = {"sigma": rows[0][2], "sigma_hat": rows[0][2]}
            told = {"x": begin.to(x.dtype), "i": i, **level, "denoised": first.to(x.dtype)}
            callback({**told, "residual": residual, "calls": run.calls})
    return state.to(x.dtype)


class _Run:
    """The model and the rows of a sampler; `calls` counts those of a step, `total` those of the run."""

    def __init__(
        self,
        module: ModuleType,
        model: Callable[..., Tensor],
        dtype: torch.dtype,
        extra_args: dict[str, Any],
    ) -> None:
        self.module, self.model, self.dtype, self.extra_args = module, model, dtype, extra_args
        self.calls = self.total = 0

    def call(self, row: Any, state: Tensor) -> Tensor:
        """The model's output at a state."""
        seen = state.to(self.dtype)
        denoised = self.model(seen, row[2] * state.new_ones([len(state)]), **self.extra_args)
        self.module.check(seen, denoised, self.total)
        self.calls, self.total = self.calls + 1, self.total + 1
        return denoised.to(state.dtype)

    def plain(
        self, rows: Sequence[Any], state: Tensor, memory: Memory, first: Tensor
    ) -> tuple[Tensor, Memory]:
        """The state and the memory after rows with nothing to solve; `first` is the first one's output."""
        output = first
        for k, row in enumerate(rows):
            output = self.call(row, state) if k else first
            state, memory = self.module.step(row, state, output, memory)
        return state, memory

    def swept(
        self, rows: Sequence[Any], memory: Memory, states: Tensor, outputs: Tensor
    ) -> tuple[Tensor, Tensor, Memory]:
        """The states of the stages in the last sweep, where the sweeps before have these states and outputs;
        the state at the end of the step, and what it remembers."""
        size, found = states.shape[1], []
        for k, row in enumerate(rows):
            stage = k % size
            state, memory = self.module.step(row, states[:, stage], outputs[:, stage], memory)
            found.append(state)
        return torch.stack(found[-size - 1 : -1], dim=1), state, memory

    def solved(
        self,
        rows: Sequence[Any],
        state: Tensor,
        memory: Memory,
        first: Tensor,
        tolerance: float,
        max_calls: int,
    ) -> tuple[Tensor, Memory, float]:
        """The end of a step whose stages are solved for, its memory, and the worst residual that is left."""
        repeats = self.module.REPEATS
        size = repeats[rows[-1][1]]
        sweeps = len(repeats) // size + 1
        guess, memory = self.plain(rows[: -size * sweeps], state, memory, first)
        rows = rows[-size * sweeps :]
        states = torch.stack([guess] * size, dim=1)
        made: tuple[Tensor, Tensor] | None = None
        least = states.new_full([len(states)], math.inf)
        kept: list[Tensor] = []
        moves: list[Tensor] = []
        while self.calls + size <= max_calls:
            pairs = zip(rows[-size:], states.unbind(1), strict=True)
            outputs = torch.stack([self.call(row, one) for row, one in pairs], dim=1)
            move = (self.swept(rows, memory, states, outputs)[0] - states).flatten(1)
            tiny = torch.finfo(states.dtype).tiny
            residual = move.norm(dim=1) / states.flatten(1).norm(dim=1).clamp_min(tiny)
            better = _shaped(residual < least, states)
            best = made or (states, outputs)
            made = torch.where(better, states, best[0]), torch.where(better, outputs, best[1])
            least = torch.minimum(least, residual)
            if bool((least <= tolerance).all()):
                break
            kept, moves = [*kept[-KEPT:], states.flatten(1)], [*moves[-KEPT:], move]
            states = mixed(kept, moves).view(states.shape)
            stray = ~states.flatten(1).isfinite().all(dim=1)
            states = torch.where(_shaped(stray, states), made[0], states)
        assert made is not None
        _, end, memory = self.swept(rows, memory, *made)
        return end, memory, max(least.tolist(), default=0.0)  # no samples, nothing left to solve


def _shaped(flags: Tensor, like: Tensor) -> Tensor:
    """One flag a sample, to choose between states."""
    return flags.view(-1, *[1] * (like.ndim - 1))


def _report(i: int, rows: Sequence[Any], residual: float, tolerance: float, calls: int) -> None:
    """Say which step was not solved, how far from it, and what to do."""
    warnings.warn(
        f"step {i} (from sigma {float(rows[0][2]):.4g}) is not solved: its stages move by {residual:.1e} of "
        f"themselves after {calls} model calls, above {tolerance:.1e}; use a finer grid, a greater "
        "max_calls, or a greater tolerance",
        NotSolved,
        stacklevel=4,  # past sample_solved and torch's wrapper for it
    )
