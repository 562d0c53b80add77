"""Emitted samplers become a ComfyUI custom-node folder: samplers, node classes, entry point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

HOSTS = Path(__file__).parent.parent / "hosts"
ENTRY = '''"""Sampler nodes made by solvergen: {names}. To the public domain (CC0-1.0)."""

from . import {modules}
from .nodes import mappings

NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = mappings(
    [{listed}]
)

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
'''


def comfyui_folder(samplers: Mapping[str, str]) -> dict[str, str]:
    """Files of the folder by name.

    Args:
        samplers: the text of the emitted file of each solver, by the solver's name.
    """
    names = sorted(samplers)
    wrapped = "(\n" + "".join(f"    {name},\n" for name in names) + ")"
    modules = ", ".join(names) if len(names) < 4 else wrapped
    listed = "".join(f"        {name},\n" for name in names)
    entry = ENTRY.format(
        names=f"{len(names)} solver{'s' * (len(names) != 1)}",
        modules=modules,
        listed="\n" + listed + "    ",
    )
    if len(names) < 4:
        call = f"mappings([{', '.join(names)}])"
        entry = entry.replace(f"mappings(\n    [\n{listed}    ]\n)", call)
    nodes = (HOSTS / "comfyui_nodes.py").read_text(encoding="utf-8")
    files = {f"{name}.py": text for name, text in samplers.items()}
    return {**files, "nodes.py": nodes, "__init__.py": entry}
