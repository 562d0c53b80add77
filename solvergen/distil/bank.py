"""Banks of trajectories: an emitted file run once from many starts, every state kept."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import teacher
from .data import World
from .recipe import Recipe
from .seeds import Draws

CHUNK = 20000


@dataclass(frozen=True)
class Bank:
    """Trajectories of the teacher.

    Args:
        grid: descending levels, all sub-steps.
        stride: sub-steps from one trained level to the next.
        states: (levels, n, d) float32.
        labels: (n,) classes, or None.
        scales: (n,) guidance scales, or None.
    """

    grid: list[float]
    stride: int
    states: Tensor
    labels: Tensor | None = None
    scales: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of trajectories."""
        return self.states.shape[1]

    @property
    def levels(self) -> list[float]:
        """The trained levels."""
        return self.grid[:: self.stride]

    def conditions(self, rows: Tensor) -> dict[str, Tensor]:
        """Classes and scales of some trajectories."""
        out = {}
        if self.labels is not None:
            out["label"] = self.labels[rows]
        if self.scales is not None:
            out["scale"] = self.scales[rows]
        return out


def bank(recipe: Recipe, world: World) -> Bank:
    """The bank of a recipe, from disk where it was made before.

    Raises:
        SolvergenError: the teacher cannot be run.
    """
    kept = shelf() / f"{digest(recipe)}.safetensors"
    grid, stride = recipe.grid(), int(recipe.teacher["substeps"])
    try:
        # cloned: the file's own memory must not change under a run
        held = {key: value.clone() for key, value in load_file(kept).items()}
        shape = (len(grid), recipe.teacher["bank"], world.size)
        if tuple(held["states"].shape) == shape:
            return Bank(grid, stride, held["states"], held.get("labels"), held.get("scales"))
    except (OSError, SafetensorError, KeyError):
        pass
    made = make(recipe, world)
    tensors = {"states": made.states}
    for name in ("labels", "scales"):
        if (value := getattr(made, name)) is not None:
            tensors[name] = value
    _keep(kept, tensors)
    return made


def make(recipe: Recipe, world: World) -> Bank:
    """Run the teacher from exact states at the highest level."""
    grid, count = recipe.grid(), int(recipe.teacher["bank"])
    draws = Draws(0, 0)
    x, extra = world.draw(draws, count)
    start = x + grid[0] * draws.normal((count, world.size), "start")
    module, denoise = teacher.solver(recipe), teacher.denoiser(recipe, world)
    conditions = dict(extra)
    if guidance := recipe.teacher.get("guidance"):
        scale = guidance["scale"]
        low, high = scale if isinstance(scale, list) else (scale, scale)
        conditions["scale"] = low + (high - low) * draws.uniform(count, "scale")
        denoise = teacher.guided(denoise, world.classes)
    wide = world.mixture is not None and recipe.teacher["denoiser"] == "exact"
    parts = []
    for rows in torch.arange(count).split(CHUNK):
        given = {key: value[rows] for key, value in conditions.items()}
        begin = start[rows].double() if wide else start[rows]
        parts.append(teacher.run(module, denoise, begin, grid, given).float())
    states = torch.cat(parts, dim=1)
    return Bank(
        grid,
        int(recipe.teacher["substeps"]),
        states,
        conditions.get("label"),
        conditions.get("scale"),
    )


def digest(recipe: Recipe) -> str:
    """What a bank depends on: the target, the teacher and the text of the solver's file."""
    module = teacher.solver(recipe)
    said = {
        "target": dict(recipe.target),
        "grid": recipe.grid(),
        "count": recipe.teacher["bank"],
        "guidance": recipe.teacher.get("guidance"),
        "denoiser": _denoiser_digest(str(recipe.teacher["denoiser"])),
        "solver": hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def _denoiser_digest(name: str) -> str:
    weights = Path(name) / "student.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else name


def shelf() -> Path:
    """Where banks are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "solvergen" / "banks"


def _keep(path: Path, tensors: dict[str, Tensor]) -> None:
    """Keep a bank, whole or not at all; a folder that cannot be written only costs time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        os.close(handle)
        save_file({key: value.contiguous() for key, value in tensors.items()}, name)
        os.replace(name, path)
    except OSError:
        return
