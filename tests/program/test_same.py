"""Which solvers are one method, and where those that are not part."""

import random
from dataclasses import replace

import mpmath
import pytest

from solvergen.derive import derive
from solvergen.gallery import load, names
from solvergen.program import canonical, digest
from solvergen.program.same import same
from solvergen.program.unroll import unroll
from solvergen.spec import parse_solver


def spec(text, integrand="data", coordinate="lambda"):
    head = f'name = "own"\nintegrand = "{integrand}"\ncoordinate = "{coordinate}"\n'
    return parse_solver(head + text)


def program(found, **changes):
    return derive(replace(load(found) if isinstance(found, str) else found, **changes))


EULER = '[step]\nrule = "interpolate"\nnodes = ["n"]\n'
UNIP_2_BH2 = """
[step]
rule = "weights"
weights = { n = "(1 - exp(-h))*(1 + 1/(2*r1))", "n-1" = "-(1 - exp(-h))/(2*r1)" }
[start]
using = ["ddim"]
"""
DOUBLED = '[step]\nrule = "taylor"\nnodes = ["n", "n-1", "n-2"]\ndegree = 2\n'
HEUN_TABLE = '[tableau]\nc = ["1"]\na = [["1"]]\nb = ["1/2", "1/2"]\n'
LMS = """
[step]
rule = "weights"
weights = { n = "1 + 1/(2*r1)", "n-1" = "-1/(2*r1)" }
[start]
using = ["ddim"]
"""

ONE_METHOD = {
    "DDIM in data and in noise": ("ddim", "ddim_noise"),
    "Euler in sigma is DDIM": (spec(EULER, "noise", "clock"), "ddim"),
    "Euler in the flow's time is DDIM": (spec(EULER, "velocity", "clock"), "ddim"),
    "DPM-Solver-2 is AMED at one half": ("dpm_solver_2", "amed"),
    "2M midpoint is UniP-2 with B2": ("dpmpp_2m", spec(UNIP_2_BH2)),
    "3M corrected is Taylor with all its terms": ("dpmpp_3m", spec(DOUBLED)),
    "Heun as stages and as a table": ("heun_edm", spec(HEUN_TABLE, "noise", "clock")),
    "LMS-2 written out": (
        spec('[step]\nrule = "adams-bashforth"\nsteps = 2\n', "noise", "clock"),
        spec(LMS, "noise", "clock"),
    ),
    "DPM-Solver++(2S) is the exponential midpoint": (
        "dpmpp_2s",
        replace(load("amed"), integrand="data"),
    ),
}


@pytest.mark.parametrize("label", ONE_METHOD)
def test_one_method(label):
    first, second = (program(found) for found in ONE_METHOD[label])
    assert same(first, second) is None
    assert same(second, first) is None


# a, b, step and evaluation of the first difference (None is the state that ends the step)
DIFFERENT = [
    ("ddim", "dpmpp_2m", 2, 0),
    ("dpmpp_2m", "dpmpp_2m_exact", 2, 0),
    ("dpmpp_3m", "dpmpp_3m_as_published", 2, 0),
    ("dpmpp_2m_exact", "dpmpp_3m", 3, 0),
    ("unipc_2_bh1", "unipc_2_bh2", 2, 0),
    ("unipc_1_bh1", "unipc_1_bh2", 2, 0),
    ("ddim", "heun_edm", 0, None),
    ("dpm_solver_2", "heun_edm", 0, 1),
    ("dpmpp_2s", "dpm_solver_2", 1, 0),
    ("ipndm4", "pndm", 0, None),
    ("deis_rhoab3", "deis_tab3", 2, 0),
]


@pytest.mark.parametrize(("a", "b", "step", "evaluation"), DIFFERENT)
def test_first_difference(a, b, step, evaluation):
    found = same(program(a), program(b))
    assert found is not None and found.what
    assert (found.step, found.evaluation) == (step, evaluation), found


def test_a_difference_at_the_end_alone_is_found():
    heun = program("heun_edm")
    closed = program(replace(load("dpmpp_2m"), end=replace(load("dpmpp_2m").end, ramp=True)))
    found = same(program("dpmpp_2m"), closed)
    assert found and found.evaluation is None
    adams = '[step]\nrule = "adams-bashforth"\nsteps = 2\n'
    ruled = program(spec(adams + '[end]\nzero = "rule"\n', "noise", "clock"))
    plain = program(spec(adams, "noise", "clock"))
    found = same(plain, ruled)
    assert found and "sigma = 0" in found.what
    assert same(heun, heun) is None


def test_a_small_change_of_one_weight_is_a_difference():
    text = UNIP_2_BH2.replace('"n-1" = "-', '"n-1" = "-(1 + 1e-20)*')
    assert same(program("dpmpp_2m"), program(spec(text))) is not None


@pytest.mark.parametrize("seed", [2, *(pytest.param(s, marks=pytest.mark.nightly) for s in (1, 3))])
def test_one_method_on_random_grids_too(seed):
    """The grids of `same` are fixed; these are not."""
    chosen = random.Random(seed)
    lam, grid = mpmath.mpf(-chosen.random()), []
    for _ in range(7):
        grid.append(lam)
        lam += mpmath.mpf(chosen.uniform(0.05, 0.9))
    with mpmath.workdps(24):
        for first, second in ONE_METHOD.values():
            a, b = (unroll(program(found), grid) for found in (first, second))
            assert max(abs(p - q) for p, q in zip(a.final, b.final, strict=True)) < 1e-20
        for first, second, *_ in DIFFERENT:
            a, b = unroll(program(first), grid), unroll(program(second), grid)
            apart = len(a.final) != len(b.final) or max(
                abs(p - q) for p, q in zip(a.final, b.final, strict=True)
            )
            assert apart > 1e-4


def test_digests_are_of_the_method_and_not_of_its_names():
    made = load("dpmpp_2s")
    renamed = replace(made, name="other", title="Other", description="Another one.")
    assert digest(derive(made)) == digest(derive(renamed))
    stage = replace(made.stages[0], name="elsewhere")
    rule = replace(made.step, nodes=("n", "elsewhere"))
    assert digest(derive(made)) == digest(derive(replace(made, stages=(stage,), step=rule)))
    changed = replace(made, parameters=(replace(made.parameters[0], maximum=None),))
    assert digest(derive(made)) != digest(derive(changed))


@pytest.mark.nightly
def test_digests_differ_wherever_programs_differ():
    found = {}
    for name in names():
        made = derive(load(name))
        found.setdefault(digest(made), []).append(str(canonical(made)))
    assert all(len(set(texts)) == 1 for texts in found.values())
    assert len(found) > 20


def test_programs_are_values():
    first, second = derive(load("unipc_3_bh2")), derive(load("unipc_3_bh2"))
    assert first == second and hash(first) == hash(second)
    assert first.kappa == 1 and first.evaluations_per_step == 1 and first.history == 2
    assert "theta2" in first.free_symbols()
