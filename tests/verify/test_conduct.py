"""Real runs: what a sampler does beside the algebra of its rule is named, with an example."""

import functools
import itertools

import numpy as np
import pytest
import torch

from verify.conduct import basic, counts, rule, sameness
from verify.conduct.bench import Bench
from verify.conduct.checks import CHECKS, Conduct, Finding
from verify.conduct.schedulers import conduct_of_scheduler
from verify.conduct.surroundings import Surroundings
from verify.hosts.functions import adapted
from verify.judge import judge
from verify.order.audit import audit
from verify.targets import callable_target

from . import handwritten as hand
from . import handwritten_noise as noise
from . import handwritten_odd as odd
from .conftest import needs_diffusers


def judged(sampler, claim=2):
    return judge(callable_target(sampler, claim=claim), rates=False)


def found(verdict, gravity="breach"):
    made = [f for f in verdict.conduct["findings"] if f["gravity"] == gravity]
    return {f["check"]: f for f in reversed(made)}


@pytest.mark.parametrize(
    ("sampler", "check", "words"),
    [
        (odd.other_at_twelve, "steps", "N = 12 steps"),
        (odd.poor_when_short, "steps", "N = 5 to 8 steps"),
        (odd.good_at_some_counts, "steps", "N = 12, 24 to 25, 42 steps"),
        (odd.poor_on_long_spans, "size", "show order 1"),
        (odd.poor_in_large_steps, "size", "show order 1"),
        (odd.poor_at_low_levels, "level", "show order 2 before and 1 after"),
        (odd.shrunk_at_zero, "zero", "ends at 0.95 c"),
        (odd.poor_for_images, "shape", "differ"),
        (odd.blurred, "shape", "mix in space"),
        (odd.mixed_in_threes, "samples", "batch of 3"),
        (odd.poor_in_single, "dtype", "float32"),
        (odd.rewrites_its_grid, "inputs", "sigmas"),
        (odd.patches_numpy, "modules", "changes numpy: numpy.abs is another object after a run"),
        (odd.chooses_a_dtype, "settings", "default dtype changed after a run"),
        (odd.forgets_grad_mode, "settings", "grad mode changed"),
        (odd.seeds_for_all, "seeds", "seeds torch's random generator"),
        (odd.stops_early_at_odd, "last", "N = 9, 11, 13, 15, 25 steps the result is at level"),
    ],
)
def test_what_is_wrong_in_some_runs_is_refuted_by_name(sampler, check, words):
    verdict = judged(sampler)
    assert (verdict.status, verdict.reason) == ("fail", "conduct")
    breach = found(verdict)[check]
    assert words in breach["text"] and breach["example"]
    assert any(f"real run, {check}: {breach['text']}" in text for text in verdict.findings)


@pytest.mark.parametrize(
    ("sampler", "check", "noisy", "gravity", "words"),
    [
        (odd.poor_for_large_states, sameness.shape, False, "breach", "another for large states"),
        (odd.rolls_sixteen_channels, sameness.shape, False, "breach", "differ by"),
        (odd.poor_for_five, sameness.samples, False, "breach", "sample 0 of a batch of 5"),
        (odd.centred_on_the_batch, sameness.samples, False, "breach", "batch of 2"),
        (odd.told_apart, sameness.samples, False, "breach", "another level for sample 1"),
        (odd.first_of_the_draws, sameness.samples, True, "breach", "share those of the first"),
        (odd.writes_into_outputs, basic.inputs, False, "said", "what the model returned"),
    ],
)
def test_what_a_single_check_finds(sampler, check, noisy, gravity, words):
    (finding,) = check(Bench(adapted(sampler, "k-diffusion", {}), noisy=noisy))
    assert finding.gravity == gravity and words in finding.text


@pytest.mark.parametrize(
    ("sampler", "claim", "words"),
    [
        (odd.heun_between, 1, "the rule changes at level"),
        (odd.grows_over_ten, 2, "wherever the grid begins: its weights count steps"),
    ],
)
def test_rules_that_switch_are_said_to_and_pass_what_they_hold(sampler, claim, words):
    verdict = judged(sampler, claim)
    assert verdict.status == "pass", verdict.findings
    assert words in found(verdict, "said")["level"]["text"]


