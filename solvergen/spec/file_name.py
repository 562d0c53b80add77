"""Which names a solver, and so the file emitted for it, can have."""

from __future__ import annotations

import keyword
import re
import sys

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

# An emitted file of such a name would be imported in place of the module.
SHADOWING = {*sys.stdlib_module_names, "torch", "numpy", "scipy", "sympy", "solvergen", "generated"}


def name_refusal(name: str) -> str:
    """Why a solver, and so the file emitted for it, cannot have a name; empty if it can."""
    if not NAME.fullmatch(name):
        return "use letters, digits and underscores, a letter first"
    if name in SHADOWING or keyword.iskeyword(name):
        return (
            "it is a Python module or keyword, which the emitted file would shadow; choose "
            "another name"
        )
    return ""
