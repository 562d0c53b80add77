"""The search for the family of own solvers: tables of N calls fitted on exact mixtures."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from .objective import MeanLog, Pairs
from .problem import Problem
from .problems.families import family
from .published import best_published
from .record import load_state, save_state
from .run import Scaled
from .shape import Numbers
from .shipped import KINDS, Shipped
from .squares import Loss, State, levenberg_marquardt
from .table import Array, Table, frozen, grown

# Of each held-out problem. Few are not enough: from 6 calls on, most of a squared error lies in the few
# starts that end in another component, and the ratio of two such errors is that of two counts.
STARTS = {"image": 128, "network": 64, "generic": 256}
# What a table is fitted on: parts of families, with how many problems and starts of each. Exact
# pictures alone teach weights that no network bears at all; `network` has more seen through imperfect ones.
FITTED = {
    "image": (("image", 32, 64), ("network", 4, 64)),
    "network": (("network", 24, 48), ("image", 8, 48)),
    "generic": (("generic", 60, 32),),
}
MANY = 8  # calls up to which all these starts are taken; above it a quarter of pictures' is
JUDGED = {
    "image": (("image", 8, 96),),
    "network": (("network", 8, 16), ("image", 8, 16)),
    "generic": (("generic", 12, 32),),
}
RIDGE = {"image": 0.01, "network": 0.1, "generic": 1e-3}
# Levels of the prototype, in deviations: where every search begins.
SEEDS: dict[str, dict[int, tuple[float, ...]]] = {
    "image": {5: (19.7, 6.7, 3.2, 1.29, 0.29), 8: (49, 15.8, 6.9, 4.5, 2.5, 1.3, 0.6, 0.15)},
    "generic": {5: (5.87, 2.31, 1.10, 0.60, 0.27)},
}

Told = Callable[[str], None]


@functools.cache
def pairs_of(name: str, part: str, count: int | None, starts: int, seed: int = 1) -> list[Pairs]:
    """Starts and exact ends of so many problems of a part of a family, or of all."""
    found = []
    for mixture in family(name, part, count):
        problem = mixture.problem()
        x = problem.noise(starts, seed)
        found.append(Pairs.of(mixture.name, Scaled(problem), x, _ends(problem, x)))
    return found


def search(
    kind: str,
    calls: int,
    *,
    neighbours: Sequence[Table] = (),
    count: int | None = None,
    iterations: int = 14,
    seed: int = 1,
    ridge: float | None = None,
    state: Path | None = None,
    tell: Told = lambda line: None,
) -> tuple[Table, dict[str, float]]:
    """Fit a table of so many calls.

    The fit begins from frozen Adams rules on several grids and from the tables of other numbers of
    calls, one of a call fewer also with a call put in; three steps on a quarter of the problems show
    which is best on the validation problems.

    Args:
        kind: "gauss", "gauss_mix" or "gauss_sum".
        calls: N.
        neighbours: fitted tables of other N, to begin from as well.
        count: training mixtures; all of the family's unless given.
        iterations: most steps of Levenberg-Marquardt.
        seed: of the starts, in training and validation.
        ridge: toward frozen Adams weights, the family's own unless given; more lowers the gain.
        state: file that keeps where the fit stands; an interrupted search goes on from it.
        tell: takes lines of progress.

    Returns:
        The table, rounded to 12 digits, and errors in training and validation (geometric means,
        in units of the deviation) with the seconds it took.
    """
    begun = time.monotonic()
    name, sums = KINDS[kind]
    ridge = RIDGE[name] if ridge is None else ridge
    numbers = Numbers(calls, sums)
    train = _gathered(FITTED[name], "train", count, seed, name != "generic" and calls > MANY)
    validation = _gathered(JUDGED[name], "validation", None, seed, False)
    judge = MeanLog(validation, numbers, 0.0, np.zeros(numbers.count)).loss
    belongs = {
        "kind": kind,
        "calls": calls,
        "problems": [pairs.name for pairs in train],
        "seed": seed,
        "ridge": ridge,
    }
    end = train[0].scaled.end
    keep = None if state is None else {k: state.with_suffix(f".{k}") for k in ("begin", "best")}
    if state is not None and keep is not None and state.is_file():
        begin = load_state(state, belongs)
        prior = numbers.of(
            frozen(numbers.table(load_state(keep["begin"], belongs).values).levels, end, 2)
        )
        kept = load_state(keep["best"], belongs)
        best = kept.values, kept.loss
        tell(f"{kind}_{calls}: goes on from step {begin.iteration}")
    else:
        starts = [*_seeds(name, calls, end), *neighbours]
        starts += [grown(near) for near in neighbours if near.calls == calls - 1]
        begin = _begin(train, judge, numbers, starts, end, ridge, tell)
        prior = numbers.of(frozen(numbers.table(begin.values).levels, end, 2))
        best = begin.values, judge(begin.values)
        if keep is not None:
            save_state(keep["begin"], begin, belongs)
            save_state(keep["best"], State(*best), belongs)
    objective = MeanLog(train, numbers, ridge, prior)
    if begin.iteration == 0:
        begin = State(begin.values, objective.loss(begin.values))
    for at in levenberg_marquardt(objective.model, objective.loss, begin, iterations=iterations):
        seen = judge(at.values)
        best = (at.values, seen) if seen < best[1] else best
        tell(f"{kind}_{calls}: step {at.iteration}, train {at.loss:.4f}, validation {seen:.4f}")
        if state is not None and keep is not None:
            save_state(keep["best"], State(*best), belongs)
            save_state(state, at, belongs)
    table = numbers.table(best[0]).rounded()
    trained = MeanLog(train, numbers, 0.0, prior).loss(best[0])
    return table, {
        "train": math.exp(trained),
        "validation": math.exp(best[1]),
        "gain": table.gain(),
        "seed": seed,
        "ridge": ridge,
        "seconds": time.monotonic() - begun,
    }


def compared(
    table: Table, name: str, part: str = "held-out", tell: Told = lambda line: None
) -> dict[str, float]:
    """Errors of a table over those of the best published pair, problem by problem.

    Returns:
        The geometric mean and the worst of the ratios, the share above one half, and the median
        error in units of the deviation.
    """
    ratios, errors = [], []
    for pairs in pairs_of(name, part, None, STARTS[name], 2):
        scaled = pairs.scaled
        x = scaled.outward(pairs.starts, scaled.start)
        ends = scaled.outward(pairs.ends, scaled.end)
        best = best_published(scaled.problem, x, ends, table.calls)[0]
        error = pairs.error(table)
        ratios.append(error * scaled.problem.std / best.error)  # both in the problem's own units
        errors.append(error)
        tell(f"{pairs.name}: {ratios[-1]:.3g} of {best.rule} on {best.grid}")
    logs = np.log(ratios)
    return {
        "mean": float(np.exp(logs.mean())),
        "worst": float(max(ratios)),
        "above_half": float(np.mean(np.asarray(ratios) > 0.5)),
        "error": float(np.median(errors)),
    }


def families(kind: str) -> list[str]:
    """The families of mixtures that a kind of table is for: its own, then the others it is fitted on."""
    own = KINDS[kind][0]
    return list(dict.fromkeys((own, *(part[0] for part in FITTED[own]))))


def made(
    kind: str, table: Table, fit: dict[str, float], held: dict[str, dict[str, float]]
) -> Shipped:
    """The result of a search as a table to ship; `held` by family."""
    name, sums = KINDS[kind]

    def short(found: dict[str, float]) -> dict[str, float]:
        return {k: float(f"{v:.3g}") for k, v in found.items() if k != "seconds"}

    figures = {"fit": short(fit)}
    for where, found in held.items():
        figures[f"{where}/held-out over the best published pair"] = short(found)
    return Shipped(f"{kind}_{table.calls}", name, sums, table, figures)


def _begin(
    train: Sequence[Pairs],
    judge: Loss,
    numbers: Numbers,
    starts: Sequence[Table],
    end: float,
    ridge: float,
    tell: Told,
) -> State:
    """The start whose first steps promise most, as it is: steps on few problems learn them by heart."""
    if len(starts) == 1:
        return State(numbers.of(starts[0]), math.inf)
    few = train[:: max(1, len(train) // 8)]
    found: list[tuple[float, Array]] = []
    for number, start in enumerate(starts):
        values = numbers.of(_resampled(start, numbers.calls, end))
        objective = MeanLog(few, numbers, ridge, values)
        begin = State(values, objective.loss(values))
        at = [*levenberg_marquardt(objective.model, objective.loss, begin, iterations=3)][-1]
        seen = min(judge(values), judge(at.values))
        tell(f"start {number + 1}/{len(starts)}: validation {seen:.4f}")
        found.append((seen, values))
    return State(min(found, key=lambda pair: pair[0])[1], math.inf)


def _seeds(name: str, calls: int, end: float) -> list[Table]:
    """Frozen Adams rules on the prototype's levels, and on levels uniform in flow time and in arctan σ."""
    seeds = SEEDS["generic" if name == "generic" else "image"]
    known = min(seeds, key=lambda have: abs(have - calls))
    first, last = seeds[known][0], seeds[known][-1]
    first, last = first * (calls / known) ** 0.5, last * (known / calls) ** 0.5
    grids = [_stretched(seeds[known], calls, first, last)]
    if name != "generic":  # levels transfer from one set of pictures to another
        return [frozen(grids[0], end, 2)]
    times = np.linspace(first / (first + 1), last / (last + 1), calls)
    grids.append([float(t / (1 - t)) for t in times])
    return [frozen(grid, end, 2) for grid in grids]


