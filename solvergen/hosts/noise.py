"""Sources of noise for stochastic samplers: by seed, from torch generators, from a record.

A sampler asks `noise_sampler(sigma, sigma_next)` for a draw of unit variance shaped like its state;
levels are σ/α, as numbers or 0-d tensors. Any callable of that form will do. Those of solvergen:

    Seeded             independent draws, keyed by the sample's seed and the interval
    from_generator     torch generators in the manner of diffusers: draws depend on their order
    Recorded, Replay   what was drawn, and the same again
    brownian.BrownianPath, brownian.Coarsened    the same noise for coarse and fine grids

`Seeded` and `BrownianPath` draw every sample by itself, on the CPU and in float64, so that a sample
has the same noise whatever the batch, the rank, the device and the dtype it runs in. A normal is
the stream of a counter-based generator (Philox) whose 128-bit key is a hash of its seed and place:
torch's own CPU generator keeps 32 bits of a seed, which 10^5 draws already repeat.
"""

from __future__ import annotations

import hashlib
import operator
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

Level = float | Tensor
NoiseSampler = Callable[[Level, Level], Tensor]


class Seeded:
    """Independent draws that depend on the sample's seed, the interval and nothing else.

    The key is the interval, its two levels to the last bit, and how often it was asked for before:
    stages that ask twice for one interval get two draws, and a run that begins in the middle asks
    only for later intervals and gets what the whole run got there. One source serves one run: a
    second run of the same seeds takes a new one.

    Args:
        x: the state whose shape, dtype and device the draws have.
        seeds: one integer per sample.
        asked: the `asked` of a run that stopped, to resume it. Needed only if the rest asks for
            intervals that were asked for before, as restart sampling does.

    Raises:
        ValueError: not one seed per sample, or a level that is negative or no number.
    """

    def __init__(
        self,
        x: Tensor,
        seeds: Sequence[int],
        asked: Mapping[tuple[float, float], int] | None = None,
    ) -> None:
        self.like, self.shape = x.new_empty(0), x.shape
        self.seeds = checked_seeds(x, seeds)
        self.asked = Counter(asked or {})

    def __call__(self, sigma: Level, sigma_next: Level) -> Tensor:
        """The next draw of the interval from sigma to sigma_next."""
        pair = level_of(sigma), level_of(sigma_next)
        key = struct.pack("<ddq", *pair, self.asked[pair])
        self.asked[pair] += 1
        draws = [unit_normal(seed, b"draw" + key, self.shape[1:]) for seed in self.seeds]
        return torch.stack(draws).to(self.like.dtype).to(self.like.device)


def from_generator(
    x: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None = None
) -> NoiseSampler:
    """Successive draws of torch generators, to the bit those of diffusers' `randn_tensor`.

    Draws depend on their order: to resume a run, restore the generators' states.

    Args:
        x: the state whose shape, dtype and device the draws have.
        generator: one for the whole batch, or one per sample; torch's default if None. Generators
            of the CPU serve a state on any device, others a state on their own.

    Raises:
        ValueError: not one generator per sample, or one on another device.
    """
    given = list(generator) if isinstance(generator, Sequence) else [generator]
    if len(given) not in (1, len(x)):
        raise ValueError(f"{len(given)} generators for {len(x)} samples; give one per sample")
    shape, device, dtype = x.shape, x.device, x.dtype
    homes = {device.type if one is None else one.device.type for one in given}
    if homes not in ({device.type}, {"cpu"}):
        raise ValueError(
            f"generators on {', '.join(sorted(homes))} for a state on {device.type}; "
            f"make them all on {device.type} or all on the cpu"
        )
    home = device if homes == {device.type} else torch.device("cpu")
    block = shape if len(given) == 1 else (1, *shape[1:])

    def draw(sigma: Level, sigma_next: Level) -> Tensor:
        blocks = [torch.randn(block, generator=one, device=home, dtype=dtype) for one in given]
        return torch.cat(blocks).to(device)

    return draw


class Recorded:
    """A source that keeps the levels and the draws of everything it is asked for, in order."""

    def __init__(self, source: NoiseSampler) -> None:
        self.source = source
        self.levels: list[tuple[float, float]] = []
        self.draws: list[Tensor] = []

    def __call__(self, sigma: Level, sigma_next: Level) -> Tensor:
        """The source's draw."""
        draw = self.source(sigma, sigma_next)
        self.levels.append((level_of(sigma), level_of(sigma_next)))
        self.draws.append(draw)
        return draw


class Replay:
    """Draws given beforehand, in order, whatever the levels: the same noise for two samplers.

    Raises:
        ValueError: more draws are asked for than there are.
    """

    def __init__(self, draws: Sequence[Tensor]) -> None:
        self.draws, self.used = draws, 0

    def __call__(self, sigma: Level, sigma_next: Level) -> Tensor:
        """The next draw."""
        if self.used == len(self.draws):
            raise ValueError(
                f"all {self.used} draws are used, and one more is asked for, from level "
                f"{level_of(sigma)} to {level_of(sigma_next)}; give as many as the sampler draws"
            )
        self.used += 1
        return self.draws[self.used - 1]


def level_of(value: Level) -> float:
    """A level as a number.

    Raises:
        ValueError: it is negative or no number.
    """
    level = float(value) + 0.0  # one zero, not two
    if not level >= 0:
        raise ValueError(f"a noise level must not be negative; found {level}")
    return level


def checked_seeds(x: Tensor, seeds: Sequence[int]) -> tuple[int, ...]:
    """Seeds that there are as many of as samples, each within 128 bits."""
    found = whole_seeds(seeds)
    if x.ndim == 0 or len(found) != len(x):
        raise ValueError(
            f"{len(found)} seeds for a state of shape {tuple(x.shape)}; give one per sample"
        )
    if any(not -(2**127) <= seed < 2**127 for seed in found):
        raise ValueError("a seed must be from -2^127 to 2^127 - 1")
    return found


def whole_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """Seeds as integers.

    Raises:
        ValueError: one of them is not an integer.
    """
    try:
        return tuple(map(operator.index, seeds))
    except TypeError:
        raise ValueError(f"seeds are integers, one per sample; found {seeds!r:.80}") from None


def unit_normal(seed: int, place: bytes, shape: Sequence[int]) -> Tensor:
    """The normals of one seed at one place, float64 on the CPU."""
    text = seed.to_bytes(16, "little", signed=True) + place
    key = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")
    stream = np.random.Generator(np.random.Philox(key=key))
    return torch.from_numpy(stream.standard_normal(tuple(shape)))
