"""Runs of solvers that draw noise: draws of parts and resumed runs, compiled graphs, EDM's sampler."""

import itertools
import math

import pytest
import torch

from solvergen.hosts.edm import diff_sampler, edm_sampler, karras
from solvergen.hosts.noise import Recorded, Replay, Seeded
from solvergen.hosts.runs import Sampler, noise_of, round_trip, walk

SIGMAS = torch.cat([karras(9, 0.03, 10.0, 7.0), torch.zeros(1, dtype=torch.float64)])
JUMPS = torch.tensor([10, 4, 2, 1, 4, 2, 1, 4, 2, 1, 0.3, 0], dtype=torch.float64)
CHURN = {"s_churn": 3.0, "s_noise": 1.01}
# Solver, grid, parameters: one of each form of noise, and each shape of memory.
RUNS = {
    "euler_ancestral": (SIGMAS, {}),
    "ddim_eta": (SIGMAS, {"eta": 0.7}),
    "dpmpp_2m_sde": (SIGMAS, {}),
    "seeds_2": (SIGMAS, {}),
    "heun_churn": (SIGMAS, CHURN),
    "sa_solver_sde_p2c2": (SIGMAS, {"tau": 0.8}),
    "annealed_langevin": (SIGMAS, {}),
    "lcm": (SIGMAS, {}),
    "restart_heun": (JUMPS, {}),
}
WITHOUT_HISTORY = ("euler_ancestral", "ddim_eta", "seeds_2", "heun_churn", "annealed_langevin")


def start(count=3):
    return 10 * noise_of(range(count), (2,), dtype=torch.float64)


def seeded(asked=None):
    return Seeded(start(), range(3), asked)


@pytest.mark.parametrize("name", RUNS)
def test_walk_and_module_are_the_run(name, committed, mixture):
    module, (sigmas, given) = committed(name), RUNS[name]
    wanted = module.sample(mixture, start(), sigmas, noise_sampler=seeded(), **given)
    moments = list(walk(module, mixture, start(), sigmas, noise_sampler=seeded(), **given))
    assert torch.equal(moments[-1].x, wanted)
    whole = Sampler(module, mixture, sigmas, **given)(start(), noise_sampler=seeded())
    assert torch.equal(whole, wanted)
    other = Sampler(module, mixture, sigmas, **given)(
        start(), noise_sampler=Seeded(start(), [5] * 3)
    )
    assert not torch.equal(other, wanted)


@pytest.mark.parametrize("name", RUNS)
def test_without_a_source_torch_draws(name, committed, mixture):
    module, (sigmas, given) = committed(name), RUNS[name]
    found = []
    for _ in range(2):
        torch.manual_seed(1)
        *_, end = walk(module, mixture, start(), sigmas, **given)
        found.append(end.x)
    torch.manual_seed(1)
    found.append(module.sample(mixture, start(), sigmas, noise_sampler=None, **given))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("name", WITHOUT_HISTORY)
def test_parts_of_a_run_are_the_run(name, committed, mixture):
    module, (sigmas, given) = committed(name), RUNS[name]
    whole = module.sample(mixture, start(), sigmas, noise_sampler=seeded(), **given)
    for cut in (1, 5, 8):
        options = {"noise_sampler": seeded(), **given}
        *_, middle = walk(module, mixture, start(), sigmas, stop=cut, **options)
        options["noise_sampler"] = seeded()  # a new process knows nothing of the first
        *_, end = walk(module, mixture, middle.x, sigmas, start=cut, **options)
        assert torch.equal(end.x, whole) and middle.i == cut


@pytest.mark.parametrize("cut", range(1, len(JUMPS) - 1))
def test_parts_meet_at_jumps(cut, committed, mixture):
    module = committed("restart_heun")
    whole = module.sample(mixture, start(), JUMPS, noise_sampler=seeded())
    first = seeded()
    *_, middle = walk(module, mixture, start(), JUMPS, stop=cut, noise_sampler=first)
    second = seeded(first.asked)
    *_, end = walk(module, mixture, middle.x, JUMPS, start=cut, noise_sampler=second)
    assert torch.equal(end.x, whole)


def test_jumps_in_a_row_meet(committed, mixture):
    sigmas = torch.tensor([10, 1, 2, 4, 1, 0], dtype=torch.float64)
    module = committed("ddim_jumps")
    whole = module.sample(mixture, start(), sigmas, noise_sampler=seeded())
    for cuts in ((0, 1, 5), (0, 2, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)):
        x = start()
        for begin, end in itertools.pairwise(cuts):
            part = {"start": begin, "stop": end, "noise_sampler": seeded()}
            *_, moment = walk(module, mixture, x, sigmas, **part)
            x = moment.x
        assert torch.equal(x, whole)


