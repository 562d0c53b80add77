"""The command line: arguments, exit codes, and nothing heavy until a command needs it.

Exit codes: 0 fine, 1 a check failed, 2 a bad spec or bad usage.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from . import __version__
from .errors import SolvergenError


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
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(words[0] if words else None).parse_args(words)
        return int(args.handler(args))
    except SolvergenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; files already written are whole", file=sys.stderr)
        return 130


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="solvergen",
        description="Diffusion solvers from a short spec: exact coefficients, true order, torch code.",
        epilog="SPEC is a TOML file or the name of a gallery solver (solvergen list). "
        "Exit codes: 0 fine, 1 a check failed, 2 bad spec or usage.",
    )
    parser.add_argument("--version", action="version", version=f"solvergen {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    from .commands import (
        certify,
        demonstration,
        explore,
        export,
        fitting,
        gallery,
        generation,
        judging,
        process,
        specs,
        students,
        theory,
    )

    rooms = (
        specs,
        generation,
        gallery,
        explore,
        export,
        theory,
        certify,
        process,
        fitting,
        demonstration,
    )
    for room in rooms:
        room.add(commands)
    judging.add(commands, chosen)
    students.add(commands, chosen)
    return parser


if __name__ == "__main__":
    sys.exit(main())
