"""Linear stability in the clock: the characteristic polynomial and the region, as data.

For dY/d(clock) = μ Y and z = μ·(clock step) a step is a linear map of the accepted value Y_n and of
the states P_n, P_{n−1}, … at which the model was evaluated. Their generating polynomial

    Σ_k p_k(z) ζ^k = 0

decides: the region of stability holds the z for which no root exceeds 1 in size. The weights are those
of the clock gauge in the limit h → 0 on a uniform grid (a plain Runge-Kutta or Adams method); exponential
weights differ from them by O(h).

Source: Hairer and Wanner, Solving ODEs II, V.1.
"""

from __future__ import annotations

from cmath import exp as cexp
from cmath import pi
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ...algebra.ring import Ring, SeriesRing
from ...algebra.scalar import Scalar
from ...algebra.series import Series, coefficient
from ...errors import OrderError
from ...program.model import Program
from ...program.row import Row, depth
from ..expansion.block_grid import in_blocks
from ..expansion.grid import uniform
from ..expansion.local_error import defaults
from ..expansion.symbol_values import StepValues

Polynomial = tuple[Fraction, ...]  # coefficients of z^0, z^1, …


@dataclass(frozen=True)
class Stability:
    """The characteristic polynomial of a main step in the clock.

    Args:
        characteristic: p_k(z) for the powers ζ^0, ζ^1, …; each is a tuple of coefficients of z^i.
    """

    characteristic: tuple[Polynomial, ...]

    def roots(self, z: complex) -> list[complex]:
        """The roots ζ at a value of z."""
        return polynomial_roots(
            [sum(complex(a) * z**i for i, a in enumerate(p)) for p in self.characteristic]
        )

    def radius(self, z: complex) -> float:
        """Size of the largest root: the step is stable where it is at most 1."""
        return max((abs(root) for root in self.roots(z)), default=0.0)

    def real_interval(self, far: float = 50.0) -> float:
        """The length of the stable interval on the negative real axis.

        Args:
            far: how far to look; returned when all of it is stable.
        """
        low, high = 0.0, None
        for step in range(1, 401):
            x = far * step / 400
            if self.radius(-x) > 1 + 1e-9:
                high = x
                break
            low = x
        if high is None:
            return far
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.radius(-middle) <= 1 + 1e-9 else (low, middle)
        return round(low, 6)

    def locus(self, points: int = 360) -> list[list[complex]]:
        """The boundary locus: for ζ = e^{iθ} all z that solve the polynomial, one list per θ."""
        degree = max(len(p) for p in self.characteristic)
        curves = []
        for i in range(points):
            zeta = cexp(2j * pi * i / points)
            line = [
                sum(
                    complex(p[j]) * zeta**k for k, p in enumerate(self.characteristic) if j < len(p)
                )
                for j in range(degree)
            ]
            curves.append(polynomial_roots(line))
        return curves

    def field(
        self, left: float, right: float, top: float, columns: int = 80, rows: int = 60
    ) -> list[list[float]]:
        """The radius on a grid of z from −top·i to top·i, one list per row, for a contour plot."""
        width, height = (right - left) / (columns - 1), 2 * top / (rows - 1)
        return [
            [self.radius(complex(left + width * i, height * j - top)) for i in range(columns)]
            for j in range(rows)
        ]


def stability(program: Program, parameters: Mapping[str, Fraction] | None = None) -> Stability:
    """The linear stability of a program's main step.

    Args:
        program: the solver.
        parameters: values that replace the defaults.

    Raises:
        OrderError: weights that have no limit as h → 0.
    """
    ring = SeriesRing(3)
    values = {**defaults(program), **(parameters or {})}
    grid, inner = in_blocks(program, uniform())
    step_values = StepValues(program.kappa, ring, grid, values, inner=inner)
    step = program.main
    if step.memory:
        raise OrderError(
            "combinations of evaluations are remembered, which need an unknown of their own; no stability "
            "polynomial"
        )
    known: dict[str, _State] = {"n": _State({("P", 0): (Fraction(1),)})}
    for k in range(1, step.history + 1):
        known[f"n-{k}"] = _State({("P", k): (Fraction(1),)})
    known |= {f"{name}-1": _State({(name, 1): (Fraction(1),)}) for name in step.recalls}
    for stage in step.stages:
        known[stage.name] = _row(step_values, stage, known)
    predicted = _row(step_values, step.final, known)
    if step.recalls:
        stages = {name: known[name] for name in step.recalls}
        return Stability(_with_stages(predicted, stages, step.history))
    if step.corrector is None:
        # Evaluations are made at accepted values: P and Y are one sequence.
        return Stability(_single(predicted, step.history))
    known["n+1"] = predicted
    return Stability(_coupled(predicted, _row(step_values, step.corrector, known), step.history))


class _State:
    """A state as a combination of Y_n, P_{n−k} and past stages with polynomial coefficients in z."""

    def __init__(self, parts: dict[tuple[str, int], Polynomial]) -> None:
        self.parts = parts

    def plus(self, other: _State, factor: Fraction, shift: int) -> _State:
        parts = dict(self.parts)
        for key, polynomial in other.parts.items():
            added = (Fraction(0),) * shift + tuple(factor * a for a in polynomial)
            parts[key] = _add(parts.get(key, ()), added)
        return _State(parts)


def _add(left: Polynomial, right: Polynomial) -> Polynomial:
    size = max(len(left), len(right))
    pad = [(*p, *(Fraction(0),) * (size - len(p))) for p in (left, right)]
    return tuple(a + b for a, b in zip(*pad, strict=True))


