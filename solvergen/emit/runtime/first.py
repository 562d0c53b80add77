"""The first output without a model call."""

import math

import torch

from .choices import FORM
from .levels import grid


def first_output(sigmas, alphas, mean, std):
    """Factor on x and shift that stand for the denoised prediction at the first point."""
    alpha, sigma, _ = grid(sigmas, alphas)
    a, s = alpha[0], sigma[0]
    if FORM == "direction":
        norm = math.hypot(a, s)
        return a / (norm * (norm + s)), 0.0
    elif FORM == "mean":
        finite(mean=mean)
        return 0.0, mean
    else:
        finite(mean=mean, std=std)
        variance = std * std
        if not (torch.as_tensor(variance) > 0).all():
            raise ValueError(f"std must be above 0; got {std!r}")
        keep = a * variance / (a * a * variance + s * s)
        return keep, (1 - a * keep) * mean


def finite(**statistics):
    """Refuse statistics of the data that are not finite numbers."""
    for name, value in statistics.items():
        if not torch.as_tensor(value).isfinite().all():
            raise ValueError(f"{name} must be a finite number or a tensor of them; got {value!r}")


def begun(x, first):
    """The denoised prediction at the first point, in the precision of x."""
    keep, shift = (v.to(x) if torch.is_tensor(v) else v for v in first)
    denoised = keep * x + shift
    if denoised.shape != x.shape:
        raise ValueError(
            "mean and std must be numbers or tensors of the shape of a sample, "
            f"{tuple(x.shape[1:])}; together with x they give {tuple(denoised.shape)}"
        )
    return denoised
