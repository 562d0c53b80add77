"""What is to be learned: a mixture with its exact denoiser, or data, with or without classes."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..errors import SolvergenError
from ..installing import install
from .recipe import Recipe
from .seeds import Draws

Model = Callable[..., Tensor]


@dataclass(frozen=True)
class World:
    """The law of the data, as training sees it.

    Args:
        name: of the mixture or the data.
        mixture: with its exact denoiser, or None.
        points: (n, d) data, where there is no mixture, float32.
        labels: (n,) classes of the points, or None.
        classes: number of classes that the student is conditioned on, 0 for none.
        sd: root mean square over coordinates of the standard deviation.
        shape: of one sample, for pictures.
    """

    name: str
    mixture: Any
    points: Tensor | None
    labels: Tensor | None
    classes: int
    sd: float
    size: int

    def draw(self, draws: Draws, count: int) -> tuple[Tensor, dict[str, Tensor]]:
        """x0 (count, d) and its conditions, float32."""
        if self.mixture is None:
            assert self.points is not None
            pick = draws.integers(len(self.points), count, "data")
            extra = {"label": self.labels[pick]} if self.classes and self.labels is not None else {}
            return self.points[pick], extra
        weights = self.mixture.weights
        pick = torch.searchsorted(weights.cumsum(0), draws.uniform(count, "data").double())
        pick = pick.clamp(max=len(weights) - 1)
        noise = draws.normal((count, self.size), "within").double()
        noise = noise * self.mixture.variances[pick].sqrt()
        if self.mixture.axes is not None:
            noise = torch.einsum("be,bde->bd", noise, self.mixture.axes[pick])
        x = (self.mixture.means[pick] + noise).float()
        return x, ({"label": pick} if self.classes else {})


def world(recipe: Recipe) -> World:
    """The data of a recipe.

    Raises:
        SolvergenError: an unknown mixture, or data that cannot be had.
    """
    target = recipe.target
    if target["mixture"]:
        mixture = named_mixture(target["mixture"])
        classes = len(mixture.weights) if target["classes"] else 0
        return World(
            target["mixture"], mixture, None, None, classes, spread(mixture), mixture.dimension
        )
    points, labels = _data(target["data"])
    classes = int(labels.max()) + 1 if target["classes"] and labels is not None else 0
    if target["classes"] and labels is None:
        raise SolvergenError(f"data `{target['data']}` has no labels; write classes = false")
    sd = float(points.var(0).mean().sqrt())
    return World(target["data"], None, points, labels, classes, sd, points.shape[1])


def named_mixture(name: str) -> Any:
    """A mixture by its name, or module:function.

    Raises:
        SolvergenError: there is none.
    """
    try:
        from solvergen.verify.problems.named import MIXTURES
    except ModuleNotFoundError as error:
        raise SolvergenError(f"training needs {error.name}; {install('train,verify')}") from None
    if name in MIXTURES:
        return MIXTURES[name]()
    if ":" in name:
        return called(name)
    raise SolvergenError(
        f"mixture `{name}`: unknown; one of {', '.join(MIXTURES)}, or module:function"
    )


def spread(mixture: Any) -> float:
    """Root mean square over coordinates of the standard deviation of a mixture."""
    from solvergen.verify.problems.named import covariance

    return math.sqrt(float(covariance(mixture).diagonal().mean()))


def called(text: str) -> Any:
    """What module:function returns; the module may lie where the command is run.

    Raises:
        SolvergenError: it cannot be imported or called.
    """
    module, _, attribute = text.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), attribute)()
    except Exception as error:
        raise SolvergenError(f"{text}: {type(error).__name__}: {error}") from error


def _data(name: str) -> tuple[Tensor, Tensor | None]:
    if name == "digits":
        try:
            from sklearn.datasets import load_digits
        except ModuleNotFoundError:
            raise SolvergenError("data `digits` needs scikit-learn; pip install it") from None
        pictures, labels = load_digits(return_X_y=True)
        points = torch.tensor(pictures / 8.0 - 1.0, dtype=torch.float32)
        return points, torch.tensor(labels, dtype=torch.long)
    if ":" not in name:
        raise SolvergenError(f'data `{name}`: unknown; "digits" or module:function')
    made = called(name)
    points, labels = made if isinstance(made, tuple) else (made, None)
    points = torch.as_tensor(points, dtype=torch.float32)
    if points.ndim < 2 or not points.isfinite().all():
        raise SolvergenError(f"data `{name}`: must be (n, d) finite; found {tuple(points.shape)}")
    kept = None if labels is None else torch.as_tensor(labels, dtype=torch.long)
    return points.flatten(1), kept


def class_denoiser(mixture: Any) -> Model:
    """D(x, sigma, label): the denoiser of each sample's own class; label k stands for none."""
    from solvergen.verify.problems.named import component

    parts = [component(mixture, k) for k in range(len(mixture.weights))]

    def denoise(x: Tensor, sigma: Tensor, label: Tensor, **_: Any) -> Tensor:
        out = mixture.denoise(x, torch.ones_like(sigma), sigma)
        for k, part in enumerate(parts):
            rows = label == k
            if rows.any():
                out[rows] = part.denoise(x[rows], torch.ones_like(sigma[rows]), sigma[rows])
        return out

    return denoise


def load_python(path: Path) -> ModuleType:
    """A .py file as a module.

    Raises:
        SolvergenError: it does not exist or cannot be loaded.
    """
    if not path.is_file():
        raise SolvergenError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(f"_distil_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SolvergenError(f"{path}: {type(error).__name__} on import: {error}") from error
    return module
