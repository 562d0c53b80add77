"""A bench for one sampler: named cases, each run once, with refusals told from crashes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ANYTHING, ConductError, VerifyError
from ..probe.noise_sources import Source, replaced
from ..probe.parts import watch_in_parts
from ..probe.trace import Run
from ..probe.watch import IMAGE, Layout, Watched, watch

Array = NDArray[np.float64]

HIGH, LOW = 14.6, 0.03
# most model calls of a run whose weights are read; their table is a square of them
LONGEST = 1500
# calls of a run that is compared with others, unless fewer steps than FEWEST make more
ENOUGH, FEWEST = 400, 3
# how samplers say no; anything else that they raise is a crash
REFUSALS = (VerifyError, ValueError, NotImplementedError, TypeError, AssertionError)


def usual(kind: str, n: int, *, zero: bool, high: float = HIGH, low: float = LOW) -> Array:
    """n steps as people take them: "karras" (rho = 7), "uniform" in lambda, or "times" of SD."""
    count = n - 1 if zero else n
    ramp = np.linspace(0.0, 1.0, count + 1) if count else np.zeros(1)
    if kind == "karras":
        levels = (high ** (1 / 7) + ramp * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    elif kind == "uniform":
        levels = high * (low / high) ** ramp
    else:
        table = training_levels()
        levels = np.interp(999 * (1 - ramp), np.arange(1000.0), table)
    return np.append(levels, 0.0) if zero else levels


def training_levels() -> Array:
    """sigma/alpha of the thousand training times of Stable Diffusion, rising."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    return np.asarray(np.sqrt((1 - kept) / kept))


@dataclass(frozen=True)
class Case:
    """One run: a grid, and what is sampled on it.

    Args:
        kind, n, zero: see usual(); `levels` replaces them.
        shape, batch, dtype, seed, amplitude, only, still: see watch().
        layout: name of a memory layout, see LAYOUTS.
    """

    kind: str = "karras"
    n: int = 10
    zero: bool = False
    levels: tuple[float, ...] = ()
    shape: tuple[int, ...] = IMAGE
    batch: int = 1
    dtype: torch.dtype = torch.float64
    seed: int = 0
    amplitude: float = 1.0
    only: int | None = None
    still: int = 0
    layout: str = "contiguous"

    @property
    def sigmas(self) -> Array:
        """The grid."""
        if self.levels:
            return np.asarray(self.levels)
        return usual(self.kind, self.n, zero=self.zero)

    def words(self) -> str:
        """The case in a line."""
        grid = self.sigmas
        kind = self.kind if not self.levels else "a grid"
        said = f"N = {len(grid) - 1}, {kind} {grid[0]:.3g} to {grid[-1]:.2g}"
        said += f", {str(self.dtype).removeprefix('torch.')}, batch {self.batch}, "
        said += "x".join(str(s) for s in self.shape)
        return said + ("" if self.layout == "contiguous" else f", {self.layout}")


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def _transposed(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, -1).contiguous().transpose(1, -1)


LAYOUTS: dict[str, Layout] = {"channels last": _channels_last, "transposed": _transposed}


@dataclass(frozen=True)
class Refused:
    """A run that raised.

    Args:
        text: type and message.
        crash: whether it is none of the exceptions with which samplers refuse.
        parts: whether it calls the model on some samples of a batch at a time, which is not followed.
    """

    text: str
    crash: bool
    parts: bool = False


def _values(case: Case) -> int:
    """Number of values of one sample."""
    return int(np.prod(case.shape))


