"""What the judge says of a fitted file: the theorem of its family apart from the table at hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ANYTHING, ConductError
from ..order.audit import audit
from ..probe.tableau import FORMS
from ..probe.trace import Run
from ..rates.measure import error
from . import rivals
from .table import Step, read

Array = NDArray[np.float64]
TOLERANCE = 2e-6  # of what a file states in seven digits
MOVED = 1e-9
# makes a run whose numbers per step are others
Numbered = Callable[[Mapping[str, Any]], Run]


@dataclass(frozen=True)
class Fitted:
    """A file with numbers for each of its steps.

    Args:
        run: with its own numbers.
        numbered: makes it run with others.
        stated: its constants STEPS, LEVELS, NUMBERS, KEPT_ORDER, DEFECTS, GAIN, BASE, INTEGRAND.
    """

    run: Run
    numbered: Numbered
    stated: Mapping[str, Any]

    def held(self, step: int) -> Run:
        """The rule with the numbers of one step at every step: that step divided without end."""
        alike = {name: float(values[step]) for name, values in self.stated["NUMBERS"].items()}
        return self.numbered(alike)


def family(fitted: Fitted, claim: int, form: str | None) -> list[str]:
    """Steps of the table whose numbers, held at every step of refined grids, give a lower order."""
    if claim < 1:
        return []
    out = []
    for step in range(int(fitted.stated["STEPS"])):
        found = audit(fitted.held(step), classes=("arbitrary",), form=form)
        if found.status == "ok" and found.grids["arbitrary"].order < claim:
            out.append(
                f"the file says that its family keeps order {claim}; with the numbers of step {step} "
                f"at every step it is {found.grids['arbitrary'].order}"
            )
    return out


def findings(fitted: Fitted) -> tuple[list[str], list[str], dict[str, Any]]:
    """What is refuted, what else is to be said, and all of it as plain data.

    Raises:
        ConductError: its run at its own levels misbehaves.
    """
    stated, refuted, told = fitted.stated, [], []
    levels = tuple(float(v) for v in stated["LEVELS"])
    steps = int(stated["STEPS"])
    kept = int(stated.get("KEPT_ORDER", 0))
    audited = "is audited on grids that divide its steps in λ, each with its own numbers"
    order = f"the order of its family, {kept}, {audited}" if kept else "its family keeps none"
    told.append(
        f"fitted for {steps} steps: a table of one length has no order, so no rate is measured; {order}"
    )
    try:
        table = read(fitted.run, _above_zero(levels), str(stated.get("INTEGRAND")))
    except ValueError as problem:
        told.append(f"its table was not read: {problem}")
        table = ()
    form = stated.get("INTEGRAND")
    refuted += family(fitted, kept, form if form in FORMS else None)
    if table:
        refuted += _against(stated, table)
        unsaid, called = _calls(stated, table)
        refuted, told = refuted + unsaid, told + called
    worst = max((abs(step.moments[0]) for step in table), default=0.0)
    gain = max((step.gain for step in table), default=0.0)
    if table:
        told.append(
            f"table: a constant is integrated to {worst:.2g} in the worst step; errors of the model "
            f"are magnified by at most {gain:.3g} in a step"
        )
    measured = _measured(fitted, levels)
    told += [one["sentence"] for one in measured.values()]
    data = {
        "steps": steps,
        "levels": list(levels),
        "moments": [list(step.moments) for step in table],
        "gain": gain,
        "measured": measured,
    }
    return refuted, told, data


def _above_zero(levels: tuple[float, ...]) -> tuple[float, ...]:
    return levels if levels[-1] > 0 else levels[:-1]


def _against(stated: Mapping[str, Any], table: tuple[Step, ...]) -> list[str]:
    """Where the constants of the file are not what its weights do."""
    out: list[str] = []
    begun = int("FIRST" in stated)
    for i, (said, step) in enumerate(zip(stated.get("DEFECTS", ()), table, strict=False), begun):
        for k, (a, b) in enumerate(zip(said, step.moments, strict=True)):
            if not _close(a, b):
                out.append(
                    f"the file states that step {i} misses the moment of degree {k} by {a:.7g}; its "
                    f"weights miss it by {b:.7g}"
                )
                break
    gain = max(step.gain for step in table)
    if "GAIN" in stated and not _close(stated["GAIN"], gain):
        out.append(f"the file states the gain {stated['GAIN']:.7g}; its weights have {gain:.7g}")
    if len(stated.get("DEFECTS", table)) != len(table):
        out.append(
            f"the file states defects of {len(stated['DEFECTS'])} steps and makes {len(table)}"
        )
    return out


def _close(said: float, found: float) -> bool:
    return math.isfinite(found) and abs(said - found) <= TOLERANCE * max(abs(said), 1e-3)


def _calls(stated: Mapping[str, Any], table: tuple[Step, ...]) -> tuple[list[str], list[str]]:
    """Calls at other levels than those of the states: those that the file does not state, and all."""
    refuted, seen = [], []
    for i, step in enumerate(table, int("FIRST" in stated)):
        said = stated["CALLED"][i] if "CALLED" in stated else (1.0,) * len(step.called)
        for ratio, wanted in zip(step.called, said, strict=False):
            if abs(ratio - wanted) > MOVED * wanted:
                refuted.append(
                    f"step {i} calls the model at {ratio:.7g} times the level of its state; the file "
                    f"states {wanted:.7g}"
                )
            if abs(ratio - 1) > MOVED:
                seen.append((abs(ratio - 1), ratio, i))
    if not seen:
        return refuted, []
    _, ratio, i = max(seen)
    said = f"by at most a factor {ratio:.4g} (step {i})"
    told = f"the model is called at other levels than those of the states, as stated, {said}"
    return refuted, [] if refuted else [told]


def _measured(fitted: Fitted, levels: tuple[float, ...]) -> dict[str, dict[str, Any]]:
    """Errors at the fitted number of calls beside its own base and the best plain pair."""
    found: dict[str, dict[str, Any]] = {}
    base = fitted.stated.get("BASE")
    for name, task in rivals.tasks(levels):
        try:
            own = error(fitted.run, task, np.asarray(levels))
            without = None
            if base:
                without = error(fitted.numbered(base), task, np.asarray(levels))
        except ConductError:
            raise
        except ANYTHING as problem:
            found[name] = {"sentence": f"on {name} it was not measured: {problem}"}
            continue
        calls = rivals.calls(fitted.run, levels)
        pair, best = rivals.best(task, levels, calls)
        beside = "" if without is None else f"; without its numbers {without:.3g}"
        worse = without is not None and own > without
        sentence = (
            f"on {name}, {calls} calls: error {own:.3g}{beside}; best plain pair {best:.3g} ({pair})"
            + ("; here the numbers do harm" if worse else "")
        )
        found[name] = {
            "error": own,
            "base": without,
            "plain": best,
            "pair": pair,
            "sentence": sentence,
        }
    return found
