"""A strength turns a deterministic step into its stochastic form: kernel, variances, shared draws.

With σ̃ = σ/α = e^{−λ}, u = x/α and A = 1 + τ², the reverse SDE of strength τ is

    du = −A (u − D) dλ + √2 τ σ̃ dW          in the data form, and
    du = (u − A ε) dλ + √2 τ dW              in the noise form, u = x/σ

so that a step of the data form is the ODE's with A h in place of h, and noise of variance
σ̃² (1 − e^{−2τ²h}); a step of the noise form has its weights multiplied by A, and noise of variance
σ² τ² (e^{2h} − 1) (Xue et al. 2023, arXiv:2309.05019, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..errors import DeriveError
from ..expr.show import show
from ..expr.substitution import substitute, symbols
from ..expr.tree import ONE, ZERO, Call, Expr, Number, Symbol, exp, lift, multiply
from ..program.row import Draw, Row, Term
from ..program.step import Condition, Interval, Step
from ..spec.model import Noise

H = Symbol("h")


def noisy(step: Step, noise: Noise, kappa: int) -> Step:
    """The stochastic form of a deterministic step.

    Args:
        step: exact rows of one kind of step.
        noise: form and strength, from the spec.
        kappa: +1 data, −1 noise, 0 velocity.

    Raises:
        DeriveError: a rule whose stochastic form does not follow from the strength.

    >>> from solvergen.program.row import Place
    >>> row = Row("x", Place(lift(1)), "lambda", (Term("n", Symbol("h")),))
    >>> one = noisy(Step("", (), row), Noise("sde"), 1).final
    >>> str(one.decay), [str(d.weight) for d in one.noise], [str(t.weight) for t in one.terms]
    ('exp(-h)', ['sqrt(-expm1(-2*h))'], ['2*h'])
    """
    strength, lets = _windowed(noise)
    if kappa == 0 and noise.form in ("sde", "ancestral"):
        raise DeriveError(
            'noise needs integrand = "data" or "noise"; for a flow, data is the same ODE',
            ("noise",),
        )
    if step.coordinate is not None and noise.form != "explicit":
        raise DeriveError(
            "noise follows from a strength in lambda and in the integrand's clock only; for another "
            'coordinate give decay and noise yourself with form = "explicit"',
            ("coordinate",),
        )
    if noise.form == "explicit":
        return replace(step, draws=_first_uses(step.rows), positive=_stated(step.rows))
    if noise.form == "churn":
        step = _churned(step, strength, noise.scale, lets)
        return replace(step, positive=(*step.positive, *_opens(noise)))
    if noise.form == "ancestral" and noise.stages == "inside":
        return _ancestral(step, noise)
    if noise.form == "sde":
        rows = {row.name: _sde(row, strength, kappa) for row in step.rows}
        kernel = 1 + strength**2 if kappa == 1 else ONE
    else:
        rows, descents = _splits(step, strength, kappa)
        lets, kernel = (*lets, *descents), lift(2) if strength == ONE and kappa == 1 else ONE
    made = _shared(step, rows, strength, noise, kappa, lets)
    return replace(made, kernel=kernel, positive=(*made.positive, *_opens(noise)))


def _windowed(noise: Noise) -> tuple[Expr, tuple[tuple[str, Expr], ...]]:
    """The strength, through a scalar of the step when it holds inside a window only."""
    if not noise.window:
        return noise.strength, ()
    low, high = noise.window
    level = Symbol("sigma" if noise.window_at == "start" else "sigma_next")
    inside = Call("between", (low, level, high))
    return Symbol("strength"), (("strength", multiply(noise.strength, inside)),)


def _opens(noise: Noise) -> tuple[Condition, ...]:
    """A window's least value is not above its greatest.

    Raises:
        DeriveError: numbers that are the other way round.
    """
    if not noise.window:
        return ()
    low, high = noise.window
    width = high - low
    if isinstance(width, Number) and width.value < 0:
        raise DeriveError("a window is its least value, then its greatest", ("noise", "window"))
    text = "the window of the strength ends below where it begins"
    return () if isinstance(width, Number) else (Condition(width, text, strict=False),)


def _fraction(row: Row, form: str) -> Expr:
    """A row's place as a fraction of the step in λ, where its kernel is known in closed form.

    Raises:
        DeriveError: a place or a rule in another variable than λ.
    """
    place = row.place
    plain = place.coordinate == "lambda" or place.fraction in (ZERO, ONE)
    if row.gauge != "lambda" or not plain:
        raise DeriveError(
            f'the form {form} follows from rules and places in lambda; write coordinate = "lambda", '
            'or give decay and noise yourself with form = "explicit"',
            ("noise", "form"),
        )
    return place.fraction


def _sde(row: Row, strength: Expr, kappa: int) -> Row:
    """The drift of the reverse SDE."""
    c, excess = _fraction(row, "sde"), strength**2
    factor = 1 + excess
    if kappa == -1:
        return replace(row, terms=_scaled(row.terms, factor))
    terms = tuple(Term(t.source, substitute(t.weight, {"h": factor * H})) for t in row.terms)
    return replace(row, terms=terms, decay=exp(-excess * c * H))


def _scaled(terms: Iterable[Term], factor: Expr) -> tuple[Term, ...]:
    return tuple(Term(t.source, multiply(factor, t.weight)) for t in terms)


def _splits(
    step: Step, strength: Expr, kappa: int
) -> tuple[dict[str, Row], tuple[tuple[str, Expr], ...]]:
    """Rows that each go down to a level below their own, from which their noise brings them back."""
    lets: dict[str, Expr] = {}
    rows = {}
    for row in step.rows:
        c = _fraction(row, "ancestral")
        length, ratio = _descent(strength, c * H)
        if strength != ONE:
            name = "down" if row.place.is_end else f"down{len(lets) + 1}"
            lets[name] = length
            length, ratio = Symbol(name), exp(c * H - Symbol(name))
        # A noise prediction's weights are in units of σ, which is lower by this ratio down there.
        scaled = row.terms if kappa == 1 else _scaled(row.terms, ratio)
        terms = tuple(Term(t.source, substitute(t.weight, {"h": length / c})) for t in scaled)
        rows[row.name] = replace(row, terms=terms, decay=ratio if kappa == 1 else ONE)
    return rows, tuple(lets.items())


def _kept(strength: Expr, length: Expr) -> Expr:
    """σ_down² over σ², 1 − η² (1 − e^{−2h}), as a sum whose terms are positive up to η = 1.

    That difference itself would vanish in float64 at η = 1 where steps are long.
    """
    return (1 - strength) * (1 + strength) + strength**2 * exp(-2 * length)


def _descent(strength: Expr, length: Expr) -> tuple[Expr, Expr]:
    """How far in λ the deterministic part of an ancestral step goes, and σ_down over σ.

    σ_up² = η² σ² (1 − e^{−2h}), σ_down² = σ² − σ_up² (Karras et al. 2022, k-diffusion).
    """
    if strength == ONE:
        return 2 * length, exp(-length)
    gained = (1 - strength) * (1 + strength) * Call("expm1", (2 * length,))
    down = 2 * length - Call("log1p", (gained,)) / 2
    return down, Call("sqrt", (_kept(strength, length),))


def _ancestral(step: Step, noise: Noise) -> Step:
    """The step runs to the lower level; its final row then gets noise up to the grid's."""
    lets = step.lets
    lower: Expr = Symbol("lower")
    if noise.down is not None:
        lets = (*lets, ("lower", noise.down))
        down: Expr = Call("log", (Symbol("sigma") / lower,))
        kept = Call("min", (ONE, lower / Symbol("sigma_next")))
        up: Expr = Call("sqrt", (1 - kept**2,))
    else:
        down, ratio = _descent(noise.strength, H)
        lower = Symbol("sigma_next") * ratio
        up = noise.strength * Call("sqrt", (-Call("expm1", (-2 * H,)),))
    final = replace(step.final, noise=(Draw("z1", Symbol("up")),))
    if step.corrector:
        raise DeriveError("an ancestral step has no corrector here", ("corrector",))
    lets = (*lets, ("up", multiply(noise.scale, up)))
    parts = (Interval("z1", ZERO, ONE),)
    positive = _possible(noise)
    step = replace(step, final=final, lets=lets, down=down, lower=lower)
    return replace(step, draws=parts, positive=positive)


