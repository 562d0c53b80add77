"""What makes a solver stochastic: [noise] and [langevin]."""

# Annotations are read at run time here, so they are not postponed.

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sympy import Expr

from ..expr.arithmetic import ONE
from .declare import Key, Mistake, Raw
from .kinds import Boolean, Bounds, Expression, Integer, KeyPath, List, Text
from .scope import Vocabulary

MAX_REPEATS = 1000
_DEFAULT_STAGES = {"sde": "path", "ancestral": "inside"}


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

    CHOICE: ClassVar[str] = "form"

    form: Annotated[
        str,
        Key(
            Text(("sde", "ancestral", "churn", "explicit")),
            "sde: the reverse SDE of strength tau, integrated against its own exponential kernel. "
            "ancestral: a deterministic part to a lower level, then noise up to the level of the "
            "step (strength eta). churn: noise before the model call (strength S_churn). "
            "explicit: the rules carry decay and noise themselves.",
            '"sde"',
        ),
    ]
    strength: Annotated[
        Expr,
        Key(
            Expression(Vocabulary.STEP, Bounds(at_least=0)),
            "tau, eta or S_churn, as the form says, at least 0; 1 unless given. 0 is the ODE.",
            '"tau"',
            of=("sde", "ancestral", "churn"),
        ),
    ] = ONE
    scale: Annotated[
        Expr,
        Key(
            Expression(Vocabulary.STEP),
            "Factor on every draw, those of jumps too; 1 unless given. Explicit rules have theirs in "
            "their weights: there it is that of jumps.",
            '"s_noise"',
        ),
    ] = ONE
    stages: Annotated[
        str,
        Key(
            Text(("path", "own", "inside")),
            "What the stages get: path, one Brownian path through them (SEEDS; the default of sde); "
            "own, a draw of their own each; inside, nothing, since they lie in the deterministic "
            "part of an ancestral step (its default).",
            '"path"',
            of=("sde", "ancestral"),
        ),
    ] = "path"
    window: Annotated[
        tuple[Expr, ...],
        Key(
            List(
                Expression(Vocabulary.STEP),
                count=2,
                counted="a window is two values, the least and the greatest",
            ),
            "Least and greatest sigma/alpha, where a step begins, at which the strength holds; it is "
            "0 elsewhere. The forms sde and churn take one, ancestral and explicit take none.",
            '["s_tmin", "s_tmax"]',
            of=("sde", "churn"),
        ),
    ] = ()
    window_at: Annotated[
        str,
        Key(
            Text(("start", "end")),
            "Which end of the step the window looks at; its start unless given.",
            '"end"',
            of=("sde",),
        ),
    ] = "start"
    down: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.STEP),
            "sigma/alpha where the deterministic part of an ancestral step ends, in place of a "
            "strength.",
            '"sigma_next*(1 - eta)"',
            of=("ancestral",),
        ),
    ] = None
    jumps: Annotated[
        bool,
        Key(
            Boolean(),
            "The grid may rise: noise then brings the state up to the new level (restart). "
            "For solvers without history, corrector and special first steps.",
            "true",
        ),
    ] = False

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """Keys that exclude or need each other."""
        form = raw.get("form")
        if "window_at" in raw and "window" not in raw:
            yield ("window_at",), "`window_at` needs a `window`"
        if form == "explicit" and "scale" in raw and not raw.get("jumps"):
            yield ("scale",), "form explicit takes no `scale` unless it has `jumps`"
        if "down" in raw and ("strength" in raw or raw.get("stages", "inside") != "inside"):
            yield ("down",), "`down` replaces the strength, and stages lie inside it"
        if raw.get("stages") == "inside" and form == "sde":
            yield ("stages",), "inside belongs to the form ancestral"
        if raw.get("stages") == "path" and form == "ancestral":
            yield ("stages",), "the form ancestral takes own or inside"

    @classmethod
    def written_out(cls, given: dict[str, Any], raw: Raw, path: KeyPath) -> dict[str, Any]:
        """What the stages get in each form unless said."""
        return {"stages": _DEFAULT_STAGES.get(given["form"], "own"), **given}


@dataclass(frozen=True)
class Langevin:
    """Langevin steps at the level where a step begins: x + δ (αD − x) + σ √(2δ) z, `steps` times.

    Their length is the rate δ, or follows from norms, δ = 2 (snr σ |z| / |αD − x|)².
    """

    steps: Annotated[int, Key(Integer(1, MAX_REPEATS), f"How many, from 1 to {MAX_REPEATS}.", "1")]
    rate: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.STEP, Bounds(above=0, below=2)),
            "Their length, above 0 and, to be stable, below 2.",
            '"delta"',
        ),
    ] = None
    snr: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.STEP, Bounds(above=0, below=2)),
            "Or what their length follows from, 2*(snr*sigma*|z|/|alpha*D - x|)^2, with the means "
            "over the batch of the samples' norms (score-SDE). Such steps have no order.",
            '"snr"',
        ),
    ] = None

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """Both lengths, or none."""
        if ("rate" in raw) == ("snr" in raw):
            yield (), "[langevin] takes `rate` or `snr`, one of them"
