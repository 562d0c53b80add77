"""Two grids of our own: *own*, from a solver's local errors on the model, and *best*, the yardstick.

Both are looked for among the points of a fine grid, by exchange: every inner level in turn, alone and
with all levels after it, is moved to where the objective is least, until no move helps.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..problem import ProblemError
from ..table import Array
from .path import ExactPath, Slopes

Sampler = Callable[..., Tensor]
SHIFTS = (-10, -6, -3, -2, -1, 1, 2, 3, 6, 10)


def sampler(name: str) -> Sampler:
    """A gallery sampler by name.

    Raises:
        ProblemError: there is none.
    """
    try:
        found: Sampler = importlib.import_module(f"solvergen.generated.{name}").sample
        return found
    except ModuleNotFoundError:
        raise ProblemError(f"no sampler `{name}` in the gallery; see solvergen list") from None


def step_weights(sample: Sampler, levels: Sequence[float]) -> list[Array]:
    """The weights of D_0 … D_n in every step of a sampler of one call a step, read from its runs.

    Step n is x_{n+1} = (σ_{n+1}/σ_n) x_n + Σ_j w_nj D_j; outputs are fed one-hot, so that the states
    at the calls are the sampler's own weights.

    Raises:
        ProblemError: it does not call the model once a step.
    """
    steps = len(levels) - 1
    seen: list[Tensor] = []

    def model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        seen.append(x)
        out = torch.zeros_like(x)
        if len(seen) <= steps:
            out[len(seen) - 1] = 1.0
        return out

    with torch.no_grad():
        grid = torch.tensor(levels, dtype=torch.float64)
        last = sample(model, torch.zeros(steps, 1, dtype=torch.float64), grid)
    if len(seen) != steps:
        raise ProblemError(
            f"own and best need a sampler of one call a step; this one called {len(seen)} times in "
            f"{steps} steps"
        )
    states = [*(state[:, 0].numpy() for state in seen), last[:, 0].numpy()]
    return [(states[n + 1] - levels[n + 1] / levels[n] * states[n])[: n + 1] for n in range(steps)]


def global_error(path: ExactPath, model: Slopes, sample: Sampler, index: Sequence[int]) -> Tensor:
    """The error at the end to the first order in the steps' local errors: (b, d).

    A step adds its local error, what it misses from exact states with exact outputs; what earlier steps
    added goes through the solver's own recursion, where the outputs answer it with the derivative of D.
    Errors keep their signs.

    Args:
        model: the derivatives on the path.
        index: the levels of the grid, as indices into the path.
    """
    levels = [float(path.levels[i]) for i in index]
    error = torch.zeros_like(path.states[0])
    answers: list[Tensor] = []
    for n, row in enumerate(step_weights(sample, levels)):
        ratio = levels[n + 1] / levels[n]
        answers.append(model.along(index[n], error))
        local = ratio * path.states[index[n]] - path.states[index[n + 1]]
        error = ratio * error
        for j, weight in enumerate(row):
            if weight:
                local.add_(path.denoised[index[j]], alpha=float(weight))
                error.add_(answers[j], alpha=float(weight))
        error.add_(local)
    return error


def size(error: Tensor) -> float:
    """The root mean square, infinite where the error is not finite."""
    found = float((error.double() ** 2).mean().sqrt())
    return found if math.isfinite(found) else math.inf


def end_error(path: ExactPath, sample: Sampler, index: Sequence[int]) -> float:
    """The rms error of a run of the solver on a grid, in the problem's units."""
    problem = path.problem
    x = path.states[0].reshape(-1, *problem.shape)

    def model(at: Tensor, sigma: Tensor, **_: object) -> Tensor:
        return problem.denoiser(at, sigma.flatten()[0].to(at.dtype))

    with torch.no_grad():
        ends = sample(model, x, torch.tensor(path.levels[list(index)], dtype=torch.float64))
    return size(ends.flatten(1) - path.states[-1])


def exchanged(
    objective: Callable[[Sequence[int]], float],
    start: Sequence[int],
    points: int,
    known: dict[tuple[int, ...], float],
) -> tuple[float, tuple[int, ...]]:
    """Move inner indices while that lowers an objective, each alone or with all after it; the ends stay.

    Args:
        known: values of the objective, that of the start among them; added to.
    """
    current = tuple(start)
    value = known[current]
    moved = True
    while moved:
        moved = False
        for k, shift in itertools.product(range(1, len(current) - 1), SHIFTS):
            rest = current[k + 1 : -1]
            for later in {rest, tuple(i + shift for i in rest)}:
                tried = (*current[:k], current[k] + shift, *later, points - 1)
                if not all(a < b for a, b in itertools.pairwise(tried)):
                    continue
                if tried not in known:
                    known[tried] = objective(tried)
                if known[tried] < value:
                    current, value, moved = tried, known[tried], True
    return value, current
