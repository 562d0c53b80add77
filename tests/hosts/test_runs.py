"""Running samplers: seeds, progress, cancelling, parts, inversion, modules, other signatures."""

import io
import itertools

import pytest
import torch

from solvergen.hosts.edm import diff_sampler, edm_sampler, karras
from solvergen.hosts.runs import Sampler, invert, noise_of, plan_of, progress, round_trip, walk

SOLVERS = ("dpmpp_2m", "unipc_2_bh2", "heun_edm", "pndm", "res_3s")
SIGMAS = torch.cat([karras(9, 0.03, 10.0, 7.0), torch.zeros(1, dtype=torch.float64)])


def start(count=4):
    return 10 * noise_of(range(count), (2,), dtype=torch.float64)


def test_noise_depends_on_the_seed_alone():
    whole = noise_of([3, 1, 4, 1], (2, 3))
    assert torch.equal(whole[:2], noise_of([3, 1], (2, 3)))
    assert torch.equal(whole[1], whole[3]) and not torch.equal(whole[0], whole[1])
    with pytest.raises(ValueError, match="there are no seeds"):
        noise_of([], (2, 3))
    with pytest.raises(ValueError, match="seeds are integers"):
        noise_of([1.5], (2, 3))


@pytest.mark.parametrize("wrong", [{"every": 0}, {"every": -1}, {"every": None}, {"steps": "a"}])
def test_progress_refuses_what_is_no_count(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be an integer, 1 or more; found"):
        progress(**wrong)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_split_batch_gives_the_same_samples(name, committed, mixture):
    sampler = Sampler(committed(name), mixture, SIGMAS)
    whole = sampler(start())
    parts = torch.cat([sampler(part) for part in start().split(2)])
    assert torch.allclose(whole, parts, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SOLVERS)
def test_walk_is_the_run(name, committed, mixture):
    module = committed(name)
    moments = list(walk(module, mixture, start(), SIGMAS))
    assert torch.equal(moments[-1].x, module.sample(mixture, start(), SIGMAS))
    assert moments[0].denoised is None and moments[-1].sigma is None
    assert len(moments) == len(module.coefficients(SIGMAS)) + 1


@pytest.mark.parametrize("name", SOLVERS)
def test_partial_runs_meet(name, committed, mixture):
    module = committed(name)
    *_, middle = walk(module, mixture, start(), SIGMAS, stop=4)
    *_, end = walk(module, mixture, middle.x, SIGMAS, start=4)
    again = module.sample(mixture, module.sample(mixture, start(), SIGMAS[:5]), SIGMAS[4:])
    assert torch.equal(end.x, again) and (middle.i, end.i) == (4, 9)
    with pytest.raises(ValueError, match="start < stop"):
        next(walk(module, mixture, start(), SIGMAS, start=5, stop=5))


def test_parts_of_steps_over_several_intervals(committed, mixture):
    module, whole = committed("dpm_solver_2_grid"), SIGMAS[:7]
    wanted = module.sample(mixture, start(), whole)
    for cut in range(1, 6):
        *_, middle = walk(module, mixture, start(), whole, stop=cut)
        *_, end = walk(module, mixture, middle.x, whole, start=cut)
        again = module.sample(mixture, start(), whole[: cut + 1])
        again = module.sample(mixture, again, whole[cut:])
        assert torch.equal(end.x, again) and torch.equal(end.x, wanted) == (cut % 2 == 0)


def test_cancelling_stops_the_model(committed, mixture):
    calls = []

    def model(x, sigma):
        calls.append(1)
        return mixture(x, sigma)

    for moment in walk(committed("dpmpp_2m"), model, start(), SIGMAS):
        if moment.i == 3:
            break
    assert len(calls) == 3


def test_callback_that_raises_cancels(committed, mixture):
    def watch(at):
        if at["i"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        committed("dpmpp_2m").sample(mixture, start(), SIGMAS, callback=watch)


def seconds(per_call):
    """A clock that a test can know: it goes on by so many seconds each time it is read."""
    return itertools.count(0, per_call).__next__


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_counts_steps_and_tells_what_is_left(committed, mixture):
    for name in ("dpmpp_2m", "heun_edm"):  # a step of two model calls is one step
        shown = Terminal()
        watch = progress(9, stream=shown, clock=seconds(10))
        committed(name).sample(mixture, start(), SIGMAS, callback=watch)
        lines = shown.getvalue().split("\r")[1:]
        assert lines[0] == "step 1 of 9, 10 s, 80 s left\x1b[K"
        assert lines[-1] == "step 9 of 9, 90 s, 0 s left\x1b[K\n" and len(lines) == 9


def test_progress_of_a_solver_that_chooses_its_steps(committed, mixture):
    shown = Terminal()
    watch = progress(stream=shown, clock=seconds(10))
    committed("dpm_adaptive_12").sample_adaptive(mixture, start(), SIGMAS, callback=watch)
    assert shown.getvalue().startswith("\rstep 1, 10 s\x1b[K\rstep 2, 20 s")


@pytest.mark.parametrize(
    ("stream", "disable", "per_call", "shows"),
    [
        (io.StringIO, None, 10, False),
        (io.StringIO, False, 10, True),
        (Terminal, None, 10, True),
        (Terminal, True, 10, False),
        (Terminal, None, 0.1, False),
    ],
    ids=["a file", "a file, asked for", "a terminal", "hidden", "a short run"],
)
def test_progress_shows_where_it_is_wanted(stream, disable, per_call, shows, committed, mixture):
    shown = stream()
    watch = progress(9, stream=shown, disable=disable, clock=seconds(per_call))
    committed("dpmpp_2m").sample(mixture, start(), SIGMAS, callback=watch)
    assert bool(shown.getvalue()) is shows


def test_previews_come_and_can_cancel(committed, mixture):
    seen, whole = [], []
    module = committed("dpmpp_2m")
    module.sample(mixture, start(), SIGMAS, callback=lambda at: whole.append(at["denoised"]))

    def preview(i, denoised):
        seen.append(i)
        assert torch.equal(denoised, whole[i])
        if i == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        module.sample(mixture, start(), SIGMAS, callback=progress(9, preview=preview, every=3))
    assert seen == [0, 3, 6]


def test_inversion_undoes_ddim(committed, mixture):
    module = committed("ddim")
    sigmas = karras(40, 0.03, 10.0, 7.0)
    data = module.sample(mixture, start(), sigmas)
    noise = invert(mixture, data, sigmas, refine=40)
    assert torch.allclose(noise, start(), rtol=1e-6)
    errors = [round_trip(module, mixture, data, sigmas, refine=k)[1] for k in (0, 2, 20)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-6
    with pytest.raises(ValueError, match="final zero"):
        invert(mixture, data, SIGMAS)


@pytest.mark.parametrize("name", SOLVERS)
def test_edm_signature(name, committed, mixture):
    module = committed(name)

    class Net:
        sigma_min, sigma_max = 0.05, 20.0

        @staticmethod
        def round_sigma(sigma):
            return torch.as_tensor(sigma).float()

        def __call__(self, x, sigma, class_labels=None):
            return mixture(x.float(), sigma.float())

    latents = noise_of(range(3), (2,))
    found = edm_sampler(module)(Net(), latents, num_steps=8, sigma_max=30.0)
    sigmas = torch.cat([karras(8, 0.05, 20.0, 7.0).float(), torch.zeros(1)])
    wanted = module.sample(
        lambda x, s: mixture(x.float(), s.float()).double(), latents.double() * sigmas[0], sigmas
    )
    assert found.dtype == torch.float64 and torch.allclose(found, wanted)


def test_diff_sampler_signature(committed, mixture):
    module, latents = committed("ipndm4"), noise_of(range(3), (2,), dtype=torch.float64)

    def net(x, t, class_labels=None):
        return mixture(x, t)

    run = diff_sampler(module)
    states = run(net, latents, num_steps=7, return_inters=True)
    assert states.shape == (7, 3, 2) and torch.equal(states[0], latents * 80)
    assert torch.equal(states[-1], run(net, latents, num_steps=7))
    steps = torch.tensor([10.0, 1.0, 0.1], dtype=torch.float64)
    assert torch.equal(
        run(net, latents, t_steps=steps), module.sample(mixture, latents * 10, steps)
    )
    assert run(net, latents, num_steps=5, denoise_to_zero=True).isfinite().all()
    with pytest.raises(ValueError, match="num_steps"):
        run(net, latents)


WRONG = {
    "shape": lambda x, s: x[:, :1],
    "device": lambda x, s: x.to("meta"),
}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("fault", WRONG)
def test_wrong_outputs_are_named_at_once(name, fault, committed):
    calls = []

    def model(x, sigma):
        calls.append(1)
        return WRONG[fault](x, sigma)

    with pytest.raises(ValueError, match=f"the {fault} of x"):
        committed(name).sample(model, start(), SIGMAS)
    assert len(calls) == 1


class Output:
    """What networks of diffusers return."""

    def __init__(self, sample):
        self.sample = sample


@pytest.mark.parametrize("name", [*SOLVERS, "euler_ancestral", "gauss_legendre_2"])
def test_later_faults_are_named_with_their_call(name, committed):
    faults = {
        "NaN at call 2": lambda x: x * torch.nan,
        "infinity at call 2": lambda x: x + torch.inf,
        "the shape of x.*call 2": lambda x: x[:1],
        "call 2 returned Output: wrap it": Output,
        "call 2 returned tuple: wrap it": lambda x: (x,),
        "real numbers; call 2": lambda x: x.long(),
    }
    for message, fault in faults.items():
        calls = []

        def model(x, sigma, fault=fault, calls=calls):
            calls.append(1)
            return fault(x) if len(calls) == 3 else 0.5 * x

        with pytest.raises(ValueError, match=message):
            committed(name).sample(model, start(), SIGMAS)
        assert len(calls) == 3


def test_blame_goes_to_whoever_made_the_nan(committed):
    bad = start()
    bad[1, 0] = torch.nan
    with pytest.raises(ValueError, match=r"NaN at call 0 \(x, which it was given, is not finite"):
        committed("dpmpp_2m").sample(lambda x, s: x, bad, SIGMAS)


@pytest.mark.parametrize("name", [*SOLVERS, "euler_ancestral"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_another_dtype_are_taken_with_one_cast(name, dtype, committed, mixture):
    x = start().float()
    found = committed(name).sample(lambda x, s: mixture(x, s).to(dtype), x, SIGMAS)
    wanted = committed(name).sample(mixture, x, SIGMAS)
    assert found.dtype == torch.float32
    room = 1e-5 if dtype == torch.float64 else 200 * torch.finfo(dtype).eps
    assert (found - wanted).abs().max() < room


def test_levels_are_told_in_float32_to_half_precision_states(committed):
    told = []
    sigmas = torch.tensor([4.0, 2.24398, 0.5], dtype=torch.float64)

    def model(x, sigma):
        told.append(sigma)
        return 0.5 * x

    committed("dpmpp_2m").sample(model, torch.ones(2, 2, dtype=torch.bfloat16), sigmas)
    list(walk(committed("dpmpp_2m"), model, torch.ones(2, 2, dtype=torch.bfloat16), sigmas))
    assert [float(level[0]) for level in told] == [4.0, pytest.approx(2.24398)] * 2
    assert all(level.dtype == torch.float32 for level in told)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (lambda: torch.tensor(1.0), "float32 of shape"),
        (lambda: torch.ones(2, 2).to(torch.float8_e4m3fn), "float8"),
        (lambda: torch.ones(2, 2, dtype=torch.complex64), "complex64"),
        (lambda: torch.ones(2, 2, dtype=torch.int64), "int64"),
        (lambda: torch.ones(2, 2).to_sparse(), "sparse"),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "nested"),
        (lambda: [1.0, 2.0], "list"),
    ],
)
def test_states_that_no_step_can_be_made_from_are_refused(state, found, committed):
    with pytest.raises(ValueError, match=f"x must be a dense tensor.*found .*{found}"):
        committed("dpmpp_2m").sample(lambda x, s: x, state(), SIGMAS)


def test_a_state_without_values_runs(committed):
    x = torch.empty(2, 3, device="meta")
    found = committed("dpmpp_2m").sample(lambda x, s: x * 0.5, x, SIGMAS)
    assert found.is_meta and found.shape == x.shape


def test_nan_and_bad_grids_are_named(committed):
    module = committed("dpmpp_2m")
    with pytest.raises(ValueError, match="NaN at call 0"):
        module.sample(lambda x, s: x * torch.nan, start(), SIGMAS)
    for sigmas in ([1.0, 2.0], [2.0, -1.0], [[3.0, 1.0]], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="sigma"):
            module.sample(lambda x, s: x, start(), torch.tensor(sigmas))


def test_plans_are_kept_by_grid_and_parameters(committed):
    module, levels = committed("alpha_family_lambda"), [4.0, 2.0, 1.0, 0.5]
    plan = plan_of(module, levels)
    assert plan_of(module, torch.tensor(levels)) is plan
    assert plan_of(module, levels, alphas=[1.0] * 4) is not plan
    assert plan_of(module, [*levels[:3], 0.4]) is not plan
    with pytest.raises(ValueError, match="must be 1-d"):
        plan_of(module, torch.ones(2, 2))