def test_weights_by_the_number_of_steps_are_left_to_the_rates():
    verdict = judged(odd.grows_over_the_run, None)
    assert verdict.status == "none", verdict.findings
    assert "depend on how many steps the run has" in found(verdict, "said")["steps"]["text"]


def test_what_a_target_changes_is_put_back_and_the_rest_is_judged_with_what_was_there():
    verdict = judged(odd.patches_numpy)
    assert np.abs(-1.0) == 1.0
    assert "claims order 2; on every grid it is 0" in verdict.findings[1]
    judge(callable_target(odd.chooses_a_dtype), rates=False, conduct=False)
    assert torch.get_default_dtype() == torch.float32


def test_settings_of_an_import_are_said_and_functions_it_changes_are_a_breach():
    around = Surroundings()
    with around.kept("its import"):
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.randn, drawn = torch.rand, torch.randn
    found = {f.check: f for f in around.findings}
    assert found["settings"].gravity == "said" and "number of threads" in found["settings"].text
    assert found["modules"].gravity == "breach" and "torch.randn is" in found["modules"].text
    assert torch.randn is drawn


def test_independent_draws_and_outputs_left_alone_are_not_told():
    noisy = Bench(adapted(noise.ddim_eta, "k-diffusion", {}), noisy=True)
    assert not [*sameness.samples(noisy), *basic.inputs(noisy), *sameness.shape(noisy)]


def test_a_sampler_that_remembers_the_run_before_is_told():
    verdict = judged(odd.remembers(), claim=1)
    assert verdict.status in ("fail", "error")
    assert "state" in (verdict.reason, *found(verdict))


def test_a_sampler_that_keeps_its_levels_is_told_from_one_that_snaps_them():
    verdict = judged(odd.keeps_its_grid())
    assert (verdict.status, verdict.reason) == ("error", "state")
    assert "levels of an earlier run of equal length" in verdict.findings[0]


@pytest.mark.parametrize("honest", [odd.calls_in_halves, odd.runs_in_halves])
def test_samples_are_compared_where_the_model_is_called_on_parts_of_a_batch(honest):
    assert [*sameness.samples(Bench(honest))] == []
    (finding,) = sameness.samples(Bench(functools.partial(honest, wrong=0.02)))
    assert finding.gravity == "breach" and "differs by" in finding.text


def test_parts_that_are_not_told_apart_are_a_remark():
    def sampler(model, x, sigmas):
        if len(x) > 1:
            model(x[:1] * 0, sigmas[0] * x.new_ones(1))
        return odd.calls_in_halves(model, x, sigmas)

    (finding,) = sameness.samples(Bench(sampler))
    assert finding.gravity == "remark" and "runs of batches are not compared" in finding.text


def test_one_hot_outputs_do_not_buy_an_order():
    verdict = judged(odd.kind_to_ones)
    assert verdict.status == "fail"
    assert set(verdict.audited.values()) == {1}
    assert any("one-hot" in text for text in verdict.findings)


def test_nan_at_level_zero_is_said_and_refutes_no_order():
    verdict = judged(odd.undefined_at_zero, claim=1)
    assert verdict.status == "pass"
    text = found(verdict, "said")["finite"]["text"]
    assert "NaN or infinity on all usual grids that end in 0" in text and "above 0 only" in text


@pytest.mark.parametrize(
    ("sampler", "claim"),
    [
        pytest.param(hand.ddim, 1, marks=pytest.mark.nightly),
        (hand.heun, 2),
        pytest.param(hand.midpoint_2m, 2, marks=pytest.mark.nightly),
        (functools.partial(hand.multistep, second=2.0), 2),
        pytest.param(hand.runge_kutta_4, 4, marks=pytest.mark.nightly),
        (hand.predictor_corrector, 3),
    ],
)
def test_honest_samplers_break_no_check(sampler, claim):
    def run(model, x, sigmas):
        return sampler(model, x, sigmas)

    verdict = judged(run, claim)
    assert (verdict.status, verdict.reason) == ("pass", ""), verdict.findings
    made = verdict.conduct
    assert set(made["held"]) | {f["check"] for f in made["findings"]} <= set(CHECKS)
    assert len(made["held"]) >= 12 and not made["skipped"]


