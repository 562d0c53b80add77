"""Steps as sums of weights known before the run: the sampler's own steps, in fewer kernels."""

import importlib

import pytest
import torch

from solvergen.hosts.diffusers.sums import SummedStep, WeightedSum, summed_steps


def draw(seed, dtype=torch.float64):
    return torch.randn(2, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize(
    "name", ["dpmpp_2m", "unipc_3_bh2", "unipc_1_bh1_noise", "heun_edm", "abm3_lambda_pece", "pndm"]
)
def test_a_run_of_sums_is_that_of_the_sampler(name, flow):
    module = importlib.import_module(f"solvergen.generated.{name}")
    sigma = torch.linspace(0.99, 0.05, 9, dtype=torch.float64)
    alpha = 1 - sigma if flow else (1 - sigma**2).sqrt()
    plan, x, memory = module.coefficients(sigma, alpha), draw(0), ()
    intakes = torch.stack([draw(7)[0, :2].exp() for _ in plan])
    intakes[3] = torch.tensor([0.0, 1.0])
    steps, y, held = summed_steps(plan.tensors[1], intakes, 0), draw(0), ()
    for k, row in enumerate(plan):
        output = draw(k + 1)
        denoised = intakes[k, 0] * x + intakes[k, 1] * output
        x, memory = module.step(row, x, denoised, memory)
        y, held, seen = steps[k](output, y, held)
        assert torch.allclose(x, y, rtol=1e-11, atol=1e-11)
        assert torch.allclose(seen * steps[k].factor, denoised, rtol=1e-11, atol=1e-11)


def test_a_sum_takes_the_fewest_terms_that_it_can():
    """What is remembered and made anyway stands for the terms that it is made of."""
    corrected = [0.5, 0.2, 0.3, 0.1]
    following = [w * 0.7 for w in corrected]
    following[1] += 0.4
    step = SummedStep((1.0, 0.5), [following, corrected, [0.0, 1.0, 0.0, 0.0]], [1.0, 1.0])
    values = [draw(k) for k in range(4)]
    found, (kept, seen), _ = step(values[1], values[0], (values[2], values[3]))
    denoised = values[0] + 0.5 * values[1]
    terms = [values[0], denoised, values[2], values[3]]
    assert torch.allclose(found, sum(w * v for w, v in zip(following, terms, strict=True)))
    assert torch.allclose(kept, sum(w * v for w, v in zip(corrected, terms, strict=True)))
    assert torch.allclose(seen, denoised)
    assert [len(each.rest) for each in step.sums] == [3, 1]


def test_means_keep_constants_and_cancelling_weights_are_added():
    ones = [torch.ones(4)] * 3
    assert torch.equal(WeightedSum([0.2, 0.5, 0.3])(ones), torch.ones(4))
    assert not WeightedSum([1e4, 1.0, -1e4]).mean
    assert torch.equal(WeightedSum([0.0, 0.0, 0.0])(ones), torch.zeros(4))
