"""TOML to `Recipe`: every mistake becomes a `SpecError` with file, line, column and a remedy."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from ..errors import SpecError, hint
from ..spec.text.locate import Locator
from .keys import BANKED, FORM, SYSTEMS, TABLES, Key

CATALOG = Path(__file__).parent.parent / "recipes"
MAX_BYTES = 16 * 1024
NETWORK = {"kind": "mlp", "width": 128, "depth": 4}
RATE = {"start": 1e-3, "end": 1e-5, "shape": "cosine"}
LEVELS = {"rule": "karras", "n": 8, "sigma_min": 0.002, "sigma_max": 80.0, "rho": 7.0}
RULES = ("karras", "exponential")


@dataclass(frozen=True)
class Recipe:
    """A recipe: what is learned, from which teacher, by which loss.

    Args:
        name, title, description, system: of the recipe.
        target, teacher, student, loss, training: tables with their defaults filled in.
        claim: what is claimed, only what is written.
        authors: the authors' own settings, for readers.
        source: authors, year, arxiv, where.
        path: where it was read.
    """

    name: str
    title: str
    description: str
    system: str
    target: Mapping[str, Any]
    teacher: Mapping[str, Any]
    student: Mapping[str, Any]
    loss: Mapping[str, Any]
    training: Mapping[str, Any]
    claim: Mapping[str, Any]
    authors: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    path: str = "<recipe>"

    @property
    def form(self) -> str:
        """The student's parameterisation, which follows from the system."""
        return FORM[self.system]

    @property
    def digest(self) -> str:
        """SHA-256 of everything that training depends on; claims and words do not count."""
        parts = (self.system, self.target, self.teacher, self.student, self.loss, self.training)
        plain = [one if isinstance(one, str) else _plain(one) for one in parts]
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    @property
    def banked(self) -> bool:
        """Whether the teacher is run into a bank of trajectories first."""
        return self.system in BANKED

    def levels(self) -> list[float]:
        """The trained levels, descending, from sigma_max to sigma_min: n + 1 of them."""
        return self.grid()[:: self.teacher["substeps"]]

    def grid(self) -> list[float]:
        """The teacher's own grid: the sub-steps between the levels, too."""
        return grid_of(self.teacher["levels"], self.teacher["substeps"])


def grid_of(levels: Mapping[str, Any], substeps: int) -> list[float]:
    """Descending levels of n times substeps steps.

    >>> grid_of({**LEVELS, "rule": "exponential", "n": 1, "sigma_min": 1.0, "sigma_max": 4.0}, 2)
    [4.0, 2.0, 1.0]
    """
    from ..grids.levels import exponential, karras

    count = levels["n"] * substeps
    if levels["rule"] == "exponential":
        return exponential(count, levels["sigma_min"], levels["sigma_max"], zero=False)
    return karras(count, levels["sigma_min"], levels["sigma_max"], levels["rho"], zero=False)


def names() -> list[str]:
    """Names of the recipes that come with solvergen, sorted."""
    return sorted(path.stem for path in CATALOG.glob("*.toml"))


def find(target: str) -> Path:
    """The file of a recipe that a user names.

    Raises:
        SpecError: there is none.
    """
    path = Path(target)
    if path.suffix == ".toml" or "/" in target:
        if not path.is_file():
            raise SpecError(
                "there is no such file; give a recipe file or a name (solvergen recipes)", target
            )
        return path
    if target in names():
        return CATALOG / f"{target}.toml"
    raise SpecError(
        "no recipe of that name and no such file"
        + (hint(target, names()) or "; see solvergen recipes"),
        target,
    )


def is_recipe(target: str) -> bool:
    """Whether a target of explain or lint is a recipe: by its name, or by a key `system`."""
    path = Path(target)
    if path.suffix == ".toml" and path.is_file():
        try:
            head = path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace")
        except OSError:
            return False
        return re.search(r"(?m)^\s*system\s*=", head) is not None
    return target in names()


