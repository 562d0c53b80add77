"""The commands verify and audit live in the judge's room; torch is imported only when they run."""

from __future__ import annotations

import os
from typing import Any

from ..errors import SolvergenError
from ..installing import install

NAMES = {
    "verify": "measure and audit samplers, and check their claims",
    "audit": "exact order of a sampler, from one-hot runs alone",
    "diff": "what changed between two reports, baselines or installed versions",
}


def add(commands: Any, chosen: str | None) -> None:
    """Register the commands: in full when one of them is chosen, otherwise by name and help only.

    Raises:
        SolvergenError: one is chosen and the packages that it needs are missing.
    """
    if chosen not in NAMES:
        for name, text in NAMES.items():
            commands.add_parser(name, help=text)
        return
    # Its matrices are small: threads of the linear algebra, set when numpy loads, wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        from solvergen.verify.command import add_parsers
    except ModuleNotFoundError as error:
        raise SolvergenError(f"`{chosen}` needs {error.name}; {install('verify')}") from None
    add_parsers(commands)