def _wider(case: Case, calls: int) -> Case:
    """The case on samples that tell the weights of so many calls."""
    more = -(-2 * (calls + 4) // _values(case))
    return replace(case, shape=(case.shape[0] * more, *case.shape[1:]))


class Bench:
    """Runs the cases of one sampler; equal cases once.

    Args:
        run: run(denoiser, x, sigmas), scaling x = x0 + sigma eps.
        amplitude: of start values and answers, where the sampler is linear only for small ones.
        noisy: whether the sampler draws noise; draws are answered with zeros then.
    """

    def __init__(self, run: Run, *, amplitude: float = 1.0, noisy: bool = False) -> None:
        self.run, self.amplitude, self.noisy = run, amplitude, noisy
        self.runs = 0
        self.density = 0.0  # model calls for each step of the grid, in the last run
        self._known: dict[Case, Watched | Refused] = {}

    def case(self, **named: Any) -> Case:
        """A case at this sampler's amplitude."""
        return Case(**{"amplitude": self.amplitude, **named})

    def seen(self, case: Case) -> Watched | Refused:
        """The run of a case, or how it was refused; each case is run once."""
        if case not in self._known:
            seen = self._known[case] = self.again(case)
            if isinstance(seen, Watched):
                self.density = seen.calls / (len(seen.sigmas) - 1)
        return self._known[case]

    def again(self, case: Case, noise: Source | None = None) -> Watched | Refused:
        """The run of a case, whether or not it has been run before.

        Args:
            noise: what answers the draws of a noisy sampler; zeros unless given.
        """
        self.runs += 1
        # torch.manual_seed() would format a stack for every device that is absent
        torch.default_generator.manual_seed(0)

        batch = 1 if case.only is not None else case.batch

        def watched() -> Watched:
            drawn = noise or Source((batch, *case.shape))
            with replaced(drawn) if self.noisy else nullcontext():
                return watch(
                    self.run,
                    case.sigmas,
                    shape=case.shape,
                    batch=case.batch,
                    dtype=case.dtype,
                    seed=case.seed,
                    amplitude=case.amplitude,
                    layout=LAYOUTS.get(case.layout),
                    only=case.only,
                    still=case.still,
                )

        return _or_refused(watched)

    def in_parts(self, case: Case) -> Watched | Refused:
        """The run of a case on a sampler that calls the model on some samples of its batch at a time."""
        self.runs += 1
        torch.default_generator.manual_seed(0)
        return _or_refused(
            lambda: watch_in_parts(
                self.run,
                case.sigmas,
                shape=case.shape,
                batch=case.batch,
                seed=case.seed,
                amplitude=case.amplitude,
            )
        )

    def few(self, n: int) -> int:
        """The number of steps of a run whose weights are to be compared: n, fewer where a step makes many calls."""
        return n if self.density * n <= ENOUGH else max(FEWEST, int(ENOUGH / self.density))

    def linear(self, case: Case) -> Watched | Refused:
        """The run of a case on a sample with values enough to tell the weights of every call.

        Raises:
            ConductError: the run is so long that its weights would fill the memory.
        """
        expected = round(self.density * (len(case.sigmas) - 1))
        if len(case.sigmas) > 1 and _values(case) < expected + 4 <= LONGEST:
            # as many runs before have shown, the shape that was asked for would not do
            wide = self.seen(_wider(case, expected))
            if isinstance(wide, Refused) or wide.calls + 4 <= wide.first.shape[1]:
                return wide
        seen = self.seen(case)
        if isinstance(seen, Refused):
            return seen
        if seen.calls > LONGEST:
            raise ConductError(
                "size", f"{seen.calls} model calls: too many for their weights to be read"
            )
        return seen if seen.calls + 4 <= _values(case) else self.seen(_wider(case, seen.calls))

    def like(self, case: Case, **named: Any) -> Watched | Refused:
        """The run of a changed case."""
        return self.seen(replace(case, **named))


def _or_refused(watched: Callable[[], Watched]) -> Watched | Refused:
    """What a run shows, or why there is none."""
    try:
        return watched()
    except ANYTHING as error:
        crash = not isinstance(error, REFUSALS)
        parts = isinstance(error, ConductError) and error.kind == "parts"
        return Refused(f"{type(error).__name__}: {error}", crash, parts)
