"""What a kind of value is, and what it needs of the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

from sympy import Expr

from ..scope import Vocabulary

KeyPath = tuple[str | int, ...]


class Reading(Protocol):
    """What a kind needs of the reader of a spec."""

    def fail(self, path: KeyPath, message: str, needle: str = "") -> NoReturn: ...

    def each(
        self, read: Callable[..., Any], items: Iterable[tuple[Any, ...]]
    ) -> tuple[Any, ...]: ...

    def expression(self, path: KeyPath, value: str | int, names: Vocabulary) -> Expr: ...


class Kind(Protocol):
    """What a value must be.

    Attributes:
        phrase: completes "must be …".
        plural: completes "a list of …".
        schema: JSON Schema.
        choices: the allowed strings, where they are a closed list.
        range: completes "it must be …", where numbers are bounded.
    """

    @property
    def phrase(self) -> str: ...

    @property
    def plural(self) -> str: ...

    @property
    def schema(self) -> dict[str, Any]: ...

    @property
    def choices(self) -> tuple[str, ...]: ...

    @property
    def range(self) -> str: ...

    def fits(self, value: object) -> bool:
        """Whether a TOML value has the right type; what it says is checked when it is read."""
        ...

    def read(self, spec: Reading, path: KeyPath, value: Any) -> Any:
        """The checked value.

        Raises:
            SpecError: with the place and a remedy.
        """
        ...


def shown(value: object) -> str:
    """A wrong value in a few words, however large or deep it is."""
    if isinstance(value, (dict, list)):
        return f"a {'table' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"an integer of {value.bit_length()} bits"
    return f"{value!r:.60}"
