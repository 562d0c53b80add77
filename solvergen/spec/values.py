"""Values of a spec: TOML text to checked, exact values, each mistake with its line and column."""

from __future__ import annotations

import keyword
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, NoReturn

from sympy import Expr, Symbol

from ..errors import Consequence, ExpressionError, SpecError, hint
from ..expr.arithmetic import fraction_of
from ..expr.functions import BOUND
from ..expr.parse import Functions, parse
from .locate import Locator
from .locate import Path as KeyPath
from .model import Parameter
from .names import GRID_POINT, scalar_functions, scalar_names, weight_functions, weight_names
from .rule_keys import KINDS, Key, Table

# An emitted file of such a name would be imported in place of the module.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
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
        self.unsure: set[str] = set()  # names of the spec whose own meaning is wrong
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
        number = isinstance(value, (str, int)) and not isinstance(value, bool)
        match key.kind, value:
            case "boolean", bool():
                return value
            case "integer", int() if number and abs(value) < 10**6:
                return value
            case "text", str() if len(value) <= 2000:
                return self.one_of(path, self.one_line(path, value), key.choices)
            case "name", str() if NAME.fullmatch(value):
                return self.free_name(path, value)
            case "exact", _ if number:
                return self.exact(path, value)
            case "place", str() if found := GRID_POINT.fullmatch(value):
                return Symbol(f"gamma{found[1]}")
            case "expression" | "place", _ if number:
                return self.expression(path, value)
            case "weight", _ if number:
                return self.expression(path, value, weights=True)
            case "scalar", _ if number:
                return self.scalar(path, value)
            case "scalars", list():
                return self.each(self.scalar, ((path, item) for item in value))
            case "expressions", list():
                return self.each(self.expression, ((path, item) for item in value))
            case "texts", list() if _texts(value):
                return self.each(self.member, ((path, item) for item in value))
            case "lists", list() if all(map(_texts, value)):
                return tuple(map(tuple, value))
            case "rows", list() if all(isinstance(row, list) for row in value):
                return value
            case "weights", dict():
                return self.each(self.weight, ((path, *item) for item in value.items()))
            case "list", list():
                return value
        self.fail(
            path,
            f"must be {KINDS[key.kind]}, found {shown(value)}; "
            f"for example: {path[-1]} = {key.example}",
        )

    def weight(self, path: KeyPath, name: str, value: Any) -> tuple[str, Expr]:
        """A node, a state or a draw with its weight."""
        before = len(self.mistakes)
        self.attempt(self.member, path, name)
        weight = self.attempt(self.expression, (*path, name), value, None, True)
        self.settle(before)
        return name, weight

    def member(self, path: KeyPath, name: str) -> str:
        """A text in a list or a key of weights; those of rules are of a certain form."""
        return name

    def one_of(self, path: KeyPath, text: str, choices: tuple[str, ...]) -> str:
        """A text that is one of some choices, where there are any."""
        if choices and text not in choices:
            told = f"`{text}` is not one of {', '.join(choices)}" + _close(text, choices)
            self.fail(path, told, text)
        return text

    def free_name(self, path: KeyPath, name: str) -> str:
        """A name that hides nothing of Python, where it becomes that of a file."""
        if len(path) == 1 and (refusal := name_refusal(name)):
            self.fail(path, f"`{name}` cannot name a solver: {refusal}", name)
        return name

    def one_line(self, path: KeyPath, text: str) -> str:
        """The text with every run of white space as one space: it goes into comments of code."""
        joined = " ".join(text.split())
        if bad := re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", joined):
            self.fail(path, f"contains the control character {bad[0]!r}; remove it")
        return joined

    def exact(self, path: KeyPath, value: str | int) -> Fraction:
        number = self.expression(path, value, {})
        if not number.is_Rational:
            self.fail(path, f"must be a rational number, found {shown(value)}", str(value))
        return fraction_of(number)

    def scalar(self, path: KeyPath, value: Any) -> Expr:
        """A number of the step: it may use the grid, and neither history nor φ-functions."""
        return self.expression(path, value, {**scalar_names(), **self.symbols()}, extra=True)

    def symbols(self) -> dict[str, Expr]:
        """The parameters as symbols; names that are wrong stand for something too."""
        return {name: Symbol(name) for name in (*self.unsure, *(p.name for p in self.parameters))}

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
            refused = str(value)[error.column : error.column + error.width]
            wrong = self.unsure.isdisjoint(re.findall(r"[A-Za-z]\w*", refused))
            raise (SpecError if wrong else Consequence)(
                error.message,
                self.source,
                line,
                column + error.column,
                self.locator.line(line),
                error.width,
            ) from None


def name_refusal(name: str) -> str:
    """Why a solver, and so the file that is emitted of it, cannot have a name; nothing if it can."""
    if not NAME.fullmatch(name):
        return "use letters, digits and underscores, a letter first"
    if name in SHADOWING or keyword.iskeyword(name):
        return (
            "it is a module or a keyword of Python, which the emitted file would hide; choose "
            "another name"
        )
    return ""


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


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
