"""Kernels and memory traffic of a step, compiled graphs, export, gradients, rounding."""

import shutil

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from solvergen.hosts.edm import karras
from solvergen.hosts.runs import Sampler

SIGMAS = torch.cat([karras(20, 0.03, 14.0, 7.0), torch.zeros(1, dtype=torch.float64)])
FLOW = torch.linspace(1, 0, 21, dtype=torch.float64)
VARIANCE_PRESERVING = ((1 + SIGMAS**2).rsqrt() * SIGMAS, (1 + SIGMAS**2).rsqrt())
GRIDS = {"ve": (SIGMAS, None), "flow": (FLOW, 1 - FLOW), "vp": VARIANCE_PRESERVING}


class Traffic(TorchDispatchMode):
    """Counts kernels that touch whole states, and the states that they read and write."""

    def __init__(self, size):
        super().__init__()
        self.size, self.kernels, self.moved = size, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        count = [
            sum(isinstance(t, torch.Tensor) and t.numel() >= self.size for t in tree_leaves(values))
            for values in ((args, kwargs), out)
        ]
        if count[1] and "view" not in str(function):
            self.kernels, self.moved = self.kernels + 1, self.moved + sum(count)
        return out


# Kernels and states moved by a step in the middle of a run; on vp grids weights do not sum to one.
LIMITS = {
    ("ddim", "ve"): (1, 3),
    ("ddim", "vp"): (1, 3),
    ("dpmpp_2m", "ve"): (2, 6),
    ("dpmpp_2m", "flow"): (2, 6),
    ("dpmpp_2m", "vp"): (2, 6),
    ("unipc_2_bh2", "ve"): (3, 9),
    ("unipc_2_bh2", "flow"): (3, 9),
    ("unipc_2_bh2", "vp"): (3, 9),
    ("dpmpp_3m", "ve"): (3, 9),
    ("ipndm4", "ve"): (5, 15),
    ("ipndm4", "vp"): (5, 15),
}


@pytest.mark.parametrize(("name", "grid"), LIMITS)
def test_passes_over_memory(name, grid, committed):
    module, x = committed(name), torch.randn(1, 4, 128, 128)  # smaller states take other kernels
    plan, memory = module.coefficients(*GRIDS[grid]), ()
    with torch.no_grad():
        for row in plan[:10]:
            x, memory = module.step(row, x, torch.tanh(x), memory)
        denoised = torch.tanh(x)
        with Traffic(x.numel()) as seen:
            module.step(plan[10], x, denoised, memory)
    assert (seen.kernels, seen.moved) == LIMITS[name, grid]


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2", "pndm", "heun_edm"])
@pytest.mark.parametrize("grid", GRIDS)
def test_step_is_pure(name, grid, committed):
    module, x = committed(name), torch.randn(2, 3)
    memory = ()
    for row in module.coefficients(*GRIDS[grid]):
        denoised = torch.tanh(x)
        held = [x, denoised, *memory]
        before = [t.clone() for t in held]
        following, after = module.step(row, x, denoised, memory)
        assert all(torch.equal(a, b) for a, b in zip(held, before, strict=True))
        assert all(following.data_ptr() != t.data_ptr() for t in held)
        x, memory = following, after


def decay(x, sigma):
    return x / (1 + sigma[:, None] ** 2)


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2", "pndm", "heun_edm"])
def test_compiles_to_one_graph(name, committed):
    from torch._dynamo.testing import CompileCounter

    torch._dynamo.reset()
    module, x, counter = committed(name), torch.randn(2, 3), CompileCounter()

    @torch.compile(fullgraph=True, backend=counter)
    def whole(x, plan):
        return module.integrate(decay, x, plan)

    for scale in (1.0, 1.1):
        plan = module.coefficients(SIGMAS * scale)
        assert torch.allclose(whole(x, plan), module.integrate(decay, x, plan), atol=1e-5)
    assert counter.frame_count == 1


torch.library.define(
    "passes::halve", "(Tensor x) -> Tensor"
)  # a model that the compiler cannot see
torch.library.impl("passes::halve", "CPU", lambda x: x * 0.5)
torch.library.impl("passes::halve", "Meta", torch.empty_like)


