"""Whole verdicts on samplers that draw noise: orders, what is to blame, claims, strong errors."""

from __future__ import annotations

import functools
import itertools
import json
import math
import sys
import textwrap
import threading
import types
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from verify.hosts.functions import adapted
from verify.judge import judge
from verify.noise.audit import audit_noise, draws_noise
from verify.noise.causes import lone_variances
from verify.noise.claims import weigh_noise
from verify.noise.moments import steps
from verify.noise.restart import exact_start
from verify.noise.strong import laid, on_one_path, strong, strong_parts
from verify.noise.weak import ladder, weak
from verify.probe import noise_sources
from verify.probe.noise_trace import trace_noise
from verify.report import machine, page, terminal
from verify.targets import Target, callable_target, find

from . import handwritten as plain
from . import handwritten_noise as hand
from .conftest import needs_k_diffusion

ORACLE = {
    entry["id"]: entry
    for entry in json.loads(
        (Path(__file__).parents[1] / "data" / "order_oracle.json").read_text(encoding="utf-8")
    )["sde_methods"]
}
SHORT, LONG = np.geomspace(10.0, 0.1, 6), np.geomspace(10.0, 0.1, 16)
K = "k_diffusion.sampling:sample_"


def run_of(sampler, **options):
    return adapted(sampler, "k-diffusion", options)


def judged(sampler, **options):
    claim = options.pop("claim", None)
    target = callable_target(sampler, options=options)
    return judge(target, claim=claim, rates=False, conduct=False)


def test_a_module_with_the_number_of_one_that_is_gone_is_looked_at(monkeypatch):
    module, gone = types.ModuleType("with_a_tree"), types.ModuleType("gone")
    module.BrownianTreeNoiseSampler = type("BrownianTreeNoiseSampler", (), {})
    monkeypatch.setitem(noise_sources._TREELESS, id(module), weakref.ref(gone))
    monkeypatch.setitem(sys.modules, "with_a_tree", module)
    del gone
    assert module in noise_sources._with_trees()
    one, two = (noise_sources.replaced(noise_sources.Source((1,))) for _ in range(2))
    with one, two:
        pass
    assert isinstance(module.BrownianTreeNoiseSampler, type)
    assert module in noise_sources._with_trees()


def test_blocks_of_two_threads_that_end_in_any_order_leave_the_tree_as_it_was(monkeypatch):
    class BrownianTreeNoiseSampler:
        def __init__(self, x, **_):
            self.source = "its own"

    module = types.ModuleType("with_a_tree")
    module.BrownianTreeNoiseSampler = BrownianTreeNoiseSampler
    monkeypatch.setitem(sys.modules, "with_a_tree", module)
    both, ended = threading.Barrier(2, timeout=10), threading.Event()
    seen = {}

    def run(name, first):
        source = noise_sources.Source((1,))
        with noise_sources.replaced(source):
            both.wait()
            seen[name] = module.BrownianTreeNoiseSampler(torch.zeros(1)).source is source
            both.wait()
            if not first:
                ended.wait(10)
        if first:
            ended.set()

    runs = [threading.Thread(target=run, args=(name, name == "one")) for name in ("one", "two")]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    assert seen == {"one": True, "two": True}
    assert module.BrownianTreeNoiseSampler is BrownianTreeNoiseSampler


def test_a_sampler_that_draws_elsewhere_in_long_runs_is_watched_again():
    def two_sources(model, x, sigmas, *, noise_sampler=None):
        return hand.sde_adams(
            model, x, sigmas, noise_sampler=noise_sampler if len(sigmas) < 12 else None
        )

    run, honest = run_of(two_sources), run_of(hand.sde_adams)
    for _ in range(2):
        trace_noise(run, SHORT)
    assert not noise_sources.strayed()
    unseen = trace_noise(run, LONG, size=(15, 0))
    assert noise_sources.strayed() and not unseen.noisy
    seen, right = trace_noise(run, LONG), trace_noise(honest, LONG)
    assert np.array_equal(seen.weights, right.weights) and not noise_sources.strayed()


@needs_k_diffusion
def test_a_tree_is_replaced_in_a_module_that_sys_modules_holds_no_more(monkeypatch):
    (target,) = find(K + "dpmpp_2m_sde")
    for name in [name for name in sys.modules if name.endswith("k_diffusion.sampling")]:
        monkeypatch.delitem(sys.modules, name)
    assert judge(target, rates=False, conduct=False).noise


def said(verdict, part):
    return [terminal.moments(verdict, part)]


