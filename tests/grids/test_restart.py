"""Grids that rise: the authors' placement of restarts, diffusers' resampling, refused segments."""

import itertools
import math

import pytest

from solvergen.grids import karras, resampled, restarted

# Xu et al. 2023, ImageNet 64: as given to the authors' script.
IMAGENET = [
    (3, 1, 19.35, 40.79),
    (4, 1, 1.09, 1.92),
    (4, 4, 0.59, 1.09),
    (4, 1, 0.30, 0.59),
    (4, 4, 0.06, 0.30),
]


def visited(grid, segments, rho):
    """The levels that the authors' loop goes through, written as it runs."""
    at = {min(range(len(grid)), key=lambda i: abs(grid[i] - s[2])): s for s in segments}
    levels = [grid[0]]
    for i in range(len(grid) - 1):
        levels.append(grid[i + 1])
        if i + 1 in at:
            n, times, _, high = at[i + 1]
            for _, j in itertools.product(range(times), range(n)):
                ends = high ** (1 / rho), grid[i + 1] ** (1 / rho)
                levels.append((ends[0] + j / (n - 1) * (ends[1] - ends[0])) ** rho)
    return levels


@pytest.mark.parametrize("n", [18, 36])
@pytest.mark.parametrize("rho", [1.0, 7.0])
def test_levels_of_the_paper(n, rho):
    grid = karras(n, 0.002, 80.0)
    found, wanted = restarted(grid, IMAGENET, rho), visited(grid, IMAGENET, rho)
    assert len(found) == len(wanted) == len(grid) + 3 + 4 + 16 + 4 + 16
    assert all(math.isclose(a, b, rel_tol=1e-13) for a, b in zip(found, wanted, strict=True))
    rises = [(a, b) for a, b in itertools.pairwise(found) if b > a]
    assert len(rises) == 11 and {b for _, b in rises} == {s[3] for s in IMAGENET}
    assert {a for a, _ in rises} < set(grid)
    assert restarted(grid, IMAGENET[::-1], rho) == found and restarted(grid, []) == grid


def test_down_to_zero_and_two_levels():
    assert restarted([4.0, 1.0, 0.0], [(2, 1, 0.1, 4.0)]) == [4.0, 1.0, 0.0, 4.0, 0.0]


GRID = [8.0, 4.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("segment", "bound"),
    [
        ((1, 1, 1.0, 3.0), "n >= 2"),
        ((3, 0, 1.0, 3.0), "K >= 1"),
        ((3, 1, 3.0, 3.0), "0 <= t_min < t_max"),
        ((3, 1, 3.0, 1.0), "0 <= t_min < t_max"),
        ((3, 1, -1.0, 3.0), "0 <= t_min < t_max"),
        ((3, 1, math.nan, 3.0), "0 <= t_min < t_max"),
        ((3, 1, 1.0, 8.5), "first level, 8.0"),
        ((3, 1, 7.0, 7.5), "nearest to t_min is 8.0"),
        ((3, 1, 1.6, 1.9), "nearest to t_min is 2.0"),
        ((3, 1, 1.6, 2.0), "nearest to t_min is 2.0"),
    ],
)
def test_bounds_are_named(segment, bound):
    with pytest.raises(ValueError, match=f"segment 1, .*{bound}"):
        restarted(GRID, [(3, 1, 4.1, 6.0), segment])


def test_two_restarts_at_one_level_and_bad_grids():
    with pytest.raises(ValueError, match=r"segment 1.*another segment restarts at level 2\.0"):
        restarted(GRID, [(3, 1, 2.1, 3.0), (3, 1, 1.9, 4.0)])
    for grid in ([1.0], [1.0, 2.0], [2.0, 2.0], [2.0, -1.0], [math.inf, 1.0], [math.nan, 1.0]):
        with pytest.raises(ValueError, match="levels must descend"):
            restarted(grid, [])
    for rho in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="rho"):
            restarted(GRID, [(3, 1, 1.0, 3.0)], rho)


@pytest.mark.parametrize(
    ("n", "length", "times"), [(3, 1, 2), (10, 3, 4), (20, 5, 1), (50, 10, 10)]
)
def test_resampling_of_diffusers(n, length, times):
    """Its timesteps are the steps that are left after each move; a run of rises is one jump."""
    schedulers = pytest.importorskip("diffusers.schedulers")
    scheduler = schedulers.RePaintScheduler(num_train_timesteps=n)
    scheduler.set_timesteps(n, jump_length=length, jump_n_sample=times)
    moves = [n, *scheduler.timesteps.tolist()]
    inside = [
        False,
        *(a < b < c for a, b, c in zip(moves, moves[1:], moves[2:], strict=False)),
        False,
    ]
    wanted = [left for left, passed in zip(moves, inside, strict=True) if not passed]
    assert resampled(list(range(n, -1, -1)), length, times) == wanted


@pytest.mark.parametrize(("length", "times"), [(0, 2), (4, 2), (2, 0)])
def test_resampling_out_of_range(length, times):
    with pytest.raises(ValueError, match="1 <= length < 4"):
        resampled(GRID, length, times)
