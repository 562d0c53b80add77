"""Values of a spec: TOML text to checked, exact values, each mistake with its line and column."""

from __future__ import annotations

import keyword
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, NoReturn

from ..errors import ExpressionError, SpecError
from ..expr.parse import Functions, hint, parse
from ..expr.tree import BOUND, Expr, Number, Symbol
from .locate import Locator
from .locate import Path as KeyPath
from .model import Parameter
from .names import GRID_POINT, scalar_functions, scalar_names, weight_functions, weight_names
from .rule_keys import KINDS, Key, Table

# An emitted file of such a name would be imported in place of the module.
SHADOWING = {*sys.stdlib_module_names, "torch", "numpy", "scipy", "sympy", "solvergen", "generated"}


class Values:
    """A parsed spec text and the checks that every value goes through.

    Args:
        text: the TOML text.
        source: name shown in errors.
    """

    def __init__(self, text: str, source: str) -> None:
        self.source, self.locator = source, Locator(text)
        self.data = self.parsed(text)
        self.parameters: tuple[Parameter, ...] = ()
        self.abbreviations: dict[str, Expr] = {}
        self.functions: Functions = {}
        self.mistakes: list[SpecError] = []

    def parsed(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            line, column = (int(found[1]), int(found[2])) if found else (len(text.split("\n")), 1)
            message = re.sub(r" \(at .*\)$", "", str(error))
            raise SpecError(
                f"not valid TOML: {message}", self.source, line, column, self.locator.line(line)
            ) from None
        except (RecursionError, ValueError) as error:
            what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise SpecError(f"not valid TOML: {what}", self.source) from None

    def fail(self, path: KeyPath, message: str, needle: str = "") -> NoReturn:
        line, column, width = self.locator.value(path, needle)
        raise SpecError(message, self.source, line, column, self.locator.line(line), width)

    def attempt(self, read: Callable[..., Any], *given: Any) -> Any:
        """What a reader returns; its mistake is kept, so that the rest of the spec is read too."""
        try:
            return read(*given)
        except SpecError as error:
            self.mistakes.append(error)
            return None

    def settle(self, before: int) -> None:
        """Raise the mistakes kept since there were so many, together."""
        if mistakes := self.mistakes[before:]:
            del self.mistakes[before:]
            raise SpecError.together(mistakes)

    def each(self, read: Callable[..., Any], items: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
        """What a reader returns for each item; the mistakes of all of them are raised together."""
        before = len(self.mistakes)
        found = tuple(self.attempt(read, *item) for item in items)
        self.settle(before)
        return found

    def section(self, name: str) -> dict[str, Any]:
        value = self.data.get(name, {})
        if not isinstance(value, dict):
            self.fail((name,), f"`{name}` must be a table; write [{name}] on a line of its own")
        return value

    def table(
        self, path: KeyPath, value: Any, table: Table, also: set[str] | None = None
    ) -> dict[str, Any]:
        """Check a table against its keys and return the values it gives."""
        if not isinstance(value, dict):
            self.fail(path, f"must be a table, found {shown(value)}; write {table.header}")
        before, known = len(self.mistakes), [*table.keys, *(also or ())]
        for key in value:
            if key not in table.keys:
                inside = f" in {table.header}" if path else ""
                told = f"unknown key `{key}`{inside}" + hint(key, known)
                self.attempt(self.fail, (*path, key), told)
        for name, key in table.keys.items():
            if key.required and name not in value:
                what = f"{table.header} needs `{name}`" if path else f"the spec needs `{name}`"
                self.attempt(self.fail, path, f"{what}, for example: {name} = {key.example}")
        found = {
            k: self.attempt(self.value, (*path, k), v, table.keys[k])
            for k, v in value.items()
            if k in table.keys
        }
        self.settle(before)
        return found

    def value(self, path: KeyPath, value: Any, key: Key) -> Any:
        """One value, checked and made exact according to its kind."""
        match key.kind, value:
            case "boolean", bool():
                return value
            case "integer", int() if not isinstance(value, bool) and abs(value) < 10**6:
                return value
            case "text", str() if len(value) <= 2000:
                value = self.one_line(path, value)
                if key.choices and value not in key.choices:
                    self.fail(
                        path,
                        f"`{value}` is not one of {', '.join(key.choices)}"
                        + _close(value, key.choices),
                        value,
                    )
                return value
            case "name", str() if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", value):
                if len(path) == 1 and (value in SHADOWING or keyword.iskeyword(value)):
                    self.fail(
                        path,
                        f"`{value}` is a module or a keyword of Python, which the "
                        "emitted file would hide; choose another name",
                        value,
                    )
                return value
            case "exact", str() | int() if not isinstance(value, bool):
                return self.exact(path, value)
            case "expression", str() | int() if not isinstance(value, bool):
                return self.expression(path, value)
            case "scalar", str() | int() if not isinstance(value, bool):
                return self.scalar(path, value)
            case "scalars", list():
                return tuple(self.scalar(path, item) for item in value)
            case "weight", str() | int() if not isinstance(value, bool):
                return self.expression(path, value, weights=True)
            case "texts", list() if all(isinstance(item, str) for item in value):
                return tuple(value)
            case "lists", list() if all(
                isinstance(row, list) and all(isinstance(item, str) for item in row)
                for row in value
            ):
                return tuple(tuple(row) for row in value)
            case "place", str() if found := GRID_POINT.fullmatch(value):
                return Symbol(f"gamma{found[1]}")
            case "place", str() | int() if not isinstance(value, bool):
                return self.expression(path, value)
            case "expressions", list():
                return tuple(self.expression(path, item) for item in value)
            case "list", list():
                return value
            case "rows", list() if all(isinstance(row, list) for row in value):
                return value
            case "weights", dict():
                return value
        self.fail(
            path,
            f"must be {KINDS[key.kind]}, found {shown(value)}; "
            f"for example: {path[-1]} = {key.example}",
        )

    def one_line(self, path: KeyPath, text: str) -> str:
        """The text with every run of white space as one space: it goes into comments of code."""
        joined = " ".join(text.split())
        if bad := re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", joined):
            self.fail(path, f"contains the control character {bad[0]!r}; remove it")
        return joined

    def exact(self, path: KeyPath, value: str | int) -> Fraction:
        number = self.expression(path, value, {})
        if not isinstance(number, Number):
            self.fail(path, f"must be a rational number, found {shown(value)}", str(value))
        return number.value

    def scalar(self, path: KeyPath, value: Any) -> Expr:
        """A number of the step: it may use the grid, and neither history nor φ-functions."""
        return self.expression(path, value, {**scalar_names(), **self.symbols()}, extra=True)

    def symbols(self) -> dict[str, Expr]:
        """The parameters as symbols."""
        return {p.name: Symbol(p.name) for p in self.parameters}

    def expression(
        self,
        path: KeyPath,
        value: Any,
        names: dict[str, Expr] | None = None,
        weights: bool = False,
        extra: bool = False,
        of_x: bool = False,
    ) -> Expr:
        """An expression in the parameters (and, for weights, in h, ratios and φ-functions; or in x)."""
        if isinstance(value, int) and abs(value) >= 10**60:
            self.fail(path, f"{shown(value)}; numbers have at most 60 digits")
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            self.fail(
                path,
                f"must be a text or an integer so that it stays exact, found "
                f'{shown(value)}; write "{shown(value)}"',
            )
        known = self.symbols() if names is None else names
        stochastic = weights and "noise" in self.data
        functions = weight_functions() if weights else {}
        if extra or stochastic:
            functions = {**functions, **scalar_functions()}
        try:
            if weights:
                grid = scalar_names() if stochastic else {}
                known = {**grid, **weight_names(known), **self.abbreviations}
                functions = {**functions, **self.functions}
            if of_x:
                known = {**known, BOUND.name: BOUND}
            return parse(str(value), known, functions)
        except ExpressionError as error:
            line, column, _ = self.locator.value(path, str(value))
            raise SpecError(
                error.message,
                self.source,
                line,
                column + error.column,
                self.locator.line(line),
                error.width,
            ) from None


def shown(value: Any) -> str:
    """A wrong value in a few words, however large or deep it is."""
    if isinstance(value, (dict, list)):
        return f"a {'table' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"an integer of {value.bit_length()} bits"
    return f"{value!r:.60}"


def _close(value: str, choices: tuple[str, ...]) -> str:
    shown = hint(value, choices)
    return shown if "did you mean" in shown else ""
