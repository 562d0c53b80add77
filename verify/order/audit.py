"""The audit: from a running sampler to its order, for each class of grids, and what limits it.

Runs of a fixed number of steps are traced on grids that shrink to a point. Three local errors are
read from the recovered tableau (conditions.py), each as an exact power of h:

    start  from the first state to a state after the start, nothing assumed exact      h^s
    main   between two states in the middle, everything before taken as exact          h^m
    end    from a state in the middle to the result                                    h^e

A one-off error keeps its local power, a repeated one loses one: the global order is
min(m - 1, s, e) (Hairer, Norsett, Wanner I, III.4). A power is exact, not a fitted slope: a 1 %
error in one weight of a second-order rule makes it 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ANYTHING, ConductError
from ..probe.family import (
    EXACT_ARITHMETIC,
    NUDGE,
    accepted_after,
    family_of,
    rounding_of,
    steps_for,
)
from ..probe.locality import far_reach, heed, said
from ..probe.past_states import PERIOD, USED, own_form
from ..probe.tableau import Tableau
from ..probe.trace import Run, count_calls
from ..problems import grids
from .approach import Tracer, approach, frozen, looks_at_outputs
from .causes import (
    RIGHT,
    Cause,
    end_cause,
    is_frozen,
    limit_cause,
    main_causes,
    moment_ratio,
    once_cause,
    past_cause,
    recurring_cause,
    settled,
    start_cause,
)
from .constants_kept import constants_missed
from .display import display, on_grid
from .growth import outgrown
from .local_error import EXACT, STEPS, LocalErrors, turns_of
from .lone_steps import Recurring, Tracing, changes, lone_steps, longer, recurring
from .suspects import wrong_weights

Array = NDArray[np.float64]

CLASSES = ("uniform", "smooth", "arbitrary")
DEEPEST = 7
WIDER = 3.0
WHERE = 0.35
# of the steps in the grid that is traced first
LENGTH = 0.03


@dataclass(frozen=True)
class GridAudit:
    """Orders on one class of grids.

    Args:
        order: global order of the sampler as it runs: own start, own end.
        exact: False when exact_start is a lower bound only; a smaller own_start is exact.
        exact_start: order with exact history and no special last steps.
        own_start: with its own start.
        own_end: with its own start and its own last steps; the same as `order`.
        leading: words of the repeated local error and their coefficients, in the clock.
        causes: what holds the order down.
        blurred: (word, size) below which a coefficient could not be told from zero.
        shares: how much a local error counts in `leading`, by the place of its step in the pattern
            of the grid; all one unless past states are carried on.
        past: Recursion.as_dict() where steps go on from past states, or None.
        limit: what a higher order would need, where nothing is wrong.
    """

    order: int
    exact: bool
    exact_start: int
    own_start: int
    own_end: int
    leading: tuple[tuple[str, float], ...]
    causes: tuple[Cause, ...]
    blurred: tuple[tuple[str, float], ...] = ()
    shares: tuple[float, ...] = (1.0,) * PERIOD
    past: dict[str, Any] | None = None
    limit: Cause | None = None


@dataclass(frozen=True)
class Audit:
    """Everything that one-hot tracing says about a sampler.

    Args:
        status: "ok", "nonlinear", "nonlocal" (weights depend on the whole grid), "random", or a
            ConductError kind.
        message: in words, when the status is not "ok".
        grids: class -> GridAudit; empty unless the status is "ok".
        calls_per_step: model calls per interval of the grid, away from start and end.
        form: prediction in which the sampler's weights are sparsest.
        linear: whether states are linear in start and outputs.
        noise: relative rounding met, 2e-15 for clean float64, about 1e-7 where a host casts.
        nodes: one line on where the model is called.
        tableau: weights of three steps of the middle for display, or None.
        after: calls at the same level that follow the one on the accepted state.
        notes: what a reader must know of how it was traced.
        amplitude: factor of start values and outputs at which it was traced.
        frozen: whether scalars that it derives from its model were frozen.
        snapped: relative distance of the levels told from those meant.
        once: steps that are rules of their own, each with the power of its local error.
        turn: such steps that come back, or None.
    """

    status: str
    message: str = ""
    grids: dict[str, GridAudit] = field(default_factory=dict)
    calls_per_step: float | None = None
    form: str | None = None
    linear: bool | None = None
    noise: float = EXACT_ARITHMETIC
    nodes: str = ""
    tableau: dict[str, Any] | None = None
    after: int = 0
    notes: tuple[str, ...] = ()
    amplitude: float = 1.0
    frozen: bool = False
    snapped: float = 0.0
    once: tuple[tuple[int, int], ...] = ()
    turn: Recurring | None = None

    def orders(self) -> dict[str, int | None]:
        """Order per class of grids, None where it could not be audited."""
        return {k: self.grids[k].order if k in self.grids else None for k in CLASSES}

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def audit(
    run: Run,
    *,
    classes: tuple[str, ...] = CLASSES,
    deepest: int = DEEPEST,
    form: str | None = None,
    seed: int = 0,
) -> Audit:
    """Audit one sampler.

    Args:
        run: run(denoiser, x, sigmas), scaling x = x0 + sigma eps.
        classes: grid classes to judge.
        deepest: largest weight of words; orders up to deepest - 1 are decided exactly.
        form: clock in which to read the tableau (data, noise, velocity); the sparsest if None.
        seed: 0, or a number that moves the place where grids shrink and the random channels.

    Returns:
        An Audit; misbehaviour of the sampler is its status, never an exception.
    """
    try:
        where = WHERE + (np.random.default_rng(seed).uniform(-0.4, 0.4) if seed else 0.0)
        return _audited(run, classes, deepest, form, float(where))
    except ConductError as error:
        return Audit(error.kind, str(error))
    except ANYTHING as error:
        return Audit("raises", f"{type(error).__name__}: {error}")


def _audited(
    run: Run, classes: tuple[str, ...], deepest: int, form: str | None, where: float
) -> Audit:
    sigmas = grids.local("arbitrary", STEPS, LENGTH, where)
    way = approach(run, sigmas)
    if not way.frozen and not way.refused and looks_at_outputs(way.run, sigmas, way.first):
        way = frozen(way.run, sigmas)
    run, tracer, first = way.run, way.tracer, way.first
    calls = first.made
    half = tracer(run, sigmas[: STEPS // 2 + 1]).made if way.frozen else None
    half = count_calls(run, sigmas[: STEPS // 2 + 1]) if half is None else half
    about = Audit(
        "ok",
        calls_per_step=(calls - half) / (STEPS - STEPS // 2),
        linear=not way.notes or bool(way.snapped),
        notes=way.notes,
        amplitude=way.amplitude,
        frozen=way.frozen,
        snapped=way.snapped,
    )
    if way.refused:
        return replace(about, status="nonlinear", message=way.refused, linear=False)
    roots = outgrown(run, tracer, first, where)
    if roots:
        return replace(about, nodes=on_grid(first), grids={k: _unstable(roots[k]) for k in classes})
    table = own_form(first)
    noise = rounding_of(
        first,
        table,
        lambda: tracer(
            run, grids.local("arbitrary", STEPS, LENGTH * (1 + NUDGE), where), calls=calls
        ),
    )
    about = replace(about, noise=noise, nodes=on_grid(first))
    ladder = steps_for(noise)
    traces = {
        kind: [tracer(run, grids.local(kind, STEPS, h, where), calls=calls) for h in ladder]
        for kind in classes
    }
    if 30 * noise > USED:
        table = own_form(first, 30 * noise)
    # one form for all classes: it is the sampler's, not the grid's
    clock = form or table.form
    after = accepted_after(next(iter(traces.values())), ladder, noise, table.form)
    about = replace(about, after=after)
    families = {kind: family_of(made, noise, clock, after) for kind, made in traces.items()}
    heed(families, STEPS)

    def expected(steps: int) -> int | None:
        # so many as the two runs above had, and as many more as the steps are
        made = calls + (steps - STEPS) * (calls - half) / (STEPS - STEPS // 2)
        return round(made) if made == round(made) else None

    traced = Tracing(run, tracer, clock, after, noise, where)
    gap = far_reach(run, clock, after, noise, where, tracer, expected)
    lone: tuple[tuple[int, int], ...] = ()
    turn: Recurring | None = None
    if gap is not None:
        turn = recurring(traced)
        if turn is None:
            lone = lone_steps(traced)
        else:
            gap = far_reach(run, clock, after, noise, where, tracer, period=turn.period)
        if gap is not None and not lone:
            told = _state_weight(families[classes[0]], ladder) or constants_missed(first)
            named = f"; {told}" if told else ""
            return replace(about, status="nonlocal", message=said(gap) + named)
    more = _more_steps(run, tracer, families, ladder, noise, after, where)
    found = _judged_all(families, more, ladder, noise, deepest)
    if any(_blurred(g, deepest) for g in found.values()):
        # in larger steps the same rounding hides less of high powers
        wide = ladder * WIDER
        grown = {
            kind: family_of(
                [tracer(run, grids.local(kind, STEPS, h, where), calls=calls) for h in wide],
                noise,
                families[kind][0].form,
                after,
            )
            for kind in classes
        }
        more = _more_steps(run, tracer, grown, wide, noise, after, where)
        again = _judged_all(grown, more, wide, noise, deepest)
        found = {kind: _clearer(g, again[kind], deepest) for kind, g in found.items()}
    least = min(g.exact_start for g in found.values())
    if gap is None and turn is None and "uniform" in classes and changes(families["uniform"][0]):
        turn = recurring(traced)
    if not lone and turn is None and least < 6:
        lone = lone_steps(traced, short=STEPS)
        if lone:
            families = {k: longer(traced, k, ladder) for k in classes}
            found = _judged_all(families, {k: [] for k in classes}, ladder, noise, deepest)
    found = {kind: counted_once(g, lone) for kind, g in found.items()}
    if turn is not None:
        found = {kind: counted_often(g, turn) for kind, g in found.items()}
    return replace(
        about,
        grids=found,
        form=clock,
        tableau=display(table, about.calls_per_step or 0.0),
        once=lone,
        turn=turn,
    )


def _unstable(root: float) -> GridAudit:
    """What is left of a rule whose weights grow from step to step: order 0, and the root."""
    past = {"even": False, "slope": None, "roots": [root], "growth": np.inf}
    return GridAudit(0, True, 0, 0, 0, (), (past_cause([root], np.inf, 0),), past=past)


def _state_weight(family: list[Tableau], h: Array) -> str:
    """That every step multiplies the state, or takes another multiple of the slope, in words.

    Either makes what a step leaves behind depend on the whole grid, whatever else it does.
    """
    rows = family[0].accepted
    low, high = rows[EXACT[0]], rows[EXACT[0] + 1]
    if not 0 <= low < high:
        return ""
    found = wrong_weights(family, h, low, high)
    if found.startswith("the weight of the state"):
        return f"every step: {found}"
    ratio = moment_ratio(family, h, low, high, 0)
    if abs(ratio - 1) > RIGHT:
        return f"every step: its weights sum to {ratio:.6g} of the step, and a constant needs 1"
    return ""


def _blurred(found: GridAudit, deepest: int) -> bool:
    """Whether rounding alone keeps the order from being known."""
    return not found.exact and found.exact_start < deepest


def _clearer(found: GridAudit, wide: GridAudit, deepest: int) -> GridAudit:
    """What larger steps show, where it goes on from what the usual ones have proved."""
    if not _blurred(found, deepest) or wide.exact_start < found.exact_start:
        return found
    return wide if wide.exact or wide.exact_start > found.exact_start else found


def counted_once(found: GridAudit, lone: tuple[tuple[int, int], ...]) -> GridAudit:
    """The orders with the steps that are rules of their own, whose errors count once."""
    for step, power in lone:
        if power >= found.exact_start:
            continue
        found = replace(
            found,
            order=min(found.order, power),
            own_end=min(found.own_end, power),
            own_start=min(found.own_start, power),
            causes=(*found.causes, once_cause(step, power)),
        )
    return found


def counted_often(found: GridAudit, turn: Recurring) -> GridAudit:
    """The orders with steps of their own that come back, whose errors add up."""
    step, power = min(turn.steps, key=lambda pair: pair[1])
    order = min(found.order, max(power - 1, 0))
    causes = [c for c in found.causes if c.caps <= order and c.kind not in ("start", "end")]
    if power - 1 <= found.exact_start:
        causes = [recurring_cause(step, power, turn.period)]
    return replace(
        found,
        order=order,
        exact=found.exact or order < found.exact_start,
        exact_start=min(found.exact_start, order),
        own_start=order,
        own_end=order,
        causes=tuple(causes),
    )


def _more_steps(
    run: Run,
    tracer: Tracer,
    families: dict[str, list[Tableau]],
    h: Array,
    noise: float,
    after: int,
    where: float,
) -> dict[str, list[list[Tableau]]]:
    """The same grids with more steps where these span several intervals, one for each remainder.

    What is left at the end of such a run depends on the number of steps.
    """
    turns = turns_of(next(iter(families.values()))[-1])
    out: dict[str, list[list[Tableau]]] = {kind: [] for kind in families}
    for more in range(1, turns):
        calls: int | None = None
        for kind, family in families.items():
            made = []
            for step in h:
                # the number of calls is that of the steps, as on the grids before: counted once
                made.append(tracer(run, grids.local(kind, STEPS + more, step, where), calls=calls))
                calls = made[-1].made
            out[kind].append(family_of(made, noise, family[0].form, after))
    return out


def _judged_all(
    families: dict[str, list[Tableau]],
    more: dict[str, list[list[Tableau]]],
    h: Array,
    noise: float,
    deepest: int,
) -> dict[str, GridAudit]:
    """Every class of grids, with causes that agree between them."""
    both = "uniform" in families and "arbitrary" in families
    frozen = both and is_frozen(families["arbitrary"], families["uniform"], EXACT[1])
    found = {
        kind: _judged(family, more[kind], h, noise, deepest, frozen)
        for kind, family in families.items()
    }
    causes = settled({kind: list(g.causes) for kind, g in found.items()})
    return {kind: replace(g, causes=tuple(causes[kind])) for kind, g in found.items()}


def _judged(
    family: list[Tableau],
    ends: list[list[Tableau]],
    h: Array,
    noise: float,
    deepest: int,
    frozen: bool,
) -> GridAudit:
    """One class of grids; `ends` are the same with more steps, where ends differ with their number."""
    reader = LocalErrors(family, h, noise, deepest)
    main, at = reader.main()
    start = reader.start(main.exponent)
    readers = [reader, *(LocalErrors(other, h, noise, deepest) for other in ends)]
    made = [(r.end(main.exponent, start.exponent), r) for r in readers]
    end, ending = min(made, key=lambda pair: pair[0].exponent)
    exact_start = max(main.exponent - 1, 0)
    own_start = min(exact_start, start.exponent)
    order = max(min(own_start, end.exponent), 0)
    past = reader.past
    if past is not None and past.growth:
        causes = [past_cause(past.roots, past.growth, exact_start)]
    else:
        causes = list(main_causes(family, h, main, at, frozen))
    if start.exponent < exact_start:
        causes.append(start_cause(family, h, start, reader.first_bad(start.exponent)))
    if end.exponent < exact_start:
        step = ending.last_bad(end.exponent)
        causes.append(end_cause(ending.family, h, end, step, len(made) > 1))
    return GridAudit(
        order,
        main.exact,
        exact_start,
        own_start,
        order,
        main.leading,
        tuple(causes),
        main.blurred,
        reader.shares,
        None if past is None else past.as_dict(),
        limit_cause(family, main, at),
    )
