"""Trained networks as problems: `fashion` (28 × 28 garments), and anybody's object by its name."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..problem import Problem, ProblemError

FASHION = Path("tests/assets/fashion")


def fashion(
    label: int | Literal["all"] | None = None,
    guidance: float | Sequence[float] = 1.0,
    folder: Path | None = None,
) -> Problem:
    """The network of tests/assets/fashion, which a checkout carries and a wheel does not.

    Args:
        label: 0 to 9, "all" for each in turn, or None for the unconditional model.
        guidance: w in D(None) + w (D(label) − D(None)), or several in turn; needs a label where it
            is not 1.
        folder: where the network lies.

    Raises:
        ProblemError: the files are not there, or the label does not exist.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    where = folder or Path(__file__).resolve().parents[3] / FASHION
    weights, code = where / "fashion.safetensors", where / "net.py"
    if not (weights.is_file() and code.is_file()):
        raise ProblemError(
            f"problem fashion: {where} is missing; it is part of a checkout of the project, "
            "not of the installed package"
        )
    if label not in (None, "all", *range(10)):
        raise ProblemError(f"problem fashion: labels are 0 to 9, or all; found {label}")
    scales = (guidance,) if isinstance(guidance, int | float) else tuple(guidance)
    if scales != (1,) and label is None:
        raise ProblemError(
            "problem fashion: guidance needs a label, as in fashion:label=3,guidance=2"
        )
    spec = importlib.util.spec_from_file_location("solvergen_fashion_net", code)
    if spec is None or spec.loader is None:
        raise ProblemError(f"problem fashion: {code} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.Denoiser()
    tensors = load_file(weights)
    net.load_state_dict({k: v for k, v in tensors.items() if k.startswith("net.")})
    net.train(False).requires_grad_(False)
    with safe_open(weights, "pt") as stream:
        std = float(stream.metadata()["residual_std"])

    labels = tuple(range(10)) if label == "all" else (label,)
    period = len(labels) * len(scales)

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        if label is None:
            return torch.as_tensor(net(x, sigma, None))
        rows = torch.arange(len(x)) % period
        guided = torch.as_tensor(net(x, sigma, torch.tensor(labels)[rows % len(labels)]))
        if scales == (1,):
            return guided
        plain = torch.as_tensor(net(x, sigma, None))
        weight = torch.tensor(scales, dtype=x.dtype)[rows // len(labels)]
        return plain + weight.reshape(-1, 1, 1, 1) * (guided - plain)

    tail = "" if label is None else f":label={label},guidance={'/'.join(f'{w:g}' for w in scales)}"
    return Problem(
        name=f"fashion{tail}",
        denoiser=denoiser,
        shape=(1, 28, 28),
        sigma_max=80.0,
        sigma_min=0.002,
        mean=tensors["data_mean"].reshape(1, 28, 28),
        std=std,
        chunk=period * max(1, 20 // period),
        period=period,
        scales=tuple(f"guidance {w:g}" for w in scales) if len(scales) > 1 else (),
    )
