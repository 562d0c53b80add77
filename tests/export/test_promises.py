"""What exported schedulers promise their hosts: the level that the model gets, where runs begin, refusals."""

import copy
import sys
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

diffusers = pytest.importorskip("diffusers", reason="exported schedulers run inside diffusers")

VP = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
SHAPES = ("use_exponential_sigmas", "use_beta_sigmas", "use_karras_sigmas", "use_lu_lambdas")
SOLVERS = ("dpmpp_2m", "unipc_2_bh2", "euler_sigma", "heun_edm", "dpm2", "lcm", "pndm")


def level_told(scheduler):
    """The level that each time means to the network, log ρ being linear between timesteps."""
    levels, time = scheduler._levels.log(), scheduler.timesteps.double()
    low = time.floor().long().clamp(0, len(levels) - 2)
    return (levels[low] + (levels[low + 1] - levels[low]) * (time - low)).exp()


def walked(scheduler, first, x=None):
    """The states of a run from an index on, without telling where it begins."""
    x = torch.ones(1, 2) if x is None else x
    for t in scheduler.timesteps[first:]:
        x = scheduler.step(0.5 * x, t, x).prev_sample
    return x


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(SOLVERS),
    shape=st.sampled_from(SHAPES),
    count=st.integers(1, 60),
    rounding=st.sampled_from(["nearest", "exact"]),
    schedule=st.sampled_from(["linear", "scaled_linear", "squaredcos_cap_v2"]),
)
def test_the_network_is_told_the_level_that_it_is_at(
    name, shape, count, rounding, schedule, scheduler
):
    """To rounding, or half a timestep where diffusers rounds to the nearest."""
    config = {**VP, "beta_schedule": schedule, "timestep_rounding": rounding, shape: True}
    made = scheduler(name)(**config)
    made.set_timesteps(min(count, 50) if name == "lcm" else count)
    told, true = level_told(made), made._row_levels
    rounded = rounding == "nearest" and shape in ("use_karras_sigmas", "use_lu_lambdas")
    wide = made._levels.log().diff().max()  # the widest timestep, in log ρ
    room = wide / 2 if rounded else 1e-4 * wide  # times are passed in float32
    assert ((told / true).log().abs() < room + 1e-5).all()
    assert len(set(made.timesteps.tolist())) == len(set(true.tolist()))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from([*SOLVERS, "res_3s", "dpmpp_2s_grid", "dpm_solver_fast_3_2"]),
    count=st.integers(2, 60),
    part=st.floats(0.02, 0.99),
    shape=st.sampled_from([None, *SHAPES[:3]]),
)
def test_a_run_of_less_strength_begins_at_its_level_and_ends(name, count, part, shape, scheduler):
    """Pipelines slice by `order`; those that name no begin index name its time."""
    config = {**VP, "clip_sample": False, **({shape: True} if shape else {})}
    made = scheduler(name)(**config)
    try:
        made.set_timesteps(count)
    except ValueError as error:
        assert "num_inference_steps" in str(error)  # more steps than a consistency model has
        return
    step = min(int(count * (1 - part)), count - 1)
    first = step * made.order
    assert made._row_levels[first] == made._made[0][step]  # the level of that step of the grid
    assert made.index_for_timestep(made.timesteps[first]) == first
    assert walked(made, first).isfinite().all() and made.step_index == len(made.timesteps)
    assert count * made.order >= len(made.timesteps) - 1


