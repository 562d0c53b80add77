"""What a fit minimises: errors at the end on one or several problems, with a ridge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .run import Scaled, end, jacobian
from .shape import Numbers
from .table import Array, Table


@dataclass(frozen=True)
class Pairs:
    """Starts and exact ends of one problem, in the variables of a table.

    Args:
        name: of the problem.
        starts, ends: x̂_0 and x̂_N, (n, *shape).
    """

    name: str
    scaled: Scaled
    starts: Tensor
    ends: Tensor

    @classmethod
    def of(cls, name: str, scaled: Scaled, x: Tensor, ends: Tensor) -> Pairs:
        """From states x and their ends in the problem's own units."""
        return cls(name, scaled, scaled.inward(x, scaled.start), scaled.inward(ends, scaled.end))

    def part(self, first: int, last: int | None) -> Pairs:
        """Some of them."""
        return Pairs(self.name, self.scaled, self.starts[first:last], self.ends[first:last])

    def where(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Those that a mask chooses."""
        return Pairs(self.name, self.scaled, self.starts[chosen], self.ends[chosen])

    def turns(self, count: int) -> NDArray[np.int_]:
        """The turn of each, from 0 to `count` - 1; whole periods share one, so that rows keep their conditions."""
        return np.arange(len(self.starts)) // self.scaled.problem.period % count

    def error(self, table: Table) -> float:
        """Root mean square error of the end, in units of the deviation."""
        try:
            ends = end(self.scaled, table, self.starts)
        except OverflowError:
            return math.inf
        return float(((ends - self.ends).double() ** 2).mean().sqrt())


@dataclass(frozen=True)
class MeanLog:
    """The mean over problems of the logarithm of the error, so that none dominates.

    Args:
        problems: the pairs of each.
        numbers: how numbers make a table.
        ridge: weight of the mean square departure from `prior`.
        prior: the numbers from which departures count.
    """

    problems: Sequence[Pairs]
    numbers: Numbers
    ridge: float
    prior: Array

    def loss(self, values: Array) -> float:
        """Mean log error plus the ridge."""
        try:
            table = self.numbers.table(values)
        except (ValueError, OverflowError):
            return math.inf
        errors = [pairs.error(table) for pairs in self.problems]
        if not all(0 < error < math.inf for error in errors):
            return math.inf
        return float(np.mean(np.log(errors))) + self._ridge(values)[0]

    def model(self, values: Array) -> tuple[float, Array, Array]:
        """The loss with half its gradient and its Gauss-Newton matrix."""
        torch.manual_seed(0)
        total, gradient, normal = self._ridge(values)
        count = len(self.problems)
        for pairs in self.problems:
            squares, slope, curve = jacobian(
                pairs.scaled, self.numbers, values, pairs.starts, pairs.ends
            )
            total += 0.5 * math.log(squares / pairs.starts.numel()) / count
            gradient = gradient + slope / (2 * squares * count)
            normal = normal + curve / (2 * squares * count)
        return total, gradient, normal

    def _ridge(self, values: Array) -> tuple[float, Array, Array]:
        mask = self.numbers.departures().astype(float) * self.ridge / max(1, len(values))
        away = values - self.prior
        return float((mask * away**2).sum()), mask * away, np.diag(mask)
