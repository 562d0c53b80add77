"""AMED's tables of teachers and of schedules, with its plug-in fitted here (Zhou et al. 2024).

The plug-in has three numbers a step, the place of the inner evaluation and factors on direction and
level. AMED gives them by a network from the sample's features; here they are one list for all samples,
fitted on 64 trajectories and measured on the starts of the problem.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Protocol

import torch

from ...loading import load
from ...program.model import Program
from ..specs.fitting import fit, rms_of
from ..specs.numbers import FitError
from ..teacher import Taught
from .runs import Ground, ends_of, ground, levels_of, measured, sampler

RULE = "amed_plugin_dpm2"
FREE = ("r", "c", "a")
SCHEDULES = {"karras": "polynomial (EDM)", "uniform_lambda": "logSNR", "time": "uniform t"}
TEACHERS = ("dpm_solver_2", "heun_edm", "dpmpp_2m", "ipndm3")
TEACHER_CALLS = 24
FITTED, HELD = 64, 16  # trajectories that are fitted, and more that choose
STEPS = 3  # of two calls each, where teachers are compared
ITERATIONS = 12

Row = tuple[str, ...]


class Times(Protocol):
    """The levels of a schedule uniform in time: steps, largest and smallest."""

    def __call__(self, steps: int, high: float, low: float) -> list[float]:
        """Levels ρ."""


def schedule_rows(where: Ground, times: Times) -> list[Row]:
    """DPM-Solver-2 at 4, 6 and 8 calls on three schedules, without and with the plug-in."""
    plain: dict[str, list[str]] = {name: [] for name in SCHEDULES}
    fitted: dict[str, list[str]] = {name: [] for name in SCHEDULES}
    program, large = _program(), ground(where.name, FITTED + HELD, 1)
    for steps in (2, 3, 4):
        lists = levels_of(where, steps)
        lists["time"] = times(steps, where.problem.sigma_max, where.problem.sigma_min)
        for name in SCHEDULES:
            error = measured(sampler("dpm_solver_2"), where, lists[name]).error
            plain[name].append("-" if error is None else f"{error:.3g}")
            fitted[name].append(f"{_fitted(program, _taught(large), lists[name], where):.3g}")
    rows = []
    for name, words in SCHEDULES.items():
        rows += [(words, *plain[name]), (f"{words}, plug-in", *fitted[name])]
    return rows


def teacher_rows(where: Ground) -> list[Row]:
    """The plug-in of three steps, fitted on the ends of teachers of 24 calls and on exact ones."""
    program, large = _program(), ground(where.name, FITTED + HELD, 1)
    levels = levels_of(where, STEPS)["karras"]
    rows: list[Row] = []
    for teacher in TEACHERS:
        module = sampler(teacher)
        fine = levels_of(where, TEACHER_CALLS // int(module.EVALUATIONS_PER_STEP))["karras"]
        own = measured(module, where, fine).error
        taught = replace(_taught(large), ends=ends_of(module, large, fine)[0])
        error = _fitted(program, taught, levels, where)
        rows.append((teacher, "-" if own is None else f"{own:.3g}", f"{error:.3g}"))
    rows.append(("exact ends", "0", f"{_fitted(program, _taught(large), levels, where):.3g}"))
    return rows


def _program() -> Program:
    return load(RULE).program


def _taught(large: Ground) -> Taught:
    return Taught(large.problem, large.starts, large.ends, 0.0, 0, 0.0)


def _fitted(program: Program, taught: Taught, levels: list[float], where: Ground) -> float:
    """The rms error on the starts of `where` after a fit on these levels; inf where it fails."""
    exact = tuple(Fraction(repr(v)) for v in levels)
    try:
        with torch.no_grad():
            found = fit(
                replace(program, levels=exact),
                taught,
                HELD,
                len(levels) - 1,
                free=FREE,
                iterations=ITERATIONS,
            )
            return rms_of(where.problem, found.program, where.starts, where.ends)
    except FitError:
        return math.inf
