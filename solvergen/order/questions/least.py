"""The least leading constant among the parameter values that reach an order.

The constant is the norm √Σ coef² of the leading local error on a uniform grid (`LeadingError.norm`), a
function of what the order conditions leave free. With one free number its critical points are roots of a
polynomial and all of them are found; with several it is searched from many places inside the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf, isfinite, sqrt
from random import Random
from typing import TYPE_CHECKING

from ...expr.evaluation import evaluate
from ...program.model import Program
from ..expansion.local_error import Case, local_error
from ..expansion.words import weight

if TYPE_CHECKING:
    from sympy import Expr, Symbol

    Family = Mapping[Symbol, Expr]

STARTS = 24
SMALLEST = 1e-9  # of a search's steps, as a share of the range
NEAR = 1e-3  # how far from a bound that is excluded, as a share of the range
WIDE = 4  # how far from its default a number without a bound is looked for


@dataclass(frozen=True)
class Least:
    """Values with the least leading constant.

    Args:
        values: of every parameter: exact where it is rational, else a decimal.
        constant: the norm there, and `before` that at the defaults, where they reach the order.
        power: of h.
        every: whether all critical points were found; otherwise it is the least of many searches.
        edge: what lies at a bound that is not allowed itself; empty where the least value is inside.
    """

    values: Mapping[str, Fraction | float]
    constant: float
    power: int
    every: bool
    before: float | None = None
    edge: str = ""

    def __str__(self) -> str:
        at = ", ".join(
            f"{n} = {v}" if isinstance(v, Fraction) else f"{n} = {v:.12g}"
            for n, v in self.values.items()
        )
        said = f"least leading constant {self.constant:.6g} h^{self.power}"
        said += f" at {at}" if at else " for all of these values"
        said += "" if self.every else f" (the least of {STARTS} searches)"
        if self.before is not None:
            said += f"; {self.before:.6g} at the defaults"
        return f"{said}{'; ' if self.edge else ''}{self.edge}"


def least(program: Program, case: Case, order: int, families: Sequence[Family]) -> Least | None:
    """The least leading constant over the families of values that reach an order.

    Args:
        program: the solver.
        case: it on uniform grids, each parameter p the symbol ``p:0``.
        order: that the families reach.
        families: solutions of the order conditions.
    """
    coefficients = _coefficients(case, order)
    found = [one for family in families for one in _in_family(program, coefficients, family)]
    if not found:
        return None
    best = min(found, key=lambda one: one[0])
    constant, values, every, edge = best
    own = {f"{p.name}:0": p.default for p in program.parameters}
    reached = any(
        all(_float(key - value, own) == 0 for key, value in family.items() if str(key)[-2:] == ":0")
        for family in families
    )
    before = sqrt(_size(coefficients, own)) if reached else None
    return Least(values, sqrt(constant), order + 1, every, before, edge)


def _coefficients(case: Case, order: int) -> list[Expr]:
    """The coefficients of h^(order + 1) as rational functions."""
    from ...algebra.rational import canonical
    from ...algebra.series import coefficient

    errors = local_error(case, order + 1, order + 1)
    values = [coefficient(value, order + 1 - weight(word)) for word, value in errors.items()]
    expressions = []
    for quotient in canonical([value for value in values if value]):
        bottom = quotient.top.ring.one
        for factor in quotient.bottom:
            bottom = bottom * factor
        expressions.append(quotient.top.as_expr() / bottom.as_expr())
    return expressions


def _in_family(
    program: Program, coefficients: Sequence[Expr], family: Family
) -> Iterator[tuple[float, dict[str, Fraction | float], bool, str]]:
    """The least values of one family: the squared constant, where, and how sure."""
    from sympy import Integer, simplify

    limits = {key: value for key, value in family.items() if str(key).endswith(":0")}
    zero = {
        key: Integer(0) for c in coefficients for key in c.free_symbols if str(key)[-2:] != ":0"
    }
    parts = [c.subs(zero).subs(limits) for c in coefficients]
    total = sum((part**2 for part in parts), Integer(0))
    free = sorted(total.free_symbols, key=str)
    bounds = {p.name: (p.minimum, p.maximum, p.above, p.below) for p in program.parameters}

    def whole(point: Mapping[str, Fraction | float]) -> dict[str, Fraction | float] | None:
        """All values, or ``None`` where one is out of bounds."""
        values: dict[str, Fraction | float] = dict(point)
        for key, value in limits.items():
            found = value.subs(
                {s: point[_name(s)] for s in value.free_symbols if _name(s) in point}
            )
            if found.free_symbols or not found.is_finite or not found.is_real:
                return None
            exact = found.is_Rational
            values[_name(key)] = Fraction(int(found.p), int(found.q)) if exact else float(found)
        for p in program.parameters:
            if p.name in values and p.refusal(Fraction(values[p.name])):
                return None
        return values

    if not free:
        if (values := whole({})) is not None:
            yield float(total), values, True, ""
        return
    if len(free) == 1:
        yield from _on_a_line(simplify(total), free[0], bounds[_name(free[0])], whole)
    else:
        yield from _searched(total, free, bounds, whole)


def _on_a_line(total: Expr, s: Symbol, bound: tuple, whole) -> Iterator:  # type: ignore[no-untyped-def,type-arg]
    """All critical points of a function of one number, and its bounds."""
    from sympy import Poly, fraction, real_roots, together

    top = Poly(fraction(together(total.diff(s)))[0], s)
    roots = [] if top.degree() < 1 else real_roots(top)
    minimum, maximum, above, below = bound
    points = [Fraction(int(r.p), int(r.q)) if r.is_Rational else float(r.n(30)) for r in set(roots)]
    points += [edge for edge in (minimum, maximum) if edge is not None]
    found = []
    for point in points:
        values, size = whole({_name(s): point}), _float(total, {str(s): point})
        if values is not None and isfinite(size):
            found.append((size, values, True, ""))
    inside, (low, high) = min((one[0] for one in found), default=inf), _range(bound)
    for edge, inwards in ((above, 1), (below, -1)):
        size = inf if edge is None else _float(total, {str(s): edge})
        if edge is not None and size < inside:
            point = float(edge) + inwards * NEAR * (high - low)
            if (values := whole({_name(s): point})) is not None:
                said = (
                    f"it falls to {sqrt(size):.6g} towards {_name(s)} = {edge}, which is excluded"
                )
                found.append((_float(total, {str(s): point}), values, True, said))
    yield from found


def _searched(total: Expr, free: Sequence[Symbol], bounds: Mapping, whole) -> Iterator:  # type: ignore[no-untyped-def,type-arg]
    """Searches from many places, for several free numbers."""
    names, random = [_name(s) for s in free], Random(1)
    ranges = [_range(bounds[name]) for name in names]

    def value(point: Sequence[float]) -> float:
        try:
            at = dict(zip(map(str, free), point, strict=True))
            found = float(evaluate(total, at, {}, float))
        except (ZeroDivisionError, OverflowError):
            return 1e30
        return found if isfinite(found) else 1e30

    for _ in range(STARTS):
        start = [low + (high - low) * random.random() for low, high in ranges]
        lowest = _descended(value, start, ranges)
        point, edges = dict(zip(names, lowest, strict=True)), []
        for name, (low, high) in zip(names, ranges, strict=True):
            for bound, inwards in zip(bounds[name][2:], (1, -1), strict=True):
                if bound is not None and abs(point[name] - float(bound)) < NEAR * (high - low):
                    point[name] = float(bound) + inwards * NEAR * (high - low)
                    edges.append(f"{name} = {bound}")
        values = whole(point)
        if values is not None:
            said = f"it falls to {sqrt(value(lowest)):.6g} towards {', '.join(edges)}, which is excluded"
            yield value([point[n] for n in names]), values, False, said if edges else ""


def _descended(
    value: Callable[[Sequence[float]], float],
    point: list[float],
    ranges: Sequence[tuple[float, float]],
) -> list[float]:
    """A least value nearby: steps along the axes and along the last whole move, halved where none helps."""
    size, best = 0.25, value(point)
    while size > SMALLEST:
        before = list(point)
        for k, (low, high) in enumerate(ranges):
            for sign in (1, -1):
                tried = [*point]
                tried[k] = min(high, max(low, point[k] + sign * size * (high - low)))
                if (found := value(tried)) < best:
                    point, best = tried, found
                    break
        if point == before:
            size /= 2
            continue
        ahead = [
            min(high, max(low, 2 * p - q))
            for p, q, (low, high) in zip(point, before, ranges, strict=True)
        ]
        if (found := value(ahead)) < best:
            point, best = ahead, found
    return point


def _range(bound: tuple[Fraction | None, ...]) -> tuple[float, float]:
    """Where a number is looked for."""
    minimum, maximum, above, below = bound
    low = minimum if minimum is not None else above
    high = maximum if maximum is not None else below
    bottom = float(low) if low is not None else float(high if high is not None else WIDE / 2) - WIDE
    return bottom, float(high) if high is not None else bottom + WIDE


def _size(coefficients: Sequence[Expr], values: Mapping[str, Fraction]) -> float:
    return sum(_float(c, values) ** 2 for c in coefficients)


def _float(expression: Expr, values: Mapping[str, Fraction | float]) -> float:
    """The value at a point; infinite where it has none."""
    at = {s: _number(values.get(str(s), Fraction(0))) for s in expression.free_symbols}
    found = expression.subs(at)
    return float(found) if found.is_finite and found.is_real else inf


def _number(value: Fraction | float) -> Expr:
    from sympy import Float, Rational

    if isinstance(value, Fraction):
        return Rational(value.numerator, value.denominator)
    return Float(value, 30)


def _name(symbol: Symbol) -> str:
    return str(symbol).partition(":")[0]
