"""Langevin steps at the level where a step begins, written out over its evaluations and draws."""

from __future__ import annotations

from dataclasses import replace

from ..errors import DeriveError
from ..expr.tree import ONE, ZERO, Call, Expr, Symbol, exp
from ..program.model import Draw, Interval, Place, Row, Step, Term
from ..spec.model import Langevin

H = Symbol("h")


def langevin(step: Step, chain: Langevin, kappa: int) -> Step:
    """A step that begins with Langevin steps at its own level.

    y_0 = x_n, y_{k+1} = y_k + δ (α D(y_k) − y_k) + σ √(2δ) z (Song and Ermon 2019, Algorithm 1), and
    the step's rows start from the last of them; the chain is written out over x_n, the evaluations
    and the draws.

    Raises:
        DeriveError: a solver with history, or of another integrand than data.
    """
    if kappa != 1 or step.history or step.corrector or step.down or step.churn:
        raise DeriveError(
            'Langevin steps need integrand = "data", a solver without history, corrector, churn and '
            "ancestral part",
            ("langevin",),
        )
    rate, keep = chain.rate, 1 - chain.rate
    spread = Call("sqrt", (2 * rate,))
    here = Place(ZERO)
    states: list[Row] = []
    for k in range(1, chain.steps + 1):
        sources = ["n", *(f"langevin{j}" for j in range(1, k))]
        states.append(
            Row(
                f"langevin{k}",
                here,
                "lambda",
                tuple(Term(s, rate * keep ** (k - 1 - j)) for j, s in enumerate(sources)),
                keep**k,
                tuple(Draw(f"y{j}", spread * keep ** (k - j)) for j in range(1, k + 1)),
            )
        )
    last = states[-1]
    moved = [_from(row, last) for row in step.rows]
    parts = tuple(Interval(f"y{j}", ZERO, ZERO) for j in range(1, chain.steps + 1))
    if not any(term.source == last.name for row in moved for term in row.terms):
        states.pop()  # nothing asks for the model's value after the last Langevin step
    return replace(
        step,
        label=f"{chain.steps} Langevin step{'s' if chain.steps > 1 else ''}, then {step.label}",
        stages=(*states, *moved[: len(step.stages)]),
        final=moved[len(step.stages)],
        draws=(*parts, *step.draws),
    )


def langevin_to_zero(chain: Langevin) -> Step:
    """The step to σ = 0 after Langevin steps: the denoised value of the last of them."""
    end = Row("x", Place(ONE), "lambda", (Term("n", ONE),), ZERO)
    return langevin(Step("the denoised value", (), end), chain, 1)


def _times_exp(factor: Expr, exponent: Expr) -> Expr:
    """A factor times e^exponent, as one exponential where the factor is one."""
    if isinstance(factor, Call) and factor.name == "exp":
        return exp(factor.args[0] + exponent)
    return factor * exp(exponent)


def _from(row: Row, base: Row) -> Row:
    """A row whose start is another row at the same level, written out over the step's start."""
    if row.gauge != "lambda" or row.place.coordinate != "lambda":
        raise DeriveError('Langevin steps need coordinate = "lambda"', ("langevin",))
    propagated = _times_exp(row.decay, -row.place.fraction * H)
    own = tuple(replace(t, source=base.name if t.source == "n" else t.source) for t in row.terms)
    carried = tuple(Term(t.source, propagated * t.weight) for t in base.terms)
    # A draw's unit is σ where it is used: σ_n is e^{ch} of σ at the fraction c.
    noise = tuple(Draw(d.name, row.decay * d.weight) for d in base.noise)
    return replace(
        row, terms=(*carried, *own), decay=row.decay * base.decay, noise=(*noise, *row.noise)
    )
