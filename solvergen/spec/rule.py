"""Rules and what holds them: stages, correctors, step controllers."""

# Annotations are read at run time here, so they are not postponed.

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Any, ClassVar

from sympy import Expr

from .declare import Inline, Key, Mistake, Raw
from .kinds import (
    Boolean,
    Bounds,
    Carried,
    Draw,
    Exact,
    Expression,
    Integer,
    KeyPath,
    List,
    Name,
    Node,
    StagePlace,
    State,
    Text,
    Weights,
)
from .names import GRID_POINT, MAX_STEPS
from .scope import Vocabulary

RULES = ("interpolate", "taylor", "mean-value", "weights", "adams-bashforth", "adams-moulton")
COORDINATES = ("lambda", "clock", "rho", "s", "sigma", "t")
_ADAMS = ("adams-bashforth", "adams-moulton")
_INTERPOLANTS = ("interpolate", *_ADAMS)


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
        deviations: (node, expression) pairs of an interpolant: evaluations beside the polynomial, which
            count by how far they lie from it.
        carry: (state, expression) pairs of a weights rule: the factors on accepted states, on those of
            stages and on the coupled one.
        decay, noise: of a weights rule: the factor on the state beside the ODE's own, and (draw,
            expression) pairs in units of σ at the place of the result.
        where: key path in the spec, for error messages.
    """

    CHOICE: ClassVar[str] = "rule"  # the key whose value decides which others are taken
    SHORTHANDS: ClassVar[Mapping[str, Key]] = {
        "steps": Key(
            Integer(1, MAX_STEPS),
            "Number of nodes of an Adams rule, newest first.",
            "3",
            needed_by=_ADAMS,
        ),
    }

    kind: Annotated[
        str,
        Key(
            Text(RULES),
            "How the integral over the step is approximated.",
            '"interpolate"',
            name="rule",
        ),
    ]
    nodes: Annotated[
        tuple[str, ...],
        Key(
            List(Node(), "two nodes that coincide have no interpolant"),
            'Model evaluations the rule uses: "n" is the current point, "n-1" the one before, "n+1" '
            'the end of the step (correctors only), a stage by its name, "mid-1" the stage `mid` of '
            "the step before.",
            '["n", "n-1"]',
            needed_by=("interpolate", "taylor", "mean-value"),
        ),
    ] = ()
    coordinate: Annotated[
        str | None,
        Key(
            Text(COORDINATES),
            "Variable of the polynomial, when it differs from the solver's.",
            '"clock"',
        ),
    ] = None
    degree: Annotated[
        int | None,
        Key(Integer(), "Degree of the Taylor polynomial.", "2", needed_by=("taylor",)),
    ] = None
    factors: Annotated[
        tuple[Expr, ...],
        Key(
            List(Expression(Vocabulary.PARAMETERS)),
            "Factors on the terms of the Taylor polynomial, from degree 0 up; all 1 unless given. "
            "This is how published slips are reproduced.",
            '["1", "1", "1/2"]',
            of=("taylor",),
        ),
    ] = ()
    theta: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.PARAMETERS),
            "Where the interpolant is read, as a fraction of the step.",
            '"1/2"',
            of=("mean-value",),
        ),
    ] = None
    scale: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.PARAMETERS),
            "Factor on the mean value; 1 unless given.",
            '"c"',
            of=("mean-value",),
        ),
    ] = None
    weights: Annotated[
        tuple[tuple[str, Expr], ...],
        Key(
            Weights(Node()),
            "Explicit weights. In the coordinate lambda they are the A_j of u' = -kappa*u + N and "
            "contain h; in the clock they multiply the clock's step; in another coordinate its step, "
            "and each evaluation comes with the clock's slope there.",
            '{ n = "h*phi1 - h*phi2/r", mid = "h*phi2/r" }',
            needed_by=("weights",),
        ),
    ] = ()
    frozen: Annotated[
        bool,
        Key(Boolean(), "Weights as if all steps were equal (iPNDM, PLMS).", "true"),
    ] = False
    states: Annotated[
        tuple[str, ...],
        Key(
            List(State(), "two states that coincide have no interpolant"),
            'Accepted states that the polynomial passes through (in the clock): "x" is the current '
            'one, "x-1" the one before. ["x"] unless given.',
            '["x", "x-1"]',
            of=_INTERPOLANTS,
        ),
    ] = ()
    deviations: Annotated[
        tuple[tuple[str, Expr], ...],
        Key(
            Weights(Text()),
            "Evaluations beside the polynomial, stages or past ones, with weights like explicit ones: "
            "each counts by how far it lies from the polynomial there. Whatever these weights are, "
            "polynomials of the nodes' degree stay exact.",
            '{ n-2 = "h*phi1/10" }',
            of=_INTERPOLANTS,
        ),
    ] = ()
    carry: Annotated[
        tuple[tuple[str, Expr], ...],
        Key(
            Weights(Carried()),
            "Factors on the accepted states, each first brought to the place of the result by the "
            "linear part alone, and on the states of stages by their names; they sum to 1. "
            'With [coupled], `y` is the second state. { x = "1" } unless given.',
            '{ x = "4/3", x-1 = "-1/3" }',
            of=("weights",),
        ),
    ] = ()
    decay: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.WEIGHTS),
            "Factor on the state beside the ODE's own (stochastic solvers).",
            '"exp(-h)"',
            of=("weights",),
        ),
    ] = None
    noise: Annotated[
        tuple[tuple[str, Expr], ...],
        Key(
            Weights(Draw()),
            "Draws and their weights, in units of σ at the place of the result. Rows that name the "
            "same draw share it.",
            '{ z = "sqrt(-expm1(-2*h))" }',
            of=("weights",),
        ),
    ] = ()
    where: tuple[str | int, ...] = field(default=(), compare=False)

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """Keys of explicit noise without it, and keys that exclude each other."""
        own = [name for name in ("decay", "noise") if name in raw]
        if own and not _explicit_noise(whole):
            derived = f'`{own[0]}` belongs to [noise] with form = "explicit"; other forms derive it'
            if "noise" not in whole:
                derived = (
                    f"`{own[0]}` needs [noise]: without it a step keeps the state by the ODE's own factor; "
                    'for another linear part write linear = "l" above the tables'
                )
            yield (own[0],), derived
        if "states" in raw and "deviations" in raw:
            yield ("deviations",), "a rule through several states takes no `deviations`"

    @classmethod
    def written_out(cls, given: dict[str, Any], raw: Raw, path: KeyPath) -> dict[str, Any]:
        """An Adams rule as the interpolant through its nodes."""
        given["where"], steps = path, given.pop("steps", None)
        if steps is None:
            return given
        newest = 1 if given["kind"] == "adams-moulton" else 0
        nodes = tuple(node(newest - k) for k in range(steps))
        return {**given, "kind": "interpolate", "nodes": nodes}


def _explicit_noise(whole: Raw) -> bool:
    """Whether [noise] has the form explicit, or one whose own mistake is reported."""
    noise = whole.get("noise")
    form = noise.get("form", "explicit") if isinstance(noise, dict) else "explicit"
    return noise is not None and form not in ("sde", "ancestral", "churn")


def node(offset: int) -> str:
    """The name of a grid node: ``n``, ``n+1``, ``n-2``."""
    return "n" if offset == 0 else f"n{offset:+d}"


@dataclass(frozen=True)
class Stage:
    """An evaluation inside the step, at the fraction `at` of it in the coordinate `place`.

    `place` is the solver's own coordinate unless given. The grid point k is the symbol ``gamma{k}``
    in the place ``grid``.
    """

    name: Annotated[str, Key(Name(reserved=("n", "x")), "What nodes call it.", '"mid"')]
    at: Annotated[
        Expr,
        Key(
            StagePlace(),
            "Its place as a fraction of the step; or a point of the grid, counted from n. Points "
            "beyond the end of the step need [end] steps that do not look so far.",
            '"r"',
        ),
    ]
    rule: Annotated[Rule, Inline()]
    place: Annotated[
        str | None,
        Key(
            Text(COORDINATES),
            "Variable in which the place is a fraction; the solver's unless given. Rules and "
            "places of a step may each have their own.",
            '"lambda"',
        ),
    ] = None
    level: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.LEVEL),
            "Where the model is called for it, as a factor on sigma/alpha of its state; 1 unless "
            "given, exp(h) at the end of the step for the level of n. The denoised prediction is taken "
            "as it comes. Such a solver keeps no order, or order 1 where all factors tend to 1 with h.",
            '"1"',
        ),
    ] = None

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """A variable given for a point of the grid."""
        if "place" in raw and GRID_POINT.fullmatch(str(raw.get("at"))):
            yield ("place",), "a grid point needs no variable; remove `place`"

    @classmethod
    def written_out(cls, given: dict[str, Any], raw: Raw, path: KeyPath) -> dict[str, Any]:
        """The place ``grid`` of a grid point."""
        return {**given, "place": "grid"} if GRID_POINT.fullmatch(str(raw["at"])) else given


@dataclass(frozen=True)
class Corrector:
    """A rule that uses the evaluation at the end of the step; `mode` is PEC or PECE.

    A PECE corrector is applied `sweeps` times, each time with a new evaluation.
    """

    rule: Annotated[Rule, Inline()]
    mode: Annotated[
        str,
        Key(
            Text(("PEC", "PECE")),
            "PEC: the next step reuses the evaluation at the predicted value, at no cost. "
            "PECE: evaluate again at the corrected value.",
            '"PEC"',
        ),
    ] = "PEC"
    sweeps: Annotated[
        int,
        Key(
            Integer(1, 10),
            "How often a PECE corrector is applied, each time with a new evaluation: P(EC)^m E.",
            "2",
        ),
    ] = 1

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """Sweeps of a corrector that does not evaluate again."""
        if raw.get("mode", "PEC") == "PEC" and raw.get("sweeps", 1) != 1:
            yield ("sweeps",), "PECE takes 1 to 10 sweeps, PEC exactly one"


@dataclass(frozen=True)
class Controller:
    """How an adaptive solver chooses its steps: exponents, tolerances, safety."""

    kind: Annotated[
        str,
        Key(
            Text(("power", "pid")),
            "power: accept E <= 1 and scale the step by safety*E^(-1/order). pid: scale by the "
            "1/E of this and the last two steps, limited by 1 + atan(f - 1); accept when the "
            "factor is at least safety (k-diffusion, torchsde).",
            '"pid"',
        ),
    ]
    order: Annotated[int, Key(Integer(1, 12), "The order in the exponents.", "3")]
    first: Annotated[
        Fraction, Key(Exact(bounds=Bounds(above=0)), "Length of the first step.", '"1/20"')
    ] = Fraction(1, 20)
    rtol: Annotated[
        Fraction, Key(Exact(bounds=Bounds(above=0)), "Default relative tolerance.", '"1/20"')
    ] = Fraction(1, 20)
    atol: Annotated[
        Fraction, Key(Exact(bounds=Bounds(above=0)), "Default absolute tolerance.", '"0.0078"')
    ] = Fraction(78, 10000)
    safety: Annotated[Fraction, Key(Exact(bounds=Bounds(above=0)), "Safety factor.", '"0.81"')] = (
        Fraction(9, 10)
    )
    p: Annotated[Fraction, Key(Exact(), "Proportional coefficient (pid).", "0")] = Fraction(0)
    i: Annotated[Fraction, Key(Exact(), "Integral coefficient (pid).", "1")] = Fraction(1)
    d: Annotated[Fraction, Key(Exact(), "Derivative coefficient (pid).", "0")] = Fraction(0)
