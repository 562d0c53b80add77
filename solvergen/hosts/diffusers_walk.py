"""Walking the plan of an emitted sampler one model call at a time, as diffusers' pipelines do."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils.outputs import BaseOutput

from .diffusers_compiled import CompiledSteps
from .diffusers_grid import level_at, threshold
from .diffusers_noise import noise_source, strength_of


@dataclass
class StepOutput(BaseOutput):
    """The state for the next model call, and the data prediction of this one.

    The second has each of the names under which diffusers' outputs have it.
    """

    prev_sample: torch.Tensor
    pred_original_sample: torch.Tensor | None = None

    @property
    def denoised(self) -> torch.Tensor | None:
        """The data prediction, by the name of LCM's output."""
        return self.pred_original_sample


class CallsPerStep(int):
    """The number of model calls a step, for runs in which not every step has it.

    Pipelines find the model call that opens step i at `i * order`; here that product is looked up in
    the plan. In all else it is the usual number of calls.
    """

    starts: list[int]

    @classmethod
    def of(cls, calls: int, starts: Sequence[int]) -> int:
        """An int if it opens every step, else one whose products do.

        Args:
            calls: of a usual step.
            starts: the model call that opens each step, and one more entry for the end.
        """
        usual = starts[1] if len(starts) > 2 else calls
        if all(start == i * usual for i, start in enumerate(starts[:-1])):
            return int(usual)
        made = cls(calls)
        made.starts = list(starts)
        return made

    def __mul__(self, step: int) -> int:
        """The model call that opens a step."""
        if isinstance(step, int) and 0 <= step < len(self.starts):
            return self.starts[step]
        return int(self) * step

    __rmul__ = __mul__


