"""Rules of a spec: what each kind needs and takes, its nodes, weights and draws."""

from __future__ import annotations

import re
from typing import Any

from ..expr.tree import Expr
from .keys import TABLES
from .locate import Path as KeyPath
from .model import Rule
from .names import MAX_STEPS, NODE, STATE
from .values import Values


class RuleReader(Values):
    """Reads the keys that make a rule."""

    def rule(self, path: KeyPath, value: Any, fields: dict[str, Any] | None = None) -> Rule:
        """A rule: the Adams shorthands are written out as node lists."""
        if fields is None:
            table = str(path[0]) if len(path) == 1 else f"{path[0]}.rule"
            fields = self.table(path, value, TABLES[table])
        for own in ("mode", "sweeps", "spans"):
            fields.pop(own, None)
        kind, steps = fields.pop("rule"), fields.pop("steps", None)
        if kind.startswith("adams"):
            if "nodes" in fields or steps is None or not 1 <= steps <= MAX_STEPS:
                self.fail(path, f"{kind} takes `steps` from 1 to {MAX_STEPS} and no `nodes`")
            newest = 1 if kind == "adams-moulton" else 0
            fields["nodes"] = tuple(node(newest - k) for k in range(steps))
            kind = "interpolate"
        elif steps is not None:
            self.fail((*path, "steps"), "`steps` belongs to the Adams rules; list `nodes` here")
        for name in fields.get("nodes", ()):
            self.check_node(path, name)
        weights = fields.pop("weights", None)
        if weights is not None:
            fields["weights"] = tuple(self.weight(path, *item) for item in weights.items())
        if "noise" in fields:
            fields["noise"] = tuple(self.draw(path, *item) for item in fields["noise"].items())
        for name in (*fields.get("states", ()), *fields.get("carry", ())):
            self.check_state(path, "states" if "states" in fields else "carry", name)
        for key in ("carry", "deviations"):
            if key in fields:
                fields[key] = tuple(
                    (name, self.expression((*path, key, name), value, weights=True))
                    for name, value in fields[key].items()
                )
        self.check_rule(path, kind, fields)
        return Rule(kind=kind, where=path, **fields)

    def weight(self, path: KeyPath, name: str, value: Any) -> tuple[str, Expr]:
        self.check_node(path, name)
        return name, self.expression((*path, "weights", name), value, weights=True)

    def draw(self, path: KeyPath, name: str, value: Any) -> tuple[str, Expr]:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name):
            self.fail((*path, "noise"), f"`{name}` is not a plain name of a draw", name)
        return name, self.expression((*path, "noise", name), value, weights=True)

    def check_node(self, path: KeyPath, name: str) -> None:
        found = NODE.fullmatch(name)
        if not found:
            self.fail(
                (*path, "nodes"),
                f'`{name}` is not a node; write "n", "n-1", "n+1" or the name of a stage',
                name,
            )
        if found[1] and not 1 <= int(found[1]) <= MAX_STEPS:
            self.fail((*path, "nodes"), f"`{name}` reaches beyond {MAX_STEPS} past steps", name)

    def check_state(self, path: KeyPath, key: str, name: str) -> None:
        found = STATE.fullmatch(name)
        if not found or (found[1] and not 1 <= int(found[1]) <= MAX_STEPS):
            self.fail(
                (*path, key),
                f'`{name}` is not an accepted state; write "x" for the current one, "x-1" to '
                f'"x-{MAX_STEPS}" for those before it',
                name,
            )

    def check_rule(self, path: KeyPath, kind: str, fields: dict[str, Any]) -> None:
        """Keys that belong together: each rule needs its own and takes no other's."""
        needs = {
            "interpolate": ("nodes",),
            "taylor": ("nodes", "degree"),
            "mean-value": ("nodes",),
            "weights": ("weights",),
        }[kind]
        takes = {
            "interpolate": ("states", "deviations"),
            "taylor": ("factors",),
            "mean-value": ("theta", "scale"),
            "weights": ("carry", "decay", "noise"),
        }[kind]
        for name in needs:
            if not fields.get(name) and fields.get(name) != 0:
                example = TABLES["step"].keys[name].example
                self.fail(path, f"rule {kind} needs `{name}`, for example: {name} = {example}")
        for name in fields:
            if name not in (*needs, *takes, "coordinate", "frozen"):
                self.fail((*path, name), f"rule {kind} takes no `{name}`")
        own = [name for name in ("decay", "noise") if name in fields]
        if own and self.data.get("noise", {}).get("form") != "explicit":
            self.fail(
                (*path, own[0]),
                f'`{own[0]}` belongs to [noise] with form = "explicit"; other forms derive it',
            )
        if "states" in fields and "deviations" in fields:
            self.fail((*path, "deviations"), "a rule through several states takes no `deviations`")
        for key in ("nodes", "states"):
            listed = fields.get(key, ())
            for name in listed:
                if listed.count(name) > 1:
                    self.fail(
                        (*path, key),
                        f"{key[:-1]} `{name}` is listed twice; two {key} that coincide have no "
                        "interpolant",
                        name,
                    )


def node(offset: int) -> str:
    """The name of a grid node: ``n``, ``n+1``, ``n-2``."""
    return "n" if offset == 0 else f"n{offset:+d}"
