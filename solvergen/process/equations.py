"""The differential equations of a process, in the prediction that a model makes.

All follow from dx = f x dt + g dW and the score ∇log p_t = −ε/σ = (α D − x)/σ² of the denoised
prediction D and the noise prediction ε, with x = α D + σ ε.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from ..expr.time import T
from .model import TAU, Process, S, simplified


@dataclass(frozen=True)
class Drift:
    """A drift a x + b m, linear in the state x and in what a model predicts, m.

    Args:
        prediction: "score", "noise", "data", "velocity" or "v".
        state, model: the factors a and b, functions of t.
    """

    prediction: str
    state: sp.Expr
    model: sp.Expr


# The letter of each prediction in formulas.
LETTERS = {"score": "S", "noise": "epsilon", "data": "D", "velocity": "u", "v": "v"}


def score_of(process: Process, prediction: str) -> tuple[sp.Expr, sp.Expr]:
    """The score as a x + b m for a prediction m.

    velocity is u = α' D + σ' ε = dx/dt, the target of flow matching; v is α ε − σ D.
    """
    a, s = process.alpha, process.sigma
    da, ds = sp.diff(a, T), sp.diff(s, T)
    if prediction == "score":
        return sp.Integer(0), sp.Integer(1)
    # ε = p x + q m in each prediction, and the score is −ε/σ.
    p, q = {
        "noise": (sp.Integer(0), sp.Integer(1)),
        "data": (1 / s, -a / s),
        "velocity": (-da / (a * ds - da * s), a / (a * ds - da * s)),
        "v": (s / (a**2 + s**2), a / (a**2 + s**2)),
    }[prediction]
    return -p / s, -q / s


def probability_flow(process: Process, prediction: str) -> Drift:
    """dx/dt = f x − ½ g² ∇log p in a prediction: the ODE that shares the SDE's marginals.

    Source: Song et al. 2021, Eq. 13.

    >>> from solvergen.process import named
    >>> probability_flow(named("flow"), "velocity")
    Drift(prediction='velocity', state=0, model=1)
    """
    return _drift(process, prediction, process.g2 / 2)


def reverse_sde(process: Process, prediction: str) -> Drift:
    """The drift of the reverse SDE dx = [f x − ½(1 + τ²) g² ∇log p] dt + τ g dW of strength τ.

    τ = 0 is the ODE, τ = 1 Anderson's reverse of the forward SDE.
    """
    return _drift(process, prediction, (1 + TAU**2) * process.g2 / 2)


def _drift(process: Process, prediction: str, weight: sp.Expr) -> Drift:
    state, model = score_of(process, prediction)
    return Drift(prediction, simplified(process.f - weight * state), simplified(-weight * model))


def exact_data(process: Process) -> tuple[sp.Expr, sp.Expr]:
    """Factors on x_s and D of the exact solution for a frozen D: σ_t/σ_s and α_t − α_s σ_t/σ_s.

    This is DDIM: Song, Meng and Ermon 2021, Eq. 12 with η = 0.
    """
    ratio = simplified(process.sigma / process.sigma.subs(T, S))
    return ratio, simplified(process.alpha - process.alpha.subs(T, S) * ratio)


def posterior(process: Process) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Factors on x_t and x0 of the mean of x_s given both, s < t, and its variance (DDPM, Eq. 6-7)."""
    factor, variance = process.transition
    alpha, sigma = process.alpha.subs(T, S), process.sigma.subs(T, S)
    end = process.sigma**2
    return (
        simplified(factor * sigma**2 / end),
        simplified(alpha * variance / end),
        simplified(variance * sigma**2 / end),
    )
