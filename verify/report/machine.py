"""Verdicts for machines: JSON, JUnit XML, GitHub annotations, exit codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree

from ..verdict import Verdict
from .finite import finite

BROKEN = ("fail", "error", "disagree")


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 when every claim holds, 1 when one is refuted, 2 when a target could not be judged."""
    states = {v.status for v in verdicts}
    return 2 if states & {"error", "disagree"} else (1 if "fail" in states else 0)


def as_json(verdicts: Sequence[Verdict]) -> str:
    """All verdicts as a JSON list; numbers that JSON cannot hold become null."""
    return json.dumps([finite(v.as_dict()) for v in verdicts], indent=2, sort_keys=True) + "\n"


def as_junit(verdicts: Sequence[Verdict]) -> str:
    """JUnit XML: one test case a target, refuted claims as failures, misbehaviour as errors."""
    suite = ElementTree.Element(
        "testsuite",
        name="solvergen.verify",
        tests=str(len(verdicts)),
        failures=str(sum(v.status == "fail" for v in verdicts)),
        errors=str(sum(v.status in ("error", "disagree") for v in verdicts)),
    )
    for v in verdicts:
        case = ElementTree.SubElement(suite, "testcase", classname="verify", name=_clean(v.target))
        if v.status in BROKEN:
            kind = "failure" if v.status == "fail" else "error"
            text = v.findings[0] if v.findings else v.reason
            child = ElementTree.SubElement(case, kind, message=_clean(text), type=v.reason or kind)
            child.text = _clean("\n".join(v.findings))
        out = ElementTree.SubElement(case, "system-out")
        said = {"audited": v.audited, "measured": finite(v.measured)}
        if v.noise:
            said["noise"] = finite(v.noise["grids"])
        out.text = _clean(json.dumps(said))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def as_github(verdicts: Sequence[Verdict]) -> str:
    """Workflow commands that annotate files, one line a finding of a refuted or broken target."""
    lines = []
    for v in verdicts:
        if v.status not in BROKEN:
            continue
        where = f" file={_property(v.path)},line={v.line or 1}" if v.path else ""
        comma = "," if where else " "
        for finding in v.findings or (v.reason,):
            title = _property(f"{v.target}: {v.status}")
            lines.append(f"::error{where}{comma}title={title}::{_message(finding)}")
    return "\n".join(lines)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _clean(text: str) -> str:
    """Without the control characters that XML 1.0 forbids; a stranger's message may hold any."""
    return "".join(c for c in text if c in "\t\n\r" or (ord(c) >= 32 and ord(c) not in _NOT_XML))


_NOT_XML = {0xFFFE, 0xFFFF, *range(0xD800, 0xE000)}
