"""What diffusers' schedulers must keep to, for exported ones: written from their common checks."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from solvergen.errors import DeriveError
from solvergen.gallery import load, names
from tests.generated.shapes import representatives

diffusers = pytest.importorskip("diffusers", reason="exported schedulers run inside diffusers")

SOLVERS = (
    "dpmpp_2m",
    "dpmpp_3m",
    "ddim",
    "unipc_2_bh2",
    "unipc_3_bh2",
    "ipndm4",
    "pndm",
    "heun_edm",
    "dpm_solver_2",
    "dpm_solver_3",
    "res_3s",
)
CONFIGS = {
    "default": {},
    "leading": {"timestep_spacing": "leading", "steps_offset": 1},
    "trailing_zero_snr": {
        "timestep_spacing": "trailing",
        "rescale_betas_zero_snr": True,
        "prediction_type": "v_prediction",
    },
    "karras": {"use_karras_sigmas": True},
    "lu": {"use_lu_lambdas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
    "cosine_sample": {
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "sample",
        "lambda_min_clipped": -5.1,
    },
    "sigma_min": {"final_sigmas_type": "sigma_min"},
    "thresholding": {"thresholding": True, "sample_max_value": 2.0},
    "flow": {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0},
}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def model(x, t):
    return torch.tanh(x) * (0.5 + float(t) / 2000)


def run(scheduler, count=None, start=0, begin=True, shape=(2, 3, 4, 4), **given):
    scheduler.set_timesteps(count, **given)
    if start and begin and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start * scheduler.order)
    x = draw(*shape)
    for t in scheduler.timesteps[start * scheduler.order :]:
        x = scheduler.step(model(scheduler.scale_model_input(x, t), t), t, x).prev_sample
    return x


@pytest.mark.parametrize("name", SOLVERS)
def test_saves_and_loads(name, scheduler, tmp_path):
    cls = scheduler(name)
    made = cls(beta_schedule="scaled_linear", use_karras_sigmas=True, num_train_timesteps=500)
    made.save_pretrained(tmp_path)
    assert torch.equal(run(made, 7), run(cls.from_pretrained(tmp_path), 7))


def test_a_saved_pipeline_loads_again(scheduler, unet, tmp_path, monkeypatch):
    """The folder carries the scheduler's file, which diffusers runs where it is trusted."""
    cls = scheduler("dpmpp_2m")
    pipe = diffusers.DDPMPipeline(unet=unet, scheduler=cls(steps_offset=1))
    pipe.save_pretrained(tmp_path / "pipe")
    held = sys.modules.pop(cls.__module__)
    modules = sys.modules["diffusers.utils.dynamic_modules_utils"]
    monkeypatch.setattr(modules, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    load = diffusers.DiffusionPipeline.from_pretrained
    try:
        with pytest.raises(ValueError, match="trust_remote_code"):
            load(tmp_path / "pipe")
        again = load(tmp_path / "pipe", trust_remote_code=True)
    finally:
        sys.modules[cls.__module__] = held
    assert type(again.scheduler).__name__ == cls.__name__ and type(again.scheduler) is not cls
    assert again.scheduler.config.steps_offset == 1
    assert torch.equal(run(again.scheduler, 5), run(pipe.scheduler, 5))


@pytest.mark.parametrize(
    "other",
    [
        "DDIMScheduler",
        "DDPMScheduler",
        "PNDMScheduler",
        "EulerDiscreteScheduler",
        "HeunDiscreteScheduler",
        "DPMSolverMultistepScheduler",
        "UniPCMultistepScheduler",
        "DEISMultistepScheduler",
        "FlowMatchEulerDiscreteScheduler",
    ],
)
def test_config_goes_both_ways(other, scheduler):
    theirs, cls = getattr(diffusers, other), scheduler("dpmpp_2m")
    vp = {"beta_schedule": "scaled_linear", "beta_end": 0.011}
    options = {"shift": 2.5} if "Flow" in other else vp
    ours = cls.from_config(theirs(**options).config)
    back = theirs.from_config(ours.config)
    assert {key: back.config[key] for key in options} == options
    assert ours._flow == ("Flow" in other) and not ours.config.use_flow_sigmas
    assert cls.from_config(theirs().config)._flow == ("Flow" in other)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", SOLVERS)
def test_full_loop(name, config, scheduler):
    made = scheduler(name)(**CONFIGS[config])
    for count in (1, 2, 10):
        assert run(made, count).isfinite().all()
        assert len(made.sigmas) == len(made.timesteps) + 1
        assert (made.timesteps[:1] >= made.timesteps).all()


COUNTS = [1, 2, 3, 4, 7, 12, 25, 50]


@pytest.mark.parametrize(
    "counts", [COUNTS, pytest.param(range(1, 51), marks=pytest.mark.nightly)], ids=["few", "all"]
)
@pytest.mark.parametrize("name", SOLVERS)
def test_every_count_and_start(name, counts, scheduler):
    made = scheduler(name)()
    for count in counts:
        whole = run(made, count, shape=(1, 1, 2, 2))
        assert whole.isfinite().all()
        for start in {count // 3, count - 1} - {0}:
            assert run(made, count, start, shape=(1, 1, 2, 2)).isfinite().all()


@pytest.mark.parametrize("name", SOLVERS)
def test_batch_shapes_repeat(name, scheduler):
    made = scheduler(name)()
    first = run(made, 6)
    assert run(made, 6, shape=(1, 2, 3, 5)).shape == (1, 2, 3, 5)
    assert torch.equal(run(made, 6), first)
    a, b = made.set_timesteps(4), made.timesteps[0]
    assert a is None
    out = made.step(draw(2, 3), b, draw(2, 3), return_dict=False)
    assert isinstance(out, tuple) and out[0].shape == (2, 3)


@pytest.mark.parametrize("name", ["dpmpp_2m", "heun_edm", "unipc_3_bh2"])
def test_begins_where_the_timestep_is(name, scheduler):
    made = scheduler(name)()
    assert torch.equal(run(made, 10, 4, begin=False), run(made, 10, 4))


def test_dtypes_are_kept(scheduler):
    made = scheduler("unipc_2_bh2")()
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        made.set_timesteps(3)
        x = draw(1, 2, 4, 4).to(dtype)
        for t in made.timesteps:
            x = made.step(model(x, t), t, x).prev_sample
        assert x.dtype == dtype and x.isfinite().all()


VP = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
CUT = {"lower_order_final": False}
PEERS = {
    "2m": ("dpmpp_2m", "DPMSolverMultistepScheduler", {**VP, **CUT}),
    "2m_heun": ("dpmpp_2m_exact", "DPMSolverMultistepScheduler", {"solver_type": "heun", **CUT}),
    "2m_karras": ("dpmpp_2m", "DPMSolverMultistepScheduler", {"use_karras_sigmas": True, **CUT}),
    "2m_zero_snr": (
        "dpmpp_2m",
        "DPMSolverMultistepScheduler",
        {**CONFIGS["trailing_zero_snr"], **CUT},
    ),
    "2m_cosine": ("dpmpp_2m", "DPMSolverMultistepScheduler", {**CONFIGS["cosine_sample"], **CUT}),
    "2m_thresholding": (
        "dpmpp_2m",
        "DPMSolverMultistepScheduler",
        {**CONFIGS["thresholding"], **CUT},
    ),
    "ddim": ("ddim", "DDIMScheduler", {"clip_sample": False, "timestep_spacing": "leading"}),
    **{
        f"unipc_{order}_{kind}": (
            f"unipc_{order}_{kind}_as_shipped_by_diffusers",
            "UniPCMultistepScheduler",
            {"solver_order": order, "solver_type": kind, "final_sigmas_type": end, **VP},
        )
        for order in (2, 3)
        for kind, end in (("bh1", "sigma_min"), ("bh2", "zero"))  # theirs with bh1 is NaN at zero
    },
    "unipc_2_noise": (
        "unipc_2_bh2_noise_as_shipped_by_diffusers",
        "UniPCMultistepScheduler",
        {"predict_x0": False, "final_sigmas_type": "sigma_min"},
    ),
    "unipc_2_karras": (
        "unipc_2_bh2_as_shipped_by_diffusers",
        "UniPCMultistepScheduler",
        {"use_karras_sigmas": True},
    ),
}


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("start", [0, 6])
def test_equals_the_peer(peer, start, scheduler):
    name, cls, config = PEERS[peer]
    theirs = getattr(diffusers, cls)(**config)
    ours = scheduler(name).from_config(theirs.config)
    for count in (1, 2, 7, 20, 50) if not start else (20,):
        wanted, found = run(theirs, count, start), run(ours, count, start)
        assert torch.equal(theirs.timesteps, ours.timesteps)
        assert (found - wanted).norm() < 1e-5 * wanted.norm()


@pytest.mark.parametrize("config", ["default", "flow", "trailing_zero_snr"])
def test_noise_is_added_at_the_level_of_a_time(config, scheduler):
    made = scheduler("heun_edm")(**CONFIGS[config])
    x0, noise = draw(3, 2, 4, 4), draw(3, 2, 4, 4, seed=1)
    times = torch.tensor([10, 500, 900])
    trained = made.add_noise(x0, noise, times)  # before any run, as training scripts do
    if config != "flow":
        bar = made.alphas_cumprod[times].view(3, 1, 1, 1)
        assert torch.allclose(trained, bar.sqrt() * x0 + (1 - bar).sqrt() * noise, atol=1e-5)
        velocity = bar.sqrt() * noise - (1 - bar).sqrt() * x0
        assert torch.allclose(made.get_velocity(x0, noise, times), velocity, atol=1e-5)
    else:
        level = (times / 1000).view(3, 1, 1, 1)
        assert torch.allclose(trained, (1 - level) * x0 + level * noise, atol=1e-5)
    made.set_timesteps(10)
    made.set_begin_index(8)
    mixed = made.add_noise(x0, noise, made.timesteps[8:9].expand(3))
    level = made.sigmas[8]
    alpha = 1 - level if config == "flow" else (1 + level**2) ** -0.5
    sigma = level if config == "flow" else level * alpha
    assert torch.allclose(mixed, alpha * x0 + sigma * noise, atol=1e-5)
    again = made.scale_noise(x0, made.timesteps[8:9].expand(3), noise)
    assert torch.equal(again, mixed)


def state(scheduler):
    held = {**vars(scheduler), "_internal_dict": dict(scheduler.config)}
    return {key: repr(value) for key, value in held.items()}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigmas": [1.0, 2.0, 3.0]}, "decrease"),
        ({"timesteps": [10, 500]}, "decrease"),
        ({"timesteps": [500, 10], "sigmas": [3.0, 1.0]}, "one of"),
        ({}, "one of"),
        ({"num_inference_steps": 0}, "1 or more"),
        ({"sigmas": [3.0, -1.0]}, "finite and >= 0"),
    ],
)
def test_a_refused_grid_changes_nothing(given, message, scheduler):
    made = scheduler("dpmpp_2m")()
    run(made, 5)
    before = state(made)
    with pytest.raises(ValueError, match=message):
        made.set_timesteps(**given)
    assert state(made) == before


