"""Nodes for ComfyUI: each returns a SAMPLER, for the custom-sampler nodes to run."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch

CATEGORY = "sampling/custom_sampling/samplers"


def is_flow(model: Any) -> bool:
    """Whether a model walks x = (1 - σ) x0 + σ ε, as ComfyUI's CONST models do."""
    import comfy.model_sampling  # type: ignore[import-not-found,unused-ignore]

    sampling = model.inner_model.model_patcher.get_model_object("model_sampling")
    return isinstance(sampling, comfy.model_sampling.CONST)


def sampler_function(module: ModuleType) -> Any:
    """An emitted sampler as the function that KSAMPLER calls."""

    def sample(
        model: Any,
        x: torch.Tensor,
        sigmas: torch.Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Any = None,
        disable: bool | None = None,
        **options: float,
    ) -> torch.Tensor:
        if len(sigmas) < 2:
            return x
        alphas = None
        if is_flow(model):
            if sigmas.max() > 1:
                raise ValueError(
                    f"a flow model's sigmas lie between 0 and 1; found {float(sigmas.max())}: "
                    "take the scheduler of this model"
                )
            alphas = 1 - sigmas.double()
        return module.sample(
            model, x, sigmas, extra_args, callback, disable, alphas=alphas, **options
        )

    return sample


def node(module: ModuleType) -> type:
    """The node class of an emitted sampler; the solver's parameters are its inputs."""
    given = inspect.signature(module.sample).parameters.values()
    options = {p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY and p.name != "alphas"}

    class SamplerNode:
        """Gives a SAMPLER that runs one emitted sampler."""

        DESCRIPTION = module.__doc__ or module.NAME
        CATEGORY = CATEGORY
        RETURN_TYPES = ("SAMPLER",)
        FUNCTION = "get_sampler"

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            """One number for each parameter of the solver."""
            limits = {"min": -100.0, "max": 100.0, "step": 0.01, "round": False}
            numbers = {
                name: ("FLOAT", {"default": float(value), **limits})
                for name, value in options.items()
            }
            return {"required": numbers}

        def get_sampler(self, **values: float) -> tuple[Any]:
            """The SAMPLER, with these values of the parameters."""
            import comfy.samplers  # type: ignore[import-not-found,unused-ignore]

            return (comfy.samplers.KSAMPLER(sampler_function(module), extra_options=values),)

    SamplerNode.__name__ = SamplerNode.__qualname__ = f"Solvergen_{module.NAME}"
    return SamplerNode


def mappings(modules: Sequence[ModuleType]) -> tuple[dict[str, type], dict[str, str]]:
    """NODE_CLASS_MAPPINGS and NODE_DISPLAY_NAME_MAPPINGS of the samplers."""
    titles = {m.NAME: (m.__doc__ or m.NAME).strip().split("\n")[0].rstrip(".") for m in modules}
    classes = {f"Solvergen_{m.NAME}": node(m) for m in modules}
    return classes, {f"Solvergen_{name}": f"Sampler {title}" for name, title in titles.items()}
