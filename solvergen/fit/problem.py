"""What a solver is fitted on: a denoiser with its levels, and the data's mean and deviation."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from ..errors import SolvergenError

Denoiser = Callable[[Tensor, Tensor], Tensor]
# (x, sigma) → a function from directions (p, batch, *shape) to derivatives of D along them.
Derivative = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]


class ProblemError(SolvergenError):
    """A problem that cannot be used as it is: says which part, what was found and what to do."""


class Made(Protocol):
    """What an object must have to serve as a problem (`module:name`).

    It may also have `mean` (a number or a tensor of `shape`), `std`, `starts(n, seed)`, and
    `teacher(starts)`, which returns the exact ends.
    """

    shape: tuple[int, ...]
    sigma_max: float
    sigma_min: float

    def denoiser(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x] for x = x0 + σ ε; x is (batch, *shape), sigma one number."""


@dataclass(frozen=True)
class Problem:
    """A model on a range of levels, x = x0 + σ ε.

    Args:
        name: how a user names it.
        denoiser: (x, sigma) → E[x0 | x]; x is (batch, *shape), sigma a tensor without dimensions.
        shape: of one sample.
        sigma_max, sigma_min: the levels σ/α at which a run begins and ends.
        mean: of the data: a number, or a tensor that broadcasts to `shape`.
        std: root mean square deviation of the data from `mean`; 0 where neither is known.
        starts: (n, seed) → (n, *shape) initial states; σ_max times unit noise unless given.
        teacher: starts → exact ends, where they are known; otherwise they are computed.
        derivative: of the denoiser by x, where it is known; otherwise by forward mode,
            or by differences where `forward` is false.
        dtype: of the states.
        chunk: samples that fit one model call; a multiple of `period`.
        period: row r of a batch is conditioned as row r + period is, on a prompt or a label.
        scales: names of the guidance scales that a period goes through, each for as many rows.
    """

    name: str
    denoiser: Denoiser
    shape: tuple[int, ...]
    sigma_max: float
    sigma_min: float
    mean: Tensor = field(default_factory=lambda: torch.zeros(()))
    std: float = 0.0
    starts: Callable[[int, int], Tensor] | None = None
    teacher: Callable[[Tensor], Tensor] | None = None
    derivative: Derivative | None = None
    forward: bool = True
    dtype: torch.dtype = torch.float32
    chunk: int = 64
    period: int = 1
    scales: tuple[str, ...] = ()

    def noise(self, n: int, seed: int) -> Tensor:
        """n initial states, the same for the same seed on every machine."""
        if not -(2**63) <= seed < 2**63:
            raise ProblemError(f"the seed must fit 64 bits; found {seed}")
        if self.starts is not None:
            made = self.starts(n, seed)
            if tuple(made.shape) != (n, *self.shape):
                raise ProblemError(
                    f"problem {self.name}: starts({n}, {seed}) must have shape {(n, *self.shape)}; "
                    f"found {tuple(made.shape)}"
                )
            if not torch.isfinite(made).all():
                raise ProblemError(
                    f"problem {self.name}: starts({n}, {seed}) holds NaN or infinity"
                )
            return made.to(self.dtype)
        drawn = torch.randn(n, *self.shape, generator=torch.Generator().manual_seed(seed))
        return (self.sigma_max * drawn).to(self.dtype)

    def with_moments(self, mean: Tensor, std: float) -> Problem:
        """The same problem with this mean and deviation."""
        return Problem(**{**self.__dict__, "mean": mean.to(self.dtype), "std": std})

    def probe(self) -> str:
        """A digest of the model: its outputs on fixed inputs, rounded to four digits."""
        x = self.noise(2, 0)
        found = hashlib.sha256()
        for sigma in (self.sigma_max, math.sqrt(self.sigma_max * self.sigma_min), self.sigma_min):
            level = torch.tensor(sigma, dtype=self.dtype)
            with torch.no_grad():
                out = self.denoiser(x * (sigma / self.sigma_max), level)
            found.update(" ".join(f"{v:.3e}" for v in out.flatten()[:64].tolist()).encode())
        return found.hexdigest()[:16]


