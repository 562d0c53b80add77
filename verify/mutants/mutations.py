"""What is done to an emitted file to make it wrong: to the rows of its plan, and to its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..errors import MutantError

POOR_START = "second start row repeats the first's rule"
Row = tuple[Any, ...]
Change = Callable[[list[Row]], list[Row]]


def plan_changes(width: int, draws: int = 0) -> Iterator[tuple[str, Change]]:
    """What is done to the plan of a file, with its name.

    Args:
        width: most weights on states and outputs that a row holds.
        draws: most weights on draws, which stand behind them.
    """
    for slot in range(width):
        for factor in (1.01, 2.0, -1.0):
            yield f"weight {slot} times {factor:g}", _weights(_scaled(slot, factor))
    for slot in range(draws):
        for factor in (1.01, 2.0, -1.0, 0.0):
            yield f"draw {slot} times {factor:g}", _draws(_scaled(slot, factor))
    if width > 2:
        yield "oldest weight moved to the newest", _weights(_dropped)
        yield "weights 1 and 2 exchanged", _weights(_exchanged)
        yield "1 % of weight 2 moved to weight 1", _weights(_moved)
    yield POOR_START, _poor_start
    yield "inner nodes 1 % off", _misplaced
    yield "weights rounded to float32", _weights(_single)


Weights = tuple[torch.Tensor, ...]


def parts_of(row: Row) -> tuple[Weights, Weights]:
    """The weights of a row on states and outputs, and those on its draws."""
    weights = tuple(row[3])
    count = len(weights) - (len(row[4]) if len(row) > 4 else 0)
    return weights[:count], weights[count:]


def _weights(change: Callable[[Weights], Weights]) -> Change:
    def changed(row: Row) -> Row:
        plain, draws = parts_of(row)
        return (*row[:3], (*change(plain), *draws), *row[4:])

    return lambda plan: [changed(row) for row in plan]


def _draws(change: Callable[[Weights], Weights]) -> Change:
    def changed(row: Row) -> Row:
        plain, draws = parts_of(row)
        return (*row[:3], (*plain, *change(draws)), *row[4:])

    return lambda plan: [changed(row) for row in plan]


def _scaled(slot: int, factor: float) -> Callable[[Weights], Weights]:
    def change(w: Weights) -> Weights:
        return tuple(v * factor if i == slot else v for i, v in enumerate(w))

    return change


def _dropped(w: Weights) -> Weights:
    """Rows of fewer weights, as those of a first stage, stay as they are; so in the two below."""
    if len(w) < 3:
        return w
    return (w[0], w[1] + w[-1], *w[2:-1], w[-1] * 0)


def _exchanged(w: Weights) -> Weights:
    return w if len(w) < 3 else (w[0], w[2], w[1], *w[3:])


def _moved(w: Weights) -> Weights:
    return w if len(w) < 3 else (w[0], w[1] + 0.01 * w[2], 0.99 * w[2], *w[3:])


def _single(w: Weights) -> Weights:
    return tuple(v.float().double() for v in w)


def _poor_start(plan: list[Row]) -> list[Row]:
    """The second step takes all its weight from the newest evaluation."""
    out = []
    for row in plan:
        w, draws = parts_of(row)
        if row[0] == 1 and len(w) > 2:
            w = (w[0], sum(w[2:], w[1]), *[v * 0 for v in w[2:]])
        out.append((*row[:3], (*w, *draws), *row[4:]))
    return out


def _misplaced(plan: list[Row]) -> list[Row]:
    """Calls that do not open a step see a level 1 % too high."""
    out, before = [], None
    for row in plan:
        inner = row[0] == before
        out.append((*row[:2], row[2] * 1.01, *row[3:]) if inner else row)
        before = row[0]
    return out


def source_changes(text: str) -> Iterator[tuple[str, str]]:
    """Changed versions of a file's text, each with its name.

    Raises:
        MutantError: the file has what one of the changes is made to, and it was not found there.
    """
    for name, change, sign in (
        ("phi_2 for phi_1 / 2", _Phi(2), r"\bp2_\w|\bphi\w*\([2-9],"),
        ("phi_3 for phi_2 / 3", _Phi(3), r"\bp3_\w|\bphi\w*\([3-9],"),
        ("step ratio upside down", _Ratio(), r"\bt1 = .* / "),
        ("history in the wrong order", _Memory(), r"\w, \w[^=\n]* = \(?memory\b"),
    ):
        tree = ast.parse(text)
        changed = ast.unparse(ast.fix_missing_locations(change.visit(tree)))
        if changed != ast.unparse(ast.parse(text)):
            yield name, changed
        elif seen := re.search(sign, text):
            raise MutantError(
                f"{name}: the file has `{seen[0]}`, and nothing was found to change; teach the mutator how "
                "files are written now (verify/mutants/mutations.py)"
            )


class _Phi(ast.NodeTransformer):
    """phi(k, z), alone or among phis(n, z) = phi(1, z), ..., phi(n, z), replaced by phi(k - 1, z) / k."""

    def __init__(self, k: int) -> None:
        self.k = k

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or len(node.args) != 2:
            return node
        count = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if not isinstance(count, int):
            return node
        k, z = self.k, ast.unparse(node.args[1])
        if node.func.id == "phi" and count == k:
            return _read(f"phi({k - 1}, {z}) / {k}")
        if node.func.id == "phis" and count >= k:
            return _read(
                f"(lambda p: (*p[:{k - 1}], p[{k - 2}] / {k}, *p[{k}:]))(phis({count}, {z}))"
            )
        return node


def _read(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


class _Ratio(ast.NodeTransformer):
    """t1 = (lam[i] - lam[i - 1]) / h upside down: h and the step before exchanged."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target, value = node.targets[0], node.value
        ratio = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div)
        if ratio and isinstance(target, ast.Name) and target.id == "t1":
            assert isinstance(value, ast.BinOp)
            node.value = ast.BinOp(value.right, ast.Div(), value.left)
        return node


class _Memory(ast.NodeTransformer):
    """`d1, d2 = memory ...` of the function `step`, read in the other order."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self.generic_visit(node) if node.name == "step" else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        read = isinstance(target, ast.Tuple) and "memory" in ast.unparse(node.value)
        if read and isinstance(target, ast.Tuple) and len(target.elts) > 1:
            target.elts = [*target.elts[1:], target.elts[0]]
        return node
