"""Ancestral noise: the step goes down to a level below its own, and noise brings the state back."""

from __future__ import annotations

from dataclasses import replace

from sympy import Expr, Symbol, exp

from ...errors import DeriveError
from ...expr.arithmetic import ONE, ZERO, multiply, quotient
from ...expr.functions import expm1, log, log1p, minimum, sqrt
from ...program.row import Draw, Row
from ...program.step import Condition, Interval, Step
from ...spec.model import Noise
from .draws import H, fraction_in_lambda, scaled, stretched


def splits(
    step: Step, strength: Expr, kappa: int
) -> tuple[dict[str, Row], tuple[tuple[str, Expr], ...]]:
    """Rows that each go down to a level below their own, from which their noise brings them back."""
    lets: dict[str, Expr] = {}
    rows = {}
    for row in step.rows:
        c = fraction_in_lambda(row, "ancestral")
        length, ratio = _descent(strength, c * H)
        if strength != ONE:
            name = "down" if row.place.is_end else f"down{len(lets) + 1}"
            lets[name] = length
            length, ratio = Symbol(name), exp(c * H - Symbol(name))
        terms = stretched(row.terms, quotient(length, c))
        if kappa == -1:  # weights are in units of σ, which is lower by this ratio down there
            terms = scaled(terms, ratio)
        rows[row.name] = replace(row, terms=terms, decay=ratio if kappa == 1 else ONE)
    return rows, tuple(lets.items())


def _kept(strength: Expr, length: Expr) -> Expr:
    """σ_down² over σ², 1 − η² (1 − e^{−2h}), as a sum whose terms are positive up to η = 1.

    That difference itself would vanish in float64 at η = 1 where steps are long.
    """
    return multiply(1 - strength, 1 + strength) + multiply(strength**2, exp(-2 * length))


def _descent(strength: Expr, length: Expr) -> tuple[Expr, Expr]:
    """How far in λ the deterministic part of an ancestral step goes, and σ_down over σ.

    σ_up² = η² σ² (1 − e^{−2h}), σ_down² = σ² − σ_up² (Karras et al. 2022, k-diffusion).
    """
    if strength == ONE:
        return 2 * length, exp(-length)
    gained = multiply(1 - strength, 1 + strength, expm1(2 * length))
    down = 2 * length - log1p(gained) / 2
    return down, sqrt(_kept(strength, length))


def ancestral(step: Step, noise: Noise) -> Step:
    """The step runs to the lower level; its final row then gets noise up to the grid's."""
    lets = step.lets
    lower: Expr = Symbol("lower")
    if noise.down is not None:
        lets = (*lets, ("lower", noise.down))
        down: Expr = log(Symbol("sigma") / lower)
        kept = minimum(ONE, lower / Symbol("sigma_next"))
        up: Expr = sqrt(1 - kept**2)
    else:
        down, ratio = _descent(noise.strength, H)
        lower = Symbol("sigma_next") * ratio
        up = multiply(noise.strength, sqrt(-expm1(-2 * H)))
    final = replace(step.final, noise=(Draw("z1", Symbol("up")),))
    if step.corrector:
        raise DeriveError("an ancestral step has no corrector here", ("corrector",))
    lets = (*lets, ("up", multiply(noise.scale, up)))
    parts = (Interval("z1", ZERO, ONE),)
    positive = possible(noise)
    step = replace(step, final=final, lets=lets, down=down, lower=lower)
    return replace(step, draws=parts, positive=positive)


def possible(noise: Noise) -> tuple[Condition, ...]:
    """What an ancestral step needs: less variance than its level has."""
    if noise.down is not None:
        text = "the lower level must lie above 0 and not above sigma / alpha = {q1}"
        lower = Symbol("lower")
        kept = 1 - lower / Symbol("sigma_next")
        return (Condition(lower, text), Condition(kept, text, strict=False))
    if noise.strength.is_Rational and 0 <= noise.strength <= 1:
        return ()
    text = "the strength must be below {math.sqrt(-1 / math.expm1(-2 * h)):.6g}"
    return (Condition(_kept(noise.strength, H), text),)
