"""What a person at a terminal gets: colour, tables that fit, progress. Pipes get plain lines.

rich is imported when it is needed only: `--help`, `list` in a pipe and the like start without it. It
honours NO_COLOR.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Item = TypeVar("Item")

# What stands out in the text that `explain` and `lint` print.
_MARKS = (
    r"(?P<good>: holds$|: ok;)",
    r"(?P<bad>^(error|(the publication )?claims order \d+: refuted.*))",
    r"(?P<warn>^(warning|held back by .*|no order is stated: .*))",
    r"(?P<head>^(order, proved|local error|stiff order|evaluations per step|parameter) )",
    r"(?P<caret>^ +\| +\^+$)",
)
_STYLES = {
    "good": "green",
    "bad": "bold red",
    "warn": "yellow",
    "head": "bold",
    "caret": "bold red",
}


def interactive(stream: IO[str] | None = None) -> bool:
    """Whether a person reads the stream (standard output unless given)."""
    return bool((stream or sys.stdout).isatty())


def say(text: str, title: bool = False) -> None:
    """Print text to standard output, in colour at a terminal; `title` marks its first line."""
    _write(text, sys.stdout, title)


def complain(text: str) -> None:
    """Print an error or a warning to standard error, in colour at a terminal."""
    _write(text, sys.stderr, False)


def _write(text: str, stream: IO[str], title: bool) -> None:
    if not interactive(stream):
        print(text, file=stream)
        return
    from rich.text import Text

    shown = Text()
    for number, line in enumerate(text.split("\n")):
        piece = Text(line, style="bold" if title and number == 0 else "")
        for pattern in _MARKS:
            piece.highlight_regex(pattern, style_prefix="")
        shown.append_text(piece).append("\n")
    _console(stream).print(shown, end="", soft_wrap=True)


def _console(stream: IO[str]) -> Console:
    from rich.console import Console
    from rich.theme import Theme

    return Console(file=stream, theme=Theme(_STYLES), highlight=False)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> None:
    """Print a table: aligned columns in a pipe, a table no wider than the screen at a terminal.

    Args:
        heads: of the columns.
        rows: their cells.
        right: a letter a column: r for those aligned to the right, anything else for the left.
    """
    found = [tuple(row) for row in rows]
    sides = right.ljust(len(heads))
    if not interactive():
        _plain(heads, found, sides)
        return
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold", row_styles=("", "dim"))
    for head, side in zip(heads, sides, strict=False):
        shown.add_column(head, justify="right" if side == "r" else "left", overflow="fold")
    for row in found:
        shown.add_row(*row)
    _console(sys.stdout).print(shown)


def _plain(heads: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> None:
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows):
        cells = (
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=False)
        )
        print("  ".join(cells).rstrip())


def shown(items: Sequence[Item], doing: str) -> Iterator[Item]:
    """The items one by one, with a bar and the time left once a second has passed.

    Args:
        items: what is worked on.
        doing: what is done to them, for the bar.

    Nothing is printed where standard error is not a terminal, and the bar is wiped at the end.
    """
    if not interactive(sys.stderr):
        yield from items
        return
    begun, bar, task = time.monotonic(), None, None
    try:
        for number, item in enumerate(items):
            if bar is None and time.monotonic() - begun > 1:
                from rich.progress import Progress

                bar = Progress(console=_console(sys.stderr), transient=True)
                bar.start()
                task = bar.add_task(doing, total=len(items))
            if bar is not None and task is not None:
                bar.update(task, completed=number)
            yield item
    finally:
        if bar is not None:
            bar.stop()
