"""A large, real problem: a mixture with full covariances fitted to scikit-learn's digit images.

One component a digit, from the sample mean and covariance of its 8 x 8 pictures, so the model of
a whole image space is exact and a picture comes out. scikit-learn is an optional extra.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import ProblemError
from .mixture import GaussianMixture

SHADES = " .:-=+*#%@"


def digits_mixture(*, ridge: float = 1e-3) -> GaussianMixture:
    """Ten components in 64 dimensions; pixels scaled to [-1, 1].

    Args:
        ridge: added to the diagonals: many pixels at the rim never vary.

    Raises:
        ProblemError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ProblemError("digits: scikit-learn is not installed; pip install it") from error
    pictures, labels = load_digits(return_X_y=True)
    pictures = pictures / 8.0 - 1.0
    groups = [pictures[labels == k] for k in range(10)]
    weights = np.asarray([len(g) for g in groups]) / len(pictures)
    means = np.stack([g.mean(axis=0) for g in groups])
    cov = np.stack([np.cov(g, rowvar=False) + ridge * np.eye(64) for g in groups])
    return GaussianMixture(weights, means, cov=cov)


def picture(sample: Tensor) -> str:
    """One 64-value sample as eight lines of text."""
    grid = sample.detach().to("cpu", torch.float64).reshape(8, 8).numpy()
    level = np.clip((grid + 1) / 2 * (len(SHADES) - 1), 0, len(SHADES) - 1).round().astype(int)
    return "\n".join("".join(SHADES[v] * 2 for v in row) for row in level)
