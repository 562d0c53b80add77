"""The demo command: one spec through every room, to a running sampler, a table and a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any

from ..trial import COUNTS, SIGMA_MAX, SIGMA_MIN, Trial, one_thread, order_of
from .parsing import command

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
    picture = args.out / "demo.png"
    with one_thread():
        trial = Trial()
        _table(samplers, trial)
        _draw(samplers, trial, picture)
    print(f"\nwrote {picture}")
    return 0


def _table(samplers: dict[str, ModuleType], trial: Trial) -> None:
    print(f"RMS distance to the exact end points (known to {trial.bound:.0e}), 48 trajectories")
    print("steps   " + "".join(f"{name:>24}" for name in samplers))
    previous: dict[str, float] = {}
    for n in COUNTS:
        cells = []
        for name, module in samplers.items():
            error = trial.error(module, n)
            ratio = f"/{previous[name] / error:.1f}" if name in previous else ""
            cells.append(f"{error:>16.2e} {ratio:>7}")
            previous[name] = error
        print(f"{n:5d}   " + "".join(cells))
    print("(/x: how much smaller than with half the steps; order 1 gives 2, order 2 gives 4)")


def _draw(samplers: dict[str, ModuleType], trial: Trial, path: Path) -> None:
    """Trajectories of every sampler over the exact ones, and the error against evaluations."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        from .terminal import complain

        complain("matplotlib is not installed; no picture drawn")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from .. import plots

    exact = trial.paths()
    size = (4.6 * len(samplers) + 5, 5.2)
    figure, axes = pyplot.subplots(1, len(samplers) + 1, figsize=size, layout="constrained")
    for k, (axis, (name, module)) in enumerate(zip(axes, samplers.items(), strict=False)):
        _panel(axis, f"C{k}", name, module, trial, exact)
    plots.errors(axes[-1], samplers, trial)
    figure.suptitle(
        f"{EVALUATIONS} model evaluations from σ = {SIGMA_MAX:g} to {SIGMA_MIN:g}, beside the exact paths"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axis: Any, colour: str, name: str, module: ModuleType, trial: Trial, exact: Any) -> None:
    import torch

    line = torch.linspace(-3, 3, 161, dtype=torch.float64)
    points = torch.cartesian_prod(line, line)
    one = torch.ones(1, dtype=torch.float64)
    density = trial.mixture.log_density(points, one, SIGMA_MIN * one).exp().reshape(161, 161)
    axis.contourf(line, line, density.T, levels=12, cmap="Greys", alpha=0.7)
    n = max(1, EVALUATIONS // module.EVALUATIONS_PER_STEP)
    path: list[Any] = []
    end = trial.run(module, n, lambda state: path.append(state["x"].clone()))
    tracks = torch.stack([*path, end])
    for k in range(SHOWN):
        label = {"label": "exact path"} if k == 0 else {}
        axis.plot(exact[:, k, 0], exact[:, k, 1], color="0.25", lw=1.6, **label)
        label = {"label": name} if k == 0 else {}
        axis.plot(tracks[:, k, 0], tracks[:, k, 1], ".-", color=colour, lw=1, ms=4, **label)
    axis.scatter(end[:, 0], end[:, 1], s=14, color=colour, zorder=3)
    axis.scatter(
        trial.exact[:, 0],
        trial.exact[:, 1],
        s=38,
        facecolors="none",
        edgecolors="0.25",
        zorder=4,
        label="exact end",
    )
    calls, error = trial.point(module, n)
    axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    axis.set_title(
        f"{name}: {calls} evaluations, error {error:.2g}, order {order_of(module)}", size=10
    )
    axis.legend(loc="lower left", fontsize=8)
