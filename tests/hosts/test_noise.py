"""Sources of noise: seeds, resumed and split runs, generators, records."""

import itertools
import math

import pytest
import torch

from solvergen.hosts.noise import Recorded, Replay, Seeded, from_generator
from tests.peer_code import crowson_sampling

LEVELS = [14.6, 5.0, 1.7, 0.6, 0.2, 0.05]
STEPS = list(itertools.pairwise(LEVELS))
SHAPE = (4, 2, 3)


def state(count=4, **kind):
    return torch.zeros((count, *SHAPE[1:]), **kind)


def drawn(source, steps=STEPS):
    return torch.stack([source(*step) for step in steps])


def test_a_draw_is_a_function_of_seed_and_interval():
    whole = drawn(Seeded(state(), [3, 1, 4, 1]))
    assert torch.equal(whole[:, 1], whole[:, 3])
    flat = whole[:, :3].flatten()
    assert len(flat.unique()) == len(flat)
    assert torch.equal(whole, drawn(Seeded(state(), [3, 1, 4, 1])))


def test_split_over_ranks():
    whole = drawn(Seeded(state(), [3, 1, 4, 5]))
    ranks = [drawn(Seeded(state(2), seeds)) for seeds in ([3, 1], [4, 5])]
    assert torch.equal(whole, torch.cat(ranks, 1))


def test_resumed_in_the_middle():
    whole = drawn(Seeded(state(), range(4)))
    assert torch.equal(drawn(Seeded(state(), range(4)), STEPS[2:]), whole[2:])
    backwards = drawn(Seeded(state(), range(4)), STEPS[::-1])
    assert torch.equal(backwards.flip(0), whole)


def test_an_interval_asked_twice_has_two_draws_and_resumes():
    source = Seeded(state(), range(4))
    again = [STEPS[0], STEPS[1], STEPS[0], STEPS[0], STEPS[1]]
    whole = drawn(source, again)
    assert not torch.equal(whole[0], whole[2]) and not torch.equal(whole[2], whole[3])
    stopped = Seeded(state(), range(4))
    drawn(stopped, again[:3])
    resumed = Seeded(state(), range(4), asked=stopped.asked)
    assert torch.equal(drawn(resumed, again[3:]), whole[3:])
    assert stopped.asked == {STEPS[0]: 2, STEPS[1]: 1}


def test_levels_are_numbers_or_tensors_and_the_dtype_only_rounds():
    wide = drawn(Seeded(state(dtype=torch.float64), range(4)))
    tensors = [tuple(torch.tensor(s, dtype=torch.float64) for s in step) for step in STEPS]
    assert torch.equal(drawn(Seeded(state(dtype=torch.float64), range(4)), tensors), wide)
    for dtype in (torch.float32, torch.bfloat16):
        assert torch.equal(drawn(Seeded(state(dtype=dtype), range(4))), wide.to(dtype))


def test_the_direction_the_last_bit_and_all_bits_of_a_seed_count():
    def first(seed, step):
        return Seeded(state(1), [seed])(*step)

    step = STEPS[0]
    others = [
        first(7 + 2**32, step),
        first(-7, step),
        first(7, step[::-1]),
        first(7, (step[0], math.nextafter(step[1], 0))),
    ]
    assert not any(torch.equal(first(7, step), other) for other in others)
    assert torch.equal(first(7, (1.0, 0.0)), first(7, (1.0, -0.0)))


def test_the_stream_is_pinned():
    """A run is a function of its seeds tomorrow as well: this fails if numpy changes its stream."""
    draw = Seeded(torch.zeros(1, 2, dtype=torch.float64), [1])(2.0, 1.0)
    assert draw.tolist() == [[0.07875308779207243, 0.28346246260738367]]


def test_seeds_and_levels_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="3 seeds for a state of shape"):
        Seeded(state(), [1, 2, 3])
    with pytest.raises(ValueError, match="2\\^127"):
        Seeded(state(1), [2**127])
    for seeds in ([1.5], ["1"], torch.tensor([1.5])):
        with pytest.raises(ValueError, match="seeds are integers, one per sample; found"):
            Seeded(state(1), seeds)
    assert torch.equal(drawn(Seeded(state(1), torch.tensor([5]))), drawn(Seeded(state(1), [5])))
    for wrong in (-0.1, math.nan):
        with pytest.raises(ValueError, match="level must not be negative"):
            Seeded(state(1), [1])(1.0, wrong)


@pytest.mark.parametrize("shape", [(4,), (4, 5), SHAPE])
def test_any_shape(shape):
    assert Seeded(torch.zeros(shape), range(4))(2.0, 1.0).shape == shape


def generators(count):
    made = [torch.Generator().manual_seed(seed) for seed in range(count)]
    return {"one": made[0], "list of one": made[:1], "per sample": made, "default": None}


@pytest.mark.parametrize("kind", generators(4))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_generators_are_those_of_diffusers(kind, dtype):
    randn_tensor = pytest.importorskip("diffusers.utils.torch_utils").randn_tensor
    with torch.random.fork_rng():
        torch.manual_seed(3)
        given = generators(4)[kind]
        wanted = [randn_tensor(SHAPE, generator=given, dtype=dtype) for _ in STEPS]
        torch.manual_seed(3)
        found = drawn(from_generator(state(dtype=dtype), generators(4)[kind]))
    assert torch.equal(found, torch.stack(wanted))


def test_cpu_generators_serve_other_devices_and_wrong_ones_are_named():
    draw = from_generator(torch.zeros(SHAPE, device="meta"), generators(4)["per sample"])
    assert draw(2.0, 1.0).device.type == "meta"
    with pytest.raises(ValueError, match="4 generators for 3 samples"):
        from_generator(state(3), generators(4)["per sample"])


def test_record_and_replay():
    record = Recorded(Seeded(state(), range(4)))
    whole = drawn(record)
    assert record.levels == STEPS
    replay = Replay(record.draws)
    assert torch.equal(drawn(replay, [(1.0, 0.5)] * len(STEPS)), whole)
    with pytest.raises(ValueError, match=r"all 5 draws are used.*0\.5 to 0\.2"):
        replay(0.5, 0.2)


@pytest.mark.parametrize("name", ["sample_euler_ancestral", "sample_dpmpp_sde"])
def test_k_diffusion_takes_it_and_resumes(name, mixture):
    sample = getattr(crowson_sampling(), name)
    sigmas = torch.tensor([*LEVELS, 0.0], dtype=torch.float64)
    x = Seeded(torch.zeros(4, 2, dtype=torch.float64), range(4))(math.inf, LEVELS[0]) * LEVELS[0]

    def run(start, grid, seeds=range(4)):
        source = Seeded(start, seeds)
        return sample(mixture, start, grid, disable=True, noise_sampler=source)

    whole = run(x, sigmas)
    middle = run(x, sigmas[:4])
    assert torch.equal(run(middle, sigmas[3:]), whole)
    parts = [
        run(part, sigmas, seeds) for part, seeds in zip(x.split(2), ([0, 1], [2, 3]), strict=True)
    ]
    assert torch.allclose(torch.cat(parts), whole, rtol=1e-12, atol=1e-12)
