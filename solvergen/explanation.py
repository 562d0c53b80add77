"""What `explain` says of a solver, as lines of text, from its catalogue entry."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .errors import OrderError

if TYPE_CHECKING:
    from .catalogue import Entry
    from .order import OrderReport

GRIDS = {"uniform": "uniform grid in λ", "smooth": "smooth grid", "arbitrary": "any grid"}
MODES = ("exact_start", "own_start", "own_end")
_ALONG = {
    "data": "the denoised prediction",
    "noise": "minus the noise prediction, −ε",
    "velocity": "the velocity",
}


def explanation(one: Entry) -> str:
    """The update, the parameters, the orders and the claim, for a terminal."""
    head = [one.title, *(text for text in (one.description, one.source) if text)]
    parameters = [
        f"parameter {name} = {default}{f' ({doc})' if doc else ''}"
        for name, (default, doc) in one.parameters.items()
    ]
    facts = [*parameters, f"evaluations per step {one.evaluations}, history {one.history}", ""]
    return "\n".join([*head, "", one.formula, "", *facts, *orders(one)])


def orders(one: Entry) -> list[str]:
    """What is proved of the order, and whether the claim holds."""
    if one.refused:
        return [f"no order is stated: {one.refused}"]
    return [*(_noise_orders(one) if one.weak else _orders(one)), *_claim(one)]


def _orders(one: Entry) -> Iterator[str]:
    yield f"{'order, proved':24}{'exact start':>14}{'own start':>14}{'own end':>14}"
    for kind, label in GRIDS.items():
        if kind == "uniform" and one.clock:
            label = "uniform grid in the clock"
        cells = (short(*one.order[kind][mode]) for mode in MODES)
        yield f"  {label:22}" + "".join(f"{cell:>14}" for cell in cells)
    if one.holds:
        yield f"these orders hold {one.holds}"
    if one.ways:
        yield "its weights switch along the run; the order of its steps"
        yield from (f"  {way}" for way in one.ways)
    if one.divergence:
        yield one.divergence
    if one.rounded:
        yield f"rounded      {one.rounded[1]}"
    uniform, symbolic = one.local_error
    which = "uniform grid, in the weakest steps" if one.ways else "uniform grid"
    yield f"local error  {uniform}   ({which})"
    if "Nh" in uniform or "ih" in uniform:
        yield "             Nh = steps h and ih = i h: lengths of the run and of the part of it before the step"
    if symbolic.startswith("("):  # why it was not expanded
        yield f"             {symbolic[1:-1]}"
    elif symbolic:
        symbols = "g_k: grid point n+k, as a fraction of the step" if one.ahead else (
            "r_k = h_(n-k)/h_n"
        )  # fmt: skip
        yield f"             {symbolic}   (any grid, {symbols})"
    if one.approximated:
        sign = "−G with " if one.integrand == "noise" else ""
        yield f"             D stands for {sign}{one.approximated}, along the solution"
    else:
        yield f"             D is {_ALONG[one.integrand]}, along the solution"
    if one.stiff is not None and one.stiff[0] > 0:
        yield f"stiff order  strong {one.stiff[0]}, weak {one.stiff[1]}"
    yield from (f"held back by {bottleneck}" for bottleneck in one.bottlenecks)
    if one.varying and one.order["arbitrary"]["own_end"][0] > 0:
        names = ", ".join(one.varying)
        bounded = (
            f"while what is remembered dies out: {one.forgets}" if one.forgets else "while bounded"
        )
        yield f"these orders hold whatever the numbers {names} are, step by step, {bounded}"
    elif one.forgets:
        yield f"what is remembered dies out with {one.forgets}"
    if one.table:
        yield ""
        yield "the table at hand, which has no order of its own:" if one.varying else "its levels:"
        yield from one.table


def _noise_orders(one: Entry) -> Iterator[str]:
    heads = {"path_covariance": "cov. on a path"}
    quantities = list(one.weak["uniform"])
    yield f"{'order, proved':24}" + "".join(f"{heads.get(q, q):>16}" for q in quantities)
    for kind, label in GRIDS.items():
        cells = (shown_rate(one.weak[kind][name]) for name in quantities)
        yield f"  {label:22}" + "".join(f"{cell:>16}" for cell in cells)
    yield (
        "             mean and covariance of Gaussian targets, strong along one Brownian path, "
        "with its own start and end"
    )
    if one.reason:
        yield f"             {one.reason}"
    if any(one.weak[kind]["covariance"] in ([0, True], [0, False]) for kind in GRIDS):
        yield "none: the covariance does not converge, its error does not shrink with the step"
    if one.quiet:
        yield f"without noise, order {one.quiet}"


def _claim(one: Entry) -> Iterator[str]:
    """Whether the claim holds."""
    if not one.weak and (claimed := one.claim.get("order")) is not None:
        source = "the publication claims" if one.records else "claims"
        p, exact = one.order["arbitrary"]["own_end"]
        found = f"it is {'exactly' if exact else 'at least'} {p}" if p else "it does not converge"
        found = f"refuted, {found}"
        if one.rounded and claimed == one.rounded[0] != p:
            found = "holds up to the residual"
        yield f"{source} order {claimed}: {'holds' if claimed == p else found}"
    elif one.fault:
        yield one.fault
    elif one.claim:
        shown = ", ".join(f"{name} {order}" for name, order in one.claim.items())
        yield f"claims {shown}: holds"


def short(p: int, exact: bool) -> str:
    """``2``, ``>= 2`` where more is not excluded, or ``none`` where nothing converges."""
    if p < 1:
        return "none"
    return f"{p}" if exact else f">= {p}"


def shown_rate(rate: Any) -> str:
    """A rate of a solver with noise: ``2``, ``>= 1``, ``exact``, ``none`` (no convergence), ``-``."""
    if rate is None or isinstance(rate, str):
        return rate or "-"
    if rate[0] <= 0:
        return "none"
    return f"{'' if rate[1] else '>= '}{Fraction(rate[0])}"


def theory_facts(report: OrderReport) -> dict[str, Any]:
    """Everything that is proved of a solver, as plain data for programs and plots."""
    from .order.ode.stability import stability
    from .order.questions.parameters import scope

    facts = report.json()
    if (held := scope(report)) is not None:
        facts["holds"] = held.json()
    try:
        smooth: Any = report.smooth.json()
        if report.remembers:
            smooth = {"refused": "it depends on all steps before, through what is remembered"}
    except OrderError as error:
        smooth = {"refused": str(error)}
    zero = report.zero_stability
    facts["leading_error"]["smooth"] = smooth
    facts["error_norm"], facts["cost_constant"] = report.error_norm, report.cost_constant
    facts["bottlenecks"] = [str(bottleneck) for bottleneck in report.bottlenecks]
    if report.divergence:
        facts["divergence"] = report.divergence
    facts["zero_stability"] = {"stable": zero.stable, "reason": zero.reason}
    if report.rounded:
        facts["rounded"] = report.rounded.json()
    try:
        region = stability(report.program)
    except OrderError as error:
        return {**facts, "stability": {"refused": str(error)}}
    facts["stability"] = {
        "characteristic": [[str(a) for a in p] for p in region.characteristic],
        "real_interval": region.real_interval(),
        "locus": [[[z.real, z.imag] for z in curve] for curve in region.locus(120)],
    }
    return facts