@pytest.mark.parametrize(
    ("config", "given", "message"),
    [
        ({}, {"timesteps": [1499, 500]}, r"from 0 to 999; found \[1499.0, 500.0\]"),
        ({}, {"timesteps": [500, 500, 20]}, "500 twice"),
        ({}, {"sigmas": [5.0, 2.0, 2.0, 0.0]}, r"sigmas\[1\] and sigmas\[2\] .* timestep 395.95"),
        ({}, {"num_inference_steps": 1000}, "timesteps 500 and 500 of num_inference_steps = 1000"),
        ({"use_karras_sigmas": True}, {"timesteps": [9, 5]}, "exclude each other"),
        ({}, {"num_inference_steps": 1.5}, "whole number, 1 or more; found 1.5"),
        ({"use_flow_sigmas": True}, {"sigmas": [1.2, 0.5]}, "from 0 to 1, noise alone; found 1.2"),
        (
            {"use_karras_sigmas": True, "use_beta_sigmas": True},
            {"num_inference_steps": 4},
            "one of",
        ),
        ({"timestep_spacing": "odd"}, {"num_inference_steps": 4}, "must be linspace, leading"),
        ({}, {"num_inference_steps": 4, "original_inference_steps": 50}, "of LCM and TCD"),
        ({}, {"num_inference_steps": 4, "sigmas": [3.0, 0.0, 1.0]}, "3 sigmas for"),
        ({"use_flow_sigmas": True, "use_dynamic_shifting": True}, {"num_inference_steps": 4}, "mu"),
        ({"shift": -1.0}, {"num_inference_steps": 4}, "above 0 and finite"),
        ({"use_flow_sigmas": True, "use_lu_lambdas": True}, {"num_inference_steps": 4}, "together"),
        (
            {},
            {"sigmas": [900.0, 80.0, 1.0, 0.0]},
            "level 900, above 157.4.* timestep 999: .* no time",
        ),
        (
            {"use_karras_sigmas": True, "sigma_min": 0.002, **VP},
            {"num_inference_steps": 9},
            "below 0.029.*continuous",
        ),
    ],
)
def test_grids_that_cannot_be_are_refused_where_they_are_asked_for(
    config, given, message, scheduler
):
    made = scheduler("dpmpp_2m")(**config)
    with pytest.raises(ValueError, match=message):
        made.set_timesteps(**given)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("dpmpp_2m", {"solver_order": 3}, "this file is dpmpp_2m, whose solver_order is 2"),
        ("dpmpp_2m", {"algorithm_type": "sde-dpmsolver++"}, "whose algorithm_type is 'dpmsolver"),
        ("unipc_3_bh2", {"predict_x0": False}, "whose predict_x0 is True"),
        ("res_3s", {"solver_order": 3}, "says nothing about res_3s"),
        ("euler_sigma", {"sigma_data": 0.5}, "EDM's preconditioning"),
        ("ddpm_fixed_small", {"variance_type": "learned_range"}, "LearnedVariance"),
        ("dpmpp_2m", {"timestep_type": "odd"}, "timestep_type must be one of discrete"),
        ("flow_euler", {"stochastic_sampling": True}, "asks for another method"),
    ],
)
def test_keys_that_ask_for_another_method_are_refused(name, config, message, scheduler):
    with pytest.raises(ValueError, match=message):
        scheduler(name)(**config)


def test_a_choice_of_method_is_refused_from_its_own_class_and_left_by_others(scheduler, caplog):
    cls = scheduler("dpmpp_2m")
    with pytest.raises(ValueError, match="whose solver_order is 2"):
        cls.from_config(diffusers.DPMSolverMultistepScheduler(solver_order=3).config)
    other = diffusers.UniPCMultistepScheduler(solver_order=3).config
    assert cls.from_config(other).config.solver_order is None
    plain = diffusers.DDIMScheduler(set_alpha_to_one=False, clip_sample=True, **VP).config
    found = cls.from_config(plain).config  # as DPMSolverMultistepScheduler, which knows neither
    assert not found.clip_sample and found.final_sigmas_type == "zero"


