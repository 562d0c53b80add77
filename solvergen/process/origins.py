"""A process from what it is known by: α(t) and σ(t), β(t), or f(t) and g(t)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TypeAlias

import sympy as sp

from ..expr.time import T
from .bounds import within
from .model import Process, ProcessError, simplified
from .numbers import SAME
from .text import expression

INTEGRATE = 1_500_000  # Python calls that one integral may take
Given: TypeAlias = "str | sp.Expr"
_U = sp.Symbol("u", positive=True)


def process(
    alpha: Given,
    sigma: Given,
    until: Given = "1",
    values: Mapping[str, Fraction] | None = None,
    **people: str,
) -> Process:
    """The process of α(t) and σ(t), strings or sympy expressions.

    Args:
        alpha, sigma: the factors on x0 and on the noise.
        until, values, people: see `Process`.
    """
    pair = expression(alpha, "alpha"), expression(sigma, "sigma")
    return Process(*pair, expression(until, "until"), values or {}, **people)


def from_beta(
    beta: Given, until: Given = "1", values: Mapping[str, Fraction] | None = None, **people: str
) -> Process:
    """The variance-preserving process of dx = −β x/2 dt + √β dW: α = exp(−½∫β), σ² = 1 − α².

    Args:
        beta: β(t) > 0.
        until, values, people: see `Process`.

    Source: Song et al. 2021, Eq. 11 and 29.

    >>> from_beta("2").alpha, from_beta("2").sigma
    (exp(-t), sqrt(1 - exp(-2*t)))
    """
    whole = _integral(expression(beta, "beta"))
    return Process(
        sp.exp(-whole / 2),
        sp.sqrt(1 - sp.exp(-whole)),
        expression(until, "until"),
        values or {},
        **people,
    )


def from_drift(
    f: Given,
    g: Given,
    until: Given = "1",
    values: Mapping[str, Fraction] | None = None,
    **people: str,
) -> Process:
    """The process of dx = f x dt + g dW from the data at t = 0: α = exp(∫f), σ² = α² ∫ g²/α².

    Args:
        f: the drift's factor f(t).
        g: the diffusion g(t).
        until, values, people: see `Process`.

    >>> from_drift("0", "sqrt(2*t)").sigma
    t
    """
    drift, diffusion = expression(f, "f"), expression(g, "g")
    alpha = simplified(sp.exp(_integral(drift)))
    variance = simplified(alpha**2 * _integral(simplified(diffusion**2 / alpha**2)))
    return Process(
        alpha, simplified(sp.sqrt(variance)), expression(until, "until"), values or {}, **people
    )


def _integral(integrand: sp.Expr) -> sp.Expr:
    """∫_0^t, in closed form where sympy finds it within the bound, else as it is written."""
    whole = sp.Integral(integrand.subs(T, _U), (_U, 0, T))
    found = within(INTEGRATE, lambda: whole.doit())
    if found is None or found.has(sp.Integral, sp.Piecewise) or not _elementary(found):
        return whole
    if found.has(sp.oo, sp.zoo, sp.nan):
        raise ProcessError(f"the integral of {integrand} from t = 0 does not exist")
    return sp.expand(found) if found.is_polynomial(T) else found


def _elementary(expr: sp.Expr) -> bool:
    """Whether all functions in an expression are ones that numbers are taken of."""
    return all(type(node).__name__ in SAME for node in expr.atoms(sp.Function))
