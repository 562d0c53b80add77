"""Safe arithmetic: text from a spec becomes an exact expression, and can become nothing else.

The text is parsed by Python's own parser and walked through an allow-list; nothing is evaluated.
Length, nesting and the size of integers are limited, so that no spec can hang or exhaust the tool.
"""

from __future__ import annotations

import ast
import math
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from sympy import Expr, exp

from ..errors import ExpressionError, hint
from .arithmetic import (
    BINDERS,
    add,
    children,
    function_name,
    multiply,
    negative,
    power,
    quotient,
    substitute,
    subtract,
    symbols,
    walk,
)
from .binders import BOUND, Applied, integral, riemann
from .evaluation import evaluate
from .functions import expm1, lift, sqrt
from .printing import show

MAX_LENGTH, MAX_DEPTH, MAX_EXPONENT, MAX_DIGITS = 4000, 40, 32, 1000
MAX_BITS = 8000  # of a numerator and a denominator together, whatever they come from
MAX_SHOWN = 200  # of an expression in a message
MAX_PARTS = 1000  # of a Riemann sum
MAX_DEGREE = 1024  # of powers of powers
MAX_NODES, MAX_TREE_DEPTH = 2000, 100  # of an expression once its abbreviations are written out

Functions = Mapping[str, Callable[..., Expr]]


def _riemann(integrand: Expr, low: Expr, high: Expr, count: Expr) -> Expr:
    if not count.is_Integer:
        raise ExpressionError("riemann(f, a, b, count) needs a whole count")
    if not 1 <= count <= MAX_PARTS:
        raise ExpressionError(f"a sum has from 1 to {MAX_PARTS} parts, found {count}")
    return riemann(integrand, low, high, count)


def _exp(z: Expr) -> Expr:
    """The exponential, of a number only where double precision holds it.

    sympy evaluates numbers to compare them, and would not end at exp(exp(exp(9999))).
    """
    if not z.free_symbols:
        try:
            math.exp(evaluate(z, {}, _FLOATS, float))
        except OverflowError:
            shown = show(z)
            raise ExpressionError(
                f"exp({shown if len(shown) < 40 else '…'}) is out of the range of double precision"
            ) from None
        except (ArithmeticError, ValueError, KeyError):
            pass  # what is wrong inside is reported where it is evaluated
    return exp(z)


_FLOATS: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "min": min,
}
FUNCTIONS: dict[str, Callable[..., Expr]] = {"exp": _exp, "expm1": expm1, "sqrt": sqrt}
# Functions of an integrand in x, between two ends.
QUADRATURE: dict[str, Callable[..., Expr]] = {"integral": integral, "riemann": _riemann}


def function_of_x(name: str, body: Expr) -> Callable[[Expr], Expr]:
    """The function that an expression in x is, as one that expressions may call.

    It keeps its name where it depends on x alone, and is written out where it depends on the step.
    """
    closed = symbols(body) <= {BOUND.name}
    size = 1 if closed else _extent(body, MAX_NODES)[0]

    def applied(value: Expr) -> Expr:
        if size * _extent(value, MAX_NODES)[0] > 4 * MAX_NODES:
            raise ExpressionError("too large once written out; use fewer or shorter functions")
        return Applied(name, value, body) if closed else substitute(body, {BOUND.name: value})

    return applied