def test_a_config_that_went_from_class_to_class_is_of_the_last(scheduler):
    """diffusers keeps keys of the classes that a config was of before."""
    first = diffusers.PNDMScheduler(skip_prk_steps=True, set_alpha_to_one=False, **VP)
    second = diffusers.DPMSolverMultistepScheduler.from_config(first.config, solver_order=2)
    third = diffusers.EulerDiscreteScheduler.from_config(second.config)
    assert third.config.skip_prk_steps and third.config.solver_order == 2
    for name in ("dpmpp_2m", "euler_sigma", "ddim", "unipc_3_bh2"):
        made = scheduler(name).from_config(third.config).config
        assert made.final_sigmas_type != "sigma_min" and made.beta_end == 0.012
        assert (made.skip_prk_steps, made.solver_order) == (None, None)
    with pytest.raises(ValueError, match="whose solver_order is 2"):
        wrong = diffusers.DPMSolverMultistepScheduler.from_config(third.config, solver_order=3)
        scheduler("dpmpp_2m").from_config(wrong.config)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("clip_sample_range", 2.0, "clip_sample_range without clip_sample"),
        ("sigma_max", 9.0, "sigma_max without use_karras_sigmas or"),
        ("flow_shift", 3.0, "flow_shift without use_flow_sigmas"),
        ("timestep_type", "continuous", "without v_prediction"),
    ],
)
def test_a_key_that_changes_nothing_is_named(key, value, said, scheduler, monkeypatch):
    cls, told = scheduler("dpmpp_2m"), []
    monkeypatch.setattr(
        sys.modules[cls.__module__].logger, "warning", lambda text: told.append(text)
    )
    cls(**{key: value})
    assert len(told) == 1 and said in told[0]
    cls(clip_sample=True, clip_sample_range=2.0), cls(use_karras_sigmas=True, sigma_max=9.0)
    assert len(told) == 1
    assert cls(set_alpha_to_one=False).config.final_sigmas_type is None


@pytest.mark.parametrize(
    "name", ["ddim", "pndm", "lcm", "heun_edm", "deis_logrho2", "flow_euler", "euler_sigma"]
)
def test_defaults_are_those_of_the_family(name, scheduler):
    ours = scheduler(name)()
    theirs = getattr(diffusers, f"{ours.family}Scheduler")()
    shared = {"timestep_spacing", "beta_start", "beta_end", "beta_schedule", "clip_sample", "shift"}
    for key in shared & set(theirs.config):
        assert ours.config[key] == theirs.config[key], key
    ours.set_timesteps(5), theirs.set_timesteps(5)
    assert len(ours.timesteps) == len(theirs.timesteps) or name == "pndm"


def test_a_second_thread_in_the_middle_of_a_run_is_refused(scheduler):
    made, found = scheduler("dpmpp_2m")(), []
    made.set_timesteps(4)
    x = made.step(torch.ones(1, 2), made.timesteps[0], torch.ones(1, 2)).prev_sample

    def intrude():
        try:
            made.step(x, made.timesteps[1], x)
        except ValueError as error:
            found.append(str(error))

    thread = threading.Thread(target=intrude)
    thread.start(), thread.join()
    assert found and "another thread is in the middle of a run" in found[0]
    made.step(x, made.timesteps[1], x)  # the run itself goes on


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_3_bh2", "heun_edm", "euler_ancestral"])
@pytest.mark.parametrize("place", [1, 5, 3])  # back again, over a step, and the next one
def test_a_time_that_is_not_the_next_is_where_the_sample_is(name, place, scheduler, caplog):
    def steps(made, x, rows):
        for k in rows:
            noise = draw_of(k)
            x = made.step(0.5 * x, made.timesteps[k], x, variance_noise=noise).prev_sample
        return x

    def draw_of(k):
        drawn = torch.Generator().manual_seed(k)
        return torch.randn(1, 2, generator=drawn) if name == "euler_ancestral" else None

    made, fresh = scheduler(name)(**VP), scheduler(name)(**VP)
    made.set_timesteps(8), fresh.set_timesteps(8)
    order = made.order
    x = steps(made, torch.ones(1, 2), range(3 * order))
    plain = 0 if place == 3 else 1
    rest = range(place * order, len(made.timesteps))
    with caplog.at_level("WARNING", logger=sys.modules[type(made).__module__].logger.name):
        sys.modules[type(made).__module__].logger.propagate = True
        found = steps(made, x, rest)
    assert len([r for r in caplog.records if "begins anew" in r.message]) == plain
    fresh.set_begin_index(place * order)
    if plain:
        assert torch.equal(found, steps(fresh, x, rest))
    assert made.step_index == len(made.timesteps)


