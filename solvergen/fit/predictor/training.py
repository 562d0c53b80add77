"""Training of a predictor: the ends of its runs against exact ends, by Adam through every step.

AMED trains step by step against a teacher's nodes, so that its teacher's error is the ceiling of what is
learned. Here the whole run is differentiated, and what is compared is the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...expr.arithmetic import symbols
from ...program.model import Program
from ..problem import Problem, ProblemError
from ..teacher import Taught
from .network import Features, Predictor, bounds, seen
from .steps import Model, Sampled

RATE, CLIP = 5e-3, 1.0
ITERATIONS = 400
EVERY = 25  # iterations between looks at the held-out starts
Told = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A predictor with what was measured.

    Args:
        predictor: the best on held-out starts.
        before, held_out: rms errors on held-out starts, with the numbers that it began from and its own.
        distance: the mean distance on held-out starts.
    """

    predictor: Predictor
    before: float
    held_out: float
    distance: float


def check_predicted(program: Program, steps: int) -> None:
    """Refuse a rule whose numbers cannot be predicted in a run of so many steps, before long work.

    Raises:
        SolvergenError: no number may differ from sample to sample, none is used in so few steps, one has no
            bounds, or steps that are not differentiated here.
    """
    if not program.late:
        raise ProblemError(
            f'{program.name}: no parameter has per = "sample"; write it in the spec, or fit one list for all '
            "samples (without --predictor)"
        )
    Sampled(program)
    for parameter in program.late:
        bounds(parameter)
    rows = [row for i in range(steps) for row in program.step_at(i, steps).rows]
    written = [e for row in rows for e in (*row.expressions, row.place.fraction, row.level)]
    if not any(symbols(e) & set(program.by_sample) for e in written):
        raise ProblemError(
            f"{program.name}: no row has {' or '.join(program.by_sample)} in it in a run of {steps} steps, where "
            "too few evaluations are past; fit more steps"
        )


def counted(features: Features, problem: Problem) -> int:
    """How many features there are; they are asked for once, after a call of the model.

    Raises:
        ProblemError: they are not a finite tensor (batch, features).
    """
    x = problem.noise(2, 0).double()
    with torch.no_grad():
        denoised = _one_level_each(problem)(x, x.new_full((2,), problem.sigma_max))
        found = features(x, denoised)
    if not torch.is_tensor(found) or found.ndim != 2 or len(found) != 2:
        told = tuple(found.shape) if torch.is_tensor(found) else type(found).__name__
        raise ProblemError(
            f"features must be a tensor (batch, features) for (x, denoised); found {told}"
        )
    if not torch.isfinite(found).all():
        raise ProblemError("features of the first call hold NaN or infinity")
    return found.shape[1]


def train(
    program: Program,
    taught: Taught,
    held: int,
    levels: Sequence[float],
    *,
    features: Features = seen,
    table: Tensor | None = None,
    iterations: int | None = None,
    batch: int = 64,
    seed: int = 0,
    tell: Told = lambda line: None,
) -> Trained:
    """Train a predictor for the numbers of a rule that may differ from sample to sample.

    Args:
        program: a rule whose numbers have per = "sample".
        taught: starts and ends; the last `held` are measured on and never trained on.
        levels: σ/α at the points of the grid.
        features: (x, denoised) → (b, features).
        table: (names, steps) of numbers to begin from; the defaults unless given.
        iterations, batch, seed: of the training; 400 iterations unless given.

    Raises:
        SolvergenError: a rule or a model that numbers per sample cannot be trained for.
    """
    steps, problem = Sampled(program), taught.problem
    iterations = iterations or ITERATIONS
    model = _one_level_each(problem)
    check_predicted(program, len(levels) - 1)
    starts, ends = taught.starts.double(), taught.ends.double()
    count = counted(features, problem)
    torch.manual_seed(seed)
    predictor = Predictor(program.late, levels, count, table)

    def run(x: Tensor) -> Tensor:
        return steps.run(model, x, levels, lambda i, x, d: predictor(features(x, d), i))

    def error() -> tuple[float, float]:
        with torch.no_grad():
            missing = torch.cat([run(x) for x in starts[-held:].split(256)]) - ends[-held:]
        return float(missing.square().mean().sqrt()), float(missing.flatten(1).norm(dim=1).mean())

    before, distance = error()
    best, kept = before, {k: v.clone() for k, v in predictor.state_dict().items()}
    optimiser = torch.optim.Adam(predictor.parameters(), lr=RATE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
    drawn = torch.Generator().manual_seed(seed)
    for turn in range(1, iterations + 1):
        chosen = torch.randint(len(starts) - held, (batch,), generator=drawn)
        loss = (run(starts[chosen]) - ends[chosen]).square().mean().sqrt()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(predictor.parameters(), CLIP)
        optimiser.step()
        falling.step()
        if turn % EVERY == 0 or turn == iterations:
            now, far = error()
            tell(f"predictor  {turn} of {iterations}, rms {now:.4g} on held-out starts")
            if now < best:
                best, distance = now, far
                kept = {k: v.clone() for k, v in predictor.state_dict().items()}
    predictor.load_state_dict(kept)
    return Trained(predictor, before, best, distance)


def _one_level_each(problem: Problem) -> Model:
    """The problem's denoiser with a level of its own for each sample."""

    def one(x: Tensor, sigma: Tensor) -> Tensor:
        return problem.denoiser(x[None].to(problem.dtype), sigma.to(problem.dtype))[0].double()

    every = torch.vmap(one, randomness="different")

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        if bool((sigma == sigma[0]).all()):
            return problem.denoiser(x.to(problem.dtype), sigma[0].to(problem.dtype)).double()
        found: Tensor = every(x, sigma)
        return found

    return model
