"""The part of an emitted file that chooses its own steps: the embedded result and the controller."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from ...expr.functions import lift
from ...program.model import Program
from ...spec.model import Controller
from ..file_plan import FilePlan
from ..python_text import listing, python
from ..specialise import Static, definition
from ..step_quantities import BLOCK, clock_text
from ..step_text import StepText

PAD = " " * 4


def adaptive_part(plan: FilePlan, static: Static) -> str:
    """The definitions that an adaptive solver adds to its file.

    Returns:
        Source text; ``embedded``, ``attempt`` and ``sample_adaptive``.
    """
    program, controller = plan.program, plan.program.controller
    assert controller is not None and program.embedded is not None
    keywords = "".join(f", {p.name}" for p in program.parameters)
    choices = {**static.choices, "PID": controller.kind == "pid"}
    chosen = replace(static, choices=choices, texts=_controlled(controller))
    run = [definition("adaptive", name, chosen) for name in ("attempt", "sample_adaptive")]
    return "\n\n".join([_embedded(plan, keywords), *run])


def _controlled(controller: Controller) -> dict[str, str]:
    """The numbers of a step controller.

    By powers: accept E ≤ 1; the step scales with E^(−1/order) (Hairer, Nørsett and Wanner, II.4).
    PID: a controller on 1/E with a smooth limiter (Söderlind 2003; torchsde, k-diffusion).
    """
    p, i, d, order = controller.p, controller.i, controller.d, controller.order
    exponents = [(p + i + d) / order, -(p + 2 * d) / order, d / order]
    powers = [
        f"recent[{k}] ** ({_number(value)})" for k, value in enumerate(exponents) if value != 0
    ]
    numbers = {
        "RTOL": controller.rtol,
        "ATOL": controller.atol,
        "FIRST": controller.first,
        "CLOSE": Fraction(1, 100000),
        "TINY": Fraction(1, 10**8),
        "SAFETY": controller.safety,
        "EXPONENT": Fraction(-1, controller.order),
    }
    shown = {name: _number(value) for name, value in numbers.items()}
    return {**shown, "FACTOR": " * ".join(powers) or "1"}


def _embedded(plan: FilePlan, keywords: str) -> str:
    """The function that weighs the embedded rule on a step between two levels."""
    program = plan.program
    assert program.embedded is not None
    text = StepText(plan, replace(program.main, final=program.embedded))
    weights = text.weights(text.step.final)
    named: list[str] = []
    items = [text.base(named, plan.program.main.final)]
    own = (text.stages[row.name] for row in text.step.stages)  # those before are not embedded
    for number, source in enumerate(["n", *own]):
        items.append(text.item(named, f"w{number}", weights.get(source)))
    inner = [*text.offsets(), *text.functions(True), *text.functions(False), *named]
    inner += listing("return", items, BLOCK)
    body = [line[BLOCK - len(PAD) :] for line in inner]
    lines = [
        f"def embedded(alpha, sigma, lam{keywords}):",
        f'{PAD}"""Weights of x and of the evaluations in the rule of lower order."""',
        *_locals(program, "\n".join(body)),
        *body,
    ]
    return "\n".join(lines) + "\n"


def _locals(program: Program, body: str) -> list[str]:
    """Assignments of the step's levels, those that the body uses."""
    used = set(re.findall(r"\w+", body))
    if "H" in used:
        used.add("clock")
    lines = []
    for letter, values in (("a", "alpha"), ("s", "sigma")):
        for k in (0, 1):
            if f"{letter}{k}" in used:
                lines.append(f"{PAD}{letter}{k} = {values}[{k}]")
    if "i" in used:
        lines.append(f"{PAD}i = 0")
    if "h" in used:
        lines.append(f"{PAD}h = lam[1] - lam[0]")
    if "clock" in used:
        lines += [f"{PAD}clock = {clock_text(program)}", f"{PAD}H = clock[1] - clock[0]"]
    return lines


def _number(value: Fraction) -> str:
    return python(lift(value))
