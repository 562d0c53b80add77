"""Tables as they are published: decimals and long quotients satisfy order conditions up to a rounding.

Exactly, 0.1666667 in place of 1/6 violates the first condition, and the order is 0. What a user gets is
the order that the table was made for, until the error is as small as the rounding: here called the
order up to residuals, with each condition that is violated and by how much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import SupportsFloat, cast

from ...algebra.series import coefficient
from ...expr.arithmetic import fraction_of, walk
from ...program.step import Step
from ..expansion.grid import ARBITRARY, UNIFORM
from ..expansion.local_error import Case, local_error
from ..expansion.words import Word, reading_order, spell, weight
from ..verdict import Document
from .analysed import Analysed

DECIMAL = 10**5  # a decimal with such a denominator may be a rounded number
QUOTIENT = 10**9  # and so may another quotient with such a one
SHARE = 30  # residuals up to so many units of the last digit are taken for rounding


@dataclass(frozen=True)
class Rounded:
    """The order of a solver whose numbers are rounded.

    Args:
        order: reached up to the residuals, on any grid and with exact start.
        residuals: (exponent of h, word, size) of the conditions that are violated, the largest first.

    >>> print(Rounded(3, ((1, (0, ()), 1e-7),)))
    order 3 up to a residual of 1.0e-07: 1.0e-07 h D
    """

    order: int
    residuals: tuple[tuple[int, Word, float], ...]

    @property
    def largest(self) -> float:
        """The largest residual."""
        return self.residuals[0][2]

    def __str__(self) -> str:
        shown = [
            f"{size:.1e} h{f'^{power}' if power > 1 else ''} {spell(word)}"
            for power, word, size in self.residuals
        ]
        more = f" and {len(shown) - 4} smaller" if len(shown) > 4 else ""
        return (
            f"order {self.order} up to a residual of {self.largest:.1e}: "
            f"{', '.join(shown[:4])}{more}"
        )

    def json(self) -> Document:
        """``order``, ``residual`` and ``conditions``, each with ``h``, ``word`` and ``residual``."""
        return {
            "order": self.order,
            "residual": self.largest,
            "conditions": [
                {"h": power, "word": spell(word), "residual": size}
                for power, word, size in self.residuals
            ],
        }


def rounded(analysis: Analysed) -> Rounded | None:
    """The order up to residuals, or ``None`` where no condition is violated by a rounding alone."""
    bound = _bound(analysis.program.main)
    if bound is None:
        return None
    order, residuals = analysis.stop, dict[tuple[int, Word], float]()
    kinds = [UNIFORM] + [ARBITRARY] * analysis.program.main.uneven
    for case in (analysis.case(kind) for kind in kinds):
        reached, sizes = _reached(analysis, case, bound)
        order = min(order, reached)
        residuals |= {key: max(size, residuals.get(key, 0)) for key, size in sizes.items()}
    kept = [(power, word, size) for (power, word), size in residuals.items() if power <= order]
    kept.sort(key=lambda one: (-one[2], one[0], reading_order(one[1])))
    return Rounded(order, tuple(kept)) if kept and order else None


def _bound(step: Step) -> float | None:
    """How large a residual of rounding may be, by the digits of the numbers; ``None`` without long ones."""
    numbers = {
        fraction_of(node).denominator
        for expr in (*step.expressions, *(row.place.fraction for row in step.rows))
        for node in walk(expr)
        if node.is_Rational
    }
    long = [n for n in numbers if n >= (DECIMAL if _decimal(n) else QUOTIENT)]
    return SHARE / min(long) if long else None


def _decimal(denominator: int) -> bool:
    """Whether a denominator is a product of twos and fives."""
    return 10 ** denominator.bit_length() % denominator == 0


def _reached(
    analysis: Analysed, case: Case, bound: float
) -> tuple[int, dict[tuple[int, Word], float]]:
    """The order on a grid with small coefficients taken for zero, and those coefficients."""
    sizes: dict[tuple[int, Word], float] = {}
    for limit in range(1, analysis.stop + 1):
        for word, value in local_error(case, limit, analysis.predictor).items():
            size = abs(float(cast(SupportsFloat, coefficient(value, limit - weight(word)))))
            if size > bound:
                return limit - 1, sizes
            if size:
                sizes[limit, word] = size
    return analysis.stop, sizes
