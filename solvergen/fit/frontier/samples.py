"""Pictures of samples: the exact ends, those of the best published pair, and ours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from ..fitted import is_fitted, read_fitted
from ..run import Scaled, end
from ..shipped import shipped
from ..table import Table
from .page import best, drawn
from .runs import Ground, ends_of, levels_of, sampler

SAMPLES = 10


def picture(
    where: Ground, problem: dict[str, Any], calls: int, added: dict[str, Path]
) -> bytes | None:
    """A PNG of three rows at so many calls; None where the problem is not of pictures.

    Args:
        where: the problem.
        problem: its part of the study's data.
        added: calibrated files that were added, by name.
    """
    side = _side(where)
    ours = min((t for t in problem["tables"] if t["calls"] == calls), key=_error, default=None)
    pairs = [p for p in best(problem, calls) if p["solver"] not in added]
    if side is None or ours is None or not pairs:
        return None
    few = Ground(
        where.name,
        where.problem,
        where.starts[:SAMPLES],
        where.ends[:SAMPLES],
        where.alpha,
        where.floor,
        where.digest,
    )
    module = sampler(pairs[0]["solver"])
    levels = levels_of(few, calls // module.EVALUATIONS_PER_STEP)[pairs[0]["grid"]]
    published, _ = ends_of(module, few, levels)
    rows = [few.ends, published, _ours(few, ours["solver"], added)]
    return drawn([row.reshape(-1, *side).tolist() for row in rows])


def _ours(few: Ground, solver: str, added: dict[str, Path]) -> Tensor:
    calibrated = solver in added and is_fitted(str(added[solver]))
    table: Table = read_fitted(added[solver]).table if calibrated else shipped(solver).table
    scaled = Scaled(few.problem)
    return scaled.outward(end(scaled, table, few.pairs().starts), scaled.end)


def _side(where: Ground) -> tuple[int, int] | None:
    """Height and width of a grey picture; digits are rows of 64."""
    shape = where.problem.shape
    if len(shape) == 3 and shape[0] == 1:
        return shape[1], shape[2]
    if where.name.partition("@")[0] == "digits":
        return math.isqrt(shape[0]), math.isqrt(shape[0])
    return None


def _error(point: dict[str, Any]) -> float:
    return float(point["error"])
