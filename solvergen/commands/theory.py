"""Commands about accuracy: order in explain, claims, cure, compare, conditions."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OrderError, SolvergenError

if TYPE_CHECKING:
    from ..loading import Loaded
    from ..order import OrderReport
    from ..order.sde.report import StochasticReport


def add(commands: Any) -> None:
    """Register the commands."""
    cure = commands.add_parser("cure", help="lift an order that start or end costs")
    cure.add_argument("spec", metavar="SPEC")
    cure.add_argument("--kind", choices=("start", "shrink"), default="start", help="what to prefer")
    cure.add_argument("--out", type=Path, metavar="FILE", help="NAME_cured.toml unless given")
    cure.add_argument("--list", action="store_true", help="list the cures and write nothing")
    cure.set_defaults(handler=run_cure)

    compare = commands.add_parser("compare", help="rank solvers by order and error constant")
    compare.add_argument("specs", nargs="+", metavar="SPEC")
    compare.add_argument("--grid", choices=("uniform", "smooth", "arbitrary"), default="arbitrary")
    compare.add_argument(
        "--start", choices=("exact_start", "own_start", "own_end"), default="own_end"
    )
    compare.add_argument("--json", action="store_true")
    compare.set_defaults(handler=run_compare)

    solve = commands.add_parser("conditions", help="parameter values that reach an order")
    solve.add_argument("spec", metavar="SPEC")
    solve.add_argument("order", type=int, metavar="ORDER")
    solve.add_argument("--for", dest="names", nargs="+", metavar="NAME", help="solve for these")
    solve.set_defaults(handler=run_conditions)


def analysed(loaded: Loaded) -> OrderReport:
    """The order report of a loaded solver."""
    from ..order import analyse

    return analyse(loaded.program)


def noise_analysed(loaded: Loaded) -> StochasticReport:
    """The order report of a loaded solver with noise."""
    from ..order.sde.report import stochastic_report

    return stochastic_report(loaded.program)


def noise_lines(report: StochasticReport) -> list[str]:
    """The order report of a solver with noise for a terminal."""
    names = {"uniform": "uniform grid in λ", "smooth": "smooth grid", "arbitrary": "any grid"}
    quantities = list(report.orders["uniform"]["own_end"])
    heads = {"path_covariance": "cov. on a path"}
    lines = [f"{'order, proved':24}" + "".join(f"{heads.get(q, q):>16}" for q in quantities)]
    for kind, label in names.items():
        row = report.orders[kind]["own_end"]
        cells = "".join(f"{_rate(row[q]):>16}" for q in quantities)
        lines.append(f"  {label:22}{cells}")
    lines.append(
        "             mean and covariance of Gaussian targets, strong along one Brownian path, with "
        "its own start and end"
    )
    if report.reason:
        lines.append(f"             {report.reason}")
    try:
        quiet = report.deterministic
    except OrderError:
        quiet = None
    if quiet is not None:
        lines.append(f"without noise, order {quiet.order}")
    return lines


def _rate(rate: Any) -> str:
    if rate is None:
        return "-"
    if rate.value is None:
        return "exact"
    return f"{'' if rate.exact else '>= '}{rate.value}"


def noise_fault(loaded: Loaded, report: StochasticReport) -> str:
    """Why a claim about a solver with noise does not hold, or an empty text."""
    claim, row = loaded.solver.claim, report.orders["arbitrary"]["own_end"]
    if claim.records:
        return ""
    faults = []
    for name in ("mean", "covariance", "strong"):
        claimed = getattr(claim, name)
        found = [row[key] for key in (name, f"path_{name}") if row.get(key) is not None]
        if claimed is not None and not any(r.value in (None, claimed) for r in found if r):
            shown = " or ".join(_rate(r) for r in found) or "without meaning"
            faults.append(f"claims {name} order {claimed}, derived is {shown}")
    remedies = ['correct this, or set records = "publication" in [claim]'] * bool(faults)
    if claim.order is not None:
        faults.append("a solver with noise has no single order")
        remedies.insert(0, "claim mean, covariance and strong in its place")
    return f"{loaded.path}: {'; '.join([*faults, *remedies[:1]])}" if faults else ""


def theory_facts(report: OrderReport) -> dict[str, Any]:
    """Everything that is proved of a solver, as plain data for programs and plots."""
    from ..order.ode.stability import stability

    facts = report.json()
    try:
        smooth: Any = report.smooth.json()
    except OrderError as error:
        smooth = {"refused": str(error)}
    zero = report.zero_stability
    facts["leading_error"]["smooth"] = smooth
    facts["error_norm"], facts["cost_constant"] = report.error_norm, report.cost_constant
    facts["bottlenecks"] = [str(bottleneck) for bottleneck in report.bottlenecks]
    facts["zero_stability"] = {"stable": zero.stable, "reason": zero.reason}
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


def order_lines(report: OrderReport) -> list[str]:
    """The order report for a terminal."""
    from ..order import Explosion

    lines = [f"{'order, proved':24}{'exact start':>14}{'own start':>14}{'own end':>14}"]
    names = {"uniform": "uniform grid in λ", "smooth": "smooth grid", "arbitrary": "any grid"}
    if report.program.kappa == 0:
        names["uniform"] = "uniform grid in the clock"
    for kind, label in names.items():
        cells = report.orders[kind]
        shown = "".join(f"{_short(cells[m]):>14}" for m in ("exact_start", "own_start", "own_end"))
        lines.append(f"  {label:22}{shown}")
    lines.append(f"local error  {report.uniform}   (uniform grid)")
    try:
        symbolic = str(report.symbolic)
        if len(symbolic) <= 160 and symbolic != str(report.uniform):
            symbols = "r_k = h_(n-k)/h_n"
            if report.program.main.ahead > 1:
                symbols = "g_k: grid point n+k, as a fraction of the step"
            lines.append(f"             {symbolic}   (any grid, {symbols})")
    except Explosion as error:
        lines.append(f"             {error}")
    lines.append(f"             D is {_INTEGRANDS[report.program.integrand]}, along the solution")
    stiff = report.stiff
    if stiff.strong is not None:
        lines.append(f"stiff order  strong {stiff.strong}, weak {stiff.weak}")
    lines += [f"held back by {bottleneck}" for bottleneck in report.bottlenecks]
    return lines


_INTEGRANDS = {
    "data": "the denoised prediction",
    "noise": "minus the noise prediction, −ε",
    "velocity": "the velocity",
}


def _short(order: Any) -> str:
    return f"{order.value}" if order.exact else f">= {order.value}"


def claim_fault(loaded: Loaded, report: OrderReport) -> str:
    """Why a spec's claim does not hold, or an empty text.

    A claim is an order on any grid with the solver's own start and end. One that records the
    publication's claim is shown beside the truth and is never a fault.
    """
    claim = loaded.solver.claim
    if claim.order is None or claim.records or claim.order == report.order.value:
        return ""
    held = "; ".join(str(b) for b in report.bottlenecks)
    return (
        f"{loaded.path}: claims order {claim.order}, derived is {report.order}"
        + (f" ({held})" if held else "")
        + '; correct it, cure it (solvergen cure), or set records = "publication" in [claim]'
    )


def run_cure(args: argparse.Namespace) -> int:
    """Write the cured spec and show what it is proved to reach."""
    from ..derive import derive
    from ..loading import load, sibling
    from ..order import analyse
    from ..order.questions.cure import cured_solver, cures
    from ..spec.edit import changed
    from ..spec.reader import parse_solver
    from ..writing import write

    loaded = load(args.spec)
    lookup = sibling(loaded.path)

    def derivation(solver: Any) -> Any:
        return derive(solver, lookup)

    if args.list:
        found = cures(loaded.solver, derivation, args.kind)
        lines = [
            f"{cure}{'  <- cure writes this one' if i == 0 and cure.complete else ''}"
            for i, cure in enumerate(found)
        ]
        print("\n".join(lines) or f"{args.spec}: nothing to cure")
        return 0
    cured = cured_solver(loaded.solver, args.kind, derivation)
    if cured is loaded.solver:
        print(f"{args.spec}: nothing to cure; {analysed(loaded).order} already")
        return 0
    title = f"{cured.title}, cured" if cured.title else ""
    cured = replace(cured, name=f"{cured.name}_cured", title=title)
    proved = analyse(derivation(cured)).order
    if proved.exact and cured.claim.order == proved.value:
        cured = replace(cured, claim=replace(cured.claim, records=""))
    path = args.out or Path(f"{cured.name}.toml")
    if path.exists():
        raise SolvergenError(f"{path} exists; give another file with --out")
    text = changed(loaded.path.read_text(encoding="utf-8"), loaded.solver, cured)
    report = analyse(derivation(parse_solver(text, str(path))))
    write(path, text)
    print(f"wrote {path}: {analysed(loaded).order} becomes {report.order}, proved")
    return 0


def run_compare(args: argparse.Namespace) -> int:
    """Rank solvers: order first, then the error constant at equal cost."""
    from ..loading import load
    from ..order.questions.compare import compare

    ranked = compare([analysed(load(spec)) for spec in args.specs], args.grid, args.start)
    if args.json:
        rows = [
            {
                "name": r.name,
                "integrand": r.integrand,
                "order": r.order.json(),
                "main_order": r.main.json(),
                "evaluations_per_step": r.evaluations_per_step,
                "error_power": r.power,
                "error_norm": r.error_norm,
                "cost_constant": r.cost_constant,
                "no_constant": r.no_constant or None,
                "limited_by": list(r.limited_by),
            }
            for r in ranked
        ]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max(len(r.name) for r in ranked)
    print(
        f"{'name':{width}}  integrand  order  calls  error  norm        at equal cost  held back by"
    )
    for r in ranked:
        norm = "-" if r.error_norm is None else f"{r.error_norm:.3g}"
        cost = "-" if r.cost_constant is None else f"{r.cost_constant:.3g}"
        shown = (
            f"{r.name:{width}}  {r.integrand:9}  {_short(r.order):>5}  {r.evaluations_per_step:5}  "
            f"{f'h^{r.power}':5}  {norm:10}  {cost:13}  {'; '.join(r.limited_by)}"
        )
        print(shown.rstrip())
    for reason in dict.fromkeys(r.no_constant for r in ranked if r.no_constant):
        print(f"-: {reason}", file=sys.stderr)
    if len({r.integrand for r in ranked}) > 1:
        print("constants of data and noise solvers stand before different derivatives: compare "
              "them within an integrand", file=sys.stderr)  # fmt: skip
    return 0


def run_conditions(args: argparse.Namespace) -> int:
    """Solve the order conditions for a solver's parameters."""
    from ..loading import load
    from ..order.questions.conditions import conditions

    found = conditions(load(args.spec).program, args.order, args.names)
    print("\n".join([str(found), *found.lines()]))
    return 0 if found.solutions else 1
