"""Plans for the browser: what a running emitted file does, as short linear combinations.

An emitted sampler runs once on one-hot model outputs, so its states *are* its weights: nothing of a
solver is written a second time here. Each state is then written over an earlier state with as few
terms as possible, which is how the browser computes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

Weights = np.ndarray[Any, Any]  # of the start, of outputs and of draws

LOOK_BACK = 8  # earlier states that a state may be written over
NEGLIGIBLE = 1e-13  # of the greatest weight of a state
DIGITS = 9


def plan(
    module: ModuleType, sigmas: Sequence[float], parameters: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The plan of one run in the scaling x = x₀ + σ ε.

    Args:
        module: an emitted file.
        sigmas: falling levels, the last above 0.
        parameters: keyword arguments of its `sample`.

    Returns:
        ``of``: what outputs are, "data" (D) or "noise" (ε = (x − D)/σ). ``at``: σ of every model
        call and of the end. ``rows``: for each state after the start ``[base, factor, output,
        weight, …]``, the state being ``factor`` times state ``base`` plus weighted outputs; a
        negative output −1, −2, … is a unit draw.
    """
    of = "noise" if module.INTEGRAND == "noise" else "data"
    states, levels, calls = _states(module, sigmas, dict(parameters or {}), of)
    rows = [_row(states, index, calls) for index in range(1, len(states))]
    return {"of": of, "at": [_short(level) for level in levels], "rows": rows}


def _states(
    module: ModuleType, sigmas: Sequence[float], parameters: dict[str, float], of: str
) -> tuple[list[Weights], list[float], int]:
    """Weights of the start, of outputs and of draws in every state that the model is called on."""
    import torch

    calls = len(module.coefficients(sigmas, **parameters))
    size = 1 + 2 * calls + 2 * len(sigmas)
    seen: list[Weights] = []
    levels: list[float] = []
    drawn = 0

    def model(x: torch.Tensor, sigma: torch.Tensor, **_: Any) -> torch.Tensor:
        seen.append(x[0].numpy().copy())
        levels.append(float(sigma))
        output = torch.zeros_like(x).index_fill_(1, torch.tensor(len(seen)), 1.0)
        return output if of == "data" else x - float(sigma) * output

    def noise(*_: Any) -> torch.Tensor:
        nonlocal drawn
        drawn += 1
        return torch.zeros(1, size, dtype=torch.float64).index_fill_(
            1, torch.tensor(calls + drawn), 1.0
        )

    start = torch.zeros(1, size, dtype=torch.float64)
    start[0, 0] = 1.0
    further = {"noise_sampler": noise} if hasattr(module, "WEAK_ORDER") else {}
    end = module.sample(model, start, list(sigmas), **further, **parameters)
    return [*seen, end[0].numpy()], [*levels, float(sigmas[-1])], calls


def _row(states: list[Weights], index: int, calls: int) -> list[float]:
    """A state over the earlier state that leaves the fewest terms."""
    state = states[index]
    least = NEGLIGIBLE * np.abs(state).max()
    best: tuple[int, float, Weights, Weights] | None = None
    for base in range(index - 1, max(index - 1 - LOOK_BACK, -1), -1):
        under = states[base]
        factor = float(state[0] / under[0]) if under[0] else 0.0
        rest = state - factor * under
        terms = 1 + np.flatnonzero(np.abs(rest[1:]) > least)
        if best is None or len(terms) < len(best[3]):
            best = (base, factor, rest, terms)
    assert best is not None
    base, factor, rest, terms = best
    row: list[float] = [base, _short(factor)]
    for k in terms.tolist():
        row += [k - 1 if k <= calls else calls - k, _short(float(rest[k]))]
    return row


def _short(value: float) -> float:
    """A number with as many digits as a page needs."""
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short == int(short) and abs(short) < 1e9 else short
