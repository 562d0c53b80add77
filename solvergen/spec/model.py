"""What a solver is: frozen values, as read from TOML or built in Python.

Every key of the spec language is declared here and in `rule` and `noise`, once: see `declare`.
"""

# Annotations are read at run time here, so they are not postponed.

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from sympy import Expr

from .declare import Key, Table
from .kinds import Expression, Integer, Name, Text
from .learned import Called, Fitted, Grid, Parameter
from .memory import Memory
from .noise import Langevin, Noise
from .rule import COORDINATES, Controller, Corrector, Rule, Stage
from .scope import Vocabulary
from .tableau import Tableau
from .tables import Claim, End, Schedule, Source, Start

__all__ = [
    "Called",
    "Claim",
    "Controller",
    "Corrector",
    "End",
    "Fitted",
    "Grid",
    "Langevin",
    "Memory",
    "Noise",
    "Parameter",
    "Rule",
    "Schedule",
    "Solver",
    "Source",
    "Stage",
    "Start",
]

MAX_SPANS = 9


@dataclass(frozen=True)
class Solver:
    """A diffusion solver: the model of a spec file.

    Args:
        name: identifier, also the name of the emitted file.
        integrand: ``data``, ``noise`` or ``velocity``.
        step: the rule that ends the step.
        coordinate: variable of the polynomials.
        linear: the linear part that steps take out exactly; ``None`` for the integrand's own.
        stages: evaluations inside the step, in order.
        spans: how many intervals of the grid a step covers.
        sweeps: how often the stages of an implicit table are repeated; 0 for any other solver.
        coupled: how a second state moves along, if there is one.
        memory: what is remembered of an evaluation; itself unless given.
        corrector: optional corrector.
        embedded: optional rule of lower order on the same evaluations, and the step controller
            that compares the two.
        start, end: the first and the last steps.
        noise, langevin: what makes the solver stochastic, if anything.
        schedule: gives σ and t a meaning as coordinates.
        parameters: free constants, and numbers that differ from step to step.
        grid: the levels that it was made for.
        call: at which levels the model is called.
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
    linear: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.PARAMETERS),
            "The linear part l that steps take out exactly; that of the integrand unless given, 1 of data and "
            "-1 of noise. Rules then approximate G = D + (l - 1)*x/alpha or G = eps - (l + 1)*x/sigma in lambda, and "
            "in explicit weights kappa, so that each phi-function, is l. 0 makes them plain methods on x/alpha or "
            "x/sigma.",
            '"1/2"',
        ),
    ] = None
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
    coupled: Annotated[
        Rule | None,
        Table(
            Rule,
            "[coupled]",
            "The end of the step of a second state, `y`, which begins as x does. Rules start from it by "
            "`carry`; the model is called on x and on stages, and x is the result.",
            excludes={
                "corrector": "[coupled] and [corrector] cannot be combined",
                "embedded": "[coupled] and [embedded] cannot be combined",
                "noise": "[coupled] and [noise] cannot be combined",
            },
        ),
    ] = None
    memory: Annotated[
        Memory | None,
        Table(
            Memory,
            "[memory]",
            "What takes the place of the evaluation at a grid point, in the step that begins there and in "
            "all later ones: a combination of it with what is remembered of those before. It begins where "
            "all of these exist; a PEC corrector sees the evaluation at its end as it comes.",
            excludes={
                "noise": "[memory] and [noise] cannot be combined",
                "coupled": "[memory] and [coupled] cannot be combined",
                "embedded": "[memory] and [embedded] cannot be combined",
            },
        ),
    ] = None
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
    ] = field(default_factory=Start)
    end: Annotated[End, Table(End, "[end]", "The last steps.")] = field(default_factory=End)
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
        ),
    ] = None
    call: Annotated[
        Called | None,
        Table(
            Called,
            "[call]",
            "Where the model is called, and what is taken as it comes.",
            excludes={
                "noise": "[call] and [noise] cannot be combined",
                "embedded": "[call] and [embedded] cannot be combined",
            },
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
    ] = field(default_factory=Claim)
    source: Annotated[Source, Table(Source, "[source]", "Where the method was published.")] = field(
        default_factory=Source
    )
