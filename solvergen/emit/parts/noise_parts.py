"""What an emitted file of a stochastic solver adds: its strength, its parameters, its constants."""

from __future__ import annotations

from ...expr.arithmetic import symbols, symbols_outside_windows
from ...expr.printing import show
from ...program.model import Program
from ...spec.model import Solver
from ..python_text import WIDTH, literal, python
from .noise_text import PAD

# What `sample` says of its grid.
FALLING = "sigmas: n + 1 decreasing values, the last may be 0; alphas: the same number, ones unless given."
RISING = (
    "sigmas: n + 1 values that fall, or rise to a level already passed, where noise is added; the\n"
    "        last may be 0. alphas: the same number, ones unless given."
)


def on_path(solver: Solver) -> str:
    """The strength of a reverse SDE whose noise is one Brownian path, as Python, if it is constant."""
    noise, known = solver.noise, {p.name for p in solver.parameters}
    if noise is None or noise.form != "sde" or not symbols(noise.strength) <= known:
        return ""
    return python(noise.strength)


def parameter_lines(solver: Solver, program: Program) -> list[str]:
    """The line that makes parameters floats, if numbers they are; edges of windows may be infinite."""
    names = [p.name for p in program.parameters if not p.per]
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
