"""A strength turns a deterministic step into its stochastic form: kernel, variances, shared draws.

With σ̃ = σ/α = e^{−λ}, u = x/α and A = 1 + τ², the reverse SDE of strength τ is

    du = −A (u − D) dλ + √2 τ σ̃ dW          in the data form, and
    du = (u − A ε) dλ + √2 τ dW              in the noise form, u = x/σ

so that a step of the data form is the ODE's with A h in place of h, and noise of variance
σ̃² (1 − e^{−2τ²h}); a step of the noise form has its weights multiplied by A, and noise of variance
σ² τ² (e^{2h} − 1) (Xue et al. 2023, arXiv:2309.05019, section 4).
"""

from __future__ import annotations

from dataclasses import replace

from sympy import Expr, Symbol, exp

from ...errors import DeriveError
from ...expr import functions
from ...expr.arithmetic import ONE, ZERO, multiply, subtract, symbols, walk
from ...expr.functions import lift, log1p, minimum, sqrt
from ...expr.printing import show
from ...program.row import Row
from ...program.step import Condition, Interval, Step
from ...spec.model import Noise
from .ancestral import ancestral, possible, splits
from .draws import H, fraction_in_lambda, scaled, stretched, with_draws


def noisy(step: Step, noise: Noise, kappa: int) -> Step:
    """The stochastic form of a deterministic step.

    Args:
        step: exact rows of one kind of step.
        noise: form and strength, from the spec.
        kappa: +1 data, −1 noise, 0 velocity.

    Raises:
        DeriveError: a rule whose stochastic form does not follow from the strength.

    >>> from solvergen.program.row import Place, Term
    >>> row = Row("x", Place(lift(1)), "lambda", (Term("n", Symbol("h")),))
    >>> one = noisy(Step("", (), row), Noise("sde"), 1).final
    >>> str(one.decay), [str(d.weight) for d in one.noise], [str(t.weight) for t in one.terms]
    ('exp(-h)', ['sqrt(-expm1(-2*h))'], ['2*h'])
    """
    _check(step, noise, kappa)
    strength, lets = _windowed(noise)
    if noise.form == "explicit":
        return replace(step, draws=_first_uses(step.rows), positive=_stated(step.rows))
    if noise.form == "churn":
        return _churned(step, strength, noise, lets)
    if noise.form == "ancestral" and noise.stages == "inside":
        return ancestral(step, noise)
    if noise.form == "sde":
        rows, kernel = {row.name: _sde(row, strength, kappa) for row in step.rows}, 1 + strength**2
        positive = _opens(noise)
    else:
        rows, descents = splits(step, strength, kappa)
        lets, kernel = (*lets, *descents), lift(2) if strength == ONE else ONE
        positive = (*possible(noise), *_opens(noise))
    made = with_draws(step, rows, strength, noise, kappa)
    kernel = kernel if kappa == 1 else ONE
    return replace(made, kernel=kernel, positive=positive, lets=(*step.lets, *lets))


def _check(step: Step, noise: Noise, kappa: int) -> None:
    """Refuse a step whose stochastic form does not follow from a strength."""
    if kappa == 0 and noise.form in ("sde", "ancestral"):
        raise DeriveError(
            'noise needs integrand = "data" or "noise"; for a flow, data is the same ODE',
            ("noise",),
        )
    if step.coordinates and noise.form != "explicit":
        raise DeriveError(
            "noise follows from a strength in lambda and in the integrand's clock only; for another "
            'coordinate give decay and noise yourself with form = "explicit"',
            ("coordinate",),
        )


def _windowed(noise: Noise) -> tuple[Expr, tuple[tuple[str, Expr], ...]]:
    """The strength, through a scalar of the step when it holds inside a window only."""
    if not noise.window:
        return noise.strength, ()
    low, high = noise.window
    level = Symbol("sigma" if noise.window_at == "start" else "sigma_next")
    inside = functions.between(low, level, high)
    return Symbol("strength"), (("strength", multiply(noise.strength, inside)),)


def _opens(noise: Noise) -> tuple[Condition, ...]:
    """A window's least value is not above its greatest.

    Raises:
        DeriveError: numbers that are the other way round.
    """
    if not noise.window:
        return ()
    low, high = noise.window
    width = subtract(high, low)
    if width.is_Rational and width < 0:
        raise DeriveError("a window is its least value, then its greatest", ("noise", "window"))
    text = "the window of the strength ends below where it begins"
    return () if width.is_Rational else (Condition(width, text, strict=False),)


def _sde(row: Row, strength: Expr, kappa: int) -> Row:
    """The drift of the reverse SDE."""
    c, excess = fraction_in_lambda(row, "sde"), strength**2
    factor = 1 + excess
    if kappa == -1:
        return replace(row, terms=scaled(row.terms, factor))
    return replace(row, terms=stretched(row.terms, factor * H), decay=exp(-excess * c * H))


def _churned(step: Step, strength: Expr, noise: Noise, lets: tuple[tuple[str, Expr], ...]) -> Step:
    """EDM's churn: σ̂ = (1 + γ) σ with γ = min(S_churn/N, √2 − 1) (Karras et al. 2022, Algorithm 2)."""
    if step.history or step.corrector:
        raise DeriveError(
            "churn changes the level of the first evaluation, so that past ones do not fit; it "
            "needs a solver without history and PEC corrector",
            ("noise", "form"),
        )
    cap = sqrt(lift(2)) - 1
    share = minimum(strength / Symbol("steps"), cap)
    raised = log1p(Symbol("raised"))
    text = "churn must not be negative; it is {raised}"
    return replace(
        step,
        lets=(*lets, ("raised", share)),
        churn=raised,
        churn_scale=noise.scale,
        positive=(Condition(Symbol("raised"), text, strict=False), *_opens(noise)),
    )


def _first_uses(rows: tuple[Row, ...]) -> tuple[Interval, ...]:
    """Draws of explicit rows, each belonging to the step up to the first row that uses it."""
    ends: dict[str, Expr] = {}
    for row in rows:
        for draw in row.noise:
            ends.setdefault(draw.name, ONE if row.place.is_end else row.place.fraction)
    return tuple(Interval(name, ZERO, end) for name, end in ends.items())


def _stated(rows: tuple[Row, ...]) -> tuple[Condition, ...]:
    """What explicit draws need: roots of numbers that are not negative, as far as σ/α decides it."""
    roots = {
        (draw.name, node.args[0])
        for row in rows
        for draw in row.noise
        for node in walk(draw.weight)
        if isinstance(node, sqrt)
    }
    return tuple(
        Condition(inside, f"the draw {name} needs {show(inside)} >= 0", strict=False)
        for name, inside in sorted(roots, key=lambda root: (root[0], show(root[1])))
        if symbols(inside) & {"sigma", "sigma_next"}
        and symbols(inside) - {"h", "sigma", "sigma_next"}
    )
