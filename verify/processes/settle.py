"""One request settled: found, loaded, judged; whatever goes wrong becomes a verdict that says so."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ..conduct.surroundings import Surroundings
from ..errors import ANYTHING, VerifyError
from ..judge import judge
from ..request import Request
from ..targets import find
from ..verdict import Verdict, versions

# how a class says in words that it does not know a value; anything else is a crash
REFUSALS = ("ValueError: ", "NotImplementedError: ")


def settle(request: Request) -> list[Verdict]:
    """Verdicts of one request; a target that cannot be loaded becomes a verdict that says so."""
    around = Surroundings()
    try:
        with around.kept("its import"):
            targets = find(request.target, request.options, request.convention)
    except VerifyError as error:
        return [broken(request, "target", str(error))]
    except MemoryError:
        return [broken(request, "size", "out of memory on import")]
    made = []
    for target in targets:
        try:
            claim = request.claimed(target.name)
            made.append(judge(target, claim=claim, around=around.copy(), **request.settings))
        except MemoryError:
            made.append(broken(request, "size", "out of memory: it allocates more than its limit"))
        except ANYTHING as error:
            text = f"{type(error).__name__}: {error}"
            made.append(broken(request, "raises", text))
    made = [_with_remedy(v) for v in made]
    if request.swept:
        # a sweep tries what the constructor takes; nobody gave these options by mistake
        return [_refused(v) for v in made]
    texts = [f"{k} = {v!r}" for k, v in request.options.items() if isinstance(v, str)]
    if not texts:
        return made
    told = f"options given as text, not as numbers: {', '.join(texts)}"
    return [
        dataclasses.replace(v, findings=(*v.findings, told)) if v.reason == "raises" else v
        for v in made
    ]


def _refused(verdict: Verdict) -> Verdict:
    """No verdict, in place of an error, where the class itself refuses a set of options in words."""
    text = verdict.findings[0] if verdict.findings else ""
    if verdict.reason != "raises" or not text.startswith(REFUSALS):
        return verdict
    told = (f"refuses these options: {text}",)
    return dataclasses.replace(verdict, status="none", reason="refused", findings=told, claim=None)


def broken(request: Request, reason: str, text: str) -> Verdict:
    """The verdict on a target that could not be judged."""
    return _with_remedy(
        Verdict(
            target=request.name,
            title=request.name,
            status="error",
            reason=reason,
            findings=(text,),
            claim=request.claim,
            versions=versions(),
        )
    )


def _with_remedy(verdict: Verdict) -> Verdict:
    """With what to install, where a package is absent."""

    def said(text: str) -> str:
        missing = re.search(r"No module named '([\w.]+)'", text)
        package = missing[1].partition(".")[0] if missing else ""
        if not package or "pip install" in text:
            return text
        if verdict.target.partition(":")[0].partition(".")[0] == package:
            return f"{text}; there is no {package}.py here, nor on Python's path"
        return f"{text}; pip install {package}"

    findings = tuple(said(text) for text in verdict.findings)
    return dataclasses.replace(verdict, findings=findings)


def verdict_of(data: dict[str, Any]) -> Verdict:
    """A verdict from its plain data; keys that this version does not know are left out.

    Raises:
        TypeError, KeyError: the data are not those of a verdict.
    """
    known = {f.name for f in dataclasses.fields(Verdict)}
    data = {k: v for k, v in data.items() if k in known}
    data["findings"] = tuple(data["findings"])
    data["causes"] = tuple(data["causes"])
    return Verdict(**data)
