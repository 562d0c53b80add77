"""An emitted sampler as a diffusers scheduler: it saves, loads and runs in their pipelines."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import (
    KarrasDiffusionSchedulers,
)

from .config import (
    EDM_KEYS,
    METHOD_KEYS,
    check_method,
    family_defaults,
    idle_keys,
    logger,
    own_keys,
    taken_over,
)
from .grid import WHOLE, distilled_times, level_at, train_alphas_cumprod, train_levels
from .levels import RunLevels
from .noise import check_parameters
from .output import CallsPerStep
from .saved import SavedWithFile
from .step import PlanSteps


class GridScheduler(RunLevels, PlanSteps, SavedWithFile, ConfigMixin):  # type: ignore[misc, unused-ignore]
    """A diffusers scheduler that walks the plan of an emitted sampler, one row per model call.

    Subclasses give `coefficients` and `advance`, the sampler's two functions, `history`, how many
    steps back it looks, `calls`, its model calls per step, `family`, the diffusers class whose
    levels, times and defaults it has, and `method`, what it does by the names of that class's keys.
    Config keys have the names and meanings of diffusers' own schedulers; None is the default of the
    family's class. `solver_parameters` goes to `coefficients`: the strength of a solver's noise is
    set there.
    """

    _compatibles = [e.name for e in KarrasDiffusionSchedulers] + [
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
    ]

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float | None = None,
        beta_end: float | None = None,
        beta_schedule: str | None = None,
        trained_betas: list[float] | None = None,
        prediction_type: str | None = None,
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        sample_max_value: float = 1.0,
        clip_sample: bool | None = None,
        clip_sample_range: float = 1.0,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        use_lu_lambdas: bool = False,
        sigma_min: float | None = None,
        sigma_max: float | None = None,
        use_flow_sigmas: bool = False,
        flow_shift: float = 1.0,
        shift: float | None = None,
        shift_once: bool = False,
        shift_terminal: float | None = None,
        use_dynamic_shifting: bool = False,
        time_shift_type: str = "exponential",
        base_shift: float = 0.5,
        max_shift: float = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        invert_sigmas: bool = False,
        sigmas_are_final: bool = False,
        final_sigmas_type: str | None = None,
        set_alpha_to_one: bool | None = None,
        lambda_min_clipped: float = -float("inf"),
        variance_type: str | None = None,
        timestep_spacing: str | None = None,
        timestep_type: str | None = None,
        timestep_rounding: str = "nearest",
        interpolation_type: str | None = None,
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
        original_inference_steps: int | None = None,
        timestep_scaling: float | None = None,
        noise_sampler_seed: int | None = None,
        solver_order: int | None = None,
        solver_type: str | None = None,
        algorithm_type: str | None = None,
        lower_order_final: bool | None = None,
        euler_at_final: bool | None = None,
        predict_x0: bool | None = None,
        disable_corrector: list[int] | None = None,
        solver_p: Any = None,
        predictor_order: int | None = None,
        corrector_order: int | None = None,
        tau_func: Any = None,
        skip_prk_steps: bool | None = None,
        stochastic_sampling: bool | None = None,
        scale_factors: list[float] | None = None,
        sigma_data: float | None = None,
        sigma_schedule: str | None = None,
        rho: float | None = None,
        solver_parameters: dict[str, float] | None = None,
    ) -> None:
        config = self.config
        honoured = ["euler_at_final"] if self.calls == 1 and not self.draws else []
        honoured += ["lower_order_final"] if self.lowers() else []
        asked = [key for key in METHOD_KEYS + EDM_KEYS if key not in honoured]
        check_method(
            self.solver, self.method, {k: config[k] for k in asked if config[k] is not None}
        )
        open_keys = {k: v for k, v in family_defaults(self.family).items() if config[k] is None}
        if set_alpha_to_one is not None and "set_alpha_to_one" not in own_keys(self.family):
            open_keys.pop("final_sigmas_type", None)  # both say where a run ends
        if config.shift is None and "shift" in own_keys(self.family):
            open_keys["shift"] = 1.0
        matching = config.shift is not None or "shift" in open_keys
        self._flow = bool(config.use_flow_sigmas or matching)
        if matching:  # pipelines keep back their sigmas from a config with the key of other classes
            open_keys["use_flow_sigmas"] = False
            open_keys |= {"prediction_type": "flow_prediction"} if prediction_type is None else {}
        if clip_sample is None and self._flow:
            open_keys["clip_sample"] = False  # of classes that know no flow
        self.register_to_config(**open_keys)
        config = self.config
        for key, known in KNOWN.items():
            if config[key] not in known:
                words = ", ".join(str(value) for value in known)
                raise ValueError(f"{key} must be one of {words}; found {config[key]!r}")
        if self.family in ("LCM", "TCD") and config.timestep_type == "continuous":
            raise ValueError(
                "timestep_type = 'continuous' and the timesteps of a consistency model exclude each "
                "other; export another solver"
            )
        learned = config.variance_type in ("learned", "learned_range")
        if learned and self.family == "DDPM":
            raise ValueError(
                f"variance_type = {config.variance_type!r}: this scheduler draws with its own "
                "variance; for a network that learns it run the sampler with "
                "solvergen.hosts.variance.LearnedVariance"
            )
        check_parameters(type(self).coefficients, solver_parameters)
        usual = {k: p.default for k, p in inspect.signature(type(self)).parameters.items()}
        if idle := idle_keys(config, usual, self._flow):
            logger.warning(f"without effect in this config: {', '.join(idle)}")
        self.alphas_cumprod = train_alphas_cumprod(config, self.family)
        self.init_noise_sigma = 1.0
        self._levels = train_levels(self.alphas_cumprod)
        self.sigmas = self._levels.float()
        self.timesteps = torch.arange(num_train_timesteps - 1, -1, -1)
        self.num_inference_steps = None
        self.order = self.calls
        self._shift: float | None = None
        self.reset([], self._levels)

    @classmethod
    def from_config(  # type: ignore[override, unused-ignore]
        cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any
    ) -> Any:
        """As in diffusers; the config of a flow-matching scheduler has no prediction type."""
        if isinstance(config, dict):
            config = taken_over(cls.family, cls.solver, cls.method, config)
        return super().from_config(config, return_unused_kwargs, **kwargs)

    def set_shift(self, shift: float) -> None:
        """Take another static shift of flow levels, as FlowMatchEulerDiscreteScheduler does."""
        if not 0 < shift < float("inf"):
            raise ValueError(f"the shift of times must be above 0 and finite; found {shift}")
        self._shift = shift

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        *,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
        original_inference_steps: int | None = None,
        strength: float | None = None,
    ) -> None:
        """Plan a run of so many steps, or over the given timesteps or sigmas.

        mu: the shift of this run, where the config asks for dynamic shifting.
        original_inference_steps, strength: of consistency models (LCM, TCD).

        Nothing changes when the grid is refused.
        """
        given = {"timesteps": timesteps, "sigmas": sigmas}
        lists = {name: len(values) for name, values in given.items() if values is not None}
        if len(lists) > 1 or (not lists and num_inference_steps is None):
            raise ValueError("give one of num_inference_steps, timesteps and sigmas")
        count = 1 if num_inference_steps is None else num_inference_steps
        if count < 1 or count != int(count):
            raise ValueError(
                f"num_inference_steps must be a whole number, 1 or more; found {num_inference_steps}"
            )
        for name, size in lists.items():
            if num_inference_steps not in (None, size):
                raise ValueError(f"{size} {name} for num_inference_steps = {num_inference_steps}")
        distilled = self.family in ("LCM", "TCD")
        if not distilled and (original_inference_steps, strength) != (None, None):
            raise ValueError(
                "original_inference_steps and strength are of LCM and TCD; for image to image the "
                "pipeline slices the timesteps"
            )
        part = 1.0 if strength is None else strength
        if self._flow:
            level, time = self._flow_grid(num_inference_steps, timesteps, sigmas, mu)
        elif distilled and not lists:
            count = num_inference_steps or 0
            time = distilled_times(self.config, self.family, count, original_inference_steps, part)
            level, time = self._ended(level_at(time, self._levels), time, shaped=False)
        else:
            level, time = self._grid(num_inference_steps, timesteps, sigmas)
        self._eta = None
        self._settle(level, time, device)

    def _replan(self, eta: float | None, index: int) -> None:
        """Plan the same run with another strength of noise, before its first step."""
        begin, sampler = self._begin_index, self.noise_sampler
        before, self._eta = self._eta, eta
        try:
            self._settle(*self._made, self.timesteps.device)
        except ValueError:
            self._eta = before
            raise
        self._begin_index, self.noise_sampler = begin, sampler

    def _settle(self, level: torch.Tensor, time: torch.Tensor, device: Any) -> None:
        """Plan on levels and the times told at them, and take the plan over."""
        known, made = dict(zip(level.tolist(), time.tolist(), strict=False)), (level, time)
        if self.family == "TCD" and not self._flow:
            level = self._undershot(level, time)
        still = len(level) > 1 and bool(level[-1] == level[-2])  # a last step of length zero
        grid = level[:-1] if still else level
        rows, levels = self.plan(grid, still) if len(grid) > 1 else ([], level.new_zeros(0))
        if still:
            levels = torch.cat([levels, level[-1:]])
        times = self._times(levels, known)
        whole = bool((times == times.round()).all()) and self.family in WHOLE
        whole = whole and not self._flow
        told = times
        if self.config.invert_sigmas:
            told = self.config.num_train_timesteps - times
        told = told.to(torch.int64 if whole else torch.float32)
        self.timesteps = told.to(device)
        ends = torch.cat([levels, level[-1:]]).float()
        self.sigmas = 1 - ends if self.config.invert_sigmas else ends
        self.num_inference_steps = len(time)
        self.init_noise_sigma = self._first_size(level)
        self.reset(rows, levels, grid)
        self._told, self._moves = told.tolist(), self._compilable(0)
        self._made, self._plan_eta = made, self._eta
        self.order = CallsPerStep.of(self.calls, self._starts(made[0], level))

    def _starts(self, wanted: torch.Tensor, level: torch.Tensor) -> list[int]:
        """The row that opens the step at each wanted level of the grid, and the number of rows."""
        opens: dict[int, int] = {}
        for k, row in enumerate(self._rows):
            opens.setdefault(row[0], k)
        values, count = self._row_levels.tolist(), len(self._row_levels)
        found, place, grid = [0], 0, level.tolist()
        for value in wanted[1:-1].tolist():
            place = grid.index(value, place + 1)
            inside = [k for k in range(found[-1] + 1, count) if values[k] == value]
            later = [k for step, k in opens.items() if step >= place]
            still = [count - 1] if place >= len(grid) - 2 and count > len(self._rows) else []
            found.append(opens.get(place) or (still or inside or later or [count])[0])
        return [*found, count]


KNOWN = {
    "prediction_type": ("epsilon", "sample", "v_prediction", "flow_prediction"),
    "final_sigmas_type": ("zero", "sigma_min", None),
    "time_shift_type": ("exponential", "linear"),
    "timestep_rounding": ("nearest", "exact", "diffusers"),
    "interpolation_type": ("linear", "log_linear"),
    "timestep_type": ("discrete", "continuous"),
}
