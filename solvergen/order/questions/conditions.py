"""Order conditions for free parameters: which values reach an order, solved and not sampled.

Every parameter is written as p + p_1 h + p_2 h² + …, because a learned or fitted value need not be
constant: the answer says how fast it must approach its limit. All coefficients below h^{order+1} of
the leading words are polynomials in these unknowns, and must vanish for all step ratios.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ...algebra.ring import SeriesRing
from ...algebra.scalar import Scalar
from ...algebra.series import Series
from ...algebra.traced import symbol
from ...errors import OrderError
from ...program.model import Program
from ..expansion import grid as grids
from ..expansion.grid import ARBITRARY, SMOOTH, UNIFORM
from ..expansion.local_error import Case, defaults, local_error
from ..expansion.recursion import Words
from ..expansion.symbol_values import symbolic_coordinate
from ..ode.analyse import analyse
from ..ode.ends import StartRun, end_run, endings, start_case
from ..ode.run_places import before_end
from .least import Least, least

if TYPE_CHECKING:
    from sympy import Expr, Symbol
    from sympy.polys.rings import PolyElement

    Family = dict[Symbol, Expr]  # values of some unknowns, in terms of the others


@dataclass(frozen=True)
class Solution:
    """One family of parameter values.

    Args:
        values: what each parameter's limit must be; a parameter that may have any value is missing.
            Values are fractions, or strings in the other parameters.
        precision: the k of p = value + O(h^k) for every parameter that is fixed.
        limits: where the solver reaches less with these values: on other grids, with its own start.
    """

    values: Mapping[str, Fraction | str]
    precision: Mapping[str, int]
    limits: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = [
            f"{name} = {value}" + (f" + O(h^{k})" if (k := self.precision.get(name, 1)) > 1 else "")
            for name, value in self.values.items()
        ]
        return (", ".join(shown) or "any values") + "".join(f" ({limit})" for limit in self.limits)


@dataclass(frozen=True)
class Conditions:
    """The order conditions of a program's parameters.

    Args:
        order: the order that is asked for.
        parameters: names of the parameters.
        equations: polynomials that must vanish, as text; c₀, c₁, … are the coefficients of a
            parameter c = c₀ + c₁ h + …
        solutions: all families of values that satisfy them, within the parameters' bounds.
        impossible: whether an error term that no parameter changes rules the order out.
        grid: arbitrary, or uniform where no values reach the order on any grid.
        least: the values with the least leading constant, where they were asked for.
    """

    order: int
    parameters: tuple[str, ...]
    equations: tuple[str, ...]
    solutions: tuple[Solution, ...]
    impossible: bool = False
    grid: str = ARBITRARY
    least: Least | None = None

    def lines(self) -> list[str]:
        """The equations one a line, and what their symbols mean."""
        lines = []
        if self.impossible:
            lines.append("  an error term below this order does not depend on the parameters")
        lines += [f"  0 = {equation}" for equation in self.equations]
        shown = " ".join(self.equations)
        expanded = [n for n in self.parameters if re.search(rf"\b{n}[₀-₉]", shown)]
        if expanded:
            series = ", ".join(f"{name} = {name}₀ + {name}₁ h + …" for name in expanded)
            lines.append(f"  where {series}: a parameter may change with the step")
        if self.least is not None:
            lines.append(f"  {self.least}")
        return lines

    def __str__(self) -> str:
        if not self.solutions:
            return f"order {self.order}: no values"
        where = "" if self.grid == ARBITRARY else f" on {self.grid} grids"
        return f"order {self.order}{where}: " + "; or ".join(map(str, self.solutions))


def conditions(
    program: Program,
    order: int,
    names: Iterable[str] | None = None,
    grid: str | None = None,
    own: bool = False,
    minimise: bool = False,
) -> Conditions:
    """Solve the order conditions for a program's parameters.

    Args:
        program: a solver with parameters.
        order: the order that its main step shall have on any grid.
        names: the parameters to solve for; the others keep their defaults. All unless given.
        grid: uniform, smooth or arbitrary: where the order is asked for. On any grid unless given, and
            on uniform ones where no values reach it there.
        own: whether the solver's own first and last steps must reach the order as well.
        minimise: whether to look for the values with the least leading constant.

    Returns:
        Equations and all solutions within the declared bounds.

    Raises:
        OrderError: there are no such parameters, the expansion is too large, or the solver draws
            noise.
    """
    if program.stochastic:
        raise OrderError(
            f"{program.name} draws noise; order conditions are derived for solvers without it, and "
            "`solvergen explain SPEC` shows the orders of this one"
        )
    program = program.own or program
    chosen = tuple(names) if names is not None else tuple(p.name for p in program.parameters)
    known = defaults(program)
    if not known:
        raise OrderError(
            f"{program.name} has no parameters to solve for; write the weights in question as names with "
            "a [parameters.NAME] table each"
        )
    if not chosen:
        raise OrderError(f"{program.name}: name parameters to solve for: {', '.join(known)}")
    if strange := [name for name in chosen if name not in known]:
        raise OrderError(
            f"{program.name} has no parameter {', '.join(strange)}; it has {', '.join(known)}"
        )
    if grid is not None:
        return _conditions(program, order, chosen, grid, own, minimise)
    found = _conditions(program, order, chosen, ARBITRARY, own, minimise)
    if not found.solutions and program.main.uneven:
        uniform = _conditions(program, order, chosen, UNIFORM, own, minimise)
        found = uniform if uniform.solutions else found
    return found


def _conditions(
    program: Program,
    order: int,
    chosen: tuple[str, ...],
    grid: str,
    own: bool,
    minimise: bool,
) -> Conditions:
    """The conditions on one class of grids."""
    tops, bottoms, unknowns = _equations(program, order, chosen, grid, own)
    solutions = _solve(tops, unknowns)
    kept = [s for s in solutions if all(b.subs(s) != 0 for b in bottoms)]
    listed = [_described(program, chosen, solution) for solution in kept]
    unique = {str(s): s for s in listed if s is not None}.values()
    limited = tuple(replace(s, limits=_limits(program, order, s)) for s in unique)
    equations = tuple(_readable(str(top)) for top in tops if top.free_symbols)
    impossible = any(not top.free_symbols for top in tops)
    best = None
    if minimise and kept:
        best = least(program, _case(program, order, chosen, UNIFORM), order, kept)
    return Conditions(order, chosen, equations, limited, impossible, grid, best)


def _limits(program: Program, order: int, solution: Solution) -> tuple[str, ...]:
    """What keeps the order from a user who takes these values: start, end, or uneven grids."""
    fixed = {name: value for name, value in solution.values.items() if isinstance(value, Fraction)}
    report = analyse(program, fixed)
    exact = {kind: row["exact_start"].value for kind, row in report.orders.items()}
    said = []
    if exact[ARBITRARY] < order <= exact[UNIFORM]:
        smooth = (
            "on smooth grids too" if exact[SMOOTH] >= order else f"on smooth grids {exact[SMOOTH]}"
        )
        said.append(f"{smooth}, on any grid {exact[ARBITRARY]}")
    kind = next((k for k in (ARBITRARY, SMOOTH) if exact[k] >= order), UNIFORM)
    for mode, part in (("own_start", "start"), ("own_end", "end")):
        if (held := report.orders[kind][mode].value) < order:
            said.append(f"its own {part} holds it at {held}")
            break
    return tuple(said)


def _case(program: Program, order: int, chosen: tuple[str, ...], kind: str) -> Case:
    def parameters(ring: SeriesRing) -> dict[str, Scalar]:
        values: dict[str, Scalar] = dict(defaults(program))
        for i, name in enumerate(chosen):
            terms = []
            for k in range(order):
                points = tuple(grids.generic_ratio(79 + s, 10 * i + k) for s in (0, 11))
                terms.append(symbol(_unknown(name, k), points))
            values[name] = Series(0, terms, ring.end)
        return values

    spans = program.main.spans
    made: dict[str, Callable[[SeriesRing], grids.Grid]] = {
        UNIFORM: lambda ring: grids.uniform(),
        ARBITRARY: lambda ring: grids.symbolic(spans),
        SMOOTH: lambda ring: grids.smooth(grids.symbolic_jet, ring.x / spans, ring.end),
    }
    grid = made[kind if program.main.uneven else UNIFORM]
    return Case(program, grid, parameters, symbolic_coordinate)


def _readable(equation: str) -> str:
    """An equation with c₀ for c:0, powers raised and products side by side."""
    below, above = (str.maketrans("0123456789", digits) for digits in ("₀₁₂₃₄₅₆₇₈₉", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    equation = re.sub(r":(\d+)", lambda found: found[1].translate(below), equation)
    equation = re.sub(r"\*\*(\d+)", lambda found: found[1].translate(above), equation)
    return equation.replace("*", " ")


def _unknown(name: str, k: int) -> str:
    """The name of the k-th coefficient of a parameter; the colon keeps it apart from ratios."""
    return f"{name}:{k}"


def _equations(
    program: Program, order: int, chosen: tuple[str, ...], grid: str, own: bool
) -> tuple[list[Expr], list[Expr], list[Symbol]]:
    """Numerators that must vanish, denominators that must not, and the unknowns."""
    from ...algebra.rational import canonical

    case = _case(program, order, chosen, grid)
    errors = local_error(case, order, 1 if program.main.corrector else order)
    left = [errors, *(_edges(program, case, order) if own else [])]
    values = [
        t for words in left for value in words.values() for t in getattr(value, "terms", [value])
    ]
    tops: list[Expr] = []
    bottoms: list[Expr] = []
    unknowns: dict[Symbol, None] = {}
    for quotient in canonical([value for value in values if value]):
        mine = [s for s in quotient.top.ring.symbols if ":" in s.name]
        unknowns.update(dict.fromkeys(mine))
        tops += _in_ratios(quotient.top)
        bottoms += [factor.as_expr() for factor in quotient.bottom]
    return list(dict.fromkeys(tops)), bottoms, sorted(unknowns, key=lambda s: s.name)


def _edges(program: Program, case: Case, order: int) -> list[Words]:
    """What the solver's own first and last steps leave below h^order, which must vanish."""
    if program.shrink is not None:
        raise OrderError(
            f"{program.name}: its first step is shortened, so what it leaves is not a polynomial in the "
            "parameters; ask without --own"
        )
    found = []
    if order > 1 and program.start:
        opening = start_case(case)
        found.append(opening.expand(order - 1, lambda r: StartRun(r, program).run()))
    predictor = 1 if program.main.corrector else order
    for last in endings(program) if order > 1 else ():
        if last:
            closing = replace(before_end(case, len(last)), spans=tuple(s.spans for s in last))
            found.append(
                closing.expand(
                    order - 1,
                    lambda r, last=last: end_run(r, program, last, order - 1, predictor),  # type: ignore[misc]
                )
            )
    return found


