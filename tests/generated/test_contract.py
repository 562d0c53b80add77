"""What every host may rely on: dtypes, shapes, callbacks, steps, gradients, compilation, refusals."""

import inspect

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from solvergen import gallery

from .shapes import GENERATED, every_other, representatives, shape, with_parameters

NAMES = representatives()  # one file of each shape: files that differ in numbers run the same code
CASES = every_other(NAMES)
LOOPS = ("dpmpp_2m", "unipc_3_bh2", "pndm", "heun_edm")  # one call a step, corrected, mixed, staged
SIGMAS = torch.tensor([6.0, 2.5, 1.1, 0.6, 0.25, 0.1], dtype=torch.float64)
ZERO = torch.cat([SIGMAS, torch.zeros(1, dtype=torch.float64)])


@pytest.fixture
def start():
    generator = torch.Generator().manual_seed(7)
    return 6 * torch.randn(4, 2, dtype=torch.float64, generator=generator)


def test_shapes_tell_code_apart_and_not_numbers():
    text = (GENERATED / "dpmpp_2m.py").read_text(encoding="utf-8")
    assert shape(text.replace("1 / 2", "1 / 3")) == shape(text)
    for old, new in [("combine(", "mixed("), ("phi(", "exp("), ('"data"', '"noise"')]:
        assert old in text and shape(text.replace(old, new)) != shape(text), old
    files = [p for p in GENERATED.glob("*.py") if p.stem != "__init__"]
    assert 80 < len(NAMES) < len(files) / 2


@pytest.mark.parametrize("name", CASES)
def test_states_keep_their_dtype(name, committed, mixture, start):
    exact = committed(name).sample(mixture, start, ZERO)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        seen = set()

        def model(x, sigma, seen=seen):
            seen.add((x.dtype, sigma.dtype))
            return mixture(x, sigma)

        found = committed(name).sample(model, start.to(dtype), ZERO)
        assert found.dtype == dtype and seen == {(dtype, torch.float32)}  # levels are not rounded
        # ε = (x − D)/σ loses what σ = 0.1 makes of rounding, and rounding itself depends on the machine.
        assert (found.double() - exact).abs().max() < 80 * torch.finfo(dtype).eps


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 5), (2, 3, 4, 4), (0, 3)])
def test_any_shape_with_a_batch(name, shape, committed):
    def model(x, sigma):
        assert sigma.shape == x.shape[:1]
        return torch.tanh(x) / (1 + sigma.reshape(-1, *[1] * (x.ndim - 1)) ** 2)

    x = torch.linspace(-2, 2, 96, dtype=torch.float64)[: torch.Size(shape).numel()].reshape(shape)
    found = committed(name).sample(model, x, ZERO)
    flat = [committed(name).sample(model, row.reshape(1, -1), ZERO) for row in x.reshape(-1, 1)]
    assert found.shape == x.shape
    if flat:
        assert torch.allclose(found.flatten(), torch.cat(flat).flatten(), rtol=0, atol=1e-14)


def schedules():
    """σ/α of SIGMAS on schedules of other scalings: (α, σ)."""
    vp = (1 + SIGMAS**2) ** -0.5
    return {"vp": (vp, SIGMAS * vp), "flow": (1 / (1 + SIGMAS), SIGMAS / (1 + SIGMAS))}


# It hands the model a state at another level than the one told, and so of another scaling.
UNSCALED = {"edict"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNSCALED])
def test_other_schedules_are_the_same_run_rescaled(name, committed, mixture, start):
    wanted = committed(name).sample(mixture, start, SIGMAS)
    for schedule, (alpha, sigma) in schedules().items():

        def model(x, s, vp=schedule == "vp"):  # the host's model sees its own scaling
            a = (1 - s**2).sqrt() if vp else 1 - s
            return mixture(x / a[:, None], s / a)

        found = committed(name).sample(model, start * alpha[0], sigma, alphas=alpha)
        assert (found / alpha[-1] - wanted).abs().max() < 1e-12, schedule


