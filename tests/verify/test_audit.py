"""The audit on samplers whose orders are known, honest and broken."""

from __future__ import annotations

import functools
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from verify.order.audit import audit
from verify.order.conditions import words
from verify.probe.noise_trace import trace_noise
from verify.probe.repeatability import agreement
from verify.probe.tableau import in_form
from verify.probe.trace import trace
from verify.problems import grids
from verify.targets import find

from . import handwritten as hand
from . import handwritten_odd as odd


def orders(sampler, **options):
    found = audit(functools.partial(sampler, **options))
    assert found.status == "ok", found.message
    return tuple(found.orders().values())


@pytest.mark.parametrize(
    ("sampler", "options", "expected"),
    [
        (hand.ddim, {}, (1, 1, 1)),
        (hand.multistep, {}, (2, 2, 2)),
        (hand.midpoint_2m, {}, (2, 2, 2)),
        (hand.multistep, {"second": 1.0}, (2, 2, 2)),
        (hand.multistep, {"second": 2.0}, (2, 2, 2)),
        (hand.heun, {}, (2, 2, 2)),
        (hand.runge_kutta_4, {}, (4, 4, 4)),
        (hand.frozen_adams, {}, (2, 2, 1)),
        (hand.predictor_corrector, {}, (3, 3, 3)),
        (hand.predictor_corrector, {"lower_last": True}, (2, 2, 2)),
        (hand.multistep, {"first": 0.99}, (1, 1, 1)),
        (hand.multistep, {"sign": -1.0}, (1, 1, 1)),
        # h and h_{-1} swapped: local errors D' (h_{-1}^2 - h^2) / 2 of order one, which telescope
        (hand.multistep, {"swap": True}, (2, 2, 2)),
    ],
)
def test_orders_are_exact(sampler, options, expected):
    assert orders(sampler, **options) == expected


def test_exact_history_and_start_are_told_apart():
    found = audit(functools.partial(hand.multistep, second=2.0)).grids["arbitrary"]
    assert (found.exact_start, found.own_start, found.exact) == (3, 2, True)
    (cause,) = found.causes
    assert (cause.kind, cause.step, cause.degree, cause.caps) == ("start", "first", 1, 2)


def test_a_missing_factor_two_is_named():
    found = audit(functools.partial(hand.multistep, second=1.0))
    for grid in found.grids.values():
        (cause,) = grid.causes
        assert (cause.kind, cause.step, cause.degree) == ("moment", "every", 2)
        assert cause.factor == pytest.approx(2.0, abs=1e-4)
        assert "must be multiplied by 2" in cause.text


def test_one_percent_is_seen_and_sized():
    cause = audit(functools.partial(hand.multistep, first=0.99)).grids["uniform"].causes[0]
    assert (cause.kind, cause.degree) == ("moment", 1)
    assert cause.factor == pytest.approx(1 / 0.99, abs=1e-6)


def test_a_lower_last_step_is_named():
    causes = audit(functools.partial(hand.predictor_corrector, lower_last=True)).grids["uniform"]
    assert [(c.kind, c.step, c.caps) for c in causes.causes] == [("end", "last", 2)]


def test_frozen_weights_are_named():
    causes = audit(hand.frozen_adams).grids["arbitrary"].causes
    assert [(c.kind, c.degree, c.caps) for c in causes] == [("frozen", 1, 1)]


def test_calls_and_form():
    assert audit(hand.heun).calls_per_step == 2
    assert audit(hand.runge_kutta_4).calls_per_step == 4
    assert audit(hand.frozen_adams).form == "noise"
    assert audit(hand.midpoint_2m).form == "data"


def test_order_does_not_depend_on_the_form():
    sigmas = grids.uniform(8)
    made = trace(hand.heun, sigmas)
    for form in ("data", "noise", "velocity"):
        table = in_form(made, form)
        # constants are integrated exactly and the start value is kept, in every form
        assert np.allclose(table.a.sum(axis=1), table.c - table.c[0], atol=1e-13)
        assert np.abs(table.drift).max() < 1e-13


def test_weights_are_those_of_the_formula():
    sigmas = np.asarray([2.0, 1.0, 0.4])
    made = trace(hand.ddim, sigmas)
    assert np.allclose(made.weights, [[0, 0], [0.5, 0], [0.2, 0.6]], atol=1e-15)
    assert np.allclose(made.start, [1, 0.5, 0.2], atol=1e-15)
    assert np.array_equal(made.nodes, sigmas)


def test_words_are_as_many_as_rooted_trees():
    for limit, count in ((2, 1), (3, 2), (4, 4), (5, 9), (6, 20)):
        of_weight = [w for w in words(limit, False, False) if w.weight == limit]
        assert len(of_weight) == count
    assert len([w for w in words(5, True, False) if w.weight == 5]) == 37


def test_equal_samplers_agree_and_others_do_not():
    sigmas = grids.rough(10)
    euler = functools.partial(hand.multistep, first=0.0)
    assert agreement(hand.ddim, euler, sigmas) < 1e-13
    assert agreement(hand.midpoint_2m, hand.multistep, sigmas) > 1e-4
    assert agreement(hand.ddim, hand.heun, sigmas) == float("inf")


def misbehaved():
    def raises(model, x, sigmas):
        raise RuntimeError("no such luck")

    def nan(model, x, sigmas):
        return hand.ddim(model, x, sigmas) * float("nan")

    def shape(model, x, sigmas):
        return hand.ddim(model, x, sigmas)[:, :1]

    def silent(model, x, sigmas):
        return x * sigmas[-1] / sigmas[0]

    def ignores(model, x, sigmas):
        return hand.ddim(model, x, torch.linspace(2.0, 0.5, 25, dtype=torch.float64))

    memory = []

    def remembers(model, x, sigmas):
        memory.append(0)
        return hand.ddim(model, x, sigmas) * (1 + 1e-3 * len(memory))

    calls = []

    def irregular(model, x, sigmas):
        calls.append(0)
        for _ in range(len(calls)):
            model(x, sigmas[0] * x.new_ones(len(x)))
        return hand.ddim(model, x, sigmas)

    def random(model, x, sigmas):
        return hand.ddim(model, x, sigmas) + 0.1 * torch.randn(x.shape, dtype=x.dtype)

    def single(model, x, sigmas):
        return hand.ddim(model, x, sigmas).float()

    return {
        "raises": raises,
        "nan": nan,
        "shape": shape,
        "grid": ignores,
        "state": remembers,
        "random": random,
        "dtype": single,
        "calls": irregular,
        "none": silent,
    }


@pytest.mark.parametrize("kind", ["raises", "nan", "shape", "grid", "state", "random", "dtype"])
def test_misbehaviour_is_named(kind):
    found = audit(misbehaved()[kind])
    assert found.status == kind and found.message and not found.grids


def test_random_numbers_from_elsewhere_are_told_from_kept_state():
    def elsewhere(model, x, sigmas):
        noise = np.random.standard_normal(x.shape)
        return hand.ddim(model, x, sigmas) + 0.1 * torch.from_numpy(noise)

    found = audit(elsewhere)
    assert found.status == "random" and "numpy.random" in found.message


def test_changing_call_counts_are_named():
    assert audit(misbehaved()["calls"]).status == "calls"
    found = audit(misbehaved()["none"])
    assert found.status == "calls" and "never calls" in found.message


def test_a_sampler_may_change_in_place_what_it_is_given():
    def in_place(model, x, sigmas):
        for s, t in itertools.pairwise(sigmas):
            output = model(x, s * x.new_ones(len(x)))
            x.mul_(t / s).add_(output.mul_(1 - t / s))
        return x

    def noised(model, x, sigmas):
        return in_place(model, x, sigmas).add_(torch.randn_like(x).mul_(0.1))

    assert orders(in_place) == (1, 1, 1)
    seen = trace_noise(noised, grids.rough(6))
    assert seen.noisy and seen.drift.bend < 1e-12


def test_clipping_is_recognised():
    def clipped(model, x, sigmas):
        return hand.ddim(lambda x, s: model(x, s).clamp(-1, 1), x, sigmas)

    found = audit(clipped)
    assert (found.status, found.linear) == ("ok", False)
    assert found.amplitude < 1 and set(found.orders().values()) == {1}


def test_single_precision_inside_is_met_with_care():
    def cast(model, x, sigmas):
        return hand.multistep(lambda x, s: model(x, s).float().double(), x, sigmas, first=1.0)

    def rounded(model, x, sigmas):
        ones = x.new_ones(len(x))
        for s, t in itertools.pairwise(sigmas):
            x = (t / s * x + (1 - t / s) * model(x, s * ones)).float().double()
        return x

    assert audit(cast).orders()["uniform"] == 2
    found = audit(rounded)
    assert found.noise > 1e-9 and found.orders() == dict.fromkeys(found.orders(), 1)


def test_ends_that_depend_on_the_number_of_steps_are_all_looked_at():
    # diffusers' singlestep list of orders: 24 intervals are 3 each, 25 end with DDIM, 26 with 2S
    path = Path(__file__).parents[2] / "generated" / "dpmpp_3s_grid_as_shipped_by_diffusers.py"
    (target,) = find(str(path))
    found = audit(target.run, classes=("uniform",)).grids["uniform"]
    assert (found.exact_start, found.own_end) == (3, 2)
    (cause,) = found.causes
    assert cause.text.startswith("end: the last step of 25 has local error h^2")


def test_weights_that_cancel_are_told_from_zero_in_larger_steps():
    points, shares = np.polynomial.legendre.leggauss(4)

    def cancelling(model, x, sigmas, size=10.0):
        """Adams-Bashforth of order 5 in sigma, whose weights are differences of large ones."""
        nodes, outputs = [], []
        for s, t in itertools.pairwise(sigmas.tolist()):
            nodes, outputs = [*nodes[-4:], s], [*outputs[-4:], (x - model(x, s)) / s]
            where = (s + t) / 2 + (t - s) / 2 * points
            for node, output in zip(nodes, outputs, strict=True):
                others = [m for m in nodes if m != node]
                basis = math.prod(((where - m) / (node - m) for m in others), start=np.ones(4))
                x = x + (float((t - s) / 2 * shares @ basis) + size) * output
            x = x - size * sum(outputs)
        return x

    made = audit(cancelling, classes=("uniform",)).grids["uniform"]
    assert (made.exact_start, made.exact, made.own_start) == (5, True, 2)


def test_half_precision_under_a_clamp_is_no_wrong_weight():
    found = audit(odd.half_inside)
    assert found.status == "nonlinear" and "half precision" in found.message


def test_calls_that_depend_on_the_size_of_steps_are_named():
    found = audit(odd.without_the_model_in_small_steps)
    assert found.status == "calls" and "depend on their size" in found.message


def test_a_weight_that_is_wrong_in_equal_steps_alone_is_found():
    found = audit(odd.poor_in_equal_steps)
    assert tuple(found.orders().values()) == (1, 2, 2)
    assert "weight 1.4, needs 1.5" in found.grids["uniform"].causes[0].text


def test_levels_told_as_plain_numbers_are_not_rounded():
    def plain(model, x, sigmas):
        return hand.midpoint_2m(lambda x, s: model(x, float(s.reshape(-1)[0])), x, sigmas)

    assert orders(plain) == orders(hand.midpoint_2m)
    assert trace(plain, grids.karras(6)).nodes[:-1] == pytest.approx(
        grids.karras(6)[:-1], rel=1e-14
    )


def test_weights_of_single_precision_are_told_though_equal_steps_are_rounded_alike():
    """Plain ratios of levels repeat on a grid whose steps do; a wrong constant is none of it."""

    def rounded(model, x, sigmas):
        for high, low in itertools.pairwise(sigmas):
            kept = (low / high).float().double()
            x = kept * x + (1 - low / high).float().double() * model(x, high * x.new_ones(len(x)))
        return x

    def constant(model, x, sigmas):
        for high, low in itertools.pairwise(sigmas):
            kept = low / high
            x = kept * x + (1 + 3e-7) * (1 - kept) * model(x, high * x.new_ones(len(x)))
        return x

    assert 1e-7 < audit(rounded, classes=("uniform",)).noise < 1e-5
    assert audit(constant, classes=("uniform",)).noise < 1e-12
