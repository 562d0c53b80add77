"""Checks of schedulers under their own set_timesteps: finite, levels, handover, last, shift, state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ANYTHING
from ..hosts.real_run import Host, RealRun
from ..hosts.scheduler_classes import FLOW_PAIRS, INDEX, TABLE, VE_PAIRS
from .bench import REFUSALS, Refused
from .checks import BREACH, REMARK, SAID, Conduct, Finding

Array = NDArray[np.float64]

COUNTS = (1, 2, 3, 5, 10, 15, 20, 30)
SHOWN = (10, 30)
# training times between the level a state stands at and the one told: rounding to a time is half
MISSED = 0.8
# up to so many times that, levels are rounded in two ways
SLIGHT = 1.9
# relative, where levels are not told by training times
FAR = 0.02
LEFT = 2e-3
TWICE = 1e-6


class RealBench:
    """Runs of one host, each number of steps once."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.runs = 0
        self._known: dict[tuple[Any, ...], RealRun | Refused] = {}

    def seen(self, n: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> RealRun | Refused:
        """The run of n steps, or how it was refused."""
        key = (n, seed, dtype)
        if key not in self._known:
            self._known[key] = self.again(n, seed, dtype)
        return self._known[key]

    def again(self, n: int, seed: int, dtype: torch.dtype = torch.float32) -> RealRun | Refused:
        """The run of n steps, whether or not it has been run before."""
        self.runs += 1
        torch.default_generator.manual_seed(0)
        try:
            return self.host.run(n, seed=seed, dtype=dtype)
        except ANYTHING as error:
            crash = not isinstance(error, REFUSALS)
            return Refused(f"{type(error).__name__}: {error}"[:200], crash)

    def words(self, n: int) -> str:
        """A run in a line."""
        keys = ("timestep_spacing", "final_sigmas_type")
        shown = [f"{k}={self.host.config[k]}" for k in keys if k in self.host.config]
        return ", ".join([f"set_timesteps({n})", *shown])


def finite(bench: RealBench) -> Iterator[Finding]:
    """Results of every number of steps are finite."""
    bad: list[int] = []
    refused: dict[str, tuple[bool, list[int]]] = {}
    for n in COUNTS:
        seen = bench.seen(n)
        if isinstance(seen, Refused):
            refused.setdefault(seen.text, (seen.crash, []))[1].append(n)
        elif not seen.finite:
            bad.append(n)
    for text, (crash, counts) in refused.items():
        many = len(counts) > 2
        verb = "crashes" if crash else "refuses"
        gravity = (BREACH if crash else SAID) if many else SAID
        yield Finding("finite", f"{verb}: {text}", bench.words(counts[0]), gravity)
    if bad:
        seen = bench.seen(bad[-1])
        assert isinstance(seen, RealRun)
        at = int(np.flatnonzero(~np.isfinite(seen.rows).all(axis=1))[0])
        where = "in the result of the last step" if at == len(seen.told) else f"before call {at}"
        text = f"NaN or infinity {where} with N = {', '.join(map(str, bad))}"
        yield Finding("finite", text, bench.words(bad[-1]))


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
        if isinstance(seen, Refused) or not seen.finite or seen.weights[1].max() > 1e-3:
            continue
        alpha, sigma = seen.stands[:-1].T
        stands = sigma / np.maximum(alpha, 1e-9)
        usable = np.isfinite(seen.told) & (alpha > 1e-3)
        usable[0] = False
        gaps = _gaps(host, seen, stands)
        gaps[~usable] = 0.0
        if len(gaps) and gaps.max() > 1 and (worst is None or gaps.max() > worst[0]):
            at = int(gaps.argmax())
            away = (
                f"{gaps[at] * MISSED:.3g} training times"
                if _by_times(host)
                else (f"{abs(np.log(stands[at] / seen.told[at])):.2g} of itself")
            )
            text = (
                f"before call {at} the state stands at level {stands[at]:.5g}, the network is asked "
                f"for level {seen.told[at]:.5g} ({away} away)"
            )
            worst = float(gaps.max()), text, n
    if worst is not None:
        gravity = BREACH if worst[0] > SLIGHT else SAID
        yield Finding("handover", worst[1], bench.words(worst[2]), gravity)


def _by_times(host: Host) -> bool:
    return not (host.flow or host.family in INDEX or host.family.startswith(("EDM", "Cosine")))


def _gaps(host: Host, seen: RealRun, stands: Array) -> Array:
    """How far states stand from the levels told, one where that is too far."""
    if not _by_times(host):
        with np.errstate(all="ignore"):
            return np.asarray(np.nan_to_num(np.abs(np.log(stands / seen.told)))) / FAR
    table = host.training(host.cls(**host.options))
    times = np.interp(np.log(np.maximum(stands, 1e-9)), np.log(table), np.arange(len(table)))
    return np.asarray(np.abs(times - np.clip(seen.times, 0, len(table) - 1))) / MISSED


def last(bench: RealBench) -> Iterator[Finding]:
    """The result stands at the level that is configured to be the last."""
    for n in SHOWN:
        seen = bench.seen(n)
        if isinstance(seen, Refused) or not seen.finite or seen.weights[1].max() > 1e-3:
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
        table = host.training(host.cls(**host.options))
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


def state(bench: RealBench) -> Iterator[Finding]:
    """Nothing grows with the number of steps, and two runs are equal."""
    short, long = bench.seen(10), bench.seen(30)
    if isinstance(short, Refused) or isinstance(long, Refused):
        return
    for name, count in long.kept.items():
        if count > short.kept.get(name, 0) + 4:
            text = (
                f"`{name}` holds {short.kept.get(name, 0)} states after 10 steps and {count} after "
                "30: a list that grows for ever"
            )
            yield Finding("state", text, bench.words(30), SAID)
    again = bench.again(10, 0)
    if not isinstance(again, Refused) and not np.array_equal(
        again.rows, short.rows, equal_nan=True
    ):
        gap = np.abs(again.rows - short.rows).max()
        yield Finding("repeat", f"the same run twice differs by {gap:.2g}", bench.words(10))


def dtype(bench: RealBench) -> Iterator[Finding]:
    """Half-precision states run, stay in their dtype, and give finite results."""
    for kind in (torch.float16, torch.bfloat16):
        seen, single = bench.seen(10, 0, kind), bench.seen(10)
        name = str(kind).removeprefix("torch.")
        if isinstance(single, Refused) or not single.finite:
            return
        if isinstance(seen, Refused):
            yield Finding("dtype", f"{name}: {seen.text}", bench.words(10), SAID)
        elif not seen.finite:
            yield Finding("dtype", f"NaN or infinity in {name}", bench.words(10), SAID)
        elif seen.dtype != name:
            yield Finding("dtype", f"a {name} state ends in {seen.dtype}", bench.words(10), REMARK)


def warning(bench: RealBench) -> Iterator[Finding]:
    """What the host warns of while it runs."""
    seen = bench.seen(10)
    if not isinstance(seen, Refused):
        for text in seen.warned[:3]:
            yield Finding("warning", text[:200], bench.words(10), REMARK)


CHECKED: dict[str, Callable[[RealBench], Iterator[Finding]]] = {
    "finite": finite,
    "levels": levels,
    "handover": handover,
    "last": last,
    "shift": shift,
    "state": state,
    "dtype": dtype,
    "warning": warning,
}


def conduct_of_scheduler(scheduler: Any, options: dict[str, Any]) -> Conduct:
    """Run a scheduler under its own set_timesteps and hold it to every check.

    Args:
        scheduler: name in diffusers, class, or instance.
        options: of the constructor and of step().
    """
    held: list[str] = []
    findings: list[Finding] = []
    skipped: list[tuple[str, str]] = []
    try:
        bench = RealBench(Host(scheduler, options))
    except ANYTHING as error:
        return Conduct(skipped=(("finite", f"{type(error).__name__}: {error}"),))
    for name, check in CHECKED.items():
        try:
            found = list(check(bench))
        except ANYTHING as error:
            skipped.append((name, f"{type(error).__name__}: {error}"))
            continue
        findings += found
        if not found:
            held.append(name)
    return Conduct(tuple(held), tuple(findings), tuple(skipped), bench.runs)
