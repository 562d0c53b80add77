"""Steps of an exported scheduler: one model output in, the sample for the next model call out."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import torch

from ..memory import Recycler
from .config import logger
from .grid import threshold
from .mixing import NoiseMixing
from .noise import noise_source
from .output import ONE_RESULT, StepOutput
from .sums import SummedStep, summed_steps

HALF = "; float16 overflows easily: run the network in bfloat16 or float32"
LARGE = 2**20  # entries of a state from which on memory is used again on a CPU


class PlanSteps(NoiseMixing):
    """The steps of a run: conversion of what the network returned, checks, and the sampler's update.

    A step adds to the two functions of the sampler one pass over the output, which looks for NaN and
    infinity, and the conversion. On a device nothing waits for it until the run is over.
    """

    _told: list[float]

    def convert_model_output(
        self,
        model_output: torch.Tensor,
        sample: torch.Tensor,
        weights: Any,
        empty: Callable[..., torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """The denoised prediction, before it is clipped.

        empty: gives memory for it, as torch.empty_like; torch does unless given.
        """
        of_sample, of_output = weights
        if of_sample == 0 and of_output == 1:
            return model_output
        if empty is None and of_sample != 1:
            return (sample * of_sample).add_(model_output, alpha=of_output)
        out = None if empty is None else empty(sample)
        if of_sample == 1:
            return torch.add(sample, model_output, alpha=of_output, out=out)
        if out is not None and model_output.is_contiguous():  # one pass: addr weighs both operands
            pair = sample.view(-1, 1), model_output.view(-1), sample.new_ones(1)
            return torch.addr(*pair, beta=of_sample, alpha=of_output, out=out.view(-1, 1)).view_as(
                sample
            )
        return torch.mul(sample, of_sample, out=out).add_(model_output, alpha=of_output)

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

        A time that is not the next one is where the sample is: the run begins anew there, without
        history, after a warning; a time that is not in the schedule is refused.

        Args:
            model_output: what the network returned at the time and the sample.
            timestep: the entry of `timesteps`. On a device one that is not an entry is not looked at.
            sample: the state that the network was called on.
            eta: the strength of the noise of solvers that have this parameter (DDIM, ancestral, and
                TCD's γ). 0, which pipelines pass unasked, counts for the families of DDIM and TCD, where
                `solver_parameters` does not set it.
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
        self._owned()
        index, walk = self._step_index, self._walk
        if index is None or eta is not None or self._plan_eta is not None or index not in walk:
            index, walk = self._place(timestep, eta)
        first = self._step_index is None
        if not first and not self._is_next(timestep, index):
            index, walk = self._again(timestep, index)
            first = True
        self._check(model_output, sample, first)
        if first:
            self._memory = ()
        x, output = sample, model_output
        if x.element_size() < 4 or output.dtype != x.dtype:
            wide = torch.promote_types(x.dtype, torch.float32)
            x, output = x.to(wide), output.to(wide)
        if first:
            self._sums = self._summed(index, x)
        if self._sums is not None:
            made = self._sums[index]
            following, self._memory, seen = made(output, x, self._memory)
            self._walk, self._step_index = walk, index + 1
            over = index + 1 not in walk
            if first or over:
                self._left(over)
            if following.dtype != sample.dtype:
                following = following.to(sample.dtype)
            if not return_dict and self.family in ONE_RESULT:
                return (following,)
            denoised = seen if made.factor == 1 else seen * made.factor
            return self._result(following, denoised.to(sample.dtype), return_dict)
        empty = self._recycled(x) if x.numel() >= LARGE else None
        kind, row, intake = walk[index]
        denoised = self.convert_model_output(output, x, intake, empty)
        if self._clips:
            clipped = self._clipped(denoised)
            if self.family in ("DDIM", "TCD") and not use_clipped_model_output:
                x = torch.add(x, clipped - denoised, alpha=self._alpha(index))
            denoised = clipped
        if self._consistent:
            denoised = self._bounded(x, denoised, self._told[index])
        ahead = walk.get(index + 1)
        lifts = ahead[1][5:6] if ahead is not None else ()
        if row[4:] or lifts:
            draw = noise_source(x, self._generator(generator), self.noise_sampler, variance_noise)
        advance, memory = type(self).advance, self._memory
        if kind == "ddim":
            following, memory = (row[0].item() * x).add_(denoised, alpha=row[1].item()), ()
        else:
            drawn = {"noise": [draw(levels) for levels in row[4]]} if row[4:] else {}
            if kind == "fill":
                memory = _filled(x, advance(row, x, denoised, (), **drawn)[1])
            following, memory = advance(row, x, denoised, memory, empty=empty, **drawn)
        for keep, spread, *levels in lifts[0] if lifts else ():  # noise before the next call
            following = keep * following + spread * draw(levels)
        self._walk, self._memory, self._step_index = walk, memory, index + 1
        if following.dtype != sample.dtype:
            following, denoised = following.to(sample.dtype), denoised.to(sample.dtype)
        self._left(ahead is None)
        return self._result(following, denoised, return_dict)

    def _is_next(self, timestep: float | torch.Tensor, index: int) -> bool:
        """Whether a time is that of a row, as far as it can be seen without waiting for a device."""
        told, times = self._told[index], self.timesteps
        if not torch.is_tensor(timestep):
            return timestep == told
        if timestep.is_meta:
            return True
        if timestep.untyped_storage().data_ptr() == times.untyped_storage().data_ptr():
            return self._told[timestep.storage_offset() - times.storage_offset()] == told
        if not timestep.is_cpu:
            return True
        value = timestep.reshape(-1)[0]
        return bool(value == told or value == torch.tensor(told).to(value.dtype))

    def _again(self, timestep: float | torch.Tensor, index: int) -> tuple[int, dict[int, Any]]:
        """The row of a time that is not the next one, and a run that begins there."""
        place = self.index_for_timestep(timestep)
        if not self._warned:
            self._warned = True
            logger.warning(
                f"timestep {self._told[place]:g} follows where {self._told[index]:g} is next: the run "
                "begins anew there, without history"
            )
        return place, self._begin(place)

    def _left(self, over: bool) -> None:
        """Whose the run is after this step; at its end, the look at what the model returned."""
        self._thread = None if over else threading.get_ident()
        if over:
            self._empty = None
            if self._seen:
                self._look()

    def _summed(self, index: int, x: torch.Tensor) -> dict[int, SummedStep] | None:
        """The steps of a run from an index on as sums; None where they are more, or the state large.

        Large states take the sampler's own step, which writes to memory that exists.
        """
        if self._clips or self._consistent or x.numel() >= LARGE:
            return None
        moves = self._moves if index == (self._begin_index or 0) else self._compilable(index)
        return None if moves is None else summed_steps(*moves, index)

    def _owned(self) -> None:
        """Refuse a step from another thread, and one of a run whose steps are compiled."""
        if self._step_index is None and self._counted():
            raise ValueError("this run has compiled steps; compile the rest, or set_timesteps anew")
        if self._thread is not None and self._thread != threading.get_ident():
            raise ValueError(
                "another thread is in the middle of a run of this scheduler, or has set its timesteps; "
                "give each thread its own scheduler (copy.deepcopy), and call set_timesteps in it"
            )

    def _recycled(self, x: torch.Tensor) -> Recycler | None:
        """What gives memory to the large states of this run, where no gradients are taken."""
        if not x.is_cpu or torch.is_grad_enabled() or not x.is_contiguous():
            return None
        if self._empty is None:
            self._empty = Recycler()
        return self._empty

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

    def _check(self, model_output: torch.Tensor, sample: torch.Tensor, first: bool) -> None:
        """Refuse what cannot be stepped with, before anything changes."""
        if not torch.is_tensor(model_output):
            raise ValueError(
                f"model call {self._calls_made} returned {type(model_output).__name__}; pass its tensor to step, as "
                "`network(x, t).sample` or `network(x, t, return_dict=False)[0]`"
            )
        self._fits(model_output, sample, () if first else self._memory)
        if model_output.is_cpu:
            if not math.isfinite(model_output.detach().sum()) and not bool(
                model_output.isfinite().all()
            ):
                self._blame(self._calls_made, model_output, sample)
        else:
            self._seen.append(model_output.isfinite().all() | ~sample.isfinite().all())
        self._calls_made += 1

    def _fits(
        self, model_output: torch.Tensor, sample: torch.Tensor, memory: tuple[Any, ...]
    ) -> None:
        """Refuse an output, or a sample, of another shape or device than the run's."""
        shape = sample.shape
        if model_output.shape != shape or model_output.device != sample.device:
            raise ValueError(
                f"model call {self._calls_made}: model_output {tuple(model_output.shape)} on {model_output.device} does "
                f"not fit sample {tuple(shape)} on {sample.device}"
            )
        for held in memory:
            if isinstance(held, torch.Tensor) and held.shape != shape:
                raise ValueError(
                    f"the batch changed to {tuple(shape)} during a run; call set_timesteps"
                )

    def _blame(self, call: int, model_output: torch.Tensor, sample: torch.Tensor) -> None:
        found = "NaN" if bool(model_output.isnan().any()) else "inf"
        source = "the sample, which it was given, is free of it"
        if not bool(sample.isfinite().all()):
            source = "the sample, which it was given, is not finite either"
        half = model_output.dtype == torch.float16
        raise ValueError(f"the model returned {found} at call {call} ({source}){HALF * half}")

    def _look(self) -> None:
        """At the end of a run on a device: whether a model call was not finite, with one transfer."""
        bad = (~torch.stack(self._seen)).nonzero().flatten().tolist()
        self._seen = []
        if bad:
            raise ValueError(
                f"the model returned NaN or inf at call {bad[0]}, from a sample that was finite"
                "; in float16 it may have overflowed: run the network in bfloat16 or float32"
            )


def _filled(x: torch.Tensor, memory: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    """What a step from x that knew no past leaves, its one evaluation in the place of every earlier."""
    held = [m for m in memory if torch.is_tensor(m)]
    size = len(held) - 2 if any(m is x for m in held) else len(held)
    return tuple([next(m for m in held if m is not x)] * size) if size else ()
