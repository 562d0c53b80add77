"""The explain and same commands: a solver's update and orders; whether two solvers are one."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from .learned import fitted
from .parsing import command
from .terminal import complain, say

if TYPE_CHECKING:
    from ..loading import Loaded


def add(commands: Any) -> None:
    """Register the commands."""
    explain = command(
        commands,
        "explain",
        "show the derived update, its order and what holds it back",
        "solvergen explain dpmpp_2m",
        "solvergen explain mine.toml --latex       # the update, for the paper",
        "solvergen explain mine.toml --json        # everything, for programs",
        "solvergen explain mine.toml --derivation  # step by step, for lecture notes",
        "solvergen explain dpm_solver_2 --constants # the error constant, in terms of r",
    )
    explain.add_argument("spec", metavar="SPEC", help="a TOML file or a gallery solver's name")
    form = explain.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="the update as LaTeX")
    form.add_argument("--markdown", action="store_true", help="the update as Markdown")
    form.add_argument("--json", action="store_true", help="everything that is known, as JSON")
    explain.add_argument(
        "--derivation",
        action="store_true",
        help="from the Taylor expansion to the local and the global error, for lecture notes",
    )
    explain.add_argument(
        "--constants",
        nargs="*",
        metavar="NAME",
        help="orders for almost all values of the parameters (all, or those named), and the error "
        "constants as expressions in them",
    )
    explain.set_defaults(handler=run_explain)

    same = command(
        commands,
        "same",
        "are two solvers the same method? If not, where do they first differ?",
        "solvergen same mine.toml unipc_2_bh2      # exit code 0: one method, 1: two",
    )
    same.add_argument(
        "a", metavar="A", help="a TOML file, a gallery solver's name or a calibrated file"
    )
    same.add_argument("b", metavar="B", help="another")
    same.add_argument("--json", action="store_true", help="the answer as JSON")
    same.set_defaults(handler=run_same)


def run_explain(args: argparse.Namespace) -> int:
    """The derived update: for a terminal, as LaTeX, Markdown or JSON; or a recipe's limits."""
    from .. import gallery

    if fitted.is_fitted(args.spec):
        return fitted.explain(args)

    if not gallery.is_name(args.spec):  # which needs nothing of the language to be known
        from ..distil.recipe import is_recipe
        from .learned import students

        if is_recipe(args.spec):
            return students.explain(args.spec, args.json)
    if args.constants is not None:
        return run_constants(args)
    if not (args.json or args.latex or args.markdown or args.derivation):
        from ..catalogue import entry
        from ..explanation import explanation

        one = entry(args.spec)
        for warning in one.warnings:
            complain(f"warning: {args.spec}: {warning}")
        say(explanation(one), title=True)
        return 0
    from ..emit.formulas import formula
    from ..loading import load

    loaded = load(args.spec)
    if args.json:
        print(json.dumps(facts(loaded), indent=2, ensure_ascii=False))
    elif args.derivation:
        from ..order.questions.derivation import derivation

        steps = derivation(loaded.program)
        print(steps.latex() if args.latex else steps.markdown())
    elif args.latex:
        print(formula.latex(loaded.program))
    else:
        print(formula.markdown(loaded.program, loaded.solver.source.cite()), end="")
    return 0


def run_constants(args: argparse.Namespace) -> int:
    """Orders and constants with parameters as symbols."""
    from ..explanation import GRIDS, MODES, short
    from ..loading import load
    from ..order.questions.parameters import constants, in_parameters

    report = in_parameters(load(args.spec).program, args.constants)
    found = list(constants(report))
    if args.json:
        print(json.dumps(report.json(), indent=2, ensure_ascii=False))
        return 0
    names = [*args.constants] or [p.name for p in report.program.parameters if not p.per]
    print(f"for almost all values of {', '.join(names)}: exact start, own start, own end")
    for kind, label in GRIDS.items():
        cells = (report.orders[kind][mode] for mode in MODES)
        print(f"  {label:22}" + "".join(f"{short(c.value, c.exact):>6}" for c in cells))
    for where, text in found:
        print(f"local error  {text}   ({where})")
    return 0


def facts(loaded: Loaded) -> dict[str, Any]:
    """Everything that is known of a solver, as plain data."""
    from ..explanation import theory_facts
    from ..expr.printing import rational
    from ..program.digest import canonical, digest
    from ..proof import CLAIMED, noise_report, order_report

    solver, program = loaded.solver, loaded.program
    claims = {name: getattr(solver.claim, name) for name in CLAIMED}
    if program.stochastic:
        theory: dict[str, Any] = {"weak_order": noise_report(program).json()}
    else:
        theory = theory_facts(order_report(program))
    return {
        "name": solver.name,
        "title": program.title,
        "description": solver.description,
        "integrand": program.integrand,
        "source": solver.source.cite(),
        "claim": {name: claimed for name, claimed in claims.items() if claimed is not None},
        "evaluations_per_step": program.evaluations_per_step,
        "history": program.history,
        "parameters": {p.name: rational(p.default) for p in program.parameters},
        "program": canonical(program),
        "digest": digest(program),
        **theory,
    }


def run_same(args: argparse.Namespace) -> int:
    """Exit 0 when two solvers are one method; otherwise say where they first differ."""
    if fitted.is_fitted(args.a) or fitted.is_fitted(args.b):
        return fitted.same(args)
    from ..loading import load
    from ..program.same import same, same_for

    first, second = load(args.a), load(args.b)
    found = same(first.program, second.program)
    if args.json:
        place = found and {
            "step": found.step,
            "evaluation": found.evaluation,
            "what": found.what,
            "grid": list(found.grid),
        }
        print(json.dumps({"same": found is None, "difference": place}, indent=2))
    elif found is None:
        print(f"{args.a} and {args.b} are the same method{same_for(first.program, second.program)}")
    else:
        where = "the end" if found.evaluation is None else f"model call {found.evaluation}"
        steps = ", ".join(f"{step:g}" for step in found.grid)
        on = f" (on a grid whose steps in lambda begin {steps})" if steps else ""
        print(
            f"{args.a} and {args.b} differ, first at {where} of step {found.step}: {found.what}{on}"
        )
    return 0 if found is None else 1