# every entry of the oracle with a sampler that it speaks of
OF_ORACLE = {
    "sde_dpmpp_1 = ddpm_ancestral = ddim_eta1 = sa_predictor_1(tau=1)": (
        [(hand.sde_adams, {}), (hand.ddim_eta, {"eta": 1.0})],
        [("euler_ancestral", {})],
    ),
    "ddim_eta (0<eta<1)": ([(hand.ddim_eta, {"eta": 0.5})], [("euler_ancestral", {"eta": 0.5})]),
    "sde_dpmpp_2m midpoint/heun": (
        [(hand.sde_adams, {"order": 2})],
        [("dpmpp_2m_sde", {}), ("dpmpp_2m_sde", {"solver_type": "heun"})],
    ),
    "sde_dpmpp_3m k-diffusion": ([], [("dpmpp_3m_sde", {})]),
    "sa_predictor_2 (tau>0)": ([(hand.sde_adams, {"order": 2, "tau": 0.4})], []),
    "sa_predictor_3 (tau>0)": ([(hand.sde_adams, {"order": 3, "tau": 0.4})], []),
    "k-diffusion dpmpp_sde (2S, r=1/2)": ([], [("dpmpp_sde", {})]),
    "euler_maruyama (in lambda)": ([(hand.euler_maruyama, {})], []),
    "edm_churn_heun with gamma_n = const*h": ([(hand.churned_heun, {})], []),
}


def met(entry, run):
    """Orders of an oracle entry against what is measured, with exact history where one is kept."""
    made = ladder(run, "uniform")
    own, kept = weak(made), exact_start(made)
    mean, covariance = kept or (own.mean, own.covariance)
    for key in ("weak_order_gaussian_covariance", "weak_order_gaussian_covariance_marginal_start"):
        if key in entry:
            assert covariance.order == entry[key]
    for key in ("mean_order", "weak_order_gaussian_mean"):
        if key in entry:
            assert mean.order == entry[key]
    if "strong_order" in entry:
        assert strong(made).order == entry["strong_order"]
    if entry.get("mean_exact_tau1"):
        assert mean.exact and own.martingale


@pytest.mark.parametrize("name", OF_ORACLE)
def test_every_entry_of_the_oracle_is_met(name):
    for sampler, options in OF_ORACLE[name][0]:
        met(ORACLE[name], run_of(sampler, **options))


@needs_k_diffusion
@pytest.mark.parametrize("name", [n for n, kinds in OF_ORACLE.items() if kinds[1]])
def test_k_diffusion_meets_the_oracle(name):
    for sampler, options in OF_ORACLE[name][1]:
        (target,) = find(K + sampler, options)
        met(ORACLE[name], target.run)


def test_the_oracle_is_covered():
    without_noise = "sa_predictor_q (tau=0)"
    assert set(ORACLE) == {*OF_ORACLE, without_noise}


@pytest.mark.parametrize(("order", "mean"), [(2, 2), (3, 3), (4, 4)])
def test_adams_rules_gain_mean_order_and_no_covariance_order(order, mean):
    found = exact_start(ladder(run_of(hand.sde_adams, order=order, tau=0.4), "arbitrary"))
    assert (found[0].order, found[1].order) == (mean, 2)


def test_strong_error_of_an_exact_step_is_that_of_the_integral():
    # one step of a rule that keeps constants, on data that are a point: the drift is exact, and the
    # draw is the path's own integral
    sigmas = np.exp(-np.linspace(-0.5, 0.5, 5))
    made = trace_noise(run_of(hand.sde_adams, tau=0.7), sigmas)
    edges = -np.log(sigmas)
    path = laid(made, steps(made), lambda at: 0.49 * (at - edges[0]))
    assert np.hypot(*strong_parts(made, path, 0.0)) < 1e-12
    assert np.hypot(*strong_parts(made, path, 1.0)) > 1e-2


def test_draws_that_do_not_say_where_they_belong_have_no_strong_order():
    def twice(model, x, sigmas):
        import torch

        ones = x.new_ones(len(x))
        for s, t in itertools.pairwise(sigmas):
            x = (t / s) ** 2 * x + (1 - (t / s) ** 2) * model(x, s * ones)
            kick = t * torch.sqrt((1 - (t / s) ** 2) / 2)
            x = x + kick * torch.randn_like(x) + kick * torch.randn_like(x)
        return x

    found = strong(ladder(twice, "uniform"))
    assert found.order is None and "noise_sampler" in found.reason


