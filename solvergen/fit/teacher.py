"""Exact ends for starts: given by the problem, or computed by many steps and checked by halving."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .problem import Problem, ProblemError, moments
from .record import load_tensors, save_tensors
from .run import Scaled, end
from .table import adams

Told = Callable[[str], None]
STEPS = 120
LEAST = 8  # steps of a teacher: half of them must still be a rule of order 2
PROBE = 8
MISSED = 10.0  # errors of a fine run, as halving its steps tells them: ends further away are others


@dataclass(frozen=True)
class Taught:
    """Starts and ends of a problem, in its own units.

    Args:
        problem: with its mean and deviation, estimated where the user gave none.
        starts, ends: (n, *shape).
        error: of the teacher, rms in units of the deviation, estimated from a run of half its steps
            (a third of the difference, for order 2); 0 where the problem knows its ends.
        calls: model calls spent; `seconds` likewise. Both 0 where the cache had them.
    """

    problem: Problem
    starts: Tensor
    ends: Tensor
    error: float
    calls: int
    seconds: float


def taught(
    problem: Problem,
    count: int,
    seed: int,
    *,
    steps: int = STEPS,
    cache: Path | None = None,
    tell: Told = lambda line: None,
) -> Taught:
    """Starts and ends of a problem, from the cache where it has them.

    Every chunk is kept by its own digest: an interrupted run goes on where it stopped, and more
    starts of the same seed add to those that are there.

    Args:
        problem: mean and deviation may be missing; they are estimated from the ends.
        count, seed: of the starts.
        steps: of the teacher, an Adams rule of order 2 on levels uniform in σ/(σ + s).
        cache: folder for the pairs; none are kept unless given.
        tell: takes lines of progress.

    Raises:
        ProblemError: too few steps, an end that is not finite or of another shape.
    """
    begun = time.monotonic()
    if steps < LEAST:
        raise ProblemError(f"--teacher-steps must be at least {LEAST}; found {steps}")
    starts = problem.noise(count, seed)
    working = problem if problem.std > 0 else problem.with_moments(torch.zeros(()), 1.0)
    probe = problem.probe()
    ends: list[Tensor] = []
    calls = 0
    for number, part in enumerate(starts.split(problem.chunk)):
        key = digest(problem, probe, part, steps)
        path = None if cache is None else cache / f"{key}.safetensors"
        kept = load_tensors(path).get("ends") if path is not None and path.is_file() else None
        if kept is None or kept.shape != part.shape:
            kept = _ends(working, part, steps)
            calls += len(part) * steps * (problem.teacher is None)
            if path is not None:
                save_tensors(path, {"ends": kept})
            tell(f"teacher: {min((number + 1) * problem.chunk, count)}/{count} trajectories")
        ends.append(kept)
    found = torch.cat(ends)
    if not torch.isfinite(found).all():
        told = (
            "teacher(starts) holds NaN or infinity"
            if problem.teacher is not None
            else f"the teacher's run of {steps} steps is not finite; check the denoiser between "
            "sigma_max and sigma_min"
        )
        raise ProblemError(f"problem {problem.name}: {told}")
    if problem.std <= 0:
        problem = problem.with_moments(*moments(found))
    error = 0.0
    if problem.teacher is None:
        error, spent = _halved(working, starts, found, steps, cache, probe)
        error /= 3 * problem.std
        calls += spent
    return Taught(problem, starts, found, error, calls, time.monotonic() - begun)


def apart(taught: Taught) -> float:
    """How far given ends are from a fine run of the model itself, rms on a few starts.

    0 where none are given, and where the run's own error explains the distance.
    """
    if taught.problem.teacher is None:
        return 0.0
    problem, some = replace(taught.problem, teacher=None), taught.starts[:PROBE]
    fine, coarse = (_ends(problem, some, steps) for steps in (STEPS, STEPS // 2))
    miss, error = (
        math.sqrt(float(((fine - other).double() ** 2).mean()))
        for other in (taught.ends[: len(some)], coarse)
    )
    return miss if miss > MISSED * error else 0.0


def digest(problem: Problem, probe: str, starts: Tensor, steps: int) -> str:
    """What pairs depend on: the model's answers, the levels, the starts, the teacher."""
    told = json.dumps([probe, list(problem.shape), problem.sigma_max, problem.sigma_min, steps])
    found = hashlib.sha256(told.encode())
    found.update(starts.double().numpy().tobytes())
    return found.hexdigest()[:24]


def _ends(problem: Problem, starts: Tensor, steps: int) -> Tensor:
    if problem.teacher is not None:
        found = problem.teacher(starts)
        if found.shape != starts.shape:
            raise ProblemError(
                f"problem {problem.name}: teacher(starts) must return the shape of starts, "
                f"{tuple(starts.shape)}; found {tuple(found.shape)}"
            )
        return found.to(starts.dtype)
    scaled = Scaled(problem)
    table = adams([float(v) for v in levels(scaled, steps)], scaled.end, 2)
    state = end(scaled, table, scaled.inward(starts, scaled.start))
    return scaled.outward(state, scaled.end)


def levels(scaled: Scaled, steps: int) -> np.ndarray:
    """Where the teacher calls: uniform in σ/(σ + s), the grid that its error likes best."""
    first, last = (v / (v + 1) for v in (scaled.start, scaled.end))
    times = np.linspace(first, last, steps + 1)[:-1]
    return np.asarray(times / (1 - times))


def _halved(
    problem: Problem, starts: Tensor, ends: Tensor, steps: int, cache: Path | None, probe: str
) -> tuple[float, int]:
    """The difference to half the steps on a few starts, and the calls that it took."""
    some = starts[:PROBE]
    key = digest(problem, probe, some, steps)
    path = None if cache is None else cache / f"{key}-half.safetensors"
    calls = 0
    if path is not None and path.is_file():
        coarse = load_tensors(path)["ends"]
    else:
        coarse = _ends(problem, some, steps // 2)
        calls = len(some) * (steps // 2)
        if path is not None:
            save_tensors(path, {"ends": coarse})
    return math.sqrt(float(((coarse - ends[: len(some)]).double() ** 2).mean())), calls
