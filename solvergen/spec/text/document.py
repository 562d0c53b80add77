"""The text or data that a spec is read from: what it holds, and where a mistake in it lies."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from ...errors import Consequence, ExpressionError, SpecError
from ..kinds import KeyPath
from .locate import Locator

MAX_BYTES = 16 * 1024


class Document:
    """A spec before it is understood.

    Args:
        data: the tables and values, as TOML gives them.
        source: the file or whatever else errors should name.
        text: the TOML text, where there is one: errors then have a line and a column; without it
            they name the key.
    """

    def __init__(self, data: dict[str, Any], source: str, text: str | None = None) -> None:
        self.data, self.source = data, source
        self.locator = None if text is None else Locator(text)
        self.mistakes: list[SpecError] = []

    @classmethod
    def of_toml(cls, text: str | bytes, source: str) -> Document:
        """A document from TOML.

        Args:
            text: at most 16 KiB; bytes must be UTF-8; a byte order mark is dropped.
            source: the name shown in errors.

        Raises:
            SpecError: it is too large, not UTF-8 or not TOML.
        """
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        if len(raw) > MAX_BYTES:
            kib = MAX_BYTES // 1024
            raise SpecError(f"larger than {kib} KiB, the largest that is read", source)
        try:
            decoded = raw.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise SpecError("not UTF-8; save the file as UTF-8", source, line, 1) from None
        return cls(_parsed(decoded, source), source, decoded)

    def mistake(self, path: KeyPath, message: str, needle: str = "") -> SpecError:
        """The error for a key, or for a piece of text inside its value."""
        if self.locator is None:
            return SpecError(f"{dotted(path)}: {message}" if path else message, self.source)
        line, column, width = self.locator.value(path, needle)
        return SpecError(message, self.source, line, column, self.locator.line(line), width)

    def fail(self, path: KeyPath, message: str, needle: str = "") -> NoReturn:
        """Raise the error for a key.

        Raises:
            SpecError: always.
        """
        raise self.mistake(path, message, needle)

    def in_expression(
        self, path: KeyPath, text: str, error: ExpressionError, doubtful: bool
    ) -> SpecError:
        """The error for a part of an expression.

        Args:
            path: the key that holds the expression.
            text: the expression.
            error: what is wrong, with its column in the text.
            doubtful: whether the part uses a name whose own declaration is wrong.
        """
        kind = Consequence if doubtful else SpecError
        if self.locator is None:
            message = f"{dotted(path)}: {error.message}"
            return kind(message, self.source, 0, error.column + 1, text, error.width)
        line, column, _ = self.locator.value(path, text)
        shown = self.locator.line(line)
        return kind(error.message, self.source, line, column + error.column, shown, error.width)

    def attempt(self, read: Callable[..., Any], *given: Any) -> Any:
        """What a reader returns; its mistake is kept, so that the rest of the spec is read too."""
        try:
            return read(*given)
        except SpecError as error:
            self.mistakes.append(error)
            return None

    def settle(self, before: int) -> None:
        """Raise the mistakes kept since there were so many, together.

        Raises:
            SpecError: if there are any.
        """
        if mistakes := self.mistakes[before:]:
            del self.mistakes[before:]
            raise SpecError.together(mistakes)

    def each(self, read: Callable[..., Any], items: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
        """What a reader returns for each item; the mistakes of all are raised together."""
        before = len(self.mistakes)
        found = tuple(self.attempt(read, *item) for item in items)
        self.settle(before)
        return found


def dotted(path: KeyPath) -> str:
    """A key path as people write it.

    >>> dotted(("stage", 0, "at"))
    'stage[0].at'
    """
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown.removeprefix(".")


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        lines = text.split("\n")
        line, column = (int(found[1]), int(found[2])) if found else (len(lines), 1)
        message = re.sub(r" \(at .*\)$", "", str(error))
        shown = Locator(text).line(line)
        if named := re.search(r"[{,\n]\s*((?:n|x)\s*\+\s*\d+)\s*=", f"\n{shown}"):
            message += f'; write "{named[1]}" with quotes: TOML takes no + in a bare key'
        if odd := next((c for c in shown[max(0, column - 2) :] if not c.isascii()), ""):
            name = unicodedata.name(odd, "a character without a name")
            message += f"; the line has U+{ord(odd):04X} ({name}) outside of a string"
        raise SpecError(f"not valid TOML: {message}", source, line, column, shown) from None
    except (RecursionError, ValueError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SpecError(f"not valid TOML: {what}", source) from None
