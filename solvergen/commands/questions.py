"""Questions about accuracy: cure, compare, conditions."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import SolvergenError
from .parsing import command
from .terminal import table


def add(commands: Any) -> None:
    """Register the commands."""
    cure = command(
        commands,
        "cure",
        "restore an order that the first or last steps cost",
        "solvergen cure unipc_3_bh2 --list         # what there is, with its cost",
        "solvergen cure mine.toml                  # writes mine_cured.toml, proved",
    )
    cure.add_argument("spec", metavar="SPEC", help="a TOML file or a gallery solver's name")
    cure.add_argument("--kind", choices=("start", "shrink"), default="start", help="what to prefer")
    cure.add_argument("--out", type=Path, metavar="FILE", help="NAME_cured.toml unless given")
    cure.add_argument("--list", action="store_true", help="list the cures and write nothing")
    cure.set_defaults(handler=run_cure)

    compare = command(
        commands,
        "compare",
        "rank solvers by order, then by error constant at equal cost",
        "solvergen compare mine.toml dpmpp_2m unipc_2_bh2",
    )
    compare.add_argument("specs", nargs="+", metavar="SPEC", help="TOML files or gallery solvers")
    compare.add_argument("--grid", choices=("uniform", "smooth", "arbitrary"), default="arbitrary")
    compare.add_argument(
        "--start", choices=("exact_start", "own_start", "own_end"), default="own_end"
    )
    compare.add_argument("--json", action="store_true")
    compare.set_defaults(handler=run_compare)

    solve = command(
        commands,
        "conditions",
        "find the parameter values that reach an order: solved, not sampled",
        "solvergen conditions dpm_solver_3 3",
        "solvergen conditions mine.toml 3 --grid smooth  # on grids as people use them",
        "solvergen conditions res_3s 3 --minimise  # with the least leading constant",
    )
    solve.add_argument("spec", metavar="SPEC", help="a TOML file or a gallery solver's name")
    solve.add_argument("order", type=int, metavar="ORDER")
    solve.add_argument("--for", dest="names", nargs="+", metavar="NAME", help="solve for these")
    solve.add_argument(
        "--grid",
        choices=("uniform", "smooth", "arbitrary"),
        help="where it is asked for; on any grid unless given, else on uniform ones",
    )
    solve.add_argument(
        "--own",
        action="store_true",
        help="its own first and last steps must reach the order as well",
    )
    solve.add_argument(
        "--minimise",
        action="store_true",
        help="the values with the least leading constant (uniform grid) among those that reach the order",
    )
    solve.set_defaults(handler=run_conditions)


def run_cure(args: argparse.Namespace) -> int:
    """Write the cured spec and show what it is proved to reach."""
    from ..derive import derive
    from ..loading import load, sibling
    from ..order import analyse
    from ..order.questions.cure import cured_solver, cures
    from ..proof import order_report
    from ..spec.reader import parse_solver
    from ..spec.text.edit import changed
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
        print(f"{args.spec}: nothing to cure; its order is {order_report(loaded.program).order}")
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
    print(f"wrote {path}: {order_report(loaded.program).order} becomes {report.order}, proved")
    return 0


def run_compare(args: argparse.Namespace) -> int:
    """Rank solvers: order first, then the error constant at equal cost."""
    from ..explanation import short
    from ..loading import load
    from ..order.questions.compare import compare
    from ..proof import order_report

    ranked = compare(
        [order_report(load(spec).program) for spec in args.specs], args.grid, args.start
    )
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
    heads = (
        "name",
        "integrand",
        "order",
        "calls",
        "error",
        "norm",
        "at equal cost",
        "held back by",
    )
    cells = (
        (
            r.name,
            r.integrand,
            short(r.order.value, r.order.exact),
            str(r.evaluations_per_step),
            f"h^{r.power}",
            "-" if r.error_norm is None else f"{r.error_norm:.3g}",
            "-" if r.cost_constant is None else f"{r.cost_constant:.3g}",
            "; ".join(r.limited_by),
        )
        for r in ranked
    )
    table(heads, cells, "llrr")
    for reason in dict.fromkeys(r.no_constant for r in ranked if r.no_constant):
        print(f"-: {reason}", file=sys.stderr)
    if len({r.integrand for r in ranked}) > 1:
        print("constants of data and noise solvers multiply different derivatives: compare "
              "them only among solvers of one integrand and linear part", file=sys.stderr)  # fmt: skip
    return 0


def run_conditions(args: argparse.Namespace) -> int:
    """Solve the order conditions for a solver's parameters."""
    from ..loading import load
    from ..order.questions.conditions import conditions

    program = load(args.spec).program
    found = conditions(program, args.order, args.names, args.grid, args.own, args.minimise)
    print("\n".join([str(found), *found.lines()]))
    return 0 if found.solutions else 1
