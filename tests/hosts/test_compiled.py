"""Compiled runs: how many graphs they need, what they compute, what happens where compiling fails."""

import warnings

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from solvergen.hosts.compiled import Compiled, kept_values
from solvergen.hosts.fused import Fused
from solvergen.hosts.runs import Sampler


def levels(count):
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    return torch.cat([(14 ** (1 / 7) + ramp * (0.03 ** (1 / 7) - 14 ** (1 / 7))) ** 7, ramp[:1]])


class Network(torch.nn.Module):
    """A small denoiser that takes any spatial size."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x, sigma, shift=0.0):
        return torch.tanh(self.layer(x) + shift) / (1 + sigma[:, None, None, None])


def shrunk(x, sigma):
    return x / (1 + sigma.view(-1, *[1] * (x.ndim - 1)).to(x) ** 2)


@pytest.fixture
def network():
    torch._dynamo.reset()
    return Network().requires_grad_(False)


DETERMINISTIC = ["unipc_3_bh2", "heun_edm", "deis_tab3"]
RUNS = [(5, 3, 8), (20, 1, 8), (7, 2, 6)]  # steps, batch, height


LATER = [pytest.param(n, marks=pytest.mark.nightly) for n in ("deis_tab3", "seeds_2")]


@pytest.mark.parametrize("name", ["unipc_3_bh2", "heun_edm", "heun_churn", *LATER])
def test_one_graph_serves_every_run(name, committed, network):
    counter, module = CompileCounter(), getattr(committed(name), "module", committed(name))
    for steps, batch, height in RUNS:
        sampler = Sampler(module, network, levels(steps))
        x = torch.randn(batch, 2, height, 5) * 14
        found = Compiled(sampler, backend=counter)(x)
        if name in DETERMINISTIC:
            assert torch.allclose(found, sampler(x), atol=2e-5)
        assert found.shape == x.shape and found.isfinite().all()
    assert counter.frame_count == 1


def test_what_is_remembered_as_it_came_needs_no_sum(committed):
    """A multistep rule's outputs move on by one, in a run of any length."""
    unipc = committed("unipc_3_bh2").coefficients(levels(9)).tensors[1]
    assert kept_values(unipc) == kept_values(unipc[:2]) == (None, 1, 2, 3)
    twice = unipc.clone()
    twice[:, 2] = twice[:, 1]  # two states would be one tensor
    assert kept_values(twice) == (None, 1, None, 3)
    twice[4, 3] *= 2
    assert kept_values(twice) == (None, 1, None, None)
    heun = committed("heun_edm").coefficients(levels(9)).tensors[1]
    assert kept_values(heun)[0] is None and None in kept_values(heun)[1:]


def test_bare_integrate_compiles_once_for_any_number_of_steps(committed, network):
    counter, module, x = CompileCounter(), committed("dpmpp_2m"), torch.randn(3, 2, 8, 8)
    run = torch.compile(module.integrate, fullgraph=True, backend=counter)
    for steps in (5, 20, 100):
        plan = module.coefficients(levels(steps))
        assert torch.allclose(run(network, x, plan), module.integrate(network, x, plan), atol=2e-6)
    assert counter.frame_count == 1


def test_gradients_flow_through_the_loop_of_a_graph(committed, network):
    module, x = committed("unipc_2_bh2"), torch.randn(2, 2, 6, 6)
    network.requires_grad_(True)
    run = torch.compile(module.integrate, fullgraph=True, backend="aot_eager")
    found = []
    for integrate in (module.integrate, run):
        network.zero_grad()
        integrate(network, x, module.coefficients(levels(6))).square().sum().backward()
        found.append(network.layer.weight.grad.clone())
    assert torch.allclose(*found, rtol=1e-4) and found[0].abs().max() > 0


def test_extra_arguments_reach_the_model(committed, network):
    sampler = Sampler(committed("dpmpp_2m"), network, levels(5))
    compiled, x = Compiled(sampler, backend=CompileCounter()), torch.randn(2, 2, 6, 6)
    shift = torch.tensor(0.5)
    assert torch.allclose(compiled(x, shift=shift), sampler(x, shift=shift), atol=1e-6)


def test_an_unrolled_run_has_its_steps_in_the_graph(committed, network):
    counter, module = CompileCounter(), committed("dpmpp_2m")
    for steps in (3, 5):
        sampler = Sampler(module, network, levels(steps))
        x = torch.randn(2, 2, 6, 6)
        found = Compiled(sampler, unrolled=True, backend=counter)(x)
        assert torch.allclose(found, sampler(x), atol=1e-6)
    assert counter.frame_count == 2


