"""All runs of a frontier: shared among processes, kept by digest, so that a stopped study goes on."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..fitted import is_fitted, read_fitted
from ..problem import ProblemError
from ..shipped import names, shipped
from .runs import (
    Ground,
    Point,
    deterministic,
    ends_of,
    ground,
    levels_of,
    measured,
    sampler,
    span_bound,
    table_point,
)

FORMAT = "solvergen frontier 1"
PICTURED = 5  # calls at which samples are shown

Told = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        problems: by name.
        calls: model calls a sample.
        solvers: of the gallery; grids: of the published ones.
        added: files of emitted samplers and of calibrated tables, by name.
        starts: trajectories a problem.
        jobs: processes.
    """

    problems: Sequence[str]
    calls: Sequence[int]
    solvers: Sequence[str]
    grids: Sequence[str]
    added: dict[str, Path]
    starts: int = 24
    jobs: int = 1


def study(plan: Plan, cache: Path, tell: Told = lambda line: None) -> dict[str, Any]:
    """Run what is not known yet and return everything as plain data.

    Raises:
        ProblemError: a problem that cannot be used.
    """
    return {
        "format": FORMAT,
        "starts": plan.starts,
        "calls": list(plan.calls),
        "problems": [_problem(plan, name, cache, tell) for name in plan.problems],
        "solvers": {name: _facts(sampler(name)) for name in plan.solvers},
    }


def read(path: Path) -> dict[str, Any]:
    """The data of an earlier study.

    Raises:
        ProblemError: the file is damaged or something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise KeyError("format")
        return dict(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProblemError(f"{path}: not the data of a frontier ({error}); make it anew") from None


def joined(several: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Studies as one; numbers of calls that a problem was not run with have no row there."""
    return {
        "format": FORMAT,
        "starts": several[0]["starts"],
        "calls": sorted({calls for one in several for calls in one["calls"]}),
        "problems": [problem for one in several for problem in one["problems"]],
        "solvers": {name: facts for one in several for name, facts in one["solvers"].items()},
    }


def _problem(plan: Plan, name: str, cache: Path, tell: Told) -> dict[str, Any]:
    where = ground(name, plan.starts)
    kept = Kept(cache / f"{where.digest}.jsonl")
    tasks = []
    for solver in [*plan.solvers, *(n for n, p in plan.added.items() if not is_fitted(str(p)))]:
        path = plan.added.get(solver)
        wanted = [(grid, calls) for calls in plan.calls for grid in plan.grids]
        missing = [one for one in wanted if kept.get(solver, path, *one) is None]
        if missing:
            tasks.append((name, plan.starts, solver, path, missing))
    for done, (solver, path, results) in enumerate(_shared(tasks, plan.jobs), 1):
        for (grid, calls), result in results:
            kept.put(solver, path, grid, calls, result)
        tell(f"{name}: {done}/{len(tasks)} solvers, {solver}")
    points = [
        {"solver": solver, "grid": grid, "calls": calls, "error": float(f"{point.error:.4g}")}
        for solver in [*plan.solvers, *plan.added]
        for grid in plan.grids
        for calls in plan.calls
        if (point := kept.get(solver, plan.added.get(solver), grid, calls)) is not None
        and point.error is not None
    ]
    tables = []
    fitted = [(n, shipped(n).table, "family") for n in names()]
    fitted += [
        (n, read_fitted(p).table, "calibrated") for n, p in plan.added.items() if is_fitted(str(p))
    ]
    for solver, table, kind in fitted:
        reached = table_point(table, where)
        if table.calls in plan.calls and reached.error is not None:
            error = float(f"{reached.error:.4g}")
            tables.append({"solver": solver, "kind": kind, "calls": table.calls, "error": error})
        tell(f"{name}: {solver}")
    return {
        "name": name,
        "ran": len(plan.solvers),
        "digest": where.digest,
        "shape": list(where.problem.shape),
        "range": [where.problem.sigma_max, where.problem.sigma_min],
        "std": where.problem.std,
        "points": points,
        "unmet": _unmet(plan, kept),
        "tables": tables,
        "bounds": _bounds(where, points, plan),
    }


