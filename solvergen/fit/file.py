"""A fitted table as a file that needs torch and math alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from string import Template
from typing import TYPE_CHECKING, Any

from .table import Table

if TYPE_CHECKING:
    from torch import Tensor

INLINE = 4096  # most numbers of a mean that a file holds

_FILE = Template('''# $name: made by solvergen; do not edit. To the public domain (CC0-1.0).
# remake   $remake
# fitted   $fitted
# update   x/sqrt(1 + sigma^2) moves by sums of shares times network outputs, in units of STD about
#          MEAN: exact on a Gaussian of this mean and deviation, whatever the shares
"""$title"""

import math

import torch

NAME = "$name"
EVALUATIONS = DEPTH = $calls
# The ends of the range; the levels between are the solver's own, in units of the deviation.
SIGMAS = $sigmas
LEVELS = $levels
# Row i weighs the first i outputs; the last row gives the result.
SHARES = (
$shares
)
# Sum of a row's shares minus 1: zero where a constant output is integrated exactly.
DEFECTS = $defects
GAIN = $gain
KEPT_ORDER = $kept
STD = $std
MEAN = $mean


def coefficients(start, end):
    """Plan in float64: state i is a[i] x + sum of c[i][j] denoised[j], about the mean.

    start, end: the ends of the range in units of the deviation.
    """
    levels = [*LEVELS, end]
    angles = [math.atan(level) for level in levels]
    states, outputs = [[1 / math.hypot(1, start)]], []
    for i, level in enumerate(levels):
        if i:
            row = [(angles[0] - angles[i]) * share for share in SHARES[i - 1]]
            state = [0.0] * (i + 1)
            state[0] = states[0][0]
            for weight, output in zip(row, outputs):
                for k, value in enumerate(output):
                    state[k] += weight * value
            states.append(state)
        if i < EVALUATIONS:
            scale = math.hypot(1, level) / level
            outputs.append([-value / level for value in states[i]] + [scale])
    rows = [
        [math.hypot(1, level) * value for value in state] for level, state in zip(levels, states)
    ]
    return [row[0] for row in rows], [row[1:] for row in rows]


def check(x, denoised, sigma):
    """Refuse a wrong model output; values are looked at in inference only."""
    if getattr(denoised, "shape", None) != x.shape:
        found = tuple(getattr(denoised, "shape", ())) or type(denoised).__name__
        raise ValueError(f"the model must return the shape of x, {tuple(x.shape)}; found {found}")
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        return
    if denoised.isnan().any():
        raise ValueError(f"the model returned NaN at sigma = {sigma:.4g}")


def sample(
    model, x, sigmas=SIGMAS, extra_args=None, callback=None, disable=None, *, mean=MEAN, std=STD
):
    """Run the $calls calls; differentiable.

    model: (x, sigma) -> denoised, sigma of shape (batch,); x = x0 + sigma noise.
    x: the start, sigma_max times noise. sigmas: (sigma_max, sigma_min), the ends alone.
    extra_args: further arguments of the model. callback: takes a dict after every call.
    mean, std: of the data: a number or a tensor that broadcasts to x; and the deviation from it.
    """
    if len(sigmas) != 2:
        raise ValueError(
            f"sigmas must be the two ends, (sigma_max, sigma_min): this solver has its own $calls "
            f"levels between them; found {len(sigmas)} levels"
        )
    high, low = (float(level) for level in sigmas)
    std = float(std)
    if not (std > 0 and std * LEVELS[0] <= high and 0 <= low < std * LEVELS[-1]):
        raise ValueError(
            f"fitted for calls from {std * LEVELS[0]:.4g} down to {std * LEVELS[-1]:.4g} (std {std:g}); "
            f"found the range {high:g} to {low:g}; fit a solver for it with solvergen calibrate"
        )
    mean = torch.as_tensor(mean, dtype=x.dtype, device=x.device)
    a, c = coefficients(high / std, low / std)
    ones = x.new_ones(x.shape[0])
    start, outputs = x, []
    for i in range(EVALUATIONS + 1):
        terms = c[i]
        x = start * a[i] + mean * (1 - a[i] - sum(terms))
        for weight, output in zip(terms, outputs):
            x = torch.add(x, output, alpha=weight)
        if i < EVALUATIONS:
            sigma = std * LEVELS[i]
            denoised = model(x, sigma * ones, **(extra_args or {}))
            if i == 0:
                check(x, denoised, sigma)
            outputs.append(denoised)
            if callback is not None:
                told = {"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "denoised": denoised}
                callback(told)
    return x
''')


def file_text(
    name: str,
    title: str,
    table: Table,
    mean: Tensor | float | tuple[Any, ...],
    std: float,
    sigmas: tuple[float, float],
    *,
    remake: str,
    fitted: str,
    sums: bool = False,
) -> str:
    """The text of the file.

    Args:
        name, title: of the solver.
        table: levels and shares; rounded to 12 digits here.
        mean: a number, or a tensor (or nested tuples) of one sample's shape, at most 4096 numbers.
        std: deviation of the data from the mean.
        sigmas: the largest and smallest level, in the problem's own units.
        remake: the command that made it.
        fitted: what it was fitted on, for the header.
        sums: whether shares sum to 1 by construction.
    """
    table = table.rounded()
    rows = ",\n".join(f"    {_tuple([repr(v) for v in row], 4)}" for row in table.shares) + ","
    made = _FILE.substitute(
        name=name,
        title=title,
        remake=remake,
        fitted=fitted,
        calls=table.calls,
        sigmas=f"({sigmas[0]!r}, {sigmas[1]!r})",
        levels=_tuple([repr(v) for v in table.levels]),
        shares=rows,
        defects=_tuple([f"{v:.6g}" for v in table.defects()]),
        gain=f"{table.gain():.6g}",
        kept="1" if sums else "None  # see DEFECTS",
        std=repr(float(f"{std:.9g}")),
        mean=_mean(mean),
    )
    return made


def _mean(mean: Tensor | float | tuple[Any, ...]) -> str:
    value = mean if isinstance(mean, float | int | tuple) else mean.tolist()
    if isinstance(value, float | int):
        return repr(float(f"{value:.7g}"))
    return _nested(value, 0)


def _nested(value: object, depth: int) -> str:
    if isinstance(value, list | tuple):
        inner = [_nested(v, depth + 4) for v in value]
        if value and isinstance(value[0], list | tuple):
            pad = " " * (depth + 4)
            return "(\n" + "".join(f"{pad}{text},\n" for text in inner) + " " * depth + ")"
        return _tuple(inner, depth)
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _tuple(items: Sequence[str], depth: int = 0) -> str:
    text = "(" + ", ".join(items) + ("," if len(items) == 1 else "") + ")"
    if len(text) + depth <= 92:
        return text
    pad = " " * (depth + 4)
    lines = textwrap.fill(", ".join(items) + ",", 96 - depth, break_long_words=False).split("\n")
    return "(\n" + "".join(f"{pad}{line}\n" for line in lines) + " " * depth + ")"
