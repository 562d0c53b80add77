"""A map whose truth is not known: somebody's released student, perhaps an array of data.

What stays exact: conduct, the boundary, and that the law returns to itself. The ends of an exact map
have one law, whatever level they started from: so its ends are noised to a level, mapped again, and
both sets compared by a two-sample test whose band no luck crosses.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConductError, ProblemError
from . import conduct
from .check import REFUTED, REPORTED, Check, Examination, judged
from .law import DELTA, directions
from .target import Target

LEVELS = (1.0, 0.25, 0.06, 0.012, 0.0025)
LADDER = (2, 4, 8)
BANDS = 6


def examine_unknown(target: Target, args: argparse.Namespace) -> Examination:
    """Examine a map on no problem; see the command's arguments.

    Raises:
        ProblemError: no shape, or data of another shape.
    """
    if target.form not in ("endpoint", "flow-map"):
        raise ProblemError(f"--on none: a {target.form} alone has nothing to be held to")
    shape = _shape(args.shape)
    data = _data(args.data, shape)
    top, low = args.sigma_max or 80.0, args.sigma_min or 0.002
    count = min(args.samples, 2048) or 256
    return unknown(target, shape, top, low, count, data, seed=args.seed)


def unknown(
    target: Target,
    shape: tuple[int, ...],
    top: float,
    low: float,
    count: int,
    data: Tensor | None = None,
    *,
    seed: int = 0,
) -> Examination:
    """What can be said of a map from its own outputs.

    Args:
        shape: of one sample.
        top, low: its levels' range.
        count: how many samples.
        data: (n, *shape) real ones, or None.
    """
    made = Examination(target.name, target.form, "none")
    generator = torch.Generator().manual_seed(seed)
    levels = [top, *(top * share for share in LEVELS[1:] if top * share > 2 * low)]
    try:
        start = top * torch.randn(count, *shape, generator=generator, dtype=torch.float64)
        target.settle(start[:2], *conduct.arguments(target, top, low))
        ends = _mapped(target, start, top, low)
        states = {level: ends + level * _noise(ends, generator) for level in levels}
        made.checks += conduct.conduct(target, states, low)
        if made.named("finite").status == REFUTED:
            return made
        made.checks += conduct.boundary(target, ends, low)
        made.checks += conduct.input_scale(target, states, low)
        _returns(made, target, ends, levels, low, generator)
        _ladder(made, target, ends, levels, low, generator)
        if data is not None:
            _against_data(made, target, data, levels, low, generator)
    except ConductError as error:
        made.error = str(error)
    made.facts |= {"samples": count, "size": math.prod(shape)}
    return made


def _mapped(target: Target, x: Tensor, level: float, low: float) -> Tensor:
    return torch.cat(
        [target(part, *conduct.arguments(target, level, low)) for part in x.split(256)]
    )


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)


def _again(
    target: Target, ends: Tensor, level: float, low: float, generator: torch.Generator
) -> Tensor:
    """Noise to a level and map again."""
    rise = math.sqrt(max(level**2 - low**2, 0.0))
    return _mapped(target, ends + rise * _noise(ends, generator), level, low)


def _returns(
    made: Examination,
    target: Target,
    ends: Tensor,
    levels: list[float],
    low: float,
    generator: torch.Generator,
) -> None:
    """The first half of the ends against the second half, noised and mapped again."""
    first, second = ends.chunk(2)
    rows: list[dict[str, Any]] = []
    made.tables["round trips"], tests = rows, len(levels)
    for level in levels:
        back = _again(target, second, level, low, generator)
        found, band = two_sample_ks(first, back, tests)
        row: dict[str, Any] = {"level": level, "ks": found, "band": band}
        if first.ndim >= 3:
            power, was = spectrum(back), spectrum(second)
            row |= {f"band {k + 1}": float(power[k] / was[k]) for k in range(len(power))}
        rows.append(row)
        made.checks.append(
            judged(
                f"law returns from {level:g}",
                found,
                band,
                f"after a round trip at {level:g} the two-sample KS distance is {found:.4f}, band "
                f"{band:.4f}",
                remedy="the map is not right at this level",
            )
        )


def two_sample_ks(a: Tensor, b: Tensor, tests: int) -> tuple[float, float]:
    """Largest distance of two samples over fixed directions, and the band of equal laws.

    The band splits its probability over directions and tests: sqrt(ln(2 k / delta) (n + m)/(2 n m))
    from a union of two Dvoretzky-Kiefer-Wolfowitz bounds.
    """
    flat, other = a.flatten(1).numpy(), b.flatten(1).numpy()
    u = directions(flat.shape[1], 16)
    worst = 0.0
    for row in u:
        x, y = np.sort(flat @ row), np.sort(other @ row)
        both = np.concatenate([x, y])
        gap = np.searchsorted(x, both, side="right") / len(x)
        gap = gap - np.searchsorted(y, both, side="right") / len(y)
        worst = max(worst, float(np.abs(gap).max()))
    # each sample within half of the band of the common law
    log = math.log(4 * len(u) * tests / DELTA)
    band = math.sqrt(log / (2 * len(x))) + math.sqrt(log / (2 * len(y)))
    return worst, band


def spectrum(x: Tensor) -> Tensor:
    """Mean power by radial bands of frequency, of images (n, ..., h, w)."""
    power = torch.fft.fft2(x).abs().square()
    high, wide = x.shape[-2:]
    radius = torch.hypot(torch.fft.fftfreq(high)[:, None], torch.fft.fftfreq(wide)[None])
    place = (radius / radius.max() * BANDS).long().clamp(max=BANDS - 1)
    total = power.reshape(-1, high, wide).mean(0)
    return torch.stack([total[place == k].mean().clamp_min(1e-30) for k in range(BANDS)])


def _ladder(
    made: Examination,
    target: Target,
    ends: Tensor,
    levels: list[float],
    low: float,
    generator: torch.Generator,
) -> None:
    """What drifts after 2, 4, 8 round trips at the middle level: mean, spread."""
    level = levels[len(levels) // 2]
    x, rows, taken = ends, [], 0
    for trips in LADDER:
        for _ in range(trips - taken):
            x = _again(target, x, level, low, generator)
        taken = trips
        moved = float((x.mean(0) - ends.mean(0)).square().mean().sqrt())
        rows.append(
            {
                "trips": trips,
                "level": level,
                "mean moved": moved / float(ends.std()),
                "spread": float(x.var(0).mean() / ends.var(0).mean()),
            }
        )
    made.tables["ladder"] = rows
    made.checks.append(
        Check(
            "ladder",
            REPORTED,
            f"after {LADDER[-1]} round trips at {level:g} the variance is "
            f"{rows[-1]['spread']:.3f} of what it was",
            float(rows[-1]["spread"]),
        )
    )


def _against_data(
    made: Examination,
    target: Target,
    data: Tensor,
    levels: list[float],
    low: float,
    generator: torch.Generator,
) -> None:
    """Data noised to each level and mapped, against other data."""
    first, second = data.chunk(2)
    for level in levels:
        found, band = two_sample_ks(
            first, _again(target, second, level, low, generator), len(levels)
        )
        made.checks.append(
            judged(
                f"law of data from {level:g}",
                found,
                band,
                f"ends from noised data at {level:g} against other data: KS {found:.4f}, band "
                f"{band:.4f}",
            )
        )


def _shape(text: str | None) -> tuple[int, ...]:
    try:
        shape = tuple(int(one) for one in (text or "").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise ProblemError(f"--on none needs --shape, such as --shape 1,28,28; found {text}")
    return shape


def _data(path: Path | None, shape: tuple[int, ...]) -> Tensor | None:
    if path is None:
        return None
    try:
        held = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ProblemError(f"--data {path}: cannot be read: {error}") from None
    if held.shape[1:] != shape or len(held) < 64 or not np.isfinite(held).all():
        raise ProblemError(
            f"--data {path}: needs 64 or more finite samples of shape {shape}; found {held.shape}"
        )
    return torch.from_numpy(np.asarray(held, dtype=np.float64))
