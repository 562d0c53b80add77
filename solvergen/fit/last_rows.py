"""The last rows of a table: the last alone by linear least squares, some by Gauss-Newton through the model.

The end is linear in the last row, so one run of a table on the starts gives it. A share of an earlier
row, and the level that this row leads to, move only the calls from there on. So the last three rows of
a table of 8 calls cost 30 calls for each start, where all its numbers cost 128.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .differences import calls as calls_of_differences
from .differences import differences
from .objective import Pairs
from .run import Scaled, outputs
from .shape import Numbers
from .squares import DAMPINGS, shortened
from .table import Array, Table

RIDGES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the last row
STEPS = 2  # of Gauss-Newton: a third gains little, and costs as much
FOLDS = 4

Fold = tuple[float, Array, Array]  # squares, half gradient, Gauss-Newton matrix


def last_row_of(table: Table, pairs: Pairs, sums: bool = False) -> tuple[Table, float, float]:
    """The last row by least squares, with the ridge that does best on starts held out.

    A quarter of the starts chooses the ridge, in four turns; all of them then give the row. With `sums`
    the sum of the row stays as it is.

    Returns:
        The table, the ridge, and the rms error on these pairs, in units of the deviation.
    """
    return least(table, pairs.scaled, *missing_of(table, pairs), sums)


def missing_of(table: Table, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """What a table's ends miss (b, d), and its outputs (N, b, d), of which a last row is made."""
    finals, found = outputs(pairs.scaled, table, pairs.starts)
    return (pairs.ends - finals).flatten(1).double(), found.flatten(2).double()


def least(
    table: Table, scaled: Scaled, missing: Tensor, columns: Tensor, sums: bool = False
) -> tuple[Table, float, float]:
    """The table whose last row gives what is missing (b, d) from its outputs (N, b, d).

    With `sums`, what one share gains the newest one loses.
    """
    if sums:
        columns = columns[:-1] - columns[-1]
    width = math.atan(table.levels[0]) - math.atan(scaled.end)
    fold = torch.arange(len(missing)) % FOLDS
    scores = []
    for ridge in RIDGES:
        total = 0.0
        for k in range(FOLDS):
            inside, outside = fold != k, fold == k
            step = _solved(columns[:, inside], missing[inside], ridge)
            rest = missing[outside] - torch.einsum("j,jbd->bd", step, columns[:, outside])
            total += float((rest**2).sum())
        scores.append(total)
    ridge = RIDGES[int(np.argmin(scores))]
    step = _solved(columns, missing, ridge)
    left = missing - torch.einsum("j,jbd->bd", step, columns)
    shares = [float(d / width) for d in step]
    if sums:
        shares.append(-sum(shares))
    row = tuple(share + d for share, d in zip(table.shares[-1], shares, strict=True))
    solved = Table(table.levels, (*table.shares[:-1], row)).rounded()
    return solved, ridge, float((left**2).mean().sqrt())


def span_bound(table: Table, pairs: Pairs) -> float:
    """The rms error, in units of the deviation, when every sample has its own best last row."""
    rest = beyond(*missing_of(table, pairs))
    return float((rest**2).mean().sqrt())


def beyond(missing: Tensor, columns: Tensor) -> Tensor:
    """What no weights of the outputs (N, b, d) give of what is missing (b, d), sample by sample."""
    by_sample = columns.permute(1, 2, 0)
    best = torch.linalg.lstsq(by_sample, missing[..., None]).solution
    return missing - (by_sample @ best)[..., 0]


def _solved(columns: Tensor, missing: Tensor, ridge: float) -> Tensor:
    """Weights (N) of the outputs (N, b, d) that give what is missing (b, d)."""
    flat = columns.flatten(1)
    normal = flat @ flat.T
    normal = normal + ridge * torch.diag(normal.diagonal())
    return torch.linalg.lstsq(normal, flat @ missing.flatten()).solution


def numbers_of_rows(numbers: Numbers, rows: int) -> list[int]:
    """The numbers that move only the last `rows` states, the end counted as one of them.

    >>> numbers_of_rows(Numbers(3), 1), numbers_of_rows(Numbers(3), 2)
    ([6, 7, 8], [2, 4, 5, 6, 7, 8])
    """
    first = numbers.calls + 1 - rows
    return [k for k in range(numbers.count) if numbers.first_call(k) >= first]


def last_rows_of(table: Table, pairs: Pairs, rows: int, sums: bool = False) -> tuple[Table, int]:
    """Fit the last rows of a table, with the levels that they lead to, by damped Gauss-Newton.

    The damping of a step is the one that does best, by the linear model, on the quarter of the starts
    that it has not seen, in turns; the last row is then solved again. A step that does not lower the
    error of the starts is made shorter, and taken back where that does not help.

    Args:
        table: where to begin.
        pairs: starts and ends; whole periods of conditioned ones stay together.
        rows: how many rows, the one that gives the end among them.
        sums: whether the shares of a row keep their sum of 1.

    Returns:
        The table, and the model calls that it took.
    """
    numbers = Numbers(table.calls, sums)
    free = numbers_of_rows(numbers, rows)
    parts = _folds(pairs)
    size, count, spent = pairs.ends.numel(), len(pairs.starts), 0
    best, error = table, math.inf
    for _ in range(STEPS if len(parts) > 1 else 0):
        values = numbers.of(best)
        folds = [
            differences(part.scaled, numbers, values, part.starts, part.ends, free)
            for part in parts
        ]
        spent += calls_of_differences(numbers, free) * count
        error = min(error, math.sqrt(sum(fold[0] for fold in folds) / size))
        step = _step(folds)
        for shorter in (1.0, 0.3):
            moved = values.copy()
            moved[free] += shorter * step
            tried, found = _solved_at(numbers, moved, pairs)
            spent += table.calls * count
            if tried is not None and found < error:
                best, error = tried, found
                break
        else:
            break
    return best, spent


def _folds(pairs: Pairs) -> list[Pairs]:
    """Up to four parts of the starts, in whole periods."""
    turns = pairs.turns(FOLDS)
    return [pairs.where(turns == k) for k in range(int(turns.max(initial=-1)) + 1)]


def _step(folds: Sequence[Fold]) -> Array:
    """The step of all folds, with the damping that serves each fold best when it is left out."""
    gradient = np.sum([fold[1] for fold in folds], axis=0)
    normal = np.sum([fold[2] for fold in folds], axis=0)

    def left(damping: float) -> float:
        total = 0.0
        for squares, slope, curve in folds:
            step = _newton(gradient - slope, normal - curve, damping)
            total += squares + 2 * float(slope @ step) + float(step @ curve @ step)
        return total

    return shortened(_newton(gradient, normal, min(DAMPINGS, key=left)))


def _newton(gradient: Array, normal: Array, damping: float) -> Array:
    damped = normal + damping * np.diag(np.diag(normal))
    return np.asarray(-np.linalg.lstsq(damped, gradient, rcond=None)[0])


def _solved_at(numbers: Numbers, values: Array, pairs: Pairs) -> tuple[Table | None, float]:
    """The table of these numbers with its last row solved, and the error; none where it cannot run."""
    try:
        table, _, error = last_row_of(numbers.table(values), pairs, numbers.sums)
    except (ValueError, OverflowError):  # levels that do not fall
        return None, math.inf
    return table, error
