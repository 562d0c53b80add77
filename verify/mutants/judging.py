"""Judging the judge: wrong samplers that must be rejected, and right ones that must not.

Mutants are made from emitted files, of the planned program (its rows: weights, nodes, start rows,
precision) and of the source (phi_2 for phi_1 / 2, step ratios upside down, history in the wrong
order). What a mutant really changes is measured, independently of the audit, by how fast its end
points part from the honest ones: slower than h^p and it has lost order, like h^p and it changes the
leading constant, faster and it changes neither.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ANYTHING, MutantError, VerifyError
from ..hosts.text import load_text
from ..judge import judge
from ..probe.noise_trace import silenced
from ..probe.tableau import in_form
from ..probe.trace import Run, trace
from ..problems import grids
from ..rates import measure
from ..targets import callable_target
from ..verdict import Verdict
from . import noisy
from .mutations import POOR_START, Change, Row, parts_of, plan_changes, source_changes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mutant:
    """A wrong version of an emitted file.

    Args:
        origin: the file's NAME.
        name: what was changed.
        module: a module like the emitted one, ready to run.
    """

    origin: str
    name: str
    module: types.ModuleType


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant.

    Args:
        effect: "order", "constant", "start" (a constant that only the start brings in, on which
            files state nothing), "higher" (neither) or "equivalent".
        shift: relative change of the error at the finest N.
        killed: whether the judge rejected it.
        why: the judge's first sentence.
        right: whether a cause or finding names the step that was changed, or every step.
    """

    origin: str
    name: str
    effect: str
    shift: float
    killed: bool
    why: str
    right: bool = False


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of one emitted file.

    Raises:
        MutantError: the file cannot be imported.
    """
    text = path.read_text(encoding="utf-8")
    honest = load_text(text, path.stem)
    rows = honest.coefficients(torch.from_numpy(grids.uniform(12)))
    width, draws = (max(map(len, part)) for part in zip(*map(parts_of, rows), strict=True))
    for name, change in plan_changes(width, draws):
        module = load_text(text, path.stem)
        module.coefficients = _changed(module.coefficients, change)  # type: ignore[attr-defined]
        yield Mutant(path.stem, name, module)
    for name, changed in source_changes(text):
        yield Mutant(path.stem, name, load_text(changed, path.stem))


def _changed(plan: Callable[..., list[Row]], change: Change) -> Callable[..., list[Row]]:
    def coefficients(*args: Any, **named: Any) -> list[Row]:
        return change(plan(*args, **named))

    return coefficients


FINE = (192, 384)
# steps of the run in which those that a mutant changes are looked for; up to so many are named one by one
SEEN, FEW = 12, 3


def ends(run: Run) -> list[Array]:
    """End points on the grids of FINE."""
    task = measure.problem("oracle")
    return [measure.solve(run, task, grids.rough(n)) for n in FINE]


def effect(honest: Sequence[Array], other: Run, order: int) -> tuple[str, float]:
    """What a mutant changes, by how its end points part from the honest ones.

    Args:
        honest: ends() of the honest sampler.

    Returns:
        ("order" | "constant" | "higher" | "equivalent", change relative to the honest error).
    """
    task = measure.problem("oracle")
    gaps, errors = [], []
    for n, right in zip(FINE, honest, strict=True):
        try:
            wrong = measure.solve(other, task, grids.rough(n))
        except VerifyError:
            return "order", float("inf")
        gaps.append(float(np.sqrt(np.mean((wrong - right) ** 2))))
        errors.append(float(np.sqrt(np.mean((right - task.exact.value) ** 2))))
    if gaps[1] < 1e-13:
        return "equivalent", 0.0
    # ends that part no further than rounding does tell nothing about the power
    slope = np.log2(gaps[0] / gaps[1])
    shift = gaps[1] / errors[1]
    if slope < order - 0.5:
        return "order", shift
    return ("constant" if slope < order + 0.5 else "higher"), shift


def outcome(
    mutant: Mutant, measured: Callable[[Run], tuple[str, float]], right: types.ModuleType
) -> Outcome:
    """Run the judge on one mutant, with the honest file's statements.

    Args:
        measured: effect of another run, beside the honest file's.
        right: the honest file.
    """
    target = callable_target(mutant.module, name=f"{mutant.origin}: {mutant.name}")
    try:
        kind, shift = measured(target.run)
    except ANYTHING:  # a mutant may break in any way; then it has no order
        kind, shift = "order", float("inf")
    if kind == "constant" and mutant.name == POOR_START:
        kind = "start"
    verdict = judge(_without_claim(target), rates=False, constants=False, conduct=False)
    killed = verdict.status in ("fail", "error", "disagree")
    why = verdict.findings[0] if verdict.findings else ""
    named = _named(_changed_steps(right, mutant, target.run), verdict)
    return Outcome(mutant.origin, mutant.name, kind, shift, killed, why, named)


def _named(changed: set[int], verdict: Verdict) -> bool:
    """Whether a step that was changed is named: one of a few, or every one."""
    steps = {"0" if c["step"] == "first" else str(c["step"]) for c in verdict.causes}
    said = " ".join(verdict.findings)
    if changed and len(changed) <= FEW:
        names = {str(n) for n in changed} | {str(n - SEEN) for n in changed}
        if SEEN - 1 in changed:
            names.add("last")
        return bool(steps & names) or any(f"step {n} " in said for n in changed)
    if not changed and any(c["kind"] == "raises" for c in verdict.causes):
        return True  # it breaks before a step is made
    if any(c["kind"] == "recurring" and int(c["step"]) in changed for c in verdict.causes):
        return True
    if "single precision" in said or "every step" in said or "leading error" in said:
        return True
    return "every" in steps


def _changed_steps(right: types.ModuleType, mutant: Mutant, run: Run) -> set[int]:
    """Steps of a run of SEEN in which a mutant moves from a state otherwise than the honest file does."""
    sigmas = grids.local("arbitrary", SEEN, 0.05, 0.35)
    honest = callable_target(right).run
    if weak_order(right):
        levels_of = torch.from_numpy(sigmas)
        try:
            plans = [list(m.coefficients(levels_of)) for m in (right, mutant.module)]
        except ANYTHING:  # it cannot even be planned
            return set()
        if changed := noisy.changed_rows(*plans):
            return changed
        honest, run = silenced(honest), silenced(run)
    try:
        one, two = (in_form(trace(r, sigmas), "data") for r in (honest, run))
    except ANYTHING:  # it breaks: what was changed in its plan is known
        return {1} if mutant.name == POOR_START else set()
    if one.a.shape != two.a.shape:
        return set()
    levels = [n for n, row in enumerate(one.accepted) if row >= 0]
    out: set[int] = set()
    for n, after in itertools.pairwise(levels):
        low, high = one.accepted[n], one.accepted[after]
        # what it weighs, and where it calls the model
        moves = [np.concatenate([*t.move(low, high), t.c[low : high + 1]]) for t in (one, two)]
        if np.abs(moves[0] - moves[1]).max() > 1e-9 * np.abs(moves[0]).max():
            out |= set(range(n, after))
    return out


def causes_right(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """(named rightly, all) of the mutants that lose order and are killed."""
    those = [o for o in outcomes if o.effect == "order" and o.killed]
    return sum(o.right for o in those), len(those)


def _without_claim(target: Any) -> Any:
    """The statements alone: a published claim may be refuted for the honest file already."""
    return type(target)(**{**target.__dict__, "claim": None})


def campaign(
    paths: Sequence[Path], chosen: Callable[[str], bool] = lambda name: True
) -> list[Outcome]:
    """Mutants of several emitted files.

    Args:
        chosen: by name; all of them without it.

    Raises:
        MutantError: a file states neither ORDER nor WEAK_ORDER: nothing to hold mutants to.
    """
    out = []
    for path in paths:
        honest = load_text(path.read_text(encoding="utf-8"), path.stem)
        measured = _measure(honest)
        if measured is None:
            raise MutantError(f"{path}: states no ORDER; make it with an order engine")
        out += [outcome(m, measured, honest) for m in mutants(path) if chosen(m.name)]
    return out


def weak_order(honest: types.ModuleType) -> dict[str, Any]:
    """What a file with noise states; {} where it states nothing of the kind."""
    return getattr(honest, "WEAK_ORDER", None) or {}


def _measure(honest: types.ModuleType) -> Callable[[Run], tuple[str, float]] | None:
    """How the effect of a mutant of a file is measured; None where the file states no order."""
    run, weak = callable_target(honest).run, weak_order(honest)
    if weak:
        laws = noisy.laws(run)
        return lambda other: noisy.effect(laws, other, weak["arbitrary"])
    stated = getattr(honest, "ORDER", None)
    if not stated:
        return None
    order, right = int(stated["arbitrary"]["own_end"][0]), ends(run)
    return lambda other: effect(right, other, order)


def rates(outcomes: Sequence[Outcome]) -> dict[str, tuple[int, int]]:
    """effect -> (killed, all); a constant counts from a change of one percent on."""
    out = {}
    for kind in ("order", "constant", "start", "higher"):
        those = [o for o in outcomes if o.effect == kind]
        if kind == "constant":
            those = [o for o in those if o.shift >= 0.01]
        out[kind] = (sum(o.killed for o in those), len(those))
    return out


def false_alarms(paths: Sequence[Path], seeds: Sequence[int]) -> list[str]:
    """Honest files that the judge rejects for some seed, with the reason."""
    out = []
    for path in paths:
        module = load_text(path.read_text(encoding="utf-8"), path.stem)
        target = _without_claim(callable_target(module, name=path.stem))
        for seed in seeds:
            # real runs have no seed to vary
            real = seed == seeds[0]
            verdict = judge(target, rates=False, constants=False, conduct=real, seed=seed)
            if verdict.status != "pass":
                out.append(f"{path.stem}, seed {seed}: {verdict.status}: {verdict.findings[:1]}")
    return out
