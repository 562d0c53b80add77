"""Examinations for machines: JSON, JUnit XML, exit codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree

from ...report.finite import finite
from ...report.machine import _clean
from ..check import HELD, REFUTED, SKIPPED, Examination
from .terminal import headline


def exit_code(made: Sequence[Examination]) -> int:
    """0 when nothing is refuted, 1 when something is, 2 when a map could not be examined."""
    states = {one.status for one in made}
    return 2 if "error" in states else (1 if "refuted" in states else 0)


def as_json(made: Sequence[Examination]) -> str:
    """All examinations as a JSON list; numbers that JSON cannot hold become null."""
    return json.dumps([finite(one.as_dict()) for one in made], indent=2) + "\n"


def as_junit(made: Sequence[Examination]) -> str:
    """JUnit XML: one suite a map, one test case a check with a verdict."""
    suites = ElementTree.Element("testsuites", name="solvergen.examine")
    for one in made:
        cases = [check for check in one.checks if check.status in (HELD, REFUTED, SKIPPED)]
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=_clean(one.target),
            tests=str(len(cases) + bool(one.error)),
            failures=str(len(one.refuted)),
            errors=str(int(bool(one.error))),
        )
        for check in cases:
            case = ElementTree.SubElement(
                suite, "testcase", classname=_clean(one.target), name=check.name
            )
            if check.status == REFUTED:
                ElementTree.SubElement(case, "failure", message=_clean(check.text))
            if check.status == SKIPPED:
                ElementTree.SubElement(case, "skipped", message=_clean(check.text))
        if one.error:
            case = ElementTree.SubElement(
                suite, "testcase", classname=_clean(one.target), name="examined"
            )
            ElementTree.SubElement(case, "error", message=_clean(headline(one)))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
