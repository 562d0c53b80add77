"""Grids that others optimised, as published, and the shortest path that finds such grids.

Levels are σ/α, or times of rectified flow where it is said so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .levels import log_linear

# Chen et al. 2024 (GITS), Stable Diffusion 1.5, as ComfyUI ships them: the weight γ of later jumps,
# the number of steps, then the levels.
GITS_SD15: dict[float, dict[int, tuple[float, ...]]] = {
    0.8: {
        4: (14.61464119, 11.54541874, 7.49001646, 3.07277966, 0.02916753),
        5: (14.61464119, 11.54541874, 7.49001646, 5.85520077, 2.05039096, 0.02916753),
        6: (14.61464119, 12.2308979, 8.75849152, 7.49001646, 5.85520077, 2.05039096, 0.02916753),
        8: (
            14.61464119,
            12.96784878,
            11.54541874,
            8.75849152,
            7.49001646,
            5.85520077,
            3.07277966,
            1.56271636,
            0.02916753,
        ),
        10: (
            14.61464119,
            13.76078796,
            12.96784878,
            12.2308979,
            10.90732002,
            8.75849152,
            7.49001646,
            5.85520077,
            3.07277966,
            1.56271636,
            0.02916753,
        ),
    },
    1.0: {
        4: (14.61464119, 6.77309084, 2.36326075, 0.803307, 0.02916753),
        5: (14.61464119, 7.11996698, 3.07277966, 1.56271636, 0.59516323, 0.02916753),
        6: (14.61464119, 7.49001646, 4.86714602, 2.84484982, 1.41535246, 0.57119018, 0.02916753),
        8: (
            14.61464119,
            11.54541874,
            7.49001646,
            4.86714602,
            2.84484982,
            1.61558151,
            0.86115354,
            0.38853383,
            0.02916753,
        ),
        10: (
            14.61464119,
            11.54541874,
            7.49001646,
            5.85520077,
            4.45427561,
            3.07277966,
            1.98035145,
            1.24153244,
            0.72133851,
            0.34370604,
            0.02916753,
        ),
    },
    1.1: {
        4: (14.61464119, 5.85520077, 1.61558151, 0.57119018, 0.02916753),
        5: (14.61464119, 6.77309084, 2.45070267, 1.08895338, 0.45573691, 0.02916753),
        6: (14.61464119, 6.77309084, 2.95596409, 1.56271636, 0.803307, 0.34370604, 0.02916753),
        8: (
            14.61464119,
            6.77309084,
            3.07277966,
            1.84880662,
            1.08895338,
            0.64427125,
            0.34370604,
            0.13792117,
            0.02916753,
        ),
        10: (
            14.61464119,
            7.49001646,
            4.86714602,
            2.95596409,
            1.91321158,
            1.24153244,
            0.803307,
            0.4783645,
            0.25053367,
            0.09824532,
            0.02916753,
        ),
    },
    1.2: {
        4: (14.61464119, 2.36326075, 0.92192322, 0.36617002, 0.02916753),
        5: (14.61464119, 2.84484982, 1.24153244, 0.59516323, 0.25053367, 0.02916753),
        6: (14.61464119, 5.85520077, 2.05039096, 0.95350921, 0.45573691, 0.17026083, 0.02916753),
        8: (
            14.61464119,
            5.85520077,
            2.45070267,
            1.36964464,
            0.803307,
            0.45573691,
            0.25053367,
            0.09824532,
            0.02916753,
        ),
        10: (
            14.61464119,
            5.85520077,
            2.84484982,
            1.67050016,
            1.08895338,
            0.74807048,
            0.50118381,
            0.32104823,
            0.19894916,
            0.09824532,
            0.02916753,
        ),
    },
    1.3: {
        4: (14.61464119, 1.56271636, 0.59516323, 0.22545385, 0.02916753),
        5: (14.61464119, 1.84880662, 0.803307, 0.36617002, 0.13792117, 0.02916753),
        6: (14.61464119, 2.36326075, 1.01931262, 0.52423614, 0.25053367, 0.09824532, 0.02916753),
        8: (
            14.61464119,
            3.07277966,
            1.56271636,
            0.89115214,
            0.54755926,
            0.34370604,
            0.19894916,
            0.09824532,
            0.02916753,
        ),
        10: (
            14.61464119,
            5.85520077,
            2.45070267,
            1.36964464,
            0.83188516,
            0.54755926,
            0.36617002,
            0.25053367,
            0.17026083,
            0.09824532,
            0.02916753,
        ),
    },
    1.5: {
        4: (14.61464119, 0.86115354, 0.32104823, 0.09824532, 0.02916753),
        5: (14.61464119, 1.24153244, 0.54755926, 0.25053367, 0.09824532, 0.02916753),
        6: (14.61464119, 1.56271636, 0.72133851, 0.36617002, 0.19894916, 0.09824532, 0.02916753),
        8: (
            14.61464119,
            1.61558151,
            0.83188516,
            0.52423614,
            0.34370604,
            0.25053367,
            0.17026083,
            0.09824532,
            0.02916753,
        ),
        10: (
            14.61464119,
            1.84880662,
            0.95350921,
            0.59516323,
            0.41087446,
            0.29807833,
            0.22545385,
            0.17026083,
            0.13792117,
            0.09824532,
            0.02916753,
        ),
    },
}
# OptimalSteps (arXiv 2503.21774): times of rectified flow; 10 steps for FLUX, 20 for Wan.
OPTIMAL_STEPS = {
    "flux": (0.9968, 0.9886, 0.9819, 0.975, 0.966, 0.9471, 0.9158, 0.8287, 0.5512, 0.2808, 0.001),
    "wan": (
        1.0,
        0.997,
        0.995,
        0.993,
        0.991,
        0.989,
        0.987,
        0.985,
        0.98,
        0.975,
        0.973,
        0.968,
        0.96,
        0.946,
        0.927,
        0.902,
        0.864,
        0.776,
        0.539,
        0.208,
        0.001,
    ),
}


def shortest_path(
    cost: Sequence[Sequence[float]], steps: int, gamma: float = 1.0, first: int = 0
) -> list[int]:
    """The path of so many jumps whose summed cost is least, by dynamic programming.

    The cost of what follows a jump counts γ times: V(j, k) = min_i cost(j, i) + γ V(i, k − 1), as in
    GITS (Chen et al. 2024, Algorithm 2). Of equal paths the one that jumps least first is taken.

    Args:
        cost: cost[j][i] of the jump from point j to a later point i; other entries are not read.
        steps: number of jumps.
        gamma: weight of later jumps.
        first: the point to begin at.

    Returns:
        steps + 1 indices, from `first` to the last point.

    Raises:
        ValueError: fewer points than the jumps need.

    >>> squared = [[(j - i) ** 2 for i in range(7)] for j in range(7)]
    >>> shortest_path(squared, 3)
    [0, 2, 4, 6]
    """
    last = len(cost) - 1
    if not 1 <= steps <= last - first:
        raise ValueError(
            f"{last - first + 1} points allow 1 to {last - first} steps; found {steps}"
        )
    value = [[math.inf] * (last + 1) for _ in range(steps + 1)]
    chosen = [[0] * (last + 1) for _ in range(steps + 1)]
    for j in range(first, last):
        value[1][j], chosen[1][j] = cost[j][last], last
    for k in range(2, steps + 1):
        later = value[k - 1]
        for j in range(first, last):
            row = cost[j]
            for i in range(j + 1, last):
                total = row[i] + gamma * later[i]
                if total < value[k][j]:
                    value[k][j], chosen[k][j] = total, i
    path = [first]
    for k in range(steps, 0, -1):
        path.append(chosen[k][path[-1]])
    return path


def gits(n: int, gamma: float = 1.15) -> list[float]:
    """The published levels of GITS for Stable Diffusion 1.5.

    Args:
        n: number of steps; those without a table are interpolated in log σ from the longest.
        gamma: weight of later jumps: 0.8, 1.0, 1.1, 1.2, 1.3, 1.5.

    Raises:
        ValueError: no table for that γ.

    >>> gits(4, 1.2)
    [14.61464119, 2.36326075, 0.92192322, 0.36617002, 0.02916753]
    """
    if gamma not in GITS_SD15:
        raise ValueError(
            f"no table for gamma = {gamma}; known are {', '.join(map(str, GITS_SD15))}"
        )
    tables = GITS_SD15[gamma]
    return list(tables[n]) if n in tables else log_linear(tables[max(tables)], n)


def optimal_steps(n: int, model: str = "flux") -> list[float]:
    """The published times of OptimalSteps and the end 0; other n by interpolation of log t.

    The path for FLUX begins below 1: the model gets this time with a state that is pure noise.

    Args:
        n: number of steps.
        model: "flux" or "wan".

    Raises:
        ValueError: no table for that model.

    >>> optimal_steps(10)[:3]
    [0.9968, 0.9886, 0.9819]
    """
    if model not in OPTIMAL_STEPS:
        raise ValueError(f"no table for `{model}`; known are {', '.join(OPTIMAL_STEPS)}")
    return [*log_linear(OPTIMAL_STEPS[model], n)[:-1], 0.0]
