"""One call from a problem to a calibrated solver: the teacher, the fit, the file, the record."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import SolvergenError
from ..writing import write
from .calibrate import ROWS, Calibration, Scale, Stage
from .calibrate import calibrate as fitted
from .file import INLINE, file_text
from .objective import Pairs
from .problem import Problem, remembered, whole_periods
from .problems.lookup import problem as looked_up
from .record import save_tensors
from .run import Scaled
from .shipped import KINDS, Shipped, names, shipped
from .table import Table, frozen, spread
from .teacher import STEPS, Taught, taught
from .whole import APART

REACH = 0.9  # of the largest level, at which a first call may be
# The whole table learns some tens of trajectories by heart; the last rows do not.
STARTS = {"last rows": 40, "whole": 160}
# Tables of another kind that may begin nearer to a model than those of the kind asked for.
BESIDE = {"gauss": ("gauss_net",)}

Told = Callable[[str], None]


@dataclass(frozen=True, repr=False)
class Tuned:
    """A calibrated solver.

    Args:
        name: of the solver, as the file states it.
        found: what the calibration measured.
        start: the table it began with.
        remake: the command that makes it again.
    """

    name: str
    found: Calibration
    start: Shipped
    remake: str

    @property
    def stage(self) -> Stage:
        """The stage that is kept: the best on starts that no fit saw."""
        return self.found.best

    def __repr__(self) -> str:
        """What was kept, in a line: trajectories and networks would fill the screen."""
        stage, problem = self.stage, self.found.problem
        return (
            f"<Tuned {self.name}: {stage.table.calls} calls on {problem.name}, {stage.name}, "
            f"rms {stage.error:.3g} on new starts>"
        )

    def mean(self) -> Tensor:
        """The mean that the file holds: all of it where it fits, else one number per channel."""
        mean = self.found.problem.mean
        if mean.numel() <= INLINE:
            return mean
        return mean.mean(dim=tuple(range(1, mean.ndim)), keepdim=True)

    def text(self) -> str:
        """The emitted file."""
        problem, stage = self.found.problem, self.stage
        return file_text(
            self.name,
            f"{self.name}: {stage.table.calls} model calls, calibrated on {problem.name} "
            f"({stage.name}), from {self.start.name}.",
            stage.table,
            self.mean(),
            problem.std,
            (problem.sigma_max, problem.sigma_min),
            remake=self.remake,
            fitted=f"on {problem.name}, model {problem.probe()}; rms {stage.error:.3g} on new starts",
            sums=self.start.sums,
        )

    def record(self) -> dict[str, Any]:
        """Everything that was measured, as JSON; nothing depends on it."""
        found = self.found
        return {
            "format": "solvergen calibration 1",
            "name": self.name,
            "from": self.start.name,
            "kept": self.stage.name,
            "problem": {
                "name": found.problem.name,
                "probe": found.problem.probe(),
                "sigmas": [found.problem.sigma_max, found.problem.sigma_min],
                "std": found.problem.std,
                "mean": _digest(found.problem.mean),
            },
            "teacher": {
                "halving": found.teacher.error,
                "calls": found.teacher.calls,
                "seconds": round(found.teacher.seconds, 2),
            },
            "ridge": found.ridge,
            "published": [vars(pair) for pair in found.published[:5]],
            "scales": [
                {
                    "name": scale.name,
                    "one table": scale.together,
                    "its own last row": scale.alone.error,
                }
                for scale in found.scales
            ],
            "stages": [
                {
                    "name": stage.name,
                    "rms on new starts": stage.error,
                    "rms on its own": stage.fitted,
                    "span bound": stage.span,
                    "gain": stage.table.gain(),
                    "calls": stage.calls,
                    "seconds": round(stage.seconds, 2),
                    "levels": [repr(v) for v in stage.table.levels],
                    "shares": [[repr(v) for v in row] for row in stage.table.shares],
                }
                for stage in found.stages
            ],
            "notes": list(found.notes),
            "versions": {"torch": version("torch"), "python": platform.python_version()},
        }

    def write(self, path: Path) -> list[Path]:
        """Write the file and its record, and the mean beside them where it is too long for a file.

        Where a last row for each guidance scale does better, a file of each is written as well. What
        an interrupted whole fit keeps goes once they are there.
        """
        beside = path.with_suffix(".json")
        write(path, self.text())
        write(beside, json.dumps(self.record(), indent=1) + "\n")
        written = [path, beside]
        if self.mean() is not self.found.problem.mean:
            save_tensors(path.with_suffix(".safetensors"), {"mean": self.found.problem.mean})
            written.append(path.with_suffix(".safetensors"))
        if self.found.apart:
            for scale in self.found.scales:
                written += self.at(scale).write(
                    path.with_name(f"{path.stem}_{_word(scale.name)}.py")
                )
        path.with_suffix(".state").unlink(missing_ok=True)
        return written

    def at(self, scale: Scale) -> Tuned:
        """The solver of one guidance scale."""
        problem = replace(self.found.problem, name=f"{self.found.problem.name}, {scale.name}")
        found = replace(self.found, problem=problem, stages=(scale.alone,), scales=())
        return replace(self, name=f"{self.name}_{_word(scale.name)}", found=found)


def calibrate(
    name: str,
    on: str | Problem,
    calls: int,
    *,
    starts: int | None = None,
    unused: int = 24,
    rows: int | None = None,
    whole: bool = False,
    seed: int = 0,
    teacher_steps: int = STEPS,
    iterations: int = 12,
    compare: bool = True,
    cache: Path | None = None,
    out: Path | None = None,
    tell: Told = lambda line: None,
) -> Tuned:
    """Calibrate a solver of the family on a model.

    Args:
        name: gauss, gauss_net, gauss_mix, gauss_sum, or one of them with its number of calls. `gauss`
            takes the table of gauss_net where that one is nearer on the starts that are fitted.
        on: a problem, or its name.
        calls: N.
        starts: trajectories to fit on, 40 for the last rows and 160 for the whole unless given;
            `unused` more are measured on and never fitted.
        rows: how many of the last rows are fitted; three unless given, and one before the whole.
        whole: fit every number through the model, not the last rows alone.
        seed: of the starts.
        teacher_steps: of the rule that gives the ends, where the problem does not know them.
        iterations: most steps of the whole fit.
        compare: run published samplers on the unused starts.
        cache: folder for trajectories; out: the file to be written, beside which an interrupted
            whole fit keeps its state.
        tell: takes lines of progress.

    Raises:
        SolvergenError: no such table or problem, or one that cannot be used.
    """
    start = shipped(table_name(name, calls))
    found = looked_up(on) if isinstance(on, str) else on
    usual = STARTS["whole" if whole else "last rows"]
    usual_rows = 1 if whole else ROWS
    rows = usual_rows if rows is None else rows
    starts = usual if starts is None else starts
    if starts < 2 or unused < 2:
        raise SolvergenError(f"--starts and --unused must be at least 2; found {starts}, {unused}")
    if iterations < 1:
        raise SolvergenError(f"--iterations must be at least 1; found {iterations}")
    if not 1 <= rows <= calls:
        raise SolvergenError(f"--rows must be from 1 to the {calls} calls; found {rows}")
    kept_out = (
        1 if not whole else APART
    )  # whole periods in the fit, in what judges it, in what is new
    fits, new = (whole_periods(n, found.period, k) for n, k in ((starts, kept_out), (unused, 1)))
    remembered(found, fits + new, calls + 6)
    teach = taught(found, fits + new, seed, steps=teacher_steps, cache=cache, tell=tell)
    tables = [start, *alternatives(name, calls)]
    start, beside, notes = nearest(tables, teach, new)
    state = None if out is None else out.with_suffix(".state")
    measured = fitted(
        start,
        teach,
        new,
        others=[*beside, *rules(start)],
        compared=calls * (fits if len(tables) > 1 else 0) * len(tables),
        rows=rows,
        whole=whole,
        iterations=iterations,
        pairs=compare,
        state=state,
        tell=tell,
    )
    measured = replace(measured, notes=(*measured.notes, *notes))
    flags = f" --starts {starts}" * (starts != usual) + f" --seed {seed}" * (seed != 0)
    flags += f" --teacher-steps {teacher_steps}" * (teacher_steps != STEPS)
    remake = f"solvergen calibrate {name} --on {found.name} --calls {calls}{flags}"
    if rows != usual_rows:
        remake += " --last-row" if rows == 1 else f" --rows {rows}"
    remake += " --whole" * whole
    title = out.stem if out is not None and out.stem.isidentifier() else f"{start.name}_tuned"
    return Tuned(title, measured, start, remake)


def within(table: Table, scaled: Scaled) -> tuple[Table, str]:
    """A table whose first call lies within a problem's range, with words where it had to be moved.

    Models whose largest level is small (Stable Diffusion ends at 14.6) cannot be called at the first
    levels of tables for images: then log σ is drawn together towards the last level.

    >>> class Short:
    ...     start, end = 14.6, 0.03
    >>> moved, words = within(Table((29.2, 1.0), ((1.0,), (0.5, 0.5))), Short())
    >>> [round(level, 3) for level in moved.levels], words[:37]
    ([13.14, 1.0], 'levels drawn together: the first call')
    """
    first, last = table.levels[0], table.levels[-1]
    most, least = REACH * scaled.start, scaled.end / REACH
    if first <= most and last >= least or min(first, most) <= max(last, least):
        return table, ""
    logs = np.log(np.asarray(table.levels))
    low, high = math.log(max(last, least)), math.log(min(first, most))
    moved = low + (logs - logs[-1]) * (high - low) / (logs[0] - logs[-1])
    levels = tuple(float(v) for v in np.exp(moved))
    words = (
        f"levels drawn together: the first call was at {first:.3g} deviations, beyond the range's "
        f"{scaled.start:.3g}"
        if first > most
        else f"levels drawn together: the last call was at {last:.3g} deviations, below the range"
    )
    return Table(levels, table.shares), words


def alternatives(name: str, calls: int) -> list[Shipped]:
    """The shipped tables that stand beside those of a family, where it was named without a number."""
    wanted = [f"{kind}_{calls}" for kind in BESIDE.get(name, ())]
    return [shipped(other) for other in wanted if other in names()]


def nearest(
    tables: Sequence[Shipped], teach: Taught, unused: int
) -> tuple[Shipped, list[Table], list[str]]:
    """The shipped table with the least error on the starts that are fitted, as it is.

    Returns:
        It, the others' tables, and words on what was chosen and moved.
    """
    scaled = Scaled(teach.problem)
    seen = Pairs.of(teach.problem.name, scaled, teach.starts, teach.ends).part(unused, None)
    moved = [within(one.table, scaled) for one in tables]
    best, notes = 0, []
    if len(tables) > 1:
        errors = [
            seen.error(table) if table.levels[0] <= scaled.start else math.inf for table, _ in moved
        ]
        best = int(np.argmin(errors))
        told = ", ".join(
            f"{one.name} {error * teach.problem.std:.4g}"
            for one, error in zip(tables, errors, strict=True)
        )
        notes.append(
            f"begun with {tables[best].name}; as shipped, on the starts of the fit: {told}"
        )
    table, words = moved[best]
    notes += [words] if words else []
    others = [table for k, (table, _) in enumerate(moved) if k != best]
    return replace(tables[best], table=table), others, notes


def rules(start: Shipped) -> list[Table]:
    """Frozen Adams rules on the levels of the shipped table, and on those of five calls spread out."""
    five = f"{start.name.rsplit('_', 1)[0]}_5"
    grids = [start.table.levels]
    if five in names() and start.table.calls != 5:
        grids.append(spread(shipped(five).table, start.table.calls))
    return [frozen(levels, 0.003, 2) for levels in grids]


def table_name(name: str, calls: int) -> str:
    """The shipped table that a name and a number of calls mean.

    Raises:
        SolvergenError: the name holds another number of calls, or there is no such table.
    """
    kind = name.rsplit("_", 1)[0] if name.rsplit("_", 1)[-1].isdigit() else name
    if kind not in KINDS:
        raise SolvergenError(f"no family `{name}`; there are {', '.join(KINDS)}")
    if kind != name and int(name.rsplit("_", 1)[1]) != calls:
        raise SolvergenError(f"{name} makes {name.rsplit('_', 1)[1]} calls; --calls says {calls}")
    wanted = f"{kind}_{calls}"
    have = [n for n in names() if n.rsplit("_", 1)[0] == kind]
    if wanted not in have:
        numbers = ", ".join(n.rsplit("_", 1)[1] for n in have) or "none yet"
        family, sums = KINDS[kind]
        made = f"solvergen search --family {family}{' --sums' * sums} --steps {calls}"
        way = f"; make it with {made}" if 2 <= calls <= 64 else ""
        raise SolvergenError(f"no table {wanted}; {kind} has calls {numbers}{way}")
    return wanted


def _word(name: str) -> str:
    """A scale's name as part of a file's: guidance_7_5."""
    return "".join(c if c.isalnum() else "_" for c in name)


def _digest(mean: torch.Tensor) -> str | float:
    if mean.ndim == 0:
        return float(mean)
    return hashlib.sha256(mean.double().numpy().tobytes()).hexdigest()[:16]
