"""Coordinates: the variable of a rule's polynomial, and its exact moments against the integrand.

Three classes cover every case. In λ the moments are φ-functions; in the integrand's own clock they
are plain powers; in any other variable y(λ) they are integrals that have no useful closed form, kept
as `moment` and evaluated to rounding by quadrature in the emitted file.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial

from sympy import Expr, Function, Symbol, exp

from ...errors import DeriveError
from ...expr import functions as of_step
from ...expr.arithmetic import ONE, ZERO, multiply, power, quotient
from ...expr.functions import expm1, lift, log1p, phi, sqrt
from ...program.row import KAPPA, Place, past_offset
from ...spec.model import Schedule
from ...spec.text.locate import Path as KeyPath

LAM, H = Symbol("lam"), Symbol("h")


@dataclass(frozen=True)
class Coordinate:
    """A resolved coordinate.

    Args:
        kind: "lambda", "clock" or "other".
        gauge: the gauge in which its weights are written.
        offsets: prefix of its history symbols (``theta``, ``Theta``, ``eta``, ``eta2_`` …).
        expression: y as an expression in ``lam``, for kind "other".
        number: which of the solver's further coordinates it is, from 1; 0 for λ and the clock.
    """

    kind: str
    gauge: str
    offsets: str
    expression: Expr | None = None
    number: int = 0

    def function(self, kind: type[Function], *args: object) -> Expr:
        """A function of this further coordinate."""
        return of_step.in_coordinate(kind, self.number, *args)


def resolve(
    name: str,
    integrand: str,
    schedule: Schedule | None,
    where: KeyPath = ("coordinate",),
    known: list[Expr] | None = None,
) -> Coordinate:
    """The coordinate that a name means for an integrand; `where` is the key that names it.

    A further coordinate has a number among those `known`, which a new one is added to.

    Raises:
        DeriveError: sigma or t without a declared schedule where they would need one.
    """
    own_clock = {"data": "rho", "noise": "s", "velocity": "tau"}[integrand]
    if name == "lambda" and integrand != "velocity":
        return Coordinate("lambda", "lambda", "theta")
    name = _plain(name, schedule)
    if name in ("clock", own_clock):
        return Coordinate("clock", "clock", "Theta")
    expression, known = _expression(name, schedule, where), [] if known is None else known
    if expression not in known:
        known.append(expression)
    number = known.index(expression) + 1
    return Coordinate("other", "clock", past_offset(number), expression, number)


def _plain(name: str, schedule: Schedule | None) -> str:
    """σ and t under x = x0 + σ ε (the default) are the noise clock s = e^{−λ}, under flow τ."""
    kind = "ve" if schedule is None else schedule.name
    return {"ve": "s", "flow": "tau"}.get(kind, name) if name in ("sigma", "t") else name


def located(
    at: Expr,
    name: str,
    integrand: str,
    schedule: Schedule | None,
    where: KeyPath,
    known: list[Expr] | None = None,
) -> Place:
    """A fraction of the step in some coordinate as a place in λ or in the integrand's clock.

    Raises:
        DeriveError: sigma or t without a declared schedule where they would need one.
    """
    kind, plain = resolve(name, integrand, schedule, where).kind, _plain(name, schedule)
    if name == "lambda" or kind != "other" or at == ONE:
        return Place(at, "lambda" if name == "lambda" else "clock")
    if plain in ("rho", "s"):
        return _in_own_variables(at, plain, integrand)
    coordinate = resolve(name, integrand, schedule, where, known)
    return Place(coordinate.function(of_step.fraction, at))


def further(place: Place) -> int:
    """The number of the further coordinate in which a place is a fraction of the step, or 0."""
    inside = isinstance(place.fraction, of_step.fraction)
    return of_step.number_of(place.fraction) if inside else 0


def _expression(name: str, schedule: Schedule | None, where: KeyPath) -> Expr:
    """y(λ) of a coordinate other than λ and the integrand's clock."""
    direct: dict[str, Expr] = {
        "lambda": LAM,
        "rho": exp(LAM),
        "s": exp(-LAM),
        "tau": 1 / (1 + exp(LAM)),
    }
    if name in direct:
        return direct[name]
    if schedule is not None and schedule.alpha is not None:
        from ..own_schedule import expression

        return expression(name, schedule, where)
    if schedule is None or schedule.name not in ("vp", "vp-linear", "cosine"):
        raise DeriveError(f"the coordinate `{name}` needs a [schedule]", where)
    if name == "sigma":
        return 1 / sqrt(1 + exp(2 * LAM))
    if schedule.name == "vp-linear":
        return _linear_time(schedule.beta_min, schedule.beta_max)
    raise DeriveError(
        f"t of the schedule `{schedule.name}` is not defined here; use vp-linear, or lambda",
        where,
    )


def _linear_time(beta_min: Fraction, beta_max: Fraction) -> Expr:
    """t of the VP schedule with linear β: −2 log α = β_min t + (β_max − β_min) t²/2."""
    low, slope = lift(beta_min), lift(beta_max - beta_min)
    minus_two_log_alpha = log1p(exp(-2 * LAM))
    root = sqrt(low * low + 2 * slope * minus_two_log_alpha)
    return 2 * minus_two_log_alpha / (low + root)


def offset(coordinate: Coordinate, place: Place, integrand: str) -> Expr:
    """Offset of a place of the step in a coordinate, in units of the step."""
    kappa = KAPPA[integrand]
    if place.fraction in (ZERO, ONE):
        return place.fraction
    if coordinate.kind == "lambda":
        return place.lam(kappa)
    if coordinate.kind == "clock":
        return place.clock(kappa)
    if further(place) == coordinate.number:
        return place.fraction.args[0]
    return coordinate.function(of_step.offset, place.lam(kappa))


def _in_own_variables(at: Expr, clock: str, integrand: str) -> Place:
    """A fraction of the step in ρ = e^λ or s = e^−λ as a place in the integrand's clock or in λ."""
    sign = {"rho": 1, "s": -1}[clock]
    if KAPPA[integrand] == sign:
        return Place(at, "clock")
    return Place(log1p(multiply(at, expm1(sign * H))) / (sign * H))


def moments(
    coordinate: Coordinate, place: Place, kappa: int | Expr, count: int
) -> tuple[Expr, list[Expr]]:
    """Moments ∫ ξ^m over the part of the step up to a place, in the coordinate's gauge.

    Returns:
        A common factor and the moments without it. In λ: c h and m! c^m φ_{m+1}(−κch); in the
        clock: C and C^m/(m+1); otherwise 1 and ``moment(m, c)``.
    """
    if coordinate.kind == "lambda":
        c = place.lam(kappa)
        return c * H, [
            multiply(lift(factorial(m)), power(c, m), phi(m + 1, -kappa * c * H))
            for m in range(count)
        ]
    if coordinate.kind == "clock":
        at = place.clock(kappa)
        return at, [quotient(power(at, m), lift(m + 1)) for m in range(count)]
    at = place.lam(kappa)
    return ONE, [coordinate.function(of_step.moment, m, at) for m in range(count)]
