"""Emitted samplers become a ComfyUI custom-node folder: samplers, node classes, entry point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...spec.model import Parameter
from ..python_text import literal

HOSTS = Path(__file__).parents[2] / "hosts"
ENTRY = '''"""Sampler nodes made by solvergen: {names}. To the public domain (CC0-1.0)."""

from . import {modules}
from .nodes import mappings

SAMPLERS = [
{listed}]
# Lowest and highest value of the parameters that are bounded.
{limits}

NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = mappings(SAMPLERS, LIMITS)

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
'''


def comfyui_folder(
    samplers: Mapping[str, str], parameters: Mapping[str, Sequence[Parameter]]
) -> dict[str, str]:
    """Files of the folder by name.

    Args:
        samplers: the text of the emitted file of each solver, by the solver's name.
        parameters: those of each solver, for the bounds of the node's inputs.
    """
    names = sorted(samplers)
    wrapped = "(\n" + "".join(f"    {name},\n" for name in names) + ")"
    bounded = {name: limits(parameters[name]) for name in names if limits(parameters[name])}
    entry = ENTRY.format(
        names=f"{len(names)} solver{'s' * (len(names) != 1)}",
        modules=", ".join(names) if len(names) < 4 else wrapped,
        listed="".join(f"    {name},\n" for name in names),
        limits="\n".join(literal("LIMITS = ", bounded)),
    )
    files = {f"{name}.py": text for name, text in samplers.items()}
    rooms = {"nodes.py": "comfyui_nodes.py", "inversion.py": "inversion.py"}
    hosts = {name: (HOSTS / room).read_text(encoding="utf-8") for name, room in rooms.items()}
    return {**files, **hosts, "__init__.py": entry}


def limits(parameters: Sequence[Parameter]) -> dict[str, list[float | None]]:
    """Lowest and highest value of the parameters that have one, whether they are taken or not."""
    found: dict[str, list[float | None]] = {}
    for parameter in parameters:
        low = parameter.above if parameter.minimum is None else parameter.minimum
        high = parameter.below if parameter.maximum is None else parameter.maximum
        if low is not None or high is not None:
            found[parameter.name] = [None if v is None else float(v) for v in (low, high)]
    return found