@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "sa_solver_sde_p2c2"])
def test_parts_with_history_meet_the_same_draws(name, committed, mixture):
    module, (sigmas, given) = committed(name), RUNS[name]
    whole, parts = Recorded(seeded()), [Recorded(seeded()), Recorded(seeded())]
    module.sample(mixture, start(), sigmas, noise_sampler=whole, **given)
    options = {"stop": 4, "noise_sampler": parts[0], **given}
    *_, middle = walk(module, mixture, start(), sigmas, **options)
    list(walk(module, mixture, middle.x, sigmas, start=4, noise_sampler=parts[1], **given))
    assert [level for part in parts for level in part.levels] == whole.levels
    drawn = [draw for part in parts for draw in part.draws]
    assert all(torch.equal(a, b) for a, b in zip(drawn, whole.draws, strict=True))


@pytest.mark.parametrize("name", ["heun_edm", "dpmpp_2m"])
def test_deterministic_solvers_ask_for_nothing(name, committed, mixture):
    source, module = Recorded(seeded()), committed(name)
    *_, end = walk(module, mixture, start(), SIGMAS, noise_sampler=source)
    found = Sampler(module, mixture, SIGMAS)(start(), noise_sampler=source)
    wanted = module.sample(mixture, start(), SIGMAS)
    assert torch.equal(end.x, wanted) and torch.equal(found, wanted) and not source.draws


def test_no_round_trip_through_noise(committed, mixture):
    sigmas = karras(12, 0.03, 10.0, 7.0)
    for name, off in (("ddim_eta", {"eta": 0}), ("heun_churn", {})):
        module = committed(name)
        noisy = CHURN if name == "heun_churn" else {}
        with pytest.raises(ValueError, match=f"{name} draws noise"):
            round_trip(module, mixture, start() / 10, sigmas, **noisy)
        assert round_trip(module, mixture, start() / 10, sigmas, **off)[1] < 0.5


def decay(x, sigma):
    return x / (1 + sigma[:, None] ** 2)


COMPILED = ("dpmpp_2m_sde", "lcm")
LATER = [pytest.param(name, marks=pytest.mark.nightly) for name in RUNS if name not in COMPILED]


@pytest.mark.parametrize("name", [*COMPILED, *LATER])
def test_compiles_to_one_graph(name, committed):
    from torch._dynamo.testing import CompileCounter

    torch._dynamo.reset()
    module, (sigmas, given), counter = committed(name).module, RUNS[name], CompileCounter()
    record = Recorded(seeded())
    wanted = module.integrate(
        decay, start(), module.coefficients(sigmas, **given), noise_sampler=record
    )

    @torch.compile(fullgraph=True, backend=counter)
    def whole(x, plan, draws):
        return module.integrate(decay, x, plan, noise_sampler=Replay(draws))

    for scale in (1.1, 1.0):
        plan = module.coefficients(sigmas * scale, **given)
        found = whole(start(), plan, record.draws)
    assert torch.allclose(found, wanted, rtol=1e-10) and counter.frame_count == 1


@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "seeds_2", "heun_churn"])
def test_compiled_runs_draw_from_torch(name, committed):
    from torch._dynamo.testing import CompileCounter

    torch._dynamo.reset()
    module, (sigmas, given), counter = committed(name).module, RUNS[name], CompileCounter()
    sampler = Sampler(module, decay, sigmas, **given)
    whole = torch.compile(sampler, fullgraph=True, backend=counter)
    ends = []
    for run in (sampler, whole, whole):
        torch.manual_seed(2)
        ends.append(run(start()))
    if name == "dpmpp_2m_sde":  # a graph draws as often at every row as at the row that draws most
        assert torch.allclose(ends[0], ends[1], rtol=1e-10)
    assert torch.equal(ends[1], ends[2]) and ends[1].isfinite().all()
    assert not torch.equal(whole(start()), ends[2]) and counter.frame_count == 1


