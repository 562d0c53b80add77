"""Determinants and characteristic polynomials against the maps that they stand for."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from solvergen.algebra.ring import SeriesRing
from solvergen.algebra.series import coefficient
from solvergen.derive import derive
from solvergen.expr.functions import lift
from solvergen.gallery import load
from solvergen.order.expansion.block_grid import in_blocks
from solvergen.order.expansion.grid import uniform
from solvergen.order.expansion.local_error import History, defaults
from solvergen.order.expansion.symbol_values import StepValues, another_coordinate
from solvergen.order.expansion.words import leaf
from solvergen.order.ode.analyse import Analysis
from solvergen.order.ode.memory import forgets
from solvergen.order.ode.stability import _determinant, limit, stability
from solvergen.program.row import depth

# One of every way in which steps use what is behind them.
SHAPES = [
    *(
        "ddim",
        "heun_edm",
        "dpmpp_3m",
        "rk4_clock",
        "unipc_2_bh2",
        "unipc_3_bh1",
        "abm3_lambda_pece",
    ),
    *("flow_ab3", "deis_rhoab3", "byrne_lambert_3", "etd2rk", "bdf_3", "ipndm3"),
]


def step_map(program, z):
    """One step on (Y, states and outputs behind it) in the limit of small steps, as a matrix.

    Row by row, as a run takes them, on unit vectors; no polynomial and no determinant.
    """
    ring, step = SeriesRing(3), program.main
    grid, inner = in_blocks(program, uniform())
    values = StepValues(program.kappa, ring, grid, defaults(program), inner=inner)
    names = ["Y", *(f"P{k}" for k in range(step.history + 1)), *step.recalls]
    unit = dict(zip(names, np.eye(len(names)), strict=True))
    evaluated = {"n": unit["P0"], **{f"n-{k}": unit[f"P{k}"] for k in range(1, step.history + 1)}}
    evaluated |= {f"{name}-1": unit[name] for name in step.recalls}

    def row(one):
        state = unit["Y"]
        if one.carry:
            symbols = values.at(0)
            state = float(limit(symbols.expr(one.decay))) * unit["Y"]
            for term in one.carry:
                state = (
                    state + float(limit(symbols.expr(term.weight))) * unit[f"P{depth(term.source)}"]
                )
        for source, weight in values.weights(one, 0):
            state = state + z * float(limit(weight)) * evaluated[source]
        return state

    for stage in step.stages:
        evaluated[stage.name] = row(stage)
    predicted = accepted = row(step.final)
    if step.corrector is not None:
        evaluated["n+1"] = predicted
        accepted = row(step.corrector)
    behind = [unit[f"P{k}"] for k in range(step.history)]
    return np.array([accepted, predicted, *behind, *(evaluated[name] for name in step.recalls)])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("z", [-0.7 + 0.4j, 0.3 - 1.1j])
def test_roots_are_the_eigenvalues_of_a_step(name, z):
    program = derive(load(name))
    found = np.linalg.eigvals(step_map(program, z))
    roots = [root for root in stability(program).roots(z) if abs(root) > 1e-6]
    wanted = [value for value in found if abs(value) > 1e-3]
    assert wanted
    assert all(min(abs(root - value) for root in roots) < 1e-6 for value in wanted)
    assert all(min(abs(root - value) for value in found) < 1e-6 for root in roots)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_determinant_of_polynomials_is_that_of_their_values(size):
    draw = random.Random(size)

    def entry():  # a polynomial in ζ whose coefficients are polynomials in z, some of them empty
        return [
            tuple(Fraction(draw.randint(-3, 3)) for _ in range(draw.randint(0, 2)))
            for _ in range(draw.randint(1, 3))
        ]

    def at(polynomial, z, zeta):
        return sum(
            float(a) * z**i * zeta**k for k, p in enumerate(polynomial) for i, a in enumerate(p)
        )

    for _ in range(6):
        matrix = [[entry() for _ in range(size)] for _ in range(size)]
        found = _determinant(matrix)
        for z, zeta in ((0.7, -1.3), (-1.1, 0.6)):
            values = np.array([[at(cell, z, zeta) for cell in row] for row in matrix])
            assert at(found, z, zeta) == pytest.approx(np.linalg.det(values), abs=1e-9)


@pytest.mark.parametrize("back", [0, 2])
@pytest.mark.parametrize("site", [0, 1, 2, 3])
def test_stages_of_the_step_before_are_those_of_its_kind(site, back):
    """To first order an evaluation at a stage lies where the kind of its step puts the stage."""
    program = derive(load("byrne_lambert_3"))
    main = program.main
    places = {-1: Fraction(1, 7), 0: Fraction(2, 7), 1: Fraction(3, 7), 2: Fraction(4, 7)}

    def step_at(i):
        if i not in places:
            return main
        moved = replace(main.stages[0].place, fraction=lift(places[i]))
        return replace(main, stages=(replace(main.stages[0], place=moved), *main.stages[1:]))

    def run(recursion):
        return History(recursion, step_at).stages(site, back)[f"{main.stages[0].name}-1"]

    found = Analysis(program, {}, ()).case("uniform").expand(3, run)
    slope = coefficient(found[leaf(1)], 0)
    assert slope == site - 1 + places[site - 1]


def test_what_is_remembered_dies_out_on_the_interval_of_its_authors():
    """rho in (1/3, 4/3) for `dc_solver_3`, from below to above."""
    program = derive(load("dc_solver_3"))
    name, low, high = forgets(program, defaults(program))
    assert name == "rho" and abs(low - 1 / 3) < 1e-3 and abs(high - 4 / 3) < 1e-3


def test_further_coordinates_are_in_units_of_their_own_slope():
    """A rule whose weights are steps of such a coordinate is no solver at all in another unit."""
    program = derive(load("alpha_family_vp_time"))
    assert program.coordinates
    analysis = Analysis(program, {}, ())
    assert analysis.leading(analysis.case("uniform")).exponent == 3
    assert all(another_coordinate(seed)(1) == 1 for seed in range(4))
