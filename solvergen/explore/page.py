"""The explorer's page: what is shipped, and the template that it goes into."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from . import figures, learning
from .plans import plan

ASSETS = Path(__file__).parent / "assets"
COMPARED = ("ddim", "dpmpp_2m", "unipc_3_bh2")
SCALINGS = ("variance exploding", "variance preserving", "flow")
EQUATIONS = ("y′ = −t sin y", "a diffusion ODE, λ as time")
PLAIN_END = 2.5

Shown = Callable[[list[str], str], Iterable[str]]


def content(solvers: Sequence[str], shown: Shown) -> dict[str, Any]:
    """Everything that the page computes with.

    Args:
        solvers: gallery names or spec files, without noise or with it.
        shown: wraps a list whose items take time, to show progress.

    Raises:
        SolvergenError: a spec that cannot be read, derived or run.
    """
    noisy = [name for name, _, _ in figures.STRENGTHS.values()]
    names = list(dict.fromkeys([*solvers, *figures.PLAIN, *noisy]))
    with tempfile.TemporaryDirectory() as folder:
        modules = figures.emitted_modules(shown(names, "emitting"), Path(folder))
    compared = {name: modules[name] for name in map(_stem, solvers)}
    quiet = [name for name in solvers if not hasattr(modules[_stem(name)], "WEAK_ORDER")]
    uniform = figures.grids()["uniform λ"]
    return {
        "ends": [figures.SIGMA_MAX, figures.SIGMA_MIN],
        "problems": figures.problems(),
        "evaluations": [*figures.EVALUATIONS, *figures.LONG],
        "levels": {
            title: {n: levels(n) for n in range(1, 21)} for title, levels in figures.grids().items()
        },
        "facts": {name: figures.facts(name, module) for name, module in compared.items()},
        "runs": figures.runs(compared, shown),
        "plain": figures.plain({n: modules[n] for n in figures.PLAIN}, PLAIN_END),
        "halving": {2**k: plan(modules["ddim"], uniform(2**k)) for k in range(7)},
        "students": learning.kept(),
        "strengths": figures.strengths(modules.__getitem__),
        "polynomials": figures.polynomials(quiet),
    }


def page(solvers: Sequence[str], command: str, shown: Shown) -> str:
    """The whole page, self-contained.

    Args:
        solvers: whom it shows; the first three are compared at first.
        command: how it was made.
        shown: wraps a list whose items take time.
    """
    from solvergen.verify.report import site

    data = content(solvers, shown)
    names = list(data["runs"])
    return site.render(
        "explore.html",
        ASSETS,
        own_style=site.part(ASSETS / "explore.css"),
        mathematics=site.part(ASSETS / "mathematics.js"),
        figures=site.part(ASSETS / "figures.js"),
        content=data,
        solvers=names,
        compared=[name for name in COMPARED if name in names] + names[:3],
        scalings=SCALINGS,
        grids=list(figures.grids()),
        equations=EQUATIONS,
        families=list(figures.STRENGTHS),
        lengths=[str(n) for n in figures.STEPS_OF_NOISE],
        stable=list(data["polynomials"]),
        command=command,
    )


def _stem(name: str) -> str:
    return Path(name).stem