def test_a_time_that_is_not_in_the_schedule_is_refused_in_the_middle_too(scheduler):
    made, x = scheduler("dpmpp_2m")(), torch.ones(1, 2)
    made.set_timesteps(5), made.set_begin_index(0)
    x = made.step(x, made.timesteps[0], x).prev_sample
    for wrong in (7, torch.tensor(7.5), torch.tensor([1.0])):
        with pytest.raises(ValueError, match="not in the schedule"):
            made.step(x, wrong, x)
    for wrong in (None, "5", torch.ones(2, 3).cumsum(0)):
        with pytest.raises(ValueError, match="must be one entry of scheduler.timesteps; found"):
            made.step(x, wrong, x)
    made.step(x, made.timesteps[1:2].clone().expand(3), x)  # a time for each of a batch
    made.step(x, int(made.timesteps[2]), x)
    assert made.step_index == 3


@pytest.mark.parametrize("fault", ["nan", "inf"])
def test_later_faults_of_the_network_are_named_with_their_call(fault, scheduler):
    made, x = scheduler("dpmpp_2m")(), torch.ones(1, 2)
    made.set_timesteps(4)
    for t in made.timesteps[:2]:
        x = made.step(0.5 * x, t, x).prev_sample
    with pytest.raises(ValueError, match=f"(?i)returned {fault} at call 2 .*free of it"):
        made.step(x * float(fault), made.timesteps[2], x)
    with pytest.raises(ValueError, match="call 2 returned SimpleOutput; pass its tensor"):
        made.step(type("SimpleOutput", (), {})(), made.timesteps[2], x)
    made.step(0.5 * x, made.timesteps[2], x)


def test_steps_take_gradients_without_a_word(scheduler, recwarn):
    made, x = scheduler("dpmpp_2m")(), torch.ones(1, 2, requires_grad=True)
    made.set_timesteps(3)
    end = x
    for t in made.timesteps:
        end = made.step(torch.tanh(end), t, end).prev_sample
    end.sum().backward()
    assert x.grad.abs().min() > 0 and not recwarn.list


def test_step_returns_what_pipelines_unpack(scheduler):
    x = torch.ones(1, 2)
    for name, count in (("lcm", 2), ("ddim", 2), ("euler_sigma", 2), ("dpmpp_2m", 1)):
        made = scheduler(name)()
        made.set_timesteps(4)
        found = made.step(x, made.timesteps[0], x, return_dict=False)
        assert isinstance(found, tuple) and len(found) == count
        made.set_timesteps(4)
        output = made.step(x, made.timesteps[0], x)
        assert torch.equal(output.prev_sample, output[0]) or made.draws
        assert output.denoised is output.pred_original_sample


def test_sigmas_that_are_final_are_walked_as_they_are(scheduler):
    cls, given = scheduler("flow_euler"), [1.0, 0.8, 0.3]
    final, moved = cls(shift=3.0, sigmas_are_final=True), cls(shift=3.0)
    final.set_timesteps(sigmas=given), moved.set_timesteps(sigmas=given)
    assert torch.allclose(final.sigmas, torch.tensor([*given, 0.0]))
    assert not torch.allclose(moved.sigmas, final.sigmas)
    once = cls(shift=3.0, shift_once=True)
    once.set_timesteps(28)
    assert [round(level, 4) for level in once.sigmas[-3:].tolist()] == [0.1059, 0.0030, 0.0]
    static = cls(shift=1.0)
    static.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25], mu=1.15)  # mu is of dynamic shifting
    assert static.sigmas.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0)
    ours = cls.from_config(theirs.config)
    for made in (theirs, ours):
        made.set_shift(3.0)
        made.set_timesteps(9)
    assert torch.allclose(ours.sigmas, theirs.sigmas)


