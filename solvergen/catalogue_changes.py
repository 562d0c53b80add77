"""What changed in a catalogue, in words: which solvers' facts, what they were and what they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MOST_LINES = 12
MOST_FACTS = 2  # of a solver
MOST_WIDE = 60  # characters of a fact that are shown
PLACES = {
    "own_end": "own start and end",
    "own_start": "own start",
    "exact_start": "exact start",
    "uniform": "uniform grid",
    "smooth": "smooth grid",
    "arbitrary": "any grid",
    "weak": "order with noise",
    "stiff": "stiff order",
    "local_error": "local error",
    "leading": "leading error",
    "digest": "program",
    "quiet": "order without noise",
    "fault": "claim that does not hold",
    "refused": "refusal",
    "reason": "remark",
}
UNREAD = ("digest", "formula")  # said to differ; their texts would not tell how


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """At most a dozen lines on how the records of two catalogues differ.

    Args:
        old: the records of the file on disk, by solver.
        new: those that the specs derive.

    >>> one = {"spec": "1", "names": [], "entry": {"order": {"uniform": {"own_end": [2, True]}}}}
    >>> two = {"spec": "2", "names": [], "entry": {"order": {"uniform": {"own_end": [1, True]}}}}
    >>> print(*changes({"ddim": one, "gone": one}, {"ddim": two, "added": two}), sep="\\n")
    added: not in the catalogue yet
    ddim: order, uniform grid, own start and end: 2, now 1
    gone: in the catalogue, but not in the gallery
    """
    lines = list(_lines(old, new))
    more = len(lines) - MOST_LINES + 1
    return lines if more < 2 else [*lines[:-more], f"and {more} more solvers"]


def _lines(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """A line for each solver."""
    for name in sorted({*old, *new}):
        if name not in new:
            yield f"{name}: in the catalogue, but not in the gallery"
        elif name not in old:
            yield f"{name}: not in the catalogue yet"
        elif old[name] != new[name]:
            known = old[name].get("entry") if isinstance(old[name], Mapping) else None
            facts = list(_facts(known, new[name]["entry"], ()))
            more = len(facts) - MOST_FACTS
            shown = facts[:MOST_FACTS] + [f"and {more} more"] * (more > 0)
            yield f"{name}: {'; '.join(shown) or 'its spec changed, what is proved of it did not'}"


def _facts(old: Any, new: Any, place: tuple[str, ...]) -> Iterator[str]:
    """The facts that differ below a place of an entry."""
    if old == new:
        return
    if isinstance(new, Mapping) and (place == () or isinstance(old, Mapping)):
        old = old if isinstance(old, Mapping) else {}
        for key in dict.fromkeys([*old, *new]):
            yield from _facts(old.get(key), new.get(key), (*place, key))
        return
    where = ", ".join(PLACES.get(key, key) for key in place)
    yield (
        f"{where} differs" if place[-1] in UNREAD else f"{where}: {_shown(old)}, now {_shown(new)}"
    )


def _shown(fact: Any) -> str:
    """A fact as `explain` would put it."""
    if fact is None or fact == "":
        return "nothing"
    if isinstance(fact, list):
        if len(fact) == 2 and isinstance(fact[1], bool):
            return f"{fact[0]}" if fact[1] else f"at least {fact[0]}"
        fact = ", ".join(map(_shown, fact))
    text = str(fact)
    return text if len(text) <= MOST_WIDE else f"{text[:MOST_WIDE]} …"
