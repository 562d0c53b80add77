"""Families of problems, with training, validation, held-out and kept-back parts by name and seed.

`generic`: random mixtures of 2 to 64 dimensions. `image`: mixtures fitted to scikit-learn's digits
and to patches of its two photographs; their covariances are steep, as those of images are. `network`:
mixtures of the same parts of `image`, with errors as those of a trained network.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..problem import ProblemError
from .imperfect import Imperfect, imperfect
from .mixture import Mixture, centred

Array = NDArray[np.float64]
FIRST = 8  # network/train/0 is image/train/8, known with an error
# Held-out figures were seen while tables were fitted; `kept-back` was drawn when all were there.
PARTS = {"train": 0, "validation": 1, "held-out": 2, "kept-back": 3}
COUNTS = {
    "generic": {"train": 60, "validation": 12, "held-out": 21, "kept-back": 21},
    "image": {"train": 32, "validation": 8, "held-out": 12, "kept-back": 12},
    "network": {"train": 24, "validation": 8, "held-out": 12, "kept-back": 12},
}


def family(name: str, part: str, count: int | None = None) -> Sequence[Mixture | Imperfect]:
    """The problems of a part of a family.

    Args:
        name: "generic", "image" or "network".
        part: "train", "validation", "held-out" or "kept-back"; no mixture is in two of them.
        count: so many of them; all unless given.

    Raises:
        ProblemError: another name or part.
    """
    if name not in COUNTS or part not in PARTS:
        raise ProblemError(
            f"no mixtures `{name}/{part}`; families are generic, image and network, parts are "
            "train, validation, held-out and kept-back"
        )
    makers: dict[str, Callable[[str, str, int], Mixture | Imperfect]] = {
        "generic": _generic,
        "image": _image,
        "network": _network,
    }
    made = makers[name]
    return [made(f"{name}/{part}/{i}", part, i) for i in range(count or COUNTS[name][part])]


def _generic(name: str, part: str, index: int) -> Mixture:
    """A random mixture: isotropic, anisotropic or with a power-law spectrum."""
    rng = np.random.default_rng([PARTS[part], index, 7])
    dimension = (2, 4, 8, 16, 32, 64)[index % 6]
    components = int(rng.integers(2, 15))
    between = rng.uniform(0.2, 0.97)
    kind = (index // 6) % 3
    spectrum: Array = np.ones(dimension)
    if kind == 2:
        spectrum = np.asarray(np.arange(1.0, dimension + 1) ** -rng.uniform(0.5, 1.5), dtype=float)
    means = rng.standard_normal((components, dimension)) * np.sqrt(spectrum)
    spread = rng.uniform(0.4, 1.6, (components, 1)) ** 2 * spectrum
    if kind == 1:
        spread = spread * rng.uniform(0.3, 1.7, (components, dimension)) ** 2
    weights = rng.dirichlet(np.full(components, 4.0)) + 0.02
    weights /= weights.sum()
    means -= weights @ means
    means *= np.sqrt(between / (weights @ means**2).mean())
    spread *= (1 - between) / (weights @ spread).mean()
    return centred(name, *map(torch.from_numpy, (weights, means, spread)))


def _image(name: str, part: str, index: int) -> Mixture:
    """Clusters of a set of pictures, each with its own variances in the principal axes of all."""
    from sklearn.cluster import KMeans

    rng = np.random.default_rng([PARTS[part], index, 11])
    source = index % 4
    pictures = _digits(rng, source) if source < 2 else _patches(rng, source)
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(0)
    _, _, axes = np.linalg.svd(flat, full_matrices=False)
    flat = flat @ axes.T
    clusters = int(np.exp(rng.uniform(np.log(11), np.log(80))))
    seed = int(rng.integers(2**31))
    labels = KMeans(clusters, n_init=1, max_iter=20, random_state=seed).fit_predict(flat)
    kept = [flat[labels == k] for k in range(clusters) if (labels == k).sum() >= 4]
    floor = 1e-4 * flat.var()
    weights = np.asarray([float(len(part)) for part in kept])
    means = np.stack([part.mean(0) for part in kept])
    spread = np.stack([part.var(0) + floor for part in kept])
    return centred(name, *map(torch.from_numpy, (weights / weights.sum(), means, spread)))


def _network(name: str, part: str, index: int) -> Imperfect:
    """A mixture of the image family, known with an error."""
    at = index + FIRST * (part == "train")
    mixture = _image(f"image/{part}/{at}", part, at)
    return imperfect(name, mixture, [9, at, len(part)], 1000 * len(part) + at)


@functools.cache
def _pictures() -> tuple[Array, Array, tuple[Array, ...]]:
    """Digits, their labels, and the two photographs in grey, each scaled to [0, 1]."""
    try:
        from sklearn.datasets import load_digits, load_sample_images
    except ImportError as error:
        raise ProblemError(
            "image mixtures need scikit-learn: pip install scikit-learn pillow"
        ) from error
    digits, labels = load_digits(return_X_y=True)
    try:
        photographs = load_sample_images().images
    except ImportError as error:
        raise ProblemError("image mixtures need pillow: pip install pillow") from error
    grey = tuple(np.asarray(p, dtype=float).mean(-1) / 255 for p in photographs)
    return digits.reshape(-1, 8, 8) / 16, labels, grey


def _digits(rng: np.random.Generator, source: int) -> Array:
    """Digits of some classes, enlarged to 14 or 21 pixels and moved about on a canvas of 16 or 24."""
    from scipy.ndimage import zoom

    digits, labels, _ = _pictures()
    classes = rng.choice(10, int(rng.integers(2, 11)), replace=False)
    chosen = digits[np.isin(labels, classes)]
    side = 16 if source == 0 else 24
    large = zoom(chosen, (1, side / 9.2, side / 9.2), order=1)
    free = side - large.shape[1]
    canvas = np.zeros((max(len(chosen), 1200), side, side))
    for k, (down, right) in enumerate(rng.integers(0, free + 1, (len(canvas), 2))):
        canvas[k, down : side - free + down, right : side - free + right] = large[k % len(chosen)]
    return canvas


def _patches(rng: np.random.Generator, source: int) -> Array:
    """Square patches of a photograph, after averaging over 1 to 4 pixels."""
    _, _, photographs = _pictures()
    picture = photographs[int(rng.integers(len(photographs)))]
    side, factor = (16 if source == 2 else 24), int(rng.integers(1, 5))
    height, width = (n // factor for n in picture.shape)
    small = picture[: height * factor, : width * factor]
    small = small.reshape(height, factor, width, factor).mean((1, 3))
    corners = rng.integers(0, [height - side, width - side], (1500, 2))
    return np.stack([small[i : i + side, j : j + side] for i, j in corners])
