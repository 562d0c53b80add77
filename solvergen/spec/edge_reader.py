"""[start] and [end] of a spec: the steps that the main rule does not take."""

from __future__ import annotations

from typing import Any

from .keys import TABLES
from .model import End, Rule, Start
from .rule_reader import RuleReader

MAX_ROWS = 32


class EdgeReader(RuleReader):
    """Reads the tables of the first and the last steps."""

    def edge(self, name: str) -> tuple[dict[str, Any], tuple[str | Rule, ...]]:
        """[start] or [end]: their keys, and the steps that they list."""
        section = dict(self.section(name))
        rules = section.pop("rule", [])
        fields = self.table((name,), section, TABLES[name])
        if rules and "using" in fields:
            self.fail((name, "using"), f"give either `using` or [[{name}.rule]] tables, not both")
        if not isinstance(rules, list):
            self.fail((name, "rule"), f"write [[{name}.rule]] with two brackets")
        if rules:
            fields["using"] = tuple(
                self.rule((name, "rule", i), rule) for i, rule in enumerate(rules)
            )
        using = fields.pop("using", ())
        if len(using) > MAX_ROWS:
            self.fail((name,), f"{len(using)} special steps; at most {MAX_ROWS} are read")
        return fields, using

    def start(self) -> Start:
        fields, using = self.edge("start")
        if fields.get("shrink") is not None and not 1 < fields["shrink"] <= 8:
            self.fail(("start", "shrink"), "the exponent must be greater than 1 and at most 8")
        return Start(using, **fields)

    def end(self) -> End:
        fields, using = self.edge("end")
        if using and fields.get("ramp"):
            self.fail(("end", "ramp"), "give either `ramp` or the steps themselves, not both")
        return End(using, **fields)
