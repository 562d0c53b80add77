"""What a file adds whose numbers differ from step to step, and one that has levels of its own."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from sympy import log

from ...expr.arithmetic import ONE, substitute, symbols
from ...expr.functions import lift
from ...program.defects import defects
from ...program.model import Program
from ...spec.model import Solver
from ..python_text import literal, wrap_tuple
from ..specialise import Static, definition, wrapped
from . import noise_parts

PAD = " " * 4
# What `sample` says of its grid.
LEVELS = (
    "sigmas: the file's own LEVELS unless given; others are taken with a warning.\n"
    "    alphas: the same number, ones unless given."
)


def definitions(program: Program) -> list[str]:
    """The functions that such a file needs."""
    found = [definition("fitted", "per_step")] if program.varying else []
    if program.first:
        text = definition("first", "first_output", Static({"FORM": program.first}))
        keywords = "".join(f", {name}" for name in statistics(program))
        found += [definition("first", "finite")] * bool(keywords)
        found.append(text.replace(", mean, std)", f"{keywords})"))
    return [*found, *([definition("fitted", "fitted_levels")] if program.levels else [])]


def sampled(program: Program) -> dict[str, str]:
    """The numbers that may differ within a batch, and what plans a run with them."""
    own = program.by_sample or program.by_element
    others = [p.name for p in program.parameters if p.name not in own] + list(statistics(program))
    given = "".join(f"{name}={name}, " for name in others)
    return {
        "LATE": "{" + ", ".join(f'"{name}": {name}' for name in own) + "}",
        "PLANNED": f"lambda **own: coefficients(sigmas, alphas, {given}**own)",
    }


def late(program: Program, static: Static) -> list[str]:
    """The definitions of a run with numbers of their own for every sample, or for every element."""
    if program.by_element:
        names = ("by_element", "element_numbers", "integrate_by_element")
        return [definition("elements", name, static) for name in names]
    if not program.by_sample:
        return []
    names = ("by_sample", "at_step", "integrate_by_sample")
    return [definition("sampled", name, static) for name in names]


def statistics(program: Program) -> dict[str, str]:
    """The data's statistics that stand for the first output: keywords and defaults."""
    known = {"mean": {"mean": "0"}, "gaussian": {"mean": "0", "std": "1"}}
    return known.get(program.first, {})


def returned(program: Program, plan: str) -> list[str]:
    """The last lines of `coefficients`."""
    if not program.first:
        return [f"{PAD}return {plan}"]
    given = "".join(f", {name}" for name in statistics(program))
    return [
        f"{PAD}plan = {plan}",
        f"{PAD}plan.first = first_output(sigmas, alphas{given})",
        f"{PAD}return plan",
    ]


def lines(program: Program) -> list[str]:
    """Lines of `coefficients` after the grid is known."""
    names, found = program.varying, []
    if program.levels:
        own = [p.name for p in program.parameters if p.values]
        known = " and ".join(f'{name} is NUMBERS["{name}"]' for name in own)
        inner = PAD * 2 if own else PAD
        found = [f"{PAD}if {known}:"] * bool(own) + [f"{inner}fitted_levels(alpha, sigma)"]
    if names:
        head = f"{PAD}{', '.join(names)} = " if len(names) > 1 else f"{PAD}({names[0]},) = "
        given = ", ".join(f"{name}={name}" for name in names)
        found += wrapped(f"{head}per_step(len(lam) - 1, {given})").splitlines()
    return found


def sampling(text: str, program: Program) -> str:
    """The definition of `sample`, whose grid is the file's own where it has one."""
    if not program.levels:
        return text
    text = text.replace(noise_parts.FALLING, LEVELS)
    begin, _, rest = text.partition("sigmas")
    head, colon, body = rest.partition("):\n")
    signature = begin.rpartition("def ")
    joined = f"def {signature[2]}sigmas=LEVELS{head}{colon}".replace("\n", " ")
    joined = " ".join(joined.split()).replace("( ", "(").replace(" )", ")").replace(",)", ")")
    return f"{signature[0]}{wrapped(joined)}\n{body}"


