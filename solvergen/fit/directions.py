"""Derivatives of a denoiser along directions: forward mode, or differences where a model has none.

Kernels without forward mode raise. A model that reads its level as a Python number, or rounds it to a
time step, answers all the same, with a derivative by the level that is 0: both are found by comparing
with differences, once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .problem import Problem, ProblemError

# Central differences that balance rounding against curvature, in units of the level.
STEPS = {torch.float32: 1e-2, torch.float64: 1e-4}
AGREE = 0.1  # relative to the difference: what separates a derivative from none


def differentiable(problem: Problem) -> tuple[Problem, str]:
    """The problem with the kind of derivative that its model bears, and why it is not forward mode.

    Returns:
        The problem, and "" or the reason.
    """
    if problem.derivative is not None:
        return problem, ""
    level = torch.tensor(math.sqrt(problem.sigma_max * problem.sigma_min), dtype=problem.dtype)
    x = problem.noise(problem.period if problem.period > 1 else 2, 0)
    x = x * (level / problem.sigma_max)
    direction = level * problem.noise(len(x), 1) / problem.sigma_max
    without = replace(problem, forward=False)
    for what, moves in (
        ("x", (direction, torch.zeros_like(level))),
        ("sigma", (torch.zeros_like(x), level)),
    ):
        slow = turned(without, x, level, *moves)[1]
        try:
            fast = turned(problem, x, level, *moves)[1]
        except (ProblemError, RuntimeError, NotImplementedError) as error:
            return without, f"its model has no forward derivative ({_last(error)})"
        apart, size = float((fast - slow).norm()), float(slow.norm())
        if not apart <= AGREE * size + 1e-3 * float(x.norm()):
            return without, (
                f"the forward derivative of its model by {what} is not that of its answers "
                "(a level that is read as a Python number has none)"
            )
    return problem, ""


def turned(
    problem: Problem, x: Tensor, sigma: Tensor, along_x: Tensor, along_sigma: Tensor
) -> tuple[Tensor, Tensor]:
    """D at x and sigma, and its derivative along both directions together."""
    with torch.no_grad():
        if problem.forward:
            found = torch.func.jvp(problem.denoiser, (x, sigma), (along_x, along_sigma))
            return found[0].detach(), found[1].detach()
        step = _step(problem, sigma, along_x, along_sigma)
        up = problem.denoiser(x + step * along_x, sigma + step * along_sigma)
        down = problem.denoiser(x - step * along_x, sigma - step * along_sigma)
        return problem.denoiser(x, sigma), (up - down) / (2 * step)


def along(problem: Problem, state: Tensor, sigma: Tensor) -> Callable[[Tensor], Tensor]:
    """The derivative of D by x, along directions (p, batch, *shape)."""
    if problem.derivative is not None:
        return problem.derivative(state, sigma)
    still = torch.zeros_like(sigma)
    if not problem.forward:
        return lambda directions: torch.stack(
            [turned(problem, state, sigma, direction, still)[1] for direction in directions]
        )

    def one(direction: Tensor) -> Tensor:
        function = lambda at: problem.denoiser(at, sigma)
        made: Tensor = torch.func.jvp(function, (state,), (direction,))[1]
        return made

    def several(directions: Tensor) -> Tensor:
        made: Tensor = torch.func.vmap(one, chunk_size=8, randomness="error")(directions)
        return made

    return several


def _step(problem: Problem, sigma: Tensor, along_x: Tensor, along_sigma: Tensor) -> float:
    """How far both ways: a small part of the level, in x and in sigma."""
    size = max(float((along_x**2).mean().sqrt()), float(along_sigma.abs()))
    return STEPS[problem.dtype] * float(sigma) / size if size > 0 else 1.0


def _last(error: BaseException) -> str:
    line = (str(error).splitlines() or [""])[0].rpartition("for all rows: ")[2]
    return f"{line[:97]}..." if len(line) > 100 else line or type(error).__name__
