"""What the explorer ships: plans, problems, stability polynomials and proved facts, as plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import SolvergenError
from ..grids import VP, RectifiedFlow, Schedule, karras, kl_optimal, uniform_time
from .plans import plan

SIGMA_MAX, SIGMA_MIN = 10.0, 0.05
SOLVERS = (
    "ddim",
    "dpmpp_2m",
    "unipc_3_bh2",
    "dpmpp_3m",
    "ipndm4",
    "deis_tab3",
    "lms4",
    "heun_edm",
    "dpmpp_2s",
    "dpm_solver_3",
    "res_2s",
    "flow_heun",
    "rk4_clock",
    "amed",
)
NOISY = ("ddim_eta", "euler_ancestral", "dpmpp_2m_sde", "seeds_2")
PLAIN = ("euler_sigma", "heun_edm", "midpoint_sigma", "kutta_3", "rk4_clock", "lms2", "lms4")
EVALUATIONS = (*range(1, 21), 24, 28, 32, 40, 50)
LONG = (100, 200, 500, 1000)
LONG_RUNS = "ddim_eta"
SHARES = tuple(i / 10 for i in range(11))
STEPS_OF_NOISE = (5, 10, 20, 40)
# The noise of these grows with one parameter, from 0 to its usual greatest value.
STRENGTHS: dict[str, tuple[str, str, str]] = {
    "η (ancestral, DDIM to DDPM)": ("ddim_eta", "eta", "one"),
    "τ (SDE, DPM-Solver++(2M))": ("dpmpp_2m_sde", "eta", "one"),
    "churn (EDM's Algorithm 2)": ("heun_churn", "s_churn", "churn"),
}
GREATEST_CHURN = math.sqrt(2) - 1  # of one step (Karras et al. 2022, Algorithm 2)

Levels = Callable[[int], list[float]]


def in_time(schedule: Schedule) -> Levels:
    """Levels that are equally spaced in the time of a schedule, between the page's two ends."""
    start, end = (schedule.time(-math.log(level)) for level in (SIGMA_MAX, SIGMA_MIN))

    def levels(n: int) -> list[float]:
        inner = [math.exp(-schedule.lam(t)) for t in uniform_time(n, start, end)[1:-1]]
        return [SIGMA_MAX, *inner, SIGMA_MIN]

    return levels


def grids() -> dict[str, Levels]:
    """The page's grids by name: n steps from σ = 10 to 0.05."""

    def uniform(n: int) -> list[float]:
        ratio = (SIGMA_MIN / SIGMA_MAX) ** (1 / n)
        return [*(SIGMA_MAX * ratio**i for i in range(n)), SIGMA_MIN]

    def linear(n: int) -> list[float]:
        return [*(SIGMA_MAX + (SIGMA_MIN - SIGMA_MAX) * i / n for i in range(n)), SIGMA_MIN]

    return {
        "Karras, ρ = 7": lambda n: karras(n, SIGMA_MIN, SIGMA_MAX, zero=False),
        "uniform λ": uniform,
        "uniform arctan σ": lambda n: kl_optimal(n, SIGMA_MIN, SIGMA_MAX, zero=False),
        "uniform flow time": in_time(RectifiedFlow()),
        "uniform time of VP": in_time(VP()),
        "uniform σ": linear,
    }


def problems() -> dict[str, dict[str, Any]]:
    """The page's mixtures, in one dimension and in two."""
    return {
        "line": {"weights": [0.35, 0.65], "means": [[-1.0], [0.8]], "std": [0.5, 0.35]},
        "plane": {
            "weights": [0.3, 0.25, 0.25, 0.2],
            "means": [[-1.5, -0.5], [1.2, -1.0], [0.3, 1.4], [-0.6, 1.0]],
            "std": [0.25, 0.35, 0.3, 0.2],
        },
    }


def facts(name: str, module: ModuleType) -> dict[str, Any]:
    """What is proved of a solver, from the constants of its file."""
    found: dict[str, Any] = {
        "title": (module.__doc__ or name).split("\n")[0].rstrip("."),
        "calls": module.EVALUATIONS_PER_STEP,
    }
    if hasattr(module, "ORDER"):
        found["order"] = module.ORDER["arbitrary"]["own_end"]
        found["orders"] = {kind: row["own_end"] for kind, row in module.ORDER.items()}
        found["error"] = [
            [e["word"], e["coef"]] for e in getattr(module, "LEADING_ERROR", {}).get("uniform", [])
        ]
    else:
        found["noise"] = True
    return found


