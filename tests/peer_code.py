"""Code of peers that is loaded for comparison, never copied."""

import functools
import importlib
import importlib.util
import sys
import types
from pathlib import Path

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


@functools.cache
def diffusers_in_float64(name):
    """A module of diffusers' schedulers with float64 in place of its float32, from its own source.

    The classes cast levels and states to float32; the algorithm is the same text.
    """
    pytest.importorskip("diffusers")
    full = f"diffusers.schedulers.scheduling_{name}"
    text = Path(importlib.util.find_spec(full).origin).read_text(encoding="utf-8")
    module = types.ModuleType(f"{full}_in_float64")
    module.__package__ = "diffusers.schedulers"
    sys.modules[module.__name__] = module  # dataclasses look their module up
    wide = text.replace("torch.float32", "torch.float64").replace("np.float32", "np.float64")
    exec(compile(wide.replace(".float()", ".double()"), f"{full}.py", "exec"), module.__dict__)
    return module
