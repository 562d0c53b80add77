"""CPU seconds that `coefficients` takes for 1000 steps: all committed solvers, the slowest first.

    python tests/benchmarks/plans.py [--over SECONDS] [--relative] [SOLVER ...]

Exit code 1 if one takes longer than `--over`, 0.1 s unless given, on any of three schedules. The least
of several times counts: collections of garbage and other processes are not the solver's. With
`--relative` seconds are those of a machine that takes 0.045 s for half a million exponentials, as an
idle one of ours does: what a busy or a slower machine takes longer for is divided out.
"""

import argparse
import importlib
import math
import sys
import time
from pathlib import Path

import torch

IDLE = 0.045  # CPU seconds of the yardstick on an idle machine of ours
GENERATED = Path(__file__).resolve().parents[2] / "generated"


def schedules(count=1000):
    """sigma and alpha of a variance-preserving, a flow and a Karras grid."""
    time_left = torch.linspace(1, 0.001, count + 1, dtype=torch.float64)
    alpha = (-0.25 * 19.9 * time_left**2 - 0.05 * time_left).exp()
    flow = torch.linspace(0.999, 0.001, count + 1, dtype=torch.float64)
    ramp = torch.linspace(0, 1, count + 1, dtype=torch.float64)
    karras = (14 ** (1 / 7) + ramp * (0.03 ** (1 / 7) - 14 ** (1 / 7))) ** 7
    return {"vp": ((1 - alpha**2).sqrt(), alpha), "flow": (flow, 1 - flow), "ve": (karras, None)}


def yardstick():
    """CPU seconds of half a million exponentials, the least of three."""
    best = float("inf")
    for _ in range(3):
        begun, total = time.process_time(), 0.0
        for k in range(500_000):
            total += math.exp(-k / 500_000)
        best = min(best, time.process_time() - begun)
    return best


def planned(module, sigma, alpha, enough):
    """CPU seconds of a plan, the least of up to four, and its rows; None where it is refused."""
    best, rows = float("inf"), 0
    for _ in range(4):
        begun = time.process_time()
        try:
            rows = len(module.coefficients(sigma, alpha))
        except ValueError:
            return None
        best = min(best, time.process_time() - begun)
        if best < enough / 2:
            break
    return best, rows


def again(seconds, rows, kind, name, over):
    """The same seconds; where they are over the limit, the least of more plans beside the yardstick."""
    module = importlib.import_module(f"solvergen.generated.{name}")
    for _ in range(5):
        if seconds <= over:
            break
        slower = yardstick() / IDLE
        seconds = min(seconds, planned(module, *schedules()[kind], over)[0] / slower)
    return seconds


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--over", type=float, default=0.1, metavar="SECONDS")
    parser.add_argument("--relative", action="store_true")
    parser.add_argument("solvers", nargs="*", metavar="SOLVER")
    args = parser.parse_args()
    torch.set_num_threads(1)
    names = args.solvers or sorted(path.stem for path in GENERATED.glob("*.py"))
    found, slower = [], yardstick() / IDLE
    for name in names:
        module = importlib.import_module(f"solvergen.generated.{name}")
        for kind, grid in schedules().items():
            if (taken := planned(module, *grid, args.over)) is not None:
                found.append((*taken, kind, name))
    if args.relative:
        slower = max(slower, yardstick() / IDLE)
        found = [(again(seconds / slower, *rest, args.over), *rest) for seconds, *rest in found]
    found.sort(reverse=True)
    slow = [entry for entry in found if entry[0] > args.over]
    print(
        f"half a million exponentials: {slower * IDLE:.3f} CPU s, {slower:.2f} times an idle machine's"
    )
    print(
        f"{len(names)} solvers, {len(found)} plans of 1000 steps; over {args.over} s: {len(slow)}"
    )
    print("\n| solver | grid | model calls | CPU ms |\n|---|---|---:|---:|")
    for seconds, rows, kind, name in found[: max(15, len(slow))]:
        print(f"| {name} | {kind} | {rows} | {seconds * 1e3:.0f} |")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
