"""First and last steps that take over a rule for another prediction say so."""

import pytest

from solvergen.derive.program import derive
from solvergen.gallery import load
from solvergen.program.advice import advice
from solvergen.spec.reader import parse_solver

AB2 = """
name = "ab"
integrand = "data"
[step]
rule = "adams-bashforth"
steps = 2
[start]
using = ["{}"]
"""


def start(name):
    program = derive(parse_solver(AB2.format(name)))
    return program.start[0], advice(program)


@pytest.mark.parametrize("name", ["heun_edm", "flow_midpoint", "dpm_solver_2"])
def test_a_rule_on_another_prediction_is_another_solver(name):
    step, said = start(name)
    assert step.label == f"{load(name).title}, its rule on data"
    assert step.borrowed == load(name).integrand
    assert len(said) == 1 and "are another solver" in said[0]


@pytest.mark.parametrize("name", ["ddim", "euler_sigma", "dpmpp_2s", "res_2s"])
def test_the_same_states_keep_the_name(name):
    step, said = start(name)
    assert step.label == load(name).title and not step.borrowed and not said


@pytest.mark.parametrize(
    "name",
    [
        "gradient_estimation",
        "flow_heun_as_shipped_by_diffusers",
        "ipndm_v3_as_shipped_by_diff_sampler",
    ],
)
def test_the_gallery_names_what_it_uses(name):
    program = derive(load(name))
    assert not any(step.borrowed for step in (*program.start, *program.end))
