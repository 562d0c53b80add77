"""What the rows of a step combine: evaluations, accepted states and draws, with their weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..names import MAX_STEPS, NODE, STATE
from ..scope import Vocabulary
from .exact import EXACT_SCHEMA, Expression
from .kind import KeyPath, Kind, Reading
from .plain import Text

_DRAW = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


@dataclass(frozen=True)
class Node(Text):
    """A model evaluation: a point of the grid, or a stage by its name."""

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        found = NODE.fullmatch(value)
        if not found:
            remedy = 'write "n", "n-1", "n+1", a stage by its name, or "mid-1" for that of the step before'
            spec.fail(path, f"`{value}` is not a node; {remedy}", value)
        if found[1] and not 1 <= int(found[1]) <= MAX_STEPS:
            spec.fail(path, f"`{value}` looks back more than {MAX_STEPS} steps", value)
        if found[2] and int(found[2]) != 1:
            stage = value.partition("-")[0]
            message = f"stages are kept for one step; write `{stage}-1`, found `{value}`"
            spec.fail(path, message, value)
        return value


@dataclass(frozen=True)
class State(Text):
    """An accepted state: the current one or one before it."""

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        found = STATE.fullmatch(value)
        if not found or (found[1] and not 1 <= int(found[1]) <= MAX_STEPS):
            remedy = f'write "x" for the current one, "x-1" to "x-{MAX_STEPS}" for those before it'
            spec.fail(path, f"`{value}` is not an accepted state; {remedy}", value)
        return value


@dataclass(frozen=True)
class Carried(State):
    """A state that explicit weights start from: an accepted one, that of a stage, or the coupled one."""

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        found = NODE.fullmatch(value)
        stage = found and not STATE.fullmatch(value) and not value.startswith(("n-", "n+"))
        if not stage or value == "n":
            return super().read(spec, path, value)
        if "-" in value:
            spec.fail(
                path,
                f"`{value}`: states of stages are not kept for the next step; [coupled] keeps one, `y`",
                value,
            )
        return value


@dataclass(frozen=True)
class Draw(Text):
    """The name of a random draw."""

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        if not _DRAW.fullmatch(value):
            spec.fail(path, f"`{value}` is not a valid name for a draw", value)
        return value


@dataclass(frozen=True)
class Weights:
    """A table from nodes, states or draws to expressions."""

    of: Kind
    plural, range, choices = "tables of weights", "", ()
    phrase = 'a table from names to expressions, such as { n = "1/6", k2 = "1/3" }'

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": EXACT_SCHEMA}

    def fits(self, value: object) -> bool:
        return isinstance(value, dict)

    def read(self, spec: Reading, path: KeyPath, value: dict[str, Any]) -> tuple[Any, ...]:
        weight = Expression(Vocabulary.WEIGHTS)

        def pair(name: str, given: Any) -> tuple[Any, ...]:
            parts = [(self.of, path, name), (weight, (*path, name), given)]
            return spec.each(lambda kind, at, found: kind.read(spec, at, found), parts)

        return spec.each(pair, value.items())
