"""The part of an emitted file that chooses its own steps: the embedded result and the controller."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from ..expr.functions import lift
from ..program.model import Program
from ..spec.model import Controller
from .layout import Layout, clock_text
from .python_text import WIDTH, listing, python
from .step_quantities import BLOCK
from .step_text import StepText

PAD = " " * 4

ATTEMPT = '''
def attempt(model, x, levels, extra_args, first{keywords}):
    """One step by both rules: the result, the one of lower order, the first model output."""
    alpha, sigma, lam = levels
    ones, state, memory, values = x.new_ones([x.shape[0]]), x, (), []
    for row in coefficients(sigma, alpha{passed}):
        denoised = first
        if denoised is None or values:
            denoised = model(state, row[2] * ones, **extra_args)
        if not values:
            first = denoised
        values.append({value})
        state, memory = step(row, state, denoised, memory)
    weights = torch.tensor(embedded(alpha, sigma, lam{passed}), dtype=torch.float64)
    return state, combine(weights.unbind(), [x, *values]), first
'''

LOOP = '''
@torch.no_grad()
{signature}
    """Sample like `sample`, but choose the steps between the first and the last level.

    sigmas: of a grid only the ends count, and the level before a last sigma of 0.
    rtol, atol: tolerances of the local error, the difference of the two rules.
    Each step reads one number from the device. Raises ArithmeticError when no step is small enough.
    """
    alpha, sigma, lam = grid(sigmas, alphas)
    gauge, extra_args = recognise(alpha, sigma), {{}} if extra_args is None else extra_args
    last = len(lam) - 1 if lam[-1] < math.inf else len(lam) - 2
    now, h, before, first, index{state} = lam[0], {length}, x, None, 0{initial}
    while lam[last] - now > {close}:
        ahead = min(lam[last], now + h)
        pairs = [level(now, gauge), level(ahead, gauge)]
        levels = [a for a, _ in pairs], [s for _, s in pairs], [now, ahead]
        high, low, denoised = attempt(model, x, levels, extra_args, first{passed})
        scale = torch.maximum(low.abs(), before.abs()).mul(rtol).clamp(min=atol)
        error = {norm}
        if not math.isfinite(error) or ahead == now:
            raise ArithmeticError(f"at lambda = {{now}} a step of {{h}} has the local error {{error}}")
{control}
        if not accepted:
            first = denoised
            continue
        if callback is not None:
            level_now = {{"sigma": pairs[0][1], "sigma_hat": pairs[0][1]}}
            callback({{"x": x, "i": index, **level_now, "denoised": denoised}})
        x, before, now, first, index = high, low, ahead, None, index + 1
    if last == len(lam) - 1:
        return x
    plan = coefficients(sigma[-2:], alpha[-2:]{passed})
    return integrate(model, x, plan, extra_args)
'''

NORM = {
    "power": "((low - high) / scale).flatten(1).square().mean(1).max().sqrt().item()",
    "pid": "((low - high) / scale).square().mean().sqrt().item()",
}


def adaptive_part(layout: Layout) -> str:
    """The definitions that an adaptive solver adds to its file.

    Returns:
        Source text; ``embedded``, ``attempt`` and ``sample_adaptive``.
    """
    program, controller = layout.program, layout.program.controller
    assert controller is not None and program.embedded is not None
    names = [p.name for p in program.parameters]
    keywords = "".join(f", {name}" for name in names)
    passed = "".join(f", {name}={name}" for name in names)
    value = "denoised"
    if program.integrand != "data":
        value = "combine(row[3][:2], (state, denoised))"
    attempt = ATTEMPT.format(keywords=keywords, passed=passed, value=value)
    parts = [_embedded(layout, keywords), attempt, _loop(program, controller, passed)]
    return "\n\n".join(part.lstrip("\n") for part in parts)


def _embedded(layout: Layout, keywords: str) -> str:
    """The function that weighs the embedded rule on a step between two levels."""
    program = layout.program
    assert program.embedded is not None
    text = StepText(layout, replace(program.main, final=program.embedded))
    weights = text.weights(text.step.final)
    named: list[str] = []
    items = [text.base(named, layout.program.main.final)]
    for number, source in enumerate(["n", *text.stages.values()]):
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


def _loop(program: Program, controller: Controller, passed: str) -> str:
    options = f"rtol={_number(controller.rtol)}, atol={_number(controller.atol)}"
    options += "".join(f", {p.name}={_number(p.default)}" for p in program.parameters)
    given = "model, x, sigmas, extra_args=None, callback=None, disable=None, *, alphas=None"
    items = f"{given}, {options}"
    signature = f"def sample_adaptive(\n{PAD}{items}\n):"
    if len(items) + len(PAD) > WIDTH:
        rows = [f"{PAD}{item}," for item in items.split(", ")]
        signature = "\n".join(["def sample_adaptive(", *rows, "):"])
    pid = controller.kind == "pid"
    return LOOP.format(
        signature=signature,
        state=", past" if pid else "",
        initial=", ()" if pid else "",
        length=_number(controller.first),
        close=_number(Fraction(1, 100000)),
        norm=NORM[controller.kind],
        control="\n".join((_pid if pid else _power)(controller)),
        passed=passed,
    )


def _power(controller: Controller) -> list[str]:
    """Accept E ≤ 1; the step scales with E^(−1/order) (Hairer, Nørsett and Wanner, II.4)."""
    exponent = _number(Fraction(-1, controller.order))
    return [
        f"{PAD}{PAD}accepted = error <= 1",
        f"{PAD}{PAD}h *= {_number(controller.safety)} * max(error, 2.0**-52) ** ({exponent})",
    ]


def _pid(controller: Controller) -> list[str]:
    """A PID controller on 1/E with a smooth limiter (Söderlind 2003; torchsde, k-diffusion)."""
    p, i, d, order = controller.p, controller.i, controller.d, controller.order
    exponents = [(p + i + d) / order, -(p + 2 * d) / order, d / order]
    inverse = f"1 / (error + {_number(Fraction(1, 10**8))})"
    powers = [
        f"recent[{k}] ** ({_number(value)})" for k, value in enumerate(exponents) if value != 0
    ]
    return [
        f"{PAD}{PAD}inverse = {inverse}",
        f"{PAD}{PAD}recent = (inverse, *(past or (inverse, inverse)))",
        f"{PAD}{PAD}factor = 1 + math.atan({' * '.join(powers) or '1'} - 1)",
        f"{PAD}{PAD}accepted, h = factor >= {_number(controller.safety)}, h * factor",
        f"{PAD}{PAD}past = recent[:2] if accepted else recent[1:]",
    ]
