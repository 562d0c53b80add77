"""Runs watched as people run a sampler: any dtype, batch and shape, with outputs like a network's.

The model answers every call with numbers that look like nothing in particular: for each sample a
random rearrangement of one fixed set of values. No answer is one-hot, no two are parallel, and
whatever a sampler computes from an answer as a whole (its mean, norm or quantile) is the same for
all of them, so that a scalar which a sampler derives from its model stays frozen. The weights of a
linear sampler follow by least squares over the values of one sample; what they leave unexplained is
nonlinearity, or values that mix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConductError
from .trace import Run, Trace, opened

Array = NDArray[np.float64]
Layout = Callable[[Tensor], Tensor]

# samples that have answers of their own; a batch takes the first of them
SAMPLES = 8
# a sampler that calls more often than this in one run does not end
MOST_CALLS = 20_000
IMAGE = (4, 8, 8)
WIDTH = 512


@lru_cache(maxsize=4096)
def answers(seed: int, call: int, count: int, amplitude: float, samples: int = SAMPLES) -> Array:
    """(samples, count) values of one model call: rearrangements of one set, mean 0.1, spread 1.

    A sample has the same values however many there are.
    """
    table = np.broadcast_to(_set(seed, count), (samples, count))
    return amplitude * np.random.default_rng([seed, count, call]).permuted(table, axis=1)


@lru_cache(maxsize=64)
def _set(seed: int, count: int) -> Array:
    return np.random.default_rng([seed, count]).standard_normal(count) + 0.1


@dataclass(frozen=True, eq=False)
class Watched:
    """One run, as the model saw it.

    Args:
        sigmas: (n+1,) the grid that was given.
        told: (k, b) level told to the model, for each call and sample.
        states: (k+1, b, d) input of each call, and last the result.
        outputs: (k, b, d) answers of the model as the sampler received them.
        first: (b, d) start value.
        dtype: of the result.
        kept: whether x, sigmas and the model's outputs were left as they were given.
    """

    sigmas: Array
    told: Array
    states: Array
    outputs: Array
    first: Array
    dtype: torch.dtype
    kept: tuple[bool, bool, bool]

    @property
    def calls(self) -> int:
        """Number of model calls."""
        return len(self.told)

    @property
    def finite(self) -> bool:
        """Whether every state and the result is finite."""
        return bool(np.isfinite(self.states).all())

    @cached_property
    def solved(self) -> tuple[Array, Array]:
        """Weights (b, k+1, k+1) on start value and outputs, and what they miss, (b, k+1)."""
        batch, known = len(self.first), 1 + self.calls
        table, missed = np.zeros((batch, known, known)), np.zeros((batch, known))
        for s in range(batch):
            basis = np.concatenate([self.first[None, s], self.outputs[:, s]])
            size = np.linalg.norm(basis, axis=1)
            size[size == 0] = 1.0
            rows = self.states[:, s]
            table[s] = combined((basis / size[:, None]).T, rows.T).T / size
            left = np.abs(table[s] @ basis - rows).max(axis=1)
            missed[s] = left / (
                np.abs(rows).max(axis=1) + np.abs(self.outputs[:, s]).max(initial=1e-300)
            )
        return table, missed

    def weights(self, sample: int = 0) -> Array:
        """(k+1, k+1) weights of one sample: first column the start value, then the outputs."""
        out: Array = self.solved[0][sample]
        return out

    def ahead(self) -> float:
        """Largest weight on an output that had not been made yet."""
        rows = self.solved[0][:, :, 1:]
        late = np.triu(np.ones(rows.shape[1:], dtype=bool), k=0)
        return float(np.abs(rows[:, late]).max(initial=0.0))


def watch(
    run: Run,
    sigmas: Array,
    *,
    shape: tuple[int, ...] = IMAGE,
    batch: int = 1,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    amplitude: float = 1.0,
    layout: Layout | None = None,
    only: int | None = None,
    still: int = 0,
) -> Watched:
    """Watch one run.

    Args:
        run: run(denoiser, x, sigmas), scaling x = x0 + sigma eps.
        sigmas: (n+1,) float64, falling; the last may be zero.
        shape: of one sample.
        batch: number of samples; a sample sees the same values in every batch.
        dtype: of the state; levels are given in float32 at least, as hosts give them.
        seed: of the answers.
        amplitude: factor of start value and answers.
        layout: how the start value lies in memory; contiguous if None.
        only: run this sample alone, in place of the first `batch`.
        still: how many of the last values of a sample are answered with zero.

    Raises:
        ConductError: "shape" or "calls"; what the sampler raises passes through.
    """
    size = int(np.prod(shape))
    chosen = slice(batch) if only is None else slice(only, only + 1)
    full = (chosen.stop - (chosen.start or 0), *shape)
    told: list[list[float]] = []
    seen: list[Tensor] = []
    given: list[Array] = []
    answered: list[Tensor] = []

    def denoiser(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        if x.shape != full:
            if x.shape[1:] == full[1:] and len(x) < full[0]:
                raise ConductError(
                    "parts", f"the model is called on {len(x)} of {full[0]} samples at a time"
                )
            raise ConductError(
                "shape", f"the model was given shape {tuple(x.shape)}; the state is {full}"
            )
        if len(seen) >= MOST_CALLS:
            raise ConductError("calls", f"more than {MOST_CALLS} model calls in one run")
        seen.append(_copy(x))
        told.append(levels_told(sigma, full[0]))
        made = answers(seed, len(seen) - 1, size, amplitude, chosen.stop)[chosen]
        if still:
            made = made.copy()
            made[:, -still:] = 0.0
        out = torch.from_numpy(made.copy()).to(x.dtype).reshape(full)
        given.append(made if out.dtype == torch.float64 else flat(out))
        answered.append(out)
        return out

    start = answers(seed + 7919, 0, size, amplitude, chosen.stop)[chosen] * float(sigmas[0])
    x = torch.from_numpy(start.copy()).to(dtype).reshape(full)
    x = layout(x) if layout is not None else x
    levels = torch.from_numpy(sigmas.copy())
    levels = levels if dtype == torch.float64 else levels.float()
    kept = x.detach().clone(), levels.clone()
    with torch.no_grad():
        out = run(denoiser, x, levels)
    return Watched(
        sigmas=sigmas,
        told=np.asarray(told, dtype=np.float64).reshape(len(told), full[0]),
        states=torch.stack([*seen, _copy(result_of(out, full))]).flatten(2).numpy(),
        outputs=np.stack(given) if given else np.zeros((0, full[0], size)),
        first=flat(kept[0]),
        dtype=out.dtype,
        kept=(
            torch.equal(kept[0], x),
            torch.equal(kept[1], levels),
            _left_alone(answered, given),
        ),
    )


def levels_told(sigma: Tensor | float, batch: int) -> list[float]:
    """The levels that a call tells the model, one for each sample."""
    told = sigma.flatten().tolist() if isinstance(sigma, Tensor) else np.ravel(sigma).tolist()
    if len(told) not in (1, batch):
        raise ValueError(f"{len(told)} levels are told for a batch of {batch}")
    return told if len(told) == batch else told * batch


def result_of(out: object, full: tuple[int, ...]) -> Tensor:
    """What a run returned, refused where it is no batch of that shape."""
    if isinstance(out, Tensor) and tuple(out.shape) == full:
        return out
    found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
    raise ConductError("shape", f"the result has shape {found}; the state is {full}")


def trace_values(run: Run, sigmas: Array, *, calls: int | None = None, seed: int = 0) -> Trace:
    """As trace.trace(), read by least squares from answers that look like a network's.

    The number of calls need not be known: `calls` is not used. Scalars that a sampler derives from
    its model are frozen, so that a rule with such scalars has weights too.

    Raises:
        ConductError: "calls" when the model is never called, "nan", and what watch() raises.
    """
    # one width for all grids, so that what is derived from an answer as a whole is the same on all
    shape = (max(WIDTH, 2 * (calls or 0)), 1, 1)
    seen = watch(run, sigmas, shape=shape, seed=seed)
    if seen.calls == 0:
        raise ConductError("calls", "the sampler never calls the model; nothing to audit")
    if not seen.finite:
        raise ConductError("nan", "a state or the result is NaN or infinite")
    if seen.calls + 2 > shape[0]:
        return trace_values(run, sigmas, calls=seen.calls, seed=seed)
    table, missed = seen.solved
    found = Trace(
        sigmas=sigmas,
        nodes=np.asarray([*seen.told[:, 0], sigmas[-1]]),
        start=table[0, :, 0],
        weights=np.tril(table[0, :, 1:], -1),
        bend=float(missed.max()),
        offset=0.0,
    )
    return opened(found)


def _left_alone(answered: list[Tensor], given: list[Array]) -> bool:
    """Whether the model's outputs are still what was given."""
    if not given:
        return True
    now = torch.cat([o.detach().reshape(-1) for o in answered]).to("cpu", torch.float64)
    return np.array_equal(now.numpy(), np.concatenate(given, axis=None))


def _copy(x: Tensor) -> Tensor:
    return x.detach().to("cpu", torch.float64, copy=True)


def flat(x: Tensor) -> Array:
    """(b, d) values of a batch."""
    out: Array = x.detach().to("cpu", torch.float64).reshape(len(x), -1).numpy().copy()
    return out


def combined(basis: Array, rows: Array) -> Array:
    """Least-squares coefficients; columns of random values are far from dependent."""
    if basis.shape[0] < basis.shape[1]:
        return np.asarray(np.linalg.lstsq(basis, rows, rcond=None)[0])
    q, r = np.linalg.qr(basis)
    if np.abs(np.diag(r)).min() < 1e-8:
        return np.asarray(np.linalg.lstsq(basis, rows, rcond=None)[0])
    return np.asarray(np.linalg.solve(r, q.T @ rows))
