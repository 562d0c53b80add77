"""One-hot tracing: the exact weights of a running sampler, with no access to its source.

A deterministic sampler built from linear combinations sends (start value, model outputs) linearly
to every state it forms. We run it once on a state with one channel per model call: in its k-th call
the model answers 1 in channel k and 0 elsewhere, and the start value is 1 in a channel of its own.
The state that the sampler hands to the model in call i then *is* row i of the tableau. Extra
channels carry random data, so that a sampler that is not linear gives itself away in the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConductError

Array = NDArray[np.float64]
Denoiser = Callable[..., Tensor]
# run(denoiser, x, sigmas) -> x at sigmas[-1]; scaling x = x0 + sigma eps
Run = Callable[[Denoiser, Tensor, Tensor], Tensor]

PROBES = 3
LOUD = 6.0
# what a level may lose where a sampler computes in single precision
SINGLE = 1e-6
# entries of a table of weights: some hundred megabytes
MOST = 5 * 10**7


@dataclass(frozen=True)
class Trace:
    """What one run did, in the data form and the scaling x = x0 + sigma eps.

    Args:
        sigmas: (n+1,) the grid that was given.
        nodes: (k+1,) noise level of each model call; last, the end of the grid.
        start: (k+1,) weight of the start value in the input of each call, and in the result.
        weights: (k+1, k) weights of the model outputs in the same.
        bend: largest relative deviation of the random channels from linearity.
        offset: largest value where start and outputs were all zero.
        unasked: 1 where the first output stands without a call, see `opened`; else 0.
    """

    sigmas: Array
    nodes: Array
    start: Array
    weights: Array
    bend: float
    offset: float
    unasked: int = 0

    @property
    def made(self) -> int:
        """Number of model calls that were made: all outputs but a first one without a call."""
        return self.calls - self.unasked

    @property
    def calls(self) -> int:
        """Number of model outputs in the run."""
        return int(self.weights.shape[1])

    @property
    def steps(self) -> int:
        """Number of intervals of the grid."""
        return len(self.sigmas) - 1

    def on_grid(self) -> NDArray[np.bool_]:
        """(n+1, k) whether each level of the grid is that of each model call, to single precision."""
        apart = float(np.abs(np.diff(np.log(self.sigmas))).min())
        near = max(1e-9, min(SINGLE, 0.01 * apart))
        out: NDArray[np.bool_] = np.isclose(
            self.nodes[None, :-1], self.sigmas[:, None], rtol=near, atol=0.0
        )
        return out

    @property
    def silent(self) -> bool:
        """Whether the model is called at the second level of the grid and not at the first."""
        at: NDArray[np.bool_] = np.asarray(self.on_grid().any(axis=1))
        return len(at) > 2 and bool(at[1]) and not bool(at[0])

    def levels(self) -> list[list[int]]:
        """Calls at each grid level, in order; at the end of the grid, the result itself."""
        rows = [np.flatnonzero(same).tolist() for same in self.on_grid()[:-1]]
        return [*rows, [self.calls]]

    def accepted(self, after: int = 0) -> list[int]:
        """For each grid level, the row that is the sampler's answer there, or -1.

        Args:
            after: how many calls at the same level follow the one on the answer. Usually none:
                Heun calls the model on its trial state, then on the accepted one. An implicit rule
                with a stage at the start of the step calls it again for that stage.
        """
        rows = [calls[-1 - after] if len(calls) > after else -1 for calls in self.levels()[:-1]]
        return [*rows, self.calls]


def count_calls(run: Run, sigmas: Array, width: int = 4) -> int:
    """Number of model calls that a run on this grid makes, on a state of so many channels."""
    calls = 0

    def denoiser(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        nonlocal calls
        calls += 1
        return 0.5 * x / (1 + level_told(sigma) ** 2)

    x = torch.ones(1, width, 1, 1, dtype=torch.float64)
    run(denoiser, x, torch.from_numpy(sigmas.copy()))
    return calls


def trace(run: Run, sigmas: Array, *, calls: int | None = None, seed: int = 0) -> Trace:
    """Recover every weight and node of one run.

    Args:
        run: the sampler, as run(denoiser, x, sigmas) in the scaling x = x0 + sigma eps.
        sigmas: (n+1,) float64, decreasing, last above zero.
        calls: number of model calls, when known; otherwise one run is spent on counting.

    Raises:
        ConductError: "shape", "dtype", "nan", "calls", "size" or "grid", when the run shows one.
    """
    return opened(recorded(run, sigmas, calls=calls, seed=seed))


def recorded(run: Run, sigmas: Array, *, calls: int | None = None, seed: int = 0) -> Trace:
    """As trace(), with rows for the calls alone."""
    known = calls is not None
    calls = count_calls(run, sigmas) if calls is None else calls
    if calls == 0:
        raise ConductError("calls", "the sampler never calls the model; nothing to audit")
    require_room(sigmas, calls)
    rng = np.random.default_rng(seed)
    answers = np.concatenate(
        [np.eye(calls), np.zeros((calls, 2)), LOUD * rng.standard_normal((calls, PROBES))], axis=1
    )
    first = np.concatenate(
        [np.zeros(calls), [1.0, 0.0], LOUD * rng.standard_normal(PROBES) * sigmas[0]]
    )
    rows, nodes = _recorded(run, sigmas, answers, first, known)
    weights, start = rows[:, :calls], rows[:, calls]
    said, told = rows[:, calls + 2 :], start[:, None] * first[calls + 2 :]
    told = told + weights @ answers[:, calls + 2 :]
    scale = np.abs(told).max() + LOUD
    return Trace(
        sigmas=sigmas,
        nodes=nodes,
        start=start,
        weights=weights,
        bend=float(np.abs(said - told).max() / scale),
        offset=float(np.abs(rows[:, calls + 1]).max()),
    )


def _recorded(
    run: Run, sigmas: Array, answers: Array, first: Array, known: bool
) -> tuple[Array, Array]:
    """record(), where a number of calls that was known from another grid is named as such."""
    try:
        return record(run, sigmas, answers, first)
    except ConductError as error:
        made = count_calls(run, sigmas) if known and error.kind == "calls" else len(answers)
        if made == len(answers):
            raise
        raise ConductError(
            "calls",
            f"{len(answers)} model calls on one grid of {len(sigmas) - 1} steps, {made} on another with "
            f"steps of about {np.abs(np.diff(np.log(sigmas))).mean():.2g} in lambda: steps that it takes "
            "without the model, or with more of it, depend on their size",
        ) from error


def opened(found: Trace) -> Trace:
    """With a row and an output that nothing weighs at the first level, where no call was made.

    A trace whose first call is at the first level, or after the second one, is left as it is.
    """
    if not found.silent:
        return found
    still = np.zeros((found.calls + 1, 1))
    weights = np.vstack([np.zeros(found.calls + 1), np.hstack([still, found.weights])])
    return replace(
        found,
        nodes=np.concatenate([found.sigmas[:1], found.nodes]),
        start=np.concatenate([[1.0], found.start]),
        weights=weights,
        unasked=1,
    )


def require_room(sigmas: Array, calls: int, draws: int = 0) -> None:
    """Refuse a run whose table of weights would not fit into memory, before it is made.

    Raises:
        ConductError: "size".
    """
    if calls * (calls + draws) <= MOST:
        return
    made = f"{calls} model calls" + (f" and {draws} draws" if draws else "")
    raise ConductError(
        "size",
        f"{made} on a grid of {len(sigmas) - 1} steps: too large to be traced (a table of "
        f"{calls * (calls + draws):.1e} weights; {MOST:.0e} fit); judge it with fewer calls a step",
    )


def record(run: Run, sigmas: Array, answers: Array, first: Array) -> tuple[Array, Array]:
    """Run once; rows of states as the model saw them, then the result; and the nodes.

    Raises:
        ConductError: "shape", "dtype", "nan" or "calls", when the run shows one.
    """
    seen: list[Tensor] = []
    nodes: list[float] = []
    shape = (1, len(first), 1, 1)
    # tensors of its own: a sampler may change in place what it is given
    table = [torch.from_numpy(row).reshape(shape) for row in answers.copy()]

    def denoiser(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        if len(seen) >= len(table):
            raise ConductError(
                "calls",
                f"the sampler called the model more than {len(table)} times, the number it made "
                "on the same grid a moment ago",
            )
        if x.shape != shape:
            raise ConductError(
                "shape", f"the model was given shape {tuple(x.shape)}; the state is {shape}"
            )
        seen.append(_values(x))
        nodes.append(level_told(sigma))
        return table[len(seen) - 1].to(x.dtype)

    x = torch.from_numpy(first.copy()).reshape(shape)
    out = run(denoiser, x, torch.from_numpy(sigmas.copy()))
    if not isinstance(out, Tensor) or tuple(out.shape) != shape:
        found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ConductError("shape", f"the result has shape {found}; the state is {shape}")
    if out.dtype != x.dtype:
        raise ConductError("dtype", f"the result is {out.dtype}; the state was {x.dtype}")
    if len(seen) != len(table):
        raise ConductError(
            "calls", f"{len(table)} model calls in one run, {len(seen)} in the next, same grid"
        )
    rows: Array = torch.stack([*seen, _values(out)]).reshape(-1, len(first)).numpy()
    if not np.all(np.isfinite(rows)):
        raise ConductError("nan", "a state or the result is NaN or infinite")
    return rows, np.asarray([*nodes, sigmas[-1]])


def _values(x: Tensor) -> Tensor:
    return x.detach().to("cpu", torch.float64, copy=True)


def level_told(sigma: Tensor | float) -> float:
    """The level that a sampler tells the model, as a tensor of any shape or as a number."""
    return float(sigma.flatten().tolist()[0] if isinstance(sigma, Tensor) else sigma)
