"""What an examination says: checks with figures and bounds, and the whole examination."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

HELD, REFUTED, REPORTED, SKIPPED = "held", "refuted", "reported", "not judged"


@dataclass(frozen=True)
class Check:
    """One named check.

    Args:
        name: short, stable: reports and tests name it.
        status: held, refuted, reported (a figure without a verdict) or not judged.
        text: one sentence: what was found, and what to do where it is refuted.
        figure: the number that was measured, or None.
        bound: what it was held to, or None.
    """

    name: str
    status: str
    text: str
    figure: float | None = None
    bound: float | None = None


def judged(
    name: str, figure: float, bound: float, text: str, *, remedy: str = "", exact: str = ""
) -> Check:
    """A check that holds when the figure is at most its bound (NaN is refuted)."""
    good = figure <= bound
    said = text if good or not remedy else f"{text}; {remedy}"
    if good and exact:
        said = f"{text} ({exact})"
    return Check(name, HELD if good else REFUTED, said, figure, bound)


@dataclass
class Examination:
    """All that was found out about one map.

    Args:
        target: how the user named it.
        form: endpoint, flow-map, velocity or generator.
        problem: name of the problem, or "none".
        checks: in the order in which they were made.
        tables: measures by name: each a list of rows (dicts of plain values).
        claims: what was claimed.
        facts: single figures: standard deviation, number of starts, bound of the truth.
        picture: starts and errors for the page: rows (x, y, error), or empty.
        galleries: pictures by title, for the page.
        error: why the target could not be examined, or "".
    """

    target: str
    form: str
    problem: str
    checks: list[Check] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    picture: list[tuple[float, float, float]] = field(default_factory=list)
    galleries: dict[str, list[list[float]]] = field(default_factory=dict)
    error: str = ""

    @property
    def status(self) -> str:
        """error, refuted or "not refuted"; never "right"."""
        if self.error:
            return "error"
        refuted = any(one.status == REFUTED for one in self.checks)
        return "refuted" if refuted else "not refuted"

    @property
    def refuted(self) -> list[Check]:
        """The checks that refute the map."""
        return [one for one in self.checks if one.status == REFUTED]

    def named(self, name: str) -> Check:
        """The check of that name.

        Raises:
            KeyError: it was not made.
        """
        for one in self.checks:
            if one.name == name:
                return one
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        said = asdict(self)
        said.pop("picture")
        said.pop("galleries")
        return {"status": self.status, **said}