def read_recipe(target: str | Path) -> Recipe:
    """Read a recipe by its name or its file.

    Raises:
        SpecError: it cannot be read or is not a valid recipe; with line and column.
    """
    path = find(str(target))
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror or error}", str(path)) from None
    if len(raw) > MAX_BYTES:
        raise SpecError(f"larger than {MAX_BYTES // 1024} KiB; a recipe is a short text", str(path))
    try:
        return parse_recipe(raw.decode("utf-8-sig").replace("\r\n", "\n"), str(path))
    except UnicodeDecodeError:
        raise SpecError("not UTF-8 text; save the file as UTF-8", str(path)) from None


def parse_recipe(text: str, source: str = "<recipe>") -> Recipe:
    """Read a recipe from text.

    Raises:
        SpecError: with line, column and what to do; all mistakes together.
    """
    return _Reader(text, source).recipe()


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self.source, self.locator = source, Locator(text)
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            line, column = (int(found[1]), int(found[2])) if found else (1, 1)
            message = re.sub(r" \(at .*\)$", "", str(error))
            raise SpecError(
                f"not valid TOML: {message}", source, line, column, self.locator.line(line)
            ) from None
        self.mistakes: list[SpecError] = []

    def note(self, path: tuple[str, ...], message: str) -> None:
        line, column, width = self.locator.find(path)
        text = self.locator.line(line)
        self.mistakes.append(SpecError(message, self.source, line, column, text, width))

    def fail(self, path: tuple[str, ...], message: str) -> NoReturn:
        self.note(path, message)
        raise SpecError.together(self.mistakes)

    def recipe(self) -> Recipe:
        top = {key: value for key, value in self.data.items() if not isinstance(value, dict)}
        system = top.get("system")
        if system not in SYSTEMS:
            told = hint(str(system), list(SYSTEMS)) or f"; one of {', '.join(SYSTEMS)}"
            self.fail(("system",), f"unknown system {system!r}{told}")
        for key in self.data:
            if isinstance(self.data[key], dict) and key not in {*TABLES, "authors"}:
                self.note((key,), f"unknown table [{key}]{hint(key, [*TABLES, 'authors'])}")
        head = self.table("", top, system)
        tables = {name: self.table(name, self.section(name), system) for name in TABLES if name}
        if not self.mistakes:
            self.relations(system, tables)
        if self.mistakes:
            raise SpecError.together(self.mistakes)
        claim = {key: value for key, value in tables["claim"].items() if value is not None}
        return Recipe(
            name=head["name"] or Path(self.source).stem,
            title=head["title"] or head["name"] or "",
            description=head["description"],
            system=system,
            path=self.source,
            claim=MappingProxyType(claim),
            authors=self.section("authors"),
            **{
                name: MappingProxyType(tables[name])
                for name in ("target", "teacher", "student", "loss", "training", "source")
            },
        )

    def section(self, name: str) -> dict[str, Any]:
        value = self.data.get(name, {})
        if not isinstance(value, dict):
            self.fail((name,), f"`{name}` must be a table; write [{name}] on a line of its own")
        return value

    def table(self, name: str, given: dict[str, Any], system: str) -> dict[str, Any]:
        keys = TABLES[name]
        for key in given:
            path = (name, key) if name else (key,)
            if key not in keys:
                inside = f" in [{name}]" if name else ""
                self.note(path, f"unknown key `{key}`{inside}{hint(key, list(keys))}")
            elif keys[key].systems and system not in keys[key].systems:
                users = ", ".join(keys[key].systems)
                self.note(path, f"system `{system}` does not use `{key}`; it is for {users}")
        out: dict[str, Any] = {}
        for key, kind in keys.items():
            path = (name, key) if name else (key,)
            if key in given:
                out[key] = self.value(path, given[key], kind)
            elif not kind.systems or system in kind.systems:
                out[key] = kind.default
        if name == "teacher":
            out["levels"] = self.filled(("teacher", "levels"), given.get("levels", {}), LEVELS)
            if out["levels"]["rule"] not in RULES:
                self.note(("teacher", "levels"), f"levels.rule must be one of {', '.join(RULES)}")
        if name == "student":
            out["network"] = self.filled(("student", "network"), given.get("network", {}), NETWORK)
        if name == "training":
            out["rate"] = self.filled(("training", "rate"), given.get("rate", {}), RATE)
        return out

    def filled(self, path: tuple[str, ...], given: Any, known: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given, dict):
            self.note(path, f"must be a table such as {{ {next(iter(known))} = … }}")
            return dict(known)
        for key, value in given.items():
            if key not in known:
                self.note((*path, key), f"unknown key `{key}`{hint(key, list(known))}")
            elif not _alike(value, known[key]):
                self.note((*path, key), f"`{key}` must be like {known[key]!r}, found {value!r}")
        return {**known, **{key: given[key] for key in given if key in known}}

    def value(self, path: tuple[str, ...], value: Any, key: Key) -> Any:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        good = {
            "text": isinstance(value, str),
            "word": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "integer": number and isinstance(value, int),
            "number": number and math.isfinite(value),
            "table": isinstance(value, dict),
            "levels": isinstance(value, dict),
            "range": isinstance(value, list) and len(value) == 2,
            "integers": isinstance(value, list) and all(type(one) is int for one in value),
        }[key.kind]
        if not good:
            example = f"; for example {key.example}" if key.example else ""
            self.note(path, f"`{path[-1]}` must be a {key.kind}, found {value!r}{example}")
        elif key.words and value not in key.words:
            told = hint(value, list(key.words)) or f"; one of {', '.join(key.words)}"
            self.note(path, f"`{path[-1]}` cannot be {value!r}{told}")
        elif number and not key.low <= value <= key.high:
            self.note(path, f"`{path[-1]}` must lie in {key.low:g} to {key.high:g}, found {value}")
        return value

    def relations(self, system: str, tables: dict[str, dict[str, Any]]) -> None:
        """What values must fulfil together."""
        levels, target, teacher = tables["teacher"]["levels"], tables["target"], tables["teacher"]
        if not 0 < levels["sigma_min"] < levels["sigma_max"]:
            self.note(("teacher", "levels"), "levels need 0 < sigma_min < sigma_max")
        if levels["n"] < 1 or levels["n"] * teacher["substeps"] > 5000:
            self.note(("teacher", "levels"), "levels times sub-steps must be 1 to 5000")
        if bool(target["mixture"]) == bool(target["data"]):
            self.note(
                ("target",), 'give [target] mixture = "coupled" or data = "digits", one of them'
            )
        if system == "progressive":
            steps = levels["n"] * teacher["substeps"]
            if steps % 2 ** tables["loss"]["halvings"]:
                self.note(
                    ("loss", "halvings"),
                    f"{steps} steps cannot be halved {tables['loss']['halvings']} times",
                )
        if target["data"] and teacher["denoiser"] == "exact" and self.banked(system):
            self.note(
                ("teacher", "denoiser"),
                "the exact denoiser of data is not known; give the folder of a dsm student",
            )
        self.guidance(system, target, teacher)
        rate = tables["training"]["rate"]
        if not 0 < rate["end"] <= rate["start"]:
            self.note(("training", "rate"), "the rate needs 0 < end <= start")
        if rate["shape"] not in ("cosine", "constant", "linear"):
            self.note(("training", "rate"), "rate.shape must be cosine, linear or constant")

    @staticmethod
    def banked(system: str) -> bool:
        return system in BANKED or system in ("latent-consistency", "distribution-matching")

    def guidance(self, system: str, target: dict[str, Any], teacher: dict[str, Any]) -> None:
        given = teacher.get("guidance")
        if system != "latent-consistency":
            return
        if not given:
            self.note(("teacher",), "guidance is missing; write guidance = { scale = [1, 4] }")
            return
        scale, shown = given.get("scale"), given.get("shown", True)
        ranged = isinstance(scale, list) and len(scale) == 2
        if not ranged and not isinstance(scale, (int, float)):
            self.note(("teacher", "guidance"), "scale must be a number or [low, high]")
        elif ranged and scale[0] < scale[1] and not shown:
            self.note(
                ("teacher", "guidance"),
                "the scale is drawn but not shown to the network: an ill-posed regression (measured: "
                "20 to 55 % error where a shown scale gives 6); write shown = true, or fix the scale",
            )
        if not target["classes"]:
            self.note(("target",), "guidance needs classes; write classes = true")


def _alike(value: Any, like: Any) -> bool:
    if isinstance(like, str):
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, int) if isinstance(like, int) else True


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value)}
    return list(map(_plain, value)) if isinstance(value, (list, tuple)) else value
