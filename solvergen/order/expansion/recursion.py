"""The word recursion: errors of states and expansions of evaluations, row by row.

A state at the offset c (in units of h from the base point) is exact + Σ_τ e(τ) h^{|τ|} τ; the
evaluation there is Σ_w n(w) h^{|w|−1} w with

    n(l; children) = c^l/l! Π_τ e(τ)^{μ_τ}/μ_τ!          (μ: multiplicities among the children)
    e(τ) = e^{−κ(c−b)h} e_base(τ) + Σ_j (w_j/h) n_j(τ) − [τ = D^(k)] Q_k(b, c)
    Q_k(b, c) = ∫_b^c e^{−κ(c−ξ)h} ξ^k/k! dξ = Σ_j b^{k−j}/(k−j)! (c−b)^{j+1} φ_{j+1}(−κ(c−b)h)

for a row from the offset b to c. A row that carries past states starts from each of them with its
share: e^{−κ(c−b)h} e_base − Q_k(b, c) becomes the sum of these over the states, b where each lies. The coefficients live in any `Ring`: power series for the
classical order, sums of exponentials for the stiff order. All words are kept about one base point,
so errors made at different steps add without re-basing.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import accumulate, repeat
from operator import mul

from ...algebra.ring import WordRing
from ...algebra.scalar import Scalar
from ...program.row import Row, depth
from ...program.step import Step
from .symbol_values import StepValues
from .words import Word, leaf, weight

Words = dict[Word, Scalar]


class Recursion:
    """Rows and steps of a program as maps between word expansions.

    Args:
        step_values: values of the weights.
        limit: words up to this weight are kept.
    """

    def __init__(self, step_values: StepValues[WordRing], limit: int) -> None:
        self.step_values, self.limit, self.ring = step_values, limit, step_values.ring
        self.integrals: dict[tuple[Scalar, Scalar], list[Scalar]] = {}
        self.powers: dict[Scalar, list[Scalar]] = {}

    def evaluation(self, error: Words, offset: Scalar) -> Words:
        """N at a state that deviates by `error` from the solution at `offset`."""
        products: list[tuple[tuple[Word, ...], int, Scalar]] = [((), 0, Fraction(1))]
        for word in sorted(error):
            size, value = weight(word), error[word]
            for children, total, product in tuple(products):
                power: Scalar = product
                for times in range(1, (self.limit - 1 - total) // size + 1):
                    kept = self.ring.trim(power * value / times, total + times * size + 1)
                    if kept is None:
                        break
                    power = kept
                    products.append((children + (word,) * times, total + times * size, power))
        shifts: list[Scalar] = [Fraction(1)]
        while len(shifts) < self.limit and offset:
            shifts.append(shifts[-1] * offset / len(shifts))
        found: Words = {}
        for children, total, product in products:
            for order, shift in enumerate(shifts[: self.limit - total]):
                found[(order, children)] = product * shift
        return found

    def row(self, row: Row, site: int, base: Words, known: Mapping[str, Words]) -> Words:
        """The error of a row's state.

        Args:
            row: the row.
            site: where its step starts.
            base: the error of the accepted state there.
            known: expansions of the evaluations it uses, by source.
        """
        step_values = self.step_values
        start, end = step_values.grid.position(site), step_values.place(row.place, site)
        total: Words = {}
        for origin, share, error in self.origins(row, site, start, base, known):
            z = (
                -step_values.linear * (end - origin) * self.ring.h
                if step_values.kappa
                else Fraction(0)
            )
            decay = share * self.ring.functions["exp"](z)
            _add(total, decay, error)
            for k, exact in enumerate(self.exact(origin, end - origin, z)):
                total[leaf(k)] = total.get(leaf(k), Fraction(0)) - share * exact
        for source, factor in step_values.weights(row, site):
            _add(total, factor, known[source])
        trimmed = {word: self.ring.trim(value, weight(word)) for word, value in total.items()}
        return {word: value for word, value in trimmed.items() if value is not None}

    def origins(
        self, row: Row, site: int, start: Scalar, base: Words, known: Mapping[str, Words]
    ) -> list[tuple[Scalar, Scalar, Words]]:
        """Offset, share and error of the accepted states that a row starts from."""
        if not row.carry:
            return [(start, Fraction(1), base)]
        step_values = self.step_values
        values = step_values.at(site)
        found = [(start, values.expr(row.decay), base)]
        for term in row.carry:
            offset = step_values.grid.position(site - depth(term.source))
            found.append((offset, values.expr(term.weight), known[term.source]))
        return found

    def exact(self, start: Scalar, length: Scalar, z: Scalar) -> list[Scalar]:
        """The integrals Q_k of the exact solution, k = 0 … limit − 1."""
        if (start, length) not in self.integrals:
            self.integrals[start, length] = self._integrals(start, length, z)
        return self.integrals[start, length]

    def _integrals(self, start: Scalar, length: Scalar, z: Scalar) -> list[Scalar]:
        if length not in self.powers:
            phi = self.ring.functions["phi"]
            powers = accumulate(repeat(length, self.limit), mul)
            self.powers[length] = [power * phi(j, z) for j, power in enumerate(powers, 1)]
        steps = self.powers[length]
        shifts: list[Scalar] = [Fraction(1)]
        while len(shifts) < self.limit and start:
            shifts.append(shifts[-1] * start / len(shifts))
        totals = []
        for k in range(self.limit):
            total: Scalar = Fraction(0)
            for j in range(max(0, k + 1 - len(shifts)), k + 1):
                total = total + shifts[k - j] * steps[j]
            totals.append(total)
        return totals

    def remembered(self, step: Step, site: int, known: Mapping[str, Words]) -> Words:
        """What takes the place of the evaluation at a site, from it and what is remembered."""
        values, total = self.step_values.at(site), dict[Word, Scalar]()
        for term in step.memory:
            _add(total, values.expr(term.weight), known[term.source])
        return {word: value for word, value in total.items() if value}

    def step(self, step: Step, site: int, base: Words, known: dict[str, Words]) -> Words:
        """The error at the end of a step, before any corrector; stages are added to `known`."""
        self.stages(step, site, base, known)
        return self.row(step.final, site, base, known)

    def stages(self, step: Step, site: int, base: Words, known: dict[str, Words]) -> None:
        """Add the evaluations at the stages of a step to those known."""
        for stage in step.stages:
            error = self.row(stage, site, base, known)
            offset = self.step_values.place(stage.place, site)
            known[stage.name] = self.evaluation(error, offset)

    def corrected(
        self, step: Step, site: int, base: Words, known: dict[str, Words], predicted: Words
    ) -> Words:
        """The error of the accepted value, given the error of the predicted one."""
        if step.corrector is None:
            return predicted
        known["n+1"] = self.evaluation(predicted, self.step_values.grid.position(site + 1))
        return self.row(step.corrector, site, base, known)


def _add(total: Words, factor: Scalar, words: Words) -> None:
    """Add so many times some words to a sum."""
    for word, value in words.items():
        term = factor * value
        total[word] = total[word] + term if word in total else term
