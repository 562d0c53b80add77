"""A diffusers scheduler run as its pipelines run it: its own set_timesteps, its own tables and dtype.

Nothing is overwritten here. The network answers for the time that it is told, at the level that this
time had in training; outputs and draws are random and known, so that what every state is made of,
and with it the level at which a state stands, follows by least squares.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..probe.noise_sources import Draw, Source, replaced
from .functions import predicted
from .heard import heard
from .real_case import Case, RealRun
from .scheduler_classes import EDM, FLOW, FLOW_PAIRS, INDEX, VE, VE_PAIRS, instance

Array = NDArray[np.float64]


class _Random(Source):
    """Draws that are random, and remembered."""

    def __init__(self, case: Case) -> None:
        super().__init__(case.full)
        self.case = case
        self.made: list[Array] = []

    def value(self, draw: Draw) -> Array:
        """The next values."""
        self.made.append(self.case.values(self.case.seed + 104729, len(self.made), 1.0))
        return self.made[-1].reshape(-1)


class Host:
    """A scheduler class with its options, made anew for every run.

    Args:
        scheduler: name in diffusers, class, or instance.
        options: of the constructor and of step().

    Raises:
        TargetError: diffusers is absent, or the class is not one that integrates on a grid.
    """

    def __init__(self, scheduler: Any, options: dict[str, Any]) -> None:
        made = instance(scheduler, options, exact=False)
        self.cls, self.family = made.cls, made.family
        self.options, self.step_options = made.options, made.step_options
        # some constructors take far longer than a copy
        self.pristine = made.scheduler
        self.config = dict(made.scheduler.config)

    def changed(self, **options: Any) -> Host:
        """The same host with other options."""
        return Host(self.cls, {**self.options, **self.step_options, **options})

    @property
    def flow(self) -> bool:
        """Whether levels are flow times."""
        return self.family in FLOW | FLOW_PAIRS or bool(self.config.get("use_flow_sigmas"))

    def knows(self, option: str) -> bool:
        """Whether the constructor has this option."""
        return option in inspect.signature(self.cls).parameters

    def _timed(self, scheduler: Any, n: int, begin: int) -> Any:
        """The times to run, after set_timesteps(n).

        Args:
            begin: the step to begin at, set as image-to-image pipelines set it.
        """
        extra = {"mu": 0.8} if self.config.get("use_dynamic_shifting") else {}
        scheduler.set_timesteps(n, **extra)
        if not begin:
            return scheduler.timesteps
        first = begin * int(getattr(scheduler, "order", 1))
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        return scheduler.timesteps[first:]

    def level(self, scheduler: Any, time: float) -> float:
        """sigma/alpha that the network was trained at for a time."""
        if self.flow:
            s = time / float(self.config.get("num_train_timesteps", 1000))
            return s / (1 - s) if s < 1 else float("inf")
        if self.family == "CosineDPMSolverMultistepScheduler":
            return float(np.tan(time * np.pi / 2))
        if self.family in EDM:
            return float(np.exp(4 * time))
        if self.family in INDEX:
            return float(np.tan(time * np.pi / 2))
        table = self.training(scheduler)
        return float(np.exp(np.interp(time, np.arange(len(table)), np.log(table))))

    def training(self, scheduler: Any) -> Array:
        """sigma/alpha of the training times."""
        kept = scheduler.alphas_cumprod.detach().double().numpy()
        return np.asarray(np.sqrt((1 - kept) / np.maximum(kept, 1e-12)))

    def alpha(self, level: float) -> float:
        """The factor of the data in the host's states."""
        if self.flow:
            return 1 / (1 + level) if np.isfinite(level) else 0.0
        if self.family in VE | VE_PAIRS | EDM:
            return 1.0
        return 1 / float(np.sqrt(1 + level**2))

    def levels(self, scheduler: Any) -> Array:
        """sigma/alpha of the levels that the scheduler lists; empty where it lists none."""
        own = getattr(scheduler, "sigmas", None)
        if not isinstance(own, torch.Tensor):
            return np.zeros(0)
        values = own.detach().double().numpy()
        if self.flow:
            with np.errstate(divide="ignore"):
                return np.asarray(values / (1 - values))
        return np.asarray(values)

    def run(self, case: Case) -> RealRun:
        """Run as a pipeline does, with a scheduler made anew.

        Raises:
            Exception: whatever the scheduler raises.
        """
        scheduler = copy.deepcopy(self.pristine)
        if case.second:
            self._walked(scheduler, replace(case, n=case.n + 3, seed=case.seed + 1))
        return self._walked(scheduler, case)

    def _walked(self, scheduler: Any, case: Case) -> RealRun:
        """One run of a scheduler, from set_timesteps to the result."""
        dtype = case.dtype
        with heard() as warned:
            timesteps = self._timed(scheduler, case.n, case.begin)
            times = [float(t) for t in timesteps]
            first = self.level(scheduler, times[0])
            alpha = self.alpha(first)
            sigma = alpha * first if alpha else 1.0
            unit = case.values(case.seed + 7919, 0, case.amplitude)
            x = torch.from_numpy(unit * sigma).to(dtype).reshape(case.full)
            x = x if case.layout is None else case.layout(x)
            basis, states, told = [_flat(x)[0] / sigma], [], []
            source = _Random(case)
            kind = self.config.get("prediction_type") or (
                "flow_prediction" if self.flow else "v_prediction"
            )
            with replaced(source), torch.no_grad():
                for call, time in enumerate(timesteps):
                    level = self.level(scheduler, times[call])
                    scales = hasattr(scheduler, "scale_model_input")
                    given = scheduler.scale_model_input(x, time) if scales else x
                    states.append(_flat(x))
                    made = case.values(case.seed, call, case.amplitude).copy()
                    denoised = torch.from_numpy(made).to(dtype).reshape(case.full)
                    basis.append(_flat(denoised)[0])
                    answer = self._answer(scheduler, denoised, given, x, level, str(kind))
                    x = scheduler.step(
                        answer.to(dtype), time, x, return_dict=False, **self.step_options
                    )[0]
                    told.append(level)
            states.append(_flat(x))
        return RealRun(
            times=np.asarray(times),
            told=np.asarray(told),
            states=np.stack(states),
            basis=np.stack([*basis, *(made[0] for made in source.made)]),
            draws=len(source.made),
            start=(alpha / sigma, 1.0),
            tables=self.levels(scheduler),
            warned=tuple(dict.fromkeys(warned)),
            kept=_kept(scheduler, case.full),
            dtype=str(x.dtype).removeprefix("torch."),
        )

    def _answer(
        self,
        scheduler: Any,
        denoised: torch.Tensor,
        given: torch.Tensor,
        x: torch.Tensor,
        level: float,
        kind: str,
    ) -> torch.Tensor:
        if self.family in EDM:
            at = torch.tensor(level, dtype=x.dtype)
            base = scheduler.precondition_outputs(x, torch.zeros_like(x), at)
            slope = scheduler.precondition_outputs(x, torch.zeros_like(x) + 1, at) - base
            return (denoised - base) / slope
        if self.flow:
            s = level / (1 + level) if np.isfinite(level) else 1.0
            return predicted(denoised, given, 1 - s, s, kind)
        shrink = 1 / float(np.sqrt(1 + level**2))
        return predicted(denoised, given, shrink, level * shrink, kind)


def _flat(x: torch.Tensor) -> Array:
    out: Array = x.detach().double().reshape(len(x), -1).numpy().copy()
    return out


def _kept(scheduler: Any, shape: tuple[int, ...]) -> dict[str, int]:
    """How many tensors of the state's shape each attribute holds."""
    out = {}
    for name, value in vars(scheduler).items():
        items = value if isinstance(value, (list, tuple)) else [value]
        count = sum(isinstance(v, torch.Tensor) and tuple(v.shape) == shape for v in items)
        if count:
            out[name] = count
    return out
