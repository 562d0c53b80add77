"""Accepted verdicts of a project in a file, and what has changed since: `solvergen.lock.toml`.

A baseline fails on change in either direction: what has become worse is a defect, what has become
better is an accepted defect that has gone, and the file is to be written anew with --update.
"""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import TargetError
from .verdict import Verdict

HEAD = "# Accepted verdicts; written by `solvergen audit --baseline FILE --update`.\n"
COMPARED = ("status", "reason", "claim", "orders", "checks")


@dataclass(frozen=True)
class Change:
    """One thing that differs between two reports.

    Args:
        target: its name.
        what: "added", "removed", or one of COMPARED.
        old, new: values in words.
    """

    target: str
    what: str
    old: str = ""
    new: str = ""

    def sentence(self) -> str:
        """The change in a line."""
        if self.what in ("added", "removed"):
            return f"{self.target}: {self.what} ({self.old or self.new})"
        return f"{self.target}: {self.what} was {self.old}, is {self.new}"


def row(verdict: Verdict) -> dict[str, Any]:
    """What a baseline keeps of a verdict."""
    kept: dict[str, Any] = {"status": verdict.status}
    if verdict.reason:
        kept["reason"] = verdict.reason
    if verdict.claim is not None:
        kept["claim"] = verdict.claim
    known = [verdict.audited.get(k) for k in ("uniform", "smooth", "arbitrary")]
    if any(o is not None for o in known):
        kept["orders"] = "/".join("-" if o is None else f"{o:g}" for o in known)
    broken = [f["check"] for f in verdict.conduct.get("findings", ()) if f["gravity"] == "breach"]
    if broken:
        kept["checks"] = sorted(set(broken))
    return kept


def rows(verdicts: Sequence[Verdict]) -> dict[str, dict[str, Any]]:
    """Target -> what is kept of its verdict."""
    return {v.target: row(v) for v in verdicts}


def changes(
    old: dict[str, dict[str, Any]],
    new: dict[str, dict[str, Any]],
    *,
    sought: Callable[[str], bool] = lambda target: True,
) -> list[Change]:
    """What differs, target by target.

    Args:
        sought: whether the new report would hold a target, if it were still there.
    """
    out = []
    for target in sorted({*old, *new}):
        if target not in new:
            if sought(target):
                out.append(Change(target, "removed", old=_said(old[target].get("status"))))
            continue
        if target not in old:
            out.append(Change(target, "added", new=_said(new[target].get("status"))))
            continue
        for key in COMPARED:
            one, two = old[target].get(key), new[target].get(key)
            if one != two:
                out.append(Change(target, key, _said(one), _said(two)))
    return out


def _said(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(value) if isinstance(value, list) else str(value)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of a baseline (TOML) or of a report (JSON).

    Raises:
        TargetError: no such file, or one of another kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"{path}: cannot be read: {error}") from error
    if path.suffix == ".toml":
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise TargetError(f"{path}: not TOML: {error}") from error
        found = data.get("verdict", {})
        if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
            raise TargetError(f'{path}: not a baseline: expected tables [verdict."TARGET"]')
        return found
    try:
        reports = json.loads(text)
        return {v["target"]: _row_of_report(v) for v in reports}
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise TargetError(
            f"{path}: not a report of `solvergen audit --json` ({error}), nor a .toml baseline"
        ) from error


def _row_of_report(data: dict[str, Any]) -> dict[str, Any]:
    from .processes.settle import verdict_of

    return row(verdict_of(data))


def write(path: Path, found: dict[str, dict[str, Any]]) -> None:
    """Write a baseline, sorted, in place of the file that was there, at once."""
    lines = [HEAD]
    for target in sorted(found):
        lines.append(f"[verdict.{_quoted(target)}]")
        for key in COMPARED:
            if key in found[target]:
                lines.append(f"{key} = {_toml(found[target][key])}")
        lines.append("")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join(lines).rstrip() + "\n")
    Path(name).replace(path)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(v) for v in value) + "]"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    # a basic string of TOML escapes what JSON does; beyond ASCII it needs no escapes
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def claims_of_project(folder: Path) -> dict[str, int]:
    """Claims per target from [tool.solvergen.claims] of a folder's pyproject.toml.

    Raises:
        TargetError: the table is not one of targets and whole numbers.
    """
    path = folder / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
        # somebody else's business; the tool that owns the file says so
        return {}
    found = data.get("tool", {}).get("solvergen", {}).get("claims", {})
    wrong = [k for k, v in found.items() if isinstance(v, bool) or not isinstance(v, int)]
    if wrong:
        raise TargetError(
            f"{path}: [tool.solvergen.claims] {wrong[0]!r} = {found[wrong[0]]!r}: an order is a "
            "whole number"
        )
    return dict(found)
