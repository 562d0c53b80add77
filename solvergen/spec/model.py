"""What a solver is: frozen values, as read from TOML or built in Python.

Every key of the spec language is declared here and in `rule` and `noise`, once: see `declare`.
"""

# Annotations are read at run time here, so they are not postponed.

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, ClassVar

from sympy import Expr

from .declare import Key, Mistake, Raw, Table
from .kinds import Boolean, Bounds, Exact, Expression, Integer, List, Name, Text
from .learned import Fitted, Grid, Parameter
from .noise import Langevin, Noise
from .rule import COORDINATES, Controller, Corrector, Rule, Stage
from .scope import Vocabulary
from .tableau import Tableau

__all__ = [
    "Claim",
    "Controller",
    "Corrector",
    "End",
    "Fitted",
    "Grid",
    "Langevin",
    "Noise",
    "Parameter",
    "Rule",
    "Schedule",
    "Solver",
    "Source",
    "Stage",
    "Start",
]

SCHEDULES = ("ve", "vp", "vp-linear", "cosine", "flow")
MAX_SPANS = 9


@dataclass(frozen=True)
class Source:
    """Where a method was published."""

    authors: Annotated[str, Key(Text(), "Authors, as cited.", '"Lu et al."')] = ""
    year: Annotated[int | None, Key(Integer(), "Year.", "2022")] = None
    title: Annotated[str, Key(Text(), "Title of the paper or code.", '"…"')] = ""
    arxiv: Annotated[str, Key(Text(), "arXiv number.", '"2211.01095"')] = ""
    doi: Annotated[str, Key(Text(), "DOI.", '"10.1137/040611434"')] = ""
    url: Annotated[str, Key(Text(), "Address, when there is no paper.", '"https://…"')] = ""
    where: Annotated[str, Key(Text(), "Section, equation, algorithm.", '"Algorithm 2"')] = ""

    def cite(self) -> str:
        """One line: authors, year, identifier, place.

        >>> Source("Lu et al.", 2022, arxiv="2211.01095", where="Algorithm 2").cite()
        'Lu et al. 2022, arXiv:2211.01095, Algorithm 2'
        """
        who = " ".join(str(part) for part in (self.authors, self.year) if part)
        link = f"arXiv:{self.arxiv}" if self.arxiv else f"doi:{self.doi}" if self.doi else self.url
        return ", ".join(part for part in (who, link or self.title, self.where) if part)


@dataclass(frozen=True)
class Schedule:
    """A noise schedule: one that has a name, or α(t) and σ(t)."""

    name: Annotated[str, Key(Text(SCHEDULES), "Which schedule.", '"vp-linear"')] = ""
    beta_min: Annotated[Fraction, Key(Exact(), "β at t = 0 (vp-linear).", '"1/10"')] = Fraction(
        1, 10
    )
    beta_max: Annotated[Fraction, Key(Exact(), "β at t = 1 (vp-linear).", "20")] = Fraction(20)
    alpha: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.TIME),
            "The factor α(t) on x0 of a schedule without a name, t from 0 at the data.",
            '"1 - t"',
        ),
    ] = None
    sigma: Annotated[
        Expr | None,
        Key(Expression(Vocabulary.TIME), "Its factor σ(t) on the noise.", '"t"'),
    ] = None
    until: Annotated[Fraction, Key(Exact(), "Its last time.", "1")] = Fraction(1)

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """A name beside expressions, or neither."""
        given = [key for key in ("alpha", "sigma") if key in raw]
        if "name" in raw and given:
            yield (given[0],), "give either `name`, or `alpha` and `sigma`"
        elif "name" not in raw and len(given) < 2:
            yield (), 'give `name`, or both `alpha` and `sigma`, for example: name = "vp-linear"'

    def fault(self) -> Mistake | None:
        """A range of β that is empty or reaches below 0."""
        if 0 <= self.beta_min < self.beta_max:
            return None
        return (), "beta_min must be at least 0 and less than beta_max"


@dataclass(frozen=True)
class Start:
    """The first steps: solvers by name or rules; `shrink` is the exponent of a shorter first step."""

    using: Annotated[
        tuple[str | Rule, ...],
        Key(
            List(Text()),
            "Solvers for the first steps, by name, one per step.",
            '["rk4_clock"]',
        ),
        Table(
            Rule,
            "[[start.rule]]",
            "Rules for the first steps, written out, one table per step.",
        ),
    ] = ()
    shrink: Annotated[
        Fraction | None,
        Key(
            Exact(bounds=Bounds(above=1, at_most=8)),
            "Shorten the first step from h to h^shrink (where h < 1), which makes up for a "
            "start of low order.",
            '"3/2"',
        ),
    ] = None


