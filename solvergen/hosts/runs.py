"""Running emitted samplers: seeds, progress, step by step with cancelling, parts, inversion."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, TextIO

import torch
from torch import Tensor, nn

from .first_output import require_calls
from .halves import goes_by_blocks, run_by_blocks
from .inversion import invert
from .noise import NoiseSampler, level_of, whole_seeds

Model = Callable[..., Tensor]
Lifts = tuple[tuple[Tensor, ...], ...]


def noise_of(
    seeds: Sequence[int],
    shape: Sequence[int],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """One draw of unit noise per seed: the same whatever the batch, the rank or the device.

    Raises:
        ValueError: there are no seeds, or one of them is not an integer.
    """
    draws = [
        torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))
        for seed in whole_seeds(seeds)
    ]
    if not draws:
        raise ValueError("there are no seeds; give one per sample")
    return torch.stack(draws).to(device, dtype)


def plan_of(module: ModuleType, sigmas: Any, alphas: Any = None, **parameters: float) -> Any:
    """The plan of a run, kept by grid and parameters: a second run on the same grid makes none."""
    given = [
        None if v is None else torch.as_tensor(v, dtype=torch.float64) for v in (sigmas, alphas)
    ]
    if any(v is not None and v.ndim != 1 for v in given):
        return module.coefficients(sigmas, alphas, **parameters)  # which says what is wrong
    levels, signal = (None if v is None else tuple(v.tolist()) for v in given)
    return _planned(module.coefficients, levels, signal, tuple(parameters.items()))


@lru_cache(maxsize=64)
def _planned(coefficients: Callable[..., Any], sigmas: Any, alphas: Any, parameters: Any) -> Any:
    return coefficients(sigmas, alphas, **dict(parameters))


class Sampler(nn.Module):
    """An emitted sampler with its model and grid as a module: `forward` samples.

    The plan is made once, so that forward has no host work that depends on data: it compiles,
    exports and is captured in CUDA graphs, and it holds no buffers for ranks to exchange. A sampler
    that draws noise does so by torch.randn_like there, which CUDA graphs draw anew at each replay;
    draws made beforehand (`Replay`) are part of a graph and stay as they are. Other noise samplers
    are for runs that are not compiled: they read the levels on the host.

    Args:
        module: an emitted file, imported.
        model: the denoiser.
        sigmas, alphas, parameters: as for the emitted `coefficients`.
    """

    def __init__(
        self,
        module: ModuleType,
        model: Model,
        sigmas: Any,
        alphas: Any = None,
        **parameters: float,
    ) -> None:
        super().__init__()
        self.model, self.module, self.integrate = model, module, module.integrate
        self.stochastic = hasattr(module, "NOISE")
        self.plan = plan_of(module, sigmas, alphas, **parameters)

    def forward(self, x: Tensor, noise_sampler: NoiseSampler | None = None, **extra: Any) -> Tensor:
        """The final state from x at the first grid point; solvers without noise ask for no draws.

        Large states in halves are updated block by block on a CPU (see `halves`).
        """
        if goes_by_blocks(self.module, x):
            return run_by_blocks(self.module, self.model, self.plan, x, extra)
        drawn = {"noise_sampler": noise_sampler} if self.stochastic else {}
        return self.integrate(self.model, x, self.plan, extra, **drawn)


def progress(
    steps: int | None = None,
    *,
    preview: Callable[[int, Tensor], None] | None = None,
    every: int = 1,
    disable: bool | None = None,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[dict[str, Any]], None]:
    """A callback for `sample`: a line of progress once a run takes over a second, and previews.

    Args:
        steps: steps of the run, len(sigmas) - 1; None where a solver chooses its own.
        preview: called with the step and the denoised prediction; cancels the run by raising.
        every: previews come at each step that this number divides.
        disable: True hides the line, False shows it anywhere; None shows it on terminals alone.
        stream: where the line goes, standard error unless given.
        clock: what tells the seconds.

    Raises:
        ValueError: steps or every is not an integer above 0.
    """
    for name, value in (("steps", 1 if steps is None else steps), ("every", every)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer, 1 or more; found {value!r}")
    out, begun = sys.stderr if stream is None else stream, clock()
    hidden = not out.isatty() if disable is None else disable

    def callback(state: dict[str, Any]) -> None:
        done, passed = state["i"] + 1, clock() - begun
        if not hidden and passed > 1:
            line = f"\rstep {done}, {passed:.0f} s\x1b[K"
            if steps is not None:
                left = passed / done * (steps - done)
                line = f"\rstep {done} of {steps}, {passed:.0f} s, {left:.0f} s left\x1b[K"
            print(line, end="\n" if done == steps else "", file=out, flush=True)
        if preview is not None and state["i"] % every == 0:
            preview(state["i"], state["denoised"])

    return callback


@dataclass(frozen=True)
class Moment:
    """A state on the way: `i` and `sigma` of the model call that comes next, or the end.

    denoised: the model's output that led here, for previews; None at the start.
    """

    i: int
    sigma: Tensor | None
    x: Tensor
    denoised: Tensor | None = None


def walk(
    module: ModuleType,
    model: Model,
    x: Tensor,
    sigmas: Any,
    alphas: Any = None,
    *,
    start: int = 0,
    stop: int | None = None,
    extra_args: dict[str, Any] | None = None,
    noise_sampler: NoiseSampler | None = None,
    **parameters: float,
) -> Iterator[Moment]:
    """States of a run one model call after the other; stop iterating to cancel it.

    start, stop: grid points between which to run; history begins at start.
    noise_sampler: as for `sample`; solvers without noise ask for no draws. Parts of a run whose
        noise is keyed by its interval, as `Seeded`'s is, draw what the whole run draws.

    Raises:
        ValueError: start and stop do not lie on the grid, the sampler's first output needs no call, or
            the model's first output or a draw is wrong.
    """
    count = len(torch.as_tensor(sigmas))
    stop = count - 1 if stop is None else stop
    if not 0 <= start < stop < count:
        raise ValueError(f"start and stop must satisfy 0 <= start < stop < {count}")
    require_calls(module, "walk")
    plan, left = _part(module, sigmas, alphas, start, stop, parameters)
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))
    ones, memory, denoised = x.new_ones([x.shape[0]]), (), None
    i = opening = plan[0][0] if plan else start

    def draw(levels: Sequence[Tensor]) -> Tensor:
        if noise_sampler is None:
            return torch.randn_like(x)
        noise = noise_sampler(*levels)
        with torch.no_grad():
            module.check_noise(x, noise, dtype, i == opening)
        return noise.to(x)

    for number, (i, row, lifts) in enumerate(plan):
        for keep, spread, *levels in lifts:
            x = keep * x + spread * draw(levels)
        seen = x.to(dtype)
        yield Moment(i, row[2], seen, denoised)
        with torch.no_grad():
            denoised = model(seen, row[2] * ones, **(extra_args or {}))
            module.check(seen, denoised, number)
            drawn = {"noise": [draw(levels) for levels in row[4]]} if row[4:] else {}
            x, memory = module.step(row, x, denoised.to(x.dtype), memory, **drawn)
    for keep, spread, *levels in left:
        x = keep * x + spread * draw(levels)
    yield Moment(stop, None, x.to(dtype), denoised)


def _part(
    module: ModuleType,
    sigmas: Any,
    alphas: Any,
    start: int,
    stop: int,
    parameters: dict[str, float],
) -> tuple[list[tuple[int, Any, Lifts]], Lifts]:
    """(step, row, noise before its call) between two grid points, and the noise after the last.

    Rows are those of the whole run, since churn depends on its number of steps; but where history
    begins at the start, or a step leads past the start or the stop, a plan is made for the part.
    """
    sigma = torch.as_tensor(sigmas, dtype=torch.float64)
    alpha = torch.ones_like(sigma) if alphas is None else torch.as_tensor(alphas).double()
    rows = module.coefficients(sigma, alpha, **parameters)
    level = [level_of(s / a) for s, a in zip(sigma, alpha, strict=True)]
    rises = {k for k in range(len(level) - 1) if level[k] < level[k + 1]}
    if module.HISTORY or not {start, stop} <= {row[0] for row in rows} | rises | {len(level) - 1}:
        rows = module.coefficients(sigma[start : stop + 1], alpha[start : stop + 1], **parameters)
        return [(start + row[0], row, row[5] if row[5:] else ()) for row in rows], ()
    plan: list[tuple[int, Any, Lifts]] = []
    left: Lifts = ()
    for row in (row for row in rows if row[0] >= start):
        lifts = row[5] if row[5:] else ()
        if not plan:  # jumps that end at the start are part of the state there; churn is not
            lifts = tuple(lift for lift in lifts if level_of(lift[2]) >= level[start])
        if row[0] >= stop:
            left = tuple(lift for lift in lifts if level_of(lift[2]) < level[stop])
            break
        plan.append((row[0], row, lifts))
    return plan, left


def round_trip(
    module: ModuleType,
    model: Model,
    x: Tensor,
    sigmas: Any,
    alphas: Any = None,
    *,
    refine: int = 12,
    **parameters: float,
) -> tuple[Tensor, float]:
    """A state inverted to noise, and the relative error of sampling back from there.

    Raises:
        ValueError: the sampler draws noise on this grid, so that no state leads back.
    """
    if hasattr(module, "NOISE"):
        plan = module.coefficients(sigmas, alphas, **parameters)
        if any(row[4] or any(row[5:]) for row in plan):
            raise ValueError(
                f"{module.NAME} draws noise, which an inversion cannot know; take a deterministic solver, "
                "or parameters that switch its noise off"
            )
    noise = invert(model, x, sigmas, alphas, refine=refine)
    back = module.sample(model, noise, sigmas, alphas=alphas, **parameters)
    return noise, float((back - x).norm() / x.norm())
