"""t(λ) in closed form: σ/α is unwound to a polynomial in t and solved, within a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import sympy as sp
from sympy.solvers.solveset import invert_real

from ..expr.time import T
from .bounds import within

UNWIND, SOLVE = 400_000, 1_500_000  # Python calls allowed to one search
DEGREE = 2  # closed forms of cubics and quartics are too long to read
LEVEL = sp.Symbol("y", positive=True)


def time_of(
    forms: Iterable[sp.Expr], lam: sp.Symbol, accept: Callable[[sp.Expr], bool]
) -> sp.Expr | None:
    """t as an expression in λ, or ``None`` where none is found within the bound.

    Args:
        forms: σ/α and (σ/α)² as expressions in t, in that order.
        lam: the symbol of λ.
        accept: whether a candidate is the inverse; the other branches are not.
    """
    powers = (LEVEL, LEVEL**2)
    for form, target in zip(forms, powers, strict=True):
        for found in _candidates(form, target):
            candidate = found.subs(LEVEL, sp.exp(-lam))
            if candidate.free_symbols.isdisjoint({T, LEVEL}) and accept(candidate):
                return candidate
    return None


def _candidates(form: sp.Expr, target: sp.Expr) -> Iterator[sp.Expr]:
    """Solutions t of form(t) = target, on all branches that are found."""
    try:
        unwound = within(UNWIND, invert_real, form, target, T)
    except (NotImplementedError, ValueError, TypeError):
        unwound = None
    if unwound is not None:
        core, values = unwound
        for value in _members(values):
            yield from [value] if core == T else _polynomial(core, value)
    yield from _by_exponential(form, target)


def _members(values: sp.Set) -> Iterator[sp.Expr]:
    """Elements of the sets that `invert_real` makes; of a periodic family three neighbours."""
    if isinstance(values, sp.FiniteSet):
        yield from values.args
    elif isinstance(values, sp.ImageSet):
        yield from (values.lamda(n) for n in (0, 1, -1))
    elif isinstance(values, sp.Intersection | sp.Union):
        for part in values.args:
            yield from _members(part)


def _polynomial(core: sp.Expr, value: sp.Expr) -> list[sp.Expr]:
    """Roots in t of core = value where that is a quotient of polynomials of low degree."""
    above, below = sp.fraction(sp.together(core))
    equation = sp.expand(above - value * below)
    if not equation.is_polynomial(T) or sp.degree(equation, T) > DEGREE:
        return []
    coefficients = sp.Poly(equation, T).all_coeffs()
    if len(coefficients) < 3:
        return list(sp.roots(sp.Poly(equation, T)))
    a, b, c = map(sp.factor_terms, coefficients)
    # −2c/(b ± √…) and not (−b ± √…)/(2a): nothing cancels where t tends to 0.
    found = within(SOLVE, lambda: sp.sqrt(sp.factor_terms(sp.expand(b**2 - 4 * a * c))))
    return [] if found is None else [-2 * c / (b + found), -2 * c / (b - found)]


def _by_exponential(form: sp.Expr, target: sp.Expr) -> Iterator[sp.Expr]:
    """Where t stands in powers of one exponential w alone: solve for w, then for t."""
    exponents = {e.exp for e in form.atoms(sp.exp)}
    bases = [b for b in exponents if all((e / b).simplify().is_Rational for e in exponents)]
    if not bases:
        return
    least = min(bases, key=lambda b: abs((b / bases[0]).simplify()))
    w = sp.Symbol("w", positive=True)
    replaced = form.subs({sp.exp(e): w ** (e / least).simplify() for e in exponents})
    if replaced.has(T):
        return
    above = sp.fraction(sp.together(replaced - target))[0]
    for root in within(SOLVE, _solved, above, w) or []:
        yield from _polynomial(least, sp.log(root))


def _solved(above: sp.Expr, w: sp.Symbol) -> list[sp.Expr]:
    found = sp.solve(above, w)
    return [root for root in found if not root.has(sp.RootOf)]
