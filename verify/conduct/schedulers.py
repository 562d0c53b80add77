"""Checks of schedulers under their own set_timesteps, and all of them run on one scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from ..errors import ANYTHING
from ..hosts.real_case import RealRun
from ..hosts.real_run import Host
from . import scheduler_levels
from .bench import LAYOUTS, Refused
from .checks import BREACH, REMARK, SAID, Conduct, Finding, conduct
from .scheduler_bench import RealBench

COUNTS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60)
SHAPES = ((3, 16, 8), (1, 1, 256))
# relative, of single precision
ROUNDED = 3e-5
WEIGHED = 2e-3


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
    again, second = bench.again(10), bench.seen(10, second=True)
    if not isinstance(again, Refused) and not _same(again, short):
        gap = np.abs(again.states - short.states).max()
        yield Finding("repeat", f"the same run twice differs by {gap:.2g}", bench.words(10))
    elif isinstance(second, Refused):
        text = f"a second run of one scheduler is refused: {second.text}"
        yield Finding("state", text, bench.words(10))
    elif not _same(second, short):
        gap = (
            float(np.abs(second.states - short.states).max())
            if second.states.shape == short.states.shape
            else float("inf")
        )
        text = f"a second run of one scheduler, after one of 13 steps, differs by {gap:.2g}"
        yield Finding("state", text, bench.words(10))


def _same(one: RealRun, other: RealRun) -> bool:
    return np.array_equal(one.states, other.states, equal_nan=True)


def samples(bench: RealBench) -> Iterator[Finding]:
    """Every sample of a batch as it runs alone."""
    small: dict[str, Any] = {"shape": (2, 4, 4)}
    alone = {s: bench.seen(6, only=s, **small) for s in (0, 1, 4)}
    for batch in (2, 5):
        seen, words = bench.seen(6, batch=batch, **small), bench.words(6, batch=batch, **small)
        if isinstance(seen, Refused):
            if not isinstance(alone[0], Refused):
                gravity = BREACH if seen.crash else SAID
                yield Finding(
                    "samples", f"a batch of {batch} is refused: {seen.text}", words, gravity
                )
            return
        for s, one in alone.items():
            if s >= batch or isinstance(one, Refused) or not one.finite:
                continue
            gap = _gap(one.states[:, 0], seen.states[:, s])
            if gap > ROUNDED:
                text = f"sample {s} of a batch of {batch} differs by {gap:.2g} from its run alone"
                yield Finding("samples", text, words)
                return


def _gap(one: Any, other: Any, least: float = 1.0) -> float:
    """Largest difference of the rows of two runs, in units of the largest of each row and of `least`."""
    if one.shape != other.shape:
        return float("inf")
    size = np.abs(one).max(axis=tuple(range(1, one.ndim)), keepdims=True) + least
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(np.abs(one - other) / size, nan=0.0).max())


def shape(bench: RealBench) -> Iterator[Finding]:
    """The same weights for other shapes of a sample."""
    base = bench.seen(10)
    if isinstance(base, Refused) or not base.linear:
        return
    for other in SHAPES:
        seen, words = bench.seen(10, shape=other), bench.words(10, shape=other)
        if isinstance(seen, Refused):
            yield Finding("shape", f"refuses this shape: {seen.text}", words, REMARK)
            continue
        if not seen.linear:
            yield Finding("shape", "values of one sample mix, or weights follow them", words)
            return
        gap = _gap(base.weights[0], seen.weights[0], 0.0)
        if gap > WEIGHED:
            yield Finding(
                "shape", f"weights differ by {gap:.2g} (relative) from those for 8x8x8", words
            )
            return


def layout(bench: RealBench) -> Iterator[Finding]:
    """Channels last, and a transposed view."""
    small: dict[str, Any] = {"shape": (2, 4, 6)}
    plain = bench.seen(6, **small)
    if isinstance(plain, Refused) or not plain.finite:
        return
    for made in LAYOUTS.values():
        seen, words = bench.seen(6, layout=made, **small), bench.words(6, layout=made, **small)
        if isinstance(seen, Refused):
            gravity = SAID if seen.crash else REMARK
            yield Finding("layout", f"refused: {seen.text}", words, gravity)
        elif (gap := _gap(plain.states, seen.states)) > ROUNDED:
            yield Finding("layout", f"differs by {gap:.2g} from a contiguous state", words)


def outputs(bench: RealBench) -> Iterator[Finding]:
    """Whether answers of usual size are clipped or thresholded."""
    if bench.amplitude < 1:
        text = (
            "not linear in answers of size 1 (a clip or a threshold bites); read from answers of "
            f"size {bench.amplitude:g}"
        )
        yield Finding("outputs", text, bench.words(10), REMARK)


def dtype(bench: RealBench) -> Iterator[Finding]:
    """Half-precision states run, stay in their dtype, and give finite results."""
    for kind in (torch.float16, torch.bfloat16):
        seen, single = bench.seen(10, dtype=kind), bench.seen(10)
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
    "levels": scheduler_levels.levels,
    "handover": scheduler_levels.handover,
    "last": scheduler_levels.last,
    "shift": scheduler_levels.shift,
    "begin": scheduler_levels.begin,
    "state": state,
    "samples": samples,
    "shape": shape,
    "layout": layout,
    "dtype": dtype,
    "outputs": outputs,
    "warning": warning,
}


def conduct_of_scheduler(scheduler: Any, options: dict[str, Any]) -> Conduct:
    """Run a scheduler under its own set_timesteps and hold it to every check.

    Args:
        scheduler: name in diffusers, class, or instance.
        options: of the constructor and of step().
    """
    try:
        bench = RealBench(Host(scheduler, options))
    except ANYTHING as error:
        return Conduct(skipped=(("finite", f"{type(error).__name__}: {error}"),))
    return conduct(CHECKED, bench)
