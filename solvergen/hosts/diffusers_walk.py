"""Walking the plan of an emitted sampler one model call at a time, as diffusers' pipelines do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from .diffusers_grid import level_at, threshold
from .diffusers_noise import check_strength, noise_source


class PlanWalk:
    """The state of a run and its steps; a grid of levels is planned elsewhere.

    Subclasses give `coefficients` and `advance`, the sampler's functions `coefficients` and `step`,
    and `history`, how many steps back it looks.

    Noise is drawn in `step`, in the order and the manner of diffusers. Noise that comes before a
    model call is added at the end of the step before it, since pipelines call the model themselves;
    before the first call there is none to add: pipelines begin at the level of that call.

    A run belongs to the thread that set its timesteps; another thread's steps are refused. Compiled
    by `torch.compile(scheduler.step, fullgraph=True)`, steps of a solver without noise are one graph
    for the first call of a run and one for all later ones.

    noise_sampler: where it is set, (sigma, sigma_next) -> noise like the sample replaces the
        generator's draws; levels are σ/α. Pipelines that pass no generator to `step` draw from
        torch's own unless this is set.
    """

    coefficients: Callable[..., Any]
    advance: Callable[..., Any]
    history: int
    noise_sampler: Callable[[Any, Any], torch.Tensor] | None = None
    config: Any
    timesteps: torch.Tensor
    num_inference_steps: int | None
    alphas_cumprod: torch.Tensor
    _levels: torch.Tensor

    def reset(
        self, rows: list[Any], levels: torch.Tensor, grid: torch.Tensor | None = None
    ) -> None:
        """Forget the last run; take the rows of a new plan, their levels and its grid."""
        self._rows, self._row_levels, self._grid_levels = rows, levels, grid
        self._thread, self._thresholds = threading.get_ident(), self.config.thresholding
        self._learned = self.config.variance_type in ("learned", "learned_range")
        self._moves: tuple[torch.Tensor, torch.Tensor] | None = None
        self._walk: dict[int, tuple[str, Any, tuple[float, float]]] = {}
        self._memory: tuple[torch.Tensor, ...] = ()
        self._step_index: int | None = None
        self._begin_index: int | None = None

    @property
    def step_index(self) -> int | None:
        """Index of the next model call in `timesteps`; None before the first."""
        if self._counted():
            return (self._begin_index or 0) + int(self._memory[0])
        return self._step_index

    def _counted(self) -> bool:
        """Whether the steps of this run were compiled, so that a tensor counts them."""
        return bool(self._memory) and self._memory[0].dtype == torch.int64

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
        return alpha, level * alpha

    def plan(self, level: torch.Tensor) -> tuple[list[Any], torch.Tensor]:
        """The sampler's plan on a grid of levels, and the level of each of its rows."""
        alpha, sigma = self.scales(level)
        rows = type(self).coefficients(sigma, alpha, **(self.config.solver_parameters or {}))
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

        Of two equal times the second is taken, so that img2img does not skip a level; but a run
        from the first time is a whole run.
        """
        times = self.timesteps if schedule_timesteps is None else schedule_timesteps
        found = (times.cpu() == torch.as_tensor(timestep).cpu()).nonzero().flatten().tolist()
        if not found:
            raise ValueError(
                f"timestep {float(timestep)} is not in the schedule; use scheduler.timesteps"
            )
        opening = [k for k in found if k < len(self._rows) and self._opens(k)] or found
        return int(opening[1] if len(opening) > 1 and opening[0] else opening[0])

    def _opens(self, k: int) -> bool:
        """Whether a row is the first of its step."""
        return k == 0 or self._rows[k][0] != self._rows[k - 1][0]

    def _begin(self, index: int) -> dict[int, tuple[str, Any, tuple[float, float]]]:
        """(kind, row, weights of the denoised prediction) by index, for a run that begins there.

        A solver with history has its plan made anew from that step, so that history begins there.
        Where its model calls then differ from those listed, the listed rows stand and history is
        the first evaluation; a run that begins inside a step goes to the next one by DDIM.
        """
        if self._grid_levels is None or not 0 <= index < len(self._rows):
            raise ValueError(f"cannot begin at index {index} of {len(self._rows)} model calls")
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
        intakes = self._intakes(index)
        return {k: (kind, row, intakes[k - index]) for k, (kind, row) in chosen.items()}

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
        if kind == "epsilon":
            if any(alpha == 0 for alpha, _ in pairs):
                raise ValueError("where alpha is 0 an epsilon prediction tells nothing of the data")
            return [(1 / alpha, -sigma / alpha) for alpha, sigma in pairs]
        if kind == "sample":
            return [(0.0, 1.0)] * len(pairs)
        return [(alpha if kind == "v_prediction" else 1.0, -sigma) for alpha, sigma in pairs]

    def convert_model_output(
        self, model_output: torch.Tensor, sample: torch.Tensor, weights: Any
    ) -> torch.Tensor:
        """The denoised prediction, thresholded where the config asks for it."""
        of_sample, of_output = weights
        if of_sample == 0:
            denoised = model_output
        elif of_sample == 1:
            denoised = torch.add(sample, model_output, alpha=of_output)
        else:
            denoised = (sample * of_sample).add_(model_output, alpha=of_output)
        if not self._thresholds:
            return denoised
        config = self.config
        return threshold(denoised, config.dynamic_thresholding_ratio, config.sample_max_value)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: float | torch.Tensor,
        sample: torch.Tensor,
        eta: float = 0.0,
        use_clipped_model_output: bool | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """Take one model output and return the sample for the next entry of `timesteps`.

        Nothing changes when the output is refused. The generator (one, or one per sample) is that
        of the noise. eta is what pipelines of DDIM pass: 0, which leaves the solver's own strength
        as it is, or the value that `solver_parameters` has for it.
        """
        if eta:
            check_strength(eta, type(self).coefficients, self.config.solver_parameters)
        if self.num_inference_steps is None:
            raise ValueError("call set_timesteps before the first step")
        if self._learned:
            model_output = model_output[:, : sample.shape[1]]
        if torch.compiler.is_compiling():
            previous = self._compiled_step(model_output, sample, generator)
        else:
            previous = self._step(model_output, timestep, sample, generator)
        return SchedulerOutput(prev_sample=previous) if return_dict else (previous,)

    def _step(
        self, model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, generator: Any
    ) -> torch.Tensor:
        if threading.get_ident() != self._thread:
            raise ValueError(
                "another thread set the timesteps of this run; give each thread its own scheduler, "
                "type(scheduler).from_config(scheduler.config)"
            )
        if self._counted():
            raise ValueError("this run has compiled steps; compile the rest, or set_timesteps anew")
        index, walk = self._place(timestep)
        self._check(model_output, sample, first=self._step_index is None)
        x, output = sample, model_output
        if x.element_size() < 4 or output.dtype != x.dtype:
            wide = torch.promote_types(x.dtype, torch.float32)
            x, output = x.to(wide), output.to(wide)
        kind, row, intake = walk[index]
        denoised = self.convert_model_output(output, x, intake)
        lifts = walk[index + 1][1][5:6] if index + 1 in walk else ()
        if row[4:] or lifts:
            draw = noise_source(x, generator, self.noise_sampler)
        advance, memory = type(self).advance, self._memory
        if kind == "ddim":
            following, memory = (row[0] * x).add_(denoised, alpha=row[1].item()), ()
        else:
            drawn = {"noise": [draw(levels) for levels in row[4]]} if row[4:] else {}
            if kind == "fill":
                memory = _filled(x, advance(row, x, denoised, (), **drawn)[1])
            following, memory = advance(row, x, denoised, memory, **drawn)
        for keep, spread, *levels in lifts[0] if lifts else ():  # noise before the next call
            following = keep * following + spread * draw(levels)
        self._walk, self._memory, self._step_index = walk, memory, index + 1
        return following if following.dtype == sample.dtype else following.to(sample.dtype)

    def _compilable(self, index: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Matrices of all steps from an index on, and their weights of sample and model output.

        None where a compiled step is not possible: noise, or a begin inside a step or a plan.
        """
        try:
            walk = self._begin(index)
        except ValueError:
            return None
        plan = self._rows
        if self.history and index:
            plan = self.plan(self._grid_levels[self._rows[index][0] :])[0]  # type: ignore[index]
        tensors = getattr(plan, "tensors", None)
        noisy = any(len(row) > 4 for row in plan)
        if noisy or tensors is None or any(kind for kind, _, _ in walk.values()):
            return None
        moves = tensors[1][index - len(self._rows) :]
        intakes = torch.tensor([walk[k][2] for k in sorted(walk)], dtype=torch.float64)
        return (moves, intakes) if len(moves) == len(intakes) else None

    def _compiled_step(
        self, model_output: torch.Tensor, sample: torch.Tensor, generator: Any
    ) -> torch.Tensor:
        """A step whose weights are taken from the rows of the plan at a counter on the device."""
        if self._moves is None or generator is not None:
            raise ValueError(
                "this run cannot be compiled: it draws noise, or begins inside a step; call step "
                "without torch.compile"
            )
        if self._thresholds:
            raise ValueError("thresholding cannot be compiled; call step without torch.compile")
        self._check(model_output, sample, first=False)
        wide = torch.promote_types(sample.dtype, torch.float32)
        x, output = sample.to(wide), model_output.to(wide)
        moves, intakes = (part.to(x.device) for part in self._moves)
        if not self._memory:
            at = torch.zeros(1, dtype=torch.int64, device=x.device)
            held = [torch.zeros_like(x) for _ in range(moves.shape[1] - 1)]
        else:
            at, *held = self._memory
        of_sample, of_output = intakes.index_select(0, at)[0].unbind()
        denoised = of_sample * x + of_output * output
        values = [x, denoised, *held]
        rows = moves.index_select(0, at)[0].unbind()
        following, *held = [sum(w * v for w, v in zip(r, values, strict=True)) for r in rows]
        self._memory = (at + 1, *held)
        return following.to(sample.dtype)

    def _place(self, timestep: float | torch.Tensor) -> tuple[int, dict[int, Any]]:
        """The entry of `timesteps` that is next, and the run to which it belongs."""
        index, walk = self._step_index, self._walk
        if index is None:
            index = self._begin_index
            index = self.index_for_timestep(timestep) if index is None else index
            walk = self._begin(index)
        if index not in walk:
            raise ValueError("the run is over; call set_timesteps to begin another")
        return index, walk

    def _check(self, model_output: torch.Tensor, sample: torch.Tensor, first: bool) -> None:
        """Refuse what cannot be stepped with, before anything changes."""
        if model_output.shape != sample.shape or model_output.device != sample.device:
            raise ValueError(
                f"model_output {tuple(model_output.shape)} on {model_output.device} does not fit "
                f"sample {tuple(sample.shape)} on {sample.device}"
            )
        held = self._memory[-1:]  # the first is a counter where steps are compiled
        if not first and any(torch.is_tensor(m) and m.shape != sample.shape for m in held):
            raise ValueError(
                f"the batch changed to {tuple(sample.shape)} during a run; call set_timesteps"
            )
        if first and not torch.compiler.is_compiling() and model_output.isnan().any():
            raise ValueError("the model returned NaN at its first call (float16 overflows)")

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
        return alpha.to(sample).reshape(shape), sigma.to(sample).reshape(shape)

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


def _filled(x: torch.Tensor, memory: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    """What a step from x that knew no past leaves, its one evaluation in the place of every earlier."""
    held = [m for m in memory if torch.is_tensor(m)]
    size = len(held) - 2 if any(m is x for m in held) else len(held)
    return tuple([next(m for m in held if m is not x)] * size) if size else ()
