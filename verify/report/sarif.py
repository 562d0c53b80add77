"""SARIF 2.1.0, which code hosts show beside the lines that it names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..conduct.checks import CHECKS
from ..verdict import Verdict
from .machine import BROKEN

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVEL = {"fail": "error", "error": "error", "disagree": "warning"}
RULES = {
    "order": "the order that a sampler claims is proved or measured",
    "conduct": "a sampler behaves in real runs",
    **{f"conduct/{name}": text for name, text in CHECKS.items()},
}


def as_sarif(verdicts: Sequence[Verdict]) -> str:
    """One run with a result for each finding of a refuted or broken target."""
    results = [r for v in verdicts if v.status in BROKEN for r in _results(v)]
    used = sorted({r["ruleId"] for r in results})
    rules = [{"id": name, "shortDescription": {"text": RULES.get(name, name)}} for name in used]
    driver = {"name": "solvergen", "informationUri": "https://pypi.org/project/solvergen/"}
    run = {"tool": {"driver": {**driver, "rules": rules}}, "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _results(verdict: Verdict) -> list[dict[str, Any]]:
    breaches = {
        f"real run, {f['check']}: {f['text']} ({f['example']})": f["check"]
        for f in verdict.conduct.get("findings", ())
    }
    out = []
    for text in verdict.findings or (verdict.reason,):
        rule = f"conduct/{breaches[text]}" if text in breaches else "order"
        out.append(
            {
                "ruleId": rule,
                "level": LEVEL[verdict.status],
                "message": {"text": f"{verdict.target}: {text}"},
                "locations": _locations(verdict),
            }
        )
    return out


def _locations(verdict: Verdict) -> list[dict[str, Any]]:
    if not verdict.path:
        return []
    place = {
        "artifactLocation": {"uri": relative(verdict.path)},
        "region": {"startLine": verdict.line or 1},
    }
    return [{"physicalLocation": place}]


def relative(path: str) -> str:
    """A path from the folder in which the command runs, where it lies inside, with slashes."""
    try:
        return Path(path).resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return Path(path).as_posix()