def test_a_refused_output_changes_nothing(scheduler):
    made = scheduler("dpmpp_2m")()
    x, before = draw(1, 3, 4, 4), state(made)
    with pytest.raises(ValueError, match="set_timesteps"):
        made.step(x, 3, x)
    assert state(made) == before
    made.set_timesteps(4)
    before = state(made)
    for output, message in (
        (draw(1, 6, 4, 4), "does not fit"),
        (torch.full_like(x, torch.nan), "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            made.step(output, made.timesteps[0], x)
    with pytest.raises(ValueError, match="not in the schedule"):
        made.step(x, 7, x)
    with pytest.raises(ValueError, match="eta"):
        made.step(x, made.timesteps[0], x, eta=1.0)
    assert state(made) == before
    run(made, 3)
    with pytest.raises(ValueError, match="over"):
        made.step(x, made.timesteps[-1], x)


def test_dynamic_shift_is_not_kept(scheduler):
    made = scheduler("dpmpp_2m")(**CONFIGS["flow"], use_dynamic_shifting=True)
    made.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25], mu=0.8)
    wide = 2.718281828459045**0.8
    wanted = [wide * s / (1 + (wide - 1) * s) for s in (1.0, 0.75, 0.5, 0.25)]
    assert torch.allclose(made.sigmas[:-1].double(), torch.tensor(wanted).double())
    assert made.config.flow_shift == 3.0
    assert torch.allclose(made.timesteps, made.sigmas[:-1] * 1000)


