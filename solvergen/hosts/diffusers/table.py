"""A fitted table as a diffusers scheduler: its own levels, a fixed number of model calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import (
    KarrasDiffusionSchedulers,
)
from diffusers.utils.outputs import BaseOutput

from .grid import time_of, train_alphas_cumprod, train_levels
from .saved import SavedWithFile


@dataclass
class TableOutput(BaseOutput):
    """The state for the next model call, and the data prediction of this one."""

    prev_sample: torch.Tensor
    pred_original_sample: torch.Tensor | None = None


class TableScheduler(SavedWithFile, ConfigMixin):  # type: ignore[misc, unused-ignore]
    """A diffusers scheduler that runs a fitted table; the pipeline must scale its model's input.

    Subclasses give `coefficients`, the table's plan, and its constants. The state before the first
    call is unit noise; `scale_model_input` takes it to the first level, which costs no call.
    """

    order = 1
    init_noise_sigma = 1.0
    solver: str
    levels_own: tuple[float, ...]
    ends: tuple[float, float]
    mean_own: Any = 0.0
    std_own: float = 1.0
    coefficients: Callable[[float, float], tuple[list[float], list[list[float]]]]
    _compatibles = [e.name for e in KarrasDiffusionSchedulers]  # noqa: RUF012

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Any = None,
        prediction_type: str = "epsilon",
        rescale_betas_zero_snr: bool = False,
        mean: Any = None,
        std: float | None = None,
    ) -> None:
        if prediction_type not in ("epsilon", "v_prediction", "sample"):
            raise ValueError(
                f"prediction_type must be epsilon, v_prediction or sample; found {prediction_type!r}. "
                "Pipelines of flow models do not scale their model's input, which this solver needs: "
                "run its function sample() instead"
            )
        self.mean = torch.as_tensor(type(self).mean_own if mean is None else mean)
        self.std = float(type(self).std_own if std is None else std)
        table = train_levels(train_alphas_cumprod(self.config, "DDIM")).clamp_max(1e8)
        high, low = self.ends
        first = self.std * self.levels_own[0]
        if float(table[-1]) < first:
            raise ValueError(
                f"{self.solver} calls first at sigma = {first:.4g}, above this model's largest, "
                f"{float(table[-1]):.4g}; calibrate a solver on this model"
            )
        self.calls = len(self.levels_own)
        self.sigmas = torch.tensor([self.std * level for level in self.levels_own] + [low])
        self.timesteps = time_of(self.sigmas[:-1].double(), table).float()
        self.plan = self.coefficients(high / self.std, low / self.std)
        self._restart()

    @property
    def step_index(self) -> int:
        """How many model calls were made."""
        return len(self._outputs)

    def __len__(self) -> int:
        return int(self.config["num_train_timesteps"])

    def set_timesteps(self, num_inference_steps: int | None = None, device: Any = None) -> None:
        """Begin a run; the number of steps must be the table's number of calls, or None."""
        if num_inference_steps not in (None, self.calls):
            raise ValueError(
                f"{self.solver} makes {self.calls} calls; found num_inference_steps = "
                f"{num_inference_steps}: calibrate a table of that many calls, or ask for {self.calls}"
            )
        self.num_inference_steps = self.calls
        self.timesteps = self.timesteps.to(device)
        self._restart()

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Refused unless 0: a table cannot begin midway."""
        if begin_index:
            raise ValueError(
                f"{self.solver} begins at noise; image to image needs another scheduler"
            )

    def scale_model_input(self, sample: torch.Tensor, timestep: Any = None) -> torch.Tensor:
        """The state as the model takes it: before the first call, unit noise at the first level."""
        if self._outputs:
            return sample
        start = sample * self.ends[0]
        return self._state(0, start, []) * self._alpha(0)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        generator: Any = None,
        return_dict: bool = True,
    ) -> Any:
        """One row of the table; the last gives x at the lowest level, unscaled."""
        i = len(self._outputs)
        if i >= self.calls:
            raise ValueError(f"{self.solver} has made its {self.calls} calls; call set_timesteps")
        if i == 0:
            self._start = sample * self.ends[0]
            sample = self._state(0, self._start, []) * self._alpha(0)
        alpha = self._alpha(i)
        sigma = float(self.sigmas[i]) * alpha
        kind = self.config["prediction_type"]
        if kind == "epsilon":
            denoised = (sample - sigma * model_output) / alpha
        elif kind == "v_prediction":
            denoised = alpha * sample - sigma * model_output
        else:
            denoised = model_output
        self._outputs.append(denoised)
        made = self._state(i + 1, self._start, self._outputs)
        made = (made * self._alpha(i + 1)).to(model_output.dtype)
        return TableOutput(made, denoised) if return_dict else (made,)

    def _restart(self) -> None:
        self._outputs: list[torch.Tensor] = []

    def _alpha(self, i: int) -> float:
        """The factor from x0 + σ ε to the model's own state; the end is not scaled."""
        return 1.0 if i == self.calls else float(1 / (1 + self.sigmas[i].double() ** 2) ** 0.5)

    def _state(self, i: int, start: torch.Tensor, outputs: list[torch.Tensor]) -> torch.Tensor:
        a, c = self.plan[0][i], self.plan[1][i]
        mean = self.mean.to(start)
        x = start * a + mean * (1 - a - sum(c))
        for weight, output in zip(c, outputs, strict=False):
            x = torch.add(x, output, alpha=weight)
        return x
