"""What a solver is: frozen values, as read from TOML or built in Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from sympy import Expr

from ..expr.arithmetic import ONE


@dataclass(frozen=True)
class Source:
    """Where a method was published."""

    authors: str = ""
    year: int | None = None
    title: str = ""
    arxiv: str = ""
    doi: str = ""
    url: str = ""
    where: str = ""

    def cite(self) -> str:
        """One line: authors, year, identifier, place.

        >>> Source("Lu et al.", 2022, arxiv="2211.01095", where="Algorithm 2").cite()
        'Lu et al. 2022, arXiv:2211.01095, Algorithm 2'
        """
        who = " ".join(str(part) for part in (self.authors, self.year) if part)
        link = f"arXiv:{self.arxiv}" if self.arxiv else f"doi:{self.doi}" if self.doi else self.url
        return ", ".join(part for part in (who, link or self.title, self.where) if part)


@dataclass(frozen=True)
class Parameter:
    """A free constant: its default and its bounds (``None`` where unbounded)."""

    name: str
    default: Fraction
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    above: Fraction | None = None
    below: Fraction | None = None
    doc: str = ""

    def refusal(self, value: Fraction) -> str:
        """Why a value is out of bounds, or an empty text."""
        for bad, sign, bound in (
            (self.minimum is not None and value < self.minimum, ">=", self.minimum),
            (self.maximum is not None and value > self.maximum, "<=", self.maximum),
            (self.above is not None and value <= self.above, ">", self.above),
            (self.below is not None and value >= self.below, "<", self.below),
        ):
            if bad:
                return f"`{self.name}` must be {sign} {bound}, found {value}"
        return ""


@dataclass(frozen=True)
class Rule:
    """How an integral over (part of) a step is approximated from model evaluations.

    Args:
        kind: ``interpolate``, ``taylor``, ``mean-value`` or ``weights``.
        nodes: evaluations used: ``n``, ``n-1``, ``n+1`` or a stage's name.
        coordinate: variable of the polynomial; ``None`` for the solver's.
        degree, factors: of a Taylor rule.
        theta, scale: of a mean-value rule.
        weights: (node, expression) pairs of a weights rule.
        frozen: weights as if all steps were equal.
        states: accepted states that an interpolant passes through: ``x``, ``x-1``, …; the current one
            alone unless given.
        deviations: (stage, expression) pairs of an interpolant: evaluations beside the polynomial, which
            count by how far they lie from it.
        carry: (state, expression) pairs of a weights rule: the factors on accepted states.
        decay, noise: of a weights rule: the factor on the state beside the ODE's own, and (draw,
            expression) pairs in units of σ at the place of the result.
        where: key path in the spec, for error messages.
    """

    kind: str
    nodes: tuple[str, ...] = ()
    coordinate: str | None = None
    degree: int | None = None
    factors: tuple[Expr, ...] = ()
    theta: Expr | None = None
    scale: Expr | None = None
    weights: tuple[tuple[str, Expr], ...] = ()
    frozen: bool = False
    states: tuple[str, ...] = ()
    deviations: tuple[tuple[str, Expr], ...] = ()
    carry: tuple[tuple[str, Expr], ...] = ()
    decay: Expr | None = None
    noise: tuple[tuple[str, Expr], ...] = ()
    where: tuple[str | int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Stage:
    """An evaluation inside the step, at the fraction `at` of it in the coordinate `place`.

    `place` is the solver's own coordinate unless given. The grid point k is the symbol ``gamma{k}`` in the place ``grid``.
    """

    name: str
    at: Expr
    rule: Rule
    place: str | None = None


@dataclass(frozen=True)
class Corrector:
    """A rule that uses the evaluation at the end of the step; `mode` is PEC or PECE.

    A PECE corrector is applied `sweeps` times, each time with a new evaluation.
    """

    rule: Rule
    mode: str = "PEC"
    sweeps: int = 1


@dataclass(frozen=True)
class Controller:
    """How an adaptive solver chooses its steps: exponents, tolerances, safety."""

    kind: str
    order: int
    first: Fraction = Fraction(1, 20)
    rtol: Fraction = Fraction(1, 20)
    atol: Fraction = Fraction(78, 10000)
    safety: Fraction = Fraction(9, 10)
    p: Fraction = Fraction(0)
    i: Fraction = Fraction(1)
    d: Fraction = Fraction(0)


@dataclass(frozen=True)
class Start:
    """The first steps: solvers by name or rules; `shrink` is the exponent of a shorter first step."""

    using: tuple[str | Rule, ...] = ()
    shrink: Fraction | None = None


@dataclass(frozen=True)
class End:
    """The last steps: solvers by name or rules (the last one is the final step), and limits.

    `remainder` names the last steps of a solver whose steps span several intervals, one tuple for
    each number of intervals modulo its spans.
    """

    using: tuple[str | Rule, ...] = ()
    ramp: bool = False
    zero: str = "ddim"
    corrector: bool = False
    remainder: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Schedule:
    """A noise schedule: ``ve``, ``vp``, ``vp-linear``, ``cosine`` or ``flow``."""

    name: str = "ve"
    beta_min: Fraction = Fraction(1, 10)
    beta_max: Fraction = Fraction(20)


@dataclass(frozen=True)
class Claim:
    """What the author claims; `records` is "publication" when it is known to differ.

    Args:
        order: of a deterministic solver.
        mean, covariance, strong: orders of a stochastic one.
    """

    order: int | None = None
    mean: int | None = None
    covariance: int | None = None
    strong: int | None = None
    records: str = ""


@dataclass(frozen=True)
class Noise:
    """How noise enters every step.

    Args:
        form: ``sde`` (the exponential kernel of the reverse SDE), ``ancestral`` (a deterministic part
            to a lower level, then noise), ``churn`` (noise before the model call) or ``explicit``
            (rules that carry their own).
        strength: τ, η or S_churn, in that order of forms.
        scale: factor on every draw (s_noise); of explicit rules on those of jumps.
        stages: what the stages get: ``path`` (one Brownian path through them), ``own`` (a draw of
            their own each), ``inside`` (none; they lie inside the deterministic part).
        window: least and greatest σ/α at which the strength holds; it is 0 elsewhere. `window_at`
            says whether the start or the end of a step must lie inside.
        down: σ/α at which the deterministic part of an ancestral step ends, instead of η's.
        jumps: whether the grid may rise, which adds noise up to the new level (restart).
    """

    form: str
    strength: Expr = ONE
    scale: Expr = ONE
    stages: str = "path"
    window: tuple[Expr, ...] = ()
    window_at: str = "start"
    down: Expr | None = None
    jumps: bool = False


@dataclass(frozen=True)
class Langevin:
    """Langevin steps at the level where a step begins: x + δ (αD − x) + σ √(2δ) z, `steps` times.

    Their length is the rate δ, or follows from norms, δ = 2 (snr σ |z| / |αD − x|)².
    """

    steps: int
    rate: Expr | None = None
    snr: Expr | None = None


@dataclass(frozen=True)
class Solver:
    """A diffusion solver: the model of a spec file.

    Args:
        name: identifier, also the name of the emitted file.
        integrand: ``data``, ``noise`` or ``velocity``.
        step: the rule that ends the step.
        coordinate: variable of the polynomials.
        stages: evaluations inside the step, in order.
        spans: how many intervals of the grid a step covers.
        sweeps: how often the stages of an implicit table are repeated; 0 for any other solver.
        corrector: optional corrector.
        embedded: optional rule of lower order on the same evaluations, and the step controller
            that compares the two.
        start, end: the first and the last steps.
        noise, langevin: what makes the solver stochastic, if anything.
        schedule: gives σ and t a meaning as coordinates.
        parameters: free constants.
        claim: what is claimed, to be checked.
        source: publication.
    """

    name: str
    integrand: str
    step: Rule
    title: str = ""
    description: str = ""
    coordinate: str = "lambda"
    stages: tuple[Stage, ...] = ()
    spans: int = 1
    sweeps: int = 0
    corrector: Corrector | None = None
    embedded: Rule | None = None
    controller: Controller | None = None
    start: Start = Start()
    end: End = End()
    noise: Noise | None = None
    langevin: Langevin | None = None
    schedule: Schedule | None = None
    parameters: tuple[Parameter, ...] = ()
    claim: Claim = Claim()
    source: Source = Source()

    def _repr_latex_(self) -> str:
        from ..derive import derive
        from ..emit.formula import latex

        return f"$\\displaystyle {latex(derive(self))}$"
