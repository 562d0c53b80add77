"""Leading errors as files state them: coefficients that are read, never evaluated as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ClaimError

OPERATIONS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def evaluate(text: str, names: dict[str, Any]) -> Any:
    """A stated coefficient: numbers, names, + - * / ** and brackets only.

    Raises:
        ClaimError: anything else in it, or a name that is not known.
    """
    if len(text) > 100_000:
        raise ClaimError(f"coefficient of {len(text)} characters; at most 100000 are read")
    try:
        # the order literature writes powers with a caret
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ClaimError(f"coefficient {text[:60]!r}: not an expression: {error}") from error
    return _value(tree.body, names, text)


def _value(node: ast.AST, names: dict[str, Any], text: str) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        left, right = _value(node.left, names, text), _value(node.right, names, text)
        return OPERATIONS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATIONS:
        return OPERATIONS[type(node.op)](_value(node.operand, names, text))
    found = node.id if isinstance(node, ast.Name) else type(node).__name__
    raise ClaimError(
        f"coefficient {text[:60]!r}: {found} is not allowed; use numbers, "
        f"{', '.join(sorted(names)) or 'no names'}, + - * / ** and brackets"
    )


@dataclass(frozen=True)
class Stated:
    """A leading local error.

    Args:
        kappa: 1 for data, -1 for noise.
        power: p + 1.
        words: (tree, coefficient text); a tree is [l, [children]].
    """

    kappa: int
    power: int
    words: tuple[tuple[Any, str], ...]


def stated_error(stated: dict[str, Any], table: str, power: int) -> Stated:
    """LEADING_ERROR of an emitted file; table is "uniform" or "symbolic".

    Args:
        power: the local error's power of h, from the audit; words of lower weight stand for
            coefficients that carry the missing powers.

    Raises:
        ClaimError: a form that is not known, or an integrand without a kappa.
    """
    kappa = {"data": 1, "noise": -1}.get(str(stated.get("INTEGRAND")))
    if kappa is None:
        raise ClaimError(
            f"INTEGRAND = {stated.get('INTEGRAND')!r}: constants are predicted for data and noise"
        )
    rows = (stated.get("LEADING_ERROR") or {}).get(table) or []
    words = tuple((row["tree"], str(row["coef"])) for row in rows)
    if not words:
        raise ClaimError(f"LEADING_ERROR has no {table!r} words")
    return Stated(kappa, power, words)


def weight(tree: Any) -> int:
    """Weight of a word [l, [children]]."""
    return 1 + int(tree[0]) + sum(weight(child) for child in tree[1])


def breadth(tree: Any) -> int:
    """Largest number of children of any node of a word."""
    return max([len(tree[1]), *[breadth(child) for child in tree[1]]])


def bound_only(stated: dict[str, Any], kind: str, order: int) -> bool:
    """Whether ORDER is a lower bound there and the audit finds more: no constant is stated."""
    said, exact = (stated.get("ORDER") or {}).get(kind, {}).get("exact_start", (order, True))
    return not exact and bool(order > said)
