"""A process as a noise schedule in float64: what `solvergen.grids` and every emitted sampler take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import mpmath

from ..expr.time import T
from .model import LAM, Process
from .numbers import Function, function_of
from .origins import Given, process

DIGITS = 40  # α and σ may cancel: they are computed with many digits and rounded once


class ProcessSchedule:
    """α, σ, λ and t(λ) of a process as functions of float64 numbers, rounded correctly.

    It is a `solvergen.grids.Schedule`, so that `grid`, `uniform_lambda` and every other grid take it.

    Args:
        process: values of its parameters are in it.

    Raises:
        ProcessError: a parameter has no value.

    >>> from solvergen.grids import grid, uniform_lambda
    >>> s = schedule("1 - t", "t")
    >>> grid(s, [1.0, 0.5, 0.0])
    ([1.0, 0.5, 0.0], [0.0, 0.5, 1.0])
    >>> [round(t, 6) for t in uniform_lambda(s, 2, 0.9, 0.1)]
    [0.9, 0.5, 0.1]
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.until = float(process.numeric(process.until))
        self._ends = {
            float(end): {
                name: _exact_end(process, getattr(process, name), end)
                for name in ("alpha", "sigma")
            }
            for end in (0, process.numeric(process.until))
        }
        self._alpha = function_of(process.numeric(process.alpha))
        self._sigma = function_of(process.numeric(process.sigma))
        closed = process.time
        self._time = None if closed is None else function_of(process.numeric(closed), LAM)

    def alpha(self, t: float) -> float:
        """The factor on x0 at a time."""
        return self._at("alpha", self._alpha, t)

    def sigma(self, t: float) -> float:
        """The factor on the noise at a time."""
        return self._at("sigma", self._sigma, t)

    def lam(self, t: float) -> float:
        """λ = log(α/σ) at a time; infinite where σ or α is 0."""
        alpha, sigma = self.alpha(t), self.sigma(t)
        if not alpha or not sigma:
            return -math.inf if sigma else math.inf
        with mpmath.workdps(DIGITS):
            x = mpmath.mpf(t)
            if t in self._ends:
                return math.log(alpha / sigma)
            return float(mpmath.log(self._alpha(x) / self._sigma(x)))

    def time(self, lam: float) -> float:
        """The time at which log(α/σ) is λ: in closed form, or by bisection to the last bit.

        Raises:
            ValueError: λ is not reached between t = 0 and the last time.
        """
        low, high = self.lam(self.until), self.lam(0.0)
        if not low <= lam <= high:
            raise ValueError(
                f"lambda = {lam:g} is not reached; log(alpha/sigma) falls from {high:g} at t = 0 to "
                f"{low:g} at t = {self.until:g}"
            )
        if lam in (low, high):
            return 0.0 if lam == high else self.until
        if self._time is not None:
            with mpmath.workdps(DIGITS):
                return float(self._time(mpmath.mpf(lam)))
        before, after = 0.0, self.until
        while before < (middle := (before + after) / 2) < after:
            before, after = (middle, after) if self.lam(middle) > lam else (before, middle)
        return middle

    def _at(self, name: str, function: Function, t: float) -> float:
        if not 0 <= t <= self.until:
            raise ValueError(f"t = {t} is outside of the schedule, 0 to {self.until:g}")
        if t in self._ends:
            return self._ends[t][name]
        with mpmath.workdps(DIGITS):
            return float(function(mpmath.mpf(t)))


def _exact_end(process: Process, expr: Any, end: Any) -> float:
    """The value at an end of the time interval, exact where floats would leave a rounding."""
    value = process.numeric(expr).subs(T, end)
    if value.has(math.nan) or not value.is_finite:
        value = process.numeric(expr).limit(T, end, "+" if end == 0 else "-")
    return float(value)


def schedule(
    alpha: Given,
    sigma: Given,
    until: Given = "1",
    values: Mapping[str, Fraction] | None = None,
) -> ProcessSchedule:
    """A schedule from two expressions in t.

    Args:
        alpha, sigma: α(t) and σ(t), strings or sympy expressions.
        until: the last time.
        values: what other names in them are.

    Raises:
        ExpressionError: a string outside the allowed arithmetic.
        ProcessError: no diffusion process, or a name without a value.

    >>> round(schedule("cos(pi*t/2)", "sin(pi*t/2)").time(0.0), 15)
    0.5
    """
    known = {name: Fraction(value) for name, value in (values or {}).items()}
    return ProcessSchedule(process(alpha, sigma, until, known))