def header(solver: Solver) -> list[str]:
    """Where fitted numbers come from."""
    fitted = solver.fitted
    if fitted is None:
        return []
    errors = [
        f"rms {float(fitted.held_out):.3g} on held-out starts" if fitted.held_out else "",
        f"{float(fitted.before):.3g} before" if fitted.before else "",
    ]
    known = ", ".join(part for part in errors if part)
    return [f"# fitted   on {fitted.problem} for {fitted.steps} steps{'; ' * bool(known)}{known}"]


def constants(program: Program, theory: Mapping[str, Any] | None) -> list[str]:
    """Levels, numbers, and what the table does at them."""
    found = []
    if program.first:
        found += ["# The first model output is not called for.", f'FIRST = "{program.first}"']
    if program.varying and theory and "order" in theory:
        kept = theory["order"]["arbitrary"]["own_end"]["order"]
        others = "any others" if not program.main.memory else "others whose memory dies out"
        found += [
            f"# Proved for all numbers below, and for {others}: the order on any grid.",
            f"KEPT_ORDER = {max(kept, 0)}",
        ]
    if program.by_sample:
        found += [
            "# Each a number, a list of one a step, a tensor (batch,) or (steps, batch), or a callable",
            "# (i, x, denoised) that is asked after the first model call of step i.",
            _names("PER_SAMPLE", program.by_sample),
        ]
    if program.by_element:
        found += [
            "# Each a number, a list of one a step, or a tensor of the shape of a sample (any dimension may",
            "# be 1) or of one such a step.",
            _names("PER_ELEMENT", program.by_element),
        ]
    if program.length is not None:
        found.append(f"STEPS = {program.length}")
    if program.levels:
        found += wrap_tuple("LEVELS = ", _floats(program.levels), 0)
    if listed := [p for p in program.parameters if p.values]:
        found.append("# One number a step.")
        found.append("NUMBERS = {")
        for parameter in listed:
            found += wrap_tuple(f'"{parameter.name}": ', _floats(parameter.values), 4, ",")
        found.append("}")
        base = {parameter.name: float(parameter.default) for parameter in listed}
        found += ["# The rule before a fit, at every step.", *literal("BASE = ", base)]
    found += _called(program)
    if steps := defects(program) if program.varying else ():
        moments = [tuple(_short(m) for m in step.moments) for step in steps]
        found += [
            "# Of each step: its weights against the moments of degree 0, 1, 2, less 1; and the most",
            "# by which a step magnifies errors of the model.",
            "DEFECTS = (",
            *(f"    ({', '.join(map(repr, row))})," for row in moments),
            ")",
            f"GAIN = {_short(max(step.gain for step in steps))!r}",
        ]
    return found


def _names(constant: str, names: tuple[str, ...]) -> str:
    shown = ", ".join(f'"{name}"' for name in names)
    return f"{constant} = ({shown}{',' * (len(names) == 1)})"


def _called(program: Program) -> list[str]:
    """At what multiples of its states' levels a file calls the model, where not at those levels."""
    if program.length is None or not program.calls_elsewhere:
        return []
    found = [
        "# The model is called at these multiples of its states' levels, step by step.",
        "CALLED = (",
    ]
    for i, step in enumerate(program.blocks(program.length)):
        known = {p.name: lift(p.values[i] if p.values else p.default) for p in program.parameters}
        if program.levels and program.levels[i + 1]:
            known["h"] = log(lift(program.levels[i] / program.levels[i + 1]))
        own = program.called if i or not program.first else ONE
        factors = [substitute(f, known) for f in (own, *(row.level for row in step.stages))]
        # a step to sigma = 0 is a call at n alone
        factors = [ONE if symbols(f) else f for f in factors]
        shown = ", ".join(repr(float(f)) for f in factors)
        found.append(f"    ({shown}{',' * (len(factors) == 1)}),")
    return [*found, ")"]


def _short(value: float) -> float:
    """Seven digits; rounding errors of exact sums are nothing."""
    return 0.0 if abs(value) < 1e-13 else float(f"{value:.7g}")


def _floats(values: tuple[Fraction, ...]) -> list[str]:
    """Numbers as Python prints them."""
    return [repr(float(value)) for value in values]