def test_where_compiling_fails_runs_go_on_after_one_warning(committed, network):
    def broken(graph, inputs):
        raise RuntimeError("no kernels today")

    sampler = Sampler(committed("dpmpp_2m"), network, levels(4))
    compiled, x = Compiled(sampler, backend=broken), torch.randn(2, 2, 6, 6)
    with pytest.warns(UserWarning, match="eager mode goes on.*no kernels today"):
        assert torch.equal(compiled(x), sampler(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(compiled(x), sampler(x))


@pytest.mark.nightly
def test_many_solvers_and_dtypes_stay_within_the_limit_of_graphs(committed, network):
    """Dynamo keeps eight graphs of a code object and then raises."""
    for name in ("dpmpp_2m", "ddim", "dpmpp_3m"):
        module = committed(name)
        for dtype in (torch.float32, torch.float64):
            x = (torch.randn(2, 2, 6, 6) * 14).to(dtype)
            wanted = Sampler(module, shrunk, levels(5))(x)
            for run in (
                Fused(module, shrunk, levels(5), options={"backend": "eager"}),
                Compiled(Sampler(module, shrunk, levels(5)), backend="eager"),
            ):
                with torch.no_grad():
                    assert torch.allclose(run(x), wanted, atol=2e-5)
                assert not run.failed


def test_a_limit_of_graphs_ends_in_eager_mode(committed, network):
    sampler, x = Sampler(committed("dpmpp_2m"), shrunk, levels(4)), torch.randn(2, 2, 6, 6)
    compiled = Compiled(sampler, backend="eager")
    with torch._dynamo.config.patch(recompile_limit=1), torch.no_grad():
        compiled(x)
        with pytest.warns(UserWarning, match="eager mode goes on"):
            assert torch.equal(compiled(x.double()), sampler(x.double()))


@pytest.mark.parametrize("x", [torch.ones(2, 3).long(), torch.ones(())])
def test_fused_refuses_states_that_a_run_refuses(x, committed):
    with pytest.raises(ValueError, match="x must be a dense tensor"):
        Fused(committed("dpmpp_2m"), shrunk, levels(4))(x)


def test_a_model_that_raises_is_not_taken_for_a_failed_compile(committed, network):
    def model(x, sigma):
        return x[:, :1]

    sampler = Sampler(committed("dpmpp_2m"), model, levels(4))
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="shape of x"):
        Compiled(sampler, backend=CompileCounter())(torch.randn(2, 2, 6, 6))


@pytest.mark.parametrize("name", ["dpmpp_2m", pytest.param("heun_edm", marks=pytest.mark.nightly)])
def test_fused_steps_compile_in_the_first_run_only(name, committed, network):
    counter, module, counts = CompileCounter(), committed(name), []
    for steps, batch, height in RUNS:
        x = torch.randn(batch, 2, height, 5) * 14
        found = Fused(module, network, levels(steps), options={"backend": counter})(x)
        wanted = Sampler(module, network, levels(steps))(x)
        assert torch.allclose(found, wanted, atol=2e-5)
        counts.append(counter.frame_count)
    assert len(set(counts)) == 1 and counts[0] <= 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["dpmpp_2m", "ddim_noise", "heun_edm"])
def test_fused_halves_are_those_of_a_run(name, dtype, committed, network):
    module, x = committed(name), (torch.randn(2, 2, 6, 6) * 14).to(dtype)
    wanted = Sampler(module, network.to(dtype), levels(8))(x)
    found = Fused(module, network, levels(8), options={"backend": CompileCounter()})(x)
    assert found.dtype == dtype and torch.allclose(found, wanted, rtol=2e-2, atol=2e-2)


def test_fused_steps_go_on_where_compiling_fails(committed, network):
    def broken(graph, inputs):
        raise RuntimeError("no kernels today")

    module, x = committed("dpmpp_2m"), torch.randn(2, 2, 6, 6)
    fused = Fused(module, network, levels(4), options={"backend": broken})
    with pytest.warns(UserWarning, match="no kernels today"):
        found = fused(x)
    assert torch.allclose(found, Sampler(module, network, levels(4))(x), atol=1e-6)


def test_fused_steps_are_for_solvers_without_noise(committed, network):
    with pytest.raises(ValueError, match="draws noise"):
        Fused(committed("seeds_2").module, network, levels(4))


@pytest.mark.nightly
def test_a_run_is_compiled_ahead_of_time(committed, network, tmp_path):
    sampler, x = Sampler(committed("dpmpp_2m"), network, levels(5)), torch.randn(2, 2, 8, 8) * 14
    with torch.no_grad():
        exported = torch.export.export(sampler, (x,))
        path = str(tmp_path / "run.pt2")
        torch._inductor.aoti_compile_and_package(exported, package_path=path)
        found = torch._inductor.aoti_load_package(path)(x)
    assert torch.allclose(found, sampler(x), atol=1e-5)
