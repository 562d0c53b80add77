"""The demo command: one spec through every room, to a running sampler, a table and a picture."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .parsing import command

COUNTS = (5, 10, 20, 40, 80)
SIGMA_MAX, SIGMA_MIN = 10.0, 0.05
EVALUATIONS, SHOWN = 10, 24  # of the picture: model calls of each solver, trajectories drawn


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

    def paths(self, points: int = 120) -> Any:
        """The exact trajectories (points, starts, 2), by the classical Runge-Kutta method in log σ."""
        import torch

        model, x = self.mixture.model(), self.x
        h = math.log(SIGMA_MIN / SIGMA_MAX) / points

        def slope(x: Any, sigma: float) -> Any:
            return x - model(x, torch.full((len(x),), sigma, dtype=x.dtype))

        found = [x]
        for i in range(points):
            sigma = SIGMA_MAX * math.exp(h * i)
            middle, end = sigma * math.exp(h / 2), sigma * math.exp(h)
            k1 = slope(x, sigma)
            k2 = slope(x + h / 2 * k1, middle)
            k3 = slope(x + h / 2 * k2, middle)
            k4 = slope(x + h * k3, end)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            found.append(x)
        return torch.stack(found)

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
    """Trajectories of every sampler over the exact ones, and the error against evaluations."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        from .terminal import complain

        complain("matplotlib is not installed; no picture drawn")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    exact = problem.paths()
    size = (4.6 * len(samplers) + 5, 5.2)
    figure, axes = pyplot.subplots(1, len(samplers) + 1, figsize=size, layout="constrained")
    for k, (axis, (name, module)) in enumerate(zip(axes, samplers.items(), strict=False)):
        _panel(axis, f"C{k}", name, module, problem, exact)
        calls, errors = zip(*(_point(module, n, problem) for n in COUNTS), strict=True)
        axes[-1].loglog(calls, errors, "o-", color=f"C{k}", label=f"{name}, order {_order(module)}")
    axes[-1].set(
        xlabel="model evaluations",
        ylabel="RMS distance to the exact ends",
        title="error at equal evaluations",
    )
    axes[-1].set_xticks(COUNTS, [str(n) for n in COUNTS])
    axes[-1].set_xticks([], minor=True)
    axes[-1].grid(True, which="both", alpha=0.25)
    axes[-1].legend()
    figure.suptitle(
        f"{EVALUATIONS} model evaluations from σ = {SIGMA_MAX:g} to {SIGMA_MIN:g}, beside the exact paths"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _point(module: ModuleType, n: int, problem: Problem) -> tuple[int, float]:
    return len(module.coefficients(problem.grid(n))), problem.error(module, n)


def _order(module: ModuleType) -> str:
    """The proved order on any grid, with the sampler's own start and end."""
    if not hasattr(module, "ORDER"):
        return "of a law"
    value, exact = module.ORDER["arbitrary"]["own_end"]
    return str(value) if exact else f"at least {value}"


def _panel(
    axis: Any, colour: str, name: str, module: ModuleType, problem: Problem, exact: Any
) -> None:
    import torch

    line = torch.linspace(-3, 3, 161, dtype=torch.float64)
    points = torch.cartesian_prod(line, line)
    one = torch.ones(1, dtype=torch.float64)
    density = problem.mixture.log_density(points, one, SIGMA_MIN * one).exp().reshape(161, 161)
    axis.contourf(line, line, density.T, levels=12, cmap="Greys", alpha=0.7)
    n = max(1, EVALUATIONS // module.EVALUATIONS_PER_STEP)
    path: list[Any] = []
    end = problem.run(module, n, lambda state: path.append(state["x"].clone()))
    tracks = torch.stack([*path, end])
    for k in range(SHOWN):
        label = {"label": "exact path"} if k == 0 else {}
        axis.plot(exact[:, k, 0], exact[:, k, 1], color="0.25", lw=1.6, **label)
        label = {"label": name} if k == 0 else {}
        axis.plot(tracks[:, k, 0], tracks[:, k, 1], ".-", color=colour, lw=1, ms=4, **label)
    axis.scatter(end[:, 0], end[:, 1], s=14, color=colour, zorder=3)
    axis.scatter(
        problem.exact[:, 0],
        problem.exact[:, 1],
        s=38,
        facecolors="none",
        edgecolors="0.25",
        zorder=4,
        label="exact end",
    )
    calls, error = _point(module, n, problem)
    axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    axis.set_title(
        f"{name}: {calls} evaluations, error {error:.2g}, order {_order(module)}", size=10
    )
    axis.legend(loc="lower left", fontsize=8)
