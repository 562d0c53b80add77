"""One path for every grid: its law from its weights, exact composition, coarse and fine runs."""

import itertools
import math
import random

import pytest
import torch

from solvergen.hosts.brownian import BrownianPath, Coarsened, data_clock, noise_clock, path_nodes
from solvergen.hosts.noise import Recorded, Seeded
from tests.peer_code import crowson_sampling

FINE = [80.0 * (0.02 / 80.0) ** (i / 24) for i in range(25)]
CLOCKS = {
    "weak": data_clock(0.3),
    "full": data_clock(1.0),
    "strong": data_clock(1.6),
    "noise": noise_clock,
    "sigma": float,
}


def state(count=2, size=3):
    return torch.zeros(count, size, dtype=torch.float64)


def draws(path, levels):
    return torch.stack([path(*step) for step in itertools.pairwise(levels)])


PLACES = [0.0, 5e-324, 1e-300, 2.0**-60, 1e-9, 0.1, 0.25, 1 / 3, 0.5, 0.75, math.nextafter(1, 0)]
PLACES += [1.0, math.nextafter(1, 2), 1.5, 2.0, math.pi, 1e3, 1e9 + 0.1]


@pytest.mark.parametrize(
    ("left", "right"), list(itertools.combinations_with_replacement(PLACES, 2))
)
def test_the_law_of_the_path_is_brownian(left, right):
    """Covariance min(p, q), from the weights of the normals: no draw is needed."""
    first, second = dict(path_nodes(left)), dict(path_nodes(right))
    covariance = math.fsum(first[at] * second[at] for at in first.keys() & second.keys())
    assert math.isclose(covariance, min(left, right), rel_tol=1e-14, abs_tol=1e-320)


@pytest.mark.parametrize("name", CLOCKS)
def test_draws_add_up(name):
    path = BrownianPath(state(), [5, 6], CLOCKS[name], 52)
    for a, b, c in itertools.combinations(FINE[::4], 3):
        whole, left, right = (
            path(*step) * abs(CLOCKS[name](step[1]) - CLOCKS[name](step[0])) ** 0.5
            for step in ((a, c), (a, b), (b, c))
        )
        # W itself is of the size of the larger clock, whose rounding differences inherit.
        size = max(abs(CLOCKS[name](level)) for level in (a, c)) ** 0.5
        assert torch.allclose(whole, left + right, rtol=0, atol=1e-14 * size)


def test_the_identity_of_the_sde():
    """ξ √(1 − e^{−2τ²(h+k)}) = e^{−τ²k} √(1 − e^{−2τ²h}) ξ₁ + √(1 − e^{−2τ²k}) ξ₂."""
    for tau in (0.4, 1.0):
        path = BrownianPath(state(), [5, 6], data_clock(tau), 52)
        h, k = math.log(9.0 / 2.0), math.log(2.0 / 0.7)
        first, second = path(9.0, 2.0), path(2.0, 0.7)
        size_h, size_k, size = ((-math.expm1(-2 * tau**2 * s)) ** 0.5 for s in (h, k, h + k))
        wanted = math.exp(-(tau**2) * k) * size_h * first + size_k * second
        assert torch.allclose(path(9.0, 0.7) * size, wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", CLOCKS)
def test_order_batch_and_dtype_do_not_matter(name):
    whole = draws(BrownianPath(state(), [5, 6], CLOCKS[name], 52), FINE)
    path, steps = BrownianPath(state(), [5, 6], CLOCKS[name], 52), list(itertools.pairwise(FINE))
    places = list(range(len(steps)))
    random.Random(1).shuffle(places)
    for i in places:
        assert torch.equal(path(*steps[i]), whole[i])
    alone = draws(BrownianPath(state(1), [6], CLOCKS[name], 52), FINE[9:])
    assert torch.equal(alone, whole[9:, 1:])
    single = BrownianPath(state().float(), [5, 6], CLOCKS[name], 52)
    levels = [torch.tensor(level, dtype=torch.float64) for level in FINE]
    assert torch.equal(draws(single, levels), whole.float())
    assert not torch.equal(whole[:, 0], whole[:, 1])


@pytest.mark.parametrize("bits", [1, 8, 20])
def test_fewer_bits_are_the_exact_path_of_a_rounded_clock(bits):
    rough = BrownianPath(state(), [5, 6], data_clock(), bits)
    exact = BrownianPath(state(), [5, 6], lambda level: rough.clock(level))
    levels = [8.0, 3.0, 1.0, 0.3, 0.1]
    assert torch.equal(draws(rough, levels), draws(exact, levels))
    for level in FINE:
        true, found = data_clock()(level), rough.clock(level)
        assert abs(found - true) <= 2.0 ** -(bits + 1) * true
        assert len(list(path_nodes(found))) <= abs(math.log2(true)) + bits + 4
    with pytest.raises(ValueError, match=f"to {bits} bits"):
        rough(1.0, 1.0 - 2.0 ** -(bits + 4))


def test_ends():
    path = BrownianPath(state(), [5, 6], bits=52)
    assert path(math.inf, 3.0).isfinite().all() and path(1e6, 1e-6).isfinite().all()
    last = path(0.02, 0.0)
    assert torch.equal(last, path(3.0, 0.0)) and not torch.equal(last, path(0.02, 0.01))
    noise = BrownianPath(state(), [5, 6], noise_clock, 52)
    assert torch.allclose(noise(2.0, 0.0) * 2, noise(2.0, 0.5) * 3.75**0.5 + noise(0.5, 0.0) * 0.5)


def test_draws_at_one_level_are_of_no_part_of_the_path():
    """Langevin steps: draws of their own, the same for the same seeds."""
    path, again, plain = (BrownianPath(state(), [5, 6]) for _ in range(3))
    steps = [(1.0, 1.0), (2.0, 1.0), (1.0, 1.0), (0.5, 0.5)]
    found = [path(*step) for step in steps]
    assert torch.equal(torch.stack(found), torch.stack([again(*step) for step in steps]))
    assert torch.equal(found[1], plain(2.0, 1.0))
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(found, 2))


