"""A run that uses memory again never uses memory that anyone can still read."""

import pytest
import torch
from torch.utils.dlpack import to_dlpack

from solvergen.hosts.memory import recycler

SIGMAS = torch.linspace(1, 0, 9, dtype=torch.float64) * 6
SHAPE = (1, 4, 64, 64)


def draw():
    return 6 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


def decay(x, sigma):
    return x / (1 + sigma[:, None, None, None] ** 2)


@torch.no_grad()
def run(module, x, callback):
    plan = module.coefficients(SIGMAS)
    return module.integrate(decay, x, plan, callback=callback, empty=recycler())


def run_in_fresh_memory(module, model, x, plan):
    dtype, x, memory = x.dtype, x.float(), ()
    for row in plan:
        denoised = model(x.to(dtype), row[2] * torch.ones(1)).float()
        x, memory = module.step(row, x, denoised, memory)
    return x.to(dtype)


@pytest.mark.parametrize(
    "hold",
    [
        lambda tensor: tensor,
        lambda tensor: tensor[:, 1:2],
        lambda tensor: tensor.detach(),
        lambda tensor: tensor.untyped_storage(),
        lambda tensor: tensor.numpy(),
        lambda tensor: to_dlpack(tensor),
    ],
    ids=["tensor", "view", "alias", "storage", "array", "dlpack"],
)
def test_memory_that_anything_refers_to_is_not_handed_out(hold):
    empty, like = recycler(), torch.zeros(2, 3)
    first = empty(like)
    place, held = first.data_ptr(), hold(first)
    del first
    second = empty(like)
    assert second.data_ptr() != place
    del held
    assert empty(like).data_ptr() == place


def test_memory_goes_to_results_of_its_size():
    empty, like = recycler(), torch.zeros(2, 3)
    place = empty(like).data_ptr()
    assert empty(like, torch.float16).data_ptr() != place
    assert empty(like.view(6, 1), torch.int32).data_ptr() == place


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2", "ipndm4", "heun_edm", "pndm"])
def test_runs_equal_those_in_fresh_memory(name, dtype, committed):
    module, x = committed(name), draw().to(dtype)
    given, plan = x.clone(), module.coefficients(SIGMAS)
    with torch.no_grad():
        found = module.integrate(decay, x, plan, empty=recycler())
        assert torch.equal(found, run_in_fresh_memory(module, decay, x, plan))
    assert torch.equal(x, given)


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc_2_bh2", "ipndm4"])
@pytest.mark.parametrize(
    "model",
    [lambda x, s: x, lambda x, s: x.view_as(x), lambda x, s: x.transpose(2, 3)],
    ids=["its input", "a view of it", "its input transposed"],
)
def test_model_may_return_what_it_was_given(model, name, committed):
    module, x = committed(name), draw()
    plan = module.coefficients(SIGMAS)
    with torch.no_grad():
        found = module.integrate(model, x, plan, empty=recycler())
        assert torch.equal(found, run_in_fresh_memory(module, model, x, plan))


@pytest.mark.parametrize("part", [slice(None), slice(0, 1)], ids=["whole", "a view"])
def test_callback_may_keep_what_it_sees(part, committed):
    kept, copies = [], []

    def keep(state):
        kept.append(state["x"][:, part])
        copies.append(kept[-1].clone())

    run(committed("dpmpp_2m"), draw(), keep)
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


def test_a_run_needs_two_states_beside_the_models_own(committed):
    module, x, places = committed("dpmpp_2m"), draw(), set()
    run(module, x, lambda state: places.add(state["x"].data_ptr()))
    assert len(places - {x.data_ptr()}) == 2


def test_states_of_another_layout_get_fresh_memory(committed):
    x, strides = draw().to(memory_format=torch.channels_last), set()
    module = committed("dpmpp_2m")
    found = run(module, x, lambda at: strides.add(at["x"].stride()))
    assert strides == {x.stride()} and found.stride() == x.stride()
    assert torch.allclose(found, module.sample(decay, x.contiguous(), SIGMAS), atol=1e-5)