def test_no_step_reads_from_the_device(scheduler):
    """A meta tensor has nothing to read: what waits for a device fails on it."""
    for name, config in (("dpmpp_2m", {}), ("unipc_2_bh2", {}), ("lcm", {})):
        made, x = scheduler(name)(**config), torch.empty(2, 3, 4, 4, device="meta")
        made.set_timesteps(4, device="meta")
        made.set_begin_index(0)
        for t in made.timesteps[:-1]:
            x = made.step(torch.tanh(x), t, x, return_dict=False)[0]
        assert x.is_meta and made.step_index == 3


def test_two_runs_in_two_threads_do_not_disturb_each_other(scheduler):
    count, first = 12, scheduler("unipc_3_bh2")()
    large = torch.randn(2, 1, 2**10, 2**10)

    def run(made, x):
        made.set_timesteps(count)
        with torch.no_grad():
            for t in made.timesteps:
                x = made.step(torch.tanh(x), t, x, return_dict=False)[0]
        return x.clone()

    alone = [run(first, part) for part in large]
    pair, found = (first, copy.deepcopy(first)), [None, None]
    threads = [
        threading.Thread(target=lambda k=k: found.__setitem__(k, run(pair[k], large[k])))
        for k in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(alone, found, strict=True))


def test_large_states_use_memory_again_and_small_ones_of_a_caller_stay(scheduler):
    made, x = scheduler("dpmpp_2m")(), torch.randn(1, 1, 2**10, 2**10)
    made.set_timesteps(12)
    places, kept = [], []
    with torch.no_grad():
        for t in made.timesteps:
            x = made.step(torch.tanh(x), t, x, return_dict=False)[0]
            places.append(x.data_ptr())
            kept += [(x, x.clone())] if len(kept) < 2 else []
    assert len(set(places)) <= 6
    assert all(torch.equal(a, b) for a, b in kept)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float16, torch.bfloat16])
def test_times_that_a_host_has_cast_are_found(dtype, scheduler):
    for config in ({}, {"use_exponential_sigmas": True}, {"use_flow_sigmas": True}):
        made, x = scheduler("heun_edm")(**{**VP, **config}), torch.ones(1, 2)
        made.set_timesteps(7)
        for k in (0, 4, 11):
            t = made.timesteps[k].to(dtype)
            assert made.timesteps[made.index_for_timestep(t)] == made.timesteps[k]
        made.step(x, made.timesteps[4].to(dtype), x)
        assert made.step_index == 1 + made.index_for_timestep(made.timesteps[4])
    made = scheduler("dpmpp_2m")(use_exponential_sigmas=True, **VP)
    made.set_timesteps(60)
    with pytest.raises(ValueError, match="not in the schedule"):
        made.index_for_timestep(torch.tensor(5000))
    with pytest.raises(ValueError, match="not in the schedule"):
        made.index_for_timestep(torch.tensor(992.0, dtype=torch.bfloat16))  # one of several


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("euler_sigma", "EulerDiscrete"),
        ("euler_ancestral", "EulerAncestralDiscrete"),
        ("heun_edm", "HeunDiscrete"),
        ("dpm2", "KDPM2Discrete"),
    ],
)
def test_noise_to_begin_with_is_that_of_the_class(name, peer, spacing, scheduler):
    for n in (1, 3):
        config = {**VP, "timestep_spacing": spacing}
        ours, theirs = (
            scheduler(name)(**config),
            getattr(diffusers, f"{peer}Scheduler")(**config),
        )
        ours.set_timesteps(n)
        theirs.set_timesteps(n)
        unit = float(theirs.init_noise_sigma) / (1 + float(theirs.sigmas[0]) ** 2) ** 0.5
        assert float(ours.init_noise_sigma) == pytest.approx(unit, rel=1e-5)