@pytest.mark.parametrize(("sampler", "told"), [(odd.stops_early_at_odd, True), (odd.drifts, False)])
def test_a_lost_step_is_told_from_an_error_that_grows_to_one(sampler, told):
    run = adapted(sampler, "k-diffusion", {})
    assert bool([*counts.last(Bench(run, noisy=False))]) == told


def test_ranges_are_those_of_the_counts_that_were_run():
    assert counts.ranges([3, 4, 5, 9, 28, 30]) == "3 to 5, 9, 28 to 30"


def test_a_refusal_is_told_from_a_crash():
    def picky(model, x, sigmas):
        if len(sigmas) < 4:
            raise ValueError("at least three steps")
        return hand.ddim(model, x, sigmas)

    bench = Bench(picky)
    seen = bench.seen(bench.case(n=2))
    assert (seen.text, seen.crash) == ("ValueError: at least three steps", False)
    assert judged(picky, 1).status == "pass"


@needs_diffusers
@pytest.mark.parametrize(
    ("name", "options", "check", "words"),
    [
        ("DDIMScheduler", {"timestep_spacing": "linspace"}, "handover", "28 training times"),
        pytest.param(
            "DDIMScheduler",
            {"timestep_spacing": "trailing"},
            "handover",
            "training times away",
            marks=pytest.mark.nightly,
        ),
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, "shift", "shifted once, is 0.002994"),
        ("UniPCMultistepScheduler", {"lower_order_final": False}, "finite", "NaN"),
        pytest.param(
            "UniPCMultistepScheduler",
            {"solver_type": "bh1"},
            "finite",
            "NaN",
            marks=pytest.mark.nightly,
        ),
        ("DEISMultistepScheduler", {"use_karras_sigmas": True}, "levels", "listed twice"),
        pytest.param(
            "SASolverScheduler",
            {"use_karras_sigmas": True},
            "levels",
            "listed twice",
            marks=pytest.mark.nightly,
        ),
        ("EulerDiscreteScheduler", {"s_churn": 2.0}, "handover", "stands at level"),
        ("IPNDMScheduler", {}, "state", "`ets` holds 10 states after 10 steps and 30"),
        ("LMSDiscreteScheduler", {}, "begin", "before call 1 the state stands at level"),
    ],
)
def test_what_schedulers_do_around_their_rule_is_found(name, options, check, words):
    made = conduct_of_scheduler(name, options)
    assert any(words in f.text for f in made.findings if f.check == check), made.findings


@needs_diffusers
@pytest.mark.parametrize(
    "name",
    [
        "DPMSolverMultistepScheduler",
        pytest.param("EulerDiscreteScheduler", marks=pytest.mark.nightly),
        pytest.param("HeunDiscreteScheduler", marks=pytest.mark.nightly),
        "EulerAncestralDiscreteScheduler",
        pytest.param("EDMEulerScheduler", marks=pytest.mark.nightly),
        "FlowMatchEulerDiscreteScheduler",
    ],
)
def test_schedulers_that_do_as_they_say_break_no_check(name):
    assert not conduct_of_scheduler(name, {}).breaches


@needs_diffusers
def test_what_a_scheduler_does_to_batches_shapes_and_second_runs_is_found():
    from diffusers import EulerDiscreteScheduler

    class Odd(EulerDiscreteScheduler):
        runs = 0

        def set_timesteps(self, *args, **named):
            super().set_timesteps(*args, **named)
            self.runs += 1

        def step(self, output, timestep, sample, **named):
            x = super().step(output, timestep, sample, **{**named, "return_dict": False})[0]
            x = x + 0.01 * (x.mean(0, keepdim=True) - x)
            return (x * (1.001 if self.runs > 1 or x.shape[1] == 3 else 1.0),)

    found = {f.check: f.text for f in conduct_of_scheduler(Odd, {}).breaches}
    assert found["samples"].startswith("sample 0 of a batch of 2 differs")
    assert found["shape"].startswith("weights differ")
    assert found["state"].startswith("a second run of one scheduler, after one of 13 steps")


