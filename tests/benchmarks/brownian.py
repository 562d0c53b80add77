"""CPU time of a Brownian path beside torchsde's tree, over the levels of a run.

    python tests/benchmarks/brownian.py

torchsde is optional; without it the ratios are left out.
"""

import importlib.util
import itertools
import time

import torch
from measure import levels

from solvergen.hosts.brownian import BrownianPath

SHAPES = [(1, 4, 64, 64), (4, 4, 64, 64), (1, 4, 128, 128)]


def ours(shape, grid, bits):
    """Draws for every step of the grid."""
    path = BrownianPath(torch.zeros(shape), range(shape[0]), bits=bits)
    for high, low in itertools.pairwise(grid):
        path(high, low)


def theirs(shape, grid):
    """The same from one tree per sample, as k-diffusion makes them."""
    import torchsde

    trees = [
        torchsde.BrownianTree(grid[-1], torch.zeros(shape[1:]), grid[0], entropy=k)
        for k in range(shape[0])
    ]
    for high, low in itertools.pairwise(grid):
        torch.stack([tree(low, high) for tree in trees]) / (high - low) ** 0.5


def spent(function, *args):
    """CPU seconds, the least of three."""
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        function(*args)
        best = min(best, time.process_time() - begun)
    return best


def main():
    """Print the table."""
    torch.set_num_threads(1)
    grid = levels(21).tolist()
    found = importlib.util.find_spec("torchsde") is not None
    print("| state | 20 bits, ms | 32 bits, ms | 52 bits, ms | torchsde, ms | 32 bits / torchsde |")
    print("|---|---:|---:|---:|---:|---:|")
    for shape in SHAPES:
        times = [spent(ours, shape, grid, bits) for bits in (20, 32, 52)]
        peer = spent(theirs, shape, grid) if found else None
        shown = ["-", "-"] if peer is None else [f"{peer * 1e3:.0f}", f"{times[1] / peer:.2f}"]
        cells = ["x".join(map(str, shape)), *(f"{t * 1e3:.0f}" for t in times), *shown]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
