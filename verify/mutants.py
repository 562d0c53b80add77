"""Judging the judge: wrong samplers that must be rejected, and right ones that must not.

Mutants are made from emitted files, of the planned program (its rows: weights, nodes, start rows,
precision) and of the source (phi_2 for phi_1 / 2, step ratios upside down, history in the wrong
order). What a mutant really changes is measured, independently of the audit, by how fast its end
points part from the honest ones: slower than h^p and it has lost order, like h^p and it changes the
leading constant, faster and it changes neither.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import grids, measure
from .errors import MutantError, VerifyError
from .hosts.text import load_text
from .judge import judge
from .targets import callable_target
from .trace import Run

POOR_START = "second start row repeats the first's rule"
Row = tuple[Any, ...]
Change = Callable[[list[Row]], list[Row]]


@dataclass(frozen=True)
class Mutant:
    """A wrong version of an emitted file.

    Args:
        origin: the file's NAME.
        name: what was changed.
        module: a module like the emitted one, ready to run.
    """

    origin: str
    name: str
    module: types.ModuleType


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant.

    Args:
        effect: "order", "constant", "start" (a constant that only the start brings in, on which
            files state nothing), "higher" (neither) or "equivalent".
        shift: relative change of the error at the finest N.
        killed: whether the judge rejected it.
        why: the judge's first sentence.
    """

    origin: str
    name: str
    effect: str
    shift: float
    killed: bool
    why: str


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of one emitted file.

    Raises:
        MutantError: the file cannot be imported.
    """
    text = path.read_text(encoding="utf-8")
    honest = load_text(text, path.stem)
    rows = honest.coefficients(torch.from_numpy(grids.uniform(12)))
    width = max(len(row[3]) for row in rows)
    for name, change in _plan_changes(width):
        module = load_text(text, path.stem)
        module.coefficients = _changed(module.coefficients, change)  # type: ignore[attr-defined]
        yield Mutant(path.stem, name, module)
    for name, changed in _source_changes(text):
        yield Mutant(path.stem, name, load_text(changed, path.stem))


def _changed(plan: Callable[..., list[Row]], change: Change) -> Callable[..., list[Row]]:
    def coefficients(*args: Any, **named: Any) -> list[Row]:
        return change(plan(*args, **named))

    return coefficients


def _plan_changes(width: int) -> Iterator[tuple[str, Change]]:
    for slot in range(width):
        for factor in (1.01, 2.0, -1.0):
            yield f"weight {slot} times {factor:g}", _weights(_scaled(slot, factor))
    if width > 2:
        yield "oldest weight moved to the newest", _weights(_dropped)
        yield "weights 1 and 2 exchanged", _weights(_exchanged)
        yield "1 % of weight 2 moved to weight 1", _weights(_moved)
    yield POOR_START, _poor_start
    yield "inner nodes 1 % off", _misplaced
    yield "weights rounded to float32", _weights(_single)


Weights = tuple[torch.Tensor, ...]


def _weights(change: Callable[[Weights], Weights]) -> Change:
    def rows(plan: list[Row]) -> list[Row]:
        return [(*row[:3], change(tuple(row[3])), *row[4:]) for row in plan]

    return rows


def _scaled(slot: int, factor: float) -> Callable[[Weights], Weights]:
    def change(w: Weights) -> Weights:
        return tuple(v * factor if i == slot else v for i, v in enumerate(w))

    return change


def _dropped(w: Weights) -> Weights:
    return (w[0], w[1] + w[-1], *w[2:-1], w[-1] * 0)


def _exchanged(w: Weights) -> Weights:
    return (w[0], w[2], w[1], *w[3:])


def _moved(w: Weights) -> Weights:
    return (w[0], w[1] + 0.01 * w[2], 0.99 * w[2], *w[3:])


def _single(w: Weights) -> Weights:
    return tuple(v.float().double() for v in w)


def _poor_start(plan: list[Row]) -> list[Row]:
    """The second step takes all its weight from the newest evaluation."""
    out = []
    for row in plan:
        w = tuple(row[3])
        if row[0] == 1 and len(w) > 2:
            w = (w[0], sum(w[2:], w[1]), *[v * 0 for v in w[2:]])
        out.append((*row[:3], w, *row[4:]))
    return out


def _misplaced(plan: list[Row]) -> list[Row]:
    """Calls that do not open a step see a level 1 % too high."""
    out, before = [], None
    for row in plan:
        inner = row[0] == before
        out.append((*row[:2], row[2] * 1.01, *row[3:]) if inner else row)
        before = row[0]
    return out


def _source_changes(text: str) -> Iterator[tuple[str, str]]:
    for name, change in (
        ("phi_2 for phi_1 / 2", _Phi(2, ast.parse("phi(1, z) / 2", mode="eval").body)),
        ("phi_3 for phi_2 / 3", _Phi(3, ast.parse("phi(2, z) / 3", mode="eval").body)),
        ("step ratio upside down", _Ratio()),
        ("history in the wrong order", _Memory()),
    ):
        tree = ast.parse(text)
        changed = ast.unparse(ast.fix_missing_locations(change.visit(tree)))
        if changed != ast.unparse(ast.parse(text)):
            yield name, changed


class _Phi(ast.NodeTransformer):
    """phi(k, z) replaced by what it tends to from below."""

    def __init__(self, k: int, other: ast.expr) -> None:
        self.k, self.other = k, other

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        named = isinstance(node.func, ast.Name) and node.func.id == "phi"
        if not named or len(node.args) != 2 or not isinstance(node.args[0], ast.Constant):
            return node
        if node.args[0].value != self.k:
            return node
        return _Named(node.args[1]).visit(ast.parse(ast.unparse(self.other), mode="eval").body)


class _Named(ast.NodeTransformer):
    """z replaced by an expression."""

    def __init__(self, value: ast.expr) -> None:
        self.value = value

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.value if node.id == "z" else node


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
    """`d1, d2 = memory ...` read in the other order."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        read = isinstance(target, ast.Tuple) and "memory" in ast.unparse(node.value)
        if read and isinstance(target, ast.Tuple) and len(target.elts) > 1:
            target.elts = [*target.elts[1:], target.elts[0]]
        return node


