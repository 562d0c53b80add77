"""A calibrated file for hosts: a diffusers scheduler in one file, a node folder for ComfyUI."""

from __future__ import annotations

from ..emit.exports.diffusers_file import HOSTS, IMPORTS, body, class_name
from .fitted import Fitted

ROOMS = ("diffusers/grid.py", "diffusers/saved.py", "diffusers/table.py")
SCHEDULER = '''class {name}(TableScheduler):
    """{title}"""

    solver = NAME
    levels_own = LEVELS
    ends = SIGMAS
    mean_own, std_own = MEAN, STD
    coefficients = staticmethod(coefficients)
'''


def diffusers_text(fitted: Fitted) -> str:
    """The scheduler file: the plan of the calibrated file, then the classes that run it."""
    head = fitted.text[: fitted.text.index("\n\ndef check(")]
    head = head.replace(
        f"# remake   {fitted.remake}",
        f"# remake   solvergen export diffusers {fitted.path.name}",
        1,
    )
    head = head.replace("import math\n\nimport torch\n", IMPORTS, 1)
    made = SCHEDULER.format(
        name=class_name(fitted.name), title=fitted.title.replace('"', "'").replace("\\", "/")
    )
    rooms = [body((HOSTS / name).read_text(encoding="utf-8")) for name in ROOMS]
    return "\n\n".join([head, *rooms, made])


def comfyui_text(fitted: Fitted) -> str:
    """The module of a node folder; nodes give it all levels of a schedule, it takes their ends."""
    return fitted.text.replace(
        "    if len(sigmas) != 2:\n",
        "    sigmas = sigmas[[0, -1]]  # a node's schedule has more levels; its ends count\n"
        "    if len(sigmas) != 2:\n",
        1,
    )
