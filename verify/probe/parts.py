"""Runs of samplers that call the model on some samples of a batch at a time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConductError
from .trace import Run
from .watch import Watched, answers, flat, levels_told, result_of

Array = NDArray[np.float64]

# of what the next sample's outputs leave unexplained of a state, what its own may leave
CLEAR = 0.3


def watch_in_parts(
    run: Run,
    sigmas: Array,
    *,
    shape: tuple[int, ...],
    batch: int,
    seed: int = 0,
    amplitude: float = 1.0,
) -> Watched:
    """As watch() in float64, for a sampler that calls the model on some samples of a batch at a time.

    Whose state a row is, is told by what explains it: the start value and the outputs of one sample.

    Raises:
        ConductError: "parts" where that is not clear; what watch() raises.
    """
    size, full = int(np.prod(shape)), (batch, *shape)
    start = answers(seed + 7919, 0, size, amplitude, batch) * float(sigmas[0])
    told: list[list[float]] = [[] for _ in range(batch)]
    seen: list[list[Array]] = [[] for _ in range(batch)]
    given: list[list[Array]] = [[] for _ in range(batch)]

    def denoiser(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        if tuple(x.shape[1:]) != full[1:] or not 0 < len(x) <= batch:
            raise ConductError(
                "shape", f"the model was given shape {tuple(x.shape)}; the state is {full}"
            )
        rows, levels, out = flat(x), levels_told(sigma, len(x)), []
        known = [np.stack([start[s], *given[s]]) for s in range(batch)]
        whose = [_sample_of(row, known) for row in rows]
        if len(set(whose)) < len(whose):
            raise ConductError("parts", "a sample is handed to the model twice in one call")
        for row, level, s in zip(rows, levels, whose, strict=True):
            made = answers(seed, len(given[s]), size, amplitude, batch)[s]
            seen[s].append(row)
            told[s].append(float(level))
            given[s].append(made)
            out.append(made)
        return torch.from_numpy(np.stack(out)).to(x.dtype).reshape(x.shape)

    x, levels = torch.from_numpy(start.copy()).reshape(full), torch.from_numpy(sigmas.copy())
    with torch.no_grad():
        out = run(denoiser, x, levels)
    if len({len(rows) for rows in seen}) > 1:
        raise ConductError("parts", "samples of one batch get different numbers of model calls")
    result = flat(result_of(out, full))
    return Watched(
        sigmas=sigmas,
        told=np.asarray(told).T,
        states=np.stack([np.stack([*seen[s], result[s]]) for s in range(batch)], axis=1),
        outputs=np.stack([np.reshape(given[s], (-1, size)) for s in range(batch)], axis=1),
        first=start,
        dtype=out.dtype,
        kept=(bool(np.array_equal(flat(x), start)), True, True),
    )


def _sample_of(row: Array, known: list[Array]) -> int:
    """The sample whose start value and outputs explain a state, and no other's do.

    Raises:
        ConductError: "parts".
    """
    left = []
    for basis in known:
        weights = np.linalg.lstsq(basis.T, row, rcond=None)[0]
        left.append(float(np.linalg.norm(weights @ basis - row)))
    best, next_best = np.argsort(left)[:2]
    if len(row) < 2 * max(len(basis) for basis in known) or left[best] > CLEAR * left[next_best]:
        raise ConductError("parts", "samples are handed to the model that are not told apart")
    return int(best)