@pytest.mark.parametrize("name", CASES)
def test_flow_from_noise_alone_to_data_alone(name, committed, mixture, start, draws):
    """α = 0 at the start and σ = 0 at the end: DDIM there, and the rest as if started behind it."""
    t = torch.tensor([1.0, 0.8, 0.55, 0.3, 0.1, 0.0], dtype=torch.float64)
    alphas = 1 - t

    def model(x, s):
        inner = mixture(x / (1 - s).clamp_min(1e-300)[:, None], s / (1 - s).clamp_min(1e-300))
        return torch.where((s == 1)[:, None], torch.full_like(x, 0.125), inner)

    eps = start / 6
    found = committed(name).sample(model, eps, t, alphas=alphas)
    if hasattr(committed(name), "FIRST"):  # begun anew behind it, it would take a first output anew
        assert found.isfinite().all()
        return
    second, rest = t[1] * eps + alphas[1] * 0.125, {}
    if hasattr(committed(name), "NOISE"):
        rest["noise_sampler"] = draw = draws(eps)
        opening = committed(name).coefficients(t, alphas)[0]
        if opening[4]:  # noise anew in place of the old
            second = opening[3][-1] * draw(0, 0) + alphas[1] * 0.125
            if opening[3][-1] < t[1]:  # part of the old noise stays, or part of the level goes
                assert found.isfinite().all()
                return
    wanted = committed(name).sample(model, second, t[1:], alphas=alphas[1:], **rest)
    assert found.isfinite().all()
    assert (found - wanted).abs().max() < 1e-12


@pytest.mark.parametrize("name", CASES)
def test_the_last_sigma_may_be_zero(name, committed, mixture, start):
    last = []

    def model(x, sigma):
        assert (sigma > 0).all()
        last.append(mixture(x, sigma))
        return last[-1]

    found = committed(name).sample(model, start, ZERO)
    module = committed(name)
    if module.INTEGRAND == "data" or name != "rk4_clock":
        assert found.isfinite().all()
    if gallery.load(name).end.zero != "rule":
        assert (found - last[-1]).abs().max() < 1e-13


def test_a_stretch_of_low_noise_on_vp_is_recognised(committed, mixture, start):
    """Where α is within 1e-4 of 1 throughout, a grid is still VP when it says so."""
    s = torch.tensor([0.012, 0.007, 0.003], dtype=torch.float64)
    alpha = (1 - s**2).sqrt()
    module = committed("dpmpp_2s")
    seen = []

    def model(x, sigma):
        seen.append(sigma[0].item())
        a = (1 - sigma**2).sqrt()
        return mixture(x / a[:, None], sigma / a)

    found = module.sample(model, start * alpha[0], s, alphas=alpha) / alpha[-1]
    assert (found - module.sample(mixture, start, s / alpha)).abs().max() < 1e-12


def test_stages_refuse_a_schedule_that_they_cannot_place_themselves_on(committed, start):
    alphas = torch.linspace(0.3, 0.9, 6, dtype=torch.float64)
    with pytest.raises(ValueError, match="follow none of"):
        committed("dpmpp_2s").sample(lambda x, s: x, start, SIGMAS, alphas=alphas)
    committed("dpmpp_2m").sample(lambda x, s: 0 * x, start, SIGMAS, alphas=alphas)


BAD_GRIDS = {
    "rises": [1.0, 2.0, 0.5],
    "repeats": [2.0, 1.0, 1.0, 0.5],
    "negative": [2.0, 1.0, -0.5],
    "not a number": [2.0, float("nan"), 0.5],
    "infinite": [float("inf"), 1.0, 0.5],
    "zero within": [2.0, 0.0, 0.0],
    "one value": [2.0],
    "none": [],
    "a matrix": [[2.0, 1.0], [1.0, 0.5]],
}


