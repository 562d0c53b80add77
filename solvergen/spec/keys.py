"""Every key of the spec language, once: the reader, the JSON Schema and the reference page use it."""

from __future__ import annotations

from .noise_keys import NOISE_TABLES
from .rule_keys import COORDINATES, RULE_KEYS, SCHEDULES, Key, Table

TABLES: dict[str, Table] = {
    "": Table(
        "(top of the file)",
        "What the solver is and which model output it integrates.",
        {
            "name": Key(
                "name", "Name of the solver, of its spec and of its file.", '"my_solver"', True
            ),
            "title": Key("text", "Full name, shown to people.", '"DPM-Solver++(2M)"'),
            "description": Key("text", "What is particular about it, in a sentence or two.", '"…"'),
            "integrand": Key(
                "text",
                "Which prediction is treated as a polynomial: data (D), noise (ε) or velocity.",
                '"data"',
                True,
                ("data", "noise", "velocity"),
            ),
            "coordinate": Key(
                "text",
                "Variable of the polynomials: lambda, the integrand's own clock, rho = e^lambda, "
                "s = e^-lambda, or sigma and t of the declared schedule (of x = x0 + sigma*eps unless one "
                "is declared; cosine defines no t).",
                '"lambda"',
                False,
                COORDINATES,
            ),
        },
    ),
    "source": Table(
        "[source]",
        "Where the method was published.",
        {
            "authors": Key("text", "Authors, as cited.", '"Lu et al."'),
            "year": Key("integer", "Year.", "2022"),
            "title": Key("text", "Title of the paper or code.", '"…"'),
            "arxiv": Key("text", "arXiv number.", '"2211.01095"'),
            "doi": Key("text", "DOI.", '"10.1137/040611434"'),
            "url": Key("text", "Address, when there is no paper.", '"https://…"'),
            "where": Key("text", "Section, equation, algorithm.", '"Algorithm 2"'),
        },
    ),
    "schedule": Table(
        "[schedule]",
        "The noise schedule that gives sigma and t a meaning; needed by those coordinates only.",
        {
            "name": Key("text", "Which schedule.", '"vp-linear"', True, SCHEDULES),
            "beta_min": Key("exact", "β at t = 0 (vp-linear).", '"1/10"'),
            "beta_max": Key("exact", "β at t = 1 (vp-linear).", "20"),
        },
    ),
    "parameters": Table(
        "[parameters.NAME]",
        "A free constant of the solver; it becomes a keyword argument of the sampler.",
        {
            "default": Key("exact", "Default value.", '"1/2"', True),
            "minimum": Key("exact", "Least value allowed.", "0"),
            "maximum": Key("exact", "Greatest value allowed.", "1"),
            "above": Key("exact", "Values must be greater than this.", "0"),
            "below": Key("exact", "Values must be less than this.", "1"),
            "doc": Key("text", "What the parameter does.", '"place of the intermediate node"'),
        },
    ),
    "let": Table(
        "[let]",
        "Abbreviations for explicit weights: any name = expression, usable below it; a function of x "
        'where the key says so, as in `"f(x)" = "x*exp(x)"`. None can use itself or one written below '
        "it.",
    ),
    "stage": Table(
        "[[stage]]",
        "An evaluation inside the step; stages are computed in the order written.",
        {
            "name": Key("name", "What nodes call it.", '"mid"', True),
            "at": Key(
                "place",
                "Its place as a fraction of the step; or a point of the grid, counted from n. Points "
                "beyond the end of the step need [end] steps that do not look so far.",
                '"r"',
                True,
            ),
            "place": Key(
                "text",
                "Variable in which the place is a fraction; the solver's unless given. All rules and places "
                "of a step share one variable at most besides lambda and the clocks.",
                '"lambda"',
                False,
                COORDINATES,
            ),
            **RULE_KEYS,
        },
        repeated=True,
    ),
    "tableau": Table(
        "[tableau]",
        "A Runge-Kutta table, in place of [[stage]] and [step]; stages are called k2, k3, …. Entries "
        "multiply the step: h in lambda (where they may hold phi-functions), else the clock's step.",
        {
            "c": Key(
                "expressions",
                "Places of the stages after the first, which is the point n (all stages if implicit).",
                '["1/2", "1"]',
                True,
            ),
            "a": Key(
                "rows", "Weights of each stage, one list a stage.", '[["1/2"], ["-1", "2"]]', True
            ),
            "b": Key("list", "Weights of the step.", '["1/6", "2/3", "1/6"]', True),
            "sweeps": Key(
                "integer",
                "Makes the table implicit: this many sweeps of fixed-point iteration, written out. The "
                "emitted sampler ends them early where it is given a tolerance.",
                "3",
            ),
        },
    ),
    **NOISE_TABLES,
    "step": Table(
        "[step]",
        "The rule that ends the step (the predictor).",
        {
            "spans": Key(
                "integer",
                "How many intervals of the grid the step covers; 1 unless given. Its stages may then "
                'lie at the points between: at = "grid 1". A last interval to sigma = 0 is a DDIM step '
                "of its own.",
                "2",
            ),
            **RULE_KEYS,
        },
    ),
    "corrector": Table(
        "[corrector]",
        "A rule that uses the evaluation at the end of the step.",
        {
            "mode": Key(
                "text",
                "PEC: the next step reuses the evaluation at the predicted value, at no cost. "
                "PECE: evaluate again at the corrected value.",
                '"PEC"',
                False,
                ("PEC", "PECE"),
            ),
            "sweeps": Key(
                "integer",
                "How often a PECE corrector is applied, each time with a new evaluation: P(EC)^m E.",
                "2",
            ),
            **RULE_KEYS,
        },
    ),
    "embedded": Table(
        "[embedded]",
        "A second result of lower order from the same evaluations; with [controller] the emitted file "
        "also chooses its own steps (sample_adaptive).",
        dict(RULE_KEYS),
    ),
    "controller": Table(
        "[controller]",
        "How an adaptive solver chooses its steps in lambda, from E = rms of the difference of the two "
        "results over max(atol, rtol*|x|).",
        {
            "kind": Key(
                "text",
                "power: accept E <= 1 and scale the step by safety*E^(-1/order). pid: scale by the "
                "1/E of this and the last two steps, limited by 1 + atan(f - 1); accept when the "
                "factor is at least safety (k-diffusion, torchsde).",
                '"pid"',
                True,
                ("power", "pid"),
            ),
            "order": Key("integer", "The order in the exponents.", "3", True),
            "first": Key("exact", "Length of the first step.", '"1/20"'),
            "rtol": Key("exact", "Default relative tolerance.", '"1/20"'),
            "atol": Key("exact", "Default absolute tolerance.", '"0.0078"'),
            "safety": Key("exact", "Safety factor.", '"0.81"'),
            "p": Key("exact", "Proportional coefficient (pid).", "0"),
            "i": Key("exact", "Integral coefficient (pid).", "1"),
            "d": Key("exact", "Derivative coefficient (pid).", "0"),
        },
    ),
    "start": Table(
        "[start]",
        "The first steps, while history is short. Unless said otherwise they use the same rule "
        "with the nodes that exist.",
        {
            "using": Key(
                "texts", "Solvers for the first steps, by name, one per step.", '["rk4_clock"]'
            ),
            "shrink": Key(
                "exact",
                "Shorten the first step from h to h^shrink (where h < 1), which makes up for a "
                "start of low order.",
                '"3/2"',
            ),
        },
    ),
    "start.rule": Table(
        "[[start.rule]]",
        "Rules for the first steps, written out, one table per step.",
        dict(RULE_KEYS),
        True,
    ),
    "end": Table(
        "[end]",
        "The last steps.",
        {
            "using": Key(
                "texts",
                "Solvers for the last steps, by name; the last is the final step.",
                '["ddim"]',
            ),
            "remainder": Key(
                "lists",
                "Of a solver whose steps span several intervals: the solvers of its last steps, one "
                "list for each number of intervals modulo `spans`, from 0 up.",
                '[["ddim", "ddim"], ["ddim"]]',
            ),
            "ramp": Key(
                "boolean", "Use no more nodes than steps remain (lower order at the end).", "true"
            ),
            "zero": Key(
                "text",
                "The step to sigma = 0: ddim returns the denoised prediction; rule applies the "
                "solver's own rule where its limit exists.",
                '"ddim"',
                False,
                ("ddim", "rule"),
            ),
            "corrector": Key(
                "boolean", "Correct the final state too, for one more evaluation (PEC).", "true"
            ),
        },
    ),
    "end.rule": Table(
        "[[end.rule]]",
        "Rules for the last steps, written out; the last is the final step.",
        dict(RULE_KEYS),
        True,
    ),
    "claim": Table(
        "[claim]",
        "What the author claims. It is checked, never used.",
        {
            "order": Key("integer", "Claimed order of accuracy.", "2"),
            "mean": Key("integer", "Claimed weak order of the mean (stochastic solvers).", "2"),
            "covariance": Key("integer", "Claimed weak order of the covariance.", "2"),
            "strong": Key("integer", "Claimed strong order.", "1"),
            "records": Key(
                "text",
                "Set to publication when the claim is recorded from the paper and known to differ.",
                '"publication"',
                False,
                ("publication",),
            ),
        },
    ),
}