def test_noise_is_recognised_without_a_hint():
    assert draws_noise(run_of(hand.ddim_eta))
    assert not draws_noise(run_of(hand.ddim_eta, eta=0.0))
    assert not draws_noise(plain.heun)
    verdict = judged(hand.sde_adams, order=2)
    assert (verdict.status, verdict.reason) == ("none", "")
    assert said(verdict, "mean") == ["exact"] and said(verdict, "covariance") == ["2"]
    assert said(verdict, "strong") == ["1"]
    assert verdict.audited == {"uniform": 2, "smooth": 2, "arbitrary": 2}


def test_a_run_too_large_to_be_traced_is_refused_before_it_is(monkeypatch):
    def langevin(model, x, sigmas):
        for s in sigmas:
            for _ in range(300):
                x = x + 0.01 * (model(x, s * x.new_ones(len(x))) - x)
                x = x + math.sqrt(0.02) * s * torch.randn_like(x)
        return x

    monkeypatch.setattr("verify.probe.noise_trace.record", None)
    verdict = judge(callable_target(langevin), rates=False, conduct=False)
    assert (verdict.status, verdict.reason) == ("error", "size")
    assert "model calls" in verdict.findings[0] and "too large to be traced" in verdict.findings[0]


def test_a_wrong_variance_is_named_and_sized():
    verdict = judged(hand.sde_adams, order=2, scale=1.01, claim=2)
    assert verdict.status == "fail"
    cause = verdict.causes[0]
    assert (cause["kind"], cause["step"]) == ("variance", "every")
    assert cause["factor"] == pytest.approx(1 / 1.01, abs=1e-4)
    assert "noise variance of every step is 1.02" in verdict.findings[0]
    (alone,) = (t for t in verdict.findings if "mean, covariance and strong order 0" in t)
    assert "(" not in alone  # the claim that it refutes has told the cause
    assert any(t.startswith("the mean decays as at tau^2 = 1,") for t in verdict.findings)


@pytest.mark.parametrize("scale", [pytest.param(1.0, marks=pytest.mark.nightly), 1e-3])
def test_noise_that_belongs_to_no_strength_is_seen_whatever_its_size(scale):
    def spoilt(model, x, sigmas):
        for s, t in itertools.pairwise(sigmas):
            x = plain.heun(model, x, torch.stack([s, t]))
            x = x + scale * (s - t) * torch.randn_like(x)
        return x

    verdict = judged(spoilt)
    assert said(verdict, "strong") == ["0.5"]
    assert said(verdict, "covariance") == ["1"] and said(verdict, "mean") == ["2"]
    assert any("needs none" in cause["text"] for cause in verdict.causes)


def test_a_number_claimed_is_held_in_mean_and_covariance():
    """The mean of a first-order rule at full strength is exact, and holds any claim."""
    verdict = judged(hand.sde_adams, claim=7)
    assert verdict.status == "fail" and "claims covariance order 7; it is 1" in verdict.findings[0]


def test_a_missing_share_is_named():
    verdict = judged(hand.seeds_2, share=False, claim=2)
    assert verdict.status == "fail"
    assert any("stage 1 is not part of the step's noise" in f for f in verdict.findings)


def test_a_wrong_moment_is_named_in_the_clock_of_the_reverse_process():
    def halved(model, x, sigmas, noise_sampler=None):
        # SDE-DPM-Solver++(2M) with half of its first moment
        ones, old = x.new_ones(len(x)), None
        noise = noise_sampler
        for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
            h = math.log(float(s / t))
            whole = -math.expm1(-2 * h)
            denoised = model(x, s * ones)
            x = math.exp(-2 * h) * x + whole * denoised
            if i:
                last = math.log(float(sigmas[i - 1] / s))
                x = x + 0.5 * (1 - whole / (2 * h)) * h / last * (denoised - old)
            x = x + t * math.sqrt(whole) * noise(s, t)
            old = denoised
        return x

    verdict = judged(halved, claim=2)
    assert verdict.status == "fail"
    moment = next(c for c in verdict.causes if c["kind"] == "moment")
    assert (moment["degree"], moment["factor"]) == (1, pytest.approx(2.0, abs=1e-3))


EMITTED = """
import torch

NAME = "ddpm"
NOISE = {"form": "sde"}
CLAIM = %s
WEAK_ORDER = %s

def sample(model, x, sigmas, extra_args=None, callback=None, disable=None, *, alphas=None,
           noise_sampler=None, eta=1.0):
    draw = noise_sampler or (lambda s, t: torch.randn_like(x))
    for s, t in zip(sigmas[:-1], sigmas[1:]):
        d = model(x, s * x.new_ones(len(x)))
        var = eta ** 2 * t ** 2 * (1 - (t / s) ** 2)
        x = d + torch.sqrt(t ** 2 - var) / s * (x - d)
        if eta:
            x = x + torch.sqrt(var) * draw(s, t)
    return x
"""


