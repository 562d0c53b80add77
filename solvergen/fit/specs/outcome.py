"""What a fit of a spec leaves: the fitted spec, its torch file, and a record of what was measured."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ...derive import derive
from ...emitted import imported
from ...errors import DeriveError
from ...loading import Loaded, located, sibling
from ...program.defects import defects
from ...program.digest import base_digest, digest
from ...proof import proved
from ...spec.file_name import name_refusal
from ...spec.reader import parse_solver
from ...writing import write
from ..predictor import Features, Trained, check_predicted, counted, seen, train
from ..problem import Problem, remembered, whole_periods
from ..record import RecordError
from ..teacher import STEPS, Taught, taught
from .fitting import Fit, Told, fit, forget
from .numbers import DIGITS, FitError, tables_of
from .quiet import free_without_noise


@dataclass(frozen=True)
class Fitted:
    """A fitted spec with everything that was measured.

    Args:
        name: of the solver and its files.
        spec: the text of the fitted spec; `text`: of its torch file.
        found: the fit; `taught`: what it was fitted on.
        seed: of the starts.
        trained: a predictor of numbers per sample, where one was asked for.
    """

    name: str
    spec: str
    text: str
    found: Fit
    taught: Taught
    seed: int
    trained: Trained | None = None

    def lines(self) -> list[str]:
        """What people read."""
        found, table = self.found, defects(self.found.program)
        order = next((v for v in self.text.splitlines() if v.startswith("KEPT_ORDER")), "")
        kept = order.rpartition("= ")[2]
        errors = (
            f"rms        {found.before:.4g} before, {found.after:.4g} on its starts, "
            f"{found.held_out:.4g} on held-out ones (mean distance {found.distance:.4g})"
        )
        lines = [
            f"free       {found.numbers.told()}: {found.numbers.count} numbers, from {found.begun}",
            f"teacher    {_teacher(self.taught)}",
            errors,
        ]
        if kept == "0" and found.program.main.memory:
            lines.append("order      none: with its numbers, what is remembered does not die out")
        elif kept:
            memory = ", and others whose memory dies out" if found.program.main.memory else ""
            whatever = f"with its numbers{memory}" if memory else "whatever its numbers are"
            lines.append(f"order      at least {kept} on any grid, {whatever} (proved)")
        if table:
            lines.append(f"gain       {max(step.gain for step in table):.3g} at most")
        if trained := self.trained:
            lines.append(
                f"predictor  rms {trained.held_out:.4g} on held-out starts with numbers per sample, "
                f"{trained.before:.4g} with one list for all (mean distance {trained.distance:.4g})"
            )
        lines.append(f"fit        {found.iterations} steps, {found.seconds:.1f} s")
        lines += [f"note: {note}" for note in found.notes]
        if found.interrupted:
            lines.append(
                "interrupted: the best so far is written; the same command goes on from here"
            )
        return lines

    def record(self) -> dict[str, Any]:
        """Everything that was measured; nothing depends on it."""
        found, problem = self.found, self.taught.problem
        return {
            "format": "solvergen fit 1",
            "name": self.name,
            "rule": base_digest(found.program),
            "program": digest(found.program),
            "problem": {
                "name": problem.name,
                "probe": problem.probe(),
                "sigmas": [problem.sigma_max, problem.sigma_min],
            },
            "teacher": {"told": _teacher(self.taught), "calls": self.taught.calls},
            "starts": len(self.taught.starts),
            "seed": self.seed,
            "free": found.numbers.told(),
            "begun": found.begun,
            "rms": {"before": found.before, "starts": found.after, "held out": found.held_out},
            "mean distance": found.distance,
            "iterations": found.iterations,
            "interrupted": found.interrupted,
            **({"predictor": {"held out": self.trained.held_out}} if self.trained else {}),
            "log rms": list(found.curve),
            "seconds": round(found.seconds, 2),
            "notes": list(found.notes),
            "versions": {"torch": version("torch"), "python": platform.python_version()},
        }

    def write(self, out: Path) -> list[Path]:
        """Write the three files; what an interrupted fit keeps goes once a whole one is written."""
        paths = [out, out.with_suffix(".py"), out.with_suffix(".json")]
        for path, text in zip(
            paths, (self.spec, self.text, json.dumps(self.record(), indent=1) + "\n"), strict=True
        ):
            write(path, text)
        if self.trained is not None:
            paths.append(out.with_suffix(".safetensors"))
            self.trained.predictor.save(paths[-1], self.found.program)
        if not self.found.interrupted:
            forget(_state(out))
        return paths


def fit_spec(
    loaded: Loaded,
    problem: Problem,
    steps: int,
    out: Path,
    *,
    free: Sequence[str] | None = None,
    starts: int = 256,
    held: int = 256,
    seed: int = 0,
    iterations: int = 40,
    ridge: float = 1e-5,
    teacher_steps: int = STEPS,
    predictor: bool = False,
    features: Features | None = None,
    cache: Path | None = None,
    tell: Told = lambda line: None,
) -> Fitted:
    """Fit a spec to a model.

    Args:
        loaded: the spec and its program.
        problem: the model.
        steps: of the run.
        out: where the fitted spec goes; what an interrupted fit needs is kept beside it.
        free: names of parameters and `grid`; all that differ from step to step, and the grid,
            unless given.
        starts, held: trajectories to fit on, and more to choose and to measure on.
        seed: of the starts.
        iterations, ridge: of the fit.
        teacher_steps: of the rule that gives the ends, where the problem does not know them.
        predictor: whether a network is trained besides, for the numbers with per = "sample".
        features: (x, denoised) → (batch, features), what that network sees after the first call of a step;
            the state and the output unless given.
        cache: folder for trajectories.
        tell: takes lines of progress.

    Raises:
        SolvergenError: the spec has nothing to fit or draws noise, or the model or the teacher cannot be used.
    """
    if refusal := name_refusal(out.stem):
        raise FitError(f"--out {out}: `{out.stem}` cannot name a solver: {refusal}")
    if not 1 <= steps <= 64:
        raise FitError(f"--steps must lie between 1 and 64; found {steps}")
    if starts < 2 or held < 2:
        raise FitError(f"--starts and --held-out must be at least 2; found {starts}, {held}")
    if loaded.path.is_file() and out.is_file() and out.samefile(loaded.path):
        raise FitError(f"--out {out}: is the spec itself; give the fitted spec another name")
    free = free_without_noise(loaded.program, steps, free)
    if features and not predictor:
        raise FitError("features are what a predictor sees; give --predictor too")
    if features and not callable(features):
        raise FitError(
            f"--features: must be called with (x, denoised); found {type(features).__name__}"
        )
    if predictor:
        check_predicted(loaded.program, steps)
        counted(features or seen, problem)
    starts, held = (whole_periods(n, problem.period) for n in (starts, held))
    remembered(problem, starts + held, 4)
    teach = taught(problem, starts + held, seed, steps=teacher_steps, cache=cache, tell=tell)
    state = _state(out)
    found = fit(
        loaded.program,
        teach,
        held,
        steps,
        free=free,
        iterations=iterations,
        ridge=ridge,
        state=state,
        tell=tell,
    )
    before = loaded.solver.fitted
    if before is not None and before.probe not in ("", problem.probe()):
        told = (
            f"{loaded.path.name} was fitted on {before.problem}, a model of other answers; its numbers are where one "
            "trial began"
        )
        found = replace(found, notes=(*found.notes, told))
    spec = spec_text(loaded, found, out.stem, teach, seed)
    text = _file(spec, out, loaded.path)
    _same_error(text, teach, held, found)
    trained = _predicted(found, teach, held, seed, tell, features or seen) if predictor else None
    return Fitted(out.stem, spec, text, found, teach, seed, trained)


def _predicted(
    found: Fit, teach: Taught, held: int, seed: int, tell: Told, features: Features
) -> Trained:
    """A predictor that begins from the fitted numbers."""
    program = found.program
    table = torch.tensor([[float(v) for v in p.values] for p in program.late], dtype=torch.float64)
    levels = [float(level) for level in program.levels]
    return train(program, teach, held, levels, features=features, table=table, seed=seed, tell=tell)


def _state(out: Path) -> Path:
    return out.with_suffix(".state")


def spec_text(loaded: Loaded, found: Fit, name: str, teach: Taught, seed: int) -> str:
    """The spec with its numbers, its levels and where they come from; all else as it was written."""
    import tomlkit

    document: Any = tomlkit.parse(loaded.path.read_text(encoding="utf-8"))
    document["name"] = name
    for parameter, values in tables_of(found.program):
        document["parameters"][parameter]["values"] = _strings(values)
    for table in ("grid", "fitted"):
        if table in document:
            del document[table]
    grid, told = tomlkit.table(), tomlkit.table()
    grid["levels"] = _strings(found.program.levels)
    for key, value in {
        "base": base_digest(found.program),
        "problem": teach.problem.name,
        "probe": teach.problem.probe(),
        "steps": found.numbers.steps,
        "teacher": _teacher(teach),
        "starts": len(teach.starts),
        "seed": seed,
        "before": f"{found.before:.6g}",
        "after": f"{found.after:.6g}",
        "held_out": f"{found.held_out:.6g}",
    }.items():
        told[key] = value
    document["grid"], document["fitted"] = grid, told
    return tomlkit.dumps(document)


def _file(spec: str, out: Path, origin: Path) -> str:
    """The torch file of a spec that is not written yet."""
    solver = parse_solver(spec, str(out))
    try:
        program = derive(solver, sibling(origin))
    except DeriveError as error:
        raise located(error, origin) from None
    return proved(Loaded(solver, program, out)).text


def _same_error(text: str, teach: Taught, held: int, found: Fit) -> None:
    """Run the emitted file on the held-out starts: it must have the error that the fit has."""
    problem = teach.problem
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fitted.py"
        write(path, text)
        ends = imported(path).sample(_batched(problem), teach.starts[-held:])
    error = float(((ends - teach.ends[-held:]).double() ** 2).mean().sqrt())
    slack = 1e-2 if problem.dtype == torch.float32 else 1e-6
    if not abs(error - found.held_out) <= slack * found.held_out + 1e-9:
        raise RecordError(
            f"the emitted file has the error {error:.6g} and the fit {found.held_out:.6g}; the "
            "model may answer differently from call to call"
        )


def _batched(problem: Problem) -> Callable[..., torch.Tensor]:
    """The problem's denoiser as samplers call it: one level a sample."""

    def model(x: torch.Tensor, sigma: torch.Tensor, **_: object) -> torch.Tensor:
        parts = x.split(problem.chunk)
        return torch.cat([problem.denoiser(part, sigma[0].to(problem.dtype)) for part in parts])

    return model


def _teacher(teach: Taught) -> str:
    if teach.problem.teacher is not None:
        return "exact ends"
    return f"Adams 2, error {teach.error:.2g} deviations by halving"


def _strings(values: Sequence[Fraction]) -> list[str]:
    """Exact decimals: fitted numbers have few digits, the ends of a range are floats or exact."""
    return [_decimal(value) for value in values]


def _decimal(value: Fraction) -> str:
    for digits in (DIGITS, 17):
        text = f"{float(value):.{digits}g}"
        if Fraction(text) == value:
            return text
    return str(value)
