"""Kinds of mutants that the judge once let pass, or rejected without a cause, each on one run or two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verify.errors import MutantError
from verify.judge import judge
from verify.mutants import judging, noisy
from verify.mutants.mutations import source_changes
from verify.noise.audit import draws_in_vain
from verify.noise.mean_causes import mean_causes, state_cause
from verify.noise.weak import Order, grows
from verify.order.constants_kept import constants_missed
from verify.order.growth import outgrown
from verify.probe.noise_trace import trace_noise
from verify.probe.trace import trace
from verify.problems import grids
from verify.targets import callable_target
from verify.verdict import Verdict

GENERATED = Path(__file__).parents[2] / "generated"
WHERE = 0.35
NOISE = "sa_solver_sde_p1"


def mutant(origin, name):
    made = judging.mutants(GENERATED / f"{origin}.py")
    return callable_target(next(m.module for m in made if m.name == name))


def honest(origin):
    text = (GENERATED / f"{origin}.py").read_text(encoding="utf-8")
    return callable_target(judging.load_text(text, origin))


def short(run):
    return trace(run, grids.local("arbitrary", 24, 0.03, WHERE))


@pytest.mark.parametrize(
    ("name", "share"), [("weight 0 times 1.01", "0.9901"), ("weight 0 times 2", "0.5")]
)
def test_outputs_that_miss_a_constant_are_said_where_weights_follow_the_grid(name, share):
    origin = "unipc_3_bh2_noise_as_shipped_by_diffusers"
    said = constants_missed(short(mutant(origin, name).run))
    assert said == f"every step: the weights of its outputs sum to {share} of what keeps a constant"
    assert constants_missed(short(honest(origin).run)) == ""


def test_growth_without_a_steady_rate_is_an_unstable_root():
    run = mutant("unipc_3_bh2_noise_as_shipped_by_diffusers", "weights 1 and 2 exchanged").run
    found = outgrown(run, trace, short(run), WHERE)
    assert found["uniform"] == pytest.approx(1.419, abs=0.01)
    right = honest("unipc_3_bh2_noise_as_shipped_by_diffusers").run
    assert outgrown(right, trace, short(right), WHERE) == {}


def test_errors_that_grow_with_the_number_of_steps_are_order_zero():
    assert grows([0.04, 0.09, 0.2, 0.5, 2.0, 20.0]) and grows([1.0, 1e9, np.inf, np.inf])
    assert not grows([1e-8, 2e-8, 4e-8, 8e-8]) and not grows([0.4, 0.2, 0.3, 0.5])


def causes_of(target):
    made = [trace_noise(target.run, grids.rough(n)) for n in (64, 128)]
    return [(c.step, c.kind) for c in state_cause(made, Order(0, False, None, "", (), ()))]


def test_what_every_step_of_a_sampler_with_noise_does_to_a_constant_is_named():
    assert causes_of(mutant(NOISE, "weight 0 times 1.01")) == [("every", "state")]
    assert causes_of(mutant(NOISE, "weights rounded to float32")) == [("every", "rounding")]
    assert causes_of(honest(NOISE)) == []
    # the strength of this one's noise changes along the run
    assert causes_of(mutant("er_sde_2", "weight 1 times 1.01")) == [("every", "inconsistent")]
    assert causes_of(honest("er_sde_2")) == []


def test_draws_that_are_asked_for_and_dropped_refute_what_is_stated_of_them():
    wrong = mutant(NOISE, "draw 0 times 0")
    assert draws_in_vain(wrong.run) > 20 and draws_in_vain(honest(NOISE).run) == 0
    verdict = judge(judging._without_claim(wrong), rates=False, constants=False, conduct=False)
    assert verdict.status == "fail" and "every step adds no noise" in verdict.findings[0]
    assert {(c["step"], c["kind"]) for c in verdict.causes} == {("every", "variance")}


def test_the_effect_of_a_mutant_with_noise_is_that_on_mean_and_covariance():
    right = honest(NOISE)
    laws, stated = noisy.laws(right.run), right.stated["WEAK_ORDER"]["arbitrary"]
    for name, kind in (
        ("draw 0 times -1", "equivalent"),
        ("draw 0 times 1.01", "order"),
        ("weight 1 times 1.01", "order"),
    ):
        assert noisy.effect(laws, mutant(NOISE, name).run, stated)[0] == kind
    # what tends to the marginal does so with the order that is stated
    gap = [abs(law.covariance - law.exact) for law in laws]
    assert np.log2(gap[0] / gap[1]) == pytest.approx(stated["covariance"][0], abs=0.15)


def test_functions_that_are_computed_together_are_changed_one_at_a_time():
    text = (
        "def phis(n, z):\n    return 1.0, 2.0, 3.0\n\n\ndef f(z):\n    return tuple(phis(3, -z))\n"
    )
    names = dict(source_changes(text))
    for name, wanted in (
        ("phi_2 for phi_1 / 2", (1.0, 0.5, 3.0)),
        ("phi_3 for phi_2 / 3", (1.0, 2.0, 2 / 3)),
    ):
        assert judging.load_text(names[name], "made").f(0.1) == wanted


def test_a_mutator_that_does_not_find_what_a_file_has_fails():
    renamed = "def coefficients(h):\n    p1_z, p2_z = phi_values(2, -h)\n    return p1_z - p2_z\n"
    with pytest.raises(MutantError, match=r"phi_2 for phi_1 / 2: the file has `p2_z`"):
        list(source_changes(renamed))
    ratio = "def coefficients(h, before):\n    t1 = divided(before, h) / 1\n    return t1\n"
    assert [name for name, _ in source_changes(ratio)] == ["step ratio upside down"]
    with pytest.raises(MutantError, match="history in the wrong order"):
        list(source_changes("def advance(memory):\n    d1, d2 = memory\n    return d2\n"))


def test_the_decay_of_the_state_and_the_levels_of_stages_are_causes_where_a_constant_is_kept():
    def found(origin, name):
        run = mutant(origin, name).run if name else honest(origin).run
        made = [trace_noise(run, grids.rough(n)) for n in (64, 128)]
        return [(c.step, c.kind) for c in mean_causes(made, Order(0, False, None, "", (), ()))]

    assert found("sde_dpm_solver_1", "weight 3 times -1") == [("every", "state")]
    assert found("sde_dpm_solver_1", "oldest weight moved to the newest") == [("every", "state")]
    assert found("sde_dpm_solver_1", "second start row repeats the first's rule") == [
        ("1", "state")
    ]
    assert found("heun_churn", "inner nodes 1 % off") == [("every", "condition")]
    assert found("heun_churn", "") == []


def test_what_breaks_before_a_step_is_made_is_named_as_that():
    verdict = Verdict("t", "t", "error", causes=({"step": "0", "kind": "raises"},))
    assert judging._named(set(), verdict) and not judging._named({3}, verdict)


def test_rounding_that_is_the_same_in_equal_steps_is_a_cause_where_the_mean_has_no_order():
    run = mutant("seeds_2_phi2", "weights rounded to float32").run
    made = [trace_noise(run, grids.uniform(n)) for n in (32, 64)]
    assert [c.step for c in mean_causes(made, Order(0, False, None, "", (), ()))] == ["every"]
