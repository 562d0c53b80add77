"""How commands are declared: a line of help, and examples below it."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any


def command(
    commands: Any, name: str, summary: str, *examples: str, about: str = "", note: str = ""
) -> argparse.ArgumentParser:
    """A parser for a command.

    Args:
        commands: argparse's subparsers.
        name: of the command.
        summary: one line for the list of commands; the command's own help begins with it.
        examples: command lines, each with what it is for after a #.
        about: what the command's own help begins with, where one line does not say it.
        note: what its help ends with.
    """
    shown = "examples:\n" + "\n".join(f"  {line}" for line in examples) if examples else ""
    closing = "\n\n".join(part for part in (shown, textwrap.fill(note, 79)) if part)
    end = "?" if summary.endswith("?") else "."
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(
            about or summary[0].upper() + summary[1:].removesuffix("?") + end, 79
        ),
        epilog=closing or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser
