"""Model wrappers on exact mixtures: whatever the network predicts, the denoised value is exact."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from solvergen.verify.problems.mixture import coupled_mixture
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from solvergen.hosts.models import (
    Denoiser,
    Guided,
    Preconditioned,
    TrigFlow,
    discrete_time,
    dynamic,
    latent_consistency,
    static,
)

MIXTURE = coupled_mixture()
RHO = torch.tensor([0.02, 0.3, 1.0, 4.0, 20.0], dtype=torch.float64)
EXACT = {
    "data": MIXTURE.denoise,
    "noise": MIXTURE.noise,
    "v": MIXTURE.v,
    "score": MIXTURE.score,
    "velocity": MIXTURE.velocity,
}


def levels(gauge, rho=RHO):
    """α and σ of a gauge at ρ = σ/α."""
    if gauge == "ve":
        return torch.ones_like(rho), rho
    size = 1 + rho if gauge == "flow" else (1 + rho**2).sqrt()
    return 1 / size, rho / size


def state(gauge, dtype=torch.float64):
    alpha, sigma = levels(gauge)
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x0 = MIXTURE.sample(5)
    return (alpha[:, None] * x0 + sigma[:, None] * noise).to(dtype), alpha, sigma


def network(prediction, gauge):
    """A network that predicts exactly; its time is the σ of its own gauge."""

    def predict(x, time):
        wide = time.double()
        alpha = {"ve": 1 + 0 * wide, "flow": 1 - wide, "vp": (1 - wide**2).sqrt()}[gauge]
        return EXACT[prediction](x, alpha, wide)

    return predict


@pytest.mark.parametrize(
    ("prediction", "trained", "walked"),
    list(itertools.product(EXACT, ("ve", "vp", "flow"), ("ve", "vp", "flow"))),
)
def test_denoises_exactly(prediction, trained, walked):
    if prediction == "v" and trained != "vp":
        pytest.skip("v is defined for variance-preserving networks")
    x, alpha, sigma = state(walked)
    model = Denoiser(network(prediction, trained), prediction, trained=trained, walked=walked)
    assert torch.allclose(model(x, sigma), MIXTURE.denoise(x, alpha, sigma), rtol=1e-9, atol=1e-9)


def test_raw_edm_network():
    x, alpha, sigma = state("ve")
    data = 0.5

    def raw(scaled, noise):
        level = (4 * noise).exp()[:, None]
        size = (level**2 + data**2).sqrt()
        denoised = MIXTURE.denoise(scaled * size, 1.0, level[:, 0])
        return (denoised - data**2 / size**2 * scaled * size) * size / (level * data)

    found = Preconditioned(raw, data)(x, sigma)
    assert torch.allclose(found, MIXTURE.denoise(x, alpha, sigma), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("prediction", ["noise", "velocity"])
def test_guidance_is_one_call(prediction):
    x, _, sigma = state("vp")
    calls = []

    def predict(x, time, label):
        calls.append(len(x))
        a = (1 - time**2).sqrt()
        return EXACT[prediction](x, a, time) + (0.3 * label)[:, None]

    model = Denoiser(predict, prediction, walked="vp")
    ones = torch.ones(5, dtype=torch.float64)
    guided = Guided(model, 3.0, {"label": 0 * ones[:1]})(x, sigma, label=ones)
    given, without = model(x, sigma, label=ones), model(x, sigma, label=0 * ones)
    assert calls == [10, 5, 5]
    assert torch.allclose(guided, without + 3.0 * (given - without))
    with pytest.raises(ValueError, match="same"):
        Guided(model, 3.0, {"label": ones})(x, sigma, other=ones)


def test_discrete_times():
    bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    places = torch.tensor([0, 3, 500, 999])
    sigma = (1 - bar[places]).sqrt()
    assert torch.allclose(discrete_time(bar)(sigma), places.double(), atol=1e-6)
    assert torch.equal(discrete_time(bar, whole=True)(sigma * 1.00001), places)
    between = discrete_time(bar)((sigma[2:3] + (1 - bar[501:502]).sqrt()) / 2)
    assert 500.4 < float(between) < 500.6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_state_keeps_its_dtype(dtype):
    x, _, sigma = state("vp", dtype)
    model = Denoiser(lambda x, t: torch.tanh(x), "noise", trained="vp", walked="vp")
    assert model(x, sigma.to(dtype)).dtype == dtype


def test_thresholds():
    x = torch.linspace(-4, 4, 20).reshape(2, 10)
    assert static(x).abs().max() == 1
    flat = dynamic(0.5, 10.0)(x)
    bound = x.abs().quantile(0.5, dim=1).clamp_min(1)[:, None]
    assert torch.allclose(flat, x.clamp(-bound, bound) / bound)
    assert Denoiser(lambda x, t: 9 * x, "data", threshold=static)(x, x[:, 0].abs()).max() <= 1


def test_wrong_words_are_named():
    with pytest.raises(ValueError, match="epsilon"):
        Denoiser(lambda x, t: x, "epsilon")


def test_samplers_walk_any_gauge(committed):
    """One solver, one ρ-grid: the three gauges give the same data."""
    module, ends = committed("dpmpp_2m"), []
    rho = torch.cat([torch.logspace(1.2, -1.5, 12, dtype=torch.float64), torch.zeros(1).double()])
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for gauge in ("ve", "vp", "flow"):
        alpha, sigma = levels(gauge, rho)
        model = Denoiser(network("noise", "vp"), "noise", walked=gauge)
        start = x * math.hypot(1, float(rho[0])) * alpha[0]
        ends.append(module.sample(model, start, sigma, alphas=None if gauge == "ve" else alpha))
    assert torch.allclose(ends[0], ends[1], atol=1e-9) and torch.allclose(
        ends[0], ends[2], atol=1e-9
    )


class NoWideNumbers(TorchDispatchMode):
    """Fails where a tensor of float64 is made on a device that has none."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for made in found if isinstance(found, (tuple, list)) else (found,):
            if torch.is_tensor(made) and made.device.type == "mps":
                assert made.dtype != torch.float64, func
        return found


@pytest.mark.parametrize(
    "make",
    [
        lambda net: Denoiser(net, "noise"),
        lambda net: Denoiser(net, "v", trained="flow", boundary=latent_consistency()),
        Preconditioned,
        TrigFlow,
    ],
)
def test_devices_without_float64_never_see_one(make):
    """Fake tensors stand in for the device: what is asked of it is seen, nothing is computed."""
    with FakeTensorMode(allow_non_fake_inputs=True), NoWideNumbers():
        x = torch.empty(2, 3, device="mps")
        seen = []

        def net(state, time, **_):
            seen.append((state.dtype, time.dtype))
            return state * 0.5

        out = make(net)(x, torch.ones(2, device="mps"))
    assert out.device.type == "mps" and out.dtype == torch.float32
    assert seen == [(torch.float32, torch.float32)]


def test_a_table_that_ends_at_zero_snr_has_a_time_for_every_level():
    time = discrete_time(torch.tensor([0.9, 0.5, 0.0]))
    levels = torch.tensor([1.0, 0.5**0.5, 0.1**0.5, 0.0, 0.9])
    assert time(levels).tolist() == pytest.approx([2.0, 1.0, 0.0, 0.0, 1.0], abs=1e-6)
    assert discrete_time(torch.tensor([0.9, 0.5, 0.0]), whole=True)(levels[:1]).tolist() == [2]


@pytest.mark.parametrize("wrap", [lambda t: (t, None), lambda t: [t], SimpleNamespace])
def test_networks_may_return_tuples_and_objects(wrap):
    made = wrap if wrap is not SimpleNamespace else lambda t: SimpleNamespace(sample=t)
    x, sigma = torch.ones(2, 3), torch.full((2,), 0.7)
    for build in (lambda net: Denoiser(net, "noise"), Preconditioned, TrigFlow):
        found = build(lambda s, t, made=made: made(s * 0.5))(x, sigma)
        assert torch.equal(found, build(lambda s, t: s * 0.5)(x, sigma))
    with pytest.raises(ValueError, match="object with `sample`; found dict"):
        Denoiser(lambda s, t: {}, "noise")(x, sigma)