def emitted(folder, claim, orders, *, whole=False):
    table = {kind: orders for kind in ("uniform", "smooth", "arbitrary")}
    path = folder / "made.py"
    path.write_text(textwrap.dedent(EMITTED % (claim, table)), encoding="utf-8")
    (target,) = find(str(path))
    return judge(target, rates=whole, conduct=whole)


@pytest.fixture(scope="module")
def ddpm():
    """What is found of DDPM, once for all statements about it."""
    return audit_noise(run_of(hand.ddim_eta, eta=1.0))


def weighed(found, claim, orders):
    table = {kind: orders for kind in ("uniform", "smooth", "arbitrary")}
    return weigh_noise(None, {"CLAIM": claim, "WEAK_ORDER": table}, found)


RIGHT = {"mean": "exact", "covariance": [1, True], "strong": [1, True]}


def test_an_emitted_file_is_held_to_its_statements(tmp_path):
    verdict = emitted(tmp_path, {"mean": 1, "covariance": 1, "strong": 1}, RIGHT, whole=True)
    assert (verdict.status, verdict.findings) == ("pass", ())
    assert verdict.noise["promise"] == {"uniform": 1, "smooth": 1, "arbitrary": 1}


@pytest.mark.parametrize(
    ("claim", "orders", "text"),
    [
        ({"covariance": 2}, RIGHT, "claims covariance order 2; it is 1"),
        ({}, {**RIGHT, "covariance": [2, False]}, "states covariance order [2, False]; it is 1"),
        ({}, {**RIGHT, "strong": "exact"}, "states strong order exact; it is 1"),
        ({}, {**RIGHT, "strong": [0.5, True]}, "states strong order [0.5, True]; it is 1"),
        ({}, {**RIGHT, "mean": [4, True]}, "states mean order [4, True]; it is exact"),
        ({}, {**RIGHT, "mean": [0, True]}, "states mean order [0, True]; it is exact"),
    ],
)
def test_a_false_statement_is_refuted(ddpm, claim, orders, text):
    status, _, findings = weighed(ddpm, claim, orders)
    assert status == "fail" and text in findings[0]


def test_a_stated_bound_holds_for_what_is_exact(ddpm):
    status, _, findings = weighed(ddpm, {}, {**RIGHT, "mean": [4, False]})
    assert (status, findings) == ("pass", ())


def slow_noise(model, x, sigmas, noise_sampler=None):
    """DDPM of a strength that vanishes like the square root of the step: strong order 1/2."""
    draw = noise_sampler or (lambda s, t: torch.randn_like(x))
    for s, t in itertools.pairwise(sigmas):
        d = model(x, s * x.new_ones(len(x)))
        h = torch.log(s / t)
        x = d + torch.exp(-(h**2)) * t / s * (x - d)
        x = x + t * torch.sqrt(-torch.expm1(-2 * h**2)) * draw(s, t)
    return x


def test_half_an_order_along_the_path_is_measured():
    found = judged(slow_noise).noise["grids"]["uniform"]
    assert found["strong"]["order"] == 0.5 and found["mean"]["order"] == 1


def windowed(model, x, sigmas, scale=1.0, noise_sampler=None):
    """SDE-DPM-Solver++ of full strength inside a window of sigma, DDIM outside it."""
    for s, t in itertools.pairwise(sigmas):
        tau = 1.0 if 0.5 <= float(s) <= 2 else 0.0
        pair = torch.stack([s, t])
        x = hand.sde_adams(model, x, pair, tau=tau, scale=scale, noise_sampler=noise_sampler)
    return x


@pytest.mark.nightly  # the wrong one below takes the same way
def test_noise_inside_a_window_is_judged_part_by_part():
    verdict = judged(windowed, claim=1)
    assert verdict.status == "pass"
    above, inside, below = verdict.noise["windows"]
    assert [w["noisy"] for w in (above, inside, below)] == [False, True, False]
    assert inside["sigma"] == pytest.approx((2.0, 0.5), rel=0.05)
    # the martingale of full strength holds inside alone; the run has the lowest order of its parts
    assert inside["grids"]["uniform"]["mean"]["exact"]
    assert above["grids"]["uniform"]["mean"]["order"] == 1
    whole = verdict.noise["grids"]["arbitrary"]
    assert [whole[k]["order"] for k in ("mean", "covariance", "strong")] == [1, 1, 1]
    assert whole["strength"] == pytest.approx((1.0,), abs=1e-9)
    said = "with noise, sigma 1.96 to 0.5: order of mean exact, covariance 1, strong 1"
    assert said in verdict.noise["said"]