def checked(problem: Problem) -> Problem:
    """The problem, once its levels and one output have been looked at.

    Raises:
        ProblemError: levels out of order, half precision, an output of another shape or dtype, not finite,
            or not the same when it is asked for again.
    """
    where = f"problem {problem.name}"
    if not 0 < problem.sigma_min < problem.sigma_max < math.inf:
        raise ProblemError(
            f"{where}: needs 0 < sigma_min < sigma_max; found {problem.sigma_min} and "
            f"{problem.sigma_max}"
        )
    if problem.dtype not in (torch.float32, torch.float64):
        raise ProblemError(f"{where}: states are {problem.dtype}; fit in float32 and run in half")
    x = problem.noise(2, 0)
    for sigma in (problem.sigma_max, problem.sigma_min):
        level = torch.tensor(sigma, dtype=problem.dtype)
        kept = x.clone()
        with torch.no_grad():
            out, again = problem.denoiser(x, level), problem.denoiser(kept.clone(), level)
        out = answered(out, x, f"{where}: the denoiser")
        if out.dtype in (torch.float16, torch.bfloat16):
            raise ProblemError(f"{where}: the model answers in {out.dtype}; load it in float32")
        if out.dtype != problem.dtype:
            raise ProblemError(
                f"{where}: states are {problem.dtype} and the model answers in {out.dtype}; set "
                f"dtype = {out.dtype}, or return the dtype of x"
            )
        if not torch.isfinite(out).all():
            raise ProblemError(
                f"{where}: the denoiser returned NaN or infinity at sigma = {sigma}; check its range"
            )
        if not torch.equal(x, kept):
            raise ProblemError(
                f"{where}: the denoiser changes its x in place; let it work on a copy"
            )
        if float((out - again).abs().max()) > 1e-2 * float(out.abs().max()):
            raise ProblemError(
                f"{where}: the denoiser answers differently when it is asked again at sigma = "
                f"{sigma}; call eval() of the network, and take its random numbers from x alone"
            )
    return problem


def answered(out: object, x: Tensor, whose: str) -> Tensor:
    """What a model answered, refused where it is no tensor of the shape of its input.

    Raises:
        ProblemError: says what was found.
    """
    if isinstance(out, Tensor) and out.shape == x.shape:
        return out
    found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
    raise ProblemError(f"{whose} must return the shape of x, {tuple(x.shape)}; found {found}")


def finite(problem: Problem) -> Problem:
    """The problem, with every answer of its model looked at: for what would minimise over NaN.

    Raises:
        ProblemError: when it is called, and an answer is not finite.
    """

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        out = problem.denoiser(x, sigma)
        if not torch.isfinite(out).all():
            raise ProblemError(
                f"problem {problem.name}: the denoiser returned NaN or infinity at sigma = "
                f"{float(sigma.flatten()[0]):g}; check its range"
            )
        return out

    return replace(problem, denoiser=denoiser)


def moments(ends: Tensor) -> tuple[Tensor, float]:
    """Mean and deviation of the data, estimated from ends of trajectories (n, *shape).

    The mean image of few samples is mostly noise: each pixel's mean is drawn towards the mean of
    all pixels by the factor that its own sampling error asks for (James-Stein).
    """
    overall, pixel = ends.mean(), ends.mean(0)
    noise = float(ends.var(0).mean()) / len(ends)
    spread = float(((pixel - overall) ** 2).mean())
    kept = max(0.0, 1 - noise / spread) if spread > 0 else 0.0
    mean = overall + kept * (pixel - overall)
    return mean, float(((ends - mean) ** 2).mean().sqrt())


def remembered(problem: Problem, count: int, each: int, option: str = "--starts") -> None:
    """Refuse starts whose states and model outputs would not fit the memory that is free.

    Args:
        problem: its shape and dtype count.
        count: of the starts.
        each: tensors of a sample's shape that are kept for each.
        option: that says how many.

    Raises:
        ProblemError: says how many starts would fit.
    """
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = each * math.prod(problem.shape) * problem.dtype.itemsize
    if count * needed > free:
        raise ProblemError(
            f"{count} starts of shape {problem.shape} need {count * needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} are free; give {option} {max(2, int(free / needed / 2))} or fewer"
        )


def whole_periods(count: int, period: int, parts: int = 1) -> int:
    """A count raised to whole periods, in so many parts where rows are conditioned.

    >>> whole_periods(40, 1, 4), whole_periods(40, 30), whole_periods(40, 30, 4)
    (40, 60, 120)
    """
    return count if period == 1 else -(-count // (period * parts)) * period * parts
