"""Orders on a real equation, in floating point: start, end, shrink and grid classes as proved."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from math import exp, expm1, factorial, log, log1p, sin, sqrt
from typing import Any

import pytest

from solvergen.derive import derive
from solvergen.expr.evaluation import evaluate
from solvergen.gallery import load
from solvergen.order import analyse
from solvergen.order.questions.cure import cured_solver
from solvergen.program.model import Program
from solvergen.program.row import Row
from solvergen.spec.model import End, Solver, Start

T = 0.5  # short, so that few steps are already asymptotic


def phi(k: int, z: float) -> float:
    total, term = 0.0, 1.0 / factorial(k)
    for m in range(1, 18):
        total += term
        term *= z / (k + m)
    return total


FUNCTIONS = {"phi": phi, "exp": exp, "expm1": expm1, "log1p": log1p, "sqrt": sqrt}


def right_side(lam: float, u: float) -> float:
    """N(λ, u): smooth, nonlinear, not special."""
    return sin(1.3 * u + 0.4 * lam) + 0.5 * u * u / (1 + u * u) + 0.3 * lam


def run(program: Program, grid: list[float], u: float) -> float:
    """Integrate u' = −κu + N row by row, as the Program says."""
    kappa, steps = program.kappa, len(grid) - 1
    defaults = {p.name: float(p.default) for p in program.parameters}
    evaluations: list[float] = []
    pending = None
    for i in range(steps):
        evaluations.append(right_side(grid[i], u))
        if pending is not None:
            before, row, base, values = pending
            u = advance(row, base, {**before, "n+1": evaluations[-1]}, values, kappa)
        h = grid[i + 1] - grid[i]
        values = {"h": h, **defaults}
        for k in range(1, i + 1):
            values[f"theta{k}"] = (grid[i] - grid[i - k]) / h
            values[f"Theta{k}"] = -expm1(-kappa * (grid[i] - grid[i - k])) / expm1(kappa * h)
        step = program.step_at(i, steps)
        known = {"n": evaluations[i], **{f"n-{k}": evaluations[i - k] for k in range(1, i + 1)}}
        base = u
        for stage in step.stages:
            place = number(stage.place.lam(kappa), values)
            state = advance(stage, base, known, values, kappa)
            known[stage.name] = right_side(grid[i] + place * h, state)
        u = advance(step.final, base, known, values, kappa)
        pending = (known, step.corrector, base, values) if step.corrector else None
    return u


def number(expr: object, values: dict[str, float]) -> float:
    return evaluate(expr, values, FUNCTIONS, float)  # type: ignore[arg-type, no-any-return]


def advance(
    row: Row, base: float, known: dict[str, float], values: dict[str, float], kappa: int
) -> float:
    if (id(row), kappa) not in PREPARED:
        PREPARED[id(row), kappa] = (row, row.place.lam(kappa), row.u_weights(kappa))
    _, place, weights = PREPARED[id(row), kappa]
    total = exp(-kappa * number(place, values) * values["h"]) * base
    return total + sum(number(w, values) * known[s] for s, w in weights)


PREPARED: dict[tuple[int, int], Any] = {}


@cache
def reference(kappa: int, u: float) -> float:
    """The exact end, by classical Runge-Kutta steps typed here."""
    n = 2000
    h = T / n
    for i in range(n):
        lam = i * h
        k1 = -kappa * u + right_side(lam, u)
        k2 = -kappa * (u + h / 2 * k1) + right_side(lam + h / 2, u + h / 2 * k1)
        k3 = -kappa * (u + h / 2 * k2) + right_side(lam + h / 2, u + h / 2 * k2)
        k4 = -kappa * (u + h * k3) + right_side(lam + h, u + h * k3)
        u += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return u


def uniform(n: int) -> list[float]:
    return [T * i / n for i in range(n + 1)]


def smooth(n: int) -> list[float]:
    return [T * (i / n + 0.35 * (i / n) ** 2) / 1.35 for i in range(n + 1)]


def rough(n: int) -> list[float]:
    sizes = [(1.0, 2.2, 0.6, 1.7)[i % 4] for i in range(n)]
    points = [0.0]
    for size in sizes:
        points.append(points[-1] + size)
    return [T * point / points[-1] for point in points]


GRIDS = {"uniform": uniform, "smooth": smooth, "arbitrary": rough}


def measured(program: Program, kind: str, shrink: Fraction | None = None) -> float:
    """Slope between two resolutions, RMS over initial values."""
    errors = []
    for n in (32, 64):
        grid = GRIDS[kind](n)
        if shrink:
            first = grid[1] ** float(shrink)
            grid = [grid[0], first, *grid[1:]]
        total = 0.0
        for start in (-1.1, 0.4, 1.2):
            total += (run(program, grid, start) - reference(program.kappa, start)) ** 2
        errors.append(sqrt(total / 3))
    return log(errors[0] / errors[1]) / log(2)


def ramp(name: str) -> Solver:
    return replace(load(name), end=End(ramp=True))


CASES = {
    ("3M", "uniform"): lambda: load("dpmpp_3m"),
    ("3M, lower-order end", "smooth"): lambda: replace(
        cured_solver(load("dpmpp_3m")), end=End(ramp=True)
    ),
    ("3M cured", "arbitrary"): lambda: cured_solver(ramp("dpmpp_3m")),
    ("3M as published", "uniform"): lambda: load("dpmpp_3m_as_published"),
    ("UniPC-3", "arbitrary"): lambda: load("unipc_3_bh2"),
    ("UniPC-3, lower-order end", "uniform"): lambda: ramp("unipc_3_bh2"),
    ("UniPC-3 cured", "uniform"): lambda: cured_solver(load("unipc_3_bh2")),
    ("iPNDM", "uniform"): lambda: load("ipndm4"),
    ("iPNDM", "smooth"): lambda: load("ipndm4"),
    ("iPNDM", "arbitrary"): lambda: load("ipndm4"),
    ("PNDM", "arbitrary"): lambda: load("pndm"),
}


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_measured_slopes_are_the_proved_orders(name: str, kind: str) -> None:
    program = derive(CASES[name, kind]())
    proved = analyse(program).orders[kind]["own_end"]
    assert proved.exact
    assert measured(program, kind) == pytest.approx(proved.value, abs=0.15)


def test_a_shortened_first_step_is_measured_too() -> None:
    solver = cured_solver(load("dpmpp_3m"), kind="shrink")
    assert solver.start == Start(load("dpmpp_3m").start.using, Fraction(3, 2))
    program = derive(solver)
    assert analyse(program).order.value == 3
    assert measured(program, "uniform", Fraction(3, 2)) == pytest.approx(3, abs=0.3)
    assert measured(derive(load("dpmpp_3m")), "uniform") == pytest.approx(2, abs=0.3)
