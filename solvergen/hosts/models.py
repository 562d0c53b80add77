"""Networks of any convention as denoisers: ε, v, score, flow velocity, data and EDM networks.

An emitted sampler calls `model(x, sigma)` and wants the denoised prediction. A state is
x = α x0 + σ ε in one of three gauges, all functions of ρ = σ/α:

    ve    α = 1                  flow  α = 1 / (1 + ρ)         vp   α = 1 / sqrt(1 + ρ²)

One-step models (consistency, LCM, TCD, sCM) are denoisers too: re-noising samplers take them as such.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

GAUGES = ("ve", "vp", "flow")
PREDICTIONS = ("data", "noise", "v", "score", "velocity")


def widened(value: Tensor) -> Tensor:
    """A tensor in float64, or in float32 on a device that has no float64 (Apple's, some of Intel's)."""
    kind = value.device.type
    known = kind in ("cpu", "cuda", "meta") or (kind != "mps" and has_float64(kind))
    return value.to(torch.float64 if known else torch.float32)


@functools.cache
def has_float64(kind: str) -> bool:
    """Whether tensors of float64 can be made on a kind of device."""
    try:
        torch.zeros((), dtype=torch.float64, device=kind).add(1)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError):
        return False
    return True


def tensor_of(output: Any) -> Tensor:
    """What a network returned: a tensor, the first entry of a tuple, or the `sample` of an object.

    Raises:
        ValueError: none of these.
    """
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    output = getattr(output, "sample", output)
    if not torch.is_tensor(output):
        raise ValueError(
            "a network must return a tensor, a tuple that begins with one, or an object with "
            f"`sample`; found {type(output).__name__}"
        )
    return output


def scales(sigma: Tensor, gauge: str) -> tuple[Tensor, Tensor]:
    """α and σ at the σ of a gauge, in float64 where the device has it."""
    wide = widened(sigma)
    if gauge == "ve":
        return torch.ones_like(wide), wide
    if gauge == "flow":
        return 1 - wide, wide
    return ((1 - wide) * (1 + wide)).clamp_min(0).sqrt(), wide


def translated(alpha: Tensor, sigma: Tensor, gauge: str) -> tuple[Tensor, Tensor]:
    """α and σ of another gauge at the same ρ; α = 0 is kept where the gauge has it."""
    if gauge == "ve":
        return torch.ones_like(alpha), sigma / alpha
    size = alpha + sigma if gauge == "flow" else torch.hypot(alpha, sigma)
    return alpha / size, sigma / size


class Denoiser(nn.Module):
    """`network(x, time, **extra) -> prediction` as `model(x, sigma, **extra) -> denoised`.

    Args:
        network: takes a state in its own gauge and its own time, one time per sample.
        prediction: what it returns: data, noise, v (α ε − σ x0), score, velocity (ε − x0).
        trained: gauge of the network's input.
        walked: gauge of the sampler's state; "ve" where samplers run without `alphas`.
        time: from the σ of the network's gauge to its time; σ itself unless given.
        threshold: a function on the denoised prediction, such as `static` or `dynamic()`.
        boundary: from the network's time to the weights of its state and of the denoised prediction,
            for models that are the identity at time 0; see `latent_consistency`.
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        prediction: str = "noise",
        *,
        trained: str = "vp",
        walked: str = "ve",
        time: Callable[[Tensor], Tensor] | None = None,
        threshold: Callable[[Tensor], Tensor] | None = None,
        boundary: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        super().__init__()
        if prediction not in PREDICTIONS or trained not in GAUGES or walked not in GAUGES:
            raise ValueError(
                f"prediction must be one of {PREDICTIONS}, gauges of {GAUGES}; "
                f"found {prediction!r}, {trained!r}, {walked!r}"
            )
        self.network, self.prediction = network, prediction
        self.trained, self.walked = trained, walked
        self.time, self.threshold, self.boundary = time, threshold, boundary

    def forward(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        """The denoised prediction of x at σ of the walked gauge."""
        alpha, own = scales(sigma, self.walked)
        if self.trained != self.walked:
            alpha, level = translated(alpha, own, self.trained)
            x = x * _like(level / own, x)
            own = level
        time = own if self.time is None else self.time(own)
        if time.is_floating_point():
            time = time.to(torch.promote_types(x.dtype, torch.float32))
        output = tensor_of(self.network(x, time, **extra))
        take, give = self._weights(alpha, own)
        denoised = output if take is None else _like(take, x) * x + _like(give, x) * output
        if self.threshold is not None:
            denoised = self.threshold(denoised)
        if self.boundary is None:
            return denoised
        skip, out = self.boundary(time)
        return _like(skip, x) * x + _like(out, x) * denoised

    def _weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor | None, Tensor]:
        """Weights of the state and the network's output in the denoised prediction."""
        match self.prediction:
            case "noise":
                return 1 / alpha, -sigma / alpha
            case "score":
                return 1 / alpha, sigma**2 / alpha
            case "v":
                size = alpha**2 + sigma**2
                return alpha / size, -sigma / size
            case "velocity":
                return 1 / (alpha + sigma), -sigma / (alpha + sigma)
        return None, torch.ones_like(alpha)


