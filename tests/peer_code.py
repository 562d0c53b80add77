"""Code of peers that is loaded for comparison, never copied."""

import importlib
import importlib.util
import sys
import types

import pytest


def crowson_sampling():
    """k-diffusion's `sampling` module, loaded alone: its package imports a training stack."""
    found = importlib.util.find_spec("k_diffusion")
    if found is None:
        pytest.skip("k-diffusion is not installed")
    names = ("k_diffusion", "k_diffusion.utils", "torchdiffeq", "torchsde")
    stubs = {name: types.ModuleType(name) for name in names}
    stubs["k_diffusion"].__path__ = found.submodule_search_locations
    stubs["k_diffusion"].utils = stubs["k_diffusion.utils"]
    stubs["k_diffusion.utils"].append_dims = lambda x, size: x[(...,) + (None,) * (size - x.ndim)]
    stubs["torchdiffeq"].odeint = None
    kept = {name: sys.modules.get(name) for name in (*names, "k_diffusion.sampling")}
    sys.modules.update(stubs)
    try:
        return importlib.import_module("k_diffusion.sampling")
    finally:
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
