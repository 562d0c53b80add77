"""Checks that weights are a function of the levels alone: not of batch, shape, dtype, output or N."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ConductError
from ..probe.noise_sources import Draw, Source, replaced
from ..probe.trace import recorded
from ..probe.watch import Watched
from .basic import apart
from .bench import LAYOUTS, Bench, Case, Refused
from .checks import BREACH, REMARK, SAID, Finding

Array = NDArray[np.float64]

MIXED = 1e-8
SAME = 1e-8
# of levels, told in single precision at least
TOLD = 1e-6
BATCHES = (2, 3, 4, 5)
SHAPES = ((3, 16, 8), (256, 1, 1), (1, 1, 256), (16, 4, 4))
# as large as the state of a real image; a few steps of it
LARGE, FEW = (4, 128, 128), 3
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# difference of weights in float16 that rounding does not explain unless they differ more in bfloat16
HALF, COARSER = 20 * torch.finfo(torch.float16).eps, 4.0
LOW_LEVELS = tuple(np.geomspace(0.8, 0.06, 9).tolist())


def samples(bench: Bench) -> Iterator[Finding]:
    """Every sample of a batch as it runs alone."""
    base = bench.case(n=6, shape=(2, 4, 4))
    alone = [bench.like(base, only=s) for s in range(max(BATCHES))]
    rounding = _rounding(bench)
    for batch in BATCHES:
        case = replace(base, batch=batch)
        seen = bench.seen(case)
        if isinstance(seen, Refused) and seen.parts and not bench.noisy:
            seen = bench.in_parts(case)
        if isinstance(seen, Refused):
            if seen.parts:
                text = f"{seen.text.partition(': ')[2]}: runs of batches are not compared"
                yield Finding("samples", text, case.words(), REMARK)
                return
            if batch == BATCHES[0] and not isinstance(alone[0], Refused):
                text = f"a batch of {batch} is refused: {seen.text[:120]}"
                yield Finding("samples", text, case.words(), BREACH if seen.crash else SAID)
                return
            continue
        for s, one in enumerate(alone[:batch]):
            if isinstance(one, Refused):
                continue
            gap = apart(one, _sample(seen, s))
            if gap > max(SAME, rounding):
                size = "in its number of calls" if np.isinf(gap) else f"by {gap:.2g}"
                text = f"sample {s} of a batch of {batch} differs {size} from its run alone"
                yield Finding("samples", text, case.words())
                return
            away = float(np.abs(_sample(seen, s).told - one.told).max(initial=0.0))
            if away > max(TOLD, rounding) * float(np.abs(one.told).max(initial=0.0)):
                text = f"the model is told another level for sample {s} of a batch of {batch} than alone"
                yield Finding("samples", text, case.words())
                return
    if bench.noisy:
        yield from _draws_of_others(bench, replace(base, batch=2))


class _Second(Source):
    """Draws that are zero in the first sample of a batch and one in the others."""

    def value(self, draw: Draw) -> Array:
        """The numbers of one draw, flattened."""
        made = np.ones(self.shape)
        made[0] = 0.0
        return made.reshape(-1)


def _draws_of_others(bench: Bench, case: Case) -> Iterator[Finding]:
    """Draws of one sample that reach another."""
    still, seen = bench.seen(case), bench.again(case, _Second((case.batch, *case.shape)))
    if isinstance(still, Refused) or isinstance(seen, Refused):
        return
    one, two = (_sample(seen, s) for s in range(2))
    rounding = max(SAME, _rounding(bench))
    if apart(_sample(still, 1), two) <= rounding:
        text = "the draws of a sample do not reach it: samples of a batch share those of the first"
    elif apart(_sample(still, 0), one) > rounding:
        text = "the draws of one sample of a batch reach another"
    else:
        return
    yield Finding("samples", f"{text}; they are not independent", case.words())


def _rounding(bench: Bench) -> float:
    """Relative size of what single precision inside the sampler leaves in equal runs."""
    seen = bench.linear(bench.case(n=bench.few(12)))
    if isinstance(seen, Refused) or not seen.finite:
        return 0.0
    missed = float(seen.solved[1].max())
    return 100 * missed if missed < 1e-2 else 0.0


def _sample(seen: Watched, s: int) -> Watched:
    return replace(
        seen,
        told=seen.told[:, s : s + 1],
        states=seen.states[:, s : s + 1],
        outputs=seen.outputs[:, s : s + 1],
        first=seen.first[s : s + 1],
    )


def shape(bench: Bench) -> Iterator[Finding]:
    """The same weights for images, rows and single pixels, and no value of a sample in another."""
    base = bench.case(n=bench.few(12))
    seen = bench.linear(base)
    if isinstance(seen, Refused) or not seen.finite:
        return
    missed = float(seen.solved[1].max())
    pixel = bench.linear(replace(base, shape=SHAPES[1]))
    # what is not linear in single pixels either is told by the check of outputs
    alone = 1.0 if isinstance(pixel, Refused) or not pixel.finite else pixel.solved[1].max()
    if missed > MIXED and alone < MIXED:
        text = f"values of one sample mix in space: {missed:.2g} of a state is not a multiple of "
        yield Finding("shape", text + "the start value and the outputs", base.words())
        return
    for other in SHAPES:
        case = replace(base, shape=other)
        there = bench.linear(case)
        if isinstance(there, Refused):
            if other[1:] != (1, 1):
                text = f"refuses this shape: {there.text[:120]}"
                yield Finding("shape", text, case.words(), SAID if there.crash else REMARK)
            continue
        gap = between(seen, there)
        if gap > max(SAME, 100 * missed):
            size = (
                "the number of calls differs" if np.isinf(gap) else f"weights differ by {gap:.2g}"
            )
            text = f"{size} from that of 4x8x8" if np.isinf(gap) else f"{size} from those for 4x8x8"
            yield Finding("shape", text, case.words())
            return
    small, large = (bench.linear(replace(base, n=FEW, shape=s)) for s in (base.shape, LARGE))
    if isinstance(small, Refused) or isinstance(large, Refused):
        return
    gap = between(small, large)
    if gap > max(SAME, 100 * missed):
        size = "the number of calls differs" if np.isinf(gap) else f"weights differ by {gap:.2g}"
        text = f"{size} from {'that' if np.isinf(gap) else 'those'} for 4x8x8: the rule is another for large states"
        yield Finding("shape", text, replace(base, n=FEW, shape=LARGE).words())


def between(one: Watched, other: Watched) -> float:
    """Largest difference of the weights of two runs, relative to the largest; inf for other calls."""
    if one.calls != other.calls:
        return float("inf")
    a, b = one.weights(), other.weights()
    return float(np.abs(a - b).max() / np.abs(a).max())


def layout(bench: Bench) -> Iterator[Finding]:
    """Channels last, and a transposed view."""
    base = bench.case(n=6, shape=(2, 4, 6))
    seen = bench.seen(base)
    if isinstance(seen, Refused):
        return
    for name in LAYOUTS:
        case = replace(base, layout=name)
        other = bench.seen(case)
        if isinstance(other, Refused):
            yield Finding(
                "layout",
                f"refused: {other.text[:120]}",
                case.words(),
                SAID if other.crash else REMARK,
            )
        elif apart(seen, other) > max(SAME, _rounding(bench)):
            text = f"differs by {apart(seen, other):.2g} from a contiguous state"
            yield Finding("layout", text, case.words())


def dtype(bench: Bench) -> Iterator[Finding]:
    """float32, bfloat16 and float16 beside float64."""
    levels = tuple(np.geomspace(4.0, 0.3, 9).tolist())
    base = bench.case(levels=levels, shape=(8, 8, 8))
    seen = bench.seen(base)
    if isinstance(seen, Refused) or not seen.finite:
        return
    rounding, rounded = float(seen.solved[1].max()), False
    for kind in DTYPES:
        case = replace(base, dtype=kind)
        there = bench.seen(case)
        name = str(kind).removeprefix("torch.")
        if isinstance(there, Refused):
            yield Finding(
                "dtype",
                f"{name}: {there.text[:120]}",
                case.words(),
                SAID if there.crash else REMARK,
            )
            continue
        if there.dtype != kind:
            text = f"the result of a {name} state is {str(there.dtype).removeprefix('torch.')}"
            yield Finding("dtype", text, case.words(), REMARK)
        if not there.finite:
            yield Finding("dtype", f"{name}: NaN or infinity", case.words())
            continue
        gap = between(seen, there)
        bound = max(40 * torch.finfo(kind).eps, 100 * rounding)
        if kind != torch.float32:
            bound = min(bound, 0.15)
        if gap > bound:
            size = (
                "the number of calls is another"
                if np.isinf(gap)
                else f"weights differ by {gap:.2g}"
            )
            text = f"{size} in {name} from those in float64"
            yield Finding("dtype", text, case.words())
            continue
        told = np.abs(there.told / seen.told - 1).max()
        if told > 1e-5 and not rounded:
            rounded = True
            at = np.unravel_index(int(np.abs(there.told / seen.told - 1).argmax()), seen.told.shape)
            text = (
                f"the model is called at level {there.told[at]:.6g}, not {seen.told[at]:.6g}: levels are "
                f"rounded to {name}"
            )
            yield Finding("dtype", text, case.words(), REMARK)
    yield from _low_levels(bench)


def _low_levels(bench: Bench) -> Iterator[Finding]:
    """Half precision at low levels, where a small number added to a level is a large share of it.

    Rounding is eight times coarser in bfloat16 than in float16: what is as large in float16 is none.
    """
    base = bench.case(levels=LOW_LEVELS, shape=(8, 8, 8))
    seen, half, coarse = (
        bench.seen(replace(base, dtype=kind))
        for kind in (torch.float64, torch.float16, torch.bfloat16)
    )
    if isinstance(seen, Refused) or isinstance(half, Refused) or isinstance(coarse, Refused):
        return
    if not (seen.finite and half.finite and coarse.finite):
        return
    gap, rounding = between(seen, half), between(seen, coarse)
    if max(HALF, 100 * float(seen.solved[1].max())) < gap and rounding < COARSER * gap < np.inf:
        text = (
            f"weights differ by {gap:.2g} in float16 from those in float64, and by {rounding:.2g} in the "
            "coarser bfloat16: more than rounding"
        )
        yield Finding("dtype", text, replace(base, dtype=torch.float16).words())


def outputs(bench: Bench) -> Iterator[Finding]:
    """Other answers, smaller ones, and one-hot ones: the same weights."""
    steps = ([0.06, 0.1, 0.05] * 4)[: bench.few(12)]
    base = bench.case(levels=tuple(np.exp(-np.cumsum([0.0, *steps])).tolist()))
    seen = bench.linear(base)
    if isinstance(seen, Refused) or not seen.finite:
        return
    missed = float(seen.solved[1].max())
    for case, name in (
        (replace(base, seed=1), "other random outputs"),
        (replace(base, amplitude=1e-3 * base.amplitude), "outputs a thousand times smaller"),
    ):
        other = bench.linear(case)
        if isinstance(other, Refused):
            continue
        gap = max(between(seen, other), 0.0)
        if gap > max(SAME, 300 * missed):
            calls = f"{seen.calls} calls, then {other.calls}"
            size = calls if np.isinf(gap) else f"weights differ by {gap:.2g} of the largest"
            yield Finding("outputs", f"{size} for {name}: not linear", case.words(), SAID)
            break
    gap = _one_hot(bench, base, seen)
    if gap > max(1e-7, 300 * missed):
        size = "the number of calls is another" if np.isinf(gap) else f"weights differ by {gap:.2g}"
        yield Finding("outputs", f"{size} on one-hot outputs from those on others", base.words())


def _one_hot(bench: Bench, base: Case, seen: Watched) -> float:
    bench.runs += 1
    width = seen.calls + 5

    def scaled(denoiser: object, x: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
        a = bench.amplitude

        def model(state: torch.Tensor, sigma: torch.Tensor, **named: object) -> torch.Tensor:
            out: torch.Tensor = denoiser(state / a, sigma, **named)  # type: ignore[operator]
            return a * out

        return bench.run(model, a * x, sigmas) / a

    try:
        if bench.noisy:
            with replaced(Source((1, width, 1, 1))):
                hot = recorded(scaled, base.sigmas, calls=seen.calls)
        else:
            hot = recorded(scaled, base.sigmas, calls=seen.calls)
    except ConductError as error:
        return float("inf") if error.kind == "calls" else 0.0
    if max(hot.bend, hot.offset) > 1e-6:
        return 0.0
    table = seen.weights()
    known = np.concatenate([hot.start[:, None], hot.weights], axis=1)
    return float(np.abs(table - known).max() / np.abs(known).max())
