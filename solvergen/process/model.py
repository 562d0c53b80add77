"""A diffusion process x_t = α(t) x0 + σ(t) ε and what follows from its two functions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import mpmath
import sympy as sp

from ..errors import SolvergenError
from ..expr.time import T
from .bounds import within
from .inverse import time_of
from .numbers import Function, function_of
from .text import expression, parameter

SIMPLIFY = 600_000  # Python calls that one simplification may take
PROBES = 24  # points at which a process is checked
S, LAM, TAU = sp.Symbol("s", positive=True), sp.Symbol("lambda", real=True), sp.Symbol("tau")


class ProcessError(SolvergenError):
    """Functions of time that make no diffusion process, or that lack the value of a parameter."""


def simplified(expr: sp.Expr) -> sp.Expr:
    """An expression made shorter where that takes sympy little time, or as it is."""
    return _shorter(expr, within(SIMPLIFY, lambda: sp.simplify(expr, measure=_length)))


def _shorter(expr: sp.Expr, other: sp.Expr | None) -> sp.Expr:
    return other if other is not None and _length(other) <= _length(expr) else expr


def _length(expr: sp.Expr) -> int:
    """How long an expression reads: operations, and more for products and powers inside a logarithm."""
    inside = [node for node in expr.atoms(sp.log) if isinstance(node.args[0], sp.Pow | sp.Mul)]
    return int(expr.count_ops()) + 4 * len([node for node in inside if not _quotient(node.args[0])])


def _quotient(expr: sp.Expr) -> bool:
    """Whether an expression is one symbol over another, whose logarithm reads best as it is."""
    above, below = sp.fraction(expr)
    return bool(above.is_Symbol and below.is_Symbol)


@dataclass(frozen=True)
class Process:
    """x_t = α(t) x0 + σ(t) ε for t from 0 to `until`.

    Args:
        alpha: α(t) > 0, an expression in `T`; it may reach 0 at the end.
        sigma: σ(t) > 0; it may be 0 at the start.
        until: the last time.
        values: what the parameters are where numbers are needed.
        name, title, source: for people.

    Raises:
        ProcessError: α or σ is not positive, or α/σ does not fall, between 0 and `until`.

    >>> flow = Process(1 - T, T)
    >>> flow.f, flow.g2, flow.time
    (1/(t - 1), -2*t/(t - 1), 1/(exp(lambda) + 1))
    """

    alpha: sp.Expr
    sigma: sp.Expr
    until: sp.Expr = field(default=sp.Integer(1))
    values: Mapping[str, Fraction] = field(default_factory=dict, compare=False)
    name: str = ""
    title: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for key in ("alpha", "sigma", "until"):
            object.__setattr__(self, key, expression(getattr(self, key), key))
        if self.until.has(T):
            raise ProcessError(f"until is the last time; found {self.until}, which depends on t")
        if not self.missing:
            self._check()

    # -- what is derived ---------------------------------------------------------------------

    @cached_property
    def ratio(self) -> sp.Expr:
        """σ/α, the noise level."""
        return simplified(self.sigma / self.alpha)

    @cached_property
    def lam(self) -> sp.Expr:
        """λ = log(α/σ), half the logarithm of the signal-to-noise ratio."""
        whole = -sp.log(self.ratio)
        return _shorter(whole, sp.expand_log(whole, force=True))

    @cached_property
    def time(self) -> sp.Expr | None:
        """t(λ) where sympy finds it in closed form, or ``None``; `Schedule.time` always exists."""
        forms = (self.ratio, simplified(self.ratio**2))
        found = time_of(forms, LAM, self._is_inverse)
        if found is None or any(power.exp == sp.S.Half for power in found.atoms(sp.Pow)):
            return found  # in the form of a root that does not cancel
        return simplified(found)

    @cached_property
    def f(self) -> sp.Expr:
        """The drift f = α'/α of dx = f x dt + g dW."""
        return simplified(sp.diff(self.alpha, T) / self.alpha)

    @cached_property
    def g2(self) -> sp.Expr:
        """The squared diffusion g² = dσ²/dt − 2 f σ² = −2 σ² dλ/dt."""
        return simplified(sp.diff(self.sigma**2, T) - 2 * self.f * self.sigma**2)

    @cached_property
    def transition(self) -> tuple[sp.Expr, sp.Expr]:
        """Factor and variance of x_t given x_s, s < t: α_t/α_s and σ_t² − (α_t/α_s)² σ_s²."""
        factor = simplified(self.alpha / self.alpha.subs(T, S))
        return factor, simplified(self.sigma**2 - factor**2 * self.sigma.subs(T, S) ** 2)

    # -- numbers -----------------------------------------------------------------------------

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, in alphabetical order."""
        found = (self.alpha.free_symbols | self.sigma.free_symbols | self.until.free_symbols) - {T}
        return tuple(sorted(symbol.name for symbol in found))

    @property
    def missing(self) -> tuple[str, ...]:
        """Parameters without a value."""
        return tuple(name for name in self.parameters if name not in self.values)

    def numeric(self, expr: sp.Expr) -> sp.Expr:
        """An expression with the values of the parameters in it.

        Raises:
            ProcessError: a parameter has none.
        """
        if self.missing:
            given = " ".join(f"--value {name}=…" for name in self.missing)
            raise ProcessError(
                f"no value for {', '.join(self.missing)}; give one ({given}, or values= in Python)"
            )
        known = {
            parameter(k): sp.Rational(v.numerator, v.denominator) for k, v in self.values.items()
        }
        return expr.subs(known)

    def probes(self) -> list[mpmath.mpf]:
        """Times strictly between 0 and `until`, dense at both ends."""
        last = mpmath.mpf(self.numeric(self.until).evalf(30))
        shares = [mpmath.mpf(2) ** -k / 2 for k in range(1, PROBES // 2)]
        return [last * share for share in (*reversed(shares), 0.5, *(1 - s for s in shares))]

    def _check(self) -> None:
        with mpmath.workdps(30):
            times = self.probes()
            before = None
            pair = [
                (name, function_of(self.numeric(getattr(self, name))))
                for name in ("alpha", "sigma")
            ]
            for t in times:
                alpha, sigma = (self._positive(name, value, t) for name, value in pair)
                lam = mpmath.log(alpha / sigma)
                if before is not None and not lam < before:
                    raise ProcessError(
                        f"alpha/sigma does not fall with t: log(alpha/sigma) is {mpmath.nstr(lam, 6)} "
                        f"at t = {mpmath.nstr(t, 6)} and was {mpmath.nstr(before, 6)} before; t = 0 is "
                        "the data and noise grows from there to t = until"
                    )
                before = lam

    def _positive(self, name: str, function: Function, t: object) -> mpmath.mpf:
        try:
            value = function(t)
        except (ArithmeticError, ValueError) as error:
            raise ProcessError(
                f"{name} = {getattr(self, name)} has no value at t = {mpmath.nstr(t, 6)}: {error}"
            ) from None
        if not isinstance(value, mpmath.mpf) or not mpmath.isfinite(value) or value <= 0:
            raise ProcessError(
                f"{name} = {getattr(self, name)} is {mpmath.nstr(value, 6)} at t = "
                f"{mpmath.nstr(t, 6)}; alpha and sigma must be positive between t = 0 and "
                f"t = {self.until}"
            )
        return value

    def _is_inverse(self, candidate: sp.Expr) -> bool:
        """Whether t(λ(t)) = t to 20 digits at all probes, which other branches are not."""
        with mpmath.workdps(30):
            inverse = function_of(self.numeric(candidate), LAM)
            lam = function_of(self.numeric(self.lam))
            for t in self.probes():
                try:
                    found = inverse(lam(t))
                except (ArithmeticError, ValueError):
                    return False
                if abs(found - t) > abs(t) * mpmath.mpf(10) ** -18:
                    return False
        return True
