"""Nodes for ComfyUI: each returns a SAMPLER, for the custom-sampler nodes to run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import torch

from .inversion import invert

CATEGORY = "sampling/custom_sampling/samplers"
HELD = ("alphas", "noise_sampler")  # arguments of a sampler that are no numbers to choose
WIDEST = 100.0  # of numbers without a bound


def is_flow(model: Any) -> bool:
    """Whether a model walks x = (1 - σ) x0 + σ ε, as ComfyUI's CONST models do."""
    import comfy.model_sampling  # type: ignore[import-not-found,unused-ignore]

    sampling = model.inner_model.model_patcher.get_model_object("model_sampling")
    return isinstance(sampling, comfy.model_sampling.CONST)


def seeded_noise(
    x: torch.Tensor, extra_args: dict[str, Any] | None
) -> Callable[[Any, Any], torch.Tensor]:
    """One source of draws for each sample, in float32 on the CPU: that of ComfyUI's own samplers.

    A run of one sample draws what theirs draw on a CPU for its seed; in a batch sample k draws what
    a run of its own with the seed k higher draws, whatever the batch, the device and the dtype.
    """
    import comfy.k_diffusion.sampling  # type: ignore[import-not-found,unused-ignore]

    seed = (extra_args or {}).get("seed")
    sources = [
        comfy.k_diffusion.sampling.default_noise_sampler(
            torch.zeros_like(x[k : k + 1], dtype=torch.float32, device="cpu"),
            seed=None if seed is None else seed + k,
        )
        for k in range(len(x))
    ]

    def draw(sigma: Any, sigma_next: Any) -> torch.Tensor:
        return torch.cat([source(sigma, sigma_next) for source in sources]).to(x.device)

    return draw


def unsample(
    model: Any,
    x: torch.Tensor,
    sigmas: torch.Tensor,
    flow: bool,
    extra_args: dict[str, Any] | None,
    callback: Any,
) -> torch.Tensor:
    """From data to noise along levels that rise, as FlipSigmas makes them: DDIM leads back."""
    falling = sigmas.flip(0)
    steps = len(falling) - 1

    def shown(at: dict[str, Any]) -> None:
        if callback is not None:
            callback({**at, "i": steps - 1 - at["i"], "sigma_hat": at["sigma"]})

    alphas = 1 - falling.double() if flow else None
    return invert(model, x, falling, alphas, extra_args=extra_args, callback=shown)


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
        sigmas = sigmas.detach().clone().cpu()  # callers keep theirs, whatever a model does with it
        alphas, flow = None, is_flow(model)
        if flow:
            if sigmas.max() > 1:
                raise ValueError(
                    f"a flow model's sigmas lie between 0 and 1; found {float(sigmas.max())}: "
                    "take the scheduler of this model"
                )
            alphas = 1 - sigmas.double()
        if bool((sigmas[1:] > sigmas[:-1]).all()):
            return unsample(model, x, sigmas, flow, extra_args, callback)
        held: dict[str, Any] = {"alphas": alphas}
        if hasattr(module, "NOISE"):
            held["noise_sampler"] = seeded_noise(x, extra_args)
        return module.sample(model, x, sigmas, extra_args, callback, disable, **held, **options)

    return sample


Limits = Mapping[str, Sequence[float | None]]


def number(default: float, limits: Sequence[float | None]) -> tuple[str, dict[str, Any]]:
    """The input of a number: its default, its bounds where it has some."""
    low, high = limits
    low = min(-WIDEST, default) if low is None else low
    high = max(WIDEST, default) if high is None else high
    shown = {"min": float(low), "max": float(high), "step": 0.01, "round": False}
    return "FLOAT", {"default": float(default), **shown}


def node(module: ModuleType, limits: Limits) -> type:
    """The node class of an emitted sampler; the solver's parameters are its inputs.

    limits: lowest and highest value by parameter, None where there is none; a bound that the
        solver excludes is refused by the solver itself.
    """
    given = inspect.signature(module.sample).parameters.values()
    options = {p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY and p.name not in HELD}

    class SamplerNode:
        """Gives a SAMPLER that runs one emitted sampler."""

        DESCRIPTION = module.__doc__ or module.NAME
        CATEGORY = CATEGORY
        RETURN_TYPES = ("SAMPLER",)
        FUNCTION = "get_sampler"

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            """One number for each parameter of the solver."""
            numbers = {
                name: number(value, limits.get(name, (None, None)))
                for name, value in options.items()
            }
            return {"required": numbers}

        def get_sampler(self, **values: float) -> tuple[Any]:
            """The SAMPLER, with these values of the parameters."""
            import comfy.samplers  # type: ignore[import-not-found,unused-ignore]

            return (comfy.samplers.KSAMPLER(sampler_function(module), extra_options=values),)

    SamplerNode.__name__ = SamplerNode.__qualname__ = f"Solvergen_{module.NAME}"
    return SamplerNode


def mappings(
    modules: Sequence[ModuleType], limits: Mapping[str, Limits]
) -> tuple[dict[str, type], dict[str, str]]:
    """NODE_CLASS_MAPPINGS and NODE_DISPLAY_NAME_MAPPINGS of the samplers.

    limits: bounds of their parameters, by the name of the sampler.
    """
    titles = {m.NAME: (m.__doc__ or m.NAME).strip().split("\n")[0].rstrip(".") for m in modules}
    classes = {f"Solvergen_{m.NAME}": node(m, limits.get(m.NAME, {})) for m in modules}
    return classes, {f"Solvergen_{name}": f"Sampler {title}" for name, title in titles.items()}
