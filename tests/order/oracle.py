"""The verified answers, and the specs that they are about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from solvergen.derive import derive
from solvergen.gallery import load
from solvergen.order.expansion.words import Word
from solvergen.program.model import Program
from solvergen.spec import parse_solver
from solvergen.spec.model import End, Solver, Start

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "order_oracle.json").read_text()
)


def from_tree(encoded: list[Any]) -> Word:
    """The word of a nested list ``[l, children]``."""
    return (encoded[0], tuple(sorted(from_tree(child) for child in encoded[1])))


METHODS: dict[str, dict[str, Any]] = {entry["id"]: entry for entry in ORACLE["ode_methods"]}

TAYLOR_3S = """
name = "taylor_3s"
integrand = "data"
[[stage]]
name = "u1"
at = "1/3"
rule = "interpolate"
nodes = ["n"]
[[stage]]
name = "u2"
at = "2/3"
rule = "interpolate"
nodes = ["n", "u1"]
[step]
rule = "interpolate"
nodes = ["n", "u1", "u2"]
"""


def adams(steps: int, frozen: bool) -> Solver:
    """Adams-Bashforth in the noise clock."""
    solver = load("ipndm4" if frozen else "deis_rhoab3")
    text = f"""
name = "adams"
integrand = "noise"
coordinate = "clock"
[step]
rule = "adams-bashforth"
steps = {steps}
frozen = {"true" if frozen else "false"}
"""
    return replace(parse_solver(text), title=solver.title)


def predictor(name: str) -> Solver:
    """A UniPC solver without its corrector, started by predictors too."""
    return replace(load(name), corrector=None, start=Start(("ddim",)))


SPECS: dict[str, Callable[[], Solver]] = {
    "ddim": lambda: load("ddim"),
    "dpm_2m_midpoint": lambda: load("dpmpp_2m"),
    "dpm_2m_heun": lambda: load("dpmpp_2m_exact"),
    "dpm_3m_as_released": lambda: load("dpmpp_3m_as_published"),
    "dpm_3m_corrected": lambda: load("dpmpp_3m"),
    "unip2_bh1": lambda: predictor("unipc_2_bh1"),
    "unip2_bh2": lambda: predictor("unipc_2_bh2"),
    "unip3": lambda: load("dpmpp_3m"),
    "unip4": lambda: load("ab4_lambda"),
    "unipc1_bh1": lambda: load("unipc_1_bh1"),
    "unipc1_bh2": lambda: load("unipc_1_bh2"),
    "unipc2_bh1": lambda: load("unipc_2_bh1"),
    "unipc2_bh2": lambda: load("unipc_2_bh2"),
    "unipc3_bh2": lambda: load("unipc_3_bh2"),
    "dpm2s_dpmsolver_r1_2": lambda: load("dpmpp_2s"),
    "dpm2s_taylor_r1_2": lambda: load("res_2s"),
    "dpm3s_dpmsolver_1_3_2_3": lambda: load("dpm_solver_3"),
    "dpm3s_taylor_1_3_2_3": lambda: parse_solver(TAYLOR_3S),
    "res3s_c2_1_2_c3_1_gamma_c3^3": lambda: load("res_3s"),
    "heun_edm": lambda: load("heun_edm"),
    "dpm2_kdiffusion": lambda: load("amed"),
    "amed_r1_2": lambda: load("amed"),
    "ipndm2": lambda: adams(2, True),
    "ipndm4": lambda: load("ipndm4"),
    "rhoab2_deis": lambda: adams(2, False),
}


def spec(identifier: str) -> Solver:
    """The spec of an oracle entry, in the entry's integrand."""
    stem = identifier.removesuffix("_data").removesuffix("_noise")
    return replace(SPECS[stem](), integrand=METHODS[identifier]["prediction"])


@cache
def program(identifier: str, ramp_down: bool = False) -> Program:
    """The Program of an oracle entry, with lower-order last steps on request."""
    solver = spec(identifier)
    if ramp_down:
        # Explicit weights cannot be shortened; for two nodes the lower-order last step is DDIM.
        explicit = solver.step.kind == "weights" and not solver.stages
        solver = replace(solver, end=End(using=("ddim",)) if explicit else End(ramp=True))
    return derive(solver)
