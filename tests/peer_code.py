"""Code of peers that is loaded for comparison, never copied."""

import functools
import importlib
import importlib.machinery
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


class _Widened(importlib.machinery.SourceFileLoader):
    """Loads a module's own source with float64 where it says float32; nothing is cached."""

    def get_data(self, path):
        text = super().get_data(path).decode()
        for narrow, wide in (("torch.float32", "torch.float64"), ("np.float32", "np.float64")):
            text = text.replace(narrow, wide)
        return text.replace(".float()", ".double()").encode()

    def path_stats(self, path):
        raise OSError("compiled anew")


@functools.cache
def diffusers_in_float64(name):
    """A module of diffusers' schedulers in float64: its classes cast levels and states to float32."""
    pytest.importorskip("diffusers")
    full = f"diffusers.schedulers.scheduling_{name}"
    loader = _Widened(f"{full}_in_float64", importlib.util.find_spec(full).origin)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module  # dataclasses look their module up
    missing = "torchsde" not in sys.modules and importlib.util.find_spec("torchsde") is None
    if missing:  # imported for a Brownian tree that no comparison uses
        sys.modules["torchsde"] = types.ModuleType("torchsde")
    try:
        loader.exec_module(module)
    finally:
        if missing:
            del sys.modules["torchsde"]
    return module
