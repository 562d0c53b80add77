"""Rules that switch along the run: each way in which `between` and `min` may be decided is a rule of its own.

A switch is decided once a step, by levels or numbers of steps, so each step is one of finitely many kinds,
and each kind adds its own local errors. The order of the whole is at least the least of theirs: a run
whose levels all lie where a better kind is taken has that one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import mpmath
from sympy import Expr, Symbol

from ...errors import OrderError
from ...expr.arithmetic import (
    ONE,
    ZERO,
    children,
    function_name,
    function_names,
    rebuild,
    symbols,
    walk,
)
from ...expr.evaluation import evaluate
from ...expr.printing import show
from ...program.functions import ELEMENTARY, number
from ...program.model import Program
from ...program.row import Row
from ...program.step import Step
from ..expansion.grid import CLASSES
from ..verdict import Order
from .report import OrderReport
from .run_places import COUNTS

STEPS, STEP = Symbol("steps"), Symbol("i")
MANY, INSIDE = (10**6, 10**12), 0.37  # steps of two runs, and which share of them has gone by
MOST = 32  # kinds of steps that are looked at


@dataclass(frozen=True)
class Branch:
    """A solver with every switch decided.

    Args:
        program: the solver.
        decided: what was taken for each switch, as text.
    """

    program: Program
    decided: tuple[str, ...]


def switched(program: Program) -> bool:
    """Whether a weight switches along the run."""
    return next(_switches(program), None) is not None


def branches(program: Program) -> list[Branch]:
    """The solver with its switches decided in every way.

    Raises:
        OrderError: more ways than are looked at.
    """
    made = [Branch(program, ())]
    while any(switched(one.program) for one in made):
        made = [part for one in made for part in _decided(one)]
        if len(made) > MOST:
            raise OrderError(
                f"{program.name}: its weights switch in more than {MOST} ways (between, min), too many to "
                "derive an order for each; use fewer different switches"
            )
    return made


def _decided(one: Branch) -> Iterator[Branch]:
    """One more switch decided, either way."""
    switch = next(_switches(one.program), None)
    if switch is None:
        yield one
        return
    parts = children(switch)
    if function_name(switch) == "min":
        if not any(map(symbols, parts)):
            parts = (min(parts, key=lambda part: evaluate(part, {}, ELEMENTARY, number)),)
        limited = any(symbols(part).isdisjoint(COUNTS) for part in parts)
        for value in parts:
            said = f"{show(switch)} = {show(value)}"
            if limited and _grows(value):
                if symbols(value) == {STEPS.name}:  # order is about many steps
                    continue
                # the least in a few steps only, where it has a value of its own that does not grow
                value = Symbol(f"({show(value)})")
            yield Branch(_with(one.program, switch, value), (*one.decided, said))
        return
    low, value, high = parts
    if value == STEPS and low.is_Rational and high.is_Rational:  # order is about many steps
        said = f"{show(switch)} = 0"
        yield Branch(_with(one.program, switch, ZERO), (*one.decided, said))
        return
    for taken in (ONE, ZERO):
        said = f"{show(switch)} = {show(taken)}"
        yield Branch(_with(one.program, switch, taken), (*one.decided, said))


def bounded(program: Program) -> list[str]:
    """Symbols of a decided program that stay bounded as h tends to 0, though written with `i`.

    They are in brackets, as no name of a spec is.
    """
    return sorted(name for name in program.free_symbols() if name.startswith("("))


def _grows(value: Expr) -> bool:
    """Whether a number made of `steps` and `i` grows without end in a run of more and more steps."""
    if not symbols(value) <= set(COUNTS):
        return False
    try:
        few, many = (
            evaluate(value, {STEPS.name: n, STEP.name: n * INSIDE}, ELEMENTARY, number)
            for n in map(mpmath.mpf, MANY)
        )
    except (ZeroDivisionError, OverflowError):
        return False
    return bool(many > 100 * few > 0)


def _switches(program: Program) -> Iterator[Expr]:
    """The switches in weights, those inside others after them."""
    for step in program.steps:
        for row in step.rows:
            for expression in row.expressions:
                for node in walk(expression):
                    if function_name(node) in ("between", "min"):
                        yield node


def _with(program: Program, switch: Expr, value: Expr) -> Program:
    """The program with a value in place of a switch."""

    def change(expression: Expr) -> Expr:
        return rebuild(expression, lambda symbol: symbol, lambda e: value if e == switch else e)

    return mapped(program, change)


def mapped(program: Program, change: Callable[[Expr], Expr]) -> Program:
    """A deterministic program with every weight of its rows changed."""

    def row(old: Row) -> Row:
        return replace(
            old,
            terms=tuple(replace(term, weight=change(term.weight)) for term in old.terms),
            carry=tuple(replace(term, weight=change(term.weight)) for term in old.carry),
            decay=change(old.decay),
        )

    def step(old: Step) -> Step:
        return replace(
            old,
            stages=tuple(map(row, old.stages)),
            final=row(old.final),
            corrector=old.corrector and row(old.corrector),
        )

    return replace(
        program,
        main=step(program.main),
        start=tuple(map(step, program.start)),
        end=tuple(map(step, program.end)),
        embedded=program.embedded and row(program.embedded),
        remainder=tuple(tuple(map(step, rest)) for rest in program.remainder),
    )


def logarithmic(program: Program) -> bool:
    """Whether a weight holds a logarithm of something that does not vanish with h."""
    rows = (row for step in program.steps for row in step.rows)
    return any("log" in function_names(e) for row in rows for e in row.expressions)


def weakest(program: Program, ways: list[Branch], reports: list[OrderReport]) -> OrderReport:
    """The report of a solver that switches: in every mode the least order of its kinds of steps."""
    table: dict[str, dict[str, Order]] = {}
    for kind in CLASSES:
        table[kind] = {}
        for mode in reports[0].orders[kind]:
            found = [report.orders[kind][mode] for report in reports]
            least = min(found, key=lambda order: (order.value, order.exact))
            alike = all(order.value == least.value for order in found)
            # elsewhere in the run the order may be a higher one
            table[kind][mode] = Order(least.value, least.exact and alike)
    worst = min(reports, key=lambda report: (report.order.value, report.uniform.exponent))
    parts = tuple((way.decided, report.order) for way, report in zip(ways, reports, strict=True))
    return OrderReport(program, table, worst.analysis, parts)
