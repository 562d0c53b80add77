"""The exported node folder inside a stand-in of ComfyUI's documented interface."""

import importlib.util
import itertools
import sys
import types

import pytest
import torch

from solvergen.derive import derive
from solvergen.emit.exports.comfyui_folder import comfyui_folder
from solvergen.emit.torch_file import torch_file
from solvergen.gallery import load

DETERMINISTIC = ("dpmpp_2m", "unipc_2_bh2", "res_3s", "heun_edm")
STOCHASTIC = {
    "euler_ancestral": {"eta": 0.8},
    "seeds_2": {"r": 0.4},
    "heun_churn": {"s_churn": 2.0},
    "lcm": {},
}
NAMES = (*DETERMINISTIC, *STOCHASTIC)


class CONST:
    """Flow models: x = (1 − σ) x0 + σ ε."""


class EPS:
    """Others: x = x0 + σ ε."""


class KSAMPLER:
    """comfy.samplers.KSAMPLER: what a SAMPLER is and how it is called."""

    def __init__(self, sampler_function, extra_options=None, inpaint_options=None):
        self.sampler_function, self.extra_options = sampler_function, extra_options or {}

    def sample(self, model, sigmas, extra_args, callback, noise, disable_pbar=False):
        def shown(at):
            callback(at["i"], at["denoised"], at["x"], len(sigmas) - 1)

        return self.sampler_function(
            model,
            noise,
            sigmas,
            extra_args=extra_args,
            callback=shown,
            disable=disable_pbar,
            **self.extra_options,
        )


def default_noise_sampler(x, seed=None):
    """comfy.k_diffusion.sampling: one generator of the run's seed, on the device of the state."""
    generator = None if seed is None else torch.Generator(x.device).manual_seed(seed)
    return lambda sigma, sigma_next: torch.randn(x.shape, generator=generator, dtype=x.dtype)


@pytest.fixture
def host(monkeypatch):
    """The modules that nodes import from ComfyUI."""
    comfy = types.ModuleType("comfy")
    for name, held in (
        ("samplers", {"KSAMPLER": KSAMPLER}),
        ("model_sampling", {"CONST": CONST}),
        ("k_diffusion", {}),
        ("k_diffusion.sampling", {"default_noise_sampler": default_noise_sampler}),
    ):
        module = types.ModuleType(f"comfy.{name}")
        vars(module).update(held)
        parent, _, last = name.rpartition(".")
        setattr(getattr(comfy, parent) if parent else comfy, last, module)
        monkeypatch.setitem(sys.modules, f"comfy.{name}", module)
    monkeypatch.setitem(sys.modules, "comfy", comfy)


@pytest.fixture
def nodes(host, tmp_path, monkeypatch):
    """The exported folder, loaded as ComfyUI loads one."""
    folder = tmp_path / "solvergen_samplers"
    folder.mkdir()
    programs = {name: derive(load(name)) for name in NAMES}
    texts = {name: torch_file(load(name), program) for name, program in programs.items()}
    parameters = {name: program.parameters for name, program in programs.items()}
    for name, text in comfyui_folder(texts, parameters).items():
        (folder / name).write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(
        "solvergen_samplers", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    package = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "solvergen_samplers", package)
    spec.loader.exec_module(package)
    yield package
    for name in [name for name in sys.modules if name.startswith("solvergen_samplers.")]:
        del sys.modules[name]


def wrapped(denoise, kind):
    """A model as samplers get it: `model(x, sigma, model_options=, seed=)` and its sampling."""

    def model(x, sigma, model_options=None, seed=None):
        assert model_options == {} and seed in (7, 8, 9)
        return denoise(x, sigma)

    patcher = types.SimpleNamespace(get_model_object=lambda name: kind())
    model.inner_model = types.SimpleNamespace(model_patcher=patcher)
    return model


def test_nodes_are_listed(nodes):
    assert sorted(nodes.NODE_CLASS_MAPPINGS) == sorted(f"Solvergen_{name}" for name in NAMES)
    assert nodes.NODE_DISPLAY_NAME_MAPPINGS["Solvergen_dpmpp_2m"] == "Sampler DPM-Solver++(2M)"
    for cls in nodes.NODE_CLASS_MAPPINGS.values():
        assert cls.RETURN_TYPES == ("SAMPLER",) and callable(getattr(cls(), cls.FUNCTION))
        assert cls.CATEGORY == "sampling/custom_sampling/samplers"
    inputs = nodes.NODE_CLASS_MAPPINGS["Solvergen_res_3s"].INPUT_TYPES()["required"]
    assert inputs["c2"][0] == "FLOAT" and inputs["c2"][1]["default"] == 0.5
    assert nodes.NODE_CLASS_MAPPINGS["Solvergen_dpmpp_2m"].INPUT_TYPES() == {"required": {}}


def test_inputs_are_the_parameters_with_their_bounds(nodes):
    """Neither the levels nor the source of noise is an input."""

    def inputs(name):
        found = nodes.NODE_CLASS_MAPPINGS[f"Solvergen_{name}"].INPUT_TYPES()["required"]
        return {key: (o["min"], o["default"], o["max"]) for key, (_, o) in found.items()}

    wide = (0.0, 1.0, 100.0)
    assert inputs("euler_ancestral") == {"eta": wide, "s_noise": wide}
    assert inputs("seeds_2") == {"eta": wide, "s_noise": wide, "r": (0.0, 0.5, 1.0)}
    assert inputs("heun_churn")["s_tmax"] == (0.0, 1e6, 1e6) and inputs("lcm") == {}