def _possible(noise: Noise) -> tuple[Condition, ...]:
    """What an ancestral step needs: less variance than its level has."""
    if noise.down is not None:
        text = "the lower level must lie above 0 and not above sigma / alpha = {q1}"
        lower = Symbol("lower")
        kept = 1 - lower / Symbol("sigma_next")
        return (Condition(lower, text), Condition(kept, text, strict=False))
    if isinstance(noise.strength, Number) and 0 <= noise.strength.value <= 1:
        return ()
    text = "the strength must be below {math.sqrt(-1 / math.expm1(-2 * h)):.6g}"
    return (Condition(_kept(noise.strength, H), text),)


def _churned(step: Step, strength: Expr, scale: Expr, lets: tuple[tuple[str, Expr], ...]) -> Step:
    """EDM's churn: σ̂ = (1 + γ) σ with γ = min(S_churn/N, √2 − 1) (Karras et al. 2022, Algorithm 2)."""
    if step.history or step.corrector:
        raise DeriveError(
            "churn changes the level of the first evaluation, so that past ones do not fit; it "
            "needs a solver without history and PEC corrector",
            ("noise", "form"),
        )
    cap = Call("sqrt", (lift(2),)) - 1
    share = Call("min", (strength / Symbol("steps"), cap))
    raised = Call("log1p", (Symbol("raised"),))
    positive = (
        Condition(Symbol("raised"), "churn must not be negative; it is {raised}", strict=False),
    )
    return replace(
        step,
        lets=(*lets, ("raised", share)),
        churn=raised,
        churn_scale=scale,
        positive=positive,
    )


