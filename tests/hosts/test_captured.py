"""CUDA graphs of runs and steps; the refusal of states that a captured run does not fit."""

import pytest
import torch

from solvergen.hosts.captured import Captured, check_captured
from solvergen.hosts.runs import Sampler

SIGMAS = torch.tensor([10.0, 5.0, 2.0, 1.0, 0.5, 0.1, 0.0], dtype=torch.float64)
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")


def decay(x, sigma):
    return x / (1 + sigma[:, None] ** 2)


@gpu
@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_3_bh2", "heun_edm"])
def test_a_captured_run_replays(name, committed):
    sampler = Sampler(committed(name), decay, SIGMAS)
    captured = Captured(sampler, torch.zeros(2, 300, device="cuda"))
    for _ in range(2):
        x = torch.randn(2, 300, device="cuda")
        assert torch.allclose(captured(x), sampler(x), atol=1e-5)


@gpu
def test_a_captured_step_replays(committed):
    module, x = committed("dpmpp_2m"), torch.randn(2, 300, device="cuda")
    row, denoised, memory = module.coefficients(SIGMAS)[2], x * 0.5, (x * 0.4,)
    module.step(row, x, denoised, memory)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        following, _ = module.step(row, x, denoised, memory)
    x.copy_(torch.randn_like(x))
    graph.replay()
    assert torch.allclose(following, module.step(row, x, denoised, memory)[0], atol=1e-5)


@gpu
def test_each_replay_draws_anew(committed):
    sampler = Sampler(committed("dpmpp_2m_sde"), decay, SIGMAS)
    x = torch.randn(2, 300, device="cuda")
    captured = Captured(sampler, x)
    assert not torch.equal(captured(x), captured(x))


@pytest.mark.parametrize(
    ("other", "message"),
    [(torch.zeros(3, 2), "shape"), (torch.zeros(2, 2).half(), "dtype")],
)
def test_a_state_that_changes_is_refused(other, message):
    check_captured(torch.ones(2, 2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match=f"captured for a state of {message}"):
        check_captured(torch.ones(2, 2), other)


def test_a_capture_without_a_gpu_is_refused(committed):
    sampler = Sampler(committed("dpmpp_2m"), decay, SIGMAS)
    with pytest.raises(ValueError, match="CUDA device; found cpu"):
        Captured(sampler, torch.zeros(2, 3))
