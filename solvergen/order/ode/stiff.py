"""Stiff order: which errors vanish as functions of the step, not only as the step goes to zero.

With the linear part −κ taken as large, the coefficient of a word must vanish identically in z =
−κh. Coefficients live in the ring of sums of e^{ch} h^n, see `algebra.exponentials`.

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

from ...algebra.exponentials import ExpSum, H, exp, expm1, phi
from ...algebra.scalar import Scalar
from ...errors import OrderError
from ...expr.arithmetic import function_names, symbols
from ...expr.evaluation import left_sum
from ...program.model import Program
from ...program.row import FURTHER, Row, coordinate_number
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


def _refused(name: str, why: str = "not a sum of exponentials") -> Callable[..., Scalar]:
    def refuse(*_: Scalar) -> Scalar:
        raise OrderError(f"{name} in the weights or places: {why}")

    return refuse


class ExpRing:
    """Sums of e^{ch} h^n as the ring of an expansion; nothing is truncated."""

    def __init__(self) -> None:
        self.h = H
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
    """Step values whose accepted row has its weights at z = 0."""

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
    if program.main.memory:
        return StiffOrder(
            None, None, (), "combinations of evaluations are remembered, of all steps before"
        )
    rows = program.main.rows
    used = {s for row in rows for e in (row.place.fraction, *row.expressions) for s in _names(e)}
    if any(name in FURTHER or coordinate_number(f"{name}1") for name in used):
        return StiffOrder(
            None, None, (), "weights or places depend on another coordinate than lambda"
        )
    try:
        # Without stages words are few, and one expansion holds those of every weight.
        for last in range(1 if program.main.stages else classical + 1, classical + 2):
            errors = _errors(program, last, False)
            if errors:
                limit = min(map(weight, errors))
                violated = tuple(word for word in errors if weight(word) == limit)
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
    known = defaults(program)
    step_values = _OuterAtZero(
        program.kappa, ExpRing(), grid, known, inner=inner, linear=program.linear_part(known)
    )
    recursion = _AtZero(step_values, limit) if outer else Recursion(step_values, limit)
    if outer:
        step_values.outer = id(program.main.corrector or program.main.final)
    history = History(recursion, lambda _: program.main)
    level = 0
    if program.main.corrector:  # as in `local_error`: one step back costs one weight
        predicted = recursion if not outer else Recursion(step_values, limit)
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
        step_values = self.step_values
        assert isinstance(step_values, _OuterAtZero)
        self._closing = id(row) == step_values.outer and site == 0
        try:
            return super().row(row, site, base, known)
        finally:
            self._closing = False
