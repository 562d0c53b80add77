"""Plots of solvers as matplotlib axes, for notebooks and for the demo."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import SolvergenError
from .installing import install
from .trial import COUNTS, Trial, one_thread, order_of

if TYPE_CHECKING:
    from .order.ode.stability import Stability


def new_axes() -> Any:
    """Axes of a figure of their own.

    Raises:
        SolvergenError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError:
        raise SolvergenError(f"plots need matplotlib; {install('demo')}") from None
    return pyplot.subplots(figsize=(5.6, 4.0), layout="constrained")[1]


def errors(axes: Any, modules: Mapping[str, ModuleType], trial: Trial | None = None) -> Any:
    """RMS distance to the exact ends against model evaluations, a line for each solver.

    Args:
        axes: matplotlib's.
        modules: emitted files by name.
        trial: the problem, where it is made already.
    """
    points = {}
    with one_thread():
        trial = trial or Trial()
        for name, module in modules.items():
            steps = [max(1, n // module.EVALUATIONS_PER_STEP) for n in COUNTS]
            points[name] = [trial.point(module, n) for n in dict.fromkeys(steps)]
    for name, module in modules.items():
        calls, off = zip(*points[name], strict=True)
        axes.loglog(calls, off, "o-", label=f"{name}, order {order_of(module)}")
    axes.set(
        xlabel="model evaluations",
        ylabel="RMS distance to the exact ends",
        title="error at equal evaluations",
    )
    axes.set_xticks(COUNTS, [str(n) for n in COUNTS])
    axes.set_xticks([], minor=True)
    axes.grid(True, which="both", alpha=0.25)
    axes.legend()
    return axes


def stability(axes: Any, found: Stability, title: str, reach: float = 6.0) -> Any:
    """Where y′ = z y does not grow in one step of the solver's clock, in the plane of z.

    Args:
        axes: matplotlib's.
        found: the characteristic polynomial.
        title: of the axes.
        reach: width and height of what is shown.
    """
    import numpy as np

    xs = np.linspace(-0.75 * reach, 0.25 * reach, 201)
    ys = np.linspace(-reach / 2, reach / 2, 201)
    radii = _radii(found, xs[None, :] + 1j * ys[:, None])
    axes.contourf(xs, ys, radii, levels=[0.0, 1.0], colors=["C0"], alpha=0.35)
    axes.contour(xs, ys, radii, levels=[1.0], colors=["C0"], linewidths=1.2)
    for line in (axes.axhline, axes.axvline):
        line(0.0, color="0.5", linewidth=0.7)
    axes.set(xlabel="Re z", ylabel="Im z", title=title, aspect="equal")
    return axes


def _radii(found: Stability, z: Any) -> Any:
    """The size of the largest root at each z: eigenvalues of companion matrices, all at once."""
    import numpy as np

    values = [sum(complex(a) * z**i for i, a in enumerate(p)) + 0 * z for p in found.characteristic]
    degree = len(values) - 1
    companion = np.zeros((*z.shape, degree, degree), dtype=complex)
    companion[..., 1:, :-1] = np.eye(degree - 1)
    for k in range(degree):
        companion[..., k, -1] = -values[k] / np.where(values[-1] == 0, 1e-300, values[-1])
    return np.abs(np.linalg.eigvals(companion)).max(axis=-1)
