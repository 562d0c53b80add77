"""The demo command: one spec through every room, to a running sampler, a table and a picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .parsing import command

COUNTS = (5, 10, 20, 40, 80)
SIGMA_MAX, SIGMA_MIN = 10.0, 0.05


def add(commands: Any) -> None:
    """Register the command."""
    demo = command(
        commands,
        "demo",
        "take a spec from text to samples, errors and a picture",
        "solvergen demo",
        "solvergen demo mine.toml --beside dpmpp_2m",
    )
    demo.add_argument("spec", nargs="?", default="dpmpp_2m", metavar="SPEC", help="dpmpp_2m unless "
                      "given")  # fmt: skip
    demo.add_argument("--beside", default="ddim", metavar="SPEC", help="a solver to compare with")
    demo.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR")
    demo.set_defaults(handler=run_demo)


def run_demo(args: argparse.Namespace) -> int:
    """Derive, emit, sample a 2-D mixture, compare with the exact end points, draw."""
    from ..catalogue import entry
    from ..emitted import imported
    from ..explanation import explanation
    from ..loading import load
    from ..proof import proved
    from ..writing import write

    print(explanation(entry(args.spec)))

    samplers: dict[str, ModuleType] = {}
    print()
    for target in dict.fromkeys((args.spec, args.beside)):
        loaded = load(target)
        path = args.out / f"{loaded.solver.name}.py"
        write(path, proved(loaded).text)
        print(f"wrote {path}")
        samplers[loaded.solver.name] = imported(path)
    print()
    problem = Problem()
    _table(samplers, problem)
    picture = args.out / "demo.png"
    _draw(samplers, problem, picture)
    print(f"\nwrote {picture}")
    return 0


class Problem:
    """A 2-D mixture, a start at high noise, and where the exact flow takes it."""

    def __init__(self) -> None:
        import torch

        from solvergen.verify.problems.mixture import GaussianMixture
        from solvergen.verify.problems.reference import ends

        self.mixture = GaussianMixture(
            weights=[0.3, 0.25, 0.25, 0.2],
            means=[[-1.5, -0.5], [1.2, -1.0], [0.3, 1.4], [-0.6, 1.0]],
            std=[0.25, 0.35, 0.3, 0.2],
        )
        noise = torch.Generator().manual_seed(0)
        self.x = SIGMA_MAX * torch.randn(48, 2, generator=noise, dtype=torch.float64)
        exact = ends(self.mixture, self.x.numpy(), SIGMA_MAX, SIGMA_MIN)
        self.exact, self.bound = torch.from_numpy(exact.value), exact.bound

    def grid(self, n: int) -> Any:
        """n + 1 levels, uniform in sigma^(1/7) (Karras et al. 2022, Eq. 5)."""
        import torch

        ramp = torch.linspace(0, 1, n + 1, dtype=torch.float64)
        high, low = SIGMA_MAX ** (1 / 7), SIGMA_MIN ** (1 / 7)
        return (high + ramp * (low - high)) ** 7

    def run(self, module: ModuleType, n: int, watch: Callable[[Any], None] | None = None) -> Any:
        """End points of a sampler after n steps."""
        return module.sample(self.mixture.model(), self.x, self.grid(n), callback=watch)

    def error(self, module: ModuleType, n: int) -> float:
        """RMS distance to the exact end points."""
        gap = self.run(module, n) - self.exact
        return float(gap.pow(2).sum(1).mean().sqrt())


def _table(samplers: dict[str, ModuleType], problem: Problem) -> None:
    print(f"RMS distance to the exact end points (known to {problem.bound:.0e}), 48 trajectories")
    print("steps   " + "".join(f"{name:>24}" for name in samplers))
    previous: dict[str, float] = {}
    for n in COUNTS:
        cells = []
        for name, module in samplers.items():
            error = problem.error(module, n)
            ratio = f"/{previous[name] / error:.1f}" if name in previous else ""
            cells.append(f"{error:>16.2e} {ratio:>7}")
            previous[name] = error
        print(f"{n:5d}   " + "".join(cells))
    print("(/x: how much smaller than with half the steps; order 1 gives 2, order 2 gives 4)")


def _draw(samplers: dict[str, ModuleType], problem: Problem, path: Path) -> None:
    """Density, trajectories and end points, one panel a sampler, and the error against steps."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("matplotlib is not installed; no picture drawn", file=sys.stderr)
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(samplers) + 1, figsize=(5 * len(samplers) + 5, 5))
    for axis, (name, module) in zip(axes, samplers.items(), strict=False):
        _panel(axis, name, module, problem)
    for name, module in samplers.items():
        axes[-1].loglog(COUNTS, [problem.error(module, n) for n in COUNTS], "o-", label=name)
    axes[-1].set(xlabel="steps", ylabel="RMS distance to the exact end points", title="convergence")
    axes[-1].set_xticks(COUNTS, [str(n) for n in COUNTS])
    axes[-1].minorticks_off()
    axes[-1].grid(True, alpha=0.3)
    axes[-1].legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axis: Any, name: str, module: ModuleType, problem: Problem) -> None:
    import torch

    line = torch.linspace(-3, 3, 161, dtype=torch.float64)
    points = torch.cartesian_prod(line, line)
    one = torch.ones(1, dtype=torch.float64)
    density = problem.mixture.log_density(points, one, SIGMA_MIN * one).exp().reshape(161, 161)
    axis.contourf(line, line, density.T, levels=12, cmap="Blues")
    path: list[Any] = []
    end = problem.run(module, 10, lambda state: path.append(state["x"].clone()))
    tracks = torch.stack([*path, end])
    for k in range(tracks.shape[1]):
        axis.plot(tracks[:, k, 0], tracks[:, k, 1], color="0.35", lw=0.7, alpha=0.8)
    axis.scatter(end[:, 0], end[:, 1], s=16, color="C3", zorder=3, label="after 10 steps")
    exact = problem.exact
    axis.scatter(
        exact[:, 0], exact[:, 1], s=34, facecolors="none", edgecolors="k", zorder=4, label="exact"
    )
    axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", title=f"{name}, 10 steps")
    axis.legend(loc="lower left", fontsize=8)
