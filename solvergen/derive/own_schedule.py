"""t and σ as functions of λ, for a schedule that a spec gives as expressions in t."""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from ..errors import DeriveError
from ..expr import functions as own
from ..expr.time import T, in_sympy
from ..process.model import LAM as PROCESS_LAM
from ..process.model import Process, ProcessError, simplified
from ..spec.model import Schedule
from ..spec.text.locate import Path as KeyPath

LAM = sp.Symbol("lam")


@lru_cache
def process_of(schedule: Schedule) -> Process:
    """The process of α(t) and σ(t).

    Raises:
        DeriveError: they make no diffusion process; the message says where.
    """
    assert schedule.alpha is not None and schedule.sigma is not None
    until = sp.Rational(schedule.until.numerator, schedule.until.denominator)
    try:
        return Process(in_sympy(schedule.alpha), in_sympy(schedule.sigma), until)
    except ProcessError as error:
        raise DeriveError(str(error), ("schedule", "alpha")) from None


def expression(name: str, schedule: Schedule, where: KeyPath) -> sp.Expr:
    """t or σ as an expression in ``lam`` that an emitted file can evaluate.

    Raises:
        DeriveError: t(λ) has no closed form, or one with functions that emitted files lack.
    """
    process = process_of(schedule)
    if process.time is None:
        raise DeriveError(
            f"t(lambda) of this schedule has no closed form, so `{name}` cannot be a coordinate; "
            "use lambda, rho or s",
            where,
        )
    found = process.time
    if name == "sigma":
        # σ = e^{−λ} α, which keeps its digits where σ(t) itself cancels
        found = simplified(sp.exp(-PROCESS_LAM) * process.alpha.subs(T, process.time))
    return _in_emitted_functions(found.xreplace({PROCESS_LAM: LAM}), name, where)


def _in_emitted_functions(found: sp.Expr, name: str, where: KeyPath) -> sp.Expr:
    """An expression of sympy in the functions of the spec language."""

    def inner(node: sp.Expr) -> sp.Expr:
        if node.is_Symbol or node.is_Rational:
            return node
        if isinstance(node, sp.Pow) and node.exp == sp.S.Half:
            return own.sqrt(inner(node.base))
        if isinstance(node, sp.Pow) and node.exp == -sp.S.Half:
            return 1 / own.sqrt(inner(node.base))
        if isinstance(node, sp.exp):
            return sp.exp(inner(node.exp))
        if isinstance(node, sp.log):
            (inside,) = node.args
            near_one = inside.is_Add and sp.S.One in inside.args
            return own.log1p(inner(inside - 1)) if near_one else own.log(inner(inside))
        if isinstance(node, sp.Add | sp.Mul) or (isinstance(node, sp.Pow) and node.exp.is_Integer):
            return node.func(*map(inner, node.args))
        raise DeriveError(
            f"`{name}` of this schedule is {found}, which emitted files cannot evaluate; use lambda, rho "
            "or s",
            where,
        )

    return inner(found)
