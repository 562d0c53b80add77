"""The orders that emitted files state, against one step expanded by sympy's series."""

import ast
from fractions import Fraction
from pathlib import Path

import pytest

from solvergen import gallery
from solvergen.loading import load

from .sympy_series import OneStep, Unsupported

GENERATED = Path(__file__).parents[2] / "generated"
TENTH = gallery.names()[3::10]
REST = [name for name in gallery.names() if name not in TENTH]
ROUGH = [Fraction(7, 9), Fraction(25, 11), Fraction(16, 5), Fraction(31, 7), Fraction(53, 10)]


def stated(name):
    """The literal ORDER of an emitted file, or ``None``."""
    tree = ast.parse((GENERATED / f"{name}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ORDER":
            return ast.literal_eval(node.value)
    return None


def orders(name):
    """Local orders on a uniform and on a rough grid; ``None`` where no power series decides them."""
    program, known = load(name).program, stated(name)
    if known is None or program.main.corrector or program.stochastic or program.main.coordinates:
        return None
    spans = program.main.spans
    even = [Fraction(k) for k in range(1, 10)]
    inner = [Fraction(k, spans) for k in range(1, 10)]
    bent = [g if g == 1 else g * (g + 4) / 5 + g / 10 * (1 - g) for g in inner]
    rough = ROUGH + [Fraction(k) + Fraction(1, 3) for k in range(6, 10)]
    try:
        found = {
            "uniform": OneStep(program, even, inner, 1).order(),
            "arbitrary": OneStep(program, rough, bent, 2).order(),
        }
    except Unsupported:
        return None
    return found, known


def check(name):
    both = orders(name)
    if both is None:
        return 0
    found, known = both
    for grid, order in found.items():
        value, exact = known[grid]["exact_start"]
        if value == 0:  # not zero-stable, whatever its local error is
            continue
        assert order is None or order >= value, (grid, order, value)
        if exact and grid == "uniform":
            assert order == value, (grid, order, value)
    return 1


@pytest.mark.parametrize("name", TENTH)
def test_a_tenth_of_the_gallery(name):
    check(name)


@pytest.mark.nightly
@pytest.mark.parametrize("name", REST)
def test_the_rest_of_the_gallery(name):
    check(name)


def test_a_wrong_weight_lowers_the_order():
    """Judge the judge: 1 % on one weight, and the order that is found is 0."""
    from dataclasses import replace

    program = load("dpmpp_3m").program
    first, *others = program.main.final.terms
    wrong = replace(first, weight=first.weight * 101 / 100)
    final = replace(program.main.final, terms=(wrong, *others))
    even = [Fraction(k) for k in range(1, 10)]
    made = replace(program, main=replace(program.main, final=final))
    assert OneStep(program, even, even, 1).order() == 3
    assert OneStep(made, even, even, 1).order() == 0
