"""Stiff order: which errors vanish as functions of the step, not only as the step goes to zero.

With the linear part −κ taken as large, the coefficient of a word must vanish identically in z =
−κh. Coefficients live in the ring of sums of e^{ch} h^n over the rationals, where a sum is zero
only if every term is: exponentials with different c are independent over the rational functions of
h.

Source: Hochbruck and Ostermann, SIAM J. Numer. Anal. 43 (2005), section 4: order p if the conditions
of weight up to p − 1 hold identically (strong), and those of weight p with the outer weights at
z = 0 (weak).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import factorial

from sympy import Expr

from ...algebra.scalar import Scalar
from ...errors import OrderError
from ...expr.arithmetic import function_names, symbols
from ...expr.evaluation import left_sum
from ...program.model import Program
from ...program.row import FURTHER, Row
from ..expansion.block_grid import in_blocks
from ..expansion.grid import generic, uniform
from ..expansion.local_error import History, defaults
from ..expansion.recursion import Recursion, Words
from ..expansion.symbol_values import StepValues
from ..expansion.words import Word, weight


@dataclass(frozen=True)
class StiffOrder:
    """The stiff order in the strong and the weak sense, or why there is none.

    Args:
        strong, weak: the orders, ``None`` without them.
        violated: the words of the first weight that does not vanish identically.
        reason: why the orders are ``None``.
    """

    strong: int | None
    weak: int | None
    violated: tuple[Word, ...] = ()
    reason: str = ""


class ExpSum:
    """Σ v e^{ch} h^n as {(c, n): v}.

    >>> h = ExpSum({(Fraction(0), 1): Fraction(1)})
    >>> bool(phi(1, h) * h - exp(h) + 1)
    False
    """

    __slots__ = ("parts",)

    def __init__(self, parts: dict[tuple[Fraction, int], Fraction]) -> None:
        self.parts = {key: value for key, value in parts.items() if value}

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __add__(self, other: Scalar) -> ExpSum:
        parts = dict(self.parts)
        for key, value in _parts(other).items():
            parts[key] = parts.get(key, Fraction(0)) + value
        return ExpSum(parts)

    __radd__ = __add__

    def __neg__(self) -> ExpSum:
        return ExpSum({key: -value for key, value in self.parts.items()})

    def __sub__(self, other: Scalar) -> ExpSum:
        return self + (-other)

    def __rsub__(self, other: Scalar) -> ExpSum:
        return -self + other

    def __mul__(self, other: Scalar) -> ExpSum:
        parts: dict[tuple[Fraction, int], Fraction] = {}
        for (c, n), left in self.parts.items():
            for (d, m), right in _parts(other).items():
                key = (c + d, n + m)
                parts[key] = parts.get(key, Fraction(0)) + left * right
        return ExpSum(parts)

    __rmul__ = __mul__

    def reciprocal(self) -> ExpSum:
        """1 over a single term.

        Raises:
            OrderError: a sum, which has no inverse in this ring.
        """
        if len(self.parts) != 1:
            raise OrderError("weights divided by sums of exponentials: interpolation in a clock")
        ((c, n), value), *_ = self.parts.items()
        return ExpSum({(-c, -n): 1 / value})

    def __truediv__(self, other: Scalar) -> ExpSum:
        if isinstance(other, ExpSum):
            return self * other.reciprocal()
        return self * (Fraction(1) / other)

    def __rtruediv__(self, other: Scalar) -> ExpSum:
        return self.reciprocal() * other

    def __pow__(self, exponent: int) -> Scalar:
        base = self if exponent >= 0 else self.reciprocal()
        result = ExpSum({(Fraction(0), 0): Fraction(1)})
        for _ in range(abs(exponent)):
            result = result * base
        return result

    def at_zero(self) -> Fraction:
        """The value as h goes to 0 (poles must cancel, as they do in φ-functions)."""
        return sum(
            (v * c**-n / factorial(-n) for (c, n), v in self.parts.items() if n <= 0), Fraction(0)
        )


def _parts(value: Scalar) -> dict[tuple[Fraction, int], Fraction]:
    if isinstance(value, ExpSum):
        return value.parts
    if isinstance(value, int | Fraction):
        return {(Fraction(0), 0): Fraction(value)}
    raise OrderError("weights with irrational factors")


def _slope(z: Scalar) -> Fraction:
    """c of z = c h."""
    if not isinstance(z, ExpSum):
        if z:
            raise OrderError("functions of constants in the weights")
        return Fraction(0)
    if not z:
        return Fraction(0)
    if set(z.parts) != {(Fraction(0), 1)}:
        raise OrderError("functions of other arguments than multiples of h in the weights")
    return z.parts[Fraction(0), 1]


def exp(z: Scalar) -> ExpSum:
    """exp(c h)."""
    return ExpSum({(_slope(z), 0): Fraction(1)})


def expm1(z: Scalar) -> ExpSum:
    """exp(c h) − 1."""
    return exp(z) - 1


def phi(k: int, z: Scalar) -> Scalar:
    """φ_k(c h) = (e^{ch} − Σ_{i<k} (ch)^i/i!)/(ch)^k."""
    c = _slope(z)
    if not c:
        return Fraction(1, factorial(k))
    parts = {(Fraction(0), i - k): -(c ** (i - k)) / factorial(i) for i in range(k)}
    return ExpSum({**parts, (c, -k): c**-k})


def _refused(name: str, why: str = "not a sum of exponentials") -> Callable[..., Scalar]:
    def refuse(*_: Scalar) -> Scalar:
        raise OrderError(f"{name} in the weights or places: {why}")

    return refuse


class ExpRing:
    """Sums of e^{ch} h^n as the ring of an expansion; nothing is truncated."""

    def __init__(self) -> None:
        self.h = ExpSum({(Fraction(0), 1): Fraction(1)})
        self.end = 0  # never asked for: no further coordinate is expanded here
        self.functions: dict[str, Callable[..., Scalar]] = {
            "exp": exp,
            "expm1": expm1,
            "phi": phi,
            "log1p": _refused("log1p"),
            "sqrt": _refused("sqrt"),
            "integral": _refused("an integral", "write it in closed form, if it has one"),
            "riemann": left_sum,
        }

    def trim(self, value: Scalar, weight: int) -> Scalar | None:
        """The value, or ``None`` when it vanishes identically."""
        return value if value else None


class _OuterAtZero(StepValues[ExpRing]):
    """A setting whose accepted row has its weights at z = 0."""

    outer: int = 0

    def weights(self, row: Row, site: int) -> tuple[tuple[str, Scalar], ...]:
        pairs = super().weights(row, site)
        if id(row) != self.outer or site != 0:
            return pairs
        return tuple((s, w.at_zero() if isinstance(w, ExpSum) else w) for s, w in pairs)


def stiff_order(program: Program, classical: int) -> StiffOrder:
    """The stiff order of the main step with exact accepted values, on a generic grid.

    Args:
        program: the solver, its parameters at their defaults.
        classical: its classical order, which bounds the stiff one.
    """
    if program.kappa == 0:
        return StiffOrder(None, None, (), "velocity solvers have no linear part")
    rows = program.main.rows
    used = {s for row in rows for e in (row.place.fraction, *row.expressions) for s in _names(e)}
    if program.main.coordinate is not None and used & {*FURTHER, "eta"}:
        return StiffOrder(
            None, None, (), "weights or places depend on another coordinate than lambda"
        )
    try:
        for limit in range(1, classical + 2):
            errors = _errors(program, limit, False)
            violated = tuple(word for word in errors if weight(word) == limit)
            if violated:
                outer = _errors(program, limit, True)
                weak = limit if not any(weight(word) == limit for word in outer) else limit - 1
                return StiffOrder(limit - 1, weak, tuple(sorted(violated)))
    except OrderError as error:
        return StiffOrder(None, None, (), f"no φ-function weights: {error}")
    return StiffOrder(classical, classical)


def _names(weight_expr: Expr) -> set[str]:
    named = function_names(weight_expr) | symbols(weight_expr)
    return {name.rstrip("0123456789") for name in named}


def _errors(program: Program, limit: int, outer: bool) -> Words:
    fine = generic(1) if program.main.uneven else uniform()
    grid, inner = in_blocks(program, fine)
    setting = _OuterAtZero(program.kappa, ExpRing(), grid, defaults(program), inner=inner)
    recursion = _AtZero(setting, limit) if outer else Recursion(setting, limit)
    if outer:
        setting.outer = id(program.main.corrector or program.main.final)
    history = History(recursion, lambda _: program.main)
    level = 0
    if program.main.corrector:  # as in `local_error`: one step back costs one weight
        predicted = recursion if not outer else Recursion(setting, limit)
        first = History(predicted, lambda _: program.main).predicted(0, 0)
        level = limit - min(map(weight, first), default=limit)
    return history.accepted(0, level)


class _AtZero(Recursion):
    """A recursion whose accepted row at site 0 also has its exact integrals at z = 0."""

    def exact(self, start: Scalar, length: Scalar, z: Scalar) -> list[Scalar]:
        if not self._closing:
            return super().exact(start, length, z)
        return [Fraction(1, factorial(k + 1)) for k in range(self.limit)]

    _closing = False

    def row(self, row: Row, site: int, base: Words, known: Mapping[str, Words]) -> Words:
        setting = self.setting
        assert isinstance(setting, _OuterAtZero)
        self._closing = id(row) == setting.outer and site == 0
        try:
            return super().row(row, site, base, known)
        finally:
            self._closing = False
