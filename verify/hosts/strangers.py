"""ComfyUI's and LuCheng's conventions: a stranger's sampler judged as it is, given what it expects."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ..probe.noise_sources import hooked
from ..probe.trace import Denoiser, Run

HOOKS = ("sampler_post_cfg_function",)


class ComfyModel:
    """What ComfyUI hands to a sampler: a callable with model_sampling, options and their hooks.

    Args:
        denoiser: model(x, sigma) -> denoised.
        sigmas: the grid; its ends are those of model_sampling.
    """

    def __init__(self, denoiser: Denoiser, sigmas: Tensor) -> None:
        self.denoiser = denoiser
        sampling = SimpleNamespace(
            sigma_min=sigmas[-1],
            sigma_max=sigmas[0],
            sigma_data=1.0,
            sigmas=sigmas.flip(0),
            timestep=lambda sigma: sigma,
            sigma=lambda time: time,
            percent_to_sigma=lambda percent: float(sigmas[0]) * (1 - percent),
            noise_scaling=lambda sigma, noise, latent, max_denoise=False: latent + sigma * noise,
            inverse_noise_scaling=lambda sigma, latent: latent,
        )
        inner = SimpleNamespace(model_sampling=sampling, inner_model=None)
        inner.inner_model = inner
        self.inner_model = inner
        self.model_patcher = SimpleNamespace(
            get_model_object=lambda name: sampling, model_options={}
        )
        self.model_options: dict[str, Any] = {}

    def __call__(
        self, x: Tensor, sigma: Tensor, model_options: Any = None, seed: Any = None, **_: Any
    ) -> Tensor:
        """Denoised; hooks in the options see the same as conditional and unconditional output."""
        denoised = self.denoiser(x, sigma)
        for name in HOOKS:
            for hook in (model_options or {}).get(name, []):
                denoised = hook(
                    {
                        "denoised": denoised,
                        "cond_denoised": denoised,
                        "uncond_denoised": denoised,
                        "cond": None,
                        "uncond": None,
                        "input": x,
                        "sigma": sigma,
                        "model": self,
                        "model_options": model_options,
                    }
                )
        return denoised


def comfyui(function: Callable[..., Any], options: dict[str, Any]) -> Run:
    """sample(model, x, sigmas, extra_args, callback, disable, ...) as ComfyUI calls it."""
    known = inspect.signature(function).parameters

    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        given: dict[str, Any] = {
            "extra_args": {"model_options": {}, "seed": 0},
            "callback": None,
            "disable": True,
        }
        named = any(p.kind is p.VAR_KEYWORD for p in known.values())
        given = {k: v for k, v in given.items() if named or k in known}
        model = ComfyModel(denoiser, sigmas)
        with hooked(function, options, x) as noise:
            out: Tensor = function(model, x, sigmas, **given, **noise, **options)
        return out

    return run


class Schedule:
    """A noise schedule as DPM-Solver's code expects it, whose uniform times are a given grid.

    Args:
        sigmas: (n+1,) sigma/alpha, falling; time 1 is the first, time 0 the last, lambda is linear
            between.
    """

    schedule = "judged"
    T = 1.0
    total_N = 1000

    def __init__(self, sigmas: Tensor) -> None:
        self.lam = -sigmas.double().log()
        self.t = torch.linspace(1.0, 0.0, len(sigmas), dtype=torch.float64)

    def marginal_lambda(self, t: Tensor) -> Tensor:
        """log(alpha / sigma) at a time."""
        return _interpolated(t, self.t.flip(0), self.lam.flip(0))

    def marginal_log_mean_coeff(self, t: Tensor) -> Tensor:
        """log alpha; alpha^2 + sigma^2 = 1."""
        return -0.5 * torch.log1p(torch.exp(-2 * self.marginal_lambda(t)))

    def marginal_alpha(self, t: Tensor) -> Tensor:
        """The factor of the data."""
        return torch.exp(self.marginal_log_mean_coeff(t))

    def marginal_std(self, t: Tensor) -> Tensor:
        """The factor of the noise."""
        return torch.sqrt(-torch.expm1(2 * self.marginal_log_mean_coeff(t)))

    def inverse_lambda(self, lam: Tensor) -> Tensor:
        """The time of a log(alpha / sigma)."""
        return _interpolated(lam, self.lam, self.t)


def _interpolated(x: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Linear between known points that rise, and beyond them."""
    given = torch.as_tensor(x, dtype=torch.float64)
    at = torch.searchsorted(known, given.reshape(-1).contiguous()).clamp(1, len(known) - 1)
    low, high = known[at - 1], known[at]
    share = (given.reshape(-1) - low) / (high - low)
    out = values[at - 1] + share * (values[at] - values[at - 1])
    return out.reshape(given.shape)


def dpm_solver(factory: Callable[..., Any], options: dict[str, Any]) -> Run:
    """A class such as DPM_Solver(model_fn, noise_schedule, ...) with sample(x, steps, ...).

    Options go to the constructor or to sample(), by their names; the network predicts noise.
    """
    built = inspect.signature(factory).parameters
    first = {k: v for k, v in options.items() if k in built}
    later = {k: v for k, v in options.items() if k not in built}

    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        plan = Schedule(sigmas)

        def model(state: Tensor, t: Tensor, *_: Any, **__: Any) -> Tensor:
            time = torch.as_tensor(t, dtype=torch.float64).reshape(-1)[0]
            alpha, sigma = plan.marginal_alpha(time), plan.marginal_std(time)
            level = (sigma / alpha).to(state.dtype).expand(len(state))
            denoised = denoiser(state / alpha.to(state.dtype), level)
            return (state - alpha.to(state.dtype) * denoised) / sigma.to(state.dtype)

        start, end = (plan.marginal_alpha(plan.t[i]).to(x.dtype) for i in (0, -1))
        solver = factory(model, plan, **first)
        given: dict[str, Any] = {"steps": len(sigmas) - 1, "t_start": 1.0, "t_end": 0.0}
        given |= {"skip_type": "time_uniform", **later}
        out: Tensor = solver.sample(x * start, **given)
        return out / end

    return run
