"""How commands are declared: a line of help, and examples below it."""

from __future__ import annotations

import argparse
from typing import Any


def command(commands: Any, name: str, summary: str, *examples: str) -> argparse.ArgumentParser:
    """A parser for a command.

    Args:
        commands: argparse's subparsers.
        name: of the command.
        summary: one line for the list of commands; the command's own help begins with it.
        examples: command lines, each with what it is for after a #.
    """
    shown = "examples:\n" + "\n".join(f"  {line}" for line in examples) if examples else None
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=shown,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser
