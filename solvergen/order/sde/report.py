"""The orders of a stochastic solver, derived without a random number.

On a Gaussian target a solver with noise is a linear recursion, and its errors are power series in
√h with coefficients that depend on the target, the grid and the strength alone (see `gaussian`,
`gaussian_runs` and `moment_errors`). Three orders are stated for each class of grids in λ:

    mean         E u from a start off the marginal, against the reverse SDE of the solver's strength
    covariance   Var u from a start in the marginal: how well the marginal law is kept. From any other
                 Gaussian start Var u errs by E² too, so that its order is the lesser of the two
    strong       the mean square distance to that SDE's solution along one Brownian path

Jumps of the grid add noise exactly and keep the marginal law: orders hold between them. A scale that
is not 1 breaks this by an error that no step size lessens. The reverse SDE's own strength is the limit τ² = lim Var/(2hσ̃²) of the solver's draws.

What is rigorous: a rate is derived from the exact recursion, by the rule in `moment_errors`; that a
coefficient is not zero is certain up to rounding sixty digits below it. What is generic: a
coefficient that vanishes to 38 digits at random points of target, level and grid is zero; "exact"
is decided likewise, at finite steps. Orders on Gaussian targets bound those on others from above.
White noise limits rules over past evaluations to covariance order 2, whatever their degree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ...errors import OrderError
from ...expr.evaluation import evaluate
from ...program.functions import ELEMENTARY, number
from ...program.model import Program
from ..expansion.grid import ARBITRARY, CLASSES, UNIFORM
from ..expansion.local_error import defaults
from ..ode.analyse import analyse
from ..ode.report import MODES, OrderReport
from ..verdict import Document, Rate
from .analysis import ON_PATH, NoiseAnalysis
from .strength import silenced, windowed

INSIDE = "orders hold where the strength does not change: inside its window"
RAISED = (
    "a rise of the grid adds scale^2 times the variance between its levels: no step size lessens that "
    "error unless scale = 1"
)
NORMS = "Langevin steps whose length follows from norms are not a linear map, so they have no order"
QUANTITIES = ("mean", "covariance", "strong")


@dataclass(frozen=True)
class StochasticReport:
    """What is true about the accuracy of a solver with noise.

    Args:
        program: the solver.
        orders: grid class to mode to quantity to rate; modes as in `OrderReport`, quantities are
            ``mean``, ``covariance`` and ``strong``; ``None`` where a quantity has no meaning. Where
            two draws of a step belong to parts of it that overlap, ``covariance`` holds for draws
            that are independent, and ``path_covariance`` for draws from one Brownian path.
        parameters: values of the parameters at which the orders were derived; those of the noise that are
            0 unless given have generic values.
        reason: why a quantity has no meaning, and where along a run the orders hold or what
            they come from, or "".
    """

    program: Program
    orders: Mapping[str, Mapping[str, Mapping[str, Rate | None]]]
    parameters: Mapping[str, Fraction]
    reason: str = ""

    @cached_property
    def deterministic(self) -> OrderReport | None:
        """What the solver promises where a parameter makes its strength zero, if one does."""
        quiet = silenced(self.program)
        return analyse(quiet) if quiet is not None else None

    def growth(self, quantity: str) -> tuple[Fraction, ...] | None:
        """The leading constant on a uniform grid, a polynomial in the gain k (see `growth`).

        Args:
            quantity: ``mean`` or ``covariance``.

        Returns:
            Its coefficients from the constant upwards, ``None`` where there is none in closed form.
        """
        rate = self.orders[UNIFORM]["exact_start"][quantity]
        if rate is None or rate.value is None or not rate.exact:
            return None
        analysis = NoiseAnalysis(self.program, dict(self.parameters), set(self.parameters))
        return analysis.growth(quantity, rate.value)

    def json(self, mode: str = "own_end") -> dict[str, Document]:
        """``{"uniform": {"mean": [2, True], "covariance": "exact", "strong": None}, …}``.

        Args:
            mode: ``exact_start``, ``own_start`` or ``own_end``.
        """
        return {
            kind: {name: rate and rate.json() for name, rate in modes[mode].items()}
            for kind, modes in self.orders.items()
        }

    def __repr__(self) -> str:
        return f"<StochasticReport {self.program.name}: {self}>"

    def __str__(self) -> str:
        row, uniform = self.orders[ARBITRARY]["own_end"], self.orders[UNIFORM]["own_end"]
        shown = ", ".join(f"{name} {row[name] or 'without meaning'}" for name in QUANTITIES)
        if ON_PATH in row and row[ON_PATH] != row["covariance"]:
            shown += f" (covariance {row[ON_PATH]} when the draws come from one Brownian path)"
        if uniform != row:
            better = (f"{n} {uniform[n]}" for n in QUANTITIES if uniform[n] != row[n])
            shown += f" (uniform grid: {', '.join(better)})"
        shown = f"orders, proved on Gaussian targets: {shown}"
        return f"{shown}; {INSIDE}" if windowed(self.program) else shown


def stochastic_report(
    program: Program, parameters: Mapping[str, Fraction] | None = None
) -> StochasticReport:
    """Derive mean, covariance and strong order of a solver with noise.

    Args:
        program: the solver.
        parameters: values that replace the defaults.

    Raises:
        OrderError: a solver without noise, or weights that cannot be expanded.
    """
    if not program.stochastic:
        raise OrderError(f"{program.name} draws no noise; ask for its order with `analyse`")
    known = defaults(program)
    for name in parameters or {}:
        if name not in known:
            raise OrderError(
                f"{program.name} has no parameter `{name}`; it has {', '.join(known) or 'none'}"
            )
    if any(step.chain and step.chain.snr for step in program.steps):
        return StochasticReport(program, _untold(), known, NORMS)
    values = {**known, **(parameters or {})}
    analysis = NoiseAnalysis(program, values, set(parameters or {}))
    orders, reason = analysis.decide()
    if program.jumps and evaluate(program.jump_scale, values, ELEMENTARY, number) != 1:
        orders = {
            kind: {mode: _off(row) for mode, row in modes.items()} for kind, modes in orders.items()
        }
        reason = f"{reason}; {RAISED}" if reason else RAISED
    if windowed(program):
        reason = f"{reason}; {INSIDE}" if reason else INSIDE
    return StochasticReport(program, orders, analysis.values, reason)


def _off(row: Mapping[str, Rate | None]) -> dict[str, Rate | None]:
    """Rates where rises leave a wrong variance, which leaves the mean as it is."""
    return {
        name: rate if rate is None or name == "mean" else Rate(Fraction(0))
        for name, rate in row.items()
    }


def _untold() -> dict[str, dict[str, dict[str, Rate | None]]]:
    """No order of any quantity."""
    return {kind: {mode: dict.fromkeys(QUANTITIES, None) for mode in MODES} for kind in CLASSES}
