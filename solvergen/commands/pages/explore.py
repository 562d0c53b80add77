"""The explore command: one interactive page of samplers, grids, noise and stability."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from ...errors import SolvergenError
from ...installing import install, needs
from .. import parsing


def add(commands: Any) -> None:
    """Register the command."""
    explore = parsing.command(
        commands,
        "explore",
        "an interactive page: samplers run beside exact solutions",
        "solvergen explore",
        "solvergen explore mine.toml --out mine.html",
    )
    explore.add_argument(
        "specs", nargs="*", metavar="SPEC", help="solvers to show first, before the page's own"
    )
    explore.add_argument("--out", type=Path, default=Path("explore.html"), metavar="FILE")
    explore.add_argument(
        "--learn",
        action="store_true",
        help="first train the students of the figure on distillation anew (a minute) and keep them",
    )
    explore.set_defaults(handler=run_explore)


def run_explore(args: argparse.Namespace) -> int:
    """Trace the solvers and write the page.

    Raises:
        SolvergenError: a spec that cannot run, or a missing package.
    """
    from ...explore import figures
    from ...writing import write
    from ..terminal import shown

    try:
        from solvergen.verify.errors import VerifyError

        from ...explore.page import page
    except ModuleNotFoundError as error:
        raise SolvergenError(f"`explore` needs {error.name}; {install('verify,pages')}") from None
    needs("jinja2", "bokeh", extras="verify,pages")
    if args.learn:
        from .explore_students import learn

        print(f"wrote {learn()}")
    solvers = list(dict.fromkeys([*args.specs, *figures.SOLVERS, *figures.NOISY]))
    command = shlex.join(["solvergen", "explore", *args.specs, "--out", args.out.name])
    try:
        text = page(solvers, command, lambda names, what: shown(names, what))
    except VerifyError as error:
        raise SolvergenError(str(error)) from None
    write(args.out, text)
    print(f"wrote {args.out}: {len(solvers)} solvers, {len(text.encode()) / 1e6:.1f} MB")
    return 0
