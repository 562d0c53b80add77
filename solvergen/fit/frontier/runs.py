"""One sampler on one grid on one problem: its error and what it spent."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from ... import gallery
from ..objective import Pairs
from ..problem import Problem, ProblemError
from ..problems.lookup import cache_folder
from ..problems.lookup import problem as looked_up
from ..published import level_lists
from ..run import Scaled
from ..table import Table
from ..teacher import taught

# Ends of σ/α for exact mixtures, and α of a level ρ = σ/α.
PROCESSES: dict[str, tuple[tuple[float, float] | None, Callable[[Tensor], Tensor]]] = {
    "edm": (None, torch.ones_like),
    "vp": ((152.0, 0.0105), lambda rho: (1 + rho**2).rsqrt()),
    "flow": ((999.0, 0.001), lambda rho: 1 / (1 + rho)),
}


@dataclass(frozen=True)
class Ground:
    """A problem with starts and exact ends, and the process in which samplers walk it.

    Args:
        name: as the user wrote it: a problem, and `@vp` or `@flow` where it is not EDM.
        problem: with mean and deviation.
        starts, ends: x0 + ρ noise, ρ = σ/α, at the first and the last level.
        alpha: of the process, by ρ.
        floor: how well the ends themselves are known, in units of the deviation.
        digest: of everything that an error depends on besides the sampler and its levels.
    """

    name: str
    problem: Problem
    starts: Tensor
    ends: Tensor
    alpha: Callable[[Tensor], Tensor]
    floor: float
    digest: str

    def pairs(self) -> Pairs:
        """Starts and ends in the variables of a table."""
        return Pairs.of(self.name, Scaled(self.problem), self.starts, self.ends)


@dataclass(frozen=True)
class Point:
    """What a run gave: rms error in the problem's units, None where it failed, and why."""

    error: float | None
    calls: int
    reason: str = ""


@functools.lru_cache(maxsize=4)
def ground(name: str, starts: int, seed: int = 0) -> Ground:
    """A problem of the frontier.

    Args:
        name: as in calibrate; `generic/held-out/3@vp` or `@flow` for another process.
        starts: trajectories to measure on.

    Raises:
        ProblemError: no such problem or process.
    """
    base, _, process = name.partition("@")
    if (process or "edm") not in PROCESSES:
        raise ProblemError(f"problem {name}: processes are edm, vp and flow; found {process}")
    ends, alpha = PROCESSES[process or "edm"]
    found = taught(looked_up(base, ends=ends), starts, seed, cache=cache_folder() / "pairs")
    told = hashlib.sha256(found.starts.double().numpy().tobytes())
    told.update(f"{name} {found.problem.probe()} {found.problem.std:.9g}".encode())
    digest = told.hexdigest()[:16]
    return Ground(name, found.problem, found.starts, found.ends, alpha, found.error, digest)


@functools.cache
def sampler(name: str) -> ModuleType:
    """A gallery solver's emitted file as a module."""
    return importlib.import_module(f"solvergen.generated.{name}")


def deterministic() -> list[str]:
    """The gallery's solvers that draw no noise and choose no steps of their own.

    Specs that have no emitted file yet are left out, and learned ones: without numbers each of them is
    another solver of the gallery, and with numbers a file to add.
    """
    found = []
    for name in gallery.names():
        if importlib.util.find_spec(f"solvergen.generated.{name}") is None:
            continue
        module = sampler(name)
        learned = hasattr(module, "KEPT_ORDER")
        if not hasattr(module, "NOISE") and not learned and "adaptive" not in name:
            found.append(name)
    return found


def levels_of(ground: Ground, steps: int) -> dict[str, list[float]]:
    """The published grids of so many steps between the problem's ends, as ρ."""
    return level_lists(ground.problem, steps)


def measured(module: ModuleType, ground: Ground, levels: Sequence[float]) -> Point:
    """Run a sampler on a grid; one that fails says why and the rest goes on."""
    try:
        ends, calls = ends_of(module, ground, levels)
    except Exception as refusal:  # noqa: BLE001 - a solver's own refusal of a grid is a result
        return Point(None, 0, f"{type(refusal).__name__}: {refusal}"[:200])
    error = math.sqrt(float(((ends - ground.ends).double() ** 2).mean()))
    if not math.isfinite(error):
        return Point(None, calls, "not finite")
    return Point(error, calls)


def ends_of(
    module: ModuleType,
    ground: Ground,
    levels: Sequence[float],
    outputs: list[Tensor] | None = None,
) -> tuple[Tensor, int]:
    """The ends of a run and its model calls a sample; `outputs` collects what the model gave."""
    rho = torch.tensor(levels, dtype=torch.float64)
    alpha = ground.alpha(rho)
    problem, calls = ground.problem, [0]
    collected: list[list[Tensor]] = []

    def model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        calls[0] += 1
        level = sigma.flatten()[0].double()
        # σ = α ρ: ρ by the process, from σ alone
        at = _rho(ground.alpha, level)
        scale = float(ground.alpha(at))
        out = problem.denoiser(x / scale, at.to(x.dtype))
        collected[-1].append(out)
        return out

    found = []
    parts = ground.starts.split(problem.chunk)
    for part in parts:
        collected.append([])
        with torch.no_grad():
            end = module.sample(model, part * float(alpha[0]), rho * alpha, alphas=alpha)
        if end.shape != part.shape:
            raise ProblemError(f"it returns shape {tuple(end.shape)} for {tuple(part.shape)}")
        found.append(end / float(alpha[-1]))
    if outputs is not None:
        outputs.extend(torch.cat(several) for several in zip(*collected, strict=True))
    return torch.cat(found), calls[0] // len(parts)


def table_point(table: Table, ground: Ground) -> Point:
    """The error of a fitted table; a problem that its levels do not fit is a reason."""
    scaled = Scaled(ground.problem)
    if scaled.start < table.levels[0] or scaled.end >= table.levels[-1]:
        return Point(None, table.calls, "its levels lie outside the problem's range")
    error = ground.pairs().error(table) * ground.problem.std
    if not math.isfinite(error):
        return Point(None, table.calls, "not finite")
    return Point(error, table.calls)


def span_bound(ground: Ground, ends: Tensor, outputs: Sequence[Tensor]) -> float:
    """The error that is left when every sample reweighs its model outputs as suits it best."""
    missing = (ground.ends - ends).flatten(1).double()
    columns = torch.stack([out.flatten(1) for out in outputs], -1).double()
    best = torch.linalg.lstsq(columns, missing[..., None], driver="gelsd").solution
    return float(((missing - (columns @ best)[..., 0]) ** 2).mean().sqrt())


def _rho(alpha: Callable[[Tensor], Tensor], sigma: Tensor) -> Tensor:
    """ρ of a level σ = α(ρ) ρ, which rises with ρ, by bisection in log ρ."""
    if alpha is torch.ones_like:
        return sigma
    low, high = torch.tensor(-12.0).double(), torch.tensor(12.0).double()
    for _ in range(60):
        middle = (low + high) / 2
        rho = middle.exp()
        below = bool(alpha(rho) * rho < sigma)
        low, high = (middle, high) if below else (low, middle)
    return ((low + high) / 2).exp()
