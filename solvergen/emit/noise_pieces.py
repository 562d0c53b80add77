"""The definitions that an emitted file of a stochastic solver adds: tensors, checks, the loop."""

from __future__ import annotations

from ..expr.arithmetic import symbols, symbols_outside_windows
from ..expr.printing import show
from ..program.model import Program
from ..spec.model import Solver
from .layout import Layout
from .noise_text import PAD, lifted
from .pieces import PARTS
from .python_text import WIDTH, literal, python

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
        except (TypeError, ValueError, OverflowError):
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


# Langevin steps draw for themselves, although they are of one step of the grid.
PLACES = """    places, p = [], 0
    for row in plan:  # rows that share draws follow each other, and begin with one of this kind
        p += row[1] {opening}
        places.append(p)
"""


def planned(layout: Layout) -> list[str]:
    """The definitions of `tensors` where noise is drawn, of `numbers` where there are parameters."""
    program = layout.program
    drawn = [_tensors(layout)] if program.stochastic else []
    return [*drawn, *([NUMBERS] if program.parameters else [])]


def _tensors(layout: Layout) -> str:
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
    if not names:
        return []
    noise = solver.noise
    edges = set().union(*(symbols(edge) for edge in noise.window)) if noise else set()
    for expression in (e for step in program.steps for e in step.expressions):
        edges -= symbols_outside_windows(expression)
    shown = [f'"{name}"' for name in names if name in edges] + [f"{n}={n}" for n in names]
    head = f"{PAD}{', '.join(names)} = " if len(names) > 1 else f"{PAD}({names[0]},) = "
    line = f"{head}numbers({', '.join(shown)})"
    if len(line) <= WIDTH:
        return [line]
    return [f"{head}numbers(", f"{PAD * 2}{', '.join(shown)}", f"{PAD})"]


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