def test_a_path_tells_whose_noise_it_is():
    assert BrownianPath(state(), [5, 6]).equation == ("data", 1.0)
    assert BrownianPath(state(), [5, 6], noise_clock).equation == ("noise", None)
    assert BrownianPath(state(), [5, 6], float).equation is None


def test_what_a_path_cannot_do_is_named():
    for strength in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="strength of a Brownian path"):
            data_clock(strength)
    path = BrownianPath(state(), [5, 6])
    with pytest.raises(ValueError, match="Use Seeded"):
        path(1.0, 2.0)
    with pytest.raises(ValueError, match="Levels must differ"):
        BrownianPath(state(), [5, 6], bits=20)(1.0, math.nextafter(1.0, 0.0))
    with pytest.raises(ValueError, match="beyond float64"):
        path(1.0, 1e-200)
    with pytest.raises(ValueError, match="Levels must differ"):
        BrownianPath(state(), [5, 6], noise_clock)(math.inf, 1.0)
    with pytest.raises(ValueError, match="seeds are integers"):
        BrownianPath(state(), [5, 6.5])
    for bits in (0, 53, 20.5):
        with pytest.raises(ValueError, match="bits must be"):
            BrownianPath(state(), [5, 6], bits=bits)
    with pytest.raises(ValueError, match="1 seeds"):
        BrownianPath(state(), [5])


@pytest.mark.parametrize("name", ["weak", "full", "noise"])
def test_a_path_coarsened_is_the_path(name):
    path = BrownianPath(state(), [5, 6], CLOCKS[name], 52)
    record = Recorded(path)
    draws(record, FINE)
    for stride in (1, 2, 3, 8):
        found = draws(Coarsened(record, CLOCKS[name]), FINE[::stride])
        assert torch.allclose(found, draws(path, FINE[::stride]), rtol=1e-11, atol=1e-12)


def test_coarse_steps_must_be_made_of_fine_ones():
    record = Recorded(Seeded(state(), [5, 6]))
    draws(record, FINE)
    coarse = Coarsened(record, data_clock())
    for step in ((FINE[3], 1.0), (1.0, FINE[20]), (FINE[3], FINE[3]), (FINE[3], FINE[2])):
        with pytest.raises(ValueError, match="whole recorded steps"):
            coarse(*step)
    record(FINE[0], FINE[1])
    with pytest.raises(ValueError, match="two recorded draws start"):
        Coarsened(record, data_clock())


def test_runs_on_one_path_converge_to_each_other(mixture):
    """k-diffusion's SDE sampler: finer grids have one limit on a path, none with fresh noise."""
    sample = crowson_sampling().sample_dpmpp_2m_sde
    gaps = {}
    for source in (BrownianPath, Seeded):
        ends = []
        for n in (16, 32, 64, 128):
            sigmas = torch.tensor([10 * 0.003 ** (i / n) for i in range(n + 1)]).double()
            start = Seeded(state(4, 2), range(4))(math.inf, 10.0) * 10
            draw = source(start, range(4))
            ends.append(sample(mixture, start, sigmas, disable=True, noise_sampler=draw))
        gaps[source] = [float((b - a).norm()) for a, b in itertools.pairwise(ends)]
    assert gaps[BrownianPath][2] < min(gaps[BrownianPath][:2]) / 2
    assert max(gaps[BrownianPath]) < min(gaps[Seeded]) / 5


def test_a_path_takes_few_normals_and_holds_three_values(monkeypatch):
    """Its cost, and its memory, whatever the grid."""
    from solvergen.hosts import brownian

    drawn, plain = [], brownian.unit_normal
    monkeypatch.setattr(
        brownian, "unit_normal", lambda *given: drawn.append(given[1]) or plain(*given)
    )
    path = BrownianPath(state(), [5, 6], data_clock())
    for count, (high, low) in enumerate(itertools.pairwise(FINE), 1):
        path(high, low)
        assert len(path._known) <= 3 and len(drawn) <= 2 * 45 * (count + 1)
