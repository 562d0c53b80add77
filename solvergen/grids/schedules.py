"""Noise schedules x_t = α(t) x0 + σ(t) ε in continuous time, and the grids that are uniform in one.

A schedule gives α, σ, λ = log(α/σ) and the inverse t(λ); `grid` turns times into the α and σ that
emitted samplers take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .arguments import falling, real, reals, whole


class Schedule(Protocol):
    """What every schedule can say of a time t, and the time of a λ."""

    def alpha(self, t: float) -> float:
        """The factor on x0."""

    def sigma(self, t: float) -> float:
        """The factor on the noise."""

    def lam(self, t: float) -> float:
        """λ = log(α/σ)."""

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ."""


@dataclass(frozen=True)
class VP:
    """Variance preserving with β linear in t (DPM-Solver, EDM ablation): Song et al. 2021, Eq. 33.

    >>> schedule = VP()
    >>> round(schedule.alpha(0.5) ** 2 + schedule.sigma(0.5) ** 2, 15)
    1.0
    >>> round(schedule.time(schedule.lam(0.3)), 12)
    0.3
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        real("beta_min", self.beta_min, above=0)
        real("beta_max", self.beta_max, least=self.beta_min)

    def minus_log_alpha(self, t: float) -> float:
        """−log α = t²(β_max − β_min)/4 + t β_min/2."""
        return t * (t * (self.beta_max - self.beta_min) / 4 + self.beta_min / 2)

    def alpha(self, t: float) -> float:
        """The factor on x0."""
        return math.exp(-self.minus_log_alpha(t))

    def sigma(self, t: float) -> float:
        """The factor on the noise."""
        return math.sqrt(-math.expm1(-2 * self.minus_log_alpha(t)))

    def lam(self, t: float) -> float:
        """λ = log(α/σ); infinite at t = 0."""
        twice = 2 * self.minus_log_alpha(t)
        if twice > 1:  # log(e^z − 1) = z + log(1 − e^−z), which does not overflow
            return -(twice + math.log1p(-math.exp(-twice))) / 2
        return -math.log(math.expm1(twice)) / 2 if twice else math.inf

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ."""
        twice = _softplus(-2 * lam)
        slope = self.beta_max - self.beta_min
        return 2 * twice / (self.beta_min + math.sqrt(self.beta_min**2 + 2 * slope * twice))


@dataclass(frozen=True)
class Cosine:
    """α = cos(πt/2), σ = sin(πt/2), the v-diffusion and Stable Audio schedule (Salimans and Ho 2022).

    >>> round(Cosine().lam(0.5), 12)
    0.0
    """

    def alpha(self, t: float) -> float:
        """The factor on x0."""
        return math.sin(math.pi * (1 - t) / 2)

    def sigma(self, t: float) -> float:
        """The factor on the noise."""
        return math.sin(math.pi * t / 2)

    def lam(self, t: float) -> float:
        """λ = log(α/σ)."""
        return _log_ratio(self.alpha(t), self.sigma(t))

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ."""
        return 2 / math.pi * math.atan(_exp(-lam))


@dataclass(frozen=True)
class TrigFlow:
    """α = cos t, σ = sin t for t up to π/2 (Lu and Song 2024), with unit data deviation."""

    def alpha(self, t: float) -> float:
        """The factor on x0."""
        return math.cos(t)

    def sigma(self, t: float) -> float:
        """The factor on the noise."""
        return math.sin(t)

    def lam(self, t: float) -> float:
        """λ = log(α/σ)."""
        return _log_ratio(self.alpha(t), self.sigma(t))

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ."""
        return math.atan(_exp(-lam))


@dataclass(frozen=True)
class RectifiedFlow:
    """α = 1 − t, σ = t (Liu et al. 2022; Flux, SD3, Wan).

    >>> RectifiedFlow().lam(0.5), RectifiedFlow().lam(1.0)
    (0.0, -inf)
    """

    def alpha(self, t: float) -> float:
        """The factor on x0."""
        return 1 - t

    def sigma(self, t: float) -> float:
        """The factor on the noise."""
        return t

    def lam(self, t: float) -> float:
        """λ = log((1 − t)/t)."""
        return _log_ratio(1 - t, t)

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ."""
        return math.exp(-_softplus(lam))


@dataclass(frozen=True)
class EDM:
    """α = 1, σ = t (Karras et al. 2022)."""

    def alpha(self, t: float) -> float:
        """The factor on x0: 1."""
        return 1.0

    def sigma(self, t: float) -> float:
        """The factor on the noise: t."""
        return t

    def lam(self, t: float) -> float:
        """λ = −log t."""
        return _log_ratio(1.0, t)

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ."""
        return _exp(-lam)