@dataclass(frozen=True)
class End:
    """The last steps: solvers by name or rules (the last one is the final step), and limits.

    `remainder` names the last steps of a solver whose steps span several intervals, one tuple for
    each number of intervals modulo its spans.
    """

    using: Annotated[
        tuple[str | Rule, ...],
        Key(
            List(Text()),
            "Solvers for the last steps, by name; the last is the final step.",
            '["ddim"]',
        ),
        Table(
            Rule,
            "[[end.rule]]",
            "Rules for the last steps, written out; the last is the final step.",
        ),
    ] = ()
    ramp: Annotated[
        bool,
        Key(Boolean(), "Use no more nodes than steps remain (lower order at the end).", "true"),
    ] = False
    zero: Annotated[
        str,
        Key(
            Text(("ddim", "rule")),
            "The step to sigma = 0: ddim returns the denoised prediction; rule applies the "
            "solver's own rule where its limit exists.",
            '"ddim"',
        ),
    ] = "ddim"
    corrector: Annotated[
        bool,
        Key(Boolean(), "Correct the final state too, for one more evaluation (PEC).", "true"),
    ] = False
    remainder: Annotated[
        tuple[tuple[str, ...], ...],
        Key(
            List(List(Text())),
            "Of a solver whose steps span several intervals: the solvers of its last steps, one "
            "list for each number of intervals modulo `spans`, from 0 up.",
            '[["ddim", "ddim"], ["ddim"]]',
        ),
    ] = ()

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """Steps given twice."""
        if raw.get("ramp") and (raw.get("using") or raw.get("rule")):
            yield ("ramp",), "give either `ramp` or the steps themselves, not both"


