"""What a solver remembers of its evaluations: exact factors on the newest one and on what came before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sympy import Expr, Symbol

from ..errors import DeriveError
from ..expr.arithmetic import (
    ONE,
    ZERO,
    add,
    divide,
    function_names,
    multiply,
    substitute,
    subtract,
    symbols,
)
from ..program.consistency import is_one
from ..program.row import Term, coordinate_number, depth
from ..program.step import Step
from ..spec.model import Memory, Rule, Solver
from .context import Context
from .weights.coordinates import Coordinate
from .weights.explicit import meanings

_OF_THE_RUN = {"remaining", "sigma", "sigma_next", "steps", "i"}


def remembered(memory: Memory, context: Context) -> tuple[Term, ...]:
    """The factors of a memory, in its coordinate.

    Raises:
        DeriveError: evaluations that are not at grid points, or factors that do not sum to 1.
    """
    rule = _as_rule(memory)
    coordinate = context.resolve(rule)
    sources = tuple(memory.nodes) or tuple(source for source, _ in memory.weights)
    key = "nodes" if memory.nodes else "weights"
    for source in sources:
        if source != "n" and not source.startswith("n-"):
            raise DeriveError(
                f"`{source}` is not remembered: a memory combines n, n-1, n-2, …",
                (*memory.where, key),
            )
    if "n" not in sources:
        raise DeriveError(
            "a memory without `n` never takes a new evaluation in; add it", (*memory.where, key)
        )
    values = meanings(rule, coordinate, context)
    try:
        if memory.nodes:
            weights = _read(memory, coordinate)
        else:
            weights = [substitute(weight, values) for _, weight in memory.weights]
    except ZeroDivisionError:
        raise DeriveError("a factor divides by zero", (*memory.where, key)) from None
    terms = tuple(
        Term(source, weight)
        for source, weight in zip(sources, weights, strict=True)
        if weight != ZERO
    )
    _check(memory, terms, context)
    if sources == ("n",):
        raise DeriveError(
            "this memory keeps every evaluation as it comes, as a solver without one does; name an older node "
            "too, or remove [memory]",
            (*memory.where, key),
        )
    return terms


def remembering(
    step: Step, terms: tuple[Term, ...], known: Sequence[Expr], age: int | None = None
) -> Step:
    """A step that remembers, where as many evaluations exist.

    Args:
        step: as it is without.
        terms: the factors; none where evaluations are remembered as they are.
        known: the further coordinates of the solver.
        age: how many evaluations exist before; as many as are asked for unless given.
    """
    oldest = max((depth(term.source) for term in terms), default=0)
    if not terms or step.memory or (age is not None and age < oldest):
        return step
    numbers = [coordinate_number(name) for term in terms for name in symbols(term.weight)]
    coordinates = max(step.coordinates, tuple(known[: max(numbers, default=0)]), key=len)
    label = f"{step.label}, with memory"
    return replace(step, memory=terms, label=label, coordinates=coordinates)


def check_memory(solver: Solver) -> None:
    """Refuse what a memory has no place for.

    Raises:
        DeriveError: naming what to remove.
    """
    if solver.memory is None:
        return
    others = {
        "[langevin]": solver.langevin,
        "`linear`": solver.linear is not None,
        "`spans`": solver.spans > 1,
        "sweeps": solver.sweeps,
        "`first`, the first output without a call,": solver.start.first,
    }
    for name, given in others.items():
        if given:
            raise DeriveError(
                f"[memory] and {name} cannot be combined; remove one of them", solver.memory.where
            )


def _as_rule(memory: Memory) -> Rule:
    """What coordinates and step ratios are resolved for."""
    return Rule("interpolate", memory.nodes, memory.coordinate, where=memory.where)


def _read(memory: Memory, coordinate: Coordinate) -> list[Expr]:
    """The polynomial through the nodes, read at a fraction of the last interval."""
    if len(set(memory.nodes)) < len(memory.nodes):
        raise DeriveError(
            "two nodes coincide; an interpolant needs distinct ones", (*memory.where, "nodes")
        )
    assert memory.at is not None
    past = [Symbol(f"{coordinate.offsets}{k}") for k in range(1, 1 + max(map(depth, memory.nodes)))]

    def way(node: str, other: str) -> Expr:
        """From one node to another; 0 is the newest."""
        ends = [past[depth(name) - 1] if depth(name) else ZERO for name in (node, other)]
        return subtract(*ends)

    def ahead(node: str) -> Expr:
        """From a node to where the polynomial is read."""
        if depth(node) == 1:
            return multiply(memory.at, past[0])
        below = multiply(subtract(memory.at, ONE), past[0])
        return add(below, past[depth(node) - 1]) if depth(node) else below

    found = []
    for node in memory.nodes:
        others = [other for other in memory.nodes if other != node]
        above = [ahead(other) for other in others]
        found.append(
            divide(multiply(*above), multiply(*(way(o, node) for o in others))) if others else ONE
        )
    return found


def _check(memory: Memory, terms: tuple[Term, ...], context: Context) -> None:
    where = (*memory.where, "at" if memory.nodes else "weights")
    used = {name for term in terms for name in symbols(term.weight)}
    if run := used & _OF_THE_RUN:
        raise DeriveError(
            f"the factors of a memory depend on the grid nearby, not on the run: `{min(run)}`",
            where,
        )
    called = {name for term in terms for name in function_names(term.weight)}
    if switching := called & {"between", "min", "log", "integral", "riemann"}:
        raise DeriveError(
            f"the factors of a memory have one form in all steps, without `{min(switching)}`", where
        )
    defaults = {p.name: p.default for p in context.parameters}
    total = add(*(term.weight for term in terms))
    if not is_one(total, defaults):
        raise DeriveError(
            "the factors of a memory must sum to 1, or a constant is not remembered as it is", where
        )
