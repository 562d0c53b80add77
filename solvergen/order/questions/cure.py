"""Cures: what would restore the order that a start or an end costs, proved by analysis.

A first step of order q leaves an error of h^{q+1}, once; so a start of order p − 1 is enough for a
main step of order p, and a first step shortened from h to h^e leaves h^{e(q+1)}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import groupby
from math import inf

from ...derive import derive
from ...errors import OrderError, SolvergenError
from ...gallery import load, names
from ...program.model import Program
from ...spec.model import End, Solver, Start
from ..expansion.grid import ARBITRARY, UNIFORM
from ..ode.analyse import analyse
from ..ode.report import OrderReport
from ..verdict import Order

Derive = Callable[[Solver], Program]
# How many named starts are proved before the search ends.
ENOUGH = 4
EXPONENTS = (Fraction(3, 2), Fraction(2), Fraction(3))


@dataclass(frozen=True)
class Cure:
    """A change of the spec and the order that it was proved to give.

    Args:
        kind: "start", "shrink" or "end".
        change: the change as TOML.
        solver: the changed spec.
        before, after: order on any grid with own start and end.
        extra_evaluations: additional model calls in all.
        complete: whether the main step's own order is reached.
    """

    kind: str
    change: str
    solver: Solver
    before: Order
    after: Order
    extra_evaluations: int
    complete: bool

    def __str__(self) -> str:
        count = abs(self.extra_evaluations)
        word = "more" if self.extra_evaluations > 0 else "fewer"
        cost = f"{count} {word} evaluation{'s' * (count > 1)}" if count else "no cost"
        return f"{self.change}: order {self.before.value} becomes {self.after.value} ({cost})"


def cures(solver: Solver, derivation: Derive = derive, kind: str = "start") -> list[Cure]:
    """What would lift a solver's order with its own start and end.

    Named starts from the single-step solvers of the gallery, a shortened first step, regular last
    steps; each is tried alone, and with regular last steps where the end is a bottleneck too. Every
    cure is analysed before it is named.

    Args:
        solver: the spec.
        derivation: makes a Program of a spec.
        kind: "start" or "shrink", the kind that is preferred.

    Returns:
        Cures in order of preference: the higher order, the preferred kind, the lower cost; only
        complete ones where there are any. Empty when nothing is lost or nothing helps.
    """
    report = analyse(derivation(solver))
    if not _losses(report):
        return []
    base, change = _regular_end(solver, report)
    found = list(_improved("end", change, base, report, derivation)) if change else []
    found += _shrunk(base, change, report, derivation)
    found += _started(base, change, report, derivation)
    if any(cure.complete for cure in found):
        found = [cure for cure in found if cure.complete]
    return sorted(found, key=lambda c: (-c.after.value, c.kind != kind, c.extra_evaluations))


def cured_solver(solver: Solver, kind: str = "start", derivation: Derive = derive) -> Solver:
    """The solver with the cheapest complete cure.

    Args:
        solver: the spec.
        kind: "start" prefers a named start, which works on any user's grid; "shrink" prefers a
            shortened first step, which costs no evaluations but changes the grid.
        derivation: makes a Program of a spec.

    Returns:
        A spec whose Program has the main step's order with its own start and end; the solver itself
        when nothing is lost.

    Raises:
        OrderError: no cure restores the order.
    """
    report = analyse(derivation(solver))
    if not _losses(report):
        return solver
    found = [cure for cure in cures(solver, derivation, kind) if cure.complete]
    if not found:
        raise OrderError(
            f"{solver.name}: no single-step solver of the gallery and no shortened first step "
            f"restores order {_wanted(report)}; start with a solver of order {_wanted(report) - 1}"
        )
    return found[0].solver


def _wanted(report: OrderReport) -> int:
    return report.orders[ARBITRARY]["exact_start"].value


def _losses(report: OrderReport) -> bool:
    return any(
        report.orders[kind]["own_end"].value < report.orders[kind]["exact_start"].value
        for kind in (UNIFORM, ARBITRARY)
    )


def _regular_end(solver: Solver, report: OrderReport) -> tuple[Solver, str]:
    """The solver with regular last steps where its own lower the order, and that change."""
    if any(b.part == "end" for b in report.bottlenecks) and (solver.end.ramp or solver.end.using):
        end = End(zero=solver.end.zero, corrector=solver.end.corrector)
        return replace(solver, end=end), "[end] with regular last steps"
    return solver, ""


def _shrunk(base: Solver, change: str, report: OrderReport, derivation: Derive) -> Iterator[Cure]:
    """A first step shortened to the smallest sufficient exponent.

    Where only the first step is poor, p/m lifts its error of h^m to h^p. In PEC its evaluation
    stays in use with weights that grow as the step shrinks, so larger exponents are tried too.
    """
    first = [b.exponent for b in report.bottlenecks if b.part == "start"]
    if not first or base.start.shrink is not None:
        return
    least = Fraction(report.orders[UNIFORM]["exact_start"].value) / min(first)
    best: list[Cure] = []
    for exponent in sorted({least, *(e for e in EXPONENTS if e > least)}):
        changed = replace(base, start=replace(base.start, shrink=exponent))
        text = "; ".join(filter(None, (f'[start] shrink = "{exponent}"', change)))
        for cure in _improved("shrink", text, changed, report, derivation):
            if cure.complete:
                yield cure
                return
            if not best or cure.after.value > best[0].after.value:
                best = [cure]
    yield from best


def _started(base: Solver, change: str, report: OrderReport, derivation: Derive) -> Iterator[Cure]:
    """Starts with single-step solvers of the gallery, as few of their steps as suffice."""
    if not any(b.part == "start" for b in report.bottlenecks):
        return
    complete = 0
    for name in _single_steps(base.integrand, _wanted(report) - 1):
        for count in range(1, max(1, report.program.main.history) + 1):
            changed = replace(base, start=Start((name,) * count, base.start.shrink))
            text = "; ".join(filter(None, (_start_toml((name,) * count), change)))
            improved = list(_improved("start", text, changed, report, derivation))
            yield from improved
            if any(cure.complete for cure in improved):
                complete += 1
                break
        if complete == ENOUGH:
            return


def _improved(
    kind: str, change: str, changed: Solver, report: OrderReport, derivation: Derive
) -> Iterator[Cure]:
    """The cure, when it lifts the order on arbitrary or on uniform grids."""
    program = derivation(changed)
    new = analyse(program)
    before, after = (r.orders[ARBITRARY]["own_end"] for r in (report, new))
    if after.value <= before.value and _uniform_end(new) <= _uniform_end(report):
        return
    extra = sum(step.evaluations for step in program.start)
    extra -= sum(step.evaluations for step in report.program.start[: len(program.start)])
    extra -= program.main.evaluations * (len(program.start) - len(report.program.start))
    yield Cure(kind, change, changed, before, after, extra, not _losses(new))


def _uniform_end(report: OrderReport) -> int:
    return report.orders[UNIFORM]["own_end"].value


def _start_toml(names: tuple[str, ...]) -> str:
    return "[start] using = [" + ", ".join(f'"{name}"' for name in names) + "]"


def _single_steps(integrand: str, order: int) -> Iterator[str]:
    """Single-step solvers of the gallery of at least an order, the cheapest first.

    Among equally cheap ones, those published for this integrand come first, then the most accurate.
    The published order only says which are worth trying: an order is proved before it is named.
    """
    for _, group in groupby(_by_cost(integrand), key=lambda name: _cost(name, integrand)):
        rated = []
        for name in group:
            claimed = load(name).claim.order
            if claimed is not None and claimed >= order:
                proved, norm = _rated(name, integrand)
                if proved >= order:
                    rated.append((norm, name))
        yield from (name for _, name in sorted(rated))


def _cost(name: str, integrand: str) -> tuple[int, bool]:
    return len(load(name).stages), load(name).integrand != integrand


@cache
def _by_cost(integrand: str) -> tuple[str, ...]:
    fitting = (name for name in names() if _fits(load(name)))
    return tuple(sorted(fitting, key=lambda name: (_cost(name, integrand), name)))


@cache
def _rated(name: str, integrand: str) -> tuple[int, float]:
    """The order and the error norm of a gallery solver's rule on another integrand."""
    try:
        report = analyse(derive(replace(load(name), integrand=integrand)))
    except SolvergenError:  # not every coordinate exists for every integrand
        return 0, 0.0
    norm = report.error_norm
    size = inf if norm is None else round(norm, 9)
    return report.orders[ARBITRARY]["exact_start"].value, size


def _fits(solver: Solver) -> bool:
    """Whether a gallery solver can start any other: stages inside one interval, and nothing else."""
    plain = solver.schedule is None and solver.corrector is None
    plain = plain and solver.spans == 1 and solver.noise is None and not solver.step.states
    plain = plain and getattr(solver, "controller", None) is None and not solver.claim.records
    plain = plain and not (solver.start.using or solver.end.using or solver.end.ramp)
    rules = [solver.step, *(stage.rule for stage in solver.stages)]
    sources = {node for rule in rules for node in (*rule.nodes, *(s for s, _ in rule.weights))}
    return plain and bool(solver.stages) and not any("-" in s for s in sources)
