"""The network that gives numbers per sample: AMED's, with log σ in place of σ.

Its numbers lie between the bounds of their parameters and are the defaults, or those of a fitted table,
where nothing was learned. AMED's own network sees σ itself, to which levels below 0.1 look alike.

Source: Zhou et al. 2024, arXiv:2312.00094.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...program.digest import base_digest
from ...program.model import Program
from ...spec.model import Parameter
from ..record import RecordError, load_tensors, save_tensors

HIDDEN, SHOWN, WAVES = 128, 4, 8
POOLED = 8  # sides of what is seen of an image

Features = Callable[[Tensor, Tensor], Tensor]  # (x, denoised) → (b, features)
FORMAT = "solvergen predictor 1"


def seen(x: Tensor, denoised: Tensor) -> Tensor:
    """What there is to see without a look inside the network: the output, and where the state points.

    Args:
        x, denoised: (b, …), state and output of the step's first call.

    Returns:
        (b, features): both as they are for vectors, else their mean over channels, pooled to 8 × 8.
    """
    size = x.flatten(1).square().mean(1).sqrt().clamp_min(1e-12)
    parts = [x / size.reshape((-1,) + (1,) * (x.ndim - 1)), denoised]
    return torch.cat([_pooled(part) for part in parts], 1)


def _pooled(part: Tensor) -> Tensor:
    if part.ndim < 4:
        return part.flatten(1)
    flat = part.mean(1, keepdim=True)
    return nn.functional.adaptive_avg_pool2d(flat, POOLED).flatten(1)


class Hook:
    """Features from inside a network: the output of one of its modules at the last call, pooled.

    Args:
        module: a part of the network, such as its middle block.

    >>> part = nn.Conv2d(3, 5, 1)
    >>> features = Hook(part)
    >>> _ = part(torch.zeros(2, 3, 16, 16))
    >>> features(torch.zeros(2, 3, 16, 16), torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 64])
    """

    def __init__(self, module: nn.Module) -> None:
        self.last: Tensor | None = None
        self.handle = module.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, given: Any, output: Any) -> None:
        found = output[0] if isinstance(output, (tuple, list)) else output
        self.last = found.detach()

    def __call__(self, x: Tensor, denoised: Tensor) -> Tensor:
        """What was seen; the second half of the batch where it is twice as large (guidance)."""
        if self.last is None:
            raise RecordError("the hooked module was not called: it is not part of this model")
        return _pooled(self.last[-len(x) :]).to(x)

    def remove(self) -> None:
        """Take the hook off the network."""
        self.handle.remove()


class Predictor(nn.Module):
    """Numbers per sample from features and levels.

    Args:
        parameters: those of the solver that it gives, with their bounds.
        levels: σ/α at the points of the grid.
        features: how many are seen.
        table: (names, steps) of the numbers where nothing was learned; the defaults unless given.
    """

    low: Tensor
    high: Tensor
    begun: Tensor

    def __init__(
        self,
        parameters: Sequence[Parameter],
        levels: Sequence[float],
        features: int,
        table: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.names = tuple(p.name for p in parameters)
        self.levels = tuple(map(float, levels))
        ends = [bounds(p) for p in parameters]
        steps = len(self.levels) - 1
        if table is None:
            table = torch.tensor([[float(p.default)] * steps for p in parameters])
        self.register_buffer("low", torch.tensor([low for low, _ in ends], dtype=torch.float64))
        self.register_buffer("high", torch.tensor([high for _, high in ends], dtype=torch.float64))
        share = (table.double() - self.low[:, None]) / (self.high - self.low)[:, None]
        self.register_buffer("begun", torch.logit(share.clamp(0.01, 0.99)))
        self.look = nn.Sequential(
            nn.Linear(features, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, SHOWN)
        ).double()
        self.level = nn.Sequential(nn.Linear(WAVES, WAVES), nn.SiLU()).double()
        self.heads = nn.Linear(SHOWN + 2 * WAVES, len(self.names)).double()
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)

    def forward(self, features: Tensor, i: int) -> dict[str, Tensor]:
        """The numbers of step i, (b,) each."""
        ends = [self.level(_waves(self.levels[k]).to(self.low)) for k in (i, i + 1)]
        known = torch.cat(
            [self.look(features.double()), *(e.expand(len(features), -1) for e in ends)], 1
        )
        inside = torch.sigmoid(self.heads(known) + self.begun[:, i])
        found = self.low + (self.high - self.low) * inside
        return dict(zip(self.names, found.unbind(1), strict=True))

    def numbers(
        self, features: Features = seen
    ) -> dict[str, Callable[[int, Tensor, Tensor], Tensor]]:
        """Callables for the keywords of an emitted sampler: `sample(model, x, levels, **numbers)`."""
        last: dict[str, Any] = {"of": None}

        def one(name: str) -> Callable[[int, Tensor, Tensor], Tensor]:
            def asked(i: int, x: Tensor, denoised: Tensor) -> Tensor:
                if last["of"] is not denoised or last["step"] != i:
                    with torch.no_grad():
                        last["given"] = self(features(x, denoised), i)
                    last.update(of=denoised, step=i)
                given: Tensor = last["given"][name]
                return given

            return asked

        return {name: one(name) for name in self.names}

    def save(self, path: Path, program: Program) -> None:
        """Write it as safetensors, with the digest of the rule that it was trained for."""
        base = base_digest(program)
        told = {"format": FORMAT, "names": self.names, "levels": self.levels, "base": base}
        tensors = {k: v.detach().clone() for k, v in self.state_dict().items()}
        tensors["told"] = torch.tensor(list(json.dumps(told).encode()), dtype=torch.uint8)
        save_tensors(path, tensors)

    @classmethod
    def load(cls, path: Path | str, program: Program) -> Predictor:
        """A predictor that was saved for a rule.

        Raises:
            RecordError: damaged, foreign, or trained for another rule.
        """
        tensors, base = load_tensors(Path(path)), base_digest(program)
        try:
            told: Mapping[str, Any] = json.loads(bytes(tensors.pop("told").tolist()))
            if told["format"] != FORMAT:
                raise KeyError("format")
            names, levels = tuple(told["names"]), tuple(map(float, told["levels"]))
            count = tensors["look.0.weight"].shape[1]
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise RecordError(
                f"{path}: not a predictor ({type(error).__name__}: {error})"
            ) from None
        if told.get("base") != base:
            raise RecordError(
                f"{path}: trained for the rule {str(told.get('base'))[:16]}, this one is {base[:16]}; train it anew"
            )
        made = cls([p for p in program.parameters if p.name in names], levels, count)
        try:
            made.load_state_dict(tensors)
        except RuntimeError as error:
            raise RecordError(f"{path}: not a predictor of these numbers ({error})") from None
        return made


def bounds(parameter: Parameter) -> tuple[float, float]:
    """The bounds between which a number is learned."""
    low = parameter.minimum if parameter.minimum is not None else parameter.above
    high = parameter.maximum if parameter.maximum is not None else parameter.below
    if low is None or high is None:
        raise RecordError(f"`{parameter.name}` needs a least and a greatest value to be predicted")
    return float(low), float(high)


def _waves(level: float) -> Tensor:
    """Sinusoids of log σ."""
    at = math.log(max(level, 1e-6))
    rates = [2.0 ** (k - 2) for k in range(WAVES // 2)]
    return torch.tensor(
        [f(rate * at) for rate in rates for f in (math.sin, math.cos)], dtype=torch.float64
    )