@pytest.mark.parametrize("name", CASES)
def test_bad_grids_are_refused_before_the_model_is_called(name, committed, start):
    def model(x, sigma):
        raise AssertionError("called")

    for label, values in BAD_GRIDS.items():
        with pytest.raises(ValueError, match="sigma"):
            committed(name).sample(model, start, torch.tensor(values, dtype=torch.float64))
            pytest.fail(label)
    for alphas in (torch.ones(3), torch.ones(6, 1), torch.full((6,), -1.0), torch.zeros(6)):
        with pytest.raises(ValueError):
            committed(name).sample(model, start, SIGMAS, alphas=alphas)


@pytest.mark.parametrize("name", with_parameters())
def test_parameters_are_keywords_with_bounds(name, committed, mixture, start):
    sample = committed(name).sample
    for parameter in gallery.load(name).parameters:
        keyword = inspect.signature(sample).parameters[parameter.name]
        assert keyword.kind is keyword.KEYWORD_ONLY
        assert keyword.default == pytest.approx(float(parameter.default))
        low = [b for b in (parameter.minimum, parameter.above) if b is not None]
        high = [b for b in (parameter.maximum, parameter.below) if b is not None]
        outside = [float(b) - 1 for b in low] + [float(b) + 1 for b in high]
        outside += [float(b) for b in (parameter.above, parameter.below) if b is not None]
        for value in [*outside, *([float("nan")] if low or high else [])]:
            with pytest.raises(ValueError, match=parameter.name):
                sample(mixture, start, SIGMAS, **{parameter.name: value})
        inside = float(parameter.default) * (1 - 1e-6)
        near = sample(mixture, start, SIGMAS, **{parameter.name: inside})
        assert (near - sample(mixture, start, SIGMAS)).abs().max() < 1e-3


@pytest.mark.parametrize("name", CASES)
def test_callback_has_k_diffusions_keys_once_a_step(name, committed, mixture, start):
    seen, module = [], committed(name)
    module.sample(mixture, start, ZERO, callback=seen.append)
    begun = [call["i"] for call in seen]
    if hasattr(module, "SPANS"):  # a step covers several intervals
        assert begun[0] == 0 and begun[-1] == len(ZERO) - 2 and begun == sorted(set(begun))
    else:
        assert begun == list(range(len(ZERO) - 1))
    for call in seen:
        sigma = float(ZERO[call["i"]])
        assert set(call) == {"x", "i", "sigma", "sigma_hat", "denoised"}
        assert float(call["sigma"]) == float(call["sigma_hat"]) == sigma
        wanted = mixture(call["x"], call["sigma"].expand(4))
        if call["i"] == 0 and hasattr(module, "FIRST"):
            wanted = module.begun(call["x"], module.coefficients(ZERO).first)
        assert torch.equal(call["denoised"], wanted)


def test_extra_arguments_reach_the_model(committed, mixture, start):
    def model(x, sigma, gain=1.0):
        return gain * mixture(x, sigma)

    module = committed("dpmpp_2m")
    plain = module.sample(lambda x, s: 0.5 * mixture(x, s), start, SIGMAS)
    assert torch.equal(module.sample(model, start, SIGMAS, {"gain": 0.5}), plain)
    assert torch.equal(module.sample(model, start, SIGMAS, extra_args={"gain": 0.5}), plain)


@pytest.mark.parametrize("name", CASES)
def test_step_form_is_the_loop(name, committed, mixture, start, draws):
    module = committed(name)
    x, memory, draw = start, (), draws(start)
    plan = module.coefficients(ZERO)
    for row in plan:
        given = {"noise": [draw(*pair) for pair in row[4]]} if hasattr(module, "NOISE") else {}
        output = mixture(x, row[2].expand(4))
        if row[0] == 0 and hasattr(module, "FIRST"):
            output = module.begun(x, plan.first)
        x, memory = module.step(row, x, output, memory, **given)
        assert isinstance(memory, tuple)
        kept = [value for value in memory if not isinstance(value, (tuple, list))]
        assert all(isinstance(value, torch.Tensor) for value in kept)
    assert torch.equal(x, module.sample(mixture, start, ZERO))
    counts = [sum(row[0] == i for row in plan) for i in range(len(ZERO) - 1)]
    assert module.EVALUATIONS_PER_STEP in counts
    assert counts[-1] == 1 or gallery.load(name).langevin  # whose steps come before any last one


