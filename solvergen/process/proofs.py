"""What the sampling literature rests on, proved by sympy for any α(t) and σ(t).

Each proof reduces its statement to expressions that must vanish identically; `Proof.holds` says
whether sympy reduced every one of them to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from ..expr.time import T
from .equations import exact_data, probability_flow, reverse_sde, score_of
from .model import TAU, Process, S

X, X0, D, STEP = sp.Symbol("x"), sp.Symbol("x_0"), sp.Symbol("D"), sp.Symbol("Delta", positive=True)
A = sp.Function("alpha", positive=True)
SIGMA = sp.Function("sigma", positive=True)


@dataclass(frozen=True)
class Proof:
    """A statement and the expressions that vanish exactly when it is true.

    Args:
        name: identifier.
        statement: one sentence.
        residuals: (what it is, expression) pairs, already reduced.
    """

    name: str
    statement: str
    residuals: tuple[tuple[str, sp.Expr], ...]

    @property
    def holds(self) -> bool:
        """Whether every residual is 0."""
        return all(residual == 0 for _, residual in self.residuals)


class _Any(Process):
    """The process of undefined functions α(t) and σ(t): what holds for it holds for all."""

    def __init__(self) -> None:
        object.__setattr__(self, "alpha", A(T))
        object.__setattr__(self, "sigma", SIGMA(T))
        object.__setattr__(self, "values", {})

    @property
    def f(self) -> sp.Expr:
        return sp.diff(A(T), T) / A(T)

    @property
    def g2(self) -> sp.Expr:
        return sp.diff(SIGMA(T) ** 2, T) - 2 * self.f * SIGMA(T) ** 2


def _zero(*named: tuple[str, sp.Expr]) -> tuple[tuple[str, sp.Expr], ...]:
    return tuple((name, sp.simplify(expr)) for name, expr in named)


def diffusion_from_lambda() -> Proof:
    """g² = dσ²/dt − 2 f σ² = −2 σ² dλ/dt."""
    process = _Any()
    lam = sp.log(process.alpha / process.sigma)
    return Proof(
        "diffusion_from_lambda",
        "g² = dσ²/dt − 2 f σ² equals −2 σ² dλ/dt",
        _zero(("difference", process.g2 + 2 * process.sigma**2 * sp.diff(lam, T))),
    )


def transition_kernel() -> Proof:
    """N(α x0, σ²) solves the Fokker-Planck equation of dx = f x dt + g dW, and kernels compose."""
    process = _Any()
    a, s = process.alpha, process.sigma
    density = sp.exp(-((X - a * X0) ** 2) / (2 * s**2)) / s
    flow = -sp.diff(process.f * X * density, X) + process.g2 / 2 * sp.diff(density, X, 2)
    factor = a / a.subs(T, S)
    variance = s**2 - factor**2 * s.subs(T, S) ** 2
    return Proof(
        "transition_kernel",
        "x_t = α x0 + σ ε are the marginals of dx = f x dt + g dW, and x_t given x_s has the mean "
        "α_t/α_s x_s and the variance σ_t² − (α_t/α_s)² σ_s²",
        _zero(
            ("∂p/∂t − Fokker-Planck, over p", (sp.diff(density, T) - flow) / density),
            ("d(mean)/dt − f mean", sp.diff(factor, T) - process.f * factor),
            (
                "d(variance)/dt − 2 f variance − g²",
                sp.diff(variance, T) - 2 * process.f * variance - process.g2,
            ),
        ),
    )


def shared_marginals() -> Proof:
    """The reverse SDE of any strength τ, the ODE at τ = 0, keeps the marginals of the forward SDE.

    For any density p(x, t) in two dimensions, so that the divergence is not a derivative: run
    backwards in time, the Fokker-Planck equation of the reverse SDE is that of the forward one.
    """
    f, g = sp.Function("f")(T), sp.Function("g")(T)
    axes = sp.symbols("x_1 x_2")
    p = sp.Function("p", positive=True)(*axes, T)
    forward = sum(-sp.diff(f * x * p, x) + g**2 / 2 * sp.diff(p, x, 2) for x in axes)
    backward = sp.Integer(0)  # ∂p/∂(−t) under the reverse SDE
    for x in axes:
        drift = f * x - (1 + TAU**2) / 2 * g**2 * sp.diff(sp.log(p), x)
        backward += sp.diff(drift * p, x) + TAU**2 * g**2 / 2 * sp.diff(p, x, 2)
    return Proof(
        "shared_marginals",
        "dx = [f x − ½(1 + τ²) g² ∇log p] dt + τ g dW, run backwards, has the marginals of the forward "
        "SDE for every τ; τ = 0 is the probability-flow ODE",
        _zero(("forward + backward Fokker-Planck", forward + backward)),
    )


def forms_agree() -> Proof:
    """The ODE in the score, noise, data, velocity and v predictions is one ODE, at any strength."""
    process = _Any()
    a, s = process.alpha, process.sigma
    state = a * D + s * sp.Symbol("epsilon")
    epsilon = sp.Symbol("epsilon")
    meaning = {
        "score": -epsilon / s,
        "noise": epsilon,
        "data": D,
        "velocity": sp.diff(a, T) * D + sp.diff(s, T) * epsilon,
        "v": a * epsilon - s * D,
    }
    velocity = meaning["velocity"]
    found = []
    for prediction, value in meaning.items():
        drift = probability_flow(process, prediction)
        found.append((f"ODE, {prediction}", drift.state * state + drift.model * value - velocity))
        p, q = score_of(process, prediction)
        found.append((f"score, {prediction}", p * state + q * value + epsilon / s))
    return Proof(
        "forms_agree",
        "the probability-flow ODE is dx/dt = α' D + σ' ε in every prediction",
        _zero(*found),
    )


def ddpm_limit() -> Proof:
    """DDPM's chain x' = √(1 − βΔ) x + √(βΔ) z tends to the VP SDE dx = −½β x dt + √β dW."""
    beta = sp.Function("beta", positive=True)(T)
    factor, variance = sp.sqrt(1 - beta * STEP), beta * STEP
    alpha = sp.exp(-sp.Integral(sp.Function("beta", positive=True)(S), (S, 0, T)) / 2)
    sigma2 = 1 - alpha**2
    f = sp.diff(alpha, T) / alpha
    return Proof(
        "ddpm_limit",
        "DDPM's chain x_{k+1} = √(1 − βΔ) x_k + √(βΔ) z has the limit dx = −½β x dt + √β dW as Δ → 0, "
        "and that is the process α = exp(−½∫β), σ² = 1 − α²",
        _zero(
            ("lim (factor − 1)/Δ − f", _rate(factor) - f),
            ("lim variance/Δ − g²", _rate(variance) - (sp.diff(sigma2, T) - 2 * f * sigma2)),
        ),
    )


def ncsn_limit() -> Proof:
    """NCSN's chain x' = x + √(σ(t+Δ)² − σ(t)²) z tends to the VE SDE dx = √(dσ²/dt) dW."""
    sigma = SIGMA
    variance = sigma(T + STEP) ** 2 - sigma(T) ** 2
    return Proof(
        "ncsn_limit",
        "NCSN's chain x_{k+1} = x_k + √(σ_{k+1}² − σ_k²) z has the limit dx = √(dσ²/dt) dW",
        _zero(("lim variance/Δ − g²", _rate(variance) - sp.diff(sigma(T) ** 2, T))),
    )


def chain_limit() -> Proof:
    """The chain of the transition kernels of any process tends to its SDE."""
    process = _Any()
    factor = A(T + STEP) / A(T)
    variance = SIGMA(T + STEP) ** 2 - factor**2 * SIGMA(T) ** 2
    return Proof(
        "chain_limit",
        "x_{k+1} = (α_{k+1}/α_k) x_k + √(σ_{k+1}² − (α_{k+1}/α_k)² σ_k²) z has the limit "
        "dx = f x dt + g dW",
        _zero(
            ("lim (factor − 1)/Δ − f", _rate(factor) - process.f),
            ("lim variance/Δ − g²", _rate(variance) - process.g2),
        ),
    )


def _rate(expr: sp.Expr) -> sp.Expr:
    """lim (F(Δ) − F(0))/Δ as Δ → 0: the derivative at 0."""
    return sp.diff(expr, STEP).subs(STEP, 0).doit()


def ddim_exact() -> Proof:
    """DDIM solves the ODE exactly while D is frozen."""
    process = _Any()
    ratio, share = exact_data(process)
    solution = ratio * X0 + share * D
    drift = probability_flow(process, "data")
    return Proof(
        "ddim_exact",
        "x_t = (σ_t/σ_s) x_s + (α_t − α_s σ_t/σ_s) D solves the ODE for a frozen D, from x_s",
        _zero(
            ("dx/dt − drift", sp.diff(solution, T) - drift.state * solution - drift.model * D),
            ("x_s − start", solution.subs(T, S) - X0),
        ),
    )


def sde_exact() -> Proof:
    """The step of strength τ for a frozen D: its mean and its variance are exact."""
    process = _Any()
    a, s = process.alpha, process.sigma
    # e^{−h} = (σ_t α_s)/(σ_s α_t), with h the step in λ
    shrink = s * a.subs(T, S) / (s.subs(T, S) * a)
    keep = a / a.subs(T, S) * shrink ** (1 + TAU**2)
    mean = keep * X0 + a * (1 - shrink ** (1 + TAU**2)) * D
    variance = s**2 * (1 - shrink ** (2 * TAU**2))
    drift = reverse_sde(process, "data")
    return Proof(
        "sde_exact",
        "for a frozen D the reverse SDE of strength τ has the mean α_t D + e^{−(1+τ²)h} (α_t/α_s)(x_s − "
        "α_s D) and the variance σ_t² (1 − e^{−2τ²h})",
        _zero(
            ("d(mean)/dt − drift", sp.diff(mean, T) - drift.state * mean - drift.model * D),
            ("mean − start at s", mean.subs(T, S) - X0),
            (
                "d(variance)/dt − 2 a variance + τ² g²",
                sp.diff(variance, T) - 2 * drift.state * variance + TAU**2 * process.g2,
            ),
            ("variance at s", variance.subs(T, S)),
        ),
    )


PROOFS: tuple[Callable[[], Proof], ...] = (
    diffusion_from_lambda,
    transition_kernel,
    chain_limit,
    ddpm_limit,
    ncsn_limit,
    shared_marginals,
    forms_agree,
    ddim_exact,
    sde_exact,
)


def proofs() -> list[Proof]:
    """All of them, computed anew."""
    return [prove() for prove in PROOFS]
