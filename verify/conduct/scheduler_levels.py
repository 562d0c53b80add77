"""Checks of the levels of a scheduler's real runs: levels, handover, last, shift, begin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..hosts.real_case import RealRun
from ..hosts.real_run import Host
from ..hosts.scheduler_classes import FLOW_PAIRS, INDEX, TABLE, VE_PAIRS
from .bench import Refused
from .checks import BREACH, SAID, Finding
from .scheduler_bench import SHOWN, RealBench

Array = NDArray[np.float64]

# training times between the level a state stands at and the one told: rounding to a time is half
MISSED = 0.8
# up to so many times that, levels are rounded in two ways
SLIGHT = 1.9
# relative, where levels are not told by training times
FAR = 0.02
LEFT = 2e-3
TWICE = 1e-6
# steps at which runs of ten begin: late enough that the state is no longer noise alone
BEGINS = (3, 7)


def levels(bench: RealBench) -> Iterator[Finding]:
    """The levels that a scheduler lists and stands at fall, none twice."""
    several = bench.host.family in VE_PAIRS | FLOW_PAIRS | {"PNDMScheduler"}
    for n in (5, 10, 30):
        seen = bench.seen(n)
        if isinstance(seen, Refused):
            continue
        listed = seen.tables[::2] if several else seen.tables
        listed = listed[np.isfinite(listed)]
        if len(listed) > 1 and not several:
            step = -np.diff(listed)
            same = np.flatnonzero(np.abs(step) <= TWICE * np.maximum(listed[1:], 1e-9))
            if len(same):
                text = (
                    f"level {listed[same[-1]]:.4g} is listed twice (places {same[-1]} and "
                    f"{same[-1] + 1} of {len(listed)}): a step of length zero"
                )
                yield Finding("levels", text, bench.words(n))
                return
            if (step < 0).any():
                at = int(np.flatnonzero(step < 0)[0])
                text = f"levels rise from {listed[at]:.4g} to {listed[at + 1]:.4g}"
                yield Finding("levels", text, bench.words(n))
                return
        told = seen.told[np.isfinite(seen.told)]
        if not several and len(told) > 1 and (np.diff(told) >= 0).any():
            at = int(np.flatnonzero(np.diff(told) >= 0)[0])
            text = f"the network is told level {told[at]:.4g}, then {told[at + 1]:.4g}"
            # times of neighbouring levels may round to one
            gravity = SAID if told[at] == told[at + 1] else BREACH
            yield Finding("levels", text, bench.words(n), gravity)
            return


def handover(bench: RealBench) -> Iterator[Finding]:
    """The level at which a state stands is the one for which the network is asked."""
    worst: tuple[float, str, int] | None = None
    host = bench.host
    if host.family in INDEX:
        # Adams weights on v keep a constant to their order only
        return
    for n in SHOWN:
        seen = bench.seen(n)
        if isinstance(seen, Refused) or not seen.linear:
            continue
        gap, text = _apart(host, seen)
        if gap > 1 and (worst is None or gap > worst[0]):
            worst = gap, text, n
    if worst is not None:
        gravity = BREACH if worst[0] > SLIGHT else SAID
        yield Finding("handover", worst[1], bench.words(worst[2]), gravity)


def _apart(host: Host, seen: RealRun) -> tuple[float, str]:
    """How far the farthest state stands from the level told, 1 where that is too far; in words."""
    alpha, sigma = seen.stands[:-1].T
    stands = sigma / np.maximum(alpha, 1e-9)
    usable = np.isfinite(seen.told) & (alpha > 1e-3)
    usable[0] = False
    gaps = _gaps(host, seen, stands)
    gaps[~usable] = 0.0
    if not len(gaps):
        return 0.0, ""
    at = int(gaps.argmax())
    away = (
        f"{gaps[at] * MISSED:.3g} training times"
        if _by_times(host)
        else f"{abs(np.log(max(stands[at], 1e-9) / max(seen.told[at], 1e-9))):.2g} of itself"
    )
    text = (
        f"before call {at} the state stands at level {stands[at]:.5g}, the network is asked "
        f"for level {seen.told[at]:.5g} ({away} away)"
    )
    return float(gaps[at]), text


def _by_times(host: Host) -> bool:
    return not (host.flow or host.family in INDEX or host.family.startswith(("EDM", "Cosine")))


def _gaps(host: Host, seen: RealRun, stands: Array) -> Array:
    """How far states stand from the levels told, one where that is too far."""
    if not _by_times(host):
        with np.errstate(all="ignore"):
            return np.asarray(np.nan_to_num(np.abs(np.log(stands / seen.told)))) / FAR
    table = host.training(host.pristine)
    times = np.interp(np.log(np.maximum(stands, 1e-9)), np.log(table), np.arange(len(table)))
    return np.asarray(np.abs(times - np.clip(seen.times, 0, len(table) - 1))) / MISSED


def last(bench: RealBench) -> Iterator[Finding]:
    """The result stands at the level that is configured to be the last."""
    for n in SHOWN:
        seen = bench.seen(n)
        if isinstance(seen, Refused) or not seen.linear:
            continue
        alpha, sigma = seen.stands[-1]
        wanted = _configured(bench.host, seen)
        if wanted is None:
            return
        found = sigma / max(alpha, 1e-9)
        if abs(found - wanted) > max(LEFT, 0.05 * wanted):
            text = f"the run ends at level {found:.4g}; configured is {wanted:.4g}"
            yield Finding("last", text, bench.words(n))
            return
        if wanted == 0 and abs(alpha - 1) > LEFT:
            text = f"a constant prediction c ends at {alpha:.4g} c"
            yield Finding("last", text, bench.words(n))
            return


def _configured(host: Host, seen: RealRun) -> float | None:
    kind = host.config.get("final_sigmas_type")
    if kind == "zero":
        return 0.0
    if kind is None and len(seen.tables):
        return float(seen.tables[-1])
    if host.family in TABLE and host.family != "PNDMScheduler":
        to_one = host.config.get("set_alpha_to_one", True)
        table = host.training(host.pristine)
        return 0.0 if to_one else float(table[0])
    return float(seen.tables[-1]) if len(seen.tables) else None


def shift(bench: RealBench) -> Iterator[Finding]:
    """Levels under a shift are those without it, shifted once."""
    host = bench.host
    option = "shift" if host.knows("shift") else ("flow_shift" if host.knows("flow_shift") else "")
    if not option or not host.flow or host.config.get("use_dynamic_shifting"):
        return
    value = float(host.config.get(option) or 1.0)
    if value == 1.0:
        return
    plain, shifted = (RealBench(host.changed(**{option: v})) for v in (1.0, value))
    one, two = plain.seen(10), shifted.seen(10)
    bench.runs += 2
    if isinstance(one, Refused) or isinstance(two, Refused):
        return
    with np.errstate(invalid="ignore"):
        s, t = (r.told / (1 + r.told) for r in (one, two))
    s, t = (np.nan_to_num(v, nan=1.0) for v in (s, t))
    wanted = value * s / (1 + (value - 1) * s)
    gap = np.abs(t - wanted) / wanted
    if gap.max() > 0.02:
        at = int(gap.argmax())
        text = (
            f"{option}={value:g}: level {t[at]:.4g} where the level {s[at]:.4g} without shift, "
            f"shifted once, is {wanted[at]:.4g}"
        )
        yield Finding("shift", text, shifted.words(10))


def begin(bench: RealBench) -> Iterator[Finding]:
    """Runs that begin inside the list of times, as image-to-image pipelines start them."""
    host, n = bench.host, 10
    whole = bench.seen(n)
    if isinstance(whole, Refused) or not whole.linear:
        return
    known = 0.0 if host.family in INDEX else _apart(host, whole)[0]
    for first in BEGINS:
        seen = bench.seen(n, begin=first)
        words = bench.words(n, begin=first)
        if isinstance(seen, Refused):
            gravity = BREACH if seen.crash else SAID
            yield Finding("begin", f"refuses to begin inside: {seen.text}", words, gravity)
            return
        if not seen.finite:
            yield Finding("begin", "NaN or infinity in a run begun inside the list", words)
            return
        if not seen.linear:
            return
        gap, text = (0.0, "") if host.family in INDEX else _apart(host, seen)
        # what the whole run misses has been told by the check of the handover
        if gap > SLIGHT and gap > 1.1 * known:
            yield Finding("begin", text, words)
            return
        ends = [r.stands[-1] for r in (whole, seen)]
        levels = [float(sigma / max(alpha, 1e-9)) for alpha, sigma in ends]
        # Adams weights on v, and starts of fewer steps, keep a constant to their order only
        if abs(levels[0] - levels[1]) > max(0.05 * levels[0], 5 * LEFT):
            text = f"ends at level {levels[1]:.4g}; the whole run ends at {levels[0]:.4g}"
            yield Finding("begin", text, words)
            return
