"""The report of an analysis: orders at once, constants and diagnoses when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from ...algebra.explosion import Explosion
from ...program.consistency import keeps_states
from ...program.model import Program
from ..expansion.grid import ARBITRARY, SMOOTH, UNIFORM
from ..verdict import Bottleneck, Document, LeadingError, Order, ZeroStability
from .analysed import Analysed
from .ends import Contribution, end_contributions, end_error, start_contributions
from .memory import forgets
from .rounding import Rounded, rounded
from .stiff import StiffOrder, stiff_order
from .zero_stability import accumulation, zero_stability

MODES = ("exact_start", "own_start", "own_end")


@dataclass(frozen=True)
class OrderReport:
    """What is true about a solver's accuracy.

    Args:
        program: the solver.
        orders: grid class to mode to order; modes are ``exact_start`` (all first evaluations at
            exact values), ``own_start`` (the solver's own first steps) and ``own_end`` (its own first and
            last steps).
        analysis: the computation behind it, for what is derived later.
        ways: of a solver that switches along the run, each way in which its switches may be decided with
            its order; the analysis is then that of the weakest.
    """

    program: Program
    orders: Mapping[str, Mapping[str, Order]]
    analysis: Analysed
    ways: tuple[tuple[tuple[str, ...], Order], ...] = ()

    def __repr__(self) -> str:
        return f"<OrderReport {self.program.name}: {self.order}>"

    def __str__(self) -> str:
        if self.divergence:
            return self.divergence
        on = {
            "on uniform grids": self.orders[UNIFORM]["own_end"],
            "after an exact start": self.orders[ARBITRARY]["exact_start"],
        }
        better = [f"{where} {order}" for where, order in on.items() if order != self.order]
        shown = f"order {self.order}, on any grid, with its own start and end"
        return f"{shown} ({', '.join(better)})" if better else shown

    @property
    def order(self) -> Order:
        """The order that a user gets on any grid, with the solver's own start and end."""
        return self.orders[ARBITRARY]["own_end"]

    @cached_property
    def uniform(self) -> LeadingError:
        """The leading effective local error on a uniform grid."""
        return self.analysis.constants(UNIFORM)

    @cached_property
    def rounded(self) -> Rounded | None:
        """The order that rounded numbers were made for, where they violate conditions by a rounding."""
        return rounded(self.analysis)

    @cached_property
    def symbolic(self) -> LeadingError:
        """The same with symbolic step ratios r1, r2, …

        Raises:
            Explosion: expanding it would cost too much; says what and offers the rational verdict.
        """
        return self.analysis.constants(ARBITRARY)

    @cached_property
    def smooth(self) -> LeadingError:
        """The same on a smooth grid λ_n = Λ(n/N), in eta = Λ''/Λ'², eta_3 = Λ'''/Λ'³, …"""
        return self.analysis.constants(SMOOTH)

    @cached_property
    def stiff(self) -> StiffOrder:
        """The stiff order of the main step."""
        return stiff_order(self.analysis.program, self.orders[ARBITRARY]["exact_start"].value)

    @property
    def evaluations_per_step(self) -> int:
        """Model calls of the main step."""
        return self.program.evaluations_per_step

    @property
    def history(self) -> int:
        """Past evaluations that the main step uses."""
        return self.program.main.history

    @property
    def zero_stability(self) -> ZeroStability:
        """The root condition on the first characteristic polynomial."""
        return zero_stability(self.analysis.program, self.analysis.values)

    @cached_property
    def divergence(self) -> str:
        """That the solver does not converge, where, and why; empty where it does.

        Judged on any grid, with its own start and end: where `order` is 0.
        """
        if self.order.value > 0:
            return ""
        zero, exponent = self.zero_stability, self.uniform.exponent
        uniform, exact = self.orders[UNIFORM]["own_end"], self.orders[ARBITRARY]["exact_start"]
        if not zero.stable:
            return f"does not converge: not zero-stable, {zero.reason}"
        if self.rounded:
            return f"does not converge: errors stay where rounded numbers hold them, {self.rounded}"
        if uniform.value > 0 and self.program.main.past_states:
            return "does not converge where step sizes vary: errors of past states add up"
        if uniform.value > 0 and exact.value < 1:
            return (
                "does not converge where step sizes vary: there a step has an error proportional to "
                "h, and 1/h of them add up to one that does not shrink"
            )
        if exponent > 1 and not keeps_states(self.program):
            return (
                "does not converge: the factors on the states sum to 1 for no numbers but the defaults, "
                "so that a step has an error that does not shrink with h"
            )
        if exponent > 1 and self.program.calls_elsewhere:
            return (
                "does not converge: the model is called at other levels than those of the states, by "
                "factors that stay as h shrinks; with all factors 1 the rule has a local error "
                f"{self.uniform}"
            )
        if exponent > 1:
            held = "; ".join(str(bottleneck) for bottleneck in self.bottlenecks)
            return f"does not converge: the first or last steps leave an error of size 1; {held}"
        total = "does not shrink" if exponent == 1 else "grows as h shrinks"
        return f"does not converge: a step has the error {self.uniform}, and 1/h of them add up to one that {total}"

    @cached_property
    def bottlenecks(self) -> tuple[Bottleneck, ...]:
        """The first and last steps that keep the global order below the main step's."""
        table, case = self.orders[UNIFORM], self.analysis.case(UNIFORM)
        found: list[Bottleneck] = []
        exact = table["exact_start"].value
        start = table["own_start"]
        if start.value < exact:  # none that counts lies beyond the order that is left
            limit = max(1, start.value + (not start.exact))  # below h no word is expanded
            listed = start_contributions(case, limit)
            found += _worst("start", listed)
        if table["own_end"].value == exact:
            return tuple(found)
        predictor = self.analysis.predictor
        # The last steps alone may lower the order, too.
        part = end_error(case.deciding(), exact - 1, predictor) if exact > 1 else None
        if part is not None or table["own_end"].value < start.value:
            limit = exact if part is None else ceil(part.exponent)
            found += _worst("end", end_contributions(case, limit, predictor))
        return tuple(found)

    @property
    def off_level(self) -> bool:
        """Whether calls at levels that tend to those of their states add errors of their own.

        They hold derivatives of the model at a fixed state, which are not words in D along the solution.
        """
        return self.program.calls_elsewhere and self.program.calls_near

    @property
    def remembers(self) -> bool:
        """Whether the local error depends on all steps before, through what is remembered of them."""
        return bool(self.program.main.memory)

    @property
    def unstated(self) -> bool:
        """Whether no leading error is stated: there is none of one step by itself."""
        return self.off_level or self.remembers

    @property
    def forgets(self) -> str:
        """For which numbers what is remembered dies out, in words; empty where nothing is known of it."""
        found = forgets(self.program, self.analysis.values) if self.remembers else None
        if found is None:
            return ""
        name, low, high = found
        return f"{name} between {low:.4g} and {high:.4g}, in any order on equal steps"

    @property
    def error_norm(self) -> float | None:
        """Principal error norm of the uniform leading error; ``None`` where it depends on the schedule.

        Where past states are carried it is divided by ρ'(1), so that it compares with that of others.
        """
        if self.unstated:
            return None
        norm = self.uniform.norm()
        return norm and norm * accumulation(self.program, self.analysis.values)

    @property
    def cost_constant(self) -> float | None:
        """Error constant at equal cost: C s^p, with s evaluations per step and order p.

        After M evaluations the step is s/M of the whole, so the error is about C (s/M)^p.
        """
        order, norm = self.orders[UNIFORM]["exact_start"].value, self.error_norm
        return None if norm is None else norm * float(self.evaluations_per_step) ** order

    def json(self, symbolic: bool = True) -> Document:
        """The report in the documented encoding.

        Args:
            symbolic: also expand the leading error in symbolic ratios, which costs the most.

        Returns:
            ``order``, ``leading_error``, ``stiff_order``, ``evaluations_per_step``, ``history``, and
            ``divergence`` where it does not converge. ``leading_error`` is empty where calls are off the
            levels of their states by some h, and where combinations of evaluations are remembered. A symbolic leading error that was refused is
            ``{"refused": reason}``.
        """
        return {
            **self.theory(symbolic),
            "stiff_order": {"strong": self.stiff.strong, "weak": self.stiff.weak},
            "evaluations_per_step": self.evaluations_per_step,
            "history": self.history,
        }

    def theory(self, symbolic: bool = True, longest: int | None = None) -> Document:
        """What an emitted file states: ``order`` and ``leading_error`` of `json`.

        Args:
            symbolic: also the leading error in symbolic ratios.
            longest: leave that out where a coefficient has more characters, or costs much to expand.
        """
        leading: Document = {} if self.unstated else {"uniform": self.uniform.json()}
        symbolic = symbolic and not self.unstated
        if self.uniform.rest and leading:
            leading["uniform"] = {"refused": f"{self.uniform}"}
        if symbolic:
            try:
                whole = self.symbolic
                found = whole.json() if longest is None else whole.brief(longest)
                if found is not None:
                    leading["symbolic"] = found
            except Explosion as error:
                leading["symbolic"] = {"refused": str(error)}
        orders = {
            kind: {mode: modes[mode].json() for mode in MODES}
            for kind, modes in self.orders.items()
        }
        theory: Document = {"order": orders, "leading_error": leading}
        if self.ways:
            theory["ways"] = [
                {"decided": list(decided), **order.json()} for decided, order in self.ways
            ]
        return {**theory, "divergence": self.divergence} if self.divergence else theory


def _worst(part: str, listed: list[Contribution]) -> list[Bottleneck]:
    least = min((c.found.exponent for c in listed), default=None)
    return [
        Bottleneck(part, c.step, c.label, c.found.exponent, tuple(c.found.terms.items()))
        for c in listed
        if c.found.exponent == least
    ]
