"""What an emitted file of a stochastic solver has besides: scalars of a step, draws, churn, jumps.

A draw is asked for once, by the first row that weighs it, and kept for the later rows of its step; a
draw that no row of its step weighs (strength 0, outside a window) is never asked for. Noise that comes
before a model call (churn, a jump of the grid) is a `lift` of that call's row.
"""

from __future__ import annotations

from dataclasses import replace

from ..expr.show import show
from ..expr.tree import ONE, ZERO, Call, Expr, Symbol, substitute, symbols
from ..program.model import Program, Step
from ..spec.model import Solver
from .layout import Layout
from .pieces import PARTS
from .python_text import WIDTH, assign, literal, python

PAD = " " * 4
# Symbols of the grid as the emitted planner calls them.
GRID_NAMES = {"sigma": "q0", "sigma_next": "q1", "steps": "n"}

PLANNED = '''
def tensors(plan):
    """The plan with 0-d float64 tensors; the first row of a step that lists a draw asks for it."""

    def tensor(value):
        return torch.tensor(value, dtype=torch.float64)

{places}    used = {{({place}, z) for {row} in {plan} for z, draw in enumerate(row[4]) if draw[0]}}
    rows, known = [], {{}}
    for {unpacked} in {plan}:
        kept = [z for z in range(len(noise)) if ({key}, z) in used]
        new = tuple(tensor(noise[z][1:]).unbind() for z in kept if z >= known.get({key}, 0))
        known[{key}] = len(noise)
        weights = tensor([*weights, *(noise[z][0] for z in kept)]).unbind()
{lifted}        rows.append((i, kind, tensor(sigma), weights, new{raised}))
    return rows
'''

LIFTS = "        lifts = tuple(tensor(lift).unbind() for lift in lifts)\n"

LOOP = '''
def integrate(model, x, plan, extra_args=None, callback=None, noise_sampler=None, empty=None):
    """Run the sampler along a plan; differentiable; no step waits for the device.

    noise_sampler: (sigma, sigma_next) -> unit Gaussian noise like x; sigma is sigma / alpha.
    empty: gives memory for new states, as torch.empty_like; torch does unless given.
    """
{begin}
    def draw(*levels):
        if noise_sampler is None:
            return torch.randn_like(x)
        noise = noise_sampler(*levels)
        check_noise(x, noise, dtype, row[0] == plan[0][0])
        return noise.to(x)

    for row in plan:
{lift}        i, sigma, seen = row[0], row[2], x.to(dtype)
        denoised = model(seen, sigma * ones, **extra_args)
{watch}        noise = [draw(*levels) for levels in row[4]]
        x, memory = step(row, x, denoised.to(x.dtype), memory, noise, empty)
        previous = i
    return x.to(dtype)


@torch.no_grad()
{signature}
{sample}    {levels}
{callback}    noise_sampler: (sigma, sigma_next) -> unit Gaussian noise like x; torch.randn_like unless given.
    """
    plan = {planned}
{watched}    return integrate(model, x, plan, extra_args, callback, noise_sampler)
'''

CHECK_NOISE = '''
def check_noise(x, noise, dtype, first):
    """Refuse a draw unlike x; values are looked at in the first step, in inference only."""
    if getattr(noise, "shape", None) != x.shape:
        found = tuple(noise.shape) if torch.is_tensor(noise) else type(noise).__name__
        raise ValueError(f"noise_sampler must return shape {tuple(x.shape)}; found {found}")
    if noise.dtype not in (dtype, x.dtype) or noise.device != x.device:
        wanted, found = f"{dtype} on {x.device}", f"{noise.dtype} on {noise.device}"
        raise ValueError(f"noise_sampler must return {wanted}; found {found}")
    captured = x.is_cuda and torch.cuda.is_current_stream_capturing()
    if not first or torch.compiler.is_compiling() or torch.is_grad_enabled() or captured:
        return
    if not noise.isfinite().all():
        raise ValueError("noise_sampler returned NaN or infinity in the first step")
'''

NUMBERS = '''
def numbers(*unlimited, **parameters):
    """Parameters as floats; refuse what is no number, and infinity unless it is unlimited."""
    for name, value in parameters.items():
        try:
            known = not math.isnan(value) if name in unlimited else math.isfinite(value)
        except (TypeError, ValueError):
            known = False
        if not known:
            raise ValueError(f"{name} must be a finite number; got {value!r}")
    return map(float, parameters.values())
'''

