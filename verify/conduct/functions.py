"""All checks of a sampler that takes its grid from the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..errors import ANYTHING
from ..order.audit import Audit
from ..probe.trace import Run
from . import basic, counts, rule, sameness
from .bench import Bench
from .checks import SAID, Conduct, Finding

ALONE: dict[str, Callable[[Bench], Iterator[Finding]]] = {
    "finite": basic.finite,
    "zero": basic.zero,
    "last": counts.last,
    "levels": basic.levels,
    "state": basic.state,
    "future": basic.future,
    "inputs": basic.inputs,
    "samples": sameness.samples,
    "shape": sameness.shape,
    "layout": sameness.layout,
    "dtype": sameness.dtype,
    "outputs": sameness.outputs,
    "steps": counts.steps,
}
READ: dict[str, Callable[[rule.Reader], Iterator[Finding]]] = {
    "start": rule.start,
    "size": rule.size,
    "level": rule.level,
}


def conduct_of(
    run: Run,
    audited: Audit | None,
    *,
    amplitude: float = 1.0,
    noisy: bool = False,
    order: int = 0,
) -> Conduct:
    """Run a sampler as people run it, and hold it to every check.

    Args:
        run: run(denoiser, x, sigmas), scaling x = x0 + sigma eps.
        audited: what the audit found; steps are read in its form. None for a sampler with noise.
        amplitude: up to which start values and outputs the sampler is linear.
        noisy: whether it draws noise; draws are answered with zeros.
        order: that it claims or states; 0 where it does neither.

    Returns:
        A Conduct; whatever the sampler raises is in it.
    """
    bench = Bench(run, amplitude=amplitude, noisy=noisy)
    held: list[str] = []
    findings: list[Finding] = []
    skipped: list[tuple[str, str]] = []

    def settle(name: str, made: Iterator[Finding]) -> None:
        try:
            found = list(made)
        except ANYTHING as error:
            skipped.append((name, f"{type(error).__name__}: {error}"))
            return
        findings.extend(_eased(found, audited, noisy, order))
        if not found:
            held.append(name)

    for name, check in ALONE.items():
        if name == "future" and any(f.check == "state" for f in findings):
            # what is left of the run before is an output of nobody's call
            skipped.append((name, "state is kept between runs"))
            continue
        settle(name, check(bench))
    if audited is not None and audited.turn is not None:
        taken = f"every {audited.turn.period} steps one is a rule of its own"
        skipped += [(name, taken) for name in READ]
    elif audited is not None and audited.status == "ok" and audited.form is not None:
        past = any(grid.past for grid in audited.grids.values())
        reader = rule.Reader(bench, audited.form, audited.after, audited.noise, past=past)
        for name, read in READ.items():
            settle(name, read(reader))
    else:
        skipped += [(name, "the steps could not be read") for name in READ]
    return Conduct(tuple(held), tuple(findings), tuple(skipped), bench.runs)


def _eased(found: list[Finding], audited: Audit | None, noisy: bool, order: int) -> list[Finding]:
    """Without breaches that are what the audit has said already and counted."""
    if noisy:
        # noise is often dealt out over the number of steps: churn is S / N by definition
        return [replace(f, gravity=SAID) if f.check == "steps" else f for f in found]
    if audited is None:
        return found
    known = {"steps"} if audited.once else set()
    if audited.frozen or audited.notes:
        known |= {"outputs", "shape", "dtype"}
    if audited.status == "grid":
        # a grid that is snapped does not reach zero either
        known.add("zero")
    if audited.grids and min(g.order for g in audited.grids.values()) == 0:
        known |= {"zero", "start", "size", "level"}
    if any(c.kind == "unstable" for g in audited.grids.values() for c in g.causes):
        # errors that grow overflow the formats of few digits first
        known |= {"dtype", "finite"}
    if audited.status == "nonlocal":
        # that weights follow the whole run has been said, and measured rates decide
        found = [replace(f, gravity=SAID) if f.whole else f for f in found]
    return [
        replace(f, gravity=SAID) if f.check in known or _designed(f, order) else f for f in found
    ]


def _designed(found: Finding, order: int) -> bool:
    """Whether a rule that switches keeps, on both sides, the order that is claimed."""
    return found.order is not None and found.order >= max(order, 1)
