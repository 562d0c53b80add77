"""Storage: tensors as safetensors, numbers as JSON, both atomic; the state of a fit. No pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SolvergenError
from ..writing import replace, write
from .squares import State

if TYPE_CHECKING:
    from torch import Tensor


class RecordError(SolvergenError):
    """A file of numbers that cannot be read, or that belongs to another fit."""


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Replace a safetensors file atomically."""
    from safetensors.torch import save

    replace(path, save({k: v.contiguous() for k, v in tensors.items()}))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        RecordError: it is damaged, or something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: dict[str, Tensor] = load_file(path)
        return found
    except (SafetensorError, OSError, ValueError) as error:
        raise RecordError(
            f"{path}: not a readable safetensors file ({error}); delete it and run again"
        ) from None


def save_state(path: Path, state: State, belongs: dict[str, Any]) -> None:
    """Write where a fit stands; floats as hexadecimal, so that a resumed fit has the same bits."""
    kept = {
        "format": "solvergen fit state 1",
        "belongs": belongs,
        "values": [float(v).hex() for v in state.values],
        "loss": float(state.loss).hex(),
        "damping": float(state.damping).hex(),
        "iteration": state.iteration,
        "stalled": state.stalled,
        "curve": [float(v).hex() for v in state.curve],
    }
    write(path, json.dumps(kept, indent=1) + "\n")


def load_state(path: Path, belongs: dict[str, Any]) -> State:
    """A state that was written for the same fit.

    Raises:
        RecordError: the file is damaged, foreign, or belongs to another fit; says what differs.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["format"] != "solvergen fit state 1":
            raise KeyError("format")
        there = dict(kept["belongs"])
        state = State(
            np.asarray([float.fromhex(v) for v in kept["values"]]),
            float.fromhex(kept["loss"]),
            float.fromhex(kept["damping"]),
            int(kept["iteration"]),
            int(kept["stalled"]),
            tuple(float.fromhex(v) for v in kept["curve"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise RecordError(
            f"{path}: not a state of a fit ({type(error).__name__}: {error}); delete it to start anew"
        ) from None
    wanted = json.loads(json.dumps(belongs))
    differs = [k for k in {**there, **wanted} if there.get(k) != wanted.get(k)]
    if differs:
        told = "; ".join(f"{k} was {there.get(k)!r}, is {wanted.get(k)!r}" for k in sorted(differs))
        raise RecordError(f"{path}: belongs to another fit ({told}); delete it to start anew")
    return state