@dataclass(frozen=True)
class Claim:
    """What the author claims; `records` is "publication" when it is known to differ.

    Args:
        order: of a deterministic solver.
        mean, covariance, strong: orders of a stochastic one.
    """

    order: Annotated[int | None, Key(Integer(), "Claimed order of accuracy.", "2")] = None
    mean: Annotated[
        int | None, Key(Integer(), "Claimed weak order of the mean (stochastic solvers).", "2")
    ] = None
    covariance: Annotated[
        int | None, Key(Integer(), "Claimed weak order of the covariance.", "2")
    ] = None
    strong: Annotated[int | None, Key(Integer(), "Claimed strong order.", "1")] = None
    records: Annotated[
        str,
        Key(
            Text(("publication",)),
            "Set to publication when the claim is recorded from the paper and known to differ.",
            '"publication"',
        ),
    ] = ""


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
        parameters: free constants, and numbers that differ from step to step.
        grid: the levels that it was made for.
        fitted: where fitted numbers come from.
        claim: what is claimed, to be checked.
        source: publication.
    """

    # Tables that are written out in others, each after the field whose table it follows on the page.
    WRITTEN_OUT: ClassVar[Mapping[str, Table]] = {
        "stages": Table(
            Tableau,
            "[tableau]",
            "A Runge-Kutta table, in place of [[stage]] and [step]; stages are called k2, k3, …. "
            "Entries multiply the step: h in lambda (where they may hold phi-functions), else the "
            "clock's step.",
            excludes={
                name: f"[tableau] takes the place of [{name}]; give one of them"
                for name in ("stage", "step")
            },
        ),
        "parameters": Table(
            None,
            "[let]",
            "Abbreviations for explicit weights: any name = expression, usable below it; a function "
            'of x where the key says so, as in `"f(x)" = "x*exp(x)"`. None can use itself or one '
            "written below it.",
        ),
    }

    name: Annotated[
        str,
        Key(Name(of_file=True), "Name of the solver, of its spec and of its file.", '"my_solver"'),
    ]
    integrand: Annotated[
        str,
        Key(
            Text(("data", "noise", "velocity")),
            "Which prediction is treated as a polynomial: data (D), noise (ε) or velocity.",
            '"data"',
        ),
    ]
    step: Annotated[
        Rule,
        Table(
            Rule,
            "[step]",
            "The rule that ends the step (the predictor).",
            also={
                "spans": Key(
                    Integer(1, MAX_SPANS),
                    "How many intervals of the grid the step covers; 1 unless given. Its stages may "
                    'then lie at the points between: at = "grid 1". A last interval to sigma = 0 is '
                    "a DDIM step of its own.",
                    "2",
                ),
            },
        ),
    ]
    title: Annotated[str, Key(Text(), "Full name, shown to people.", '"DPM-Solver++(2M)"')] = ""
    description: Annotated[
        str, Key(Text(), "What is particular about it, in a sentence or two.", '"…"')
    ] = ""
    coordinate: Annotated[
        str,
        Key(
            Text(COORDINATES),
            "Variable of the polynomials: lambda, the integrand's own clock, rho = e^lambda, "
            "s = e^-lambda, or sigma and t of the declared schedule (of x = x0 + sigma*eps unless "
            "one is declared; cosine defines no t).",
            '"lambda"',
        ),
    ] = "lambda"
    stages: Annotated[
        tuple[Stage, ...],
        Table(
            Stage,
            "[[stage]]",
            "An evaluation inside the step; stages are computed in the order written.",
        ),
    ] = ()
    spans: int = 1
    sweeps: int = 0
    corrector: Annotated[
        Corrector | None,
        Table(Corrector, "[corrector]", "A rule that uses the evaluation at the end of the step."),
    ] = None
    embedded: Annotated[
        Rule | None,
        Table(
            Rule,
            "[embedded]",
            "A second result of lower order from the same evaluations; with [controller] the emitted "
            "file also chooses its own steps (sample_adaptive).",
            needs=("controller",),
            excludes={
                "corrector": "an embedded rule and a corrector cannot be combined",
                "noise": "[embedded] and [noise] cannot be combined",
            },
        ),
    ] = None
    controller: Annotated[
        Controller | None,
        Table(
            Controller,
            "[controller]",
            "How an adaptive solver chooses its steps in lambda, from E = rms of the difference of "
            "the two results over max(atol, rtol*|x|).",
            needs=("embedded",),
            excludes={"noise": "[controller] and [noise] cannot be combined"},
        ),
    ] = None
    start: Annotated[
        Start,
        Table(
            Start,
            "[start]",
            "The first steps, while history is short. Unless said otherwise they use the same rule "
            "with the nodes that exist.",
        ),
    ] = Start()
    end: Annotated[End, Table(End, "[end]", "The last steps.")] = End()
    noise: Annotated[
        Noise | None,
        Table(
            Noise,
            "[noise]",
            "Makes the solver stochastic; the kernel and the variances follow from the strength. The "
            "integrand is data or noise. In the form sde of data every h of the rules becomes "
            "(1 + tau^2)h, in explicit weights too. Each draw belongs to a part of the step (a "
            "Brownian path needs to know which): that of a path to its part between stages, any "
            "other to the step up to the first row that weighs it.",
        ),
    ] = None
    langevin: Annotated[
        Langevin | None,
        Table(
            Langevin,
            "[langevin]",
            "Langevin steps at the level where a step begins, each with a model call of its own and "
            "from the one before: x + rate*(alpha*D - x) + sigma*sqrt(2*rate)*z. For solvers of data "
            "without history and corrector. [noise] stands beside it; its form explicit adds no "
            "noise of its own.",
            needs=("noise",),
        ),
    ] = None
    schedule: Annotated[
        Schedule | None,
        Table(
            Schedule,
            "[schedule]",
            "The noise schedule that gives sigma and t a meaning; needed by those coordinates only.",
        ),
    ] = None
    parameters: Annotated[
        tuple[Parameter, ...],
        Table(
            Parameter,
            "[parameters.NAME]",
            "A free constant of the solver; it becomes a keyword argument of the sampler.",
        ),
    ] = ()
    grid: Annotated[
        Grid | None,
        Table(
            Grid,
            "[grid]",
            "The levels that the solver is made for; the caller's where there is none.",
            excludes={"noise": "[grid] and [noise] cannot be combined"},
        ),
    ] = None
    fitted: Annotated[
        Fitted | None,
        Table(
            Fitted,
            "[fitted]",
            "Where fitted numbers come from. Written by `solvergen fit`; read back and checked.",
            needs=("grid",),
        ),
    ] = None
    claim: Annotated[
        Claim, Table(Claim, "[claim]", "What the author claims. It is checked, never used.")
    ] = Claim()
    source: Annotated[Source, Table(Source, "[source]", "Where the method was published.")] = (
        Source()
    )
