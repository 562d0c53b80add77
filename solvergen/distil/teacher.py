"""The teacher: a denoiser and an emitted solver that is run as it is."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..errors import SolvergenError, hint
from .data import Model, World, class_denoiser, load_python
from .recipe import Recipe


def solver(recipe: Recipe) -> ModuleType:
    """The emitted file of the teacher.

    Raises:
        SolvergenError: no such solver, one that draws noise, or a file without sample().
    """
    return solver_named(str(recipe.teacher["solver"]))


def solver_named(name: str) -> ModuleType:
    """An emitted file by the name of its solver, or by its path."""
    if name.endswith(".py"):
        module = load_python(Path(name))
    else:
        try:
            module = importlib.import_module(f"solvergen.generated.{name}")
        except (ModuleNotFoundError, ValueError):
            from .. import gallery

            told = hint(name, gallery.names()) or "; see solvergen list"
            raise SolvergenError(
                f"teacher `{name}`: no emitted solver of that name{told}"
            ) from None
    if not callable(getattr(module, "sample", None)):
        raise SolvergenError(f"teacher `{name}`: its file has no sample(model, x, sigmas)")
    if getattr(module, "NOISE", None):
        raise SolvergenError(
            f"teacher `{name}` draws noise: it has no map to distil; take one without, such as "
            "dpmpp_2m"
        )
    return module


def denoiser(recipe: Recipe, world: World) -> Model:
    """D(x, sigma, **conditions): exact, or a trained student's.

    Raises:
        SolvergenError: the folder does not hold a student, or its student does not denoise.
    """
    name = str(recipe.teacher["denoiser"])
    if name == "exact":
        if world.mixture is None:
            raise SolvergenError(
                f"{recipe.path}: the exact denoiser of data `{world.name}` is not known; give the "
                'folder of a dsm student as [teacher] denoiser = "…"'
            )
        if world.classes:
            return class_denoiser(world.mixture)
        return world.mixture.model()
    from .files import FILE

    module = load_python(Path(name) / FILE)
    student = module.load()
    known = getattr(module, "KIND", "")
    if known == "denoiser":
        call = student
    elif known in ("flow", "denoising-jump"):
        call = student.denoise
    else:
        raise SolvergenError(
            f"{name}: a student of form `{known}` does not denoise; give a dsm one"
        )

    def denoise(x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        with torch.no_grad():
            return call(x, sigma, **extra)

    return denoise


def guided(denoise: Model, classes: int) -> Model:
    """D_u + scale (D_c - D_u); class `classes` stands for none."""

    def call(x: Tensor, sigma: Tensor, label: Tensor, scale: Tensor) -> Tensor:
        without = denoise(x, sigma, label=torch.full_like(label, classes))
        given = denoise(x, sigma, label=label)
        return without + scale.to(x)[:, None] * (given - without)

    return call


def run(
    module: ModuleType,
    model: Callable[..., Tensor],
    start: Tensor,
    grid: list[float],
    extra: dict[str, Tensor] | None = None,
) -> Tensor:
    """All states of an emitted solver on a grid: (levels, n, d).

    The file itself is run, so a solver with history has its own, and nothing of it is written twice.

    Raises:
        SolvergenError: it makes no state at a level, or a state is not finite.
    """
    states: dict[int, Tensor] = {}

    def keep(info: dict[str, Any]) -> None:
        states[int(info["i"])] = info["x"].clone()

    with torch.no_grad():
        end = module.sample(model, start, torch.tensor(grid, dtype=torch.float64), extra, keep)
    states[len(grid) - 1] = end
    if sorted(states) != list(range(len(grid))):
        name = getattr(module, "NAME", "teacher")
        raise SolvergenError(
            f"teacher `{name}` skips levels of its grid; take a solver with a state at each of them"
        )
    made = torch.stack([states[i] for i in range(len(grid))])
    if not made.isfinite().all():
        bad = next(i for i in range(len(grid)) if not states[i].isfinite().all())
        raise SolvergenError(
            f"teacher `{getattr(module, 'NAME', '')}`: not finite at level {grid[bad]:g}"
        )
    return made
