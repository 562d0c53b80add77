"""A Program becomes a diffusers scheduler in one file: the sampler, then the classes that run it.

The classes are those of the room `hosts`, taken over as text, so that what users paste is what the
tests of that room run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DeriveError
from ...program.model import Program
from ...spec.model import Solver
from ..python_text import literal
from ..torch_file import torch_file
from .diffusers_family import family_of

HOSTS = Path(__file__).parents[2] / "hosts"
ROOMS = (
    "memory.py",
    "diffusers/grid.py",
    "diffusers/config.py",
    "diffusers/flow.py",
    "diffusers/levels.py",
    "diffusers/noise.py",
    "diffusers/output.py",
    "diffusers/compiled.py",
    "diffusers/sums.py",
    "diffusers/walk.py",
    "diffusers/mixing.py",
    "diffusers/step.py",
    "diffusers/saved.py",
    "diffusers/scheduler.py",
)
IMPORTS = """from __future__ import annotations

import copy
import functools
import inspect
import itertools
import math
import operator
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_ddpm import betas_for_alpha_bar
from diffusers.schedulers.scheduling_utils import (
    KarrasDiffusionSchedulers,
    SchedulerMixin,
)
from diffusers.utils import BaseOutput, logging
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
"""
SCHEDULER = '''class {name}(GridScheduler):
    """{title}: {calls} per step."""

    solver = NAME
    family = "{family}"
{method}
    calls = order = {interval}
    history = HISTORY
    draws = {draws}
    velocity = INTEGRAND == "velocity"
    coefficients = staticmethod(coefficients)
    advance = staticmethod(step)
'''


def class_name(name: str) -> str:
    """The class that a solver's scheduler is called.

    >>> class_name("dpmpp_2m")
    'Dpmpp2mScheduler'
    """
    return "".join(part.capitalize() for part in name.split("_")) + "Scheduler"


def body(source: str) -> str:
    """What a module defines, without its docstring and imports."""
    found = re.search(r"^(@|def |class |# |[A-Z_]+ = |logger = )", source, re.MULTILINE)
    assert found
    return source[found.start() :]


def sampler_text(text: str, remake: str, imports: str) -> str:
    """An emitted sampler up to its `step`, with other imports and another way to remake it."""
    head = text[: text.index("\n\ndef check_state(")]
    head = re.sub(r"(?m)^# remake .*$", f"# remake   {remake}", head, count=1)
    warned = "import math\nimport warnings\n\nimport torch\n"  # a file made for levels of its own
    if warned in head:
        imports = imports.replace("import threading\n", "import threading\nimport warnings\n", 1)
        return head.replace(warned, imports, 1)
    return head.replace("import math\n\nimport torch\n", imports, 1)


def diffusers_file(
    solver: Solver, program: Program, theory: Mapping[str, Any] | None = None, spec: str = ""
) -> str:
    """The scheduler file of a solver; it imports math, torch and diffusers.

    Args:
        solver: the spec, for the header.
        program: what was derived from it.
        theory: the order report as plain data.
        spec: what the header says to export; the solver's name unless given.

    Raises:
        DeriveError: its first output needs no call.
    """
    if program.first:
        raise DeriveError(
            f"{solver.name} takes its first output without a model call, and a diffusers pipeline calls "
            "the model at every step; remove `first`, or run the emitted file",
            ("start", "first"),
        )
    remake = f"solvergen export diffusers {spec or solver.name}"
    sampler = sampler_text(torch_file(solver, program, theory), remake, IMPORTS)
    count = program.evaluations_per_step
    family, method = family_of(solver.name)
    spans = program.main.spans
    scheduler = SCHEDULER.format(
        name=class_name(solver.name),
        title=(solver.title or solver.name).replace('"', "'"),
        family=family,
        method="\n".join(literal("method = ", method, 4)),
        draws="\nNOISE = " in sampler,
        interval="EVALUATIONS_PER_STEP" + (f" // {spans}" if spans > 1 else ""),
        calls=f"{count} model call{'s' * (count != 1)}",
    )
    rooms = [body((HOSTS / name).read_text(encoding="utf-8")) for name in ROOMS]
    return "\n\n".join([sampler, *rooms, scheduler])
