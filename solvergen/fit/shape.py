"""From free numbers to a table that keeps its structure, with derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .table import Array, Table


@dataclass(frozen=True)
class Numbers:
    """The free numbers of a table of N calls.

    First N numbers for the levels: the logarithm of the first, then the logarithms of the gaps of
    log σ, so that levels always fall. Then the shares of the rows 1 … N; where `sums` is set the
    newest share of every row is one minus the others and is not free.
    """

    calls: int
    sums: bool = False

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return self.calls + sum(self.width(i) for i in range(1, self.calls + 1))

    def width(self, row: int) -> int:
        """Free shares of a row."""
        return row - 1 if self.sums else row

    def of(self, table: Table) -> Array:
        """The numbers of a table; one whose sums are not 1 loses that where `sums` is set."""
        logs = np.log(np.asarray(table.levels))
        found = [logs[0], *np.log(-np.diff(logs))]
        for i, row in enumerate(table.shares, 1):
            found.extend(row[: self.width(i)])
        return np.asarray(found, dtype=float)

    def table(self, values: Array) -> Table:
        """The table of these numbers."""
        levels = np.exp(self._logs(values))
        rows = []
        for i, free in enumerate(self._rows(values), 1):
            row = [*map(float, free)]
            rows.append((*row, 1 - sum(row)) if self.width(i) < i else tuple(row))
        return Table(tuple(map(float, levels)), tuple(rows))

    def derivatives(self, values: Array, end: float) -> tuple[Array, Array, Array, Array]:
        """Angles (N), weights of F (N, N), and their derivatives (P, N) and (P, N, N).

        Row i of the weights, from 0, gives state i + 1; `end` is the level of the last.
        """
        n, count = self.calls, self.count
        levels = np.exp(self._logs(values))
        angles = np.arctan(levels)
        d_logs = np.zeros((count, n))
        d_logs[0] = 1.0
        for k in range(1, n):
            d_logs[k, k:] = -math.exp(values[k])
        d_angles = d_logs * (levels / (1 + levels**2))
        widths = angles[0] - np.append(angles[1:], math.atan(end))
        d_ends = np.concatenate([d_angles[:, 1:], np.zeros((count, 1))], axis=1)
        d_widths = d_angles[:, :1] - d_ends
        shares, d_shares = np.zeros((n, n)), np.zeros((count, n, n))
        at = n
        for i, free in enumerate(self._rows(values)):
            shares[i, : len(free)] = free
            d_shares[at + np.arange(len(free)), i, np.arange(len(free))] = 1.0
            if len(free) == i:
                shares[i, i] = 1 - free.sum()
                d_shares[at : at + i, i, i] = -1.0
            at += len(free)
        weights = shares * widths[:, None]
        d_weights = d_shares * widths[None, :, None] + shares[None] * d_widths[:, :, None]
        return angles, weights, d_angles, d_weights

    def reaches(self, call: int) -> NDArray[np.bool_]:
        """Which numbers move the state of a call (0 … N−1): a mask (P)."""
        found = np.zeros(self.count, dtype=bool)
        if call:
            found[: call + 1] = True
            found[self.calls : self.calls + sum(self.width(i) for i in range(1, call + 1))] = True
        return found

    def first_call(self, number: int) -> int:
        """The first call (0 … N−1) that a number moves; N for one that moves the end alone."""
        if number < self.calls:
            return number
        for row in range(1, self.calls + 1):
            if number < self.calls + sum(self.width(i) for i in range(1, row + 1)):
                return row
        raise IndexError(f"{number} of {self.count} numbers")

    def departures(self) -> NDArray[np.bool_]:
        """Which numbers are shares: a mask (P)."""
        return np.arange(self.count) >= self.calls

    def _logs(self, values: Array) -> Array:
        return np.asarray(values[0] - np.append(0.0, np.cumsum(np.exp(values[1 : self.calls]))))

    def _rows(self, values: Array) -> list[Array]:
        rows, at = [], self.calls
        for i in range(1, self.calls + 1):
            rows.append(np.asarray(values[at : at + self.width(i)]))
            at += self.width(i)
        return rows
