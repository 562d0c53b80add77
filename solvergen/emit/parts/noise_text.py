"""What the plan of a stochastic solver has besides: scalars of a step, draws, churn, jumps.

A draw is asked for once, by the first row that weighs it, and kept for the later rows of its step; a
draw that no row of its step weighs (strength 0, outside a window) is never asked for. Noise that comes
before a model call (churn, a jump of the grid) is a `lift` of that call's row.
"""

from __future__ import annotations

from dataclasses import replace

from sympy import Expr, Symbol

from ...expr.arithmetic import ONE, multiply, substitute, subtract, symbols
from ...program.model import Program
from ...program.step import Step
from ..file_plan import FilePlan
from ..python_text import WIDTH, assign, at_step, python

PAD = " " * 4
# Symbols of the grid as the emitted planner calls them.
GRID_NAMES = {"sigma": "q0", "sigma_next": "q1", "steps": "n"}


def listed(step: Step, index: int) -> tuple[str, ...]:
    """Names of the draws that the first index + 1 rows of a step weigh, in the order of first use."""
    rows = (*step.stages, step.final)[: index + 1]
    return tuple(dict.fromkeys(draw.name for row in rows for draw in row.noise))


def local(expr: Expr) -> Expr:
    """An expression with the grid's symbols as the planner calls them."""
    return substitute(expr, {name: Symbol(new) for name, new in GRID_NAMES.items()})


def needs_levels(step: Step) -> bool:
    """Whether the block of a step needs σ/α at its ends."""
    return bool(step.draws or step.lets or step.churn or step.chain or uses_levels(step))


def uses_levels(step: Step) -> bool:
    """Whether weights name σ/α at an end of the step."""
    used = {name for row in step.rows for e in row.expressions for name in symbols(e)}
    return not used.isdisjoint(("sigma", "sigma_next"))


def opening_lines(plan: FilePlan) -> list[str]:
    """The ancestral step from α = 0: DDIM to its lower level, then noise; the model is called once."""
    program, pad = plan.program, " " * 12
    if not plan.opens:
        return []
    step = program.main
    assert step.lower is not None
    checked = step.positive
    if step.lower != Symbol("lower"):  # all variance may be new here
        checked = tuple(replace(asked, strict=False) for asked in checked)
    out = [
        "        if a0 == 0 and s1 > 0:  # lambda is infinite: DDIM to the lower level, then noise"
    ]
    out.append(f"{pad}q0, q1 = math.inf, s1 / a1")
    out += scalar_lines(replace(step, positive=checked), 12)
    call = next(c for c in plan.calls if c.evaluations == 1)
    direct = "" if program.integrand == "data" else "0, 1, "
    missing = ", 0" * (len(call.sources) - 1)
    out += assign("s2", multiply(Symbol("a1"), local(step.lower)), 12)
    out.append(f"{pad}weights = {direct}s2 / s0, a1{missing}")
    out.append(f"{pad}noise = [(s1 * up, q0, q1)]")
    return [*out, f"{pad}plan.append((i, {call.kind}, s0, weights, noise))"]


def scalar_lines(step: Step, indent: int) -> list[str]:
    """The scalars of a step and the conditions on them: a condition comes before what needs it."""
    asked = {name for one in step.positive for name in symbols(one.value)}
    last = max((k + 1 for k, (name, _) in enumerate(step.lets) if name in asked), default=0)
    early, late = replace(step, lets=step.lets[:last]), replace(step, lets=step.lets[last:])
    return [*let_lines(early, indent), *condition_lines(step, indent), *let_lines(late, indent)]


def let_lines(step: Step, indent: int) -> list[str]:
    """The scalars of a step."""
    out: list[str] = []
    for name, value in step.lets:
        out += assign(name, local(value), indent)
    return out


def condition_lines(step: Step, indent: int) -> list[str]:
    """What must be positive for the noise of a step to exist."""
    pad, out = " " * indent, []
    for asked in step.positive:
        bound = "> 0" if asked.strict else ">= -(2.0**-40)"
        out.append(f"{pad}if not {python(local(asked.value))} {bound}:")
        line = f'{pad}{PAD}raise ValueError(f"step {{i}}: {asked.text}")'
        inner = [
            f"{pad}{PAD}raise ValueError(",
            f'{pad}{PAD * 2}f"step {{i}}: {asked.text}"',
            f"{pad}{PAD})",
        ]
        out += [line] if len(line) <= WIDTH else inner
    return out


def noise_lines(items: list[str], indent: int) -> list[str]:
    """The assignment of a row's draws."""
    pad = " " * indent
    line = f"{pad}noise = [{', '.join(items)}]"
    if len(line) <= WIDTH:
        return [line]
    return [f"{pad}noise = [", *(f"{pad}{PAD}{item}," for item in items), f"{pad}]"]


def lift_lines(program: Program) -> list[str]:
    """Lines at the top of the loop over steps: jumps, and churn of the state before its first call."""
    out = []
    scaled, name = (9, "spread") if program.jump_scale != ONE else (0, "a1")
    if program.jumps:
        out += [
            "        if lam[i + 1] < lam[i]:  # a jump: noise up to the new level",
            "            keep, q0, q1 = a1 / a0, s0 / a0, s1 / a1",
            *assign("spread", multiply(Symbol("a1"), program.jump_scale), 12)[:scaled],
            f"            lifts = [*lifts, (keep, {name} * math.sqrt(q1 * q1 - q0 * q0), q0, q1)]",
            "            continue",
        ]
    churned = next((step for step in program.steps if step.churn is not None), None)
    if churned is None:
        return out
    assert churned.churn is not None
    length = churned.churn
    own = {name: at_step(name) for name in program.varying}
    churned = replace(
        churned, lets=tuple((name, substitute(value, own)) for name, value in churned.lets)
    )
    scale = substitute(churned.churn_scale, own)
    used = set().union(*(symbols(value) for _, value in churned.lets), symbols(scale))
    return [
        *out,
        "        start = lam[i]",
        "        if a0 > 0:  # churn: noise up to a higher level before the model call",
        "            q0 = s0 / a0",
        *(["            q1 = s1 / a1"] if "sigma_next" in used else []),
        *(["            h = lam[i + 1] - lam[i]"] if "h" in used else []),
        *scalar_lines(churned, 12),
        *assign("start", subtract(Symbol("start"), local(length)), 12),
        "            if start < lam[i]:",
        "                a0, s0 = level(start, gauge)",
        "                keep, q1 = a0 / alpha[i], s0 / a0",
        *assign("spread", multiply(Symbol("a0"), scale), 16),
        "                lifts = [*lifts, (keep, spread * math.sqrt(q1 * q1 - q0 * q0), q0, q1)]",
    ]
