"""From a key path to its line and column, which tomllib does not report."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]
Position = tuple[int, int, int]

# Possessive throughout: each pattern looks at a character once or twice, whatever the text is.
_HEADER = re.compile(r"\s*+(\[\[?)([^\]]*+)\]\]?")
_KEY = re.compile(
    r"""\s*+((?:[A-Za-z0-9_-]++|"[^"]*+"|'[^']*+')(?:[ \t]*+\.[ \t]*+(?:[\w-]++|"[^"]*+"))*+)\s*+="""
)
_INNER = re.compile(r"""(?<![A-Za-z0-9_-])([A-Za-z0-9_-]++|"[^"]*+"|'[^']*+')\s*+=(?!=)""")


class Locator:
    """Finds the line and column of keys in a TOML text that has already been parsed.

    Tables, arrays of tables, keys and the keys of inline tables are found; anything inside a
    multi-line value is reported at the key that holds it.
    """

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.places: dict[Path, Position] = {}
        self._scan()

    def _scan(self) -> None:
        table: Path = ()
        counts: dict[Path, int] = {}
        for number, line in enumerate(self.lines, 1):
            if header := _HEADER.match(line):
                table = _split(header[2])
                if header[1] == "[[":
                    index = counts.get(table, 0)
                    counts[table] = index + 1
                    table = (*table, index)
                column = header.start(1) + 1
                self.places.setdefault(table, (number, column, header.end() - column + 1))
            elif key := _KEY.match(line):
                path = (*table, *_split(key[1]))
                self._note(path, number, key.start(1), key.end(1))
                for inner in _INNER.finditer(line, key.end()):
                    self._note((*path, *_split(inner[1])), number, inner.start(1), inner.end(1))

    def _note(self, path: Path, line: int, start: int, end: int) -> None:
        self.places.setdefault(path, (line, start + 1, end - start))

    def find(self, path: Path) -> Position:
        """Line, column and width of a key, or of the nearest table that holds it.

        Returns:
            1-based line and column; ``(0, 0, 1)`` for the whole text.
        """
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return (0, 0, 1)

    def value(self, path: Path, needle: str) -> Position:
        """Position of a piece of text inside the value of a key; the key when it is not there."""
        line, column, width = self.find(path)
        if line and needle:
            start = self.lines[line - 1].find(needle, column - 1 + width)
            if start >= 0:
                return (line, start + 1, len(needle))
        return (line, column, width)

    def line(self, number: int) -> str:
        """A line; empty when there is none of that number."""
        return self.lines[number - 1].rstrip("\r") if 0 < number <= len(self.lines) else ""


def _split(dotted: str) -> Path:
    parts = re.findall(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""", dotted)
    return tuple(part.strip("\"'") for part in parts)
