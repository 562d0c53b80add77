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


class Counted:
    """Stands for a CUDA graph."""

    replays = 0

    def replay(self):
        self.replays += 1


@pytest.mark.parametrize("shape", [(1, 3), (4, 3), (2, 1), (2, 3, 1)])
def test_a_run_is_not_replayed_for_a_state_of_another_size(shape):
    """Copying would broadcast a batch of 1 into the captured one without a word."""
    run = Captured.__new__(Captured)
    run.x, run.end, run.graph = torch.zeros(2, 3), torch.ones(2, 3), Counted()
    assert torch.equal(run(torch.full((2, 3), 5.0)), run.end) and run.graph.replays == 1
    with pytest.raises(ValueError, match=r"of shape torch.Size\(\[2, 3\]\); found"):
        run(torch.zeros(shape))
    assert run.graph.replays == 1 and torch.equal(run.x, torch.full((2, 3), 5.0))


def test_a_capture_without_a_gpu_is_refused(committed):
    sampler = Sampler(committed("dpmpp_2m"), decay, SIGMAS)
    with pytest.raises(ValueError, match="CUDA device; found cpu"):
        Captured(sampler, torch.zeros(2, 3))
