"""Commands about specs: new, lint, list, explain, same, schema."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SolvergenError, SpecError
from ..spec.starter import FAMILIES
from .gallery import add_filters

if TYPE_CHECKING:
    from ..loading import Loaded
    from ..program.model import Program


def add(commands: Any) -> None:
    """Register the commands."""
    new = commands.add_parser("new", help="write a commented starter spec")
    new.add_argument("name", metavar="NAME", help="name of the solver")
    new.add_argument("--from", dest="family", choices=FAMILIES, default="interpolate")
    new.add_argument("--out", type=Path, help="file to write (NAME.toml unless given)")
    new.set_defaults(handler=run_new)

    lint = commands.add_parser("lint", help="check specs; errors point at line and column")
    lint.add_argument("specs", nargs="+", metavar="SPEC")
    lint.set_defaults(handler=run_lint)

    listing = commands.add_parser("list", help="list the gallery")
    listing.add_argument("--json", action="store_true")
    listing.add_argument("--integrand", choices=("data", "noise", "velocity"))
    listing.add_argument("--evaluations", type=int, metavar="K", help="model calls per step")
    add_filters(listing)
    listing.set_defaults(handler=run_list)

    explain = commands.add_parser("explain", help="show the derived update and its facts")
    explain.add_argument("spec", metavar="SPEC")
    form = explain.add_mutually_exclusive_group()
    for flag in ("latex", "markdown", "json"):
        form.add_argument(f"--{flag}", action="store_true")
    explain.add_argument(
        "--derivation",
        action="store_true",
        help="from the Taylor expansion to the local and the global error, for lecture notes",
    )
    explain.set_defaults(handler=run_explain)

    same = commands.add_parser("same", help="are two solvers the same method?")
    same.add_argument("a", metavar="A")
    same.add_argument("b", metavar="B")
    same.add_argument("--json", action="store_true")
    same.set_defaults(handler=run_same)

    schema = commands.add_parser("schema", help="JSON Schema of specs, for editors")
    schema.add_argument("--markdown", action="store_true", help="the reference page instead")
    schema.set_defaults(handler=run_schema)


def run_new(args: argparse.Namespace) -> int:
    """Write a starter spec; an existing file is left alone."""
    from ..spec.solver_name import name_refusal
    from ..spec.starter import starter
    from ..writing import write

    if refusal := name_refusal(args.name):
        raise SolvergenError(f"`{args.name}` cannot name a solver: {refusal}")
    path = args.out or Path(f"{args.name}.toml")
    if path.exists():
        raise SolvergenError(f"{path} exists; give another name or --out")
    write(path, starter(args.name, args.family))
    print(f"wrote {path}; next: solvergen lint {path}, solvergen generate {path}")
    return 0


def run_lint(args: argparse.Namespace) -> int:
    """Read and derive each spec; report every one that fails."""
    from ..loading import load

    failed = 0
    for target in args.specs:
        try:
            loaded = load(target)
        except SpecError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        program = loaded.program
        calls = program.evaluations_per_step
        _warn(target, program)
        print(
            f"{target}: fine; {program.integrand}, {calls} evaluation{'s' * (calls > 1)} a step, "
            f"{program.history} remembered"
        )
    return 2 if failed else 0


def _warn(target: str, program: Program) -> None:
    """Say on stderr which rows cannot be right."""
    from ..program.consistency import inconsistent_rows

    for told in inconsistent_rows(program):
        print(f"warning: {target}: {told}", file=sys.stderr)


def facts(loaded: Loaded) -> dict[str, Any]:
    """What can be said about a solver without an order analysis, as plain data."""
    from ..expr.printing import rational
    from ..program.digest import canonical, digest

    solver, program = loaded.solver, loaded.program
    return {
        "name": solver.name,
        "title": program.title,
        "description": solver.description,
        "integrand": program.integrand,
        "source": solver.source.cite(),
        "claim": {
            name: claimed
            for name in ("order", "mean", "covariance", "strong")
            if (claimed := getattr(solver.claim, name)) is not None
        },
        "evaluations_per_step": program.evaluations_per_step,
        "history": program.history,
        "parameters": {p.name: rational(p.default) for p in program.parameters},
        "program": canonical(program),
        "digest": digest(program),
    }


def run_list(args: argparse.Namespace) -> int:
    """The gallery as a table or as JSON, with the order that is proved of each solver."""
    from .. import gallery
    from .gallery import chosen

    entries = chosen(gallery.names(), args)
    if args.json:
        rows = []
        for one in entries:
            known = facts(one.loaded)
            known.pop("program")
            theory = {"weak_order": one.weak} if one.weak else {"order": one.order}
            rows.append({**known, "family": one.family, **theory})
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max((len(one.name) for one in entries), default=4)
    print(f"{'name':{width}}  integrand  calls  history  order  claim  title")
    for one in entries:
        program, claim = one.loaded.program, one.loaded.solver.claim.order
        print(
            f"{one.name:{width}}  {program.integrand:9}  {program.evaluations_per_step:5}  "
            f"{program.history:7}  {one.shown_order:>5}  {claim if claim is not None else '-':>5}  "
            f"{program.title}"
        )
    print(
        f"{len(entries)} solvers; order: on any grid, with the solver's own start and end; of solvers "
        "with noise: mean/covariance/strong, = for exact",
        file=sys.stderr,
    )
    return 0


def run_explain(args: argparse.Namespace) -> int:
    """The derived update: for a terminal, as LaTeX, Markdown or JSON."""
    from ..emit import formula
    from ..loading import load

    loaded = load(args.spec)
    solver, program = loaded.solver, loaded.program
    if args.json:
        print(json.dumps({**facts(loaded), **_theory(loaded)}, indent=2, ensure_ascii=False))
    elif args.derivation:
        from ..order.questions.derivation import derivation

        told = derivation(program)
        print(told.latex() if args.latex else told.markdown())
    elif args.latex:
        print(formula.latex(program))
    elif args.markdown:
        print(formula.markdown(program, solver.source.cite()), end="")
    else:
        _warn(args.spec, program)
        _explain(loaded)
    return 0


def _theory(loaded: Loaded) -> dict[str, Any]:
    """The order analysis as plain data."""
    from .theory import analysed, noise_analysed, theory_facts

    if loaded.program.stochastic:
        return {"weak_order": noise_analysed(loaded).json()}
    return theory_facts(analysed(loaded))


def _explain(loaded: Loaded) -> None:
    """The update, the parameters and the orders, for a terminal."""
    from ..emit import formula

    solver, program = loaded.solver, loaded.program
    print(program.title)
    for text in (solver.description, solver.source.cite()):
        if text:
            print(text)
    print()
    print(formula.terminal(program))
    print()
    for parameter in program.parameters:
        bounds = f" ({parameter.doc})" if parameter.doc else ""
        print(f"parameter {parameter.name} = {parameter.default}{bounds}")
    print(f"evaluations a step {program.evaluations_per_step}, history {program.history}\n")
    print("\n".join(_noise_orders(loaded) if program.stochastic else _orders(loaded)))


def _orders(loaded: Loaded) -> list[str]:
    """The orders of a deterministic solver, and whether its claim holds."""
    from .theory import analysed, order_lines

    report, claim = analysed(loaded), loaded.solver.claim
    lines = [*order_lines(report)]
    if claim.order is not None:
        source = "the publication claims" if claim.records else "claims"
        verdict = "holds" if claim.order == report.order.value else f"is {report.order}"
        lines.append(f"{source} order {claim.order}: {verdict}")
    return lines


def _noise_orders(loaded: Loaded) -> list[str]:
    """The orders of a stochastic solver, and whether its claims hold."""
    from .theory import noise_analysed, noise_fault, noise_lines

    found = noise_analysed(loaded)
    lines, claims = [*noise_lines(found)], facts(loaded)["claim"]
    if fault := noise_fault(loaded, found):
        lines.append(fault)
    elif claims:
        shown = ", ".join(f"{name} {order}" for name, order in claims.items())
        lines.append(f"claims {shown}: holds")
    return lines


def run_same(args: argparse.Namespace) -> int:
    """Exit 0 when two solvers are one method; otherwise say where they first part."""
    from ..loading import load
    from ..program.same import same

    first, second = load(args.a), load(args.b)
    found = same(first.program, second.program)
    if args.json:
        place = found and {"step": found.step, "evaluation": found.evaluation, "what": found.what}
        print(json.dumps({"same": found is None, "difference": place}, indent=2))
    elif found is None:
        print(f"{args.a} and {args.b} are the same method")
    else:
        where = "the end" if found.evaluation is None else f"model call {found.evaluation}"
        print(f"{args.a} and {args.b} differ, first at {where} of step {found.step}: {found.what}")
    return 0 if found is None else 1


def run_schema(args: argparse.Namespace) -> int:
    """The spec language for editors or for people."""
    from ..spec.reference import reference
    from ..spec.schema import json_schema

    print(reference() if args.markdown else json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
