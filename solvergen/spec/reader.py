"""From TOML or Python data to a `Solver`: every mistake is reported with its place and a remedy.

The tables and keys are declared with the model (see `declare`). This module walks the declaration:
a new key needs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from sympy import Expr

from ..errors import DeriveError, ExpressionError, SpecError, hint
from .declare import Key, Raw, Table, fields_of, held, inline_of, keys_of, tables_of
from .kinds import KeyPath, shown
from .language import TABLES, TOP_TABLES
from .let import PLAIN, read_entry
from .model import Parameter, Solver
from .names import reserved
from .scope import Scope, Vocabulary, words
from .tableau import written_out
from .text.document import MAX_BYTES, Document

_NO_STEP = (
    "there is no [step]; add the rule that ends the step, for example\n"
    '[step]\nrule = "interpolate"\nnodes = ["n"]'
)


def read_solver(path: str | Path) -> Solver:
    """Read a spec file.

    Args:
        path: a TOML file.

    Raises:
        SpecError: the file cannot be read or is not a valid spec.
    """
    try:
        with Path(path).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror or error}", str(path)) from None
    return parse_solver(raw, str(path))


def parse_solver(text: str | bytes, source: str = "<spec>") -> Solver:
    """Read a spec from a TOML string.

    Args:
        text: TOML, at most 16 KiB; bytes must be UTF-8.
        source: the name shown in errors.

    Raises:
        SpecError: with line, column and what to do.
    """
    return _Reader(Document.of_toml(text, source)).solver()


def solver_of(data: Mapping[str, Any], source: str = "<solver>") -> Solver:
    """A solver from tables and values given in Python, as TOML would give them.

    Args:
        data: nested dictionaries, lists, strings, integers and booleans.
        source: the name shown in errors.

    Raises:
        SpecError: naming the key, with the same messages as for a file.

    >>> step = {"rule": "adams-bashforth", "steps": 2}
    >>> solver_of({"name": "mine", "integrand": "data", "step": step}).step.nodes
    ('n', 'n-1')
    """
    return _Reader(Document(dict(data), source)).solver()


class _Reader:
    """Reads one spec, table by table.

    All mistakes are collected; what merely uses something that is wrong is not reported beside it.
    """

    def __init__(self, document: Document) -> None:
        self.document, self.data = document, document.data
        self.scope = Scope(stochastic="noise" in document.data)
        self.fields: dict[str, Any] = {}  # of the solver, as they are read

    def fail(self, path: KeyPath, message: str, needle: str = "") -> NoReturn:
        self.document.fail(path, message, needle)

    def each(self, read: Callable[..., Any], items: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
        return self.document.each(read, items)

    def expression(self, path: KeyPath, value: str | int, names: Vocabulary) -> Expr:
        """An expression in the names of a vocabulary."""
        text = str(value)
        try:
            return self.scope.parsed(text, names)
        except ExpressionError as error:
            refused = text[error.column : error.column + error.width]
            if error.message.startswith("unknown"):
                error.message = self.scope.explained(refused) or error.message
            doubtful = self.scope.doubtful(refused)
            raise self.document.in_expression(path, text, error, doubtful) from None

    def solver(self) -> Solver:
        """The whole spec."""
        attempt = self.document.attempt
        attempt(self.parameters)  # first: keys above the tables may use them
        attempt(self.top)
        attempt(self.let)
        for field, table in tables_of(Solver).items():
            if table.name in self.data and not table.named:
                attempt(self.part, field, table)
        attempt(self.steps)
        self.document.settle(0)
        return Solver(**self.fields)

    def top(self) -> None:
        """The keys above the tables."""
        plain = {name: value for name, value in self.data.items() if name not in TOP_TABLES}
        values = self.values((), plain, TABLES[""], also=TOP_TABLES)
        self.fields |= self.assembled(Solver, (), values, plain)

    def parameters(self) -> None:
        """[parameters.NAME], each with a name of its own."""

        def read(name: str, value: Any) -> Parameter:
            path = ("parameters", name)
            if not PLAIN.fullmatch(name) or reserved(name):
                reason = "it is reserved or not a valid name"
                self.fail(path, f"`{name}` cannot name a parameter: {reason}")
            made: Parameter = self.filled(path, value, TABLES["parameters"], name=name)
            self.scope.parameters.append(name)
            return made

        found = self.declared("parameters", read)
        self.fields["parameters"] = tuple(one for one in found if one is not None)

    def let(self) -> None:
        """[let], whose entries may use the parameters and each other."""
        listed = list(self.section("let"))
        self.declared("let", lambda *entry: read_entry(self, self.scope, listed, *entry))

    def declared(self, table: str, read: Callable[[str, Any], Any]) -> list[Any]:
        """The entries of a table of names; a name whose declaration is wrong stays unsure."""
        found = []
        for name, value in self.section(table).items():
            known = len(self.document.mistakes)
            found.append(self.document.attempt(read, name, value))
            if self.document.mistakes[known:]:
                self.scope.unsure |= set(words(name)[:1])
        return found

    def section(self, name: str) -> dict[str, Any]:
        """A table at the top of the spec; empty where there is none."""
        value = self.data.get(name, {})
        if not isinstance(value, dict):
            self.fail((name,), f"`{name}` must be a table; write [{name}] on a line of its own")
        return value

    def part(self, field: str, table: Table) -> None:
        """A table at the top of the spec, as a field of the solver."""
        for other in table.needs:
            if other not in self.data:
                self.fail((table.name,), f"{table.header} needs [{other}] beside it")
        for other, reason in table.excludes.items():
            if other in self.data:
                self.fail((table.name,), reason)
        path, value = (table.name,), self.data[table.name]
        read = self.rows if table.repeated else self.filled
        self.fields[field] = read(path, value, table)

    def steps(self) -> None:
        """A Runge-Kutta table as stages and a final rule; or nothing, where [step] is written."""
        if "tableau" not in self.data:
            if "step" not in self.data:
                self.fail((), _NO_STEP)
            return
        (table,) = (t for t in Solver.WRITTEN_OUT.values() if t.name == "tableau")
        for other, reason in table.excludes.items():
            if other in self.data:
                self.fail((other,), reason)
        made = self.filled(("tableau",), self.data["tableau"], table)
        coordinate = self.data.get("coordinate", "lambda")
        try:
            stages, step = written_out(made.c, made.a, made.b, coordinate, made.sweeps)
        except DeriveError as error:
            self.fail(error.where, error.message)
        self.fields |= {"stages": stages, "step": step, "sweeps": made.sweeps or 0}

    def rows(self, path: KeyPath, value: Any, table: Table) -> tuple[Any, ...]:
        """A repeated table: one value a row."""
        if not isinstance(value, list):
            self.fail(path, f"write {table.header} with two brackets: it may be repeated")
        if len(value) > table.at_most:
            limit = f"{len(value)} tables {table.header}; at most {table.at_most} are read"
            self.fail((*path, table.at_most), limit)
        return self.each(self.filled, (((*path, i), row, table) for i, row in enumerate(value)))

    def filled(self, path: KeyPath, raw: Any, table: Table, **known: Any) -> Any:
        """The value that a table fills, its keys checked one by one and together."""
        cls = table.of
        assert cls is not None
        if isinstance(raw, list) and raw and isinstance(raw[0], dict):
            self.fail((*path, 0), f"write {table.header} with one bracket: there is one such table")
        if not isinstance(raw, dict):
            remedy = f"write {table.header.replace('NAME', str(path[-1]))} on a line of its own"
            self.fail(path, f"must be a table, found {shown(raw)}; {remedy}")
        inner = {t.name.split(".")[1]: (field, t) for field, t in tables_of(cls).items()}
        before, attempt = len(self.document.mistakes), self.document.attempt
        values = attempt(self.values, path, raw, table, inner)
        attempt(self.together, cls, path, raw, table)
        for name, (field, rows) in inner.items():
            if name in raw:
                if field in raw:
                    both = f"give either `{field}` or {rows.header} tables, not both"
                    attempt(self.fail, (*path, field), both)
                known[field] = attempt(self.rows, (*path, name), raw[name], rows)
        self.document.settle(before)
        made = cls(**known, **self.assembled(cls, path, values, raw))
        self.fields |= {key: values[key] for key in table.also if key in values}
        if fault := made.fault() if hasattr(made, "fault") else None:
            self.fail((*path, *fault[0]), fault[1])
        return made

    def values(
        self, path: KeyPath, raw: Raw, table: Table, also: Iterable[str] = ()
    ) -> dict[str, Any]:
        """The values of a table by key, each read by its kind; `also` are tables that may follow."""

        def unknown(name: str) -> None:
            inside = f" in {table.header}" if path else ""
            nearest = hint(name, [*table.keys, *also])
            self.fail((*path, name), f"unknown key `{name}`{inside}{nearest}")

        def missing(name: str, key: Key) -> None:
            what = f"{table.header} needs" if path else "the spec needs"
            self.fail(path, f"{what} `{name}`, for example: {name} = {key.example}")

        attempt, before = self.document.attempt, len(self.document.mistakes)
        found = {}
        for name, value in raw.items():
            if name in table.keys:
                found[name] = attempt(self.value, (*path, name), value, table.keys[name])
            elif name not in also:
                attempt(unknown, name)
        for name, key in table.keys.items():
            if key.required and name not in raw:
                attempt(missing, name, key)
        self.document.settle(before)
        return found

    def value(self, path: KeyPath, value: Any, key: Key) -> Any:
        """The value of one key."""
        if not key.kind.fits(value):
            example = f"{path[-1]} = {key.example}"
            wrong = f"must be {key.kind.phrase}, found {shown(value)}; for example: {example}"
            if path[0] == "parameters" and path[-1] == "default" and isinstance(value, list):
                wrong += (
                    '. A number for each step is per = "step" with values = […], beside one default'
                )
            self.fail(path, wrong)
        return key.kind.read(self, path, value)

    def together(self, cls: type, path: KeyPath, raw: Raw, table: Table) -> None:
        """Refuse keys that cannot stand together, of a class and of the one inline in it."""
        inline = inline_of(cls)
        for one in (cls, *([held(inline)] if inline else [])):
            mistakes = [*self.by_choice(one, raw), *self.by_rules(one, raw)]
            self.each(self.fail, (((*path, *where), said) for where, said in mistakes))

    def by_rules(self, cls: Any, raw: Raw) -> list[tuple[KeyPath, str]]:
        """What the class itself says against its keys together."""
        return list(cls.mistakes(raw, self.data)) if hasattr(cls, "mistakes") else []

    def by_choice(self, cls: Any, raw: Raw) -> list[tuple[KeyPath, str]]:
        """What the chosen rule or form needs and does not take."""
        choice = getattr(cls, "CHOICE", "")
        keys = keys_of(cls) if choice else {}
        chosen = raw.get(choice)
        if not choice or chosen not in keys[choice].choices:
            return []
        found: list[tuple[KeyPath, str]] = []
        for name, key in keys.items():
            if chosen in key.needed_by and raw.get(name) in (None, "", [], {}):
                example = f"{name} = {key.example}"
                found.append(((), f"{choice} {chosen} needs `{name}`, for example: {example}"))
            elif name in raw and key.takers and chosen not in key.takers:
                takers = ", ".join(key.takers)
                refusal = f"{choice} {chosen} takes no `{name}`, which belongs to {takers}"
                found.append(((name,), refusal))
        return found

    def assembled(self, cls: Any, path: KeyPath, values: Raw, raw: Raw) -> dict[str, Any]:
        """Values by key as values by field; shorthands are written out."""
        fields = {name: name for name in getattr(cls, "SHORTHANDS", ())} | fields_of(cls)
        made = {field: values[key] for key, field in fields.items() if key in values}
        if inline := inline_of(cls):
            of = held(inline)
            made[inline.name] = of(**self.assembled(of, path, values, raw))
        return cls.written_out(made, raw, path) if hasattr(cls, "written_out") else made
