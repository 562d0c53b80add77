"""Rules of a spec: what each kind needs and takes, its nodes, weights and draws."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .keys import TABLES
from .locate import Path as KeyPath
from .model import Rule
from .names import MAX_STEPS, NODE, STATE
from .rule_keys import RULE_KEYS, Table
from .values import Values

Mistake = tuple[KeyPath, str, str]  # key path, what to tell, the piece of text it is about

NEEDS_AND_TAKES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "interpolate": (("nodes",), ("states", "deviations")),
    "taylor": (("nodes", "degree"), ("factors",)),
    "mean-value": (("nodes",), ("theta", "scale")),
    "weights": (("weights",), ("carry", "decay", "noise")),
}


class RuleReader(Values):
    """Reads the keys that make a rule."""

    def rule(self, path: KeyPath, value: Any, fields: dict[str, Any] | None = None) -> Rule:
        """A rule: the Adams shorthands are written out as node lists."""
        if fields is None:
            name = str(path[0]) if len(path) == 1 else f"{path[0]}.rule"
            fields = self.rule_table(path, value, TABLES[name])
        for own in ("mode", "sweeps", "spans"):
            fields.pop(own, None)
        kind, steps = fields.pop("rule"), fields.pop("steps", None)
        if kind.startswith("adams"):
            newest = 1 if kind == "adams-moulton" else 0
            fields["nodes"] = tuple(node(newest - k) for k in range(steps))
            kind = "interpolate"
        return Rule(kind=kind, where=path, **fields)

    def rule_table(self, path: KeyPath, value: Any, table: Table) -> dict[str, Any]:
        """The keys of a table that holds a rule, each by itself and together."""
        before = len(self.mistakes)
        fields = self.attempt(self.table, path, value, table)
        if isinstance(value, dict) and value.get("rule") in table.keys["rule"].choices:
            given = {key: value[key] for key in value if key in RULE_KEYS and key != "rule"}
            self.attempt(self.check_rule, path, value["rule"], given)
        self.settle(before)
        return dict(fields)

    def member(self, path: KeyPath, name: str) -> str:
        """A node, a state or a draw, as the key says."""
        match path[-1]:
            case "nodes" | "weights":
                self.check_node(path, name)
            case "states" | "carry":
                self.check_state(path, name)
            case "noise" if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name):
                self.fail(path, f"`{name}` is not a plain name of a draw", name)
        return name

    def check_node(self, path: KeyPath, name: str) -> None:
        found = NODE.fullmatch(name)
        if not found:
            self.fail(
                path,
                f'`{name}` is not a node; write "n", "n-1", "n+1" or the name of a stage',
                name,
            )
        if found[1] and not 1 <= int(found[1]) <= MAX_STEPS:
            self.fail(path, f"`{name}` reaches beyond {MAX_STEPS} past steps", name)

    def check_state(self, path: KeyPath, name: str) -> None:
        found = STATE.fullmatch(name)
        if not found or (found[1] and not 1 <= int(found[1]) <= MAX_STEPS):
            self.fail(
                path,
                f'`{name}` is not an accepted state; write "x" for the current one, "x-1" to '
                f'"x-{MAX_STEPS}" for those before it',
                name,
            )

    def check_rule(self, path: KeyPath, kind: str, given: dict[str, Any]) -> None:
        """Keys that belong together: each rule needs its own and takes no other's."""
        self.each(self.fail, [*self._kind_mistakes(path, kind, given), *self._pairs(path, given)])

    def _kind_mistakes(self, path: KeyPath, kind: str, given: dict[str, Any]) -> Iterator[Mistake]:
        """What a kind of rule lacks, and what it does not take."""
        adams = kind.startswith("adams")
        if adams:
            steps = given.get("steps")
            if "nodes" in given or not isinstance(steps, int) or not 1 <= steps <= MAX_STEPS:
                yield path, f"{kind} takes `steps` from 1 to {MAX_STEPS} and no `nodes`", ""
        elif "steps" in given:
            told = "`steps` belongs to the Adams rules; list `nodes` here"
            yield (*path, "steps"), told, ""
        needs, takes = NEEDS_AND_TAKES["interpolate" if adams else kind]
        for name in () if adams else needs:
            if not given.get(name) and given.get(name) != 0:
                example = TABLES["step"].keys[name].example
                yield path, f"rule {kind} needs `{name}`, for example: {name} = {example}", ""
        for name in given:
            if name not in (*needs, *takes, "coordinate", "frozen", "steps"):
                yield (*path, name), f"rule {kind} takes no `{name}`", ""

    def _pairs(self, path: KeyPath, given: dict[str, Any]) -> Iterator[Mistake]:
        """What cannot stand beside each other."""
        own = [name for name in ("decay", "noise") if name in given]
        if own and not self.may_be_explicit():
            told = f'`{own[0]}` belongs to [noise] with form = "explicit"; other forms derive it'
            yield (*path, own[0]), told, ""
        if "states" in given and "deviations" in given:
            told = "a rule through several states takes no `deviations`"
            yield (*path, "deviations"), told, ""
        for key in ("nodes", "states"):
            listed = given.get(key, ())
            for name in listed if isinstance(listed, list) else ():
                if listed.count(name) > 1:
                    told = f"{key[:-1]} `{name}` is listed twice; two {key} that coincide have no "
                    yield (*path, key), told + "interpolant", str(name)

    def may_be_explicit(self) -> bool:
        """Whether [noise] has the form explicit, or one that is a mistake told elsewhere."""
        noise = self.data.get("noise", {})
        form = noise.get("form", "explicit") if isinstance(noise, dict) else "explicit"
        known = TABLES["noise"].keys["form"].choices
        return "noise" in self.data and (form == "explicit" or form not in known)


def node(offset: int) -> str:
    """The name of a grid node: ``n``, ``n+1``, ``n-2``."""
    return "n" if offset == 0 else f"n{offset:+d}"
