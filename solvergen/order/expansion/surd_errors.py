"""Leading errors with square roots, recovered from their residues modulo a few primes.

Fractions of surds are slow to add and multiply hundreds of thousands of times. Modulo a prime a
root is a number, of either sign; the rational parts of a + b√d are half the sum and half the
difference over the signs, and a fraction is recovered from its residues. One extra prime serves as
a check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import prod
from typing import cast

from sympy import Expr

from ...algebra.modular import PRIMES, PrimeField, reconstructed
from ...algebra.scalar import Scalar
from ...algebra.surd import Surd, primes_of, root
from ...expr.arithmetic import fraction_of, walk
from ...expr.functions import sqrt
from ...program.model import Program
from .local_error import Case, Leading
from .words import Word

MOST_PRIMES = 8


def radicands(program: Program) -> tuple[int, ...] | None:
    """Square-free numbers whose roots generate all roots in a program's main step.

    Returns:
        The one radicand that occurs, or the primes in all of them; empty without roots; ``None``
        when a root is not of a number.
    """
    found: set[int] = set()
    for row in program.main.rows:
        for expr in (row.place.fraction, *(term.weight for term in row.terms)):
            for argument in _under_roots(expr):
                if not argument.is_Rational:
                    return None
                value = root(fraction_of(argument))
                parts = value.parts if isinstance(value, Surd) else {}
                found.update(free for free in parts if free > 1)
    if len(found) < 2:
        return tuple(found)
    return tuple(sorted({p for free in found for p in primes_of(free)}))


def _under_roots(expr: Expr) -> list[Expr]:
    return [node.args[0] for node in walk(expr) if isinstance(node, sqrt)]


def leading_with_roots(
    case: Case, generators: tuple[int, ...], find: Callable[[Case], Leading | None]
) -> Mapping[Word, Scalar] | None:
    """The exact coefficients of a leading error.

    Args:
        case: the program on a grid, over the rationals.
        generators: see `radicands`.
        find: expands the leading error of a case.

    Returns:
        Word to fraction or surd; ``None`` when the numbers are too long to be recovered.
    """
    factors = {d for generator in generators for d in primes_of(generator)}
    usable = [p for p in PRIMES if all(pow(d, (p - 1) // 2, p) == 1 for d in factors)]
    signs = [
        dict(zip(generators, s, strict=True)) for s in product((1, -1), repeat=len(generators))
    ]
    residues: dict[Word, dict[int, list[tuple[int, int]]]] = {}
    last: dict[Word, Scalar | None] = {}
    for prime in usable[:MOST_PRIMES]:
        fields = [
            PrimeField(prime, {primes_of(d)[0]: s for d, s in sign.items()}) for sign in signs
        ]
        runs = [find(replace(case, field=field)) for field in fields]
        for word in {w for run in runs if run for w in run.terms}:
            values = [int(cast(int, run.terms.get(word, 0))) if run else 0 for run in runs]
            for radicand, residue in _parts(values, generators, signs, prime).items():
                residues.setdefault(word, {}).setdefault(radicand, []).append((residue, prime))
        exact = {word: _simplified(parts) for word, parts in residues.items()}
        if exact == last and all(value is not None for value in exact.values()):
            return {word: value for word, value in exact.items() if value}
        last = exact
    return None


def _parts(
    values: list[int], generators: tuple[int, ...], signs: list[dict[int, int]], prime: int
) -> dict[int, int]:
    """Residues of the rational factors of each √d, from the values for all signs."""
    field = PrimeField(prime)
    parts = {}
    for chosen in product((0, 1), repeat=len(generators)):
        used = [d for d, bit in zip(generators, chosen, strict=True) if bit]
        total = sum(
            value * prod(sign[d] for d in used) for value, sign in zip(values, signs, strict=True)
        )
        scale = len(values) * prod(field.root(p) for d in used for p in primes_of(d))
        parts[prod(used)] = total * pow(scale, -1, prime) % prime
    return parts


def _simplified(parts: Mapping[int, list[tuple[int, int]]]) -> Scalar | None:
    total: Scalar = Fraction(0)
    for radicand, pairs in parts.items():
        value = reconstructed(pairs)
        if value is None:
            return None
        total = total + root(Fraction(radicand)) * value
    return total