def test_a_small_number_that_float16_alone_adds_to_levels_is_no_rounding():
    def sampler(model, x, sigmas, added=0.0, lost=False):
        sigmas = sigmas.to(x.dtype) if lost else sigmas
        halved = added * (x.dtype == torch.float16)
        return hand.multistep(model, x, (sigmas + halved).double()).to(x.dtype)

    # what is computed from levels of half precision is told, no more
    for lost in (False, True):
        found = [*sameness.dtype(Bench(functools.partial(sampler, lost=lost)))]
        assert {f.gravity for f in found} <= {"remark"}
    found = [*sameness.dtype(Bench(functools.partial(sampler, added=5e-3)))]
    assert ["more than rounding" in f.text for f in found if f.gravity == "breach"] == [True]


def test_dtype_of_levels_is_a_remark():
    def rounded(model, x, sigmas):
        return hand.ddim(lambda x, s: model(x, s.to(x.dtype)), x, sigmas)

    notes = found(judged(rounded, 1), "remark")
    assert "bfloat16" in notes["dtype"]["text"]


def test_what_may_follow_from_a_kept_state_is_one_line():
    one = [
        Finding(name, f"{name} is wrong", "N = 5") for name in ("inputs", "state", "shape", "dtype")
    ]
    lines = Conduct(findings=tuple(one)).sentences()
    assert [line.partition(":")[0] for line in lines] == [
        "real run, inputs",
        "real run, state",
        "real run",
    ]
    assert lines[-1].startswith("real run: 2 checks that compare runs fail too")
    assert len(Conduct(findings=tuple(one[2:])).sentences()) == 2


def test_history_that_outlives_a_run_is_state_and_not_randomness():
    """It is used where the shape is that of the run before: a run of another shape between two hides it."""
    known = []

    def sampler(model, x, sigmas):
        for a, b in itertools.pairwise(sigmas):
            slope = (x - model(x, a * x.new_ones(len(x)))) / a
            old = known[0] if known and known[0].shape == slope.shape else slope
            x = x + (b - a) * (slope + 0.1 * (slope - old))
            known[:] = [slope]
        return x

    verdict = judged(sampler, claim=1)
    assert (verdict.status, verdict.reason) == ("fail", "conduct")
    assert "leaves something behind" in found(verdict)["state"]["text"]


def test_history_that_is_dropped_at_every_so_many_steps_lowers_the_order():
    reader = rule.Reader(Bench(adapted(odd.forgets_at_fifty, "k-diffusion", {})), "data", 0, 2e-15)
    (found,) = rule.level(reader)
    assert (
        "steps 50, 100 are rules of their own, of order 1: one comes back after 50 steps"
        in found.text
    )
    assert (found.gravity, found.order) == ("breach", 1)


def test_a_number_of_calls_that_is_drawn_is_named():
    found = audit(adapted(odd.refines_at_random, "k-diffusion", {}))
    assert found.status == "random"
    assert "which steps call the model more often" in found.message


@pytest.mark.parametrize(
    ("sampler", "check", "words", "gravity"),
    [
        (
            odd.tells_the_next_level,
            basic.levels,
            "stands at level 14.6, and the model is told 10",
            "breach",
        ),
        (odd.lists_a_level_twice, basic.levels, "calls 0 and 1 are one state at one level", "said"),
        (odd.ends_elsewhere, counts.last, "the result is at 1.02 times the last level", "breach"),
    ],
)
def test_a_level_that_is_not_the_grids_is_told(sampler, check, words, gravity):
    (found,) = check(Bench(adapted(sampler, "k-diffusion", {})))
    assert words in found.text and found.gravity == gravity