FINE = (192, 384)


def effect(honest: Run, other: Run, order: int) -> tuple[str, float]:
    """What a mutant changes, by how its end points part from the honest ones.

    Returns:
        ("order" | "constant" | "higher" | "equivalent", change relative to the honest error).
    """
    task = measure.problem("oracle")
    gaps, errors = [], []
    for n in FINE:
        sigmas = grids.rough(n)
        right = measure.solve(honest, task, sigmas)
        try:
            wrong = measure.solve(other, task, sigmas)
        except VerifyError:
            return "order", float("inf")
        gaps.append(float(np.sqrt(np.mean((wrong - right) ** 2))))
        errors.append(float(np.sqrt(np.mean((right - task.exact.value) ** 2))))
    if gaps[1] < 1e-13:
        return "equivalent", 0.0
    # ends that part no further than rounding does tell nothing about the power
    slope = np.log2(gaps[0] / gaps[1])
    shift = gaps[1] / errors[1]
    if slope < order - 0.5:
        return "order", shift
    return ("constant" if slope < order + 0.5 else "higher"), shift


def outcome(mutant: Mutant, honest: Run, order: int) -> Outcome:
    """Run the judge on one mutant, with the honest file's statements."""
    target = callable_target(mutant.module, name=f"{mutant.origin}: {mutant.name}")
    try:
        kind, shift = effect(honest, target.run, order)
    except Exception:  # noqa: BLE001  (a mutant may break in any way; then it has no order)
        kind, shift = "order", float("inf")
    if kind == "constant" and mutant.name == POOR_START:
        kind = "start"
    verdict = judge(_without_claim(target), rates=False, constants=False)
    killed = verdict.status in ("fail", "error")
    why = verdict.findings[0] if verdict.findings else ""
    return Outcome(mutant.origin, mutant.name, kind, shift, killed, why)


def _without_claim(target: Any) -> Any:
    """The statements alone: a published claim may be refuted for the honest file already."""
    return type(target)(**{**target.__dict__, "claim": None})


def campaign(paths: Sequence[Path]) -> list[Outcome]:
    """All mutants of several emitted files.

    Raises:
        MutantError: a file states no ORDER, so there is nothing to hold mutants to.
    """
    out = []
    for path in paths:
        honest = load_text(path.read_text(encoding="utf-8"), path.stem)
        stated = getattr(honest, "ORDER", None)
        if not stated:
            raise MutantError(f"{path}: states no ORDER; make it with an order engine")
        order = int(stated["arbitrary"]["own_end"][0])
        run = callable_target(honest).run
        out += [outcome(m, run, order) for m in mutants(path)]
    return out


def rates(outcomes: Sequence[Outcome]) -> dict[str, tuple[int, int]]:
    """effect -> (killed, all); a constant counts from a change of one percent on."""
    out = {}
    for kind in ("order", "constant", "start", "higher"):
        those = [o for o in outcomes if o.effect == kind]
        if kind == "constant":
            those = [o for o in those if o.shift >= 0.01]
        out[kind] = (sum(o.killed for o in those), len(those))
    return out


def false_alarms(paths: Sequence[Path], seeds: Sequence[int]) -> list[str]:
    """Honest files that the judge rejects for some seed, with the reason."""
    out = []
    for path in paths:
        module = load_text(path.read_text(encoding="utf-8"), path.stem)
        target = _without_claim(callable_target(module, name=path.stem))
        for seed in seeds:
            verdict = judge(target, rates=False, constants=False, seed=seed)
            if verdict.status != "pass":
                out.append(f"{path.stem}, seed {seed}: {verdict.status}: {verdict.findings[:1]}")
    return out