def parse(text: str, names: Mapping[str, Expr], functions: Functions | None = None) -> Expr:
    """Parse one arithmetic expression.

    Args:
        text: for example ``"h*(phi1 - phi2/(2*r1))"``; integers and decimals are exact.
        names: what each allowed name stands for.
        functions: allowed functions besides ``exp``, ``expm1`` and ``sqrt``; each gets expressions.

    Returns:
        The exact expression.

    Raises:
        ExpressionError: anything that is not on the allow-list, with its column.

    >>> from sympy import Symbol
    >>> str(parse("1/3 + 0.25*r", {"r": Symbol("r")}))
    'r/4 + 1/3'
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"expression of {len(text)} characters; at most {MAX_LENGTH} are read"
        )
    if _nesting(text) > MAX_DEPTH:
        raise ExpressionError(f"brackets nested more than {MAX_DEPTH} deep")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        column = (getattr(error, "offset", None) or 1) - 1
        shown = text.strip() if len(text) <= MAX_SHOWN else text.strip()[:MAX_SHOWN] + "…"
        raise ExpressionError(
            f"not an arithmetic expression: {shown!r}{_typed(text)}", column
        ) from None
    return _Reader(text, names, {**FUNCTIONS, **(functions or {})}).read(body, 0)


def _typed(text: str) -> str:
    """Characters that are not those of a keyboard, and look as if they were."""
    found = next((c for c in text if not c.isascii()), "")
    if not found:
        return ""
    named = unicodedata.name(found, "a character without a name")
    return (
        f"; U+{ord(found):04X} ({named}) is not a sign here: write + - * / and letters from a to z"
    )


def _nesting(text: str) -> int:
    deepest = depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


class _Reader:
    """Walks a syntax tree through the allow-list."""

    def __init__(self, text: str, names: Mapping[str, Expr], functions: Functions) -> None:
        self.lead = len(text) - len(text.lstrip())
        self.text, self.names, self.functions = text.strip(), names, functions
        self.left = MAX_NODES

    def refuse(self, node: ast.expr, message: str) -> ExpressionError:
        width = (node.end_col_offset or node.col_offset + 1) - node.col_offset
        return ExpressionError(message, self.lead + node.col_offset, width)

    def read(self, node: ast.expr, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise self.refuse(node, f"expression nested more than {MAX_DEPTH} deep")
        match node:
            case ast.Constant():
                return self.constant(node)
            case ast.Name(name):
                if name in self.names:
                    return self.named(node, name)
                raise self.refuse(
                    node, f"unknown name `{name}`" + (_typed(name) or hint(name, self.names))
                )
            case ast.UnaryOp(ast.USub(), operand):
                return negative(self.read(operand, depth + 1))
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.read(operand, depth + 1)
            case ast.BinOp(left, operator, right):
                return self.binary(node, left, operator, right, depth)
            case ast.Call(ast.Name(name), args, []):
                return self.call(node, name, self.arguments(name, args, depth + 1))
        what = type(node).__name__.lower()
        raise self.refuse(
            node,
            f"{what} is not allowed here; use numbers, names, + - * / ** and "
            f"{', '.join(sorted(self.functions))}",
        )

    def named(self, node: ast.expr, name: str) -> Expr:
        """What a name stands for; abbreviations of abbreviations must not grow without bound."""
        expr = self.names[name]
        nodes, depth = _extent(expr, self.left)
        self.left -= nodes
        if self.left < 0 or depth > MAX_TREE_DEPTH:
            raise self.refuse(
                node, f"too large once `{name}` is written out; use fewer or shorter abbreviations"
            )
        return expr

    def constant(self, node: ast.Constant) -> Expr:
        value, written = node.value, ast.get_source_segment(self.text, node) or ""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refuse(node, f"{written[:40]!r} is not a number")
        if len(written) > MAX_DIGITS:
            raise self.refuse(node, f"a number of {len(written)} digits; at most {MAX_DIGITS}")
        try:
            exact = Decimal(written.replace("_", ""))
        except InvalidOperation:
            exact = Decimal(value)
        if exact and not -100 < exact.adjusted() < 100:
            raise self.refuse(node, f"{written} is out of range; keep |exponent| below 100")
        return lift(Fraction(exact))

    def binary(
        self, node: ast.expr, left: ast.expr, operator: ast.operator, right: ast.expr, depth: int
    ) -> Expr:
        a = self.read(left, depth + 1)
        b = self.read(right, depth + 1)
        made = self.combined(node, a, operator, b)
        if made.is_Rational and _height(made) > MAX_BITS:
            raise self.refuse(node, f"a number of more than {MAX_BITS} bits once it is worked out")
        return made

    def combined(self, node: ast.expr, a: Expr, operator: ast.operator, b: Expr) -> Expr:
        """Two expressions under an operator."""
        match operator:
            case ast.Add():
                return add(a, b)
            case ast.Sub():
                return subtract(a, b)
            case ast.Mult():
                return multiply(a, b)
            case ast.Div():
                if b.is_zero:
                    raise self.refuse(node, "division by zero")
                return quotient(a, b)
            case ast.Pow():
                return self.raised(node, a, b)
        powers = "; write ** for powers" if isinstance(operator, ast.BitXor) else ""
        raise self.refuse(node, f"only + - * / and ** are allowed{powers}")

    def raised(self, node: ast.expr, base: Expr, exponent: Expr) -> Expr:
        if not exponent.is_Integer:
            raise self.refuse(node, "the exponent of ** must be a whole number")
        height = _height(base) * abs(exponent)
        if (
            abs(exponent) > MAX_EXPONENT
            or height > 4000
            or _degree(base) * abs(exponent) > MAX_DEGREE
        ):
            raise self.refuse(
                node, f"power too large; exponents go from -{MAX_EXPONENT} to {MAX_EXPONENT}"
            )
        if base.is_zero and exponent < 0:
            raise self.refuse(node, "division by zero")
        return power(base, int(exponent))

    def arguments(self, name: str, args: list[ast.expr], depth: int) -> list[Expr]:
        """What a function is called with; the integrand of an integral knows its variable x."""
        if not args or name not in BINDERS or name not in self.functions:
            return [self.read(arg, depth) for arg in args]
        outer, (first, *rest) = self.names, args
        self.names = {**outer, BOUND.name: BOUND}
        integrand = self.read(first, depth)
        self.names = outer
        if any(function_name(node) in BINDERS for node in walk(integrand)):
            raise self.refuse(first, "an integral inside an integral; only single ones are known")
        return [integrand, *(self.read(arg, depth) for arg in rest)]

    def call(self, node: ast.expr, name: str, args: list[Expr]) -> Expr:
        if name not in self.functions:
            raise self.refuse(node, f"unknown function `{name}`" + hint(name, self.functions))
        if len(args) != BINDERS.get(name, len(args)):
            raise self.refuse(node, f"`{name}` does not take {len(args)} arguments")
        try:
            made = self.functions[name](*args)
        except TypeError:
            raise self.refuse(node, f"`{name}` does not take {len(args)} arguments") from None
        except ExpressionError as error:
            raise self.refuse(node, error.message) from None
        nodes, deepest = _extent(made, MAX_NODES)
        if nodes > MAX_NODES or deepest > MAX_TREE_DEPTH:
            raise self.refuse(node, f"too large once `{name}` is written out")
        return made


def _extent(expr: Expr, limit: int) -> tuple[int, int]:
    """Nodes and depth of a tree, counted until there are more nodes than the limit."""
    nodes = deepest = 0
    waiting = [(expr, 1)]
    while waiting and nodes <= limit:
        node, depth = waiting.pop()
        nodes, deepest = nodes + 1, max(deepest, depth)
        waiting += [(child, depth + 1) for child in children(node)]
    return nodes, deepest


def _height(expr: Expr) -> int:
    """How many bits the numbers of an expression take: what a power multiplies."""
    numbers = (node for node in walk(expr) if node.is_Rational)
    return max((int(n.p).bit_length() + int(n.q).bit_length() for n in numbers), default=1)


def _degree(expr: Expr) -> int:
    """The highest power of a symbol in powers and products of powers."""
    if expr.is_Pow:
        return int(abs(expr.exp)) * _degree(expr.base)
    return max(map(_degree, children(expr)), default=1) if expr.is_Mul or expr.is_Add else 1