def test_wrong_noise_inside_a_window_is_refuted():
    verdict = judged(functools.partial(windowed, scale=1.01), claim=1)
    assert verdict.status == "fail"
    assert "claims covariance order 1; it is 0" in " ".join(verdict.findings)


def test_draws_are_counted_in_words():
    counts = (1.0, 3.004, 0.496)
    said = ["1 draw a step", "3 draws a step", "draws at some steps"]
    assert [terminal.draws(count) for count in counts] == said


def test_reports_of_noise(tmp_path):
    verdict = emitted(tmp_path, {}, RIGHT)
    table = terminal.table([verdict])
    assert "noise: order of mean exact, covariance 1, strong 1" in table
    assert (
        json.loads(machine.as_json([verdict]))[0]["noise"]["grids"]["uniform"]["strong"]["order"]
        == 1
    )
    assert "covariance 1" in page.page([verdict])
    assert '"noise"' in machine.as_junit([verdict])


def test_lengths_that_follow_from_norms_are_named():
    (target,) = find(str(Path(__file__).parents[2] / "generated/predictor_corrector_ve_snr.py"))
    verdict = judge(target, rates=False, conduct=False)
    assert (verdict.status, verdict.reason) == ("none", "nonlinear")
    assert judge(target, claim=1, rates=False, conduct=False).status == "error"


def test_misbehaviour_of_a_noisy_sampler_is_named():
    def clipped(model, x, sigmas, noise_sampler=None):
        return hand.sde_adams(
            lambda x, s: model(x, s).clamp(-1, 1), x, sigmas, noise_sampler=noise_sampler
        )

    verdict = judged(clipped)
    assert verdict.noise["amplitude"] < 1 and "a clip or a threshold" in verdict.noise["said"][0]


def test_noise_shared_between_stage_and_step_is_seen():
    assert audit_noise(run_of(hand.seeds_2)).shared
    assert not audit_noise(run_of(hand.seeds_2, share=False)).shared


def overlapping(model, x, sigmas, noise_sampler=None):
    """DPM-Solver++ SDE: the stage's draw and the step's overlap, and only a path relates them."""
    ones = x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        m = (s * t).sqrt()
        first = model(x, s * ones)
        a, b = (m / s) ** 2, (t / s) ** 2
        stage = a * x + (1 - a) * first + m * (1 - a).sqrt() * noise_sampler(s, m)
        x = b * x + (1 - b) * model(stage, m * ones) + t * (1 - b).sqrt() * noise_sampler(s, t)
    return x


def test_draws_that_overlap_are_also_read_on_one_path():
    made = ladder(run_of(overlapping), "uniform")
    joined = on_one_path(made)
    assert weak(made).covariance.order == 1
    assert weak(joined).covariance.order == 2
    assert on_one_path(ladder(run_of(hand.seeds_2), "uniform", (16, 32, 64))) is None


def test_a_strength_that_is_off_by_default_is_switched_on(tmp_path):
    text = textwrap.dedent(EMITTED % ({}, {})).replace("eta=1.0", "eta=0")
    text = text.replace('{"form": "sde"}', '{"form": "sde", "strength": "eta"}')
    (tmp_path / "made.py").write_text(text, encoding="utf-8")
    (target,) = find(str(tmp_path / "made.py"))
    assert draws_noise(target.run) and not draws_noise(target.quiet)


@pytest.mark.nightly
@needs_k_diffusion
def test_a_churn_per_step_has_no_strength_on_rough_grids():
    (target,) = find(K + "heun", {"s_churn": 2.0})
    found = audit_noise(target.run, target.quiet)
    assert found.kind == "before"
    assert found.grids["uniform"].covariance.order == 2
    assert (found.grids["uniform"].strong.order, found.grids["arbitrary"].strong.order) == (1, 0)


def test_a_target_is_any_run():
    verdict = judge(Target("mine", run_of(hand.renoise)), rates=False, conduct=False)
    assert verdict.noise["kind"] == "anew" and verdict.status == "none"


@pytest.mark.parametrize(("size", "told"), [(1.5, True), (1.0, False)])
def test_noise_that_is_wrong_in_the_last_step_alone_is_told(size, told):
    made = ladder(run_of(hand.loud_at_the_end, size=size), "uniform", (16, 32))
    said = lone_variances(made)
    assert bool(said) == told
    assert not told or "last step is 2.25 of what its drift needs" in said[0]