def sampled(nodes, name, model, x, sigmas, seed=7, **values):
    cls = nodes.NODE_CLASS_MAPPINGS[f"Solvergen_{name}"]
    (sampler,) = getattr(cls(), cls.FUNCTION)(**values)
    seen = []
    out = sampler.sample(
        model, sigmas, {"model_options": {}, "seed": seed}, lambda *at: seen.append(at[0]), x
    )
    return out, seen


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_noise_models(name, nodes, committed, mixture):
    sigmas = torch.tensor([10.0, 4.0, 1.0, 0.3, 0.0])
    x = 10 * torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    out, seen = sampled(nodes, name, wrapped(mixture, EPS), x, sigmas)
    assert torch.equal(out, committed(name).sample(mixture, x, sigmas)) and seen == [0, 1, 2, 3]


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_flow_models(name, nodes, committed, mixture):
    sigmas = torch.tensor([1.0, 0.8, 0.5, 0.2, 0.0])

    def denoise(x, sigma):
        alpha = (1 - sigma).clamp_min(1e-6)
        return mixture(x / alpha[:, None], sigma / alpha)

    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    out, _ = sampled(nodes, name, wrapped(denoise, CONST), x, sigmas)
    wanted = committed(name).sample(denoise, x, sigmas, alphas=1 - sigmas.double())
    assert torch.equal(out, wanted)
    with pytest.raises(ValueError, match="between 0 and 1"):
        sampled(nodes, name, wrapped(denoise, CONST), x, sigmas * 3)


def test_parameters_and_empty_runs(nodes, mixture):
    sigmas, x = torch.tensor([10.0, 1.0, 0.1]), 10 * torch.ones(1, 2)
    model = wrapped(mixture, EPS)
    default, _ = sampled(nodes, "res_3s", model, x, sigmas)
    other, _ = sampled(nodes, "res_3s", model, x, sigmas, c2=0.4, c3=0.9)
    assert not torch.equal(default, other)
    assert torch.equal(sampled(nodes, "res_3s", model, x, sigmas[:1])[0], x)


@pytest.mark.parametrize("kind", [EPS, CONST])
@pytest.mark.parametrize("name", STOCHASTIC)
def test_noise_is_that_of_the_seed(name, kind, nodes, committed, mixture):
    flow, x = kind is CONST, torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    sigmas = torch.tensor([1.0, 0.8, 0.5, 0.2, 0.0]) * (1 if flow else 10)

    def denoise(x, sigma):
        alpha = (1 - sigma).clamp_min(1e-6) if flow else torch.ones_like(sigma)
        return mixture(x / alpha[:, None], sigma / alpha)

    model, values = wrapped(denoise, kind), STOCHASTIC[name]
    out, seen = sampled(nodes, name, model, x, sigmas, **values)
    given = {"alphas": 1 - sigmas.double()} if flow else {}
    sources = [default_noise_sampler(x[k : k + 1], seed=7 + k) for k in range(3)]

    def source(sigma, sigma_next):
        return torch.cat([draw(sigma, sigma_next) for draw in sources])

    wanted = committed(name).sample(denoise, x, sigmas, noise_sampler=source, **given, **values)
    assert torch.equal(out, wanted) and seen == [0, 1, 2, 3]
    assert torch.equal(sampled(nodes, name, model, x, sigmas, **values)[0], out)
    assert not torch.equal(sampled(nodes, name, model, x, sigmas, seed=8, **values)[0], out)
    alone = [
        sampled(nodes, name, model, x[k : k + 1], sigmas, seed=7 + k, **values)[0] for k in range(3)
    ]
    assert torch.allclose(torch.cat(alone), out, atol=1e-5)  # a batch is three seeds


@pytest.mark.parametrize("kind", [EPS, CONST])
def test_levels_that_rise_unsample(kind, nodes, mixture):
    flow = kind is CONST
    sigmas = torch.tensor([1.0, 0.8, 0.5, 0.2, 0.05]) * (0.98 if flow else 10)

    def denoise(x, sigma):
        alpha = (1 - sigma).clamp_min(1e-6) if flow else torch.ones_like(sigma)
        return mixture(x / alpha[:, None], sigma / alpha)

    model, flipped = wrapped(denoise, kind), sigmas.flip(0)
    x, kept = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)), flipped.clone()
    noise, seen = sampled(nodes, "dpmpp_2m", model, x, flipped)
    assert torch.equal(flipped, kept) and seen == [0, 1, 2, 3]
    back = noise
    for a, b in itertools.pairwise(sigmas):  # DDIM leads back
        gain = (1 - b) - (1 - a) * b / a if flow else 1 - b / a
        back = b / a * back + gain * denoise(back, a.expand(3))
    assert (back - x).norm() < 1e-3 * x.norm()
    with pytest.raises(ValueError, match="last sigma must be above zero"):
        sampled(nodes, "dpmpp_2m", model, x, torch.tensor([0.0, 0.5, 0.9]))


def test_a_model_that_changes_its_levels_does_not_change_the_caller_s(nodes, mixture):
    sigmas = torch.tensor([10.0, 4.0, 1.0, 0.0])
    kept = sigmas.clone()

    def denoise(x, sigma):
        found = mixture(x, sigma)
        sigma.mul_(0)
        return found

    sampled(nodes, "dpmpp_2m", wrapped(denoise, EPS), torch.ones(1, 2), sigmas)
    assert torch.equal(sigmas, kept)