def runs(
    modules: dict[str, ModuleType], shown: Callable[[list[str], str], Iterable[str]]
) -> dict[str, Any]:
    """Plans of every solver on every grid: solver → grid → evaluations → plan."""
    tables: dict[str, Any] = {}
    for name in shown(list(modules), "tracing"):
        module = modules[name]
        calls = module.EVALUATIONS_PER_STEP
        tables[name] = {}
        for title, levels in grids().items():
            steps = sorted({e // calls for e in EVALUATIONS} - {0})
            found = {n * calls: plan(module, levels(n)) for n in steps}
            if name == LONG_RUNS and title in ("Karras, ρ = 7", "uniform time of VP"):
                found |= {n: plan(module, levels(n)) for n in LONG}
            tables[name][title] = found
    return tables


def strengths(load: Callable[[str], ModuleType]) -> dict[str, Any]:
    """Plans of solvers whose noise grows from 0: title → steps → share → plan."""
    levels = grids()["Karras, ρ = 7"]
    tables: dict[str, Any] = {}
    for title, (name, parameter, scale) in STRENGTHS.items():
        module = load(name)
        tables[title] = {
            n: [
                plan(
                    module,
                    levels(n),
                    {parameter: share * (n * GREATEST_CHURN if scale == "churn" else 1.0)},
                )
                for share in SHARES
            ]
            for n in STEPS_OF_NOISE
        }
    return tables


def plain(modules: dict[str, ModuleType], end: float, far: float = 100.0) -> dict[str, Any]:
    """Plans for dy/dt = f(t, y) on equal steps from 0 to a time: solver → steps → plan.

    A method that is a plain Runge-Kutta or Adams method in σ runs any ODE with σ as its time: on a
    model with D = x − σ f the derivative dx/dσ is f. Its weights must not depend on where σ begins.

    Raises:
        SolvergenError: naming a solver whose weights do.
    """
    tables: dict[str, Any] = {}
    for name, module in modules.items():
        tables[name] = {}
        for n in (e // module.EVALUATIONS_PER_STEP for e in EVALUATIONS):
            if n and n not in tables[name]:
                here, there = (_derivatives(module, end, n, far * k) for k in (1.0, 3.0))
                apart = max(
                    abs(a - b)
                    for r, s in zip(here, there, strict=True)
                    for a, b in zip(r, s, strict=True)
                )
                if apart > 1e-6 * end:
                    raise SolvergenError(f"{name} is not a plain method in σ; leave it out")
                tables[name][n] = here
    return tables


def _derivatives(module: ModuleType, end: float, n: int, far: float) -> list[list[float]]:
    """Weights of f in every state, and its time first, for equal steps."""
    import torch

    size = 1 + len(module.coefficients([2.0, 1.0])) * n
    sigmas = [far - end * i / n for i in range(n + 1)]
    rows: list[list[float]] = []

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        rows.append([far - float(sigma), *x[0, 1:].tolist()])
        f = torch.zeros_like(x)
        f[0, len(rows)] = -1.0
        return x - float(sigma) * f

    start = torch.zeros(1, size + 1, dtype=torch.float64)
    start[0, 0] = 1.0
    last = module.sample(model, start, sigmas)
    rows.append([end, *last[0, 1:].tolist()])
    return [[float(f"{v:.9g}") for v in row[: i + 1]] for i, row in enumerate(rows)]


def polynomials(names: Sequence[str]) -> dict[str, Any]:
    """Characteristic polynomials in the clock: solver → coefficients of zʲ for each power of ζ."""
    from ..loading import load
    from ..order.ode.stability import stability

    return {
        name: [[float(a) for a in p] for p in stability(load(name).program).characteristic]
        for name in names
    }


def emitted_modules(names: Iterable[str], folder: Path) -> dict[str, ModuleType]:
    """Gallery solvers or specs as emitted modules."""
    from ..catalogue import entry
    from ..emitted import current

    return {one.name: current(one, folder) for one in map(entry, names)}
