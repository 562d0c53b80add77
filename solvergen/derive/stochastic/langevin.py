"""Langevin steps at the level where a step begins: a chain before its rows, or one in its last row."""

from __future__ import annotations

from dataclasses import replace

from sympy import Expr, Symbol, exp

from ...errors import DeriveError
from ...expr.arithmetic import ONE, ZERO, multiply
from ...expr.functions import lift, sqrt
from ...program.row import Draw, Place, Row, Term
from ...program.step import CHAIN, Chain, Interval, Step
from ...spec.model import Langevin

H, LAST = Symbol("h"), "y"


def langevin(step: Step, asked: Langevin, kappa: int) -> Step:
    """A step that begins with Langevin steps at its own level.

    y_0 = x_n, y_{k+1} = y_k + δ (α D(y_k) − y_k) + σ √(2δ) z (Song and Ermon 2019, Algorithm 1), and
    the step's rows start from the last of them. Where these ask for no value of the model there, the
    last Langevin step is part of them, so that its call is the last one at the level.

    Raises:
        DeriveError: a solver with history, or of another integrand than data.
    """
    if kappa != 1 or step.history or step.corrector or step.down or step.churn:
        raise DeriveError(
            'Langevin steps need integrand = "data", a solver without history, corrector, churn and '
            "ancestral part",
            ("langevin",),
        )
    chain = Chain(asked.steps, asked.rate, asked.snr)
    label = f"{asked.steps} Langevin step{'s' if asked.steps > 1 else ''}, then {step.label}"
    idle = not step.stages and not any(term.source == "n" for term in step.final.terms)
    if not (idle and asked.rate is not None):
        parts = (Interval(CHAIN, ZERO, ZERO), *step.draws)
        return replace(step, label=label, chain=chain, draws=parts)
    merged = _from(step.final, _single(asked.rate))
    left = replace(chain, repeats=asked.steps - 1) if asked.steps > 1 else None
    names = (CHAIN, LAST) if left else (LAST,)
    parts = (*(Interval(name, ZERO, ZERO) for name in names), *step.draws)
    return replace(step, label=label, chain=left, final=merged, draws=parts)


def _single(rate: Expr) -> Row:
    """One Langevin step as a row."""
    spread = Draw(LAST, sqrt(multiply(lift(2), rate)))
    return Row("", Place(ZERO), "lambda", (Term("n", rate),), 1 - rate, (spread,))


def langevin_to_zero(asked: Langevin) -> Step:
    """The step to σ = 0 after Langevin steps: the denoised value of the last of them."""
    end = Row("x", Place(ONE), "lambda", (Term("n", ONE),), ZERO)
    return langevin(Step("the denoised value", (), end), asked, 1)


def _from(row: Row, base: Row) -> Row:
    """A row whose start is another row at the same level, written out over the step's start."""
    if row.gauge != "lambda" or row.place.coordinate != "lambda":
        raise DeriveError('Langevin steps need coordinate = "lambda"', ("langevin",))
    propagated = multiply(row.decay, exp(-row.place.fraction * H))
    carried = tuple(Term(t.source, multiply(propagated, t.weight)) for t in base.terms)
    # A draw's unit is σ where it is used: σ_n is e^{ch} of σ at the fraction c.
    noise = tuple(Draw(d.name, multiply(row.decay, d.weight)) for d in base.noise)
    return replace(
        row,
        terms=(*carried, *row.terms),
        decay=multiply(row.decay, base.decay),
        noise=(*noise, *row.noise),
    )
