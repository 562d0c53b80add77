"""Networks and the forms that a student can have; the exported file holds this text itself.

States are in the scaling x = x0 + sigma z. A form turns a raw network F into a map whose boundary
holds exactly, whatever F is.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    """A plain network of a state, one or two times, a class and a guidance scale.

    Args:
        size: coordinates of a state.
        width, depth: of the hidden layers.
        times: how many times it takes, each as eight pairs of waves.
        classes: number of classes, 0 for none; class `classes` stands for no class.
        scaled: whether it takes a guidance scale.
        outputs: coordinates of its output, those of a state unless given.
    """

    def __init__(
        self,
        size: int,
        width: int = 128,
        depth: int = 4,
        times: int = 1,
        classes: int = 0,
        scaled: bool = False,
        outputs: int = 0,
    ) -> None:
        super().__init__()
        self.classes, self.scaled = classes, scaled
        self.waves: Tensor
        self.register_buffer("waves", 2.0 ** torch.linspace(-2.0, 2.0, 6), persistent=False)
        wide = size + times * 13 + (classes + 1 if classes else 0) + (2 if scaled else 0)
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(wide, width), nn.SiLU()]
            wide = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, outputs or size)

    def forward(
        self, x: Tensor, *times: Tensor, label: Tensor | None = None, scale: Tensor | None = None
    ) -> Tensor:
        """The raw output: x (b, d), times (b,)."""
        kind = self.head.weight.dtype
        parts = [x.to(kind)]
        for time in times:
            phase = time.to(kind)[:, None] * self.waves
            parts += [time.to(kind)[:, None], phase.sin(), phase.cos()]
        if self.classes:
            if label is None:
                label = torch.full((len(x),), self.classes, dtype=torch.long, device=x.device)
            parts.append(nn.functional.one_hot(label, self.classes + 1).to(kind))
        if self.scaled:
            if scale is None:
                scale = x.new_ones(len(x))
            parts += [scale.to(kind)[:, None], scale.to(kind)[:, None].log1p()]
        return self.head(self.body(torch.cat(parts, dim=1)))


def column(value: Tensor, x: Tensor) -> Tensor:
    """One value a sample, shaped to multiply a state."""
    return value.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


class Form(nn.Module):
    """What all forms share: the raw network, sd of the data, the lowest level."""

    def __init__(self, network: nn.Module, sigma_data: float, sigma_min: float) -> None:
        super().__init__()
        self.network, self.sigma_data, self.sigma_min = network, sigma_data, sigma_min

    def raw(self, x: Tensor, *levels: Tensor, **extra: Any) -> Tensor:
        """F(c_in x, log(sigma) / 4, ...) in the dtype of the state."""
        size = torch.hypot(levels[0], torch.full_like(levels[0], self.sigma_data))
        times = [level.log() / 4 for level in levels]
        return self.network(x / column(size, x), *times, **extra).to(x.dtype)


class Denoising(Form):
    """D(x, sigma) = c_skip x + c_out F (Karras et al. 2022)."""

    def forward(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        size = sigma**2 + self.sigma_data**2
        out = column(sigma * self.sigma_data / size.sqrt(), x) * self.raw(x, sigma, **extra)
        return column(self.sigma_data**2 / size, x) * x + out


class Consistency(Form):
    """f(x, sigma), the identity at sigma_min (Song et al. 2023, Appendix C)."""

    def forward(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        above, data = sigma - self.sigma_min, self.sigma_data
        skip = data**2 / (above**2 + data**2)
        out = above * data / (sigma**2 + data**2).sqrt()
        return column(skip, x) * x + column(out, x) * self.raw(x, sigma, **extra)


class Jump(Form):
    """G(x, sigma, sigma_next) = (s/t) x + (1 - s/t) g, with g an EDM denoiser in t (CTM)."""

    def inner(self, x: Tensor, sigma: Tensor, sigma_next: Tensor, **extra: Any) -> Tensor:
        """g(x, t, s); g(x, t, t) is the denoiser."""
        size = sigma**2 + self.sigma_data**2
        out = self.raw(x, sigma, sigma_next, **extra)
        gain = column(sigma * self.sigma_data / size.sqrt(), x)
        return column(self.sigma_data**2 / size, x) * x + gain * out

    def forward(
        self, x: Tensor, sigma: Tensor, sigma_next: Tensor | None = None, **extra: Any
    ) -> Tensor:
        if sigma_next is None:
            sigma_next = torch.full_like(sigma, self.sigma_min)
        share = column(sigma_next / sigma, x)
        return x + (1 - share) * (self.inner(x, sigma, sigma_next, **extra) - x)


class DenoisingJump(Denoising):
    """A denoiser and the DDIM step along it: the student of progressive distillation."""

    def forward(
        self, x: Tensor, sigma: Tensor, sigma_next: Tensor | None = None, **extra: Any
    ) -> Tensor:
        if sigma_next is None:
            sigma_next = torch.full_like(sigma, self.sigma_min)
        share = column(sigma_next / sigma, x)
        return x + (1 - share) * (super().forward(x, sigma, **extra) - x)


class Average(Form):
    """An average velocity u(x, t, r) in the flow gauge, t = sigma/(1 + sigma), as the map it gives.

    x_r = x_t - (t - r) u. The network works on the state divided by its own spread there.
    """

    def velocity(self, x: Tensor, t: Tensor, r: Tensor, **extra: Any) -> Tensor:
        """u of a state x = (1 - t) x0 + t z."""
        size = ((1 - t) ** 2 * self.sigma_data**2 + t**2).sqrt()
        out = self.network(x / column(size, x), 4 * t, 4 * r, **extra).to(x.dtype)
        return out * math.sqrt(1 + self.sigma_data**2)

    def forward(
        self, x: Tensor, sigma: Tensor, sigma_next: Tensor | None = None, **extra: Any
    ) -> Tensor:
        if sigma_next is None:
            sigma_next = torch.full_like(sigma, self.sigma_min)
        t, r = sigma / (1 + sigma), sigma_next / (1 + sigma_next)
        u = self.velocity(x * column(1 - t, x), t, r, **extra)
        # ((1 - t) x - (t - r) u) / (1 - r), written so that t = r gives x to the last bit
        return x - column((t - r) / (1 - r), x) * (x + u)


class Flow(Form):
    """A velocity v(x, t) = E[z - x0 given x_t] in the flow gauge; its map is one Euler step."""

    def velocity(self, x: Tensor, t: Tensor, **extra: Any) -> Tensor:
        """v of a state x = (1 - t) x0 + t z, from a network that predicts with unit scale."""
        size = ((1 - t) ** 2 * self.sigma_data**2 + t**2).sqrt()
        out = self.network(x / column(size, x), 4 * t, **extra).to(x.dtype)
        return out * math.sqrt(1 + self.sigma_data**2)

    def denoise(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        """x0 = x_t - t v, for samplers that take a denoiser."""
        t = sigma / (1 + sigma)
        flow = x * column(1 - t, x)
        return flow - column(t, x) * self.velocity(flow, t, **extra)

    def forward(
        self, x: Tensor, sigma: Tensor, sigma_next: Tensor | None = None, **extra: Any
    ) -> Tensor:
        if sigma_next is None:
            sigma_next = torch.full_like(sigma, self.sigma_min)
        share = column(sigma_next / sigma, x)
        return x + (1 - share) * (self.denoise(x, sigma, **extra) - x)


class TrigFlow(Form):
    """f = cos(t - e) x - sin(t - e) sd F in the TrigFlow gauge, the identity at sigma_min (sCM)."""

    def angle(self, sigma: Tensor) -> Tensor:
        """t = atan(sigma / sd)."""
        return torch.atan(sigma / self.sigma_data)

    def field(self, unit: Tensor, t: Tensor, **extra: Any) -> Tensor:
        """F(x_t / sd, t), the raw network."""
        return self.network(unit, t, **extra).to(unit.dtype)

    def forward(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        t, low = self.angle(sigma), math.atan(self.sigma_min / self.sigma_data)
        unit = x * column(t.cos(), x) / self.sigma_data
        out = self.field(unit, t, **extra)
        # back in x = x0 + sigma z at sigma_min: divided by cos(low); the state's weight is 1 there
        keep = column(t.cos() * (t - low).cos() / math.cos(low), x)
        keep = torch.where(column(sigma, x) == self.sigma_min, torch.ones_like(keep), keep)
        return keep * x - column((t - low).sin(), x) * (self.sigma_data / math.cos(low)) * out


class Generator(nn.Module):
    """g(z): any map with the right law."""

    def __init__(self, network: nn.Module, sigma_data: float, sigma_min: float) -> None:
        super().__init__()
        self.network, self.sigma_data, self.sigma_min = network, sigma_data, sigma_min

    def forward(self, z: Tensor, **extra: Any) -> Tensor:
        return self.network(z, **extra).to(z.dtype) * self.sigma_data


class MultistepGenerator(Form):
    """G(x_t, t) predicts x0; called at a few levels with fresh noise between (UFOGen).

    g(z) takes one state of noise for each level, side by side.
    """

    levels: tuple[float, ...] = ()

    def predict(self, x: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        """x0 of x = x0 + sigma z."""
        size = sigma**2 + self.sigma_data**2
        out = column(sigma * self.sigma_data / size.sqrt(), x) * self.raw(x, sigma, **extra)
        return column(self.sigma_data**2 / size, x) * x + out

    def forward(self, z: Tensor, **extra: Any) -> Tensor:
        parts = z.chunk(len(self.levels), dim=1)
        x = torch.zeros_like(parts[0])
        for level, noise in zip(self.levels, parts, strict=True):
            x = self.predict(x + level * noise, z.new_full((len(z),), level), **extra)
        return x


FORMS = {
    "denoiser": Denoising,
    "consistency": Consistency,
    "jump": Jump,
    "denoising-jump": DenoisingJump,
    "average": Average,
    "flow": Flow,
    "trigflow": TrigFlow,
    "generator": Generator,
    "multistep-generator": MultistepGenerator,
}
TIMES = {"jump": 2, "average": 2, "generator": 0}
