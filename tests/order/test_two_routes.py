"""Words in λ and rooted trees in the clock give the same order and the same constants."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sympy import Expr, Symbol

from solvergen.derive import derive
from solvergen.expr.functions import lift, phi
from solvergen.order.expansion.grid import from_steps
from solvergen.order.expansion.local_error import Case, first_error, local_error, predictor_error
from solvergen.program.model import Program
from solvergen.program.row import Place, Row, Term
from solvergen.program.step import Step
from solvergen.spec import parse_solver
from tests.generated.shapes import every_other

from .oracle import METHODS, program
from .rooted_trees import ClockRoute, TestEquation, order_of, size, symmetry, trees

H = Symbol("h")
SIZES = [Fraction(7, 5), Fraction(3, 4), Fraction(9, 8), Fraction(5, 6), Fraction(4, 3)] * 3


def random_equation(kappa: int, seed: int) -> TestEquation:
    random = Random(seed)
    jets = {
        (i, j): Fraction(random.randrange(-30, 31), random.randrange(1, 12))
        for i in range(5)
        for j in range(5 - i)
    }
    return TestEquation(kappa, jets, Fraction(random.randrange(1, 20), 7))


def words_route(made: Program, limit: int) -> tuple[int, dict[object, Fraction]]:
    """Order and leading words on the grid SIZES."""
    parameters = {p.name: p.default for p in made.parameters}
    grid = from_steps(lambda i: Fraction(1) if i >= 0 else SIZES[-i - 1])
    case = Case(made, lambda ring: grid, lambda ring: parameters)
    found = first_error(lambda n: predictor_error(case, n), 1, limit)
    exponent = int(found.exponent) if found else limit
    if made.main.corrector:
        found = first_error(lambda n: local_error(case, n, exponent), 1, limit)
    assert found is not None
    return int(found.exponent) - 1, dict(found.terms)


def agree(made: Program, limit: int, seed: int) -> None:
    """Both routes: the same order, and the same local error of a random equation."""
    order, terms = words_route(made, limit)
    route = ClockRoute(made, SIZES, order + 1)
    level = 2 if made.main.corrector else 0
    error = route.error(level)
    assert order_of(error) == order
    equation = random_equation(made.kappa, seed)
    field = equation.clock_field(order + 1)
    by_trees = sum(
        error[tree].parts.get(order + 1, Fraction(0))
        * equation.of_tree(tree, field)[1]
        / symmetry(tree)
        for n in range(1, order + 2)
        for tree in trees(n)
    )
    by_words = sum(value * equation.of_word(word, order + 1) for word, value in terms.items())
    assert by_trees == by_words


def test_there_are_as_many_trees_as_known() -> None:
    assert [len(trees(n)) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]
    assert all(size(tree) == 5 for tree in trees(5))


SMALL = [i for i, e in METHODS.items() if e["order_exact_history"]["arbitrary_grid"] <= 3]


@pytest.mark.parametrize("identifier", every_other(SMALL))
def test_published_methods(identifier: str) -> None:
    made = program(identifier)
    # PEC reaches further back than the grid of this test for UniPC-3, which is of order 4.
    agree(made, 5, seed=len(identifier))


fractions = st.builds(Fraction, st.integers(-6, 6), st.integers(1, 5))
places = st.sampled_from([Fraction(1, 2), Fraction(1, 3), Fraction(2, 3), Fraction(1)])


@st.composite
def rows(draw: st.DrawFn, name: str, sources: list[str], kappa: int, consistent: bool) -> Row:
    """A row with random rational and φ-function weights; consistent rows integrate constants."""
    gauge = draw(st.sampled_from(["lambda", "clock"]))
    place = Place(lift(1) if name == "x" else lift(draw(places)), "lambda")
    weights: list[tuple[str, Expr]] = []
    for source in sources:
        weight: Expr = lift(draw(fractions))
        if gauge == "lambda":
            k, c = draw(st.integers(1, 3)), draw(places)
            weight = H * (weight + lift(draw(fractions)) * phi(k, lift(-kappa * c) * H))
        weights.append((source, weight))
    if consistent:
        c = place.fraction
        whole = c * H * phi(1, -kappa * c * H) if gauge == "lambda" else place.clock(kappa)
        rest = whole
        for _, weight in weights[1:]:
            rest = rest - weight
        weights[0] = (sources[0], rest)
    return Row(name, place, gauge, tuple(Term(s, w) for s, w in weights))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Random one-step and multistep methods with stages, history and PEC.

    Evaluated states integrate constants exactly: the trees take a state's clock for the sum of its
    row. The accepted row need not, and then the order is 0.
    """
    integrand = draw(st.sampled_from(["data", "noise"]))
    kappa = 1 if integrand == "data" else -1
    past = ["n", "n-1", "n-2"][: draw(st.integers(1, 3))]
    consistent = draw(st.booleans()) or draw(st.booleans())
    corrected = draw(st.booleans())
    stages: list[Row] = []
    for i in range(draw(st.integers(0, 2))):
        names = past + [stage.name for stage in stages]
        stages.append(draw(rows(f"u{i}", names, kappa, True)))
    names = past + [stage.name for stage in stages]
    final = draw(rows("x", names, kappa, corrected or consistent))
    corrector = None
    if corrected:
        corrector = draw(rows("x", ["n+1", *past], kappa, consistent))
    return Program("random", "random", integrand, Step("main", tuple(stages), final, corrector))


@pytest.mark.nightly
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.integers(0, 10**6))
def test_random_weights(made: Program, seed: int) -> None:
    agree(made, 4, seed)


@st.composite
def specs(draw: st.DrawFn) -> str:
    """Random specs of interpolatory and one-point rules, which have order 1 to 3."""
    lines = [
        'name = "drawn"',
        f'integrand = "{draw(st.sampled_from(["data", "noise"]))}"',
        f'coordinate = "{draw(st.sampled_from(["lambda", "clock"]))}"',
    ]
    nodes = ["n", "n-1", "n-2"][: draw(st.integers(1, 2))]
    if draw(st.booleans()):
        at = draw(st.sampled_from(["1/2", "1/3", "2/3", "3/4"]))
        used = draw(st.sampled_from([nodes, ["n"]]))
        lines += ["[[stage]]", 'name = "u"', f'at = "{at}"', 'rule = "interpolate"']
        lines += ["nodes = [" + ", ".join(f'"{n}"' for n in used) + "]"]
        nodes = [*nodes, "u"]
    lines += ["[step]"]
    if draw(st.booleans()):
        lines += ['rule = "interpolate"']
    else:
        lines += ['rule = "mean-value"', f'theta = "{draw(st.sampled_from(["1/2", "1/3", "1"]))}"']
    lines += ["nodes = [" + ", ".join(f'"{n}"' for n in nodes) + "]"]
    if "u" not in nodes and draw(st.booleans()):
        mode = draw(st.sampled_from(["PEC", "PECE"]))
        after = ["n+1", *nodes]
        lines += ["[corrector]", f'mode = "{mode}"', 'rule = "interpolate"']
        lines += ["nodes = [" + ", ".join(f'"{n}"' for n in after) + "]"]
    return "\n".join(lines) + "\n"


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs(), st.integers(0, 10**6))
def test_random_specs(text: str, seed: int) -> None:
    agree(derive(parse_solver(text)), 5, seed)
