"""Steps of exported schedulers as sums whose weights are known before the run.

A step of a solver without noise is linear in the sample, the model's output and what is remembered. The
data prediction enters as x + r·output, one kernel, times a factor that goes into the weights of the sums
that it is a term of, in this step and in later ones.
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

import torch

NEGLIGIBLE = 1e-13  # of the terms that have cancelled


class WeightedSum:
    """Σ w·value over places of a list of values, in as few kernels as torch has.

    A sum of weight 1 is taken by lerp, one value after the other, where no partial sum cancels.

    >>> WeightedSum([0.25, 0.0, 0.75])([torch.ones(1), torch.ones(1), torch.ones(1)])
    tensor([1.])
    """

    __slots__ = ("first", "mean", "rest", "single", "weight")

    def __init__(self, weights: list[float]) -> None:
        terms = [(place, w) for place, w in enumerate(weights) if w] or [(0, 0.0)]
        self.mean = abs(sum(weights) - 1) < 1e-14 and len(terms) > 1
        if self.mean:  # x comes first among the values, and is taken last
            terms.reverse()
            shares = list(itertools.accumulate([w for _, w in terms]))
            self.mean = all(abs(s) > abs(w) / 16 for s, (_, w) in zip(shares, terms, strict=True))
            if self.mean:
                terms = [(place, w / s) for s, (place, w) in zip(shares, terms, strict=True)]
        elif 1.0 in weights:  # a weight of 1 needs no pass of its own
            terms.sort(key=lambda term: term[1] != 1)
        self.first, self.weight = terms[0]
        self.rest = terms[1:]
        self.single: torch.Tensor | None = None

    def __call__(self, values: list[Any]) -> torch.Tensor:
        """The sum, in memory of its own."""
        out: torch.Tensor = values[self.first]
        if self.mean or (self.weight == 1 and self.rest):
            (place, w), *rest = self.rest
            if not self.mean:
                out = torch.add(out, values[place], alpha=w)
            else:
                out = torch.lerp(out, values[place], w)
                for place, w in rest:
                    out.lerp_(values[place], w)
                return out
        else:
            rest = self.rest
            single = self.single if out.dtype == torch.float32 else None
            out = out * (self.weight if single is None else single)
        for place, w in rest:
            out.add_(values[place], alpha=w)
        return out


class SummedStep:
    """One step: sums over x, the data prediction and what is remembered, sums of before included.

    Args:
        intake: weights of sample and model output in the data prediction.
        rows: weights of the next state and of what is remembered, on x, the prediction and memory.
        factors: what each remembered value is to be multiplied by; 0 where nothing is remembered.
    """

    def __init__(
        self, intake: tuple[float, float], rows: list[list[float]], factors: list[float]
    ) -> None:
        of_sample, of_output = intake
        self.on_output = abs(of_output) > abs(of_sample)
        self.factor = of_output if self.on_output else of_sample
        self.ratio = (of_sample if self.on_output else of_output) / self.factor
        known = [1.0, self.factor, *factors]
        scaled = [list(map(operator.mul, row, known)) for row in rows]
        self.blank = (None,) * len(factors)
        self.width = len(known)
        self.sums: list[WeightedSum] = []
        self.keep: list[int | None] = []
        self.factors: list[float] = []
        made: list[tuple[int, list[float]]] = []
        for row, weights in zip(rows[1:], scaled[1:], strict=True):
            empty = weights.count(0.0)
            if empty == len(weights):
                self.keep.append(None)
                self.factors.append(0.0)
            elif empty == len(weights) - 1 and 1.0 in row and weights[row.index(1.0)]:
                place = row.index(1.0)  # the value itself, with its factor
                self.keep.append(place)
                self.factors.append(known[place])
            else:
                known_sum = next((place for place, other in made if other == weights), None)
                if known_sum is None:
                    known_sum = self._add(weights)
                    made.append((known_sum, weights))
                self.keep.append(known_sum)
                self.factors.append(1.0)
        first = _shortened(scaled[0], len(known), made) if made else scaled[0]
        self.following = self._add(first)

    def _add(self, weights: list[float]) -> int:
        self.sums.append(WeightedSum(weights))
        return self.width + len(self.sums) - 1

    def __call__(
        self, output: torch.Tensor, x: torch.Tensor, memory: tuple[Any, ...]
    ) -> tuple[torch.Tensor, tuple[Any, ...], torch.Tensor]:
        """The next state, what to remember, and the data prediction before its factor."""
        if self.ratio == 0:
            seen = output if self.on_output else x
        elif self.on_output:
            seen = torch.add(output, x, alpha=self.ratio)
        else:
            seen = torch.add(x, output, alpha=self.ratio)
        values = [x, seen, *(memory or self.blank)]
        for made in self.sums:
            values.append(made(values))
        kept = tuple([None if place is None else values[place] for place in self.keep])
        return values[self.following], kept, seen


def _shortened(
    weights: list[float], width: int, made: list[tuple[int, list[float]]]
) -> list[float]:
    """The same sum over fewer terms, where one that is made anyway stands for several."""
    size = max([width - 1, *(place for place, _ in made)]) + 1
    best = weights + [0.0] * (size - width)
    for place, other in made:
        for pivot in [k for k, w in enumerate(other) if w and weights[k]]:
            part = weights[pivot] / other[pivot]
            left = [w - part * o for w, o in zip(weights, other, strict=True)]
            left = [
                0.0 if abs(rest) <= NEGLIGIBLE * (abs(w) + abs(part * o)) else rest
                for rest, w, o in zip(left, weights, other, strict=True)
            ]
            left += [0.0] * (size - width)
            left[place] = part
            if sum(map(bool, left)) < sum(map(bool, best)):
                best = left
    return best


def summed_steps(moves: torch.Tensor, intakes: torch.Tensor, first: int) -> dict[int, SummedStep]:
    """The steps of a run by index, from its matrices and weights of sample and output.

    Args:
        moves: for each step a matrix, rows as of SummedStep, (steps, 1 + m, 2 + m).
        intakes: (steps, 2).
        first: the index of the first step.
    """
    made, factors = {}, [0.0] * (moves.shape[1] - 1)
    pairs = zip(intakes.tolist(), moves.tolist(), strict=True)
    for index, (intake, rows) in enumerate(pairs, first):
        made[index] = SummedStep(tuple(intake), rows, factors)
        factors = made[index].factors
    # In float32 a tensor without dimensions is what torch multiplies by fastest.
    sums = [each for step in made.values() for each in step.sums]
    single = torch.tensor([each.weight for each in sums], dtype=torch.float32).unbind()
    for each, weight in zip(sums, single, strict=True):
        each.single = weight
    return made
