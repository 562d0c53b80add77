"""Grids and schedules against the libraries that define them; what is not installed is skipped."""

import math

import numpy as np
import pytest
import torch

from solvergen import grids
from tests.peer_code import crowson_sampling

STEPS = (1, 2, 3, 7, 10, 20, 33)
LEAST, MOST = 0.0292, 14.6146


def near(found, wanted, tolerance=1e-12):
    wanted = np.asarray(wanted, dtype=np.float64)
    assert np.shape(found) == wanted.shape
    assert np.abs(np.asarray(found) - wanted).max() <= tolerance * np.abs(wanted).max()


@pytest.fixture(scope="module")
def crowson():
    """k-diffusion's sampling module."""
    return crowson_sampling()


@pytest.fixture
def double():
    """Libraries build their tables in torch's default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("n", STEPS)
def test_k_diffusion_grids(n, crowson, double):
    near(grids.karras(n, LEAST, MOST), crowson.get_sigmas_karras(n, LEAST, MOST))
    near(grids.exponential(n, LEAST, MOST), crowson.get_sigmas_exponential(n, LEAST, MOST))
    wanted = crowson.get_sigmas_polyexponential(n, LEAST, MOST, 1.7)
    near(grids.polyexponential(n, LEAST, MOST, 1.7), wanted)
    schedule = grids.VP(0.1, 20.0)
    sigma, alpha = grids.grid(schedule, grids.uniform_time(n - 1 or 1, 1.0, 1e-3))
    ratio = [s / a for s, a in zip(sigma, alpha, strict=True)][:n] + [0.0]
    near(ratio, crowson.get_sigmas_vp(n))


@pytest.fixture(scope="module")
def euler():
    diffusers = pytest.importorskip("diffusers")
    return diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    )


@pytest.mark.parametrize("n", STEPS[1:])
def test_diffusers_level_grids(n, euler):
    ends = torch.tensor([MOST, LEAST], dtype=torch.float64)
    near(grids.karras(n, LEAST, MOST)[:-1], euler._convert_to_karras(ends, n))
    near(grids.exponential(n, LEAST, MOST)[:-1], euler._convert_to_exponential(ends, n))
    pytest.importorskip("scipy")
    near(grids.beta_levels(n, LEAST, MOST)[:-1], euler._convert_to_beta(ends, n))


@pytest.mark.parametrize("shape", [(0.6, 0.6), (0.5, 0.7), (2.0, 5.0), (1.0, 3.5)])
def test_beta_quantiles(shape):
    stats = pytest.importorskip("scipy.stats")
    from solvergen.grids.distribution import beta_quantile

    for p in (1e-9, 0.003, 0.2, 0.5, 0.77, 0.999):
        wanted = stats.beta.ppf(p, *shape)
        assert math.isclose(beta_quantile(p, *shape), wanted, rel_tol=1e-11)


def test_align_your_steps_between_other_ends():
    found = grids.align_your_steps(10, "sd1", False, sigma_min=0.002, sigma_max=80.0)
    logs, own = np.log(found), np.log(grids.align_your_steps(10, "sd1", False))
    near(np.diff(logs) / np.diff(own), [(logs[-1] - logs[0]) / (own[-1] - own[0])] * 10, 1e-10)


@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
def test_diffusers_timesteps(spacing):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(timestep_spacing=spacing, steps_offset=1)
    for n in STEPS:
        scheduler.set_timesteps(n)
        options = {"offset": 1} if spacing == "leading" else {}
        assert getattr(grids, spacing)(n, **options) == scheduler.timesteps.tolist()


@pytest.mark.parametrize(
    ("kind", "name", "ends"),
    [
        ("linear", "linear", (0.0001, 0.02)),
        ("scaled_linear", "scaled_linear", (0.00085, 0.012)),
        ("cosine", "squaredcos_cap_v2", (0.0, 0.0)),
    ],
)
def test_diffusers_tables(kind, name, ends):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(
        beta_schedule=name, beta_start=ends[0], beta_end=ends[1], rescale_betas_zero_snr=False
    )
    table = grids.betas(kind, 1000, *ends)
    near(table, scheduler.betas, 1e-6)  # a table of float32
    near(grids.Table(table).kept, scheduler.alphas_cumprod, 1e-5)


def test_zero_terminal_snr():
    module = pytest.importorskip("diffusers.schedulers.scheduling_ddim")
    table = grids.betas()
    wanted = module.rescale_zero_terminal_snr(torch.tensor(table, dtype=torch.float64))
    near(grids.rescaled_to_zero_snr(table), wanted)
    assert grids.Table(grids.rescaled_to_zero_snr(table)).sigmas[-1] == math.inf


@pytest.mark.parametrize("n", [2, 9, 20])
def test_levels_of_whole_and_half_timesteps(n, euler):
    wanted = np.exp(np.interp(np.linspace(999, 0, n), np.arange(1000), np.log(euler_sigmas(euler))))
    near(grids.Table(grids.betas()).normal(n)[:-1], wanted, 1e-5)  # a table of float32
    times = [euler._sigma_to_t(np.array(s), np.log(euler_sigmas(euler))) for s in wanted]
    table = grids.Table(grids.betas())
    near([table.time(float(s)) for s in wanted], np.ravel(times), 1e-3)


def euler_sigmas(euler):
    kept = euler.alphas_cumprod.double().numpy()
    return np.sqrt((1 - kept) / kept)


@pytest.mark.parametrize("linear", [False, True])
def test_flow_shifts(linear):
    module = pytest.importorskip("diffusers")
    scheduler = module.FlowMatchEulerDiscreteScheduler(
        shift_terminal=0.1, time_shift_type="linear" if linear else "exponential"
    )
    times = torch.tensor(grids.flow_linear(12)[:-1], dtype=torch.float64)
    for mu in (0.3, 0.5, 1.15):
        wanted = scheduler.time_shift(mu, 1.0, times)
        near(grids.dynamic_shift(times.tolist(), mu, 1.0, linear), wanted)
    near(
        grids.stretched([*times.tolist(), 0.0], 0.1)[:-1],
        scheduler.stretch_shift_to_terminal(times),
    )


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("n", [1, 4, 28])
def test_flow_table_of_comfyui(n, shift):
    """`normal_scheduler` and `simple_scheduler` on ModelSamplingDiscreteFlow, written as they run."""

    def moved(t):
        return shift * t / (1 + (shift - 1) * t)

    levels = [moved((i + 1) / 1000) for i in range(1000)]
    table = grids.FlowTable(shift)
    near(table.simple(n), [levels[-1 - int(i * 1000 / n)] for i in range(n)] + [0.0])
    near(table.normal(n), [*moved(np.linspace(1.0, levels[0], n)), 0.0])
    near(table.sgm_uniform(n), [*moved(np.linspace(1.0, levels[0], n + 1)[:-1]), 0.0])


def test_beta_on_flow():
    stats = pytest.importorskip("scipy.stats")
    parts = 1 - np.linspace(0, 1, 20, endpoint=False)
    places = np.rint(stats.beta.ppf(parts, 0.6, 0.6) * 999).astype(int)
    table = grids.FlowTable(3.0)
    near(table.beta(20), [*(table.sigmas[k] for k in places), 0.0])


@pytest.mark.parametrize("n", [2, 5, 20, 33])
def test_bong_tangent_of_res4lyf(n):
    def part(count, slope, pivot, start, end):
        ends = [2 / math.pi * math.atan(-slope * (x - pivot)) for x in (0, count - 1)]
        values = [2 / math.pi * math.atan(-slope * (x - pivot)) for x in range(count)]
        return [(v - ends[1]) / (ends[0] - ends[1]) * (start - end) + end for v in values]

    count = n + 2
    middle, pivot, slope = int(count * 0.6), int(count * 0.6), 0.2 / (count / 40)
    wanted = part(middle, slope, pivot, 1.0, 0.5)[:-1]
    wanted += part(count - middle, slope, pivot - middle, 0.5, 0.0)
    found = grids.bong_tangent(n)
    assert len(found) == n + 1
    near(found, wanted)


def test_latent_consistency_times_of_diffusers():
    scheduler = pytest.importorskip("diffusers").LCMScheduler()
    for n, original, strength in ((1, 50, 1.0), (4, 50, 1.0), (7, 100, 0.6), (8, 20, 0.5)):
        scheduler.set_timesteps(n, original_inference_steps=original, strength=strength)
        assert grids.lcm_times(n, 1000, original, strength) == scheduler.timesteps.tolist()


def test_static_shift_moves_lambda_by_a_constant():
    flow, shift = grids.RectifiedFlow(), 3.0
    for t in (0.9, 0.5, 0.1):
        (moved,) = grids.shifted([t], shift)
        assert math.isclose(flow.lam(moved), flow.lam(t) - math.log(shift), abs_tol=1e-13)


def test_shift_of_the_diffusers_scheduler():
    module = pytest.importorskip("diffusers")
    scheduler = module.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(sigmas=grids.flow_linear(8)[:-1])
    near(grids.shifted(grids.flow_linear(8), 3.0), scheduler.sigmas, 1e-6)  # float32


@pytest.mark.parametrize("n", [2, 3, 10, 64])
def test_linear_quadratic(n):
    try:
        from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"diffusers' Mochi pipeline cannot be imported: {error}")
    near(grids.linear_quadratic(n)[:-1], linear_quadratic_schedule(n, 0.025))


def test_align_your_steps():
    module = pytest.importorskip("diffusers.schedulers.scheduling_utils")
    names = {"sd1": "StableDiffusion", "sdxl": "StableDiffusionXL", "svd": "StableDiffusionVideo"}
    for model, name in names.items():
        assert grids.align_your_steps(10, model) == module.AysSchedules[name + "Sigmas"]
    longer = grids.align_your_steps(20, zero=False)
    near(longer[::2], grids.align_your_steps(10, zero=False))
    near(longer[1], math.sqrt(14.615 * 6.475))


def test_cosine_is_the_schedule_of_stable_audio():
    diffusers = pytest.importorskip("diffusers")
    try:
        scheduler = diffusers.CosineDPMSolverMultistepScheduler()
    except ImportError as error:
        pytest.skip(str(error))
    schedule = grids.Cosine()
    for t in (0.1, 0.5, 0.93):
        sigma = torch.tensor(math.tan(math.pi * t / 2), dtype=torch.float64)
        wanted = float(scheduler.precondition_noise(sigma))
        assert math.isclose(schedule.time(-math.log(float(sigma))), wanted, rel_tol=1e-6)


def test_edm_grid_of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0)
    scheduler.set_timesteps(18)
    near(grids.karras(18, 0.002, 80.0), scheduler.sigmas, 1e-6)  # float32


def test_continuous_vp_is_that_of_the_peers_grids():
    schedule = grids.VP()
    for t in (1e-3, 0.2, 1.0):
        rho = math.sqrt(math.expm1(0.5 * 19.9 * t * t + 0.1 * t))
        assert math.isclose(schedule.sigma(t) / schedule.alpha(t), rho, rel_tol=1e-13)
