"""The symbols and the functions of an expression, and others in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .tree import (
    BINDERS,
    BOUND,
    Applied,
    Call,
    Expr,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    add,
    exp,
    multiply,
    phi,
    power,
)


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """Replace symbols by expressions, keeping everything exact."""
    return rebuild(expr, lambda symbol: values.get(symbol.name, symbol))


def rebuild(expr: Expr, leaf: Callable[[Symbol], Expr]) -> Expr:
    """The same expression with every symbol mapped through `leaf` and simplified anew."""
    match expr:
        case Symbol():
            return leaf(expr)
        case Call(name, (integrand, *rest)) if name in BINDERS:
            inside = rebuild(integrand, lambda s: s if s == BOUND else leaf(s))
            return Call(name, (inside, *(rebuild(arg, leaf) for arg in rest)))
        case Call(name, args):
            inner = tuple(rebuild(arg, leaf) for arg in args)
            if name == "phi" and isinstance(inner[0], Number):
                return phi(int(inner[0].value), inner[1])
            return exp(inner[0]) if name == "exp" else Call(name, inner)
        case Applied(name, argument, body):
            return Applied(name, rebuild(argument, leaf), body)
        case Power(base, exponent):
            return power(rebuild(base, leaf), exponent)
        case Product(coefficient, factors):
            return multiply(Number(coefficient), *(rebuild(factor, leaf) for factor in factors))
        case Sum(terms):
            return add(*(rebuild(term, leaf) for term in terms))
    return expr


def symbols(expr: Expr) -> set[str]:
    """Names of all symbols in an expression, the variables of integrals apart."""
    if isinstance(expr, Symbol):
        return {expr.name}
    if isinstance(expr, Call) and expr.name in BINDERS:
        integrand, *rest = expr.args
        return (symbols(integrand) - {BOUND.name}).union(*map(symbols, rest))
    return set().union(*map(symbols, expr.children()))


def symbols_outside_windows(expr: Expr) -> set[str]:
    """Names of the symbols by which an expression varies, the bounds of `between` apart."""
    if isinstance(expr, Symbol):
        return {expr.name}
    if isinstance(expr, Call) and expr.name == "between":
        return set()
    return set().union(*map(symbols_outside_windows, expr.children()))


def functions_of_x(*exprs: Expr) -> dict[str, Expr]:
    """Bodies of the named functions in some expressions, those that others use first."""
    found: dict[str, Expr] = {}
    for node in (node for expr in exprs for node in expr.walk()):
        if isinstance(node, Applied):
            found |= {**functions_of_x(node.body), node.name: node.body}
    return found


def replace_calls(expr: Expr, name: Callable[[Call], Expr]) -> Expr:
    """Map calls through a function, the innermost first; what an integral binds stays inside."""
    match expr:
        case Call(function, args):
            if function not in BINDERS:
                args = tuple(replace_calls(arg, name) for arg in args)
            return name(Call(function, args))
        case Power(base, exponent):
            return power(replace_calls(base, name), exponent)
        case Product(coefficient, factors):
            return multiply(Number(coefficient), *(replace_calls(f, name) for f in factors))
        case Sum(terms):
            return add(*(replace_calls(term, name) for term in terms))
    return expr
