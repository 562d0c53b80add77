"""Computer algebra with a bound: a search that does not end soon is given up, on every machine alike."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

Found = TypeVar("Found")


class _GivenUp(BaseException):
    """Raised inside sympy, which catches some `Exception`s on its own."""


def within(calls: int, search: Callable[..., Found], *args: Any) -> Found | None:
    """The result of a search, or ``None`` once it has made too many Python calls.

    Calls are counted, not seconds, so that the answer does not depend on the machine's load.

    Args:
        calls: how many Python functions may be called; a million are about a second.
        search: the function; `args` are its arguments.

    >>> within(100, max, [1, 2])
    2
    >>> within(3, lambda: [name for name in map(lambda x: x, range(9))]) is None
    True
    """
    left = calls
    before = sys.getprofile()

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        if event == "call":
            left -= 1
            # What a generator raises while it is being closed would be lost.
            if left < 0 and not frame.f_code.co_flags & inspect.CO_GENERATOR:
                raise _GivenUp

    sys.setprofile(count)
    try:
        return search(*args)
    except _GivenUp:
        return None
    finally:
        sys.setprofile(before)