SAME_PATH = '''
def same_path(noise_sampler, strength):
    """Refuse a Brownian path whose clock is known to be that of another equation."""
    integrand, known = getattr(noise_sampler, "equation", None) or (INTEGRAND, strength)
    apart = known is not None and abs(known - strength) > 1e-6 * strength > 0
    if apart or integrand != INTEGRAND:
        path = f"{integrand} prediction" + ("" if known is None else f", strength {known}")
        found = f"the noise is a Brownian path for {path}; this run is for {INTEGRAND} prediction"
        raise ValueError(f"{found}, strength {strength}: give the path that clock")
'''

LIFT = """        for keep, spread, *levels in row[5]:  # noise before the call
            x = keep * x + spread * draw(*levels)
"""

DECREASING = "sigmas: n + 1 decreasing values, the last may be 0; alphas: the same number, ones unless given."
RISING = (
    "sigmas: n + 1 values that fall, or rise to a level already passed, where noise is added; the\n"
    "        last may be 0. alphas: the same number, ones unless given."
)

FALLING_ONLY = """        if i and not lam[i - 1] < lam[i]:
            pair = f"sigmas[{i - 1}] = {sigma[i - 1]}, sigmas[{i}] = {s}"
            raise ValueError(f"sigma / alpha must decrease at every step; found {pair}")
"""
WITH_JUMPS = """        if i and not (lam[i - 1] < lam[i] or lam[0] <= lam[i] < lam[i - 1] and i < len(alpha) - 1):
            pair = f"sigmas[{i - 1}] = {sigma[i - 1]}, sigmas[{i}] = {s}; sigmas[0] = {sigma[0]}"
            found = f"sigma / alpha may rise up to its first value, not at the end; found {pair}"
            raise ValueError(found)
"""


def lifted(program: Program) -> bool:
    """Whether noise may come before a model call."""
    return program.jumps or any(step.churn is not None for step in program.steps)


# Langevin steps draw for themselves, although they are of one step of the grid.
PLACES = """    places, p = [], 0
    for row in plan:  # rows that share draws follow each other, and begin with one of this kind
        p += row[1] {opening}
        places.append(p)
"""


def planned(layout: Layout) -> str:
    """The definition of `tensors`."""
    program, lifts = layout.program, lifted(layout.program)
    more = ", lifts" if lifts else ""
    parts = {"raised": more, "lifted": LIFTS if lifts else ""}
    unpacked = f"i, kind, sigma, weights, noise{more}"
    if any(step.chain for step in program.steps):
        opening = [call.kind for call in layout.calls if call.opens]
        opening += [len(layout.calls)] if layout.norms else []
        one_of = f"in {tuple(opening)}" if len(opening) > 1 else f"== {opening[0]}"
        parts |= {"places": PLACES.format(opening=one_of), "place": "p", "key": "p"}
        parts |= {"row": "p, row", "plan": "zip(places, plan)"}
        return PLANNED.format(unpacked=f"p, ({unpacked})", **parts)
    parts |= {"places": "", "place": "row[0]", "key": "i", "row": "row", "plan": "plan"}
    return PLANNED.format(unpacked=unpacked, **parts)


def loop(solver: Solver, program: Program, signature: str, call: str) -> str:
    """The definitions of `integrate` and `sample`."""
    return LOOP.format(
        **PARTS,
        lift=LIFT if lifted(program) else "",
        signature=signature,
        levels=RISING if program.jumps else DECREASING,
        planned=call,
        watched=f"{PAD}same_path(noise_sampler, {strength})\n"
        if (strength := on_path(solver))
        else "",
    )


def checks(solver: Solver, program: Program) -> list[str]:
    """The definitions of what refuses draws and paths that do not fit."""
    if not program.stochastic:
        return []
    return [CHECK_NOISE, *([SAME_PATH] if on_path(solver) else [])]


def on_path(solver: Solver) -> str:
    """The strength of a reverse SDE whose noise is one Brownian path, as Python, if it is constant."""
    noise, known = solver.noise, {p.name for p in solver.parameters}
    if noise is None or noise.form != "sde" or not symbols(noise.strength) <= known:
        return ""
    return python(noise.strength)


