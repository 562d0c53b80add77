"""Checkpoints in safetensors: weights, averages, Adam's moments, the step. No pickle.

Random numbers are functions of the step, so they need no state; a resumed run goes on bit for bit.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import SolvergenError
from .recipe import Recipe

FILE = "checkpoint.safetensors"


def save(
    folder: Path,
    recipe: Recipe,
    seed: int,
    step: int,
    modules: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
) -> None:
    """Write the whole state, or leave the old one."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value.detach().clone().contiguous()
    for name, optimizer in optimizers.items():
        for number, held in optimizer.state_dict()["state"].items():
            for key, value in held.items():
                kept = value if torch.is_tensor(value) else torch.tensor(float(value))
                tensors[f"optimizer {name}/{number}/{key}"] = kept.detach().clone().contiguous()
    said = {"recipe": recipe.digest, "name": recipe.name, "seed": str(seed), "step": str(step)}
    write(folder / FILE, tensors, said)


def write(path: Path, tensors: dict[str, Tensor], said: dict[str, str]) -> None:
    """A safetensors file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        save_file(tensors, name, metadata=said)
        with open(name, "rb") as stream:
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load(
    folder: Path,
    recipe: Recipe,
    seed: int,
    modules: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
) -> int:
    """Put a state back; returns the step to go on with.

    Raises:
        SolvergenError: no checkpoint, a damaged one, or that of another recipe or seed.
    """
    path = folder / FILE
    if not path.is_file():
        raise SolvergenError(f"{path}: no checkpoint to resume; leave --resume out to begin")
    try:
        with safe_open(path, "pt") as held:
            said = held.metadata() or {}
            tensors = {key: held.get_tensor(key) for key in held.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SolvergenError(
            f"{path}: damaged ({error}); remove it and train again without --resume"
        ) from None
    if said.get("recipe") != recipe.digest:
        raise SolvergenError(
            f"{path}: of recipe `{said.get('name', '?')}` or of other settings than {recipe.path} has "
            "now; give another --out, or the recipe that it was made with"
        )
    if said.get("seed") != str(seed):
        raise SolvergenError(f"{path}: of seed {said.get('seed')}, not {seed}; give that --seed")
    try:
        for name, module in modules.items():
            module.load_state_dict(_part(tensors, f"{name}/"))
        for name, optimizer in optimizers.items():
            _restore(optimizer, _part(tensors, f"optimizer {name}/"))
    except (RuntimeError, KeyError, ValueError) as error:
        raise SolvergenError(f"{path}: does not fit the recipe's networks: {error}") from None
    return int(said["step"])


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    size = len(prefix)
    return {key[size:]: value for key, value in tensors.items() if key.startswith(prefix)}


def _restore(optimizer: torch.optim.Optimizer, held: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in held.items():
        number, name = key.split("/")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def facts(folder: Path) -> dict[str, str]:
    """What a checkpoint says of itself, or nothing."""
    try:
        with safe_open(folder / FILE, "pt") as held:
            return dict(held.metadata() or {})
    except (SafetensorError, OSError):
        return {}


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a scalars.jsonl; a last line that was cut is left out."""
    rows = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return rows