def _in_ratios(top: PolyElement) -> list[Expr]:
    """The coefficients of a polynomial with respect to step ratios and jets."""
    mine = [i for i, s in enumerate(top.ring.symbols) if ":" in s.name]
    groups: dict[tuple[int, ...], dict[tuple[int, ...], object]] = {}
    for exponents, value in top.items():
        outer = tuple(0 if i in mine else e for i, e in enumerate(exponents))
        inner = tuple(e if i in mine else 0 for i, e in enumerate(exponents))
        groups.setdefault(outer, {})[inner] = value
    return [top.ring.from_dict(group).as_expr() for group in groups.values()]


def _solve(tops: list[Expr], unknowns: list[Symbol]) -> list[Family]:
    """All solutions, the limits p first and then one power of h after the other."""
    from sympy import expand, solve

    families: list[Family] = [{}]
    stages = sorted({int(s.name.partition(":")[2]) for s in unknowns})
    for stage in stages:
        later = {s for s in unknowns if int(s.name.partition(":")[2]) > stage}
        here = [s for s in unknowns if int(s.name.partition(":")[2]) == stage]
        longer = []
        for family in families:
            left = [expand(top.subs(family)) for top in tops]
            now = [e for e in left if e != 0 and not e.free_symbols & later]
            if any(not e.free_symbols for e in now):
                continue
            found = solve(now, here, dict=True) if now else [{}]
            longer += [_merged(family, extra) for extra in found]
        families = longer
    return [f for f in families if all(expand(top.subs(f)) == 0 for top in tops)]


def _merged(family: Family, extra: Family) -> Family:
    return {**{key: value.subs(extra) for key, value in family.items()}, **extra}


def _described(program: Program, chosen: tuple[str, ...], solution: Family) -> Solution | None:
    """A solution in the parameters' own names; ``None`` when it violates their bounds."""
    by_name = {key.name: value for key, value in solution.items()}
    values: dict[str, Fraction | str] = {}
    precision: dict[str, int] = {}
    bounds = {parameter.name: parameter for parameter in program.parameters}
    for name in chosen:
        limit = by_name.get(_unknown(name, 0))
        if limit is None:
            continue
        if limit.is_Rational:
            exact = Fraction(int(limit.p), int(limit.q))
            if bounds[name].refusal(exact):
                return None
            values[name] = exact
        elif limit.is_real is False:
            return None
        else:
            values[name] = str(limit).replace(":0", "")
        k = 1
        while by_name.get(_unknown(name, k)) == 0:
            k += 1
        precision[name] = k
    return Solution(values, precision)
