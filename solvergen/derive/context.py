"""What the rules of one solver share, and which evaluations a rule may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sympy import Expr

from ..errors import DeriveError
from ..program.row import KAPPA, Place, recalled
from ..spec.model import Parameter, Rule, Schedule
from .weights.coordinates import Coordinate, resolve


@dataclass(frozen=True)
class Context:
    """What the rules of one solver share: integrand, coordinate, schedule and parameters.

    `before` holds the places of the stages of the step before, as fractions of that step; `coupled` says
    whether there is a second state. `further` are the coordinates besides λ and the clock that the solver
    and those of its first and last steps have used so far: a coordinate's number is its place there. `linear` is the linear
    part taken out exactly where it is not that of the integrand.
    """

    integrand: str
    coordinate: str
    schedule: Schedule | None
    parameters: tuple[Parameter, ...] = ()
    before: Mapping[str, Place] = field(default_factory=dict)
    further: list[Expr] = field(default_factory=list)
    coupled: bool = False
    linear: Expr | None = None

    @property
    def kappa(self) -> int | Expr:
        """The linear part that rules take out exactly: the solver's own, or that of its integrand."""
        return KAPPA[self.integrand] if self.linear is None else self.linear

    def resolve(self, rule: Rule) -> Coordinate:
        """The coordinate in which a rule works."""
        name = rule.coordinate or self.coordinate
        if rule.kind == "weights" and self.integrand == "velocity" and name == "lambda":
            raise DeriveError(
                "explicit weights of a velocity solver multiply the step of its clock; write "
                'coordinate = "clock"',
                (*rule.where, "weights"),
            )
        where = (*rule.where, "coordinate") if rule.coordinate else ("coordinate",)
        found = resolve(name, self.integrand, self.schedule, where, self.further)
        if self.linear is not None and found.kind != "lambda":
            raise DeriveError(
                "a solver with a linear part of its own integrates in lambda, where that part is a number; write "
                'coordinate = "lambda", or remove `linear`',
                where,
            )
        return found


def require(node: str, stages: Mapping[str, Place], rule: Rule, context: Context) -> None:
    stage = recalled(node)
    if node == "n" or node.startswith("n-") or node in stages or stage in context.before:
        return
    if stage:
        known = ", ".join(f"{name}-1" for name in context.before) or "none"
        message = f"`{node}` is not a stage of the step before; known here: {known}"
    elif node == "n+1":
        message = "`n+1` exists in [corrector] only; a predictor cannot use the end of its own step"
    else:
        known = ", ".join(("n", "n-1", *stages))
        message = f"`{node}` is not evaluated before this row; known here: {known}"
    raise DeriveError(message, (*rule.where, "nodes"))
