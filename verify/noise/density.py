"""Weak errors on 1-D mixtures by carrying densities; deterministic, and exact to the grid.

A step with noise of its own is a Gaussian kernel around a point that the earlier states fix, so the
density of the state, or the joint density of the state and the output before it, is carried from
step to step by one sum over a grid. The trapezoidal rule converges faster than any power once the
grid is finer than the noise; expectations are then compared with those of the mixture itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ConductError
from ..probe.noise_trace import NoiseTrace, refinements
from ..probe.trace import Run
from ..problems.grids import GRIDS
from ..problems.mixture import GaussianMixture, oracle_mixture
from .moments import steps
from .weak import CLASS_GRID, Order, measured

Array = NDArray[np.float64]

REACH = 8.0
FINE = 0.6
MOST = 2600
USED = 1e-10
MIXTURE = (8, 12, 16, 24)
TESTS: dict[str, Callable[[Array], Array]] = {
    "z": lambda z: z,
    "z^2": lambda z: z**2,
    "z^3": lambda z: z**3,
    "z^4": lambda z: z**4,
    "cos z": np.cos,
    "exp z": lambda z: np.exp(z),
}


@dataclass(frozen=True)
class Rule:
    """One step of a sampler with at most one earlier output and no stage.

    Args:
        level, after: noise levels at its ends.
        keep: weight of the state.
        now, before: weights of the outputs at this step and at the one before.
        noise: standard deviation of what it adds.
    """

    level: float
    after: float
    keep: float
    now: float
    before: float
    noise: float


def rules(t: NoiseTrace) -> list[Rule]:
    """The steps of a run, each from the state before it.

    Raises:
        ConductError: "density" when a step has stages, adds no noise, or looks back further.
    """
    made, cut = t.drift, steps(t)
    n = made.steps
    if made.calls != n or len(cut.rows) != n + 1:
        raise ConductError("density", "densities are carried for samplers with one call a step")
    noise = t.independent
    out = []
    for i in range(n):
        # a step that noises anew keeps nothing
        keep = made.start[i + 1] / made.start[i] if made.start[i] else 0.0
        outputs = made.weights[i + 1] - keep * made.weights[i]
        far = np.abs(outputs[: max(i - 1, 0)]).max(initial=0.0)
        added = noise[i + 1] - keep * noise[i]
        fresh = np.abs(noise[: i + 1]).max(axis=0, initial=0.0) < 1e-14
        old = np.abs(added[~fresh]).max(initial=0.0)
        size = float(np.sqrt((added[fresh] ** 2).sum()))
        if far > USED or old > USED or size == 0.0:
            raise ConductError(
                "density",
                "densities are carried for steps that use one earlier output at most and add "
                "noise of their own",
            )
        before = float(outputs[i - 1]) if i else 0.0
        out.append(Rule(made.nodes[i], made.nodes[i + 1], keep, float(outputs[i]), before, size))
    return out


def final_density(t: NoiseTrace, mixture: GaussianMixture | None = None) -> tuple[Array, Array]:
    """(z, density) of the result of a run that starts in the marginal.

    Raises:
        ConductError: "density", see rules().
    """
    mixture = mixture or oracle_mixture()
    made = rules(t)
    if any(abs(r.before) > USED for r in made):
        return _two_step(made, mixture)
    return _one_step(made, mixture)


def weak_errors(t: NoiseTrace, mixture: GaussianMixture | None = None) -> Array:
    """Errors of E f at the end of a run, for every f in TESTS.

    Raises:
        ConductError: "density", see rules().
    """
    mixture = mixture or oracle_mixture()
    z, density = final_density(t, mixture)
    step = z[1] - z[0]
    exact = marginal(mixture, z, float(t.drift.nodes[-1]))
    return np.asarray([float((f(z) * (density - exact)).sum() * step) for f in TESTS.values()])


def marginal(mixture: GaussianMixture, z: Array, level: float) -> Array:
    """Density of x0 + level eps."""
    x = torch.from_numpy(z.reshape(-1, 1).copy())
    out: Array = mixture.log_density(x, 1.0, level).exp().numpy()
    return out


def _output(mixture: GaussianMixture, z: Array, level: float) -> Array:
    x = torch.from_numpy(np.ascontiguousarray(z.reshape(-1, 1)))
    out: Array = mixture.denoise(x, 1.0, level).numpy().reshape(z.shape)
    return out


def _grid(mixture: GaussianMixture, level: float, noise: float, most: int = MOST) -> Array:
    """Points that hold the state at a level, spaced more finely than the noise that follows."""
    spread = float(mixture.variances.max()) + level**2
    reach = float(mixture.means.abs().max()) + REACH * np.sqrt(spread)
    count = int(np.ceil(2 * reach / (FINE * noise)))
    if count > most:
        raise ConductError(
            "density", f"noise of {noise:.1e} needs {count} points of a density; {most} are allowed"
        )
    return np.linspace(-reach, reach, max(count, 200) + 1)


def _kernel(target: Array, centre: Array, noise: float) -> Array:
    """Normal densities at `target` around each centre: (targets, centres)."""
    out: Array = np.exp(-0.5 * ((target[:, None] - centre[None, :]) / noise) ** 2)
    return out / (noise * np.sqrt(2 * np.pi))


def _one_step(made: list[Rule], mixture: GaussianMixture) -> tuple[Array, Array]:
    z = _grid(mixture, made[0].level, made[0].noise)
    density = marginal(mixture, z, made[0].level)
    for i, rule in enumerate(made):
        following = made[i + 1].noise if i + 1 < len(made) else rule.noise
        ahead = _grid(mixture, rule.after, min(following, rule.noise))
        centre = rule.keep * z + rule.now * _output(mixture, z, rule.level)
        density = _kernel(ahead, centre, rule.noise) @ density * (z[1] - z[0])
        z = ahead
    return z, density


def _two_step(made: list[Rule], mixture: GaussianMixture) -> tuple[Array, Array]:
    """The joint density of the state and the one before it, p(now, before) on a product grid."""
    first = made[0]
    z = _grid(mixture, first.level, first.noise)
    # the step out of a grid smears it by the noise of that step: it must be finer than this
    ahead = _grid(mixture, first.after, min(first.noise, made[1].noise))
    centre = first.keep * z + first.now * _output(mixture, z, first.level)
    joint = _kernel(ahead, centre, first.noise) * marginal(mixture, z, first.level)
    before, here, level_before = z, ahead, first.level
    for i, rule in enumerate(made[1:], start=1):
        following = made[i + 1].noise if i + 1 < len(made) else rule.noise
        ahead = _grid(mixture, rule.after, min(following, rule.noise))
        base = rule.keep * here + rule.now * _output(mixture, here, rule.level)
        shift = rule.before * _output(mixture, before, level_before)
        width = before[1] - before[0]
        moved = np.empty((len(ahead), len(here)))
        for k in range(len(here)):
            moved[:, k] = _kernel(ahead, base[k] + shift, rule.noise) @ joint[k] * width
        joint, before, here, level_before = moved, here, ahead, rule.level
    return here, joint.sum(axis=1) * (before[1] - before[0])


def mixture_order(run: Run, kind: str) -> Order:
    """Weak order on the 1-D mixture, all of TESTS at once; refused where no density can be carried.

    Args:
        kind: class of grids.
    """
    counts, vectors = MIXTURE, []
    try:
        for t in refinements(run, GRIDS[CLASS_GRID[kind]], counts):
            vectors.append(weak_errors(t))
    except ConductError as error:
        return Order(None, False, None, str(error), counts, ())
    return measured(counts, vectors, 2.0**-52)
