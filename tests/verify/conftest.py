"""One torch thread: the judge's work is many small tensors."""

from __future__ import annotations

import importlib.util

import pytest
import torch

torch.set_num_threads(1)


def _needs(package: str):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed"
    )


needs_diffusers = _needs("diffusers")
needs_k_diffusion = _needs("k_diffusion")
needs_sklearn = _needs("sklearn")
