"""Closed forms of the theory that the engine must reproduce on any grid."""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from random import Random

import pytest

from solvergen.derive import derive
from solvergen.order import analyse
from solvergen.order.expansion.grid import from_steps
from solvergen.order.expansion.local_error import Case, first_error, local_error, predictor_error
from solvergen.order.expansion.words import reading_order, spell, tree, weight, words
from solvergen.spec import parse_solver

from .oracle import from_tree


def integral(factors: list[tuple[Fraction, Fraction]]) -> Fraction:
    """∫_0^1 Π (a + b ξ) dξ."""
    polynomial = [Fraction(1)]
    for a, b in factors:
        longer = [Fraction(0)] * (len(polynomial) + 1)
        for i, value in enumerate(polynomial):
            longer[i] += a * value
            longer[i + 1] += b * value
        polynomial = longer
    return sum((value / (i + 1) for i, value in enumerate(polynomial)), Fraction(0))


def adams(steps: int, integrand: str, moulton: bool = False) -> str:
    text = f'name = "ab"\nintegrand = "{integrand}"\n[step]\nrule = "adams-bashforth"\nsteps = {steps}\n'
    if moulton:
        text += f'[corrector]\nmode = "PEC"\nrule = "adams-moulton"\nsteps = {steps + 1}\n'
    return text


def steps_of(seed: int) -> list[Fraction]:
    random = Random(seed)
    return [Fraction(random.randrange(1, 40), random.randrange(1, 40)) for _ in range(8)]


def offsets(sizes: list[Fraction], count: int) -> list[Fraction]:
    return [sum(sizes[:j], Fraction(0)) for j in range(count)]


def case(text: str, sizes: list[Fraction]) -> Case:
    grid = from_steps(lambda i: Fraction(1) if i >= 0 else sizes[-i - 1])
    return Case(derive(parse_solver(text)), lambda ring: grid, lambda ring: {})


@pytest.mark.parametrize("integrand", ["data", "noise"])
@pytest.mark.parametrize("q", [1, 2, 3, 4, 5])
def test_exponential_adams_bashforth(q: int, integrand: str) -> None:
    """One word: C_q = −1/q! ∫ Π (ξ + θ_j), for either κ."""
    sizes = steps_of(q)
    made = case(adams(q, integrand), sizes)
    found = first_error(lambda limit: predictor_error(made, limit))
    constant = -integral([(theta, Fraction(1)) for theta in offsets(sizes, q)]) / factorial(q)
    assert found is not None
    assert (found.exponent, dict(found.terms)) == (q + 1, {(q, ()): constant})


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_exponential_adams_moulton_at_predicted_values(q: int) -> None:
    """−1/(q+1)! ∫ Π (ξ + θ_j)(ξ − 1) and the predictors' constants, each at its own site."""
    sizes = steps_of(10 + q)
    made = case(adams(q, "data", moulton=True), sizes)
    predictor = first_error(lambda limit: predictor_error(made, limit))
    assert predictor is not None
    found = first_error(lambda limit: local_error(made, limit, int(predictor.exponent)))
    thetas = offsets(sizes, q)
    moulton = [(theta, Fraction(1)) for theta in thetas] + [(Fraction(-1), Fraction(1))]
    own = -integral(moulton) / factorial(q + 1)
    # Lagrange weights of the corrector at h = 0, times the predictor's error at each site.
    nodes = [Fraction(1)] + [-theta for theta in thetas]
    total = Fraction(0)
    for site, node in enumerate(nodes):
        others = [x for x in nodes if x != node]
        weight_ = integral([(-x, Fraction(1)) for x in others])
        for x in others:
            weight_ /= node - x
        step = ([Fraction(1)] + sizes)[site]  # the step that ended at this site
        past = [size / step for size in sizes[site:]]
        constant = integral([(theta, Fraction(1)) for theta in offsets(past, q)])
        total -= weight_ * step ** (q + 1) * constant / factorial(q)
    assert found is not None and found.exponent == q + 2
    assert dict(found.terms) == {(q + 1, ()): own, (0, ((q, ()),)): total}


@pytest.mark.parametrize(
    ("q", "bashforth", "moulton"),
    [(1, "-1/2", "1/12"), (2, "-5/12", "1/24"), (3, "-3/8", "19/720"), (4, "-251/720", "3/160")],
)
def test_classical_constants(q: int, bashforth: str, moulton: str) -> None:
    plain = analyse(derive(parse_solver(adams(q, "data")))).uniform
    corrected = analyse(derive(parse_solver(adams(q, "data", moulton=True)))).uniform
    assert dict(plain.terms) == {(q, ()): Fraction(bashforth)}
    assert dict(corrected.terms)[q + 1, ()] == Fraction(moulton)
    assert dict(corrected.terms)[0, ((q, ()),)] == Fraction(bashforth)


def test_three_nodes_in_the_clock_have_three_words() -> None:
    """ρAB3 for noise: −3/4 D' − 9/8 D'' − 3/8 D'''."""
    text = adams(3, "noise").replace(
        'integrand = "noise"', 'integrand = "noise"\ncoordinate = "clock"'
    )
    assert dict(analyse(derive(parse_solver(text))).uniform.terms) == {
        (1, ()): Fraction(-3, 4),
        (2, ()): Fraction(-9, 8),
        (3, ()): Fraction(-3, 8),
    }


def test_words_are_rooted_trees() -> None:
    """1, 2, 4, 9, 20, 48 words when constants are exact, and 1, 2, 5, 13, 37, 108 with the leaf D."""
    assert [len(words(w)) for w in range(1, 7)] == [1, 2, 5, 13, 37, 108]

    def without_d(word: object) -> bool:
        order, children = word  # type: ignore[misc]
        return bool(order or children) and all(map(without_d, children))

    assert [sum(map(without_d, words(w))) for w in range(2, 8)] == [1, 2, 4, 9, 20, 48]
    for word in words(5):
        assert weight(word) == 5 and from_tree(tree(word)) == word
    assert len({spell(word) for word in words(6)}) == 108
    assert min(words(3), key=reading_order) == (2, ())
