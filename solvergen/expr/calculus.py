"""Derivatives of expressions."""

from __future__ import annotations

from .tree import ONE, ZERO, Call, Expr, Number, Power, Product, Sum, Symbol, add, exp, multiply


def derivative(expr: Expr, name: str) -> Expr:
    """The derivative of an expression by a symbol.

    Args:
        expr: sums, products and powers of numbers, symbols, exp, expm1, log, log1p and sqrt.
        name: the symbol.

    Raises:
        NotImplementedError: another function of the symbol.

    >>> lam = Symbol("lam")
    >>> str(derivative(1 / (1 + exp(lam)), "lam"))
    '-exp(lam)/((exp(lam) + 1)**2)'
    """
    match expr:
        case Symbol():
            return ONE if expr.name == name else ZERO
        case Sum(terms):
            return add(*(derivative(term, name) for term in terms))
        case Product(coefficient, factors):
            number = Number(coefficient)
            return add(
                *(
                    multiply(number, derivative(factor, name), *factors[:i], *factors[i + 1 :])
                    for i, factor in enumerate(factors)
                )
            )
        case Power(base, exponent):
            return exponent * base ** (exponent - 1) * derivative(base, name)
        case Call(function, (argument,)) if (inner := derivative(argument, name)) != ZERO:
            return _outer(function, argument) * inner
        case Call(function, args) if any(derivative(arg, name) != ZERO for arg in args):
            raise NotImplementedError(f"the derivative of {function}")
    return ZERO


def _outer(function: str, argument: Expr) -> Expr:
    """f'(z) of an elementary function f."""
    match function:
        case "exp" | "expm1":
            return exp(argument)
        case "log":
            return 1 / argument
        case "log1p":
            return 1 / (1 + argument)
        case "sqrt":
            return 1 / (2 * Call("sqrt", (argument,)))
    raise NotImplementedError(f"the derivative of {function}")
