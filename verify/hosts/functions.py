"""Samplers that own their loop: k-diffusion's, EDM's and diff-sampler's signatures, and plain ones."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import TargetError
from ..probe.noise_sources import hooked
from ..probe.trace import Denoiser, Run, level_told
from . import CONVENTIONS
from .adaptive import adaptive
from .strangers import comfyui, dpm_solver

PREDICTIONS = ("data", "noise", "v", "velocity")


def convention_of(function: Callable[..., Any]) -> str:
    """Which signature a function has.

    Raises:
        TargetError: none of those that are known.
    """
    names = list(inspect.signature(function).parameters)
    if names[:3] == ["model", "x", "sigmas"] or names[:3] == ["denoiser", "x", "sigmas"]:
        return "k-diffusion"
    if names[:5] == ["model", "x", "sigma_min", "sigma_max", "n"]:
        return "k-diffusion-ends"
    if names[2:4] == ["sigma_min", "sigma_max"] and {"rtol", "atol"} <= set(names):
        return "k-diffusion-adaptive"
    if "latents" in names and "t_steps" in names:
        return "diff-sampler"
    if "latents" in names and "num_steps" in names:
        return "edm"
    raise TargetError(
        f"{getattr(function, '__name__', function)}: signature ({', '.join(names)}) is not known; "
        f"name its convention: one of {', '.join(CONVENTIONS)}"
    )


def adapted(function: Callable[..., Any], convention: str, options: dict[str, Any]) -> Run:
    """A function of some convention as run(denoiser, x, sigmas).

    Raises:
        TargetError: an unknown convention.
    """
    makers: dict[str, Callable[..., Run]] = {
        "k-diffusion": _k_diffusion,
        "k-diffusion-ends": _k_diffusion_ends,
        "k-diffusion-adaptive": _adaptive,
        "edm": _edm,
        "diff-sampler": _diff_sampler,
        "comfyui": comfyui,
        "dpm-solver": dpm_solver,
        "vp": lambda f, o: scaled(f, "vp", **o),
        "flow": lambda f, o: scaled(f, "flow", **o),
    }
    if convention not in makers:
        raise TargetError(
            f"convention {convention!r} is not known; choose one of {', '.join(CONVENTIONS)}"
        )
    return makers[convention](function, options)


def _k_diffusion(function: Callable[..., Any], options: dict[str, Any]) -> Run:
    quiet = {"disable": True} if _accepts(function, "disable") else {}

    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        with hooked(function, options, x) as noise:
            return finished(function(denoiser, x, sigmas, **quiet, **noise, **options))

    return run


def finished(out: Any) -> Any:
    """The result of a sampler; a generator is run to its end, and its last state is the result."""
    if not isinstance(out, types.GeneratorType):
        return out
    last: Any = None
    while True:
        try:
            last = next(out)
        except StopIteration as end:
            return last if end.value is None else end.value


def _k_diffusion_ends(function: Callable[..., Any], options: dict[str, Any]) -> Run:
    """dpm_fast: the two ends of the grid and a number of evaluations; it makes its own grid."""

    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        out: Tensor = function(
            denoiser,
            x,
            float(sigmas[-1]),
            float(sigmas[0]),
            len(sigmas) - 1,
            disable=True,
            **options,
        )
        return out

    return run


def _adaptive(function: Callable[..., Any], options: dict[str, Any]) -> Run:
    """dpm_adaptive: its rule, one step for each interval of the grid."""
    made = adaptive(function, options)
    if made is None:
        raise TargetError(
            "k-diffusion-adaptive: wants f(model, x, sigma_min, sigma_max, ..., rtol, atol)"
        )
    return made.rule()


class Net:
    """A network as EDM and diff-sampler expect it: net(x, sigma, labels) -> denoised."""

    def __init__(self, denoiser: Denoiser, low: float, high: float) -> None:
        self.denoiser = denoiser
        self.sigma_min, self.sigma_max = low, high
        self.img_channels = self.img_resolution = self.label_dim = 0

    def __call__(self, x: Tensor, sigma: Tensor, *_: Any, **__: Any) -> Tensor:
        """Denoised prediction; sigma may be a number, 0-d or (b,)."""
        level = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1)
        return self.denoiser(x, level.expand(len(x)) if len(level) == 1 else level)

    def round_sigma(self, sigma: Any) -> Tensor:
        """No rounding: a network that accepts every level."""
        return torch.as_tensor(sigma)


def _diff_sampler(function: Callable[..., Any], options: dict[str, Any]) -> Run:
    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        net = Net(denoiser, float(sigmas[-1]), float(sigmas[0]))
        # latents are unit noise there; the sampler multiplies by its first level
        out: Tensor = function(net, x / sigmas[0], num_steps=len(sigmas), t_steps=sigmas, **options)
        return out

    return run


def _edm(function: Callable[..., Any], options: dict[str, Any]) -> Run:
    """EDM's sampler plans its own grid and appends zero; round_sigma hands it our levels instead.

    The state that it brings to the network at our last level, the last time, is its answer there;
    the step to zero that follows is not judged.
    """

    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        net = _Planned(denoiser, sigmas)
        function(
            net,
            x / sigmas[0],
            num_steps=len(sigmas),
            sigma_min=float(sigmas[-1]),
            sigma_max=float(sigmas[0]),
            **options,
        )
        if net.answer is None:
            raise TargetError("edm: the sampler never reached the last level of the grid")
        return net.answer.to(x.dtype)

    return run


class _Planned(Net):
    def __init__(self, denoiser: Denoiser, sigmas: Tensor) -> None:
        super().__init__(denoiser, float(sigmas[-1]), float(sigmas[0]))
        self.sigmas = sigmas
        self.answer: Tensor | None = None

    def __call__(self, x: Tensor, sigma: Tensor, *rest: Any, **named: Any) -> Tensor:
        """As Net; keeps the state at the last level."""
        level = level_told(sigma)
        if math.isclose(level, float(self.sigmas[-1]), rel_tol=1e-12):
            self.answer = x
        return super().__call__(x, sigma, *rest, **named)

    def round_sigma(self, sigma: Any) -> Tensor:
        """Our grid in place of the planned one."""
        level = torch.as_tensor(sigma)
        return self.sigmas.to(level.dtype) if level.numel() == len(self.sigmas) else level


def scaled(
    function: Callable[..., Any], scaling: str, *, prediction: str = "data", **options: Any
) -> Run:
    """A plain callable f(model, x, t) in another scaling.

    Args:
        scaling: "vp" (x = alpha x0 + sigma eps with alpha^2 + sigma^2 = 1, t is sigma) or "flow"
            (x = (1 - t) x0 + t eps).
        prediction: what model(x, t) must return: "data", "noise", "v" or "velocity".

    Raises:
        TargetError: an unknown scaling or prediction.
    """
    if scaling not in ("vp", "flow") or prediction not in PREDICTIONS:
        raise TargetError(
            f"scaling {scaling!r}, prediction {prediction!r}: choose vp or flow, and one of "
            + ", ".join(PREDICTIONS)
        )

    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        times = sigmas / torch.sqrt(1 + sigmas**2) if scaling == "vp" else sigmas / (1 + sigmas)

        def model(state: Tensor, t: Tensor, **_: Any) -> Tensor:
            level = torch.as_tensor(t, dtype=state.dtype).reshape(-1)[0]
            alpha = torch.sqrt(1 - level**2) if scaling == "vp" else 1 - level
            given = (level / alpha).expand(len(state))
            return predicted(denoiser(state / alpha, given), state, alpha, level, prediction)

        first = torch.sqrt(1 - times[0] ** 2) if scaling == "vp" else 1 - times[0]
        last = torch.sqrt(1 - times[-1] ** 2) if scaling == "vp" else 1 - times[-1]
        return finished(function(model, x * first, times, **options)) / last

    return run


def predicted(denoised: Tensor, x: Tensor, alpha: Any, sigma: Any, prediction: str) -> Tensor:
    """The output that a network of the given prediction type would have made.

    x = alpha x0 + sigma eps; every prediction is affine in the others at fixed x.
    """
    if prediction in ("data", "sample"):
        return denoised
    noise = (x - alpha * denoised) / sigma
    if prediction in ("noise", "epsilon"):
        return noise
    if prediction in ("velocity", "flow_prediction"):
        return noise - denoised
    if prediction in ("v", "v_prediction"):
        return alpha * noise - sigma * denoised
    raise TargetError(f"prediction {prediction!r} is not known")


def _accepts(function: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)