class Kept:
    """Results on one problem, a line each; a line that a stopped run left unfinished is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[tuple[str, str, str, int], Point] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    solver, sha, grid, calls, error, spent, reason = json.loads(line)
                except (ValueError, TypeError):
                    continue
                self.found[solver, sha, grid, calls] = Point(error, spent, reason)

    def get(self, solver: str, path: Path | None, grid: str, calls: int) -> Point | None:
        """A result, where the solver's file is still the one that gave it."""
        return self.found.get((solver, _sha(solver, path), grid, calls))

    def put(self, solver: str, path: Path | None, grid: str, calls: int, point: Point) -> None:
        """Keep a result."""
        sha = _sha(solver, path)
        self.found[solver, sha, grid, calls] = point
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            row = [solver, sha, grid, calls, point.error, point.calls, point.reason]
            stream.write(json.dumps(row) + "\n")


def _unmet(plan: Plan, kept: Kept) -> dict[str, str]:
    """Samplers without any result, and why."""
    found = {}
    for solver in [*plan.solvers, *(n for n, p in plan.added.items() if not is_fitted(str(p)))]:
        points = [
            kept.get(solver, plan.added.get(solver), grid, calls)
            for grid in plan.grids
            for calls in plan.calls
        ]
        if all(point is None or point.error is None for point in points):
            found[solver] = next((point.reason for point in points if point), "")
    return found


Task = tuple[str, int, str, Path | None, list[tuple[str, int]]]
Done = tuple[str, Path | None, list[tuple[tuple[str, int], Point]]]


def _shared(tasks: Sequence[Task], jobs: int) -> Iterator[Done]:
    """The results of tasks as they come, from several processes by joblib's backends."""
    if jobs == 1:
        yield from map(_run, tasks)
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_run)(task) for task in tasks
    )


def _run(task: Task) -> Done:
    name, starts, solver, path, wanted = task
    where = ground(name, starts)
    module = _module(solver, path)
    each = int(getattr(module, "EVALUATIONS_PER_STEP", 1))
    points = []
    for grid, calls in wanted:
        if calls % each:
            point = Point(None, calls, f"{each} calls a step")
        else:
            point = measured(module, where, levels_of(where, calls // each)[grid])
            if point.calls > calls:  # a start of its own costs more: not at this budget
                point = Point(None, point.calls, f"makes {point.calls} calls")
        points.append(((grid, calls), point))
    return solver, path, points


def _module(solver: str, path: Path | None) -> ModuleType:
    if path is None:
        return sampler(solver)
    from ...emitted import imported

    return imported(path)


def _sha(solver: str, path: Path | None) -> str:
    where = path or Path(str(importlib.util.find_spec(f"solvergen.generated.{solver}").origin))  # type: ignore[union-attr]
    return hashlib.sha256(where.read_bytes()).hexdigest()[:16]


def _bounds(where: Ground, points: Sequence[dict[str, Any]], plan: Plan) -> dict[str, Any]:
    """For every number of calls, the span bound of the pair that wins there."""
    found = {}
    for calls in plan.calls:
        best = min((p for p in points if p["calls"] == calls), key=_error, default=None)
        if best is None:
            continue
        module = _module(best["solver"], plan.added.get(best["solver"]))
        each = int(getattr(module, "EVALUATIONS_PER_STEP", 1))
        outputs: list[Any] = []
        ends, _ = ends_of(module, where, levels_of(where, calls // each)[best["grid"]], outputs)
        found[str(calls)] = float(f"{span_bound(where, ends, outputs):.4g}")
    return found


def _error(point: dict[str, Any]) -> float:
    return float(point["error"])


def _facts(module: ModuleType) -> dict[str, Any]:
    """Order on any grid with its own start and end, and the leading error constant."""
    order = getattr(module, "ORDER", {}).get("arbitrary", {}).get("own_end")
    leading = getattr(module, "LEADING_ERROR", {}).get("uniform", [])
    return {
        "order": None if order is None else order[0],
        "constant": " ".join(f"{one['coef']} {one['word']}" for one in leading[:2]),
        "integrand": getattr(module, "INTEGRAND", ""),
    }


def default_solvers() -> list[str]:
    """Every deterministic solver of the gallery."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    return deterministic()