def test_parameters_reach_the_solver(scheduler):
    cls = scheduler("res_3s")
    default, other = cls(), cls(solver_parameters={"c2": 0.4})
    assert not torch.equal(run(default, 5), run(other, 5))
    with pytest.raises(ValueError, match="c2"):
        cls(solver_parameters={"c2": 2.0}).set_timesteps(5)
    with pytest.raises(ValueError, match="c2 must be a finite number; got None"):
        cls(solver_parameters={"c2": None}).set_timesteps(5)
    with pytest.raises(ValueError, match="solver_parameters are c2, .*; found b"):
        cls(solver_parameters={"b": 1.0})
    with pytest.raises(ValueError, match="none of this solver; found b"):
        scheduler("dpmpp_2m")(solver_parameters={"b": 1.0})


def test_learned_variance_is_cut_off(scheduler):
    made = scheduler("dpmpp_2m")(variance_type="learned_range")
    made.set_timesteps(2)
    x = draw(1, 3, 4, 4)
    assert made.step(draw(1, 6, 4, 4), made.timesteps[0], x).prev_sample.shape == x.shape


@pytest.mark.parametrize(
    "solvers",
    [
        *(pytest.param(representatives()[part::8], id=f"some shapes {part}") for part in range(0, 8, 2)),
        *(pytest.param(names()[part::8], id=f"all {part}", marks=pytest.mark.nightly) for part in range(8)),
    ],
)  # fmt: skip
def test_the_whole_gallery_runs(solvers, scheduler):
    for name in solvers:
        if load(name).start.first:  # a pipeline calls its model at every step
            with pytest.raises(DeriveError, match="without a model call"):
                scheduler(name)
            continue
        for config in ("default", "flow"):
            made = scheduler(name)(**CONFIGS[config])
            for count, start in ((1, 0), (2, 0), (6, 0), (6, 2), (6, 5)):
                assert run(made, count, start, shape=(1, 1, 2, 2)).isfinite().all(), name