class Preconditioned(nn.Module):
    """A raw EDM network F(c_in x, c_noise) as a denoiser (Karras et al. 2022, Table 1).

    With the σ_min it was trained to it is a consistency model, the identity at σ_min (Song et al.
    2023, Appendix C); OpenAI's networks have σ_min = 0.002 and take 250 log σ as time.

    Args:
        network: takes a state of unit variance and a time, log σ / 4 times `scaling`.
        sigma_data: standard deviation of the data.
        sigma_min: level at which the model is the identity.
        scaling: factor on the time.
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        sigma_data: float = 0.5,
        sigma_min: float = 0.0,
        scaling: float = 1.0,
    ) -> None:
        super().__init__()
        self.network, self.scaling = network, scaling
        self.sigma_data, self.sigma_min = sigma_data, sigma_min

    def forward(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        """The denoised prediction of x = x0 + σ ε."""
        wide, data = widened(sigma), self.sigma_data
        size = torch.hypot(wide, torch.full_like(wide, data))
        time = (self.scaling * wide.log() / 4).to(torch.promote_types(x.dtype, torch.float32))
        output = tensor_of(self.network(x * _like(1 / size, x), time, **extra))
        above = wide - self.sigma_min
        skip, out = data**2 / (above**2 + data**2), above * data / size
        return _like(skip, x) * x + _like(out, x) * output


class TrigFlow(nn.Module):
    """A TrigFlow network F(x_t / σ_d, t) as a denoiser: cos(t) x_t − σ_d sin(t) F (Lu and Song 2025).

    x_t = cos(t) x0 + sin(t) σ_d ε, so σ/α = σ_d tan(t). A consistency model (sCM) and the diffusion
    model it was distilled from have the same form.

    Args:
        network: takes a state of unit variance and t from 0 to π/2, one per sample.
        sigma_data: standard deviation of the data.
        walked: gauge of the sampler's state.
    """

    def __init__(
        self, network: Callable[..., Tensor], sigma_data: float = 0.5, walked: str = "ve"
    ) -> None:
        super().__init__()
        if walked not in GAUGES:
            raise ValueError(f"walked must be one of {GAUGES}; found {walked!r}")
        self.network, self.sigma_data, self.walked = network, sigma_data, walked

    def forward(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        """The denoised prediction of x at σ of the walked gauge."""
        alpha, own = scales(sigma, self.walked)
        size = torch.hypot(self.sigma_data * alpha, own)
        x, wide = x * _like(1 / size, x), torch.atan2(own, self.sigma_data * alpha)
        time = wide.to(torch.promote_types(x.dtype, torch.float32))
        output = tensor_of(self.network(x, time, **extra))
        take, give = self.sigma_data * wide.cos(), -self.sigma_data * wide.sin()
        return _like(take, x) * x + _like(give, x) * output


class Guided(nn.Module):
    """Classifier-free guidance around a denoiser, conditional and unconditional in one call.

    Args:
        model: a denoiser that takes conditioning as keyword tensors, one row per sample.
        scale: 1 means no guidance.
        unconditional: the keyword tensors of the unconditional half.
        threshold: a function on the guided prediction.
    """

    def __init__(
        self,
        model: Callable[..., Tensor],
        scale: float,
        unconditional: dict[str, Tensor],
        threshold: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.scale, self.threshold = model, scale, threshold
        self.unconditional = unconditional

    def forward(self, x: Tensor, sigma: Tensor, **conditional: Tensor) -> Tensor:
        """uncond + scale · (cond − uncond)."""
        if conditional.keys() != self.unconditional.keys():
            raise ValueError(
                f"conditioning has keys {sorted(conditional)}, the unconditional half "
                f"{sorted(self.unconditional)}; they must be the same"
            )
        both = {
            name: torch.cat([self.unconditional[name].expand_as(value), value])
            for name, value in conditional.items()
        }
        halves = self.model(torch.cat([x, x]), torch.cat([sigma, sigma]), **both)
        without, given = halves.chunk(2)
        guided = torch.lerp(without, given, self.scale)
        return guided if self.threshold is None else self.threshold(guided)


def discrete_time(alphas_cumprod: Tensor, whole: bool = False) -> Callable[[Tensor], Tensor]:
    """From the σ of a vp network to its timestep 0 … T−1, linear in log ρ between them.

    whole: round to an integer, for networks that know no times between.
    """
    wide = widened(alphas_cumprod)
    logs = (((1 - wide) / wide).log() / 2).contiguous()

    def time(sigma: Tensor) -> Tensor:
        log = widened(sigma).log() - torch.log1p(-(widened(sigma) ** 2)) / 2
        known = logs.to(log.dtype).to(sigma.device)
        high = torch.searchsorted(known, log).clamp(1, len(known) - 1)
        part = ((log - known[high - 1]) / (known[high] - known[high - 1])).clamp(0, 1)
        # Before a last ᾱ of 0 there is nothing to interpolate: it is that timestep or the one before.
        part = torch.where(known[high].isinf(), (log == known[high]).to(part), part)
        place = high - 1 + part
        return place.round().long() if whole else place

    return time


def latent_consistency(
    sigma_data: float = 0.5, scaling: float = 10.0
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The boundary of latent consistency models (Luo et al. 2023): identity at timestep 0.

    Args:
        sigma_data: σ_d of c_skip = σ_d² / (s² + σ_d²), c_out = s / sqrt(s² + σ_d²).
        scaling: s is the timestep times this.

    Returns:
        from timesteps to c_skip of the network's state and c_out of its denoised prediction.
    """

    def boundary(time: Tensor) -> tuple[Tensor, Tensor]:
        scaled = widened(time) * scaling
        size = torch.hypot(scaled, torch.full_like(scaled, sigma_data))
        return (sigma_data / size) ** 2, scaled / size

    return boundary


def static(denoised: Tensor) -> Tensor:
    """Static thresholding: clip to [-1, 1]."""
    return denoised.clamp(-1, 1)


def dynamic(ratio: float = 0.995, ceiling: float = 1.0) -> Callable[[Tensor], Tensor]:
    """Dynamic thresholding (Saharia et al. 2022): clip each sample to a percentile, rescale."""

    def threshold(denoised: Tensor) -> Tensor:
        flat = denoised.float().flatten(1)
        bound = torch.quantile(flat.abs(), ratio, dim=1).clamp(1, ceiling)[:, None]
        return (flat.clamp(-bound, bound) / bound).reshape(denoised.shape).to(denoised.dtype)

    return threshold


def _like(value: Tensor, x: Tensor) -> Tensor:
    """One value per sample, in the dtype of a state and shaped to multiply it."""
    return value.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
