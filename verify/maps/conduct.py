"""How a map behaves, whatever it should be: shape, range, determinism, boundary, input scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ConductError
from .check import REPORTED, SKIPPED, Check, judged
from .target import Target

# a network in float32 that is the identity by its skip weight alone is so to rounding
ROUNDING = {torch.float64: 1e-12, torch.float32: 2e-6}
SCALE = (0.9, 1.1)


def arguments(target: Target, level: float, low: float) -> tuple[float, ...]:
    """The levels with which a form is called for its map from a level to the lowest."""
    return (level, low) if target.form == "flow-map" else (level,)


def conduct(target: Target, states: dict[float, Tensor], low: float) -> list[Check]:
    """Finite outputs over the range, the same twice, and one sample alone as in its batch.

    Args:
        states: exact states (n, ...) by level.
        low: the level at which maps end.
    """
    worst, twice, alone = 0, 0.0, 0.0
    for level, x in states.items():
        part = x[:64]
        levels = arguments(target, level, low)
        first = target(part, *levels)
        worst += int((~first.isfinite()).sum())
        twice = max(twice, float((target(part, *levels) - first).abs().max()))
        single = torch.cat([target(part[i : i + 1], *levels) for i in (0, 17, 63)])
        alone = max(alone, float((single - first[[0, 17, 63]]).abs().max()))
    size = max(float(x.abs().max()) for x in states.values())
    slack = 1e-6 if target.dtype == torch.float64 else 1e-4
    return [
        judged("finite", worst, 0, f"{worst} values are NaN or infinite over the levels"),
        judged(
            "deterministic",
            twice,
            0.0,
            f"two calls differ by {twice:.1e}",
            remedy="call eval(), switch dropout off, and draw no noise inside the map",
        ),
        judged(
            "independent samples",
            alone,
            slack * max(1.0, size),
            f"a sample alone differs from the same sample in a batch by {alone:.1e}",
            remedy="normalise each sample by itself (no batch statistics)",
        ),
    ]


def boundary(target: Target, x: Tensor, low: float) -> list[Check]:
    """f(x, eps) = x, and how |f(x, t) - x| leaves it.

    Args:
        x: exact states at `low`.
    """
    part = x[:512]
    size = max(1.0, float(part.abs().max()))
    gap = float((target(part, *arguments(target, low, low)) - part).abs().max()) / size
    bound = ROUNDING[target.dtype]
    checks = [
        judged(
            "boundary",
            gap,
            bound,
            f"at the lowest level {low:g} the map differs from the identity by {gap:.1e}",
            remedy="c_skip and c_out must use t - sigma_min, so that c_out is 0 at sigma_min",
        )
    ]
    leaps = []
    for factor in (1.05, 1.2):
        moved = target(part, *arguments(target, low * factor, low)) - part
        leaps.append(float(moved.norm(dim=1).mean()) / (low * (factor - 1)))
    ratio = leaps[0] / leaps[1] if leaps[1] else 1.0
    checks.append(
        Check(
            "boundary slope",
            REPORTED,
            f"|f(x, t) - x| / (t - {low:g}) is {leaps[0]:.3g} and {leaps[1]:.3g} at 1.05 and 1.2 "
            f"times the lowest level; an O(t - eps) approach has a ratio near 1, found {ratio:.2f}",
            ratio,
        )
    )
    return checks


def input_scale(target: Target, states: dict[float, Tensor], low: float) -> list[Check]:
    """The root mean square of what the network receives at every level, by a hook."""
    if target.network is None:
        return [
            Check(
                "input scale",
                SKIPPED,
                "the network inside is not reachable; give the map an attribute `network`",
            )
        ]
    rows: list[tuple[float, float]] = []
    seen: list[Tensor] = []

    def look(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        values = [*given, *named.values()]
        first = next((one for one in values if torch.is_tensor(one) and one.ndim > 1), None)
        if first is not None:
            seen.append(first.detach().double())

    handle = target.network.register_forward_pre_hook(look, with_kwargs=True)
    try:
        for level, x in states.items():
            seen.clear()
            target(x[:1024], *arguments(target, level, low))
            if seen:
                rows.append((level, float(seen[0].square().mean().sqrt())))
    finally:
        handle.remove()
    if not rows:
        return [Check("input scale", SKIPPED, "the network was called without a state")]
    level, scale = max(rows, key=lambda row: abs(math.log(max(row[1], 1e-30))))
    off = max(scale / SCALE[1], SCALE[0] / max(scale, 1e-30))
    return [
        judged(
            "input scale",
            off,
            1.0,
            f"the network's input has rms {scale:.3g} at level {level:g}, farthest from 1",
            remedy="c_in is 1 / sqrt(sigma^2 + sigma_data^2), with the data's own sigma_data",
        )
    ]


def stated_values(target: Target) -> list[Check]:
    """The outputs that an exported file states, against those that its weights give."""
    if target.probe is None:
        return []
    try:
        x = torch.tensor(target.probe["x"], dtype=torch.float64)
        wanted = torch.tensor(target.probe["value"], dtype=torch.float64)
        levels = [torch.tensor(one, dtype=torch.float64) for one in target.probe["levels"]]
        extra = {
            key: torch.tensor(target.probe[key]) for key in target.conditions if key in target.probe
        }
        found = target(x, *levels, **extra)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ConductError("probe", f"{target.name}: PROBE cannot be read: {error}") from error
    gap = float((found - wanted).abs().max())
    return [
        judged(
            "stated values",
            gap,
            1e-5 * max(1.0, float(wanted.abs().max())),
            f"outputs differ by {gap:.1e} from those that its own file states",
            remedy="the weights are not those that were exported (raw ones in place of averaged?)",
        )
    ]


def several(levels: Sequence[float]) -> str:
    """Levels for a sentence."""
    return ", ".join(f"{one:g}" for one in levels)