@dataclass(frozen=True)
class VE(EDM):
    """Variance exploding with σ = √t, the VE of the EDM ablation (Karras et al. 2022, Table 1)."""

    def sigma(self, t: float) -> float:
        """The factor on the noise: √t."""
        return math.sqrt(t)

    def lam(self, t: float) -> float:
        """λ = −log(t)/2."""
        return _log_ratio(1.0, t) / 2

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ."""
        return _exp(-2 * lam)


@dataclass(frozen=True)
class Geometric(EDM):
    """Variance exploding with log σ linear in t from 0 to 1 (Song et al. 2021, Eq. 31)."""

    sigma_min: float = 0.02
    sigma_max: float = 100.0

    def __post_init__(self) -> None:
        real("sigma_max", self.sigma_max, above=real("sigma_min", self.sigma_min, above=0))

    def sigma(self, t: float) -> float:
        """The factor on the noise: σ_min^(1−t) σ_max^t."""
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** t

    def lam(self, t: float) -> float:
        """λ = −log σ."""
        return -math.log(self.sigma(t))

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ."""
        return (-lam - math.log(self.sigma_min)) / math.log(self.sigma_max / self.sigma_min)


def grid(schedule: Schedule, times: Sequence[float]) -> tuple[list[float], list[float]]:
    """σ and α at the times: the arguments ``sigmas`` and ``alphas`` of an emitted sampler.

    Raises:
        ValueError: a time at which the schedule has no α and σ that are finite, at least 0, and not
            both 0.

    >>> grid(RectifiedFlow(), [1.0, 0.5, 0.0])
    ([1.0, 0.5, 0.0], [0.0, 0.5, 1.0])
    """
    sigmas, alphas = [], []
    for place, t in enumerate(reals("times", times)):
        try:
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        except (ValueError, OverflowError):
            alpha = sigma = math.nan
        if not (0 <= alpha < math.inf and 0 <= sigma < math.inf and alpha + sigma > 0):
            raise ValueError(
                f"times[{place}] = {t} lies outside the schedule {type(schedule).__name__}: there "
                f"alpha is {alpha} and sigma {sigma}, which must be finite and at least 0"
            )
        sigmas.append(sigma)
        alphas.append(alpha)
    return sigmas, alphas


def uniform_time(n: int, start: float = 1.0, end: float = 0.0) -> list[float]:
    """n steps of equal length in t, from start down to end.

    Raises:
        ValueError: n below 1, or ends that do not fall.
    """
    end = real("end", end, below=real("start", start))
    return _falls(between(float(start), end, n), n=n, start=start, end=end)


def quadratic_time(n: int, start: float = 1.0, end: float = 0.0) -> list[float]:
    """n steps of equal length in √t (DDIM's and DPM-Solver's "quadratic").

    Raises:
        ValueError: n below 1, or ends that do not fall or are below 0.

    >>> quadratic_time(2)
    [1.0, 0.25, 0.0]
    """
    end = real("end", end, least=0, below=real("start", start, above=0))
    inner = [root * root for root in between(math.sqrt(start), math.sqrt(end), n)[1:-1]]
    return falling([start, *inner, end], n=n, start=start, end=end)


def uniform_lambda(schedule: Schedule, n: int, start: float, end: float) -> list[float]:
    """Times of n steps of equal length in λ between two times where λ is finite.

    Raises:
        ValueError: n below 1, ends that do not fall, or an end where λ is infinite.

    >>> [round(t, 6) for t in uniform_lambda(EDM(), 2, 10.0, 0.1)]
    [10.0, 1.0, 0.1]
    """
    end = real("end", end, below=real("start", start))
    lams = []
    for name, t in (("start", float(start)), ("end", end)):
        try:
            lams.append(real(name, schedule.lam(t)))
        except (ValueError, OverflowError):
            raise ValueError(
                f"{name} must be a time at which lambda of {type(schedule).__name__} is finite; "
                f"found {t}"
            ) from None
    inner = [schedule.time(lam) for lam in between(lams[0], lams[1], n)[1:-1]]
    return _falls([float(start), *inner, end], n=n, start=start, end=end)


def between(start: float, end: float, n: int) -> list[float]:
    """n + 1 equidistant values; both ends are exact.

    Raises:
        ValueError: fewer than one step.
    """
    n = whole("n", n)
    return [start + (end - start) * i / n for i in range(n)] + [end]


def _falls(times: list[float], **given: float) -> list[float]:
    """Times that may be negative, if they fall."""
    falling([t - times[-1] for t in times], **given)
    return times


def _exp(z: float) -> float:
    """e^z, infinite where it overflows."""
    return math.exp(z) if z < 709 else math.inf


def _softplus(z: float) -> float:
    """log(1 + e^z), which does not overflow."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def _log_ratio(alpha: float, sigma: float) -> float:
    if alpha <= 0 or sigma <= 0:
        return -math.inf if alpha <= 0 else math.inf
    return math.log(alpha / sigma)