class PlanWalk(CompiledSteps):
    """The state of a run and its steps; a grid of levels is planned elsewhere.

    Subclasses give `coefficients` and `advance`, the sampler's functions `coefficients` and `step`,
    `history`, how many steps back it looks, `calls`, its model calls a step, `draws`, whether it
    draws noise, `velocity`, whether its rule is one in the velocity, and `solver`, `family` and `method`, its name, the diffusers class that it stands in for, and what it does by that
    class's keys.

    A scheduler is one run at a time: a step from a second thread in the middle of it is refused.
    Steps of a solver without noise compile whole (see `CompiledSteps`).

    Noise is drawn in `step`, in the order and the manner of diffusers. Noise that comes before a
    model call is added at the end of the step before it, since pipelines call the model themselves;
    before the first call there is none to add: pipelines begin at the level of that call.

    noise_sampler: where it is set, (sigma, sigma_next) -> noise like the sample replaces the
        generator's draws; levels are σ/α. Pipelines that pass no generator to `step` draw from
        torch's own unless this is set.
    """

    coefficients: Callable[..., Any]
    advance: Callable[..., Any]
    history: int
    calls: int
    draws: bool
    velocity: bool
    solver: str
    family: str
    method: dict[str, Any]
    order: int
    noise_sampler: Callable[[Any, Any], torch.Tensor] | None = None
    config: Any
    timesteps: torch.Tensor
    num_inference_steps: int | None
    alphas_cumprod: torch.Tensor
    _levels: torch.Tensor
    _eta: float | None
    _plan_eta: float | None

    def _replan(self, eta: float | None, index: int) -> None:
        """Plan the same run with another strength of noise; of the class that makes grids."""
        raise NotImplementedError

    def reset(
        self, rows: list[Any], levels: torch.Tensor, grid: torch.Tensor | None = None
    ) -> None:
        """Forget the last run; take the rows of a new plan, their levels and its grid."""
        self._rows, self._row_levels, self._grid_levels = rows, levels, grid
        self._walk: dict[int, tuple[str, Any, tuple[float, float]]] = {}
        self._memory: tuple[torch.Tensor, ...] = ()
        self._step_index: int | None = None
        self._begin_index: int | None = None
        self._thread: int | None = threading.get_ident()
        self._moves = None
        self._clips = bool(self.config.thresholding or self.config.clip_sample)
        self._learned = self.config.variance_type in ("learned", "learned_range")
        self._consistent = self.family == "LCM" and not self.config.use_flow_sigmas
        self._calls_made = 0
        self._seen: list[torch.Tensor] = []
        self._own_generator: torch.Generator | None = None

    @property
    def step_index(self) -> int | None:
        """Index of the next model call in `timesteps`; None before the first."""
        if self._counted():
            return (self._begin_index or 0) + int(self._memory[0])
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """Where the run begins, if the pipeline has said so."""
        return self._begin_index

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Say where in `timesteps` the run begins (img2img starts in the middle)."""
        self._begin_index, self._moves = begin_index, None
        if self._step_index is None and self._rows:
            self._moves = self._compilable(begin_index)

    def scale_model_input(self, sample: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The sample itself: the model's input is x = α x0 + σ ε."""
        return sample

    def scales(self, level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """α and σ at levels."""
        if self.config.use_flow_sigmas:
            return 1 - level, level
        alpha = (1 + level**2).rsqrt()
        return alpha, torch.where(level.isinf(), torch.ones_like(level), level * alpha)

    def plan(self, level: torch.Tensor) -> tuple[list[Any], torch.Tensor]:
        """The sampler's plan on a grid of levels, and the level of each of its rows."""
        alpha, sigma = self.scales(level)
        if self.velocity and self.config.use_flow_sigmas:
            # A rule in the velocity is regular where alpha is 0, but files take a DDIM step there,
            # as rules in the data must: from the least alpha that they do not take for 0 they do not.
            alpha = alpha.clamp_min(2.0**-19)
        parameters = dict(self.config.solver_parameters or {})
        if self._eta is not None and self.family != "TCD":
            parameters["eta"] = self._eta
        rows = type(self).coefficients(sigma, alpha, **parameters)
        at = torch.stack([row[2] for row in rows])
        if not self.config.use_flow_sigmas:
            at = at / (1 - at**2).clamp_min(1e-300).sqrt()
        exact = dict(zip(sigma.tolist(), level.tolist(), strict=True))
        values = [exact.get(float(row[2]), v) for row, v in zip(rows, at.tolist(), strict=True)]
        return rows, torch.tensor(values, dtype=torch.float64)

    def index_for_timestep(
        self, timestep: float | torch.Tensor, schedule_timesteps: torch.Tensor | None = None
    ) -> int:
        """Where a run that begins at this time begins: at the opening of a step.

        Times are equal for one level only: at the end of a step and where the next one opens. A run
        that goes through a level more than once begins at its first passage.
        """
        times = self.timesteps if schedule_timesteps is None else schedule_timesteps
        found = (times.cpu() == torch.as_tensor(timestep).cpu()).nonzero().flatten().tolist()
        if not found:
            raise ValueError(
                f"timestep {float(timestep)} is not in the schedule; use scheduler.timesteps"
            )
        opening = [k for k in found if self._opens(k)] or found
        return int(opening[0])

    def _opens(self, k: int) -> bool:
        """Whether a row is the first of its step; a last step of length zero is one."""
        return k in (0, len(self._rows)) or (
            k < len(self._rows) and self._rows[k][0] != self._rows[k - 1][0]
        )

    def _begin(self, index: int) -> dict[int, tuple[str, Any, tuple[float, float]]]:
        """(kind, row, weights of the denoised prediction) by index, for a run that begins there.

        A solver with history has its plan made anew from that step, so that history begins there.
        Where its model calls then differ from those listed, the listed rows stand and history is
        the first evaluation; a run that begins inside a step goes to the next one by DDIM.
        """
        count = len(self._row_levels)
        if self._grid_levels is None or not 0 <= index < count:
            raise ValueError(f"cannot begin at index {index} of {count} model calls")
        opening, chosen = index, {}
        while opening < len(self._rows) and not self._opens(opening):
            opening += 1
        ends = [*self._row_levels[index + 1 : opening].tolist(), self._end(opening)]
        for k in range(index, opening):
            chosen[k] = ("ddim", self._ddim(float(self._row_levels[k]), ends[k - index]))
        if opening < len(self._rows):
            rows, kind = self._rows[opening:], ""
            if self.history and opening:
                fresh, levels = self.plan(self._grid_levels[rows[0][0] :])
                known = self._row_levels[opening:]
                same = len(levels) == len(known) and torch.allclose(levels, known, rtol=1e-9)
                rows, kind = (fresh, "") if same else (rows, "fill")
            for k, row in enumerate(rows, opening):
                chosen[k] = (kind if k == opening else "", row)
        for k in range(max(index, len(self._rows)), count):
            chosen[k] = ("ddim", (torch.ones(()), torch.zeros(())))
        self._close(chosen)
        intakes = self._intakes(index)
        return {k: (kind, row, intakes[k - index]) for k, (kind, row) in chosen.items()}

    def _close(self, chosen: dict[int, tuple[str, Any]]) -> None:
        """Make the last step one of DDIM, where the config asks for it (`closing`)."""
        last, config = len(self._rows) - 1, self.config
        short = self.lowers() and len(self._row_levels) < 15
        lower = short and config.lower_order_final in (None, True)
        if last in chosen and (lower or config.euler_at_final):
            ends = self._grid_levels[-2:].tolist()  # type: ignore[index]
            chosen[last] = ("ddim", self._ddim(*ends))

    @classmethod
    def lowers(cls) -> bool:
        """Whether a last step of DDIM is what `lower_order_final` means for this solver."""
        known = "solver_order" in cls.method and not cls.method.get("lower_order_final")
        once = cls.calls == cls.history == 1 and not cls.draws
        return cls.family == "DPMSolverMultistep" and known and once

    def _end(self, opening: int) -> float:
        """Level at which the step before this row ends, before noise leads up from there."""
        levels = self._grid_levels.tolist()  # type: ignore[union-attr]
        place = self._rows[opening][0] if opening < len(self._rows) else len(levels) - 1
        while place and levels[place - 1] < levels[place]:
            place -= 1
        return float(levels[place])

    def _ddim(self, level: float, end: float) -> tuple[torch.Tensor, ...]:
        """Weights of x and the denoised prediction that go from one level to another."""
        a, s = self.scales(torch.tensor([level, end], dtype=torch.float64))
        return s[1] / s[0], a[1] - a[0] * s[1] / s[0]

    def _intakes(self, index: int) -> list[tuple[float, float]]:
        """For each row from index on, weights of sample and model output in the prediction of x0."""
        kind, scales = self.config.prediction_type, self.scales(self._row_levels[index:])
        pairs = list(zip(*(scale.tolist() for scale in scales), strict=True))
        if self.config.invert_sigmas:
            pairs = [(alpha, -sigma) for alpha, sigma in pairs]  # velocity points to the data
        if kind == "epsilon":
            if any(alpha == 0 for alpha, _ in pairs):
                raise ValueError(
                    "where alpha is 0 an epsilon prediction says nothing of the data; set "
                    "prediction_type to v_prediction or sample, or end the schedule above zero SNR"
                )
            return [(1 / alpha, -sigma / alpha) for alpha, sigma in pairs]
        if kind == "sample":
            return [(0.0, 1.0)] * len(pairs)
        return [(alpha if kind == "v_prediction" else 1.0, -sigma) for alpha, sigma in pairs]

    def convert_model_output(
        self, model_output: torch.Tensor, sample: torch.Tensor, weights: Any
    ) -> torch.Tensor:
        """The denoised prediction, before it is clipped."""
        of_sample, of_output = weights
        if of_sample == 0 and of_output == 1:
            return model_output
        if of_sample == 1:
            return torch.add(sample, model_output, alpha=of_output)
        return (sample * of_sample).add_(model_output, alpha=of_output)

    def _clipped(self, denoised: torch.Tensor) -> torch.Tensor:
        """The denoised prediction, thresholded or clipped as the config asks."""
        config = self.config
        if config.thresholding:
            return threshold(denoised, config.dynamic_thresholding_ratio, config.sample_max_value)
        return denoised.clamp(-config.clip_sample_range, config.clip_sample_range)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: float | torch.Tensor,
        sample: torch.Tensor,
        eta: float | None = None,
        use_clipped_model_output: bool | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        variance_noise: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> StepOutput | tuple[torch.Tensor, ...]:
        """Take one model output and return the sample for the next entry of `timesteps`.

        Nothing changes when the output is refused.

        Args:
            model_output: what the network returned at the time and the sample.
            timestep: the entry of `timesteps`.
            sample: the state that the network was called on.
            eta: the strength of the noise of solvers that have this parameter (DDIM, ancestral, and
                TCD's γ); 0, which pipelines pass unasked, where `solver_parameters` sets it already.
            use_clipped_model_output: of DDIM and TCD: whether the noise prediction follows from the clipped
                data prediction; other solvers have it so.
            generator: that of the noise, one or one per sample.
            variance_noise: the draw of this step, in place of the generator's.
            return_dict: False for a tuple, whose first entry is the sample.
        """
        if self.num_inference_steps is None:
            raise ValueError("call set_timesteps before the first step")
        if self._learned:
            model_output = model_output[:, : sample.shape[1]]
        if torch.compiler.is_compiling():
            self._fits(model_output, sample, self._memory[1:])  # the first counts steps
            given = (eta or None, use_clipped_model_output, generator, variance_noise)
            return self._result(*self._compiled_step(model_output, sample, given), return_dict)
        if self._counted():
            raise ValueError("this run has compiled steps; compile the rest, or set_timesteps anew")
        if self._thread is not None and self._thread != threading.get_ident():
            raise ValueError(
                "another thread is in the middle of a run of this scheduler, or has set its timesteps; "
                "give each thread its own scheduler (copy.deepcopy), and call set_timesteps in it"
            )
        index, walk = self._place(timestep, eta)
        self._check(model_output, sample, first=self._step_index is None)
        x, output = sample, model_output
        if x.element_size() < 4 or output.dtype != x.dtype:
            wide = torch.promote_types(x.dtype, torch.float32)
            x, output = x.to(wide), output.to(wide)
        kind, row, intake = walk[index]
        denoised = self.convert_model_output(output, x, intake)
        if self._clips:
            clipped = self._clipped(denoised)
            if self.family in ("DDIM", "TCD") and not use_clipped_model_output:
                x = torch.add(x, clipped - denoised, alpha=self._alpha(index))
            denoised = clipped
        if self._consistent:
            denoised = self._bounded(x, denoised, float(self.timesteps[index]))
        lifts = walk[index + 1][1][5:6] if index + 1 in walk else ()
        if row[4:] or lifts:
            draw = noise_source(x, self._generator(generator), self.noise_sampler, variance_noise)
        advance, memory = type(self).advance, self._memory
        if kind == "ddim":
            following, memory = (row[0].item() * x).add_(denoised, alpha=row[1].item()), ()
        else:
            drawn = {"noise": [draw(levels) for levels in row[4]]} if row[4:] else {}
            if kind == "fill":
                memory = _filled(x, advance(row, x, denoised, (), **drawn)[1])
            following, memory = advance(row, x, denoised, memory, **drawn)
        for keep, spread, *levels in lifts[0] if lifts else ():  # noise before the next call
            following = keep * following + spread * draw(levels)
        self._walk, self._memory, self._step_index = walk, memory, index + 1
        self._thread = threading.get_ident() if index + 1 in walk else None
        if following.dtype != sample.dtype:
            following, denoised = following.to(sample.dtype), denoised.to(sample.dtype)
        if self._seen and index + 1 not in walk:
            self._look()
        return self._result(following, denoised, return_dict)

    def _result(
        self, previous: torch.Tensor, denoised: torch.Tensor, return_dict: bool
    ) -> StepOutput | tuple[torch.Tensor, ...]:
        """What the pipelines of this family unpack."""
        if return_dict:
            return StepOutput(previous, denoised)
        return (previous,) if self.family in ONE_RESULT else (previous, denoised)

    def _alpha(self, index: int) -> float:
        """α at the level of a row."""
        return float(self.scales(self._row_levels[index : index + 1])[0])

    def _bounded(self, x: torch.Tensor, denoised: torch.Tensor, time: float) -> torch.Tensor:
        """The consistency model that is the identity at timestep 0 (Luo et al. 2023)."""
        scaled = time * self.config.timestep_scaling
        size = math.hypot(scaled, 0.5)
        return (x * (0.5 / size) ** 2).add_(denoised, alpha=scaled / size)

    def _generator(self, given: Any) -> Any:
        """The generator of the call, or one of `noise_sampler_seed`."""
        seed = self.config.noise_sampler_seed
        if given is not None or seed is None:
            return given
        if self._own_generator is None:
            self._own_generator = torch.Generator().manual_seed(seed)
        return self._own_generator

    def _place(
        self, timestep: float | torch.Tensor, eta: float | None
    ) -> tuple[int, dict[int, Any]]:
        """The entry of `timesteps` that is next, and the run to which it belongs."""
        index, walk = self._step_index, self._walk
        strength = None
        if eta is not None:
            parameters = self.config.solver_parameters
            strength = strength_of(
                eta, type(self).coefficients, parameters, self.family, self.solver
            )
        if index is None:
            index = self._begin_index
            index = self.index_for_timestep(timestep) if index is None else index
            if strength != self._plan_eta:
                self._replan(strength, index)
            walk = self._begin(index)
        elif strength != self._plan_eta:
            raise ValueError(
                f"this run has eta = {self._plan_eta}; found {strength} in the middle of it"
            )
        if index not in walk:
            raise ValueError("the run is over; call set_timesteps to begin another")
        return index, walk

    def _check(self, model_output: torch.Tensor, sample: torch.Tensor, first: bool) -> None:
        """Refuse what cannot be stepped with, before anything changes."""
        if not torch.is_tensor(model_output):
            raise ValueError(
                f"model call {self._calls_made} returned {type(model_output).__name__}; pass its tensor to step, as "
                "`network(x, t).sample` or `network(x, t, return_dict=False)[0]`"
            )
        self._fits(model_output, sample, () if first else self._memory)
        if model_output.is_cpu:
            if not math.isfinite(model_output.sum()) and not bool(model_output.isfinite().all()):
                self._blame(self._calls_made, model_output, sample)
        else:
            self._seen.append(model_output.isfinite().all() | ~sample.isfinite().all())
        self._calls_made += 1

    def _fits(
        self, model_output: torch.Tensor, sample: torch.Tensor, memory: tuple[torch.Tensor, ...]
    ) -> None:
        """Refuse an output, or a sample, of another shape or device than the run's."""
        if model_output.shape != sample.shape or model_output.device != sample.device:
            raise ValueError(
                f"model call {self._calls_made}: model_output {tuple(model_output.shape)} on {model_output.device} does "
                f"not fit sample {tuple(sample.shape)} on {sample.device}"
            )
        if any(torch.is_tensor(m) and m.shape != sample.shape for m in memory):
            raise ValueError(
                f"the batch changed to {tuple(sample.shape)} during a run; call set_timesteps"
            )

    def _blame(self, call: int, model_output: torch.Tensor, sample: torch.Tensor) -> None:
        found = "NaN" if bool(model_output.isnan().any()) else "inf"
        source = "the sample, which it was given, is free of it"
        if not bool(sample.isfinite().all()):
            source = "the sample, which it was given, is not finite either"
        raise ValueError(
            f"the model returned {found} at call {call} ({source}); float16 overflows: run the "
            "network in bfloat16 or float32"
        )

    def _look(self) -> None:
        """At the end of a run on a device: whether a model call was not finite, with one transfer."""
        bad = (~torch.stack(self._seen)).nonzero().flatten().tolist()
        self._seen = []
        if bad:
            raise ValueError(
                f"the model returned NaN or inf at call {bad[0]}, from a sample that was finite; "
                "float16 overflows: run the network in bfloat16 or float32"
            )

    def _noise_scales(
        self, timesteps: torch.Tensor, sample: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """α and σ at times, shaped to multiply a batch."""
        times = torch.as_tensor(timesteps).reshape(-1).cpu()
        index = self._begin_index if self._step_index is None else self._step_index
        if index is not None and self._rows:
            levels = [*self._row_levels.tolist(), float(self._grid_levels[-1])]  # type: ignore
            level = torch.tensor([levels[index]], dtype=torch.float64).expand(len(times))
        elif self._rows and all((self.timesteps.cpu() == t).any() for t in times):
            level = self._row_levels[[self.index_for_timestep(t) for t in times]]
        elif self.config.use_flow_sigmas:
            level = times.double() / self.config.num_train_timesteps
        else:
            level = level_at(times.double(), self._levels)
        alpha, sigma = self.scales(level)
        shape = (-1, *[1] * (sample.ndim - 1))
        pair = (value.to(sample.dtype).to(sample.device) for value in (alpha, sigma))
        alpha, sigma = (value.reshape(shape) for value in pair)
        return alpha, sigma

    def add_noise(
        self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """α x0 + σ ε at the given times."""
        alpha, sigma = self._noise_scales(timesteps, original_samples)
        return alpha * original_samples + sigma * noise

    def scale_noise(
        self,
        sample: torch.Tensor,
        timestep: float | torch.Tensor,
        noise: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The same with flow-matching pipelines' order of arguments."""
        if noise is None:
            raise ValueError("scale_noise needs the noise to mix in")
        return self.add_noise(sample, noise, torch.as_tensor(timestep))

    def get_velocity(
        self, sample: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """The target of v-prediction training, α ε − σ x0."""
        alpha, sigma = self._noise_scales(timesteps, sample)
        return alpha * noise - sigma * sample


# Whose step returns the sample alone, where a tuple is asked for.
ONE_RESULT = (
    "DPMSolverMultistep",
    "DPMSolverSinglestep",
    "UniPCMultistep",
    "DEISMultistep",
    "SASolver",
    "PNDM",
    "FlowMatchEulerDiscrete",
    "FlowMatchHeunDiscrete",
)


def _filled(x: torch.Tensor, memory: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    """What a step from x that knew no past leaves, its one evaluation in the place of every earlier."""
    held = [m for m in memory if torch.is_tensor(m)]
    size = len(held) - 2 if any(m is x for m in held) else len(held)
    return tuple([next(m for m in held if m is not x)] * size) if size else ()
