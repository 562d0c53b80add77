"""What is proved of a loaded solver, whether its claims hold, and the torch file that states it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .errors import OrderError
from .loading import Loaded

if TYPE_CHECKING:
    from .order import OrderReport
    from .order.questions.parameters import Scope
    from .order.sde.report import StochasticReport
    from .order.verdict import Rate
    from .program.model import Program

CLAIMED = ("order", "mean", "covariance", "strong")


def order_report(program: Program) -> OrderReport:
    """The order report of a deterministic solver.

    Raises:
        OrderError: its weights cannot be expanded, or it draws noise.
    """
    from .order import analyse

    return analyse(program)


def noise_report(program: Program) -> StochasticReport:
    """The order report of a solver with noise.

    Raises:
        OrderError: its weights cannot be expanded, or it draws no noise.
    """
    from .order.sde.report import stochastic_report

    return stochastic_report(program)


@dataclass(frozen=True)
class Proof:
    """A loaded solver and its order report.

    Args:
        loaded: the solver, its program and its spec file.
        order: the report of a deterministic solver.
        noise: the report of a solver with noise.
        refused: why no order can be derived, where there is neither.
    """

    loaded: Loaded
    order: OrderReport | None = None
    noise: StochasticReport | None = None
    refused: str = ""

    @cached_property
    def theory(self) -> dict[str, Any] | None:
        """What an emitted file states of the order; ``None`` where none can be derived."""
        if self.noise is not None:
            return {"weak": self.noise.json()}
        if self.order is None:
            return None
        from .emit.torch_file import MAX_COEFFICIENT

        theory = self.order.theory(longest=MAX_COEFFICIENT)
        return theory if self.scope is None else {**theory, "holds": str(self.scope)}

    @cached_property
    def scope(self) -> Scope | None:
        """For which values of its parameters the orders hold; ``None`` where it has none."""
        if self.order is None:
            return None
        from .order.questions.parameters import scope

        return scope(self.order)

    @cached_property
    def text(self) -> str:
        """The solver's torch file."""
        from .emit.torch_file import torch_file

        loaded = self.loaded
        return torch_file(loaded.solver, loaded.program, self.theory, loaded.spec)

    @property
    def fault(self) -> str:
        """Why a claim of the spec does not hold, or why no order is stated; empty when all is well.

        A claim is an order on any grid with the solver's own start and end. One that records the
        publication's claim is shown beside the truth and is never a fault.
        """
        said = f"no order stated: {self.refused}" if self.refused else self.claim_fault
        return f"{self.loaded.path}: {said}" if said else ""

    @property
    def claim_fault(self) -> str:
        """Why a claim does not hold, and what to do; empty when all hold."""
        return self._order_fault() if self.order is not None else self._noise_fault()

    def _order_fault(self) -> str:
        claim, report = self.loaded.solver.claim, self.order
        assert report is not None
        if claim.order is None or claim.records or claim.order == report.order.value:
            return ""
        if report.rounded and claim.order == report.rounded.order:
            return ""
        held = "; ".join(str(b) for b in report.bottlenecks)
        within = report.orders["arbitrary"]["exact_start"].value >= claim.order
        remedy = "see what its free numbers must be (solvergen conditions)"
        if within:
            remedy = "cure its start or end (solvergen cure)"
        if claim.order < report.order.value:
            return f"claims order {claim.order}, derived is {report.order}; claim what it has"
        return (
            f"claims order {claim.order}, derived is {report.order}"
            + (f" ({held})" if held else "")
            + f'; correct it, {remedy}, or set records = "publication" in [claim]'
        )

    def _noise_fault(self) -> str:
        claim, report = self.loaded.solver.claim, self.noise
        if claim.records or report is None:
            return ""
        row, faults = report.orders["arbitrary"]["own_end"], []
        for name in CLAIMED[1:]:
            claimed = getattr(claim, name)
            found = [row[key] for key in (name, f"path_{name}") if row.get(key) is not None]
            if claimed is not None and not any(r.value in (None, claimed) for r in found if r):
                shown = " or ".join(rate_text(r) for r in found) or "without meaning"
                faults.append(f"claims {name} order {claimed}, derived is {shown}")
        remedies = ['correct this, or set records = "publication" in [claim]'] * bool(faults)
        if claim.order is not None:
            faults.append("a solver with noise has no single order")
            remedies.insert(0, "claim mean, covariance and strong in its place")
        return "; ".join([*faults, *remedies[:1]])


def proved(loaded: Loaded) -> Proof:
    """A loaded solver with what can be proved of its order."""
    program = loaded.program
    try:
        if program.stochastic:
            return Proof(loaded, noise=noise_report(program))
        return Proof(loaded, order=order_report(program))
    except OrderError as error:
        return Proof(loaded, refused=str(error))


def rate_text(rate: Rate | None) -> str:
    """A rate in a few characters: ``2``, ``>= 1``, ``exact``, ``-``."""
    if rate is None:
        return "-"
    if rate.value is None:
        return "exact"
    return f"{'' if rate.exact else '>= '}{rate.value}"