@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "heun_churn"])
def test_exports(name, committed):
    module, (sigmas, given) = committed(name).module, RUNS[name]
    sampler = Sampler(module, decay, sigmas, **given)
    exported = torch.export.export(sampler, (start(),)).module()
    ends = []
    for run in (sampler, exported):
        torch.manual_seed(2)
        ends.append(run(start()))
    if name == "dpmpp_2m_sde":
        assert torch.allclose(*ends, rtol=1e-10)
    assert ends[1].isfinite().all() and not torch.equal(exported(start()), ends[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_cuda_graphs_draw_anew(committed):
    sampler = Sampler(committed("dpmpp_2m_sde").module, decay, SIGMAS).cuda()
    x = start().cuda()
    with torch.no_grad():
        for _ in range(2):
            sampler(x)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = sampler(x)
        graph.replay()
        first = found.clone()
        graph.replay()
    assert not torch.equal(found, first)


class Net:
    """EDM's network: a denoiser with the levels that it was trained on."""

    sigma_min, sigma_max = 0.02, 20.0

    def __init__(self, denoise):
        self.denoise = denoise

    @staticmethod
    def round_sigma(sigma):
        return torch.as_tensor(sigma)

    def __call__(self, x, sigma, class_labels=None):
        return self.denoise(x, sigma.reshape(-1).expand(len(x)))


def algorithm_2(net, latents, randn_like, steps, s_churn, s_min, s_max, s_noise):
    """Karras et al. 2022, Algorithm 2, which draws at every step, whether noise is added or not."""
    sigmas = [*karras(steps, net.sigma_min, net.sigma_max, 7.0).tolist(), 0.0]
    x = latents * sigmas[0]
    for t, following in itertools.pairwise(sigmas):
        gamma = min(s_churn / steps, math.sqrt(2) - 1) if s_min <= t <= s_max else 0
        raised, noise = t * (1 + gamma), s_noise * randn_like(x)
        x = x + math.sqrt(raised**2 - t**2) * noise
        slope = (x - net(x, torch.tensor([raised], dtype=x.dtype))) / raised
        end = x + (following - raised) * slope
        if following:
            other = (end - net(end, torch.tensor([following], dtype=x.dtype))) / following
            end = x + (following - raised) * (slope + other) / 2
        x = end
    return x


def generator_like(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype)


@pytest.mark.parametrize("window", [(0.0, math.inf), (0.1, 5.0)])
def test_edm_signature_is_their_algorithm(window, committed, mixture):
    net, latents = Net(mixture), noise_of(range(3), (2,), dtype=torch.float64)
    wanted = algorithm_2(net, latents, generator_like(4), 10, 8.0, *window, 1.007)
    found = edm_sampler(committed("heun_churn"))(
        net,
        latents,
        randn_like=generator_like(4),
        num_steps=10,
        S_churn=8.0,
        S_min=window[0],
        S_max=window[1],
        S_noise=1.007,
    )
    assert torch.allclose(found, wanted, rtol=1e-9)


def test_edm_signature_of_other_solvers(committed, mixture):
    net, latents = Net(mixture), noise_of(range(3), (2,), dtype=torch.float64)
    sigmas = torch.cat([karras(8, 0.02, 20.0, 7.0), torch.zeros(1)])
    draw = generator_like(4)
    wanted = committed("seeds_2").sample(
        mixture, latents * 20, sigmas, noise_sampler=lambda a, b: draw(latents), s_noise=1.01
    )
    run = edm_sampler(committed("seeds_2"))
    found = run(net, latents, randn_like=generator_like(4), num_steps=8, S_noise=1.01)
    assert torch.allclose(found, wanted)
    for name, given in (("seeds_2", "S_churn"), ("heun_edm", "S_churn"), ("heun_edm", "S_noise")):
        with pytest.raises(ValueError, match=f"{name} has no parameter .*{given}"):
            edm_sampler(committed(name))(net, latents, num_steps=8, **{given: 2.0})
    plain = edm_sampler(committed("heun_edm"))(net, latents, num_steps=8)
    assert torch.allclose(plain, edm_sampler(committed("heun_churn"))(net, latents, num_steps=8))


def test_diff_sampler_passes_a_noise_sampler(committed, mixture):
    latents = noise_of(range(3), (2,), dtype=torch.float64)
    found = diff_sampler(committed("lcm"))(
        lambda x, t, class_labels: mixture(x, t), latents, num_steps=6, noise_sampler=seeded()
    )
    sigmas = karras(6, 0.002, 80.0, 7.0)
    wanted = committed("lcm").sample(mixture, latents * 80, sigmas, noise_sampler=seeded())
    assert torch.equal(found, wanted)
