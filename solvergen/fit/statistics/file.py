"""The sampler as a file that needs torch and math alone, its statistics as safetensors beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ...writing import write
from ..problem import Problem
from ..record import save_tensors
from .estimate import Statistics

SAMPLER = Path(__file__).with_name("sampler.py")
HEAD = """# dpm_solver_v3: made by solvergen; do not edit. To the public domain (CC0-1.0).
# remake   {remake}
# beside   {beside}: lam, l, s, b, {digest}
# measured on {problem}, model {probe}, {points} states at {levels} levels
"""


def written(found: Statistics, problem: Problem, out: Path, remake: str) -> list[Path]:
    """Write `out`, safetensors, and the sampler beside it; each whole or not at all.

    Returns:
        What was written.
    """
    save_tensors(out, found.tensors())
    head = HEAD.format(
        remake=remake,
        beside=out.name,
        digest=hashlib.sha256(out.read_bytes()).hexdigest()[:16],
        problem=problem.name,
        probe=problem.probe(),
        points=found.points,
        levels=len(found.lam),
    )
    path = out.with_suffix(".py")
    write(path, head + SAMPLER.read_text(encoding="utf-8"))
    return [out, path]
