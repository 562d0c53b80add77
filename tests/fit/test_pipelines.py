"""A diffusers pipeline calibrated in place, conditioned rows, and flow models."""

import dataclasses

import pytest
import torch

from solvergen.errors import SolvergenError
from solvergen.fit.objective import Pairs
from solvergen.fit.pipelines import calibrate
from solvergen.fit.problem import Problem, ProblemError
from solvergen.fit.problems.families import family
from solvergen.fit.problems.lookup import adopted
from solvergen.fit.problems.pipeline import pipeline_problem
from solvergen.fit.run import Scaled
from solvergen.fit.table import Table
from solvergen.fit.tune import within
from solvergen.fit.whole import _parted

diffusers = pytest.importorskip("diffusers")
# few starts: what is tested is that all belongs together, not the gain
QUICK = {"starts": 8, "unused": 4, "teacher_steps": 16, "compare": False}


class Words(torch.nn.Module):
    """As much of a text encoder as a pipeline reads: a number for each prompt."""

    dtype = torch.float32
    config = None

    def of(self, prompts):
        return torch.tensor([float(len(p)) for p in prompts]).reshape(-1, 1, 1)


class Unet(torch.nn.Module):
    """ε of data N(prompt's length / 10, 1/4), bent a little; counts its calls."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self):
        super().__init__()
        self.config = type("Config", (), {"sample_size": 4, "in_channels": 2})()
        self.seen = []

    def forward(self, x, t, words=0.0):
        alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
        at = torch.as_tensor(float(t)).clamp(0, 999)
        low = alphas[int(at)]
        squared = low + (alphas[min(999, int(at) + 1)] - low) * (at - int(at))
        self.seen.append(words)
        sigma = ((1 - squared) / squared) ** 0.5
        state = x / squared**0.5
        mean = torch.as_tensor(words) / 10
        pull = 0.25 / (0.25 + sigma**2)
        data = mean + pull * (state - mean) + 0.05 * torch.tanh(3 * (state - mean)) * pull
        return type("Out", (), {"sample": (state - data) / sigma})()


class Pipe:
    """What is called of StableDiffusionPipeline, with classifier-free guidance."""

    def __init__(self):
        self.unet, self.text_encoder = Unet(), Words()
        self.scheduler = diffusers.DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False
        )

    def set_progress_bar_config(self, **_):
        pass

    def __call__(
        self, prompt, latents, num_inference_steps, guidance_scale=7.5, output_type="latent"
    ):
        words = self.text_encoder.of(prompt)[..., None]
        self.scheduler.set_timesteps(num_inference_steps, device="cpu")
        x = latents * self.scheduler.init_noise_sigma
        for t in self.scheduler.timesteps:
            state = self.scheduler.scale_model_input(x, t)
            guided, plain = (self.unet(state, t, w).sample for w in (words, 0 * words))
            out = plain + guidance_scale * (guided - plain)
            x = self.scheduler.step(out, t, x, return_dict=False)[0]
        return x


def test_a_pipeline_is_calibrated_and_has_its_scheduler(tmp_path):
    pipe = Pipe()
    problem = pipeline_problem(pipe, ["a", "long one"], (1.0, 3.0))
    assert problem.period == 4 and problem.shape == (2, 4, 4)
    x = problem.noise(6, 0)
    whole = problem.denoiser(x, torch.tensor(2.0))
    # rows 4 and 5 are conditioned as rows 0 and 1; guidance moves the mean of the second half
    again = problem.denoiser(x[4:], torch.tensor(2.0))
    assert torch.allclose(whole[4:], again) and not torch.allclose(
        problem.denoiser(x[:1], torch.tensor(2.0)),
        problem.denoiser(x[[1, 0]], torch.tensor(2.0))[1:],
    )
    tuned = calibrate(
        pipe, calls=5, prompts=["a", "long one"], guidance=3.0, out=tmp_path / "mine.py", **QUICK
    )
    assert repr(tuned).startswith(f"<Tuned {tuned.name}: 5 calls on ") and len(repr(tuned)) < 200
    first, row, *_ = tuned.found.stages
    assert row.error < first.error and any("drawn together" in note for note in tuned.found.notes)
    assert type(pipe.scheduler).__name__ == "MineScheduler" and (tmp_path / "mine.json").is_file()
    pipe.unet.seen.clear()
    noise = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    ends = pipe(["a", "long one"], noise, 5, guidance_scale=3.0)
    assert len(pipe.unet.seen) == 10  # five calls, each guided
    # the pipeline walks what was calibrated: near the table's own run on the problem
    from solvergen.emitted import imported

    module = imported(tmp_path / "mine.py")
    model = pipeline_problem(diffusers_back(pipe), ["a", "long one"], (3.0,)).denoiser
    walked = module.sample(lambda x, s: model(x, s[0]), module.SIGMAS[0] * noise)
    assert torch.allclose(ends, walked, atol=1e-4)


def diffusers_back(pipe):
    pipe.scheduler = Pipe().scheduler
    return pipe


def test_what_cannot_be_calibrated_is_named():
    pipe = Pipe()
    with pytest.raises(ProblemError, match="give prompts"):
        calibrate(pipe, calls=5)
    pipe.unet.dtype = torch.float16
    with pytest.raises(ProblemError, match="load it in float32"):
        calibrate(pipe, calls=5, prompts="a")
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    with pytest.raises(ProblemError, match=r"velocity\(x, t\)"):
        calibrate(pipe, calls=5, prompts="a")
    with pytest.raises(SolvergenError, match="name of a table or a diffusers pipeline; found int"):
        calibrate(3)


def test_conditioned_rows_stay_together(mixture):
    problem = dataclasses.replace(mixture.problem(), period=3)
    x = problem.noise(24, 0)
    pairs = Pairs.of("rows", Scaled(problem), x, x)
    inside, outside = _parted(pairs)
    rows = torch.arange(24)
    assert torch.equal(outside.starts, pairs.starts[rows // 3 % 4 == 3])
    assert len(inside.starts) == 18


def test_a_flow_model_is_a_problem():
    class Line:
        """Data N(0.5, 0.04): the velocity in closed form."""

        shape = (3,)
        dtype = torch.float64

        def velocity(self, x, t):
            level = t / (1 - t)
            data = 0.5 + 0.04 / (0.04 + level**2) * (x / (1 - t) - 0.5)
            return (x - data) / t

    problem = adopted(Line, "mine:Line")
    assert (problem.sigma_max, problem.sigma_min) == (999.0, 0.001)
    x = problem.noise(4, 0)
    exact = 0.5 + 0.04 / (0.04 + 9.0) * (x - 0.5)
    assert torch.allclose(problem.denoiser(x, torch.tensor(3.0)), exact, atol=1e-9)


def test_networks_are_imperfect_and_know_their_derivative():
    (network,) = family("network", "held-out", 1)
    x = 0.3 * torch.randn(2, network.mixture.means.shape[1], dtype=torch.float64)
    sigma = torch.tensor(0.7, dtype=torch.float64)
    away = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    step = 1e-6
    slope = (network.denoise(x + step * away, sigma) - network.denoise(x - step * away, sigma)) / 2
    assert torch.allclose(network.derivative(x, sigma)(away[None])[0], slope / step, atol=1e-6)
    exact = network.mixture.denoise(x, sigma)
    error = (network.denoise(x, sigma) - exact).square().mean().sqrt()
    assert 0.3 < error / (network.size * 0.7 / 1.49**0.5) < 3
    assert isinstance(network.problem(), Problem)


def test_levels_beyond_the_range_are_drawn_together(mixture):
    scaled = Scaled(mixture.problem(sigma_max=10.0))
    table = Table((20.0, 3.0, 0.5), ((1.0,), (0.5, 0.5), (0.2, 0.3, 0.5)))
    moved, words = within(table, scaled)
    assert moved.levels[0] == pytest.approx(0.9 * scaled.start) and moved.shares == table.shares
    assert "20 deviations" in words
    assert within(table, Scaled(mixture.problem())) == (table, "")
