"""The judge judged: mutants of emitted files are rejected, the files themselves never."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from verify.judge import judge
from verify.mutants import judging as mutants
from verify.mutants.mutations import plan_changes
from verify.targets import callable_target
from verify.verdict import Verdict

GENERATED = Path(__file__).parents[2] / "generated"
DAILY = ("dpmpp_3m_as_published",)
NIGHTLY = (
    "abm5_lambda_pec",
    "heun_3",
    "dpmpp_2m",
    "heun_edm",
    "unipc_2_bh2",
    "unipc_3_bh2",
)


NOISE = ("sa_solver_sde_p1", "dpmpp_3m_sde_as_shipped_by_k_diffusion")
FACTORS = ("1.01", "2", "-1")


@lru_cache
def outcomes(names):
    chosen = one_factor if names == DAILY else lambda name: True
    return mutants.campaign([GENERATED / f"{name}.py" for name in names], chosen)


def one_factor(name):
    """Of the mutants that multiply one weight, one of each: each factor is met on some of them."""
    kind, _, factor = name.partition(" times ")
    return not factor or factor == FACTORS[int(kind.split()[1]) % len(FACTORS)]


@pytest.fixture(params=[DAILY, pytest.param(NIGHTLY, marks=pytest.mark.nightly)], ids=len)
def made(request):
    return outcomes(request.param)


def test_all_that_change_the_order_are_killed_and_causes_name_their_step(made):
    """Of weights, nodes, starts, precision and source; one test, since a campaign takes seconds."""
    killed, count = mutants.rates(made)["order"]
    assert count > 8
    assert killed == count, [o for o in made if o.effect == "order" and not o.killed]
    right, count = mutants.causes_right(made)
    assert right >= 0.95 * count, [
        (o.origin, o.name, o.why) for o in made if o.effect == "order" and not o.right
    ]
    names = " ".join(o.name for o in made)
    for part in ("times 1.01", "times 2", "times -1", "start row", "float32", "phi_", "ratio"):
        assert part in names


@pytest.mark.nightly
def test_all_that_change_a_law_are_killed_and_causes_name_their_step():
    made = outcomes(NOISE)
    killed, count = mutants.rates(made)["order"]
    assert count > 25 and killed == count
    right, count = mutants.causes_right(made)
    assert right >= 0.95 * count, [(o.origin, o.name, o.why) for o in made if not o.right]


@pytest.mark.nightly
def test_nearly_all_that_change_the_constant_are_killed():
    killed, count = mutants.rates(outcomes(NIGHTLY))["constant"]
    assert count > 2 and killed >= 0.95 * count


def test_honest_files_are_never_rejected():
    assert mutants.false_alarms([GENERATED / f"{n}.py" for n in DAILY], range(2)) == []


@pytest.mark.nightly
def test_honest_files_are_never_rejected_with_any_seed():
    assert mutants.false_alarms([GENERATED / f"{n}.py" for n in NIGHTLY], range(20)) == []


def test_rows_of_fewer_weights_are_left_as_they_are():
    """A first stage has no third weight to exchange; the rows after it have."""
    rows = [(0, 1, 1.0, (0.9, 0.1)), (0, 2, 0.8, (0.7, 0.1, 0.2))]
    changes = dict(plan_changes(3))
    for name, wrong in (
        ("weights 1 and 2 exchanged", (0.7, 0.2, 0.1)),
        ("oldest weight moved to the newest", (0.7, pytest.approx(0.3), 0.0)),
        ("1 % of weight 2 moved to weight 1", (0.7, pytest.approx(0.102), pytest.approx(0.198))),
    ):
        short, long = changes[name](rows)
        assert short == rows[0] and long[3] == wrong


def test_a_cause_must_name_the_step_that_was_changed():
    def verdict(step):
        return Verdict("t", "t", "fail", causes=({"step": step, "kind": "start"},))

    assert mutants._named({0}, verdict("first")) and mutants._named({11}, verdict("last"))
    assert not mutants._named({0}, verdict("every")) and not mutants._named({1}, verdict("first"))
    assert mutants._named(set(range(12)), verdict("every"))
    assert not mutants._named(set(range(12)), verdict("first"))


def test_weights_that_sum_to_something_else_are_said_where_steps_depend_on_the_grid():
    path = GENERATED / "ipndm_v3_as_shipped_by_diff_sampler.py"
    (wrong,) = (m for m in mutants.mutants(path) if m.name == "weight 3 times -1")
    found = judge(callable_target(wrong.module), rates=False, constants=False, conduct=False)
    assert found.reason == "nonlocal" and "weights sum to -2.83333 of the step" in found.findings[1]