def _stretched(levels: Sequence[float], calls: int, first: float, last: float) -> list[float]:
    """Levels with other ends and another number, linear in the logarithm."""
    logs = np.log(np.asarray(levels))
    shape = np.interp(np.linspace(0, 1, calls), np.linspace(0, 1, len(levels)), logs)
    part = (shape - shape[0]) / (shape[-1] - shape[0])
    return [float(v) for v in np.exp(math.log(first) + part * math.log(last / first))]


def _resampled(table: Table, calls: int, end: float) -> Table:
    """A table as it is, or the levels of another number of calls with a frozen Adams rule."""
    if table.calls == calls:
        return table
    grow = (calls / table.calls) ** 0.5
    ends = table.levels[0] * grow, table.levels[-1] / grow
    return frozen(_stretched(table.levels, calls, *ends), end, 2)


def _gathered(
    parts: Sequence[tuple[str, int, int]], part: str, count: int | None, seed: int, quarter: bool
) -> list[Pairs]:
    """The problems of several families, of each at most `count`; with a quarter of their starts, or all."""
    found: list[Pairs] = []
    for name, most, starts in parts:
        of_each = starts // 4 if quarter else starts
        found += pairs_of(name, part, min(most, count or most), of_each, seed)
    return found


def _ends(problem: Problem, x: Tensor) -> Tensor:
    assert problem.teacher is not None
    return problem.teacher(x)
