"""The checks of a real run: their names, what each holds a sampler to, and what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from ..errors import ANYTHING

# name -> what is held to
CHECKS = {
    "finite": "results are finite on usual grids, for any number of steps",
    "zero": "a grid that ends in level 0 ends at the model's prediction, with no noise left",
    "levels": "the model is called at the levels of the grid, falling, none twice",
    "handover": "the level after a step is the level at which the next call is made",
    "last": "the run ends at the level that is configured",
    "shift": "a shift of the levels is applied once",
    "begin": "a run that begins inside the list of times starts at the level that the network is given, and ends like a whole run",
    "future": "no state has weight on an output that has not been made yet",
    "inputs": "the caller's x and sigmas, and what the model returned, stay as they were",
    "state": "nothing is kept from one run for the next of equal shape",
    "repeat": "the same run twice gives the same result",
    "samples": "a run of a batch equals the runs of its samples",
    "shape": "weights do not depend on the shape of a sample, and values do not mix",
    "layout": "results do not depend on how the state lies in memory",
    "dtype": "weights are the same in float32, float16 and bfloat16, to their precision",
    "outputs": "weights do not depend on what the model answers",
    "steps": "the same levels get the same weights whatever the number of steps",
    "start": "the same levels get the same weights wherever the grid starts and ends",
    "size": "the rule of a step is the same for small and for large steps",
    "level": "the rule of a step is the same at high and at low levels",
    "tolerance": "errors fall with the tolerance",
    "warning": "the host warns of nothing",
    "modules": "functions of numpy, torch and math are what they were after the import and each run",
    "settings": "a run leaves torch's default dtype and device, grad mode, threads and deterministic flags as they were",
    "seeds": "a run does not seed torch's random generator",
}

# those that compare one run with another
COMPARED = {
    "repeat",
    "samples",
    "shape",
    "layout",
    "dtype",
    "outputs",
    "steps",
    "start",
    "size",
    "level",
}

# a check is broken; a reader must know; of use to somebody
GRAVITY = BREACH, SAID, REMARK = ("breach", "said", "remark")


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Args:
        check: its name, one of CHECKS.
        text: one sentence, with numbers.
        example: the run that shows it, in words: steps, grid, dtype, batch, shape.
        gravity: one of GRAVITY.
        order: the order that the weights of the breaching runs show, where that is known.
        whole: whether it is of every run, not of some.
    """

    check: str
    text: str
    example: str
    gravity: str = BREACH
    order: int | None = None
    whole: bool = False

    def sentence(self) -> str:
        """For tables: name, text, example."""
        return f"real run, {self.check}: {self.text} ({self.example})"


@dataclass(frozen=True)
class Conduct:
    """What the real runs of one sampler showed.

    Args:
        held: checks that were made and hold.
        findings: breaches first, then notes.
        skipped: check -> why it was not made.
        runs: number of runs.
    """

    held: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    runs: int = 0

    @property
    def breaches(self) -> tuple[Finding, ...]:
        """Findings that break a check."""
        return tuple(f for f in self.findings if f.gravity == BREACH)

    def sentences(self) -> tuple[str, ...]:
        """Breaches, then what a reader must know; remarks are for the long reports."""
        grave = sorted((f for f in self.findings if f.gravity != REMARK), key=_gravity)
        if not any(f.check == "state" and f.gravity == BREACH for f in grave):
            return tuple(f.sentence() for f in grave)
        # two runs of what remembers the last one differ, whatever they were to show
        fails = list(dict.fromkeys(f.check for f in grave if f.check in COMPARED))
        kept = [f.sentence() for f in grave if f.check not in COMPARED]
        if fails:
            checks, fail = ("check", "fails") if len(fails) == 1 else ("checks", "fail")
            kept.append(
                f"real run: {len(fails)} {checks} that compare runs {fail} too, which may be what is left "
                f"of the run before: {', '.join(fails)}"
            )
        return tuple(kept)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class Runs(Protocol):
    """What counts its runs: a bench of a sampler."""

    runs: int


Bench = TypeVar("Bench", bound=Runs)


def conduct(checks: Mapping[str, Callable[[Bench], Iterator[Finding]]], bench: Bench) -> Conduct:
    """Hold a sampler to every check; one that cannot be made is skipped, with the reason."""
    held: list[str] = []
    findings: list[Finding] = []
    skipped: list[tuple[str, str]] = []
    for name, check in checks.items():
        try:
            found = list(check(bench))
        except ANYTHING as error:
            skipped.append((name, f"{type(error).__name__}: {error}"))
            continue
        findings += found
        if not found:
            held.append(name)
    return Conduct(tuple(held), tuple(findings), tuple(skipped), bench.runs)


def _gravity(finding: Finding) -> int:
    return GRAVITY.index(finding.gravity)
