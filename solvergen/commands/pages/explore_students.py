"""`explore --learn`: train the students of the explorer's fifth figure and keep their weights."""

from __future__ import annotations

import functools
import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SolvergenError
from ...explore.learning import KEPT, RECIPES, line
from ...installing import install
from ..terminal import shown

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...distil.recipe import Recipe

DIGITS = 6
STARTS = 256
SEED = 0


def learn(out: Path = KEPT) -> Path:
    """Train both students by their recipes and write their weights; a minute.

    Args:
        out: where they are written; the page takes those beside its own assets.

    Raises:
        SolvergenError: a package that training needs is missing.
    """
    from ...writing import write

    try:
        import safetensors.torch  # noqa: F401

        from ...distil.recipe import read_recipe
    except ModuleNotFoundError as error:
        raise SolvergenError(f"training needs {error.name}; {install('train,verify')}") from None
    recipes = {
        name: read_recipe(RECIPES / f"{name}.toml") for name in ("consistency", "progressive")
    }
    made: dict[str, Any] = {}
    for name in shown(list(recipes), "training"):
        recipe = recipes[name]
        steps = recipe.loss["halvings"] if name == "progressive" else 1
        made[name] = {
            "recipe_sha256": recipe.digest,
            "seed": SEED,
            "iterations": recipe.training["iterations"],
            "levels": [float(f"{level:.9g}") for level in recipe.levels()],
            **trained(recipe, steps),
        }
    write(out, json.dumps(made, separators=(",", ":")) + "\n")
    return out


def trained(recipe: Recipe, stages: int) -> dict[str, Any]:
    """The student at the end of each stage: its weights, and its error from noise to data.

    A run is stopped at the end of a stage and goes on from its checkpoint, to the same bits.
    """
    from ...distil.train import train

    each = int(recipe.training["iterations"]) // stages
    students: list[dict[str, Any]] = []
    sizes: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for stage in range(stages):
            one = train(
                recipe, Path(folder), seed=SEED, steps=each, resume=stage > 0, save_every=10**9
            )
            stride = (
                2 ** (stage + 1) if recipe.system == "progressive" else len(recipe.levels()) - 1
            )
            students.append(
                {
                    "layers": layers(one.student),
                    "error": float(f"{error(one.student, recipe.levels()[::stride]):.3g}"),
                }
            )
            sizes = {"sigma_data": one.system.world.sd, "sigma_min": one.system.low}
    return {**sizes, "students": students}


def layers(student: nn.Module) -> list[list[Any]]:
    """Weights (rows) and biases of the network, first layer first."""
    from torch import nn

    return [
        [_short(one.weight.tolist()), _short(one.bias.tolist())]
        for one in student.modules()
        if isinstance(one, nn.Linear)
    ]


def error(student: Callable[..., Tensor], levels: list[float]) -> float:
    """RMS distance of a student's ends to the exact ones, from noise at the highest level."""
    import torch

    start, exact = _exact(levels[0], levels[-1])
    x, count = start, len(levels) - 1
    with torch.no_grad():
        for high, low in itertools.pairwise(levels):
            extra = () if count == 1 else (x.new_full((STARTS,), low),)
            x = student(x, x.new_full((STARTS,), high), *extra)
    return float((x - exact).pow(2).mean().sqrt())


@functools.cache
def _exact(high: float, low: float) -> tuple[Tensor, Tensor]:
    """Starts at the highest level and their exact ends, both (STARTS, 1)."""
    import torch

    from solvergen.verify.problems.reference import ends

    generator = torch.Generator().manual_seed(SEED)
    start = high * torch.randn(STARTS, 1, generator=generator, dtype=torch.float64)
    return start, torch.from_numpy(ends(line(), start.numpy(), high, low).value)


def _short(values: Any) -> Any:
    if isinstance(values, list):
        return [_short(one) for one in values]
    return float(f"{values:.{DIGITS}g}")