def test_a_step_makes_fewer_calls_than_the_host_s_own(scheduler):
    """Calls into Python and C are the time of a step on small states, and can be counted."""

    def calls(made):
        made.set_timesteps(20)
        x, seen = draw(1, 4, 8, 8), 0

        def count(frame, event, argument):
            nonlocal seen
            seen += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            for t in made.timesteps:
                x = made.step(x, t, x, return_dict=False)[0]
        finally:
            sys.setprofile(before)
        return seen

    peer = calls(diffusers.DPMSolverMultistepScheduler())
    assert calls(scheduler("dpmpp_2m")()) < 2 * peer / 3


def test_steps_compile_once_for_all_calls_of_a_run(scheduler):
    """One graph for the first call, one for the others; the same numbers as without."""
    from torch._dynamo.testing import CompileCounter

    for name, begin in (("dpmpp_2m", 0), ("heun_edm", 4)):
        torch._dynamo.reset()
        counter, plain, compiled = CompileCounter(), scheduler(name)(), scheduler(name)()
        step = torch.compile(compiled.step, fullgraph=True, backend=counter)
        for one in (plain, compiled):
            one.set_timesteps(7)
            one.set_begin_index(begin)
        x = y = torch.randn(2, 3, 4, 4)
        for k, t in enumerate(plain.timesteps[begin:], begin + 1):
            x = plain.step(torch.tanh(x), t, x).prev_sample
            y = step(torch.tanh(y), t, y, return_dict=False)[0]
            assert torch.allclose(x, y, rtol=1e-4, atol=1e-4) and compiled.step_index == k
        assert counter.frame_count == 2
        with pytest.raises(ValueError, match="compiled steps"):
            compiled.step(y, t, y)


def test_another_threads_steps_are_refused(scheduler):
    made, x = scheduler("dpmpp_2m")(), torch.randn(1, 3, 4, 4)
    made.set_timesteps(4)
    made.step(x, made.timesteps[0], x)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="each thread its own scheduler"):
            pool.submit(made.step, x, made.timesteps[1], x).result()
        pool.submit(made.set_timesteps, 4).result()
    with pytest.raises(ValueError, match="each thread its own scheduler"):
        made.step(x, made.timesteps[1], x)
