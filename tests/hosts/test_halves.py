"""Runs in halves on a CPU: block by block they give what `integrate` gives, bit for bit."""

import pytest
import torch

from solvergen.hosts import halves
from solvergen.hosts.runs import Sampler

SIGMAS = torch.tensor([9.0, 4.0, 2.0, 0.9, 0.3, 0.0], dtype=torch.float64)


def model(x, sigma):
    return torch.tanh(x) / (1 + sigma[:, None]).to(x)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(halves, "LARGE", 100)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_3_bh2", "heun_edm", "deis_tab3", "lms3"])
def test_blocks_change_nothing(name, dtype, committed):
    module, x = committed(name), (torch.randn(2, halves.BLOCK + 77) * 9).to(dtype)
    before, seen = x.clone(), []

    def watched(x, sigma):
        seen.append(x)
        return model(x, sigma)

    sampler = Sampler(module, watched, SIGMAS)
    with torch.no_grad():
        found, calls = sampler(x), len(seen)
        assert torch.equal(found, module.integrate(model, x, sampler.plan))
    assert torch.equal(x, before) and calls == len(sampler.plan)
    assert len({s.data_ptr() for s in seen}) == calls  # what a model holds is not written over


def test_a_fault_is_named_with_its_call(committed):
    def broken(x, sigma):
        return x * (float("nan") if sigma[0] < 1 else 0.5)

    sampler, x = Sampler(committed("dpmpp_2m"), broken, SIGMAS), torch.ones(1, 200).half()
    with torch.no_grad(), pytest.raises(ValueError, match="returned NaN at call 3"):
        sampler(x)
    wrong = Sampler(committed("dpmpp_2m"), lambda x, s: x[:, :3], SIGMAS)
    with torch.no_grad(), pytest.raises(ValueError, match="shape of x"):
        wrong(x)


@pytest.mark.parametrize("name", ["euler_ancestral", "dpmpp_2m"])
def test_noise_and_gradients_take_whole_states(name, committed):
    x = torch.ones(1, 200).bfloat16()
    module = committed(name)
    assert not halves.goes_by_blocks(module, x)  # gradients are on
    with torch.no_grad():
        assert halves.goes_by_blocks(module, x) == (name == "dpmpp_2m")
        assert not halves.goes_by_blocks(module, x.float())
