"""Exported schedulers of solvers that draw noise: their draws, starts, peers and pipelines."""

import pytest
import torch

from solvergen.hosts.noise import Recorded, Seeded, from_generator
from tests.generated.shapes import daily

diffusers = pytest.importorskip("diffusers", reason="exported schedulers run inside diffusers")

# One of each form of noise, and each shape of memory; parameters that let it draw.
SOLVERS = {
    "euler_ancestral": {},
    "ddim_eta": {},
    "dpmpp_2m_sde": {},
    "seeds_2": {},
    "heun_churn": {"s_churn": 3.0, "s_noise": 1.01},
    "sa_solver_sde_p2c2": {},
    "annealed_langevin": {},
    "lcm": {},
}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
CONFIGS = {
    "default": {},
    "trailing": {"timestep_spacing": "trailing"},
    "karras": {"use_karras_sigmas": True, "prediction_type": "v_prediction"},
    "flow": FLOW,
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def model(x, t):
    return torch.tanh(x) * (0.5 + float(t) / 2000)


def run(scheduler, count=None, start=0, noise=generator, x=None, **given):
    scheduler.set_timesteps(count, **given)
    first = start * scheduler.order
    if start:
        scheduler.set_begin_index(first)
    x = draw(2, 3, 4, 4, seed=9) if x is None else x
    noise = noise() if callable(noise) else noise
    for t in scheduler.timesteps[first:]:
        seen = scheduler.scale_model_input(x, t)
        x = scheduler.step(model(seen, t), t, x, generator=noise).prev_sample
    return x


@pytest.fixture
def made(scheduler):
    """A function from a solver and a config to its scheduler, with parameters that let it draw."""

    def build(name, **config):
        parameters = {"solver_parameters": SOLVERS.get(name), "clip_sample": False}
        return scheduler(name)(**{**parameters, **config})

    return build


def levels(scheduler):
    """The grid of the planned run as σ and α, as `integrate` takes it."""
    level = scheduler._grid_levels
    if scheduler._flow:
        return level, 1 - level
    alpha = (1 + level**2).rsqrt()
    return level * alpha, alpha


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", SOLVERS)
def test_a_run_is_that_of_the_sampler(name, config, made, committed):
    """The scheduler with a generator is `sample` with draws of that generator, in order."""
    ours, module = made(name, **CONFIGS[config]), committed(name)
    churn = name == "heun_churn"
    found, source = run(ours, 7), generator()
    sigmas, alphas = levels(ours)
    x = draw(2, 3, 4, 4, seed=9)
    plan = module.coefficients(sigmas, alphas, **SOLVERS[name])
    calls = list(zip(ours.timesteps, ours._row_levels, strict=True))

    def denoise(seen, sigma):
        t, level = calls.pop(0)
        prediction, size = ours.config.prediction_type, (1 + float(level) ** 2) ** 0.5
        if prediction == "flow_prediction":
            return seen - float(level) * model(seen, t)
        if prediction == "v_prediction":
            return seen / size - float(level) / size * model(seen, t)
        return seen * size - float(level) * model(seen, t)

    if churn and plan[0][5]:  # pipelines begin at the level of the first call
        plan.made[0] = (*plan[0][:5], ())
    wanted = module.integrate(denoise, x, plan, noise_sampler=from_generator(x, source))
    last = ours.sigmas[-1]  # a last step of length zero, where the grid has one, has no row
    assert (
        all(level.float() == last for _, level in calls)
        and (found - wanted).norm() < 1e-5 * wanted.norm()
    )


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("name", SOLVERS)
def test_runs_repeat_with_the_generator(name, start, made):
    ours = made(name)
    first = run(ours, 7, start)
    assert torch.equal(run(ours, 7, start), first) and first.isfinite().all()
    assert not torch.equal(run(ours, 7, start, generator(1)), first)
    torch.manual_seed(0)
    default = run(ours, 7, start, None)  # torch's own generator
    torch.manual_seed(0)
    assert torch.equal(run(ours, 7, start, None), default)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_list_of_generators_is_a_list_of_runs(name, made):
    ours, x = made(name), draw(2, 3, 4, 4, seed=9)
    both = run(ours, 7, noise=[generator(3), generator(4)])
    alone = [run(ours, 7, noise=generator(3 + k), x=x[k : k + 1]) for k in range(2)]
    assert torch.allclose(both, torch.cat(alone), atol=1e-5)
    ours.set_timesteps(3)
    with pytest.raises(ValueError, match="3 generators for 2 samples"):
        ours.step(x, ours.timesteps[0], x, generator=[generator()] * 3)
    assert ours.step_index is None


@pytest.mark.parametrize("name", SOLVERS)
def test_a_noise_sampler_replaces_the_generator(name, made):
    ours, x = made(name), draw(2, 3, 4, 4, seed=9)
    whole = ours.noise_sampler = Recorded(Seeded(x, [5, 6]))
    first = run(ours, 7)
    ours.noise_sampler = Seeded(x, [5, 6])
    assert torch.equal(run(ours, 7, noise=generator(1)), first)
    part = ours.noise_sampler = Recorded(Seeded(x, [5, 6]))
    run(ours, 7, 3)  # begins in the middle: levels on, the draws are those of the whole run
    offset = len(whole.levels) - len(part.levels)
    assert part.levels == whole.levels[offset:] and part.levels
    assert all(torch.equal(a, b) for a, b in zip(part.draws, whole.draws[offset:], strict=True))


def test_begins_inside_a_step(made):
    for name in ("seeds_2", "heun_churn", "annealed_langevin"):
        ours = made(name)
        ours.set_timesteps(6)
        ours.set_begin_index(ours.order * 2 + 1)
        x = draw(2, 3, 4, 4)
        for t in ours.timesteps[ours.order * 2 + 1 :]:
            x = ours.step(model(x, t), t, x, generator=generator()).prev_sample
        assert x.isfinite().all()


def test_ddim_inside_a_churned_step_ends_where_noise_begins(made):
    """From inside a step DDIM goes to its end; churn there leads to the next call's level."""
    ours = made("heun_churn")
    ours.set_timesteps(6)
    ours.set_begin_index(3)
    record = ours.noise_sampler = Recorded(lambda a, b: torch.zeros(2, 3, 4, 4))
    x = draw(2, 3, 4, 4)
    ours.step(model(x, ours.timesteps[3]), ours.timesteps[3], x)
    assert record.levels[0][0] == float(ours._grid_levels[2])
    assert record.levels[0][1] == pytest.approx(float(ours._row_levels[4]), rel=1e-9)


def test_ddim_ends_where_its_step_does(scheduler):
    """A step over two intervals, and one that noise leads up from."""
    for name, timesteps, ends in (
        ("dpm_solver_2_grid", [900, 700, 500, 300, 100], {1: 2, 3: 4}),
        ("restart_heun", [900, 500, 300, 500, 300, 100], {1: 1, 3: 2, 5: 4}),
    ):
        for begin, end in ends.items():
            ours = scheduler(name)(prediction_type="sample")
            ours.set_timesteps(timesteps=timesteps)
            ours.set_begin_index(begin)
            ours.noise_sampler = lambda a, b: torch.zeros(1, 2)
            x, x0 = draw(1, 2), draw(1, 2, seed=1)
            found = ours.step(x0, ours.timesteps[begin], x).prev_sample
            a, s = ours.scales(ours._grid_levels)
            a0, s0 = ours.scales(ours._row_levels[begin])
            wanted = a[end] * x0 + s[end] / s0 * (x - a0 * x0)
            if name == "restart_heun" and end == 2:
                wanted *= a[3] / a[2]
            assert torch.allclose(found, wanted.float(), atol=1e-6)


def test_noise_is_mixed_in_at_the_raised_level(made):
    ours = made("heun_churn")
    ours.set_timesteps(8)
    ours.set_begin_index(6)
    x0, noise = draw(1, 3, 4, 4), draw(1, 3, 4, 4, seed=1)
    raised = float(ours._grid_levels[3]) * (1 + 3 / 8)
    assert float(ours._row_levels[6]) == pytest.approx(raised)
    mixed = ours.add_noise(x0, noise, ours.timesteps[6:7])
    size = (1 + raised**2) ** 0.5
    assert torch.allclose(mixed, (x0 + raised * noise) / size, atol=1e-6)


def test_dtypes_are_kept_and_halves_draw_in_float32(made):
    ours, drawn = made("dpmpp_2m_sde"), []
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        source = generator()
        x = run(ours, 4, noise=source, x=draw(1, 2, 4, 4).to(dtype))
        assert x.dtype == dtype and x.isfinite().all()
        drawn.append(source.get_state())
    assert torch.equal(drawn[0], drawn[2]) and torch.equal(drawn[1], drawn[2])


@pytest.mark.parametrize("grid", ["timesteps", "sigmas"])
@pytest.mark.parametrize("name", ["restart_heun", "ddim_jumps"])
def test_grids_that_rise_again(name, grid, made, committed):
    ours, module = made(name), committed(name)
    values = {"timesteps": [990, 600, 300, 600, 300, 50], "sigmas": [60.0, 4, 1, 4, 1, 0.1]}
    found = run(ours, **{grid: values[grid]})
    sigmas, alphas = levels(ours)
    plan = module.coefficients(sigmas, alphas)
    assert len(plan) == len(ours.timesteps) and sum(bool(row[5]) for row in plan) == 1
    calls, x = list(zip(ours.timesteps, ours._row_levels, strict=True)), draw(2, 3, 4, 4, seed=9)

    def denoise(seen, sigma):
        t, level = calls.pop(0)
        return seen * (1 + float(level) ** 2) ** 0.5 - float(level) * model(seen, t)

    wanted = module.integrate(denoise, x, plan, noise_sampler=from_generator(x, generator()))
    assert (found - wanted).norm() < 1e-5 * wanted.norm()
    with pytest.raises(ValueError, match="rise"):
        ours.set_timesteps(timesteps=[600, 300, 990, 50])


def test_strength_is_a_solver_parameter(made, scheduler):
    ours = scheduler("ddim_eta")
    noisy, still = ours(clip_sample=False), ours(solver_parameters={"eta": 0.0}, clip_sample=False)
    assert not torch.equal(run(noisy, 5), run(noisy, 5, noise=generator(1)))
    assert torch.equal(run(still, 5), run(still, 5, noise=generator(1)))
    assert torch.allclose(run(still, 5), run(scheduler("ddim")(clip_sample=False), 5), atol=1e-5)
    x = draw(1, 3, 4, 4)
    for name, given, message in (
        ("lcm", {"eta": 1.0}, "no parameter eta"),
        ("dpmpp_2m", {"eta": 1.0}, "no parameter eta"),
    ):
        refused = scheduler(name)()
        refused.set_timesteps(4)
        with pytest.raises(ValueError, match=message):
            refused.step(x, refused.timesteps[0], x, **given)
    noisy.set_timesteps(4)
    assert noisy.step(x, noisy.timesteps[0], x, eta=1.0).prev_sample.isfinite().all()
    with pytest.raises(ValueError, match="this run has eta = 1.0; found 0.5 in the middle"):
        noisy.step(x, noisy.timesteps[1], x, eta=0.5)
    half = scheduler("ddim_eta")(solver_parameters={"eta": 0.5}, clip_sample=False)

    def called(made, **given):
        made.set_timesteps(5)
        state, source = draw(1, 3, 4, 4), generator()
        for t in made.timesteps:
            state = made.step(model(state, t), t, state, generator=source, **given).prev_sample
        return state

    assert torch.equal(called(noisy, eta=0.5), called(half))
    assert torch.equal(called(half, eta=0.0), called(half))  # what pipelines pass unasked
    assert torch.equal(called(noisy, eta=0.0), called(still))  # as DDIMScheduler
    assert not torch.equal(called(half, eta=0.9), called(half))


@pytest.mark.parametrize("name", SOLVERS)
def test_saves_and_loads(name, made, scheduler, tmp_path):
    ours = made(name, beta_schedule="scaled_linear", timestep_spacing="trailing")
    ours.save_pretrained(tmp_path)
    again = scheduler(name).from_pretrained(tmp_path)
    assert torch.equal(run(again, 6), run(ours, 6))


VP = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
TRAILING = {**VP, "timestep_spacing": "trailing"}
SDE = {**VP, "lower_order_final": False}
PEERS = {
    "ddim": ("ddim_eta", "DDIMScheduler", {**TRAILING, "clip_sample": False}),
    "sde_2m": (
        "sde_dpmpp_2m",
        "DPMSolverMultistepScheduler",
        {**SDE, "algorithm_type": "sde-dpmsolver++"},
    ),
    "sde_1": (
        "sde_dpmpp_1",
        "DPMSolverMultistepScheduler",
        {**SDE, "algorithm_type": "sde-dpmsolver++", "solver_order": 1},
    ),
    "sde_2m_heun": (
        "sde_dpmpp_2m_exact",
        "DPMSolverMultistepScheduler",
        {**SDE, "algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
    ),
    "sde_2m_noise": (
        "sde_dpm_solver_2m",
        "DPMSolverMultistepScheduler",
        {**SDE, "algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"},
    ),
}


def run_theirs(scheduler, count, start, step_options):
    """The same run of a scheduler of diffusers."""
    scheduler.set_timesteps(count)
    if start and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)
    x, noise = draw(2, 3, 4, 4, seed=9), generator()
    for t in scheduler.timesteps[start:]:
        x = scheduler.step(model(x, t), t, x, generator=noise, **step_options).prev_sample
    return x


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("start", [0, 4])
def test_equals_the_peer(peer, start, scheduler):
    name, cls, config = PEERS[peer]
    theirs = getattr(diffusers, cls)(**config)
    ours = scheduler(name).from_config(theirs.config)
    for count in (2, 10, 20) if not start else (10,):
        wanted = run_theirs(theirs, count, start, {"eta": 1.0} if peer == "ddim" else {})
        found = run(ours, count, start)
        assert torch.equal(theirs.timesteps, ours.timesteps)
        assert (found - wanted).norm() < 1e-5 * wanted.norm()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_equals_euler_ancestral(prediction, scheduler):
    """Theirs holds x / α: the model sees the same, and so do the draws."""
    config = {**TRAILING, "prediction_type": prediction}
    theirs = diffusers.EulerAncestralDiscreteScheduler(**config)
    ours = scheduler("euler_ancestral").from_config(theirs.config)
    found = run(ours, 10)
    theirs.set_timesteps(10)
    noise, x = generator(), draw(2, 3, 4, 4, seed=9) * (1 + theirs.sigmas[0] ** 2) ** 0.5
    for t in theirs.timesteps:
        seen = theirs.scale_model_input(x, t)
        x = theirs.step(model(seen, t), t, x, generator=noise).prev_sample
    assert torch.equal(theirs.timesteps, ours.timesteps)
    assert (found - x).norm() < 1e-5 * x.norm()


@pytest.mark.parametrize("name", daily(SOLVERS))
def test_unconditional_pipelines(name, made, unet):
    for cls, given in ((diffusers.DDPMPipeline, {}), (diffusers.DDIMPipeline, {"eta": 0.0})):
        pipe = cls(unet=unet, scheduler=diffusers.DDIMScheduler())
        pipe.scheduler = made(name)
        pipe.set_progress_bar_config(disable=True)
        options = {"num_inference_steps": 5, "output_type": "np", **given}
        a, b, c = (
            pipe(batch_size=2, generator=generator(seed), **options).images for seed in (0, 0, 1)
        )
        assert a.shape == (2, 8, 8, 3) and (a == b).all() and (a != c).any()


@pytest.mark.parametrize("name", daily(SOLVERS))
def test_text_and_image_pipelines(name, made, text_to_image):
    options = {"num_inference_steps": 6, "output_type": "latent", "guidance_scale": 4.0}
    image = torch.rand(1, 3, 16, 16, generator=generator(1))
    latent = {**VP, "steps_offset": 1}
    for cls, given in (
        ("StableDiffusionPipeline", {"height": 16, "width": 16}),
        ("StableDiffusionImg2ImgPipeline", {"image": image, "strength": 0.6}),
    ):
        pipe = getattr(diffusers, cls)(**text_to_image, scheduler=made(name, **latent))
        pipe.set_progress_bar_config(disable=True)
        runs = [pipe("a cat", generator=generator(), **options, **given).images for _ in range(2)]
        assert torch.equal(*runs) and runs[0].isfinite().all()
        seeds = [generator(k) for k in range(2)]
        pair = pipe("a cat", num_images_per_prompt=2, generator=seeds, **options, **given).images
        assert torch.allclose(pair[:1], runs[0], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        (
            "sde_dpmpp_2m",
            diffusers.DPMSolverMultistepScheduler(
                **VP, algorithm_type="sde-dpmsolver++", lower_order_final=False
            ),
        ),
        ("euler_ancestral", diffusers.EulerAncestralDiscreteScheduler(**VP)),
    ],
)
def test_text_to_image_is_diffusers(name, theirs, scheduler, text_to_image):
    """Pipelines pass eta = 0 to every scheduler that takes it."""
    ours, found = scheduler(name).from_config(theirs.config), []
    for chosen in (theirs, ours):
        pipe = diffusers.StableDiffusionPipeline(**text_to_image, scheduler=chosen)
        pipe.set_progress_bar_config(disable=True)
        options = {"num_inference_steps": 8, "height": 16, "width": 16, "output_type": "latent"}
        found.append(pipe("a cat", generator=generator(), **options).images)
    assert (found[1] - found[0]).norm() < 1e-4 * found[0].norm()
