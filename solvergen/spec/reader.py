"""TOML to `Solver`: every mistake becomes a `SpecError` with file, line, column and a remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sympy import Expr

from ..errors import DeriveError, SpecError
from ..expr.parse import function_of_x
from .edge_reader import MAX_ROWS, EdgeReader
from .keys import TABLES
from .locate import Path as KeyPath
from .model import Claim, Controller, Corrector, Parameter, Rule, Schedule, Solver, Source, Stage
from .names import GRID_POINT, MAX_STEPS, language_names, reserved
from .noise_reader import NoiseReader
from .tableau import written_out

MAX_BYTES = 16 * 1024


def read_solver(path: str | Path) -> Solver:
    """Read a spec file.

    Args:
        path: a TOML file.

    Raises:
        SpecError: the file cannot be read or is not a valid spec.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror or error}", str(path)) from None
    return parse_solver(raw, str(path))


def parse_solver(text: str | bytes, source: str = "<spec>") -> Solver:
    """Read a spec from text.

    Args:
        text: TOML, at most 16 KiB; bytes must be UTF-8.
        source: the name shown in errors.

    Raises:
        SpecError: with line, column and what to do.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise SpecError(f"larger than {MAX_BYTES // 1024} KiB; a spec is a short text", source)
    try:
        decoded = raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SpecError("not UTF-8 text; save the file as UTF-8", source, line, 1) from None
    return _Reader(decoded, source).solver()


class _Reader(NoiseReader, EdgeReader):
    """Puts the tables of a spec together."""

    def solver(self) -> Solver:
        """The whole spec, table by table."""
        fields = self.attempt(self.top)
        parts = {name: self.attempt(read) for name, read in self.plain().items()}
        self.attempt(self.read_names)  # what expressions may call
        parts |= {name: self.attempt(read) for name, read in self.expressed().items()}
        self.settle(0)
        stages, step = parts.pop("steps")
        return Solver(stages=stages, step=step, parameters=self.parameters, **fields, **parts)

    def top(self) -> dict[str, Any]:
        """The keys above the tables."""
        tables = {name for name in TABLES if name and "." not in name}
        top = {k: v for k, v in self.data.items() if k not in tables}
        return self.table((), top, TABLES[""], also=tables)

    def plain(self) -> dict[str, Callable[[], Any]]:
        """Readers of what holds no expressions."""
        return {
            "claim": lambda: Claim(
                **self.table(("claim",), self.section("claim"), TABLES["claim"])
            ),
            "source": lambda: Source(
                **self.table(("source",), self.section("source"), TABLES["source"])
            ),
            "schedule": self.schedule,
            "controller": self.controller,
            "spans": self.spans,
            "sweeps": lambda: self.section("tableau").get("sweeps", 0),
        }

    def expressed(self) -> dict[str, Callable[[], Any]]:
        """Readers of what may hold expressions in the names of the spec."""
        return {
            "steps": self.table_of_stages if "tableau" in self.data else self.written_steps,
            "corrector": self.corrector,
            "embedded": self.embedded,
            "start": self.start,
            "end": self.end,
            "noise": self.noise,
            "langevin": self.langevin,
        }

    def read_names(self) -> None:
        """Parameters and abbreviations, each of which may use those before it."""
        before = len(self.mistakes)
        for read, table in ((self.parameter, "parameters"), (self.abbreviation, "let")):
            for name, value in (self.attempt(self.section, table) or {}).items():
                known = len(self.mistakes)
                self.attempt(read, name, value)
                if self.mistakes[known:]:
                    self.unsure |= set(re.findall(r"^[A-Za-z]\w*", name))
        self.settle(before)

    def spans(self) -> int:
        """How many intervals of the grid a step spans."""
        spans = self.section("step").get("spans", 1)
        if isinstance(spans, int) and not 1 <= spans <= MAX_STEPS:
            self.fail(("step", "spans"), f"a step spans 1 to {MAX_STEPS} intervals, found {spans}")
        return spans

    def written_steps(self) -> tuple[tuple[Stage, ...], Rule]:
        """[[stage]] tables and [step]."""
        rows = self.data.get("stage", [])
        if not isinstance(rows, list):
            self.fail(
                ("stage",), "stages are an array of tables; write [[stage]] with two brackets"
            )
        if len(rows) > MAX_ROWS:
            self.fail(("stage", MAX_ROWS), f"{len(rows)} stages; at most {MAX_ROWS} are read")
        before = len(self.mistakes)
        stages = [self.attempt(self.stage, ("stage", i), row) for i, row in enumerate(rows)]
        step = self.attempt(self.last_rule)
        self.settle(before)
        return tuple(stages), step

    def last_rule(self) -> Rule:
        """[step], which no solver lacks."""
        if "step" not in self.data:
            self.fail(
                (),
                "there is no [step]; add the rule that ends the step, for example\n"
                '[step]\nrule = "interpolate"\nnodes = ["n"]',
            )
        return self.rule(("step",), self.section("step"))

    def table_of_stages(self) -> tuple[tuple[Stage, ...], Rule]:
        """[tableau], written out as stages and a final rule."""
        for other in ("stage", "step"):
            if other in self.data:
                self.fail((other,), f"[tableau] takes the place of [{other}]; give one of them")
        fields = self.table(("tableau",), self.section("tableau"), TABLES["tableau"])
        before = len(self.mistakes)
        rows = [[self.attempt(self.entry, "a", weight) for weight in row] for row in fields["a"]]
        final = [self.attempt(self.entry, "b", weight) for weight in fields["b"]]
        self.settle(before)
        sweeps = fields.get("sweeps")
        if sweeps is not None and not 1 <= sweeps <= 10:
            self.fail(("tableau", "sweeps"), "between 1 and 10 sweeps are written out")
        coordinate = self.data.get("coordinate", "lambda")
        try:
            return written_out(fields["c"], rows, final, coordinate, sweeps)
        except DeriveError as error:
            self.fail(error.where, error.message)

    def entry(self, key: str, value: Any) -> Expr:
        return self.expression(("tableau", key), value, weights=True)

    def parameter(self, name: str, value: Any) -> None:
        path = ("parameters", name)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name) or reserved(name):
            self.fail(path, f"`{name}` cannot name a parameter: it is reserved or not a plain name")
        parameter = Parameter(name, **self.table(path, value, TABLES["parameters"]))
        if refusal := parameter.refusal(parameter.default):
            self.fail((*path, "default"), f"the default is outside its own bounds: {refusal}")
        self.parameters = (*self.parameters, parameter)

    def abbreviation(self, name: str, value: Any) -> None:
        """An entry of [let]; a key such as `"f(x)"` makes a function of x."""
        path = ("let", name)
        found = re.fullmatch(r"([A-Za-z][A-Za-z0-9_]{0,31})(\(x\))?", name)
        if not found or name == "x":
            self.fail(path, f"`{name}` is not a plain name; a function is written `f(x)`")
        self.check_above(path, found[1], value)
        if not found[2]:
            self.abbreviations[name] = self.expression(path, value, weights=True)
            return
        if holder := self.holder(found[1]):
            self.fail(path, f"`{found[1]}` cannot name a function: it is {holder}; choose another")
        body = self.expression(path, value, weights=True, of_x=True)
        self.functions = {**self.functions, found[1]: function_of_x(found[1], body)}

    def holder(self, name: str) -> str:
        """Whose a name is that [let] cannot give to a function."""
        if any(p.name == name for p in self.parameters):
            return "a parameter"
        if name in language_names():
            return "a name of the spec language"
        return "a name that emitted files or Python use" if reserved(name) else ""

    def check_above(self, path: KeyPath, own: str, value: Any) -> None:
        """An entry of [let] uses neither itself nor what is written below it."""
        listed = [key.removesuffix("(x)") for key in self.section("let")]
        above = {*language_names(), *self.symbols(), *listed[: listed.index(own)], "x"}
        for used in re.findall(r"[A-Za-z]\w*", str(value)):
            if used in listed and used not in above:
                place = "itself" if used == own else f"`{used}`, which is written below it"
                told = f"`{own}` uses {place}; an entry of [let] may use those above it"
                self.fail(path, told, used)

    def stage(self, path: KeyPath, value: Any) -> Stage:
        before = len(self.mistakes)
        if isinstance(value, dict) and value.get("name") in ("n", "x"):
            told = f"`{value['name']}` is a reserved name; choose another"
            self.attempt(self.fail, (*path, "name"), told)
        fields = self.attempt(self.rule_table, path, value, TABLES["stage"])
        self.settle(before)
        own = {key: fields.pop(key) for key in ("name", "at", "place") if key in fields}
        if GRID_POINT.fullmatch(str(value["at"])):
            if "place" in own:
                self.fail((*path, "place"), "a grid point lies in no variable; leave `place` out")
            own["place"] = "grid"
        return Stage(rule=self.rule(path, value, fields), **own)

    def corrector(self) -> Corrector | None:
        if "corrector" not in self.data:
            return None
        section = self.section("corrector")
        rule = self.rule(("corrector",), section)
        mode, sweeps = section.get("mode", "PEC"), section.get("sweeps", 1)
        if not 1 <= sweeps <= 10 or (mode == "PEC" and sweeps != 1):
            self.fail(("corrector", "sweeps"), "PECE takes 1 to 10 sweeps, PEC exactly one")
        return Corrector(rule, mode, sweeps)

    def embedded(self) -> Rule | None:
        """[embedded], which makes sense with a [controller] only."""
        for name, other in (("embedded", "controller"), ("controller", "embedded")):
            if name in self.data and other not in self.data:
                self.fail((name,), f"[{name}] needs [{other}] beside it")
        if "embedded" not in self.data:
            return None
        if "corrector" in self.data:
            self.fail(("embedded",), "an embedded rule and a corrector cannot be combined")
        return self.rule(("embedded",), self.section("embedded"))

    def controller(self) -> Controller | None:
        if "controller" not in self.data:
            return None
        fields = self.table(("controller",), self.section("controller"), TABLES["controller"])
        for name in ("first", "rtol", "atol", "safety"):
            if name in fields and fields[name] <= 0:
                self.fail(("controller", name), f"`{name}` must be positive, found {fields[name]}")
        if not 1 <= fields["order"] <= 12:
            self.fail(("controller", "order"), "the order must be from 1 to 12")
        return Controller(**fields)

    def schedule(self) -> Schedule | None:
        if "schedule" not in self.data:
            return None
        fields = self.table(("schedule",), self.section("schedule"), TABLES["schedule"])
        schedule = Schedule(**fields)
        if not 0 <= schedule.beta_min < schedule.beta_max:
            self.fail(("schedule",), "beta_min must be at least 0 and less than beta_max")
        return schedule
