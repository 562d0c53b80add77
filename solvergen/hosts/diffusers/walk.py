"""Walking the plan of an emitted sampler one model call at a time, as diffusers' pipelines do."""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable
from typing import Any

import torch

from ..memory import Recycler
from .compiled import CompiledSteps
from .noise import strength_of
from .sums import SummedStep


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
    _flow: bool  # whether levels are those of a flow model
    timesteps: torch.Tensor
    num_inference_steps: int | None
    alphas_cumprod: torch.Tensor
    _levels: torch.Tensor
    _eta: float | None
    _plan_eta: float | None
    _told: list[float]  # timesteps, on the host

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
        self._sums: dict[int, SummedStep] | None = None
        self._empty: Recycler | None = None
        self._clips = bool(self.config.thresholding or self.config.clip_sample)
        self._learned = self.config.variance_type in ("learned", "learned_range")
        self._consistent = self.family == "LCM" and not self._flow
        self._calls_made = 0
        self._warned = False
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
        if self._flow:
            return 1 - level, level
        alpha = (1 + level**2).rsqrt()
        return alpha, torch.where(level.isinf(), torch.ones_like(level), level * alpha)

    def plan(self, level: torch.Tensor, still: bool = False) -> tuple[Any, torch.Tensor]:
        """The sampler's plan on a grid of levels, and the level of each of its rows.

        still: a step of length zero comes after. It is the last one of their classes, and the one
            that is lowered: ours is planned with a step in its place, whose rows are left out.
        """
        if still and self.method.get("lower_order_final"):
            rows, levels = self.plan(torch.cat([level, level[-1:] / 2]))
            count = next(k for k, row in enumerate(rows) if row[0] == len(level) - 1)
            return _cut(rows, count), levels[:count]
        alpha, sigma = self.scales(level)
        if self.velocity and self._flow:
            # A rule in the velocity is regular where alpha is 0, but files take a DDIM step there,
            # as rules in the data must: from the least alpha that they do not take for 0 they do not.
            alpha = alpha.clamp_min(2.0**-19)
        parameters = dict(self.config.solver_parameters or {})
        if self._eta is not None and self.family != "TCD":
            parameters["eta"] = self._eta
        rows = type(self).coefficients(sigma, alpha, **parameters)
        at = torch.stack([row[2] for row in rows])
        if not self._flow:
            at = at / (1 - at**2).clamp_min(1e-300).sqrt()
        exact = dict(zip(sigma.tolist(), level.tolist(), strict=True))
        values = [exact.get(float(row[2]), v) for row, v in zip(rows, at.tolist(), strict=True)]
        return rows, torch.tensor(values, dtype=torch.float64)

    def index_for_timestep(
        self, timestep: float | torch.Tensor, schedule_timesteps: torch.Tensor | None = None
    ) -> int:
        """Where a run that begins at this time begins: at the opening of a step.

        Times are equal for one level only: at the end of a step and where the next one opens. A run
        that goes through a level more than once begins at its first passage. A time that a host has
        cast, to int64 or to a half, is the one that is it in that dtype, if there is one.
        """
        times = self.timesteps if schedule_timesteps is None else schedule_timesteps
        try:
            times, given = times.cpu(), torch.as_tensor(timestep).cpu()
            if given.numel() > 1 and bool((given == given.flatten()[0]).all()):
                given = given.flatten()[0]  # a time for each of a batch
            float(given)
        except (TypeError, ValueError, RuntimeError):
            what = f"shape {tuple(timestep.shape)}" if torch.is_tensor(timestep) else repr(timestep)
            raise ValueError(
                f"timestep must be one entry of scheduler.timesteps; found {what}"
            ) from None
        found = (times == given).nonzero().flatten().tolist()
        if not found:
            found = (times.to(given.dtype) == given).nonzero().flatten().tolist()
        if not found or len(set(times[found].tolist())) > 1:
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
                self._whole(rows[0][0])
                fresh, levels = self.plan(self._grid_levels[rows[0][0] :], self._still())
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

    def _whole(self, first: int) -> None:
        """Refuse to begin in the middle where numbers belong to the steps of the whole run."""
        taken = inspect.signature(type(self).coefficients).parameters
        own = {name: one.default for name, one in taken.items() if name not in ("sigmas", "alphas")}
        own |= self.config.solver_parameters or {}
        listed = [name for name, value in own.items() if isinstance(value, (list, tuple))]
        if listed:
            steps = len(self._grid_levels) - 1  # type: ignore[arg-type]
            raise ValueError(
                f"{', '.join(listed)}: one number for each of {steps} steps, and this run begins at "
                f"step {first}, without the history that they were fitted with; begin at the first "
                "timestep"
            )

    def _close(self, chosen: dict[int, tuple[str, Any]]) -> None:
        """Make the last step one of DDIM, where the config asks for it (`closing`)."""
        last, config = len(self._rows) - 1, self.config
        short = self.lowers() and len(self._row_levels) < 15 and not self._still()
        lower = short and config.lower_order_final in (None, True)
        if last in chosen and (lower or config.euler_at_final):
            ends = self._grid_levels[-2:].tolist()  # type: ignore[index]
            chosen[last] = ("ddim", self._ddim(*ends))

    def _still(self) -> bool:
        """Whether the last step has no length, and so no row."""
        return len(self._row_levels) > len(self._rows)

    @classmethod
    def lowers(cls) -> bool:
        """Whether a last step of DDIM is what `lower_order_final` means for this solver."""
        known = "solver_order" in cls.method and not cls.method.get("lower_order_final")
        once = cls.calls == cls.history == 1 and not cls.draws
        return cls.family in ("DPMSolverMultistep", "DEISMultistep") and known and once

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


def _cut(rows: Any, count: int) -> Any:
    """The first rows of a plan, with the matrices of these rows."""
    if isinstance(rows, list):
        return rows[:count]
    cut = copy.copy(rows)
    for name in ("steps", "kinds", "parts", "made"):
        setattr(cut, name, getattr(rows, name)[:count])
    if rows.tensors is not None:
        cut.tensors = tuple(part[:count] for part in rows.tensors)
    return cut
