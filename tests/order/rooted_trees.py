"""A second route to the local error: rooted trees in the clock, sharing nothing with the words.

In its clock ρ a solver is a plain method for dY/dρ = f(ρ, Y), so ordinary rooted trees suffice; the
price is that all weights are series in h and trees of every size contribute to the leading term.
The result is compared on a scalar test equation with random rational jets, where both routes must
give the same rational number. Coefficient arithmetic, tree sums and elementary differentials are
this file's own.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import factorial
from typing import Any

from solvergen.expr.evaluation import evaluate
from solvergen.program.model import Program
from solvergen.program.row import Row

Tree = tuple[Any, ...]  # the multiset of subtrees at the root, sorted


@cache
def trees(nodes: int) -> tuple[Tree, ...]:
    """Rooted trees by grafting: one new node anywhere on a smaller tree."""
    if nodes == 1:
        return ((),)
    return tuple(sorted({grown for small in trees(nodes - 1) for grown in _graft(small)}))


def _graft(tree: Tree) -> list[Tree]:
    found = [tuple(sorted((*tree, ())))]
    for i, child in enumerate(tree):
        for grown in _graft(child):
            found.append(tuple(sorted((*tree[:i], grown, *tree[i + 1 :]))))
    return found


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    """γ: the product of the sizes of all subtrees."""
    result = size(tree)
    for child in tree:
        result *= density(child)
    return result


def symmetry(tree: Tree) -> int:
    """σ: the order of the symmetry group."""
    result = 1
    for child in set(tree):
        result *= factorial(tree.count(child)) * symmetry(child) ** tree.count(child)
    return result


class Poly:
    """A Laurent polynomial in h, cut at a fixed power: {power: coefficient}."""

    CUT = 8

    def __init__(self, parts: dict[int, Fraction]) -> None:
        self.parts = {p: Fraction(c) for p, c in parts.items() if c and p <= self.CUT}

    @staticmethod
    def of(value: Any) -> Poly:
        return value if isinstance(value, Poly) else Poly({0: Fraction(value)})

    def __add__(self, other: Any) -> Poly:
        parts = dict(self.parts)
        for p, c in Poly.of(other).parts.items():
            parts[p] = parts.get(p, Fraction(0)) + c
        return Poly(parts)

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly({p: -c for p, c in self.parts.items()})

    def __sub__(self, other: Any) -> Poly:
        return self + (-Poly.of(other))

    def __rsub__(self, other: Any) -> Poly:
        return Poly.of(other) - self

    def __mul__(self, other: Any) -> Poly:
        parts: dict[int, Fraction] = {}
        for p, c in self.parts.items():
            for q, d in Poly.of(other).parts.items():
                parts[p + q] = parts.get(p + q, Fraction(0)) + c * d
        return Poly(parts)

    __rmul__ = __mul__

    def inverse(self) -> Poly:
        low = min(self.parts)
        lead = self.parts[low]
        rest = Poly({p - low: -c / lead for p, c in self.parts.items() if p != low})
        total, term = Poly({0: Fraction(1)}), Poly({0: Fraction(1)})
        while term.parts:
            term = term * rest
            total = total + term
        return Poly({p - low: c / lead for p, c in total.parts.items()})

    def __truediv__(self, other: Any) -> Poly:
        return self * Poly.of(other).inverse()

    def __rtruediv__(self, other: Any) -> Poly:
        return Poly.of(other) * self.inverse()

    def __pow__(self, exponent: int) -> Poly:
        base = self if exponent >= 0 else self.inverse()
        result = Poly({0: Fraction(1)})
        for _ in range(abs(exponent)):
            result = result * base
        return result


def _sum(first: int, coefficient: Callable[[int], Fraction], z: Any) -> Poly:
    z = Poly.of(z)
    total, power = Poly({}), z**first
    for m in range(first, Poly.CUT + 1):
        total = total + power * coefficient(m)
        power = power * z
    return total


def exp(z: Any) -> Poly:
    return _sum(0, lambda m: Fraction(1, factorial(m)), z)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": exp,
    "expm1": lambda z: _sum(1, lambda m: Fraction(1, factorial(m)), z),
    "log1p": lambda z: _sum(1, lambda m: Fraction((-1) ** (m + 1), m), z),
    "phi": lambda k, z: _sum(0, lambda m: Fraction(1, factorial(m + k)), z),
}


class ClockRoute:
    """The local error of a program's main step as coefficients of rooted trees.

    Args:
        program: a data or noise solver.
        sizes: steps before the current one in units of it, newest first.
        nodes: trees up to this many nodes.
    """

    def __init__(self, program: Program, sizes: list[Fraction], nodes: int) -> None:
        self.program, self.kappa, self.nodes = program, program.kappa, nodes
        self.sites = {0: Fraction(0), 1: Fraction(1)}
        for k, step in enumerate(sizes, 1):
            self.sites[-k] = self.sites[1 - k] - step
        self.defaults = {p.name: p.default for p in program.parameters}

    def clock(self, lam: Any) -> Poly:
        """Clock at an offset in λ (units of the step), clock 0 at the base, slope κ."""
        return FUNCTIONS["expm1"](self.kappa * Poly({1: Fraction(1)}) * lam)

    def exact(self, offset: Poly) -> dict[Tree, Poly]:
        """Weights of the exact solution: offset^{|τ|}/γ(τ)."""
        return {
            tree: offset ** size(tree) * Fraction(1, density(tree))
            for n in range(1, self.nodes + 1)
            for tree in trees(n)
        }

    def slope(self, state: dict[Tree, Poly], tree: Tree) -> Poly:
        """Weight of f at a state: the product over the subtrees at the root."""
        result = Poly({0: Fraction(1)})
        for child in tree:
            result = result * state[child]
        return result

    def symbols(self, site: int) -> dict[str, Any]:
        here, size_ = self.sites[site], self.sites[site + 1] - self.sites[site]
        values: dict[str, Any] = {"h": Poly({1: size_}), **self.defaults}
        step = self.clock(self.sites[site + 1]) - self.clock(here)
        for k in range(1, 12):
            if site - k in self.sites:
                values[f"theta{k}"] = (here - self.sites[site - k]) / size_
                values[f"Theta{k}"] = (self.clock(here) - self.clock(self.sites[site - k])) / step
        return values

    def row(self, row: Row, site: int, known: dict[str, dict[Tree, Poly]]) -> dict[Tree, Poly]:
        values = self.symbols(site)
        here, width = self.sites[site], self.sites[site + 1] - self.sites[site]

        def number(expr: Any) -> Poly:
            return Poly.of(evaluate(expr, values, FUNCTIONS, lambda exact: exact))

        place = here + number(row.place.lam(self.kappa)) * width
        # One u unit at the place is e^{κ place} units of Y.
        unit = exp(self.kappa * Poly({1: Fraction(1)}) * place)
        total = self.exact(self.clock(here))
        for source, weight in row.u_weights(self.kappa):
            factor = number(weight) * unit * self.kappa  # dY/dclock = f, dY/dλ = κ clock f
            for tree in total:
                total[tree] = total[tree] + factor * self.slope(known[source], tree)
        return total

    def evaluation(self, site: int, level: int) -> dict[Tree, Poly]:
        """The state that is evaluated at a site: exact, or predicted in PEC."""
        if self.program.main.corrector is None or not level:
            return self.exact(self.clock(self.sites[site]))
        return self.step(site - 1, level - 1)[0]

    def step(self, site: int, level: int) -> tuple[dict[Tree, Poly], dict[Tree, Poly]]:
        main = self.program.main
        known = {f"n-{k}": self.evaluation(site - k, level) for k in range(1, main.history + 1)}
        known["n"] = self.evaluation(site, level)
        for stage in main.stages:
            known[stage.name] = self.row(stage, site, known)
        predicted = self.row(main.final, site, known)
        if main.corrector is None:
            return predicted, predicted
        known["n+1"] = predicted
        return predicted, self.row(main.corrector, site, known)

    def error(self, level: int) -> dict[Tree, Poly]:
        """Numerical minus exact after one step."""
        after, exact = self.step(0, level)[1], self.exact(self.clock(Fraction(1)))
        return {tree: after[tree] - exact[tree] for tree in after}


def order_of(error: dict[Tree, Poly]) -> int:
    """The order: least power of h in the error, minus one."""
    return min(min(value.parts) for value in error.values() if value.parts) - 1


# -- a scalar test equation with random jets ------------------------------------------------------


class TestEquation:
    """u' = −κu + N(λ, u) with N = Σ n_ij λ^i (u − u_0)^j/(i! j!) at λ_n = 0, exactly.

    In the clock: λ = κ log(1 + κ-scaled clock), Y = u e^{κλ}, f = κ-free right-hand side.
    """

    __test__ = False

    def __init__(self, kappa: int, jets: dict[tuple[int, int], Fraction], start: Fraction) -> None:
        self.kappa, self.jets, self.start = kappa, jets, start

    def of_tree(self, tree: Tree, field: dict[tuple[int, int], Fraction]) -> tuple[Any, Any]:
        """Elementary differential of the augmented system (clock, Y)' = (1, f), both components."""
        if not tree:
            return Fraction(1), field.get((0, 0), Fraction(0))
        parts = [self.of_tree(child, field) for child in tree]
        total = Fraction(0)
        for choice in range(2 ** len(parts)):
            bits = [(choice >> i) & 1 for i in range(len(parts))]
            term = field.get((bits.count(0), bits.count(1)), Fraction(0))
            for bit, part in zip(bits, parts, strict=True):
                term *= part[bit]
            total += term
        return Fraction(0), total

    def clock_field(self, degree: int) -> dict[tuple[int, int], Fraction]:
        """Derivatives of f(clock, Y) at the start, where the clock is shifted and scaled to κ(e^{κλ}−1).

        With s = e^{κλ} − 1: λ = κ log(1 + s), Y = u e^{κλ} = u (1 + s), and
        dY/dλ = e^{κλ} N, ds/dλ = κ e^{κλ}, so dY/ds = κ N(λ(s), Y/(1 + s)).
        """
        lam = [Fraction(0)] + [
            self.kappa * Fraction((-1) ** (m + 1), m) for m in range(1, degree + 1)
        ]
        inverse = [Fraction((-1) ** m) for m in range(degree + 1)]
        # u − u0 = (u0 + y)/(1 + s) − u0 as a polynomial in s and y = Y − u0.
        du: dict[tuple[int, int], Fraction] = {}
        for m in range(1, degree + 1):
            du[m, 0] = self.start * inverse[m]
        for m in range(degree + 1):
            du[m, 1] = inverse[m]
        total: dict[tuple[int, int], Fraction] = {}
        for (i, j), jet in self.jets.items():
            piece = {(0, 0): jet * self.kappa / factorial(i) / factorial(j)}
            for _ in range(i):
                piece = _multiply(piece, {(m, 0): c for m, c in enumerate(lam) if c}, degree)
            for _ in range(j):
                piece = _multiply(piece, du, degree)
            for key, value in piece.items():
                total[key] = total.get(key, Fraction(0)) + value
        return {(a, b): c * factorial(a) * factorial(b) for (a, b), c in total.items()}

    def solution(self, degree: int) -> list[Fraction]:
        """Taylor coefficients of u − u0 in λ."""
        u = [Fraction(0)] * (degree + 1)
        for n in range(degree):
            rate = self._along(u, 0, degree)[n] - self.kappa * (
                u[n] + (self.start if n == 0 else 0)
            )
            u[n + 1] = rate / (n + 1)
        return u

    def _along(self, u: list[Fraction], m: int, degree: int) -> list[Fraction]:
        """Taylor coefficients in λ of ∂^m N/∂u^m along the solution."""
        total = [Fraction(0)] * (degree + 1)
        for (i, j), jet in self.jets.items():
            if j < m:
                continue
            piece = [Fraction(0)] * (degree + 1)
            if i <= degree:
                piece[i] = jet / factorial(i) / factorial(j - m)
            for _ in range(j - m):
                piece = [
                    sum((piece[a] * u[n - a] for a in range(n + 1)), Fraction(0))
                    for n in range(degree + 1)
                ]
            total = [a + b for a, b in zip(total, piece, strict=True)]
        return total

    def of_word(self, word: Any, degree: int) -> Fraction:
        """The value of a word at the start."""
        order, children = word
        u = self.solution(degree)
        value = self._along(u, len(children), degree)[order] * factorial(order)
        for child in children:
            value *= self.of_word(child, degree)
        return value


def _multiply(
    left: dict[tuple[int, int], Fraction], right: dict[tuple[int, int], Fraction], degree: int
) -> dict[tuple[int, int], Fraction]:
    found: dict[tuple[int, int], Fraction] = {}
    for (a, b), x in left.items():
        for (c, d), y in right.items():
            if a + b + c + d <= degree:
                found[a + c, b + d] = found.get((a + c, b + d), Fraction(0)) + x * y
    return found
