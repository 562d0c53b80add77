"""The command line: arguments, exit codes, and nothing heavy until a command needs it.

Exit codes: 0 fine, 1 a check failed, 2 a bad spec or bad usage.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .commands.terminal import complain
from .errors import SolvergenError

# Where commands are declared, in the order of `solvergen --help`; the judge's and those on students
# follow. A room is imported where one of its commands is chosen, and all of them for the list.
ROOMS = {
    "specs": ("new", "lint", "schema"),
    "listing": ("list",),
    "explain": ("explain", "same"),
    "generation": ("generate",),
    "questions": ("cure", "compare", "conditions"),
    "certify": ("certify",),
    "process": ("process",),
    "pages.gallery": ("gallery",),
    "pages.explore": ("explore",),
    "export": ("export",),
    "learned.fit_spec": ("fit",),
    "learned.fitting": ("calibrate", "search", "fit-grid", "fit-statistics"),
    "pages.frontier": ("frontier", "tables"),
    "demonstration": ("demo",),
    "completion": ("completion",),
}
# sympy makes many small objects, and most of them stay: looked through at every 700th, as Python does,
# they cost `explain` an eighth of its time.
COLLECTED_AT = 10_000
EPILOG = """\
SPEC is a TOML file or the name of a gallery solver.

examples:
  solvergen new mine --from predictor-corrector
  solvergen lint mine.toml
  solvergen explain mine.toml
  solvergen generate mine.toml --out samplers/
  solvergen verify samplers/mine.py --html mine.html

exit codes: 0 fine, 1 a check failed, 2 bad spec or bad usage
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; `sys.argv` unless given.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal without ₙ or λ shows them as escapes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    gc.set_threshold(COLLECTED_AT)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        root = parser(words[0] if words else None)
        args, rest = root.parse_known_args(words)
        if rest:  # with the usage of the command, where argparse itself shows that of the root
            getattr(args, "used", root).error(f"unrecognized arguments: {' '.join(rest)}")
        return int(args.handler(args))
    except SolvergenError as error:
        complain(f"error: {error}")
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        where = f"{error.filename}: " if error.filename else ""
        complain(f"error: {where}{error.strerror or error}")
        return 2
    except KeyboardInterrupt:
        complain("interrupted; files already written are complete")
        return 130


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        chosen: the command in question, which is then the only one where its room is known. The
            judge's commands import torch, so they are declared in full only where one is chosen.
    """
    root = argparse.ArgumentParser(
        prog="solvergen",
        description="Diffusion solvers from a short spec: exact coefficients, true order, torch code.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"solvergen {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    alone = [room for room, names in ROOMS.items() if chosen in names and chosen != "completion"]
    for room in alone or ROOMS:
        import_module(f".commands.{room}", __package__).add(commands)
    if not alone:
        from .commands import judging
        from .commands.learned import students

        judging.add(commands, chosen)
        students.add(commands, chosen)
    for one in commands.choices.values():
        one.set_defaults(used=one)
    return root


if __name__ == "__main__":
    sys.exit(main())
