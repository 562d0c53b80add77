"""The exceptions: each says where, what is wrong, what was found and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

MAX_LISTED = 24  # names that a message still lists


class SolvergenError(Exception):
    """Base of every error that solvergen raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """What notebooks show: the message alone, without our frames in front of it."""
        return [f"{type(self).__name__}: {self}"]


class SpecError(SolvergenError):
    """A spec that cannot be read: carries the file, line and column of the mistake.

    Args:
        message: what is wrong, what was found and what to do.
        source: name of the file or text that was read.
        line: 1-based line, or 0 when the error concerns the whole text.
        column: 1-based column, or 0.
        text: the offending source line, for the caret display.
        width: how many characters the caret underlines.

    Attributes:
        others: further mistakes in the same spec, in the order of the text.
    """

    def __init__(
        self,
        message: str,
        source: str = "<spec>",
        line: int = 0,
        column: int = 0,
        text: str = "",
        width: int = 1,
    ) -> None:
        self.message, self.source = message, source
        self.line, self.column, self.text, self.width = line, column, text, width
        self.others: tuple[SpecError, ...] = ()
        super().__init__(str(self))

    @classmethod
    def together(cls, mistakes: Iterable[SpecError]) -> SpecError:
        """All mistakes in a spec as one error: the first of the text, which knows the others."""
        flat = [one for mistake in mistakes for one in (mistake, *mistake.others)]
        own = [one for one in flat if not isinstance(one, Consequence)] or flat[:1]
        known = {(one.line, one.column, one.message): one for one in own}
        first, *others = (known[place] for place in sorted(known))
        for other in others:
            other.others = ()
        first.others = tuple(others)
        return first

    def __str__(self) -> str:
        where = self.source
        if self.line:
            where += f":{self.line}:{self.column}"
        shown = f"{where}: {self.message}"
        if self.text and len(self.text) <= 160:
            caret = " " * (self.column - 1) + "^" * max(1, self.width)
            number = f"{self.line:5d}" if self.line else "     "
            shown += f"\n{number} | {self.text}\n      | {caret}"
        return "\n".join([shown, *map(str, self.others)])


class Consequence(SpecError):
    """A follow-on error, caused by another mistake in the spec; not shown if that mistake is."""


class ExpressionError(SolvergenError):
    """An expression outside the allowed arithmetic; `column` counts from 0."""

    def __init__(self, message: str, column: int = 0, width: int = 1) -> None:
        self.message, self.column, self.width = message, column, width
        super().__init__(message)


class DeriveError(SolvergenError):
    """A solver whose weights cannot exist; `where` is the key path in the spec."""

    def __init__(self, message: str, where: tuple[str | int, ...] = ()) -> None:
        self.message, self.where = message, where
        super().__init__(message)


class OrderError(SolvergenError):
    """An order analysis that cannot be carried out as asked."""


def hint(name: str, known: Collection[str]) -> str:
    """`; did you mean …?`, or the list of what is known when it is short.

    >>> hint("ordr", ["order", "mean"])
    '; did you mean `order`?'
    """
    close = difflib.get_close_matches(name, list(known), 1, 0.6)
    if close:
        return f"; did you mean `{close[0]}`?"
    if not known or len(known) > MAX_LISTED:
        return ""
    return f"; known here: {', '.join(sorted(known))}"