def _row(step_values: StepValues[Ring], row: Row, known: Mapping[str, _State]) -> _State:
    state = _State({("Y", 0): (Fraction(1),)})
    if row.carry:  # accepted states are where the model was evaluated: P and Y are one sequence
        values = step_values.at(0)
        state = _State({("Y", 0): (limit(values.expr(row.decay)),)})
        for term in row.carry:
            past = _State({("P", depth(term.source)): (Fraction(1),)})
            state = state.plus(past, limit(values.expr(term.weight)), 0)
    for source, weight in step_values.weights(row, 0):
        state = state.plus(known[source], limit(weight), 1)
    return state


def limit(weight: Scalar) -> Fraction:
    """The value of a weight as h tends to 0.

    Raises:
        OrderError: a pole, or an irrational limit.
    """
    value = coefficient(weight, 0)
    if (isinstance(weight, Series) and weight.low < 0) or not isinstance(value, Fraction | int):
        raise OrderError("a weight has no rational limit for small steps; no stability polynomial")
    return Fraction(value)


def _single(state: _State, history: int) -> tuple[Polynomial, ...]:
    """ζ^{H+1} − Σ a_k(z) ζ^{H−k} for Y_{n+1} = Σ a_k(z) Y_{n−k}."""
    total: list[Polynomial] = [(Fraction(0),)] * (history + 2)
    total[history + 1] = (Fraction(1),)
    for (_, k), polynomial in state.parts.items():
        total[history - k] = _add(total[history - k], tuple(-a for a in polynomial))
    return tuple(total)


def _with_stages(
    state: _State, stages: Mapping[str, _State], history: int
) -> tuple[Polynomial, ...]:
    """The determinant of the system of Y and the stages that the next step uses, as one in ζ.

    With Y_n = y ζ^n and M_n = m ζ^n for a stage, every equation is multiplied by ζ^H; the common
    power of ζ is dropped.
    """
    names = list(stages)
    matrix: list[list[list[Polynomial]]] = []
    for power, left in ((history + 1, state), *((history, stages[name]) for name in names)):
        row: list[list[Polynomial]] = [[()] * (history + 2) for _ in range(1 + len(names))]
        row[len(matrix)][power] = (Fraction(1),)
        for (name, k), polynomial in left.parts.items():
            column = 1 + names.index(name) if name in stages else 0
            taken = tuple(-a for a in polynomial)
            row[column][history - k] = _add(row[column][history - k], taken)
        matrix.append(row)
    total = _determinant(matrix)
    while not any(total[0]):
        total = total[1:]
    while not any(total[-1]):
        total = total[:-1]
    return tuple(total)


def _determinant(matrix: list[list[list[Polynomial]]]) -> list[Polynomial]:
    """The determinant of a matrix of polynomials in ζ, by its first row."""
    if not matrix:
        return [(Fraction(1),)]
    total: list[Polynomial] = []
    for column, entry in enumerate(matrix[0]):
        if not any(map(any, entry)):
            continue
        minor = _determinant([row[:column] + row[column + 1 :] for row in matrix[1:]])
        total += [()] * (len(entry) + len(minor) - 1 - len(total))
        for i, left in enumerate(entry):
            for j, right in enumerate(minor):
                product = _times(left, right)
                signed = tuple(-a for a in product) if column % 2 else product
                total[i + j] = _add(total[i + j], signed)
    return total


def _coupled(predicted: _State, corrected: _State, history: int) -> tuple[Polynomial, ...]:
    """The determinant of the system of P and Y, as a polynomial in ζ.

    P ζ^{H+1} = a Y ζ^H + b(ζ) P and Y ζ^{H+1} = c Y ζ^H + d(ζ) P, hence
    (ζ^{H+1} − b)(ζ − c) ζ^H − a ζ^H d = 0; the common power of ζ is dropped.
    """
    b, d = _shifts(predicted, history), _shifts(corrected, history)
    a, c = predicted.parts[("Y", 0)], corrected.parts[("Y", 0)]
    first = [tuple(-x for x in p) for p in b] + [(Fraction(1),)]
    total: list[Polynomial] = [(Fraction(0),)] * (history + 3)
    for k, polynomial in enumerate(first):
        total[k + 1] = _add(total[k + 1], polynomial)
        total[k] = _add(total[k], _times(polynomial, tuple(-x for x in c)))
    for k, polynomial in enumerate(d):
        total[k] = _add(total[k], tuple(-x for x in _times(a, polynomial)))
    return tuple(total)


def _shifts(state: _State, history: int) -> list[Polynomial]:
    return [state.parts.get(("P", history - k), (Fraction(0),)) for k in range(history + 1)]


def _times(left: Polynomial, right: Polynomial) -> Polynomial:
    total = [Fraction(0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            total[i + j] += a * b
    return tuple(total)


def polynomial_roots(coefficients: list[complex]) -> list[complex]:
    """All roots of a polynomial (lowest power first) by the Durand-Kerner iteration."""
    while coefficients and abs(coefficients[-1]) < 1e-14:
        coefficients = coefficients[:-1]
    zeros = 0
    while zeros < len(coefficients) - 1 and abs(coefficients[zeros]) < 1e-14:
        zeros += 1
    core = [value / coefficients[-1] for value in coefficients[zeros:]] if coefficients else []
    degree = len(core) - 1
    if degree < 1:
        return [0j] * zeros
    bound = 1 + max(abs(value) for value in core[:-1])
    roots = [bound * 0.7 * cexp(2j * pi * (i + 0.35) / degree) for i in range(degree)]
    for _ in range(200):
        change = 0.0
        for i, root in enumerate(roots):
            value: complex = 0
            for factor in reversed(core):
                value = value * root + factor
            for j, other in enumerate(roots):
                if j != i:
                    value /= root - other or 1e-30
            roots[i] = root - value
            change = max(change, abs(value))
        if change < 1e-14 * bound:
            break
    return roots + [0j] * zeros
