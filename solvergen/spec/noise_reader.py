"""[noise] and [langevin] of a spec: what each form takes and what it cannot be combined with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .keys import TABLES
from .locate import Path as KeyPath
from .model import Langevin, Noise
from .rule_reader import RuleReader

MAX_REPEATS = 1000


class NoiseReader(RuleReader):
    """Reads the tables that make a solver stochastic."""

    def noise(self) -> Noise | None:
        """[noise]: what each form takes and what it cannot be combined with."""
        if "noise" not in self.data:
            return None
        fields = self.table(("noise",), self.section("noise"), TABLES["noise"])
        self.each(self.fail, self._noise_mistakes(fields))
        default = {"sde": "path", "ancestral": "inside"}.get(fields["form"], "own")
        return Noise(**{"stages": default, **fields})

    def _noise_mistakes(self, fields: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
        form = fields["form"]
        if len(fields.get("window", (0, 0))) != 2:
            yield ("noise", "window"), "a window is two values, the least and the greatest"
        takes = {
            "sde": ("strength", "scale", "stages", "window", "window_at"),
            "ancestral": ("strength", "scale", "stages", "down"),
            "churn": ("strength", "scale", "window"),
            "explicit": ("scale",) if fields.get("jumps") else (),
        }[form]
        strength = fields.get("strength")
        if strength is not None and strength.is_Rational and strength < 0:
            yield ("noise", "strength"), f"the strength is at least 0, found {strength}"
        if "window_at" in fields and "window" not in fields:
            yield ("noise", "window_at"), "`window_at` needs a `window`"
        for name in fields:
            if name not in (*takes, "form", "jumps"):
                yield ("noise", name), f"the form {form} takes no `{name}`"
        if "down" in fields and (
            "strength" in fields or fields.get("stages", "inside") != "inside"
        ):
            yield ("noise", "down"), "`down` replaces the strength, and stages lie inside it"
        if fields.get("stages") == "inside" and form == "sde":
            yield ("noise", "stages"), "inside belongs to the form ancestral"
        if fields.get("stages") == "path" and form == "ancestral":
            yield ("noise", "stages"), "the form ancestral takes own or inside"
        for other in ("embedded", "controller"):
            if other in self.data:
                yield (other,), f"[{other}] and [noise] cannot be combined"

    def langevin(self) -> Langevin | None:
        if "langevin" not in self.data:
            return None
        fields = self.table(("langevin",), self.section("langevin"), TABLES["langevin"])
        self.each(self.fail, self._langevin_mistakes(fields))
        return Langevin(**fields)

    def _langevin_mistakes(self, fields: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
        if "noise" not in self.data:
            yield ("langevin",), '[langevin] needs [noise] beside it; form = "explicit" adds none'
        if ("rate" in fields) == ("snr" in fields):
            yield ("langevin",), "[langevin] takes `rate` or `snr`, one of them"
        for name in ("rate", "snr"):
            size = fields.get(name)
            if size is not None and size.is_Rational and not 0 < size < 2:
                told = f"the {name} lies above 0 and, for steps to be stable, below 2"
                yield ("langevin", name), told
        if not 1 <= fields["steps"] <= MAX_REPEATS:
            yield ("langevin", "steps"), f"from 1 to {MAX_REPEATS} Langevin steps are taken"