def _shared(
    step: Step,
    rows: dict[str, Row],
    strength: Expr,
    noise: Noise,
    kappa: int,
    lets: tuple[tuple[str, Expr], ...],
) -> Step:
    """Rows with their draws: one Brownian path through all stages, or a draw of its own for each."""
    path = noise.stages == "path"
    ends = _ordered({_fraction(row, noise.form) for row in step.rows})
    if path:
        edges = [ZERO, *ends]
        draws = [
            Interval(f"z{k}", a, b) for k, (a, b) in enumerate(zip(edges, ends, strict=False), 1)
        ]
    else:
        single = [row for row in (*step.stages, step.final)]
        draws = [Interval(f"z{k}", ZERO, row.place.fraction) for k, row in enumerate(single, 1)]
    owner = {
        row.name: draw.name for row, draw in zip((*step.stages, step.final), draws, strict=False)
    }
    if step.corrector:
        owner[step.corrector.name] = owner[step.final.name]

    def drawn(row: Row) -> Row:
        mine = [d for d in draws if path or d.name == owner[row.name]]
        weights = (
            Draw(d.name, multiply(noise.scale, _spread(row, d, strength, noise.form, kappa)))
            for d in mine
            if not path or _reaches(row, d, ends)
        )
        kept = tuple(w for w in weights if w.weight != ZERO)
        return replace(rows[row.name], noise=kept)

    used = tuple(d for d in draws if d.start != d.end)
    return replace(
        step,
        stages=tuple(drawn(row) for row in step.stages),
        final=drawn(step.final),
        corrector=step.corrector and drawn(step.corrector),
        lets=(*step.lets, *lets),
        draws=used,
        positive=_possible(noise) if noise.form == "ancestral" else (),
    )


def _reaches(row: Row, draw: Interval, ends: list[Expr]) -> bool:
    """Whether a draw's part of the path lies before a row's place."""
    return ends.index(draw.end) <= ends.index(row.place.fraction)


def _ordered(fractions: set[Expr]) -> list[Expr]:
    """Places in the order of λ.

    Raises:
        DeriveError: places that parameters decide, whose order is not known.
    """
    known = [f for f in fractions if isinstance(f, Number)]
    open_ = [f for f in fractions if not isinstance(f, Number)]
    if len(open_) > 1 or (open_ and any(0 < f.value < 1 for f in known)):
        raise DeriveError(
            "one Brownian path needs the order of the stages; at most one place may be a parameter",
            ("noise", "stages"),
        )
    inner = sorted((f for f in known if f.value < 1), key=lambda f: f.value)
    return [*[f for f in inner if f != ZERO], *open_, *[f for f in known if f.value >= 1]]


def _spread(row: Row, draw: Interval, strength: Expr, form: str, kappa: int) -> Expr:
    """Weight of a draw over a part of the step at a row's place, in units of σ there."""
    rest = (row.place.fraction - draw.end) * H
    length = (draw.end - draw.start) * H
    if form == "ancestral":
        return strength * Call("sqrt", (-Call("expm1", (-2 * length,)),))
    if kappa == -1:
        return exp(rest) * strength * Call("sqrt", (Call("expm1", (2 * length,)),))
    excess = strength**2
    return exp(-excess * rest) * Call("sqrt", (-Call("expm1", (-2 * excess * length,)),))


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
        for node in draw.weight.walk()
        if isinstance(node, Call) and node.name == "sqrt"
    }
    return tuple(
        Condition(inside, f"the draw {name} needs {show(inside)} >= 0", strict=False)
        for name, inside in sorted(roots, key=str)
        if symbols(inside) & {"sigma", "sigma_next"}
        and symbols(inside) - {"h", "sigma", "sigma_next"}
    )
