"""A diffusers pipeline calibrated in place: its starts, its model, its guidance, its scheduler."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..emit.exports.diffusers_file import class_name
from ..emitted import imported
from ..errors import SolvergenError
from ..writing import write
from .exported import diffusers_text
from .fitted import read_fitted
from .problem import Problem, ProblemError, checked
from .problems.pipeline import pipeline_problem
from .tune import Tuned
from .tune import calibrate as tuned_on

# What of the old scheduler's configuration says which model it is.
KEPT = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
)


def calibrate(
    first: Any,
    on: str | Problem = "gauss",
    calls: int = 0,
    *,
    prompts: str | Sequence[str] = (),
    guidance: float | Sequence[float] = 7.5,
    call: dict[str, Any] | None = None,
    **options: Any,
) -> Tuned:
    """Calibrate a solver of few calls on a model: `calibrate("gauss", "digits", 5)`, or on a pipeline
    of diffusers, which has the solver for its scheduler afterwards: `calibrate(pipe, calls=6,
    prompts=[…])`.

    Args:
        first: the name of a family (gauss, gauss_net, gauss_mix, gauss_sum), or a pipeline.
        on: the model: a name or a `Problem`; for a pipeline, the family to begin with.
        calls: N.
        prompts, guidance, call: as a pipeline will be used: what it draws; its guidance scale, or
            several; further arguments of it.
        options: rows, whole, starts, unused, seed, teacher_steps, iterations, compare, cache, out, tell, as
            in `solvergen.fit.tune.calibrate`.

    Raises:
        SolvergenError: a model, a table or a pipeline that cannot be used.
    """
    if isinstance(first, str):
        return tuned_on(first, on, calls, **options)
    if not isinstance(on, str):
        raise SolvergenError("of a pipeline, give the family to begin with as the second argument")
    return calibrated(first, calls, prompts, guidance, call, kind=on, **options)


def calibrated(
    pipe: Any,
    calls: int,
    prompts: str | Sequence[str],
    guidance: float | Sequence[float],
    call: dict[str, Any] | None,
    *,
    kind: str = "gauss",
    out: Path | None = None,
    **options: Any,
) -> Tuned:
    """Calibrate a solver on a pipeline's model and give the pipeline a scheduler of it.

    Args:
        pipe: a pipeline of diffusers whose scheduler has betas.
        calls: N; afterwards `pipe(..., num_inference_steps=N)`.
        prompts, guidance, call: as the pipeline will be used.
        kind: of the shipped table to begin with.
        out: where the solver's file is written, with the scheduler's beside it; a folder for
            temporary files unless given.
        options: as for `calibrate`.

    Raises:
        SolvergenError: the pipeline cannot be calibrated, or its prompts are missing.
    """
    if not hasattr(pipe, "scheduler") or not callable(pipe):
        raise SolvergenError(
            f"calibrate takes the name of a table or a diffusers pipeline; found {type(pipe).__name__}"
        )
    if isinstance(prompts, str):
        prompts = [prompts]
    if hasattr(pipe, "text_encoder") and not prompts:
        raise ProblemError(
            "the pipeline draws from prompts; give prompts=[…], some that you will use"
        )
    scales = (guidance,) if isinstance(guidance, int | float) else tuple(guidance)
    problem = checked(pipeline_problem(pipe, prompts, scales, call))
    path = out or Path(tempfile.mkdtemp(prefix="solvergen-")) / f"{kind}_{calls}_tuned.py"
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise SolvergenError(f"out must be a Python file that can be imported; found {path}")
    tuned = tuned_on(kind, problem, calls, out=path, **options)
    tuned = replace(tuned, remake=f"solvergen.calibrate(pipe, calls={calls}), pipe: {problem.name}")
    tuned.write(path)
    fitted = read_fitted(path)
    beside = path.with_name(f"{path.stem}_scheduler.py")
    write(beside, diffusers_text(fitted))
    module = imported(beside)
    sys.modules[beside.stem] = module  # classes of diffusers look for their file by their module
    config = {k: pipe.scheduler.config[k] for k in KEPT if k in pipe.scheduler.config}
    pipe.scheduler = getattr(module, class_name(fitted.name))(**config)
    return tuned