def parameter_lines(solver: Solver, program: Program) -> list[str]:
    """The line that makes parameters floats, if numbers they are; edges of windows may be infinite."""
    names = [p.name for p in program.parameters]
    if not (names and program.stochastic):
        return []
    noise = solver.noise
    edges = set().union(*(symbols(edge) for edge in noise.window)) if noise else set()
    for expression in (e for step in program.steps for e in step.expressions):
        edges -= _outside_windows(expression)
    shown = [f'"{name}"' for name in names if name in edges] + [f"{n}={n}" for n in names]
    head = f"{PAD}{', '.join(names)} = " if len(names) > 1 else f"{PAD}({names[0]},) = "
    line = f"{head}numbers({', '.join(shown)})"
    if len(line) <= WIDTH:
        return [line]
    return [f"{head}numbers(", f"{PAD * 2}{', '.join(shown)}", f"{PAD})"]


def _outside_windows(expression: Expr) -> set[str]:
    if isinstance(expression, Symbol):
        return {expression.name}
    if isinstance(expression, Call) and expression.name == "between":
        return set()
    return set().union(*map(_outside_windows, expression.children()))


def constants(solver: Solver, program: Program) -> list[str]:
    """The constant that says how a file is stochastic."""
    if not program.stochastic:
        return []
    noise = solver.noise
    assert noise is not None
    said: dict[str, object] = {"form": noise.form}
    if noise.form != "explicit":
        said |= {"strength": show(noise.strength) if noise.down is None else "from its lower level"}
    said |= {"jumps": True} if program.jumps else {}
    return literal("NOISE = ", said)


def listed(step: Step, index: int) -> tuple[str, ...]:
    """Names of the draws that the first index + 1 rows of a step weigh, in the order of first use."""
    rows = (*step.stages, step.final)[: index + 1]
    return tuple(dict.fromkeys(draw.name for row in rows for draw in row.noise))


def local(expr: Expr) -> Expr:
    """An expression with the grid's symbols as the planner calls them."""
    return substitute(expr, {name: Symbol(new) for name, new in GRID_NAMES.items()})


def needs_levels(step: Step) -> bool:
    """Whether the block of a step needs σ/α at its ends."""
    return bool(step.draws or step.lets or step.churn or step.chain)


def renews(program: Program) -> bool:
    """Whether every step draws its state anew from the model's value, so that it may begin at α = 0."""
    known = {"sigma_next", *(p.name for p in program.parameters)}
    return all(
        step.final.decay == ZERO
        and not step.stages
        and all(symbols(weight) <= known for weight in step.final.expressions)
        for step in program.steps
    )


def opens(program: Program) -> bool:
    """Whether a step from α = 0 ends in noise: an ancestral step has a lower level there too."""
    return program.main.lower is not None


def opening_lines(layout: Layout) -> list[str]:
    """The ancestral step from α = 0: DDIM to its lower level, then noise; the model is called once."""
    program, pad = layout.program, " " * 12
    if not opens(program):
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
    call = next(c for c in layout.calls if c.evaluations == 1)
    direct = "" if program.integrand == "data" else "0, 1, "
    missing = ", 0" * (len(call.sources) - 1)
    out += assign("s2", Symbol("a1") * local(step.lower), 12)
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
            *assign("spread", Symbol("a1") * program.jump_scale, 12)[:scaled],
            f"            lifts = [*lifts, (keep, {name} * math.sqrt(q1 * q1 - q0 * q0), q0, q1)]",
            "            continue",
        ]
    churned = next((step for step in program.steps if step.churn is not None), None)
    if churned is None:
        return out
    assert churned.churn is not None
    return [
        *out,
        "        start = lam[i]",
        "        if a0 > 0:  # churn: noise up to a higher level before the model call",
        "            q0 = s0 / a0",
        *scalar_lines(churned, 12),
        *assign("start", Symbol("start") - local(churned.churn), 12),
        "            if start < lam[i]:",
        "                a0, s0 = level(start, gauge)",
        "                keep, q1 = a0 / alpha[i], s0 / a0",
        *assign("spread", Symbol("a0") * churned.churn_scale, 16),
        "                lifts = [*lifts, (keep, spread * math.sqrt(q1 * q1 - q0 * q0), q0, q1)]",
    ]
