"""Weights that cannot exist are refused with the reason; what shortens is shortened."""

import pytest

from solvergen.derive import derive
from solvergen.errors import DeriveError
from solvergen.gallery import load
from solvergen.spec import parse_solver

MID = '[[stage]]\nname = "mid"\nat = "{at}"\nrule = "interpolate"\nnodes = ["n"]\n'
ADAMS = '[step]\nrule = "adams-bashforth"\nsteps = 3\n'
HALF = '[parameters.r]\ndefault = "1/2"\n'


def solver(text, integrand="data"):
    return parse_solver(f'name = "s"\nintegrand = "{integrand}"\n{text}')


def step(*nodes):
    listed = ", ".join(f'"{node}"' for node in nodes)
    return f'[step]\nrule = "interpolate"\nnodes = [{listed}]\n'


PER_STEP = '[parameters.c]\ndefault = "1/2"\nper = "step"\n'
REFUSED = {
    "a number for each step of a block": (
        PER_STEP + '[step]\nspans = 2\nrule = "weights"\nweights = { n = "c*h*phi1" }\n',
        "steps of one interval each",
    ),
    "a number for each step of an unknown grid": (
        PER_STEP
        + step("n")
        + '[embedded]\nrule = "weights"\nweights = { n = "c*h*phi1" }\n'
        + '[controller]\nkind = "power"\norder = 1\nrtol = "1/10"\natol = "1/10"\n',
        "grid that is known beforehand",
    ),
    "coincide at zero": (MID.format(at=0) + step("n", "mid"), "coincide"),
    "coincide as written": (
        HALF + MID.format(at="r") + MID.format(at="r").replace("mid", "two") + step("mid", "two"),
        "coincide",
    ),
    "coincide at the defaults": (
        HALF + MID.format(at="r - 1/2") + step("n", "mid"),
        "coincide .at the default parameters.",
    ),
    "end of the step twice": (
        MID.format(at=1) + step("n") + '[corrector]\nrule = "interpolate"\nnodes = ["n+1", "mid"]\n',
        "coincide|PEC",
    ),
    "later stage": (
        MID.format(at="1/3").replace('["n"]', '["n", "two"]')
        + MID.format(at="2/3").replace("mid", "two")
        + step("n"),
        "`two` is not evaluated before this row",
    ),
    "its own result": (MID.format(at="1/3").replace('["n"]', '["mid"]') + step("n"), "not evaluated"),
    "unknown stage": (step("n", "mid"), "`mid` is not evaluated"),
    "end of the step in a predictor": (step("n", "n+1"), "exists in .corrector. only"),
    "end of the step in a stage": (
        MID.format(at="1/2").replace('["n"]', '["n+1"]') + step("n"),
        "exists in .corrector. only",
    ),
    "PEC with a stage": (
        MID.format(at="1/2") + step("n") + '[corrector]\nrule = "interpolate"\nnodes = ["mid", "n+1"]\n',
        "cannot use the stage `mid`",
    ),
    "a ratio older than the nodes": (
        '[step]\nrule = "weights"\nweights = { n = "h*phi1*r1" }\n',
        "`r1` needs the grid 1 back, and the step uses nothing older than n",
    ),
    "no history at all": (step("n-1"), "none of the nodes"),
    "explicit weights without history": (
        '[step]\nrule = "weights"\nweights = { n = "h", "n-1" = "h" }\n',
        "cannot be shortened",
    ),
    "start needs more than exists": (
        ADAMS + '[start]\nusing = ["dpmpp_2m"]\n',
        "needs 1 past evaluations, and 0 exist",
    ),
    "second start needs more": (
        ADAMS + '[start]\nusing = ["ddim", "dpmpp_3m"]\n',
        "needs 2 past evaluations, and 1 exist",
    ),
    "unknown start": (ADAMS + '[start]\nusing = ["nothing"]\n', "`nothing`: no solver of that name"),
    "degree beyond nodes": (
        '[step]\nrule = "taylor"\nnodes = ["n", "n-1"]\ndegree = 2\n',
        "needs 3 nodes, found 2",
    ),
    "too many factors": (
        '[step]\nrule = "taylor"\nnodes = ["n"]\ndegree = 0\nfactors = [1, 1]\n',
        "has 1 terms, found 2",
    ),
    "σ = 0 in λ": (step("n") + '[end]\nzero = "rule"\n', "infinitely long"),
    "too many nodes": (
        "".join(MID.format(at=f"{i}/20").replace("mid", f"s{i}") for i in range(10, 20))
        + step("n", *(f"s{i}" for i in range(10, 20))),
        "11 nodes in one interpolant; at most 10",
    ),
    "two stages of one name": (MID.format(at="1/3") * 2 + step("n"), "two stages are named `mid`"),
}  # fmt: skip


@pytest.mark.parametrize("label", REFUSED)
def test_impossible_weights_are_refused(label):
    text, reason = REFUSED[label]
    with pytest.raises(DeriveError, match=reason) as caught:
        derive(solver(text))
    assert caught.value.where


def test_a_stage_at_sigma_zero_is_refused():
    """Heun and the midpoint in λ would call the model where there is no noise."""
    for stage in (MID.format(at=1), MID.format(at="1/2") + 'place = "lambda"\n'):
        text = f'coordinate = "clock"\n{stage}{step("n", "mid")}[end]\nzero = "rule"\n'
        with pytest.raises(DeriveError, match="at sigma = 0"):
            derive(solver(text, "noise"))
    inside = f'coordinate = "clock"\n{MID.format(at="1/2")}{step("mid")}[end]\nzero = "rule"\n'
    assert derive(solver(inside, "noise")).zero == "rule"


def test_history_grows_with_the_first_steps():
    program = derive(solver('[step]\nrule = "adams-bashforth"\nsteps = 4\n'))
    assert [step.history for step in program.start] == [0, 1, 2]
    assert program.history == 3 and program.end == ()
    assert [program.step_at(i, 6).history for i in range(6)] == [0, 1, 2, 3, 3, 3]


def test_a_ramp_lowers_the_last_steps():
    program = derive(solver(ADAMS + "[end]\nramp = true\n"))
    assert [program.step_at(i, 6).history for i in range(6)] == [0, 1, 2, 2, 1, 0]
    assert [program.step_at(i, 3).history for i in range(3)] == [0, 1, 0]


def test_last_steps_never_ask_for_history_that_is_not_there():
    program = derive(solver(step("n") + '[end]\nusing = ["dpmpp_3m"]\n'))
    assert program.step_at(0, 1) == program.main
    assert program.step_at(3, 4).history == 2


def test_the_final_state_of_pec_is_predicted_unless_asked():
    text = ADAMS + '[corrector]\nrule = "adams-moulton"\nsteps = 3\n'
    plain, asked = derive(solver(text)), derive(solver(text + "[end]\ncorrector = true\n"))
    assert plain.end[-1].corrector is None and plain.end[-1].evaluations == 1
    assert asked.end[-1].corrector is None and asked.end[-1].evaluations == 2
    assert asked.end[-1].final.terms[0].source == "n+1"


def test_an_integrand_may_be_replaced():
    """One spec serves both predictions: weights follow κ."""
    from dataclasses import replace

    for name in ("dpmpp_2m", "unipc_2_bh1", "res_3s"):
        noise = derive(replace(load(name), integrand="noise"))
        assert noise.kappa == -1 and noise.main != derive(load(name)).main