@pytest.mark.parametrize("name", CASES)
def test_sample_leaves_its_arguments_alone(name, committed, mixture, start):
    x, sigmas = start.clone(), ZERO.clone()
    first = committed(name).sample(mixture, x, sigmas)
    assert torch.equal(x, start) and torch.equal(sigmas, ZERO)
    assert torch.equal(committed(name).sample(mixture, x, sigmas), first)
    assert not committed(name).sample(mixture, x.requires_grad_(), sigmas).requires_grad


@pytest.mark.parametrize("name", CASES)
def test_integrate_is_differentiable(name, committed, mixture, start):
    module, x = committed(name), start[:1].clone().requires_grad_()
    plan = module.coefficients(SIGMAS)
    gradient = torch.autograd.grad(module.integrate(mixture, x, plan).sum(), x)[0]
    for k in range(2):
        shift = torch.zeros_like(x)
        shift[0, k] = 1e-4
        with torch.no_grad():
            up, down = (module.integrate(mixture, x + s * shift, plan).sum() for s in (1, -1))
        assert gradient[0, k].item() == pytest.approx(((up - down) / 2e-4).item(), abs=1e-6)


def test_grids_may_be_lists_arrays_or_float32(committed, mixture, start):
    module = committed("dpmpp_3m")
    wanted = module.sample(mixture, start, SIGMAS)
    assert torch.equal(module.sample(mixture, start, SIGMAS.tolist()), wanted)
    assert torch.equal(module.sample(mixture, start, SIGMAS.numpy()), wanted)
    assert (module.sample(mixture, start, SIGMAS.float()) - wanted).abs().max() < 1e-6


class NoLookAtX(TorchDispatchMode):
    """Fails where a value of the state (more than one element) is brought to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            assert args[0].dtype == torch.float64 and args[0].is_cpu, "a state is looked at"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", CASES)
def test_no_step_waits_for_the_device(name, committed):
    """With a state without values (device meta) the loop runs: it never looks at one."""
    module = committed(name)
    plan = module.coefficients(ZERO)
    x = torch.empty(4, 2, device="meta", dtype=torch.float32)
    with NoLookAtX():
        found = module.integrate(lambda x, sigma: x * 0.5, x.requires_grad_(), plan)
    assert found.is_meta and found.shape == x.shape


def network(x, sigma):
    return torch.tanh(x) / (1 + sigma[:, None] ** 2)


@pytest.mark.nightly  # hosts/test_passes.py compiles runs by day
@pytest.mark.parametrize("name", LOOPS)
def test_compiles_in_one_graph(name, committed, start):
    module, x = committed(name), start.float()
    plan = module.coefficients(ZERO)
    torch._dynamo.reset()
    backend = "aot_eager" if name == "dpmpp_2m" else "eager"
    compiled = torch.compile(module.integrate, fullgraph=True, backend=backend)
    assert (compiled(network, x, plan) - module.integrate(network, x, plan)).abs().max() < 1e-6


class Sampler(torch.nn.Module):
    def __init__(self, module, sigmas):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.run, self.plan = module.integrate, module.coefficients(sigmas)

    def forward(self, x):
        def model(x, sigma):
            return self.layer(x) / (1 + sigma[:, None])

        return self.run(model, x, self.plan)


@pytest.mark.nightly  # hosts/test_passes.py exports runs by day
@pytest.mark.parametrize("name", LOOPS)
def test_exports(name, committed, start):
    torch.manual_seed(3)
    sampler, x = Sampler(committed(name), ZERO), start.float()
    exported = torch.export.export(sampler, (x,)).module()
    assert (exported(x) - sampler(x)).abs().max() < 1e-6