def unrolled(module):
    """A run of four steps, each of them in the graph."""
    plan = list(module.coefficients(SIGMAS[-5:]))
    return lambda x: module.integrate(lambda x, s: torch.ops.passes.halve(x), x, plan), len(plan)


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2"])
def test_a_compiled_run_is_one_kernel_a_step(name, committed, monkeypatch):
    """Counted in the code that the compiler writes, which no C++ compiler is asked to build."""
    from torch._inductor import config, cpu_vec_isa, metrics
    from torch._inductor.utils import get_code

    torch._dynamo.reset()
    metrics.reset()
    run, steps = unrolled(committed(name))
    # Whether the machine has wide registers is found out by building C++ for each kind of them.
    monkeypatch.setattr(cpu_vec_isa.VecISA, "__bool__", lambda isa: False)
    with torch.no_grad(), config.patch(force_disable_caches=True):
        assert get_code(torch.compile(run, fullgraph=True), torch.randn(1, 4, 8, 8))
    cpu_vec_isa.valid_vec_isa_list.cache_clear()
    assert metrics.generated_kernel_count == steps


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2"])
def test_a_compiled_run_is_the_run(name, committed):
    torch._dynamo.reset()
    (run, _), x = unrolled(committed(name)), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        assert torch.allclose(torch.compile(run, fullgraph=True)(x), run(x), atol=1e-6)


@pytest.mark.parametrize(("name", "kinds"), [("dpmpp_2m", 1), ("unipc_3_bh2", 1), ("pndm", 5)])
def test_step_compiles_once_for_each_kind(name, kinds, committed):
    from torch._dynamo.testing import CompileCounter

    torch._dynamo.reset()
    module, x, counter = committed(name), torch.randn(2, 3), CompileCounter()
    step = torch.compile(module.step, fullgraph=True, backend=counter)
    memory = ()
    for row in module.coefficients(SIGMAS):
        x, memory = step(row, x, decay(x, row[2].float().expand(2)), memory)
    assert counter.frame_count == kinds + 1  # and once for the first call, which has no memory


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2", "heun_edm"])
def test_exports(name, strict, committed):
    sampler, x = Sampler(committed(name), decay, SIGMAS), torch.randn(2, 3)
    exported = torch.export.export(sampler, (x,), strict=strict)
    assert torch.allclose(exported.module()(x), sampler(x), atol=1e-5)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2", "ipndm4", "res_3s"])
def test_gradients_flow_through_runs_and_weights(name, grid, committed):
    module = committed(name)
    sigmas, alphas = GRIDS[grid]
    plan = module.coefficients(sigmas[5:12], None if alphas is None else alphas[5:12])
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def run(x):
        return module.integrate(lambda x, s: torch.tanh(x) / (1 + s[:, None]), x, plan)

    assert torch.autograd.gradcheck(run, (x,))
    learned = [w.clone().requires_grad_() for w in plan[2][-1]]
    changed = [*plan[:2], (*plan[2][:-1], learned), *plan[3:]]
    end = module.integrate(lambda x, s: torch.tanh(x), x, changed)
    assert any(
        g is not None and g.abs() > 0
        for g in torch.autograd.grad(end.sum(), learned, allow_unused=True)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m", "unipc_2_bh2", "dpmpp_3m"])
def test_half_precision_over_fifty_steps(name, dtype, committed, mixture):
    module = committed(name)
    sigmas = torch.cat([karras(50, 0.05, 20.0, 7.0), torch.zeros(1, dtype=torch.float64)])
    x = (20 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0))).to(dtype)
    exact = module.sample(mixture, x.double(), sigmas)

    def error(found):
        return float((found.double() - exact).pow(2).mean().sqrt())

    single = error(module.sample(mixture, x.float(), sigmas).to(dtype))
    half = error(module.sample(mixture, x, sigmas))
    assert half < 2 * single


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2"])
def test_single_precision_is_right_to_rounding(name, committed, mixture):
    module, x = committed(name), 14 * torch.randn(100, 2)
    exact = module.sample(mixture, x.double(), SIGMAS)
    found = module.sample(mixture, x, SIGMAS)
    assert (found - exact).abs().max() < 5e-6 * exact.abs().max()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_cuda_graph_replays(committed):
    sampler = Sampler(committed("dpmpp_2m"), decay, SIGMAS).cuda()
    x = torch.randn(2, 3, device="cuda")
    with torch.no_grad():
        for _ in range(2):
            wanted = sampler(x)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = sampler(x)
        graph.replay()
    assert torch.allclose(found, wanted)
