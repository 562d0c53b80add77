"""Verdicts that say no more than was proved or measured, and causes told apart."""

import functools
from dataclasses import replace
from pathlib import Path

import pytest

from verify.judge import judge
from verify.noise.amplitude import linear_at
from verify.order.audit import Audit, GridAudit, audit
from verify.order.claims import weigh
from verify.report.machine import exit_code
from verify.targets import callable_target, find

from . import handwritten as hand
from . import handwritten_noise as hand_noise
from . import handwritten_odd as odd


def judged(sampler, claim):
    return judge(callable_target(sampler, claim=claim, name="sampler"), rates=False, conduct=False)


def test_at_least_below_the_claim_is_no_pass():
    verdict = judged(odd.single_rk4, 4)
    assert (verdict.status, verdict.reason, exit_code([verdict])) == ("error", "unproved", 2)
    assert "could not be judged" in verdict.findings[0]
    assert judged(odd.single_inside, 2).status == "pass"


def test_a_wrong_constant_is_not_rounding():
    verdict = judged(odd.all_off, 2)
    assert verdict.status == "fail"
    assert set(verdict.audited.values()) == {0}
    assert not any("single precision" in text for text in verdict.findings)


@pytest.mark.parametrize("sampler", [odd.clamped, odd.dynamic])
def test_thresholding_has_the_order_of_its_rule_and_is_told(sampler):
    found = audit(sampler)
    assert set(found.orders().values()) == {2}
    assert found.amplitude < 1 and "bite from outputs of about" in found.notes[0]


def test_the_amplitude_where_a_clamp_bites_is_its_bound():
    (note,) = audit(functools.partial(odd.clamped, bound=3.0)).notes
    assert 2.7 < float(note.split("of about ")[1].split()[0]) < 3.1


def test_snapped_levels_have_the_order_of_the_levels_meant_and_a_floor():
    found = audit(odd.told_rounded)
    assert set(found.orders().values()) == {2}
    assert 1e-3 < found.snapped < 3e-3 and "snapped" in found.notes[0]
    verdict = judged(functools.partial(odd.told_rounded, parts=1000), 2)
    assert verdict.status == "pass" and any("snapped" in text for text in verdict.findings)
    assert 1e-4 < verdict.audit["snapped"] < 6e-4


def test_scalars_of_the_model_are_frozen():
    found = audit(odd.scaled_by_mean)
    assert found.frozen and set(found.orders().values()) == {1}


@pytest.mark.parametrize(("sampler", "step"), [(odd.poor_once, "15"), (odd.poor_half_way, "12")])
def test_a_step_of_its_own_counts_once(sampler, step):
    found = audit(sampler)
    assert found.status == "ok" and set(found.orders().values()) == {2}
    assert [str(s) for s, _ in found.once] == [step]


@pytest.mark.parametrize(
    ("every", "words"),
    [(10, "every 10th step (steps 10, 20, 30"), (3, "every 3rd step (steps 3, 6, 9")],
)
def test_a_step_of_its_own_that_comes_back_costs_an_order(every, words):
    found = audit(functools.partial(odd.forgets, every=every), classes=("uniform",))
    assert (found.status, found.grids["uniform"].order) == ("ok", 1)
    (cause,) = found.grids["uniform"].causes
    assert (cause.kind, cause.step, cause.caps) == ("recurring", str(every), 1)
    assert words in cause.text and "local error h^2" in cause.text


def test_steps_that_are_one_method_together_are_none_of_their_own():
    found = audit(odd.in_pairs, classes=("uniform",))
    assert found.grids["uniform"].order == 2 and found.turn is None


def test_a_generator_is_run_to_its_end():
    assert set(judged(odd.yielding, 2).audited.values()) == {2}


@pytest.mark.parametrize("order", [3, 4])
def test_adams_rules_in_the_angle(order):
    found = audit(functools.partial(odd.angle_adams, order=order))
    assert (found.form, set(found.orders().values())) == ("v", {order})


def test_rates_above_the_audit_are_a_disagreement():
    """A weight off by a hair: conditions say order 0, slopes over usual N say 2."""
    target = callable_target(functools.partial(odd.all_off, by=1e-9), claim=2, name="sampler")
    verdict = judge(target, grids=("uniform",), conduct=False)
    assert verdict.status == "disagree" and exit_code([verdict]) == 2
    assert "disagree" in verdict.findings[0] and "slope is 2.0" in verdict.findings[0]


def test_an_honest_claim_that_falls_short_is_still_refuted():
    assert judged(hand.ddim, 2).status == "fail"


def test_levels_that_miss_by_one_factor_are_wrong_not_snapped():
    def sampler(model, x, sigmas):
        return hand.multistep(lambda x, s: model(x, 1.01 * s), x, sigmas)

    found = audit(sampler)
    assert found.status == "grid" and "told 1.01 times the level" in found.message


def test_a_snapped_grid_has_a_measured_order_until_its_floor():
    verdict = judged(odd.grid_rounded, 2)
    assert verdict.status == "pass", verdict.findings
    assert "measured order 2" in verdict.findings[0] and "until the floor" in verdict.findings[0]
    assert judged(odd.grid_rounded, 3).status == "fail"


def test_a_clamp_under_noise_is_avoided_by_smaller_values():
    _, amplitude = linear_at(odd.clamped_ancestral)
    assert amplitude < 1
    assert linear_at(lambda model, x, sigmas: hand_noise.ddim_eta(model, x, sigmas))[1] == 1


@pytest.mark.nightly
def test_a_clamp_under_noise_does_not_hide_the_orders():
    verdict = judged(odd.clamped_ancestral, 1)
    assert verdict.status == "pass", verdict.findings
    assert verdict.noise["amplitude"] < 1
    assert "a clip or a threshold bites" in verdict.noise["said"][0]


def test_a_stated_order_above_a_lower_bound_of_the_audit_is_not_passed():
    """Weights that outgrow their digits leave nothing but the bound 0: no proof of what a file states."""
    row = {"exact_start": [4, True], "own_start": [4, True], "own_end": [4, True]}
    stated = {"ORDER": dict.fromkeys(("uniform", "smooth", "arbitrary"), row)}
    target = replace(callable_target(hand.ddim), stated=stated)

    def found(order, exact):
        grid = GridAudit(order, exact, order, order, order, (), ())
        return Audit("ok", grids=dict.fromkeys(("uniform", "smooth", "arbitrary"), grid))

    status, findings = weigh(target, None, found(0, False), {}, {})
    assert status == "error" and "states order 4" in findings[0] and "at least 0" in findings[0]
    assert weigh(target, None, found(0, True), {}, {})[0] == "fail"
    assert weigh(target, None, found(4, False), {}, {})[0] == "pass"


@pytest.mark.parametrize(
    ("name", "why"),
    [("WEAK_ORDER", "draws no noise at its defaults"), ("LOCAL_ORDER", "no run on short grids")],
)
def test_what_is_stated_and_not_judged_is_said(name, why):
    target = replace(callable_target(hand.ddim), stated={name: {"uniform": {"mean": [1, True]}}})
    status, findings = weigh(target, None, Audit("ok"), {}, {})
    assert status == "none" and len(findings) == 1 and why in findings[0]
    assert weigh(replace(target, stated={}), None, Audit("ok"), {}, {}) == ("none", ())


def test_an_order_of_single_steps_is_read_from_a_file():
    (target,) = find(str(Path(__file__).parents[2] / "generated" / "heunpp2.py"))
    assert "LOCAL_ORDER" in target.stated
