"""An emitted sampler as a diffusers scheduler: it saves, loads and runs in their pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import (
    KarrasDiffusionSchedulers,
    SchedulerMixin,
)

from .diffusers_grid import (
    flow_levels,
    level_at,
    shaped_levels,
    spaced_times,
    time_of,
    train_alphas_cumprod,
    train_levels,
)
from .diffusers_noise import check_parameters
from .diffusers_walk import PlanWalk


class GridScheduler(PlanWalk, SchedulerMixin, ConfigMixin):  # type: ignore[misc, unused-ignore]
    """A diffusers scheduler that walks the plan of an emitted sampler, one row per model call.

    Subclasses give `coefficients` and `advance`, the sampler's two functions, `history`, how many
    steps back it looks, and `order`, its model calls per step (what diffusers means by that word;
    it is not the order of accuracy).
    Config keys have the names and meanings of diffusers' own schedulers; `solver_parameters` goes
    to `coefficients`: the strength of a solver's noise is set there.
    """

    _compatibles = [e.name for e in KarrasDiffusionSchedulers] + [
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
    ]
    order = 1

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: list[float] | None = None,
        prediction_type: str = "epsilon",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        sample_max_value: float = 1.0,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        use_lu_lambdas: bool = False,
        use_flow_sigmas: bool = False,
        flow_shift: float = 1.0,
        shift: float | None = None,
        shift_terminal: float | None = None,
        use_dynamic_shifting: bool = False,
        time_shift_type: str = "exponential",
        base_shift: float = 0.5,
        max_shift: float = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        final_sigmas_type: str = "zero",
        lambda_min_clipped: float = -float("inf"),
        variance_type: str | None = None,
        timestep_spacing: str = "linspace",
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
        solver_parameters: dict[str, float] | None = None,
    ) -> None:
        kinds = ("epsilon", "sample", "v_prediction", "flow_prediction")
        if prediction_type not in kinds:
            raise ValueError(f"prediction_type must be one of {kinds}; found {prediction_type!r}")
        if final_sigmas_type not in ("zero", "sigma_min"):
            raise ValueError(
                f"final_sigmas_type must be zero or sigma_min; found {final_sigmas_type!r}"
            )
        check_parameters(type(self).coefficients, solver_parameters)
        self.alphas_cumprod = train_alphas_cumprod(self.config)
        self.init_noise_sigma = 1.0
        self._levels = train_levels(self.alphas_cumprod)
        self.sigmas = self._levels.float()
        self.timesteps = torch.arange(num_train_timesteps - 1, -1, -1)
        self.num_inference_steps = None
        self.reset([], self._levels)

    @classmethod
    def from_config(  # type: ignore[override, unused-ignore]
        cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any
    ) -> Any:
        """As in diffusers; the config of a flow-matching scheduler has no prediction type."""
        known = config if isinstance(config, dict) else {}
        if "shift" in known and "prediction_type" not in known:
            kwargs = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, **kwargs}
        return super().from_config(config, return_unused_kwargs, **kwargs)

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)

    def _grid(
        self,
        count: int | None,
        timesteps: Sequence[float] | None,
        sigmas: Sequence[float] | None,
        mu: float | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Levels with the final one, and the model's time at each of them."""
        config, train = self.config, self.config.num_train_timesteps
        if config.use_flow_sigmas:
            if timesteps is not None:
                level = torch.as_tensor(timesteps, dtype=torch.float64) / train
            else:
                level = flow_levels(config, count, sigmas, mu)
            return torch.cat([level, level.new_zeros(1)]), level * train
        final = float(self._levels[0]) if config.final_sigmas_type == "sigma_min" else 0.0
        if sigmas is not None:
            level = torch.as_tensor(sigmas, dtype=torch.float64)
            level, final = (level[:-1], 0.0) if level[-1] == 0 else (level, final)
            time = time_of(level, self._levels)
        elif timesteps is not None:
            time = torch.as_tensor(timesteps, dtype=torch.float64)
            level = level_at(time, self._levels)
        else:
            assert count is not None
            time = spaced_times(config, count, self._levels)
            level = level_at(time, self._levels)
            shaped = shaped_levels(config, count, float(self._levels[-1]), float(self._levels[0]))
            if shaped is not None:
                level, time = shaped, time_of(shaped, self._levels)
                rounds = config.use_karras_sigmas or config.use_lu_lambdas
                rounds = rounds and config.beta_schedule != "squaredcos_cap_v2"
                time = time.round() if rounds else time.floor()  # as diffusers does
        if final and level[-1] <= final:  # the grid ends where the training schedule does
            level, time = level[level > final], time[level > final]
        return torch.cat([level, torch.tensor([final], dtype=torch.float64)]), time

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        *,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Plan a run of so many steps, or over the given timesteps or sigmas.

        Nothing changes when the grid is refused.
        """
        given = [
            name for name, v in (("timesteps", timesteps), ("sigmas", sigmas)) if v is not None
        ]
        if len(given) > 1 or (not given and num_inference_steps is None):
            raise ValueError("give one of num_inference_steps, timesteps and sigmas")
        if num_inference_steps is not None and num_inference_steps < 1:
            raise ValueError(f"num_inference_steps must be 1 or more; found {num_inference_steps}")
        level, time = self._grid(num_inference_steps, timesteps, sigmas, mu)
        rows, levels = self.plan(level)
        times = self._times(levels, level, time)
        whole = bool((times == times.round()).all()) and not self.config.use_flow_sigmas
        self.timesteps = times.to(device, torch.int64 if whole else torch.float32)
        self.sigmas = torch.cat([levels, level[-1:]]).float()
        self.num_inference_steps = len(level) - 1
        self.reset(rows, levels, level)
        self._moves = self._compilable(0)

    def _times(self, levels: torch.Tensor, level: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """The model's time at the level of each row: that of its grid point, or between two."""
        if self.config.use_flow_sigmas:
            between = levels * self.config.num_train_timesteps
        else:
            between = time_of(levels, self._levels)
        known = dict(zip(level.tolist(), time.tolist(), strict=False))
        exact = [known.get(v, t) for v, t in zip(levels.tolist(), between.tolist(), strict=True)]
        return torch.tensor(exact, dtype=torch.float64)
