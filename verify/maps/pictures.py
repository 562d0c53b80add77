"""Students of scikit-learn's digits: Frechet distance beside its floor, labels kept, pictures.

No truth is known here: the distance is taken in the features of a small classifier trained on the data,
and the distance of two halves of the data is the floor: no student can do better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConductError, ProblemError
from . import conduct
from .check import REPORTED, Check, Examination, judged
from .closed import frechet
from .law import several_steps
from .target import Target

Array = NDArray[np.float64]
COUNT = 1790
STEPS = (1, 4)
TOP, LOW = 80.0, 0.002


def examine_digits(
    target: Target, claims: dict[str, Any] | None = None, *, seed: int = 0
) -> Examination:
    """Examine a class-conditional endpoint map f(x, sigma, label) of 8 x 8 digits.

    Claims may hold frechet_1 and frechet_4, distances after one and four steps.

    Raises:
        ProblemError: scikit-learn is not installed, or the map takes no label.
    """
    if target.form != "endpoint" or "label" not in target.conditions:
        raise ProblemError("--on digits needs an endpoint map f(x, sigma, label)")
    pictures, labels = _digits()
    classifier = _classifier(pictures, labels)
    made = Examination(target.name, target.form, "digits", claims=dict(claims or {}))
    generator = torch.Generator().manual_seed(seed)
    asked = torch.arange(COUNT) % 10
    start = TOP * torch.randn(COUNT, 64, generator=generator, dtype=torch.float64)
    held = torch.from_numpy(pictures)
    order = torch.randperm(len(held), generator=generator)
    first, second = held[order].chunk(2)
    floor = distance(classifier, first.numpy(), second.numpy())
    made.facts |= {"samples": COUNT, "floor": floor}
    rows = made.tables["digits"] = []
    try:
        target.dtype = torch.float32

        def jump(x: Tensor, level: float) -> Tensor:
            parts = zip(x.split(512), asked.split(512), strict=True)
            return torch.cat([target(part, level, label=kind) for part, kind in parts])

        for steps in STEPS:
            levels = _levels(target, steps)
            found = several_steps(jump, start, levels, LOW, generator)
            bad = int((~found.isfinite()).sum())
            made.checks.append(judged("finite", bad, 0, f"{bad} values are NaN or infinite"))
            if bad:
                return made
            value = distance(classifier, found.numpy(), pictures)
            right = float((classifier.predict(found.numpy()) == asked.numpy()).mean())
            rows.append({"steps": steps, "frechet": value, "floor": floor, "labels kept": right})
            made.checks.append(_claimed(made, steps, value, floor))
            made.galleries[f"{steps} step{'s' * (steps > 1)}"] = found[:40].tolist()
    except ConductError as error:
        made.error = str(error)
    made.checks += conduct.stated_values(target) if not made.error else []
    return made


def _claimed(made: Examination, steps: int, value: float, floor: float) -> Check:
    text = f"Frechet distance after {steps} step{'s' * (steps > 1)} {value:.2f}, floor {floor:.2f}"
    claim = made.claims.get(f"frechet_{steps}")
    name = f"frechet distance, {steps}"
    if claim is None:
        return Check(name, REPORTED, text, value)
    return judged(name, value, float(claim), f"{text}, claimed {float(claim):g}")


def _levels(target: Target, steps: int) -> list[float]:
    if len(target.steps) == steps:
        return list(target.steps)
    high, low = TOP ** (1 / 7), LOW ** (1 / 7)
    return [(high + i / steps * (low - high)) ** 7 for i in range(steps)]


def _digits() -> tuple[Array, NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ProblemError("--on digits needs scikit-learn; pip install it") from error
    pictures, labels = load_digits(return_X_y=True)
    return pictures / 8.0 - 1.0, labels


def _classifier(pictures: Array, labels: NDArray[np.int64]) -> Any:
    """A network of one hidden layer; its 32 hidden values are the features."""
    from sklearn.neural_network import MLPClassifier

    made = MLPClassifier((32,), max_iter=60, random_state=0, early_stopping=False)
    return made.fit(pictures, labels)


def features(classifier: Any, pictures: Array) -> Array:
    """(n, 32) hidden values."""
    return np.asarray(np.maximum(pictures @ classifier.coefs_[0] + classifier.intercepts_[0], 0.0))


def distance(classifier: Any, a: Array, b: Array) -> float:
    """Squared Frechet distance of the features of two sets of pictures."""
    one, two = (torch.from_numpy(features(classifier, x)) for x in (a, b))
    return max(frechet(one.mean(0), torch.cov(one.T), two.mean(0), torch.cov(two.T)), 0.0)
