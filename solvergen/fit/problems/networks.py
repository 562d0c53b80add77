"""Trained networks as problems: `fashion` (28 × 28 garments), and anybody's object by its name."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from ..problem import Problem, ProblemError

FASHION = Path("tests/assets/fashion")


def fashion(label: int | None = None, guidance: float = 1.0, folder: Path | None = None) -> Problem:
    """The network of tests/assets/fashion, which a checkout carries and a wheel does not.

    Args:
        label: 0 to 9, or None for the unconditional model.
        guidance: w in D(None) + w (D(label) − D(None)); needs a label where it is not 1.
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
    if label is not None and label not in range(10):
        raise ProblemError(f"problem fashion: labels are 0 to 9; found {label}")
    if guidance != 1 and label is None:
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

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        if label is None:
            return torch.as_tensor(net(x, sigma, None))
        guided = torch.as_tensor(net(x, sigma, label))
        if guidance == 1:
            return guided
        plain = torch.as_tensor(net(x, sigma, None))
        return plain + guidance * (guided - plain)

    tail = "" if label is None else f":label={label},guidance={guidance:g}"
    return Problem(
        name=f"fashion{tail}",
        denoiser=denoiser,
        shape=(1, 28, 28),
        sigma_max=80.0,
        sigma_min=0.002,
        mean=tensors["data_mean"].reshape(1, 28, 28),
        std=std,
        chunk=20,
    )
