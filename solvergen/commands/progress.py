"""A line of progress on the terminal for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def shown(items: Sequence[Item], doing: str) -> Iterator[Item]:
    """The items one by one, with a counter on standard error once a second has passed.

    Nothing is printed where standard error is no terminal, and the line is wiped at the end.
    """
    begun, printed = time.monotonic(), False
    for number, item in enumerate(items, 1):
        if sys.stderr.isatty() and time.monotonic() - begun > 1:
            printed = True
            print(f"\r{doing} {number}/{len(items)}\x1b[K", end="", file=sys.stderr, flush=True)
        yield item
    if printed:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
