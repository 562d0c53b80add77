"""The command `process`: a diffusion process and all that follows from α(t) and σ(t)."""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..errors import SolvergenError
from .parsing import command

if TYPE_CHECKING:
    from ..process import Process


def add(commands: Any) -> None:
    """Register the command."""
    parser = command(
        commands,
        "process",
        "the SDE, ODE and exact steps of a noise process, derived",
        "solvergen process                           # the named ones",
        "solvergen process vp-linear --latex         # all that follows, as LaTeX",
        about="Derive λ(t), its inverse, f, g², the transition kernels, the probability-flow "
        "ODE in every prediction, the reverse SDE, and EDM's preconditioning, with proofs.",
        note="Expressions are in t; other names are positive parameters. Allowed: + - * / **, exp, "
        "expm1, log, log1p, sqrt, sin, cos, tan, atan, sinh, cosh, tanh, pi.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a named process; none: list them")
    parser.add_argument("--alpha", metavar="EXPR", help="α(t), with --sigma")
    parser.add_argument("--sigma", metavar="EXPR", help="σ(t)")
    parser.add_argument("--beta", metavar="EXPR", help="β(t) of a variance-preserving process")
    parser.add_argument(
        "--drift",
        metavar="EXPR",
        help="f(t) of dx = f x dt + g dW, with --diffusion; where it begins with a minus, --drift=-t",
    )
    parser.add_argument("--diffusion", metavar="EXPR", help="g(t)")
    parser.add_argument("--until", metavar="EXPR", default="1", help="the last time (1)")
    parser.add_argument(
        "--value", action="append", default=[], metavar="NAME=NUMBER", help="value of a parameter"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true")
    form.add_argument("--json", action="store_true")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Print one process, or the names of all."""
    from ..process.named import NAMED
    from ..process.page import data, latex, text
    from ..process.proofs import proofs

    given = [k for k in ("alpha", "sigma", "beta", "drift", "diffusion") if getattr(args, k)]
    if not args.name and not given:
        for name, build in NAMED.items():
            found = build()
            print(f"{name:14}{found.title}   ({found.source})")
        return 0
    chosen = _process(args, given)
    if args.latex:
        print(latex(chosen))
        return 0
    proved = proofs()
    if args.json:
        print(json.dumps(data(chosen, proved), indent=2, ensure_ascii=False))
    else:
        print(text(chosen, proved))
    return 0 if all(proof.holds for proof in proved) else 1


def _process(args: argparse.Namespace, given: list[str]) -> Process:
    from ..process.named import named
    from ..process.origins import from_beta, from_drift, process
    from ..process.text import expression

    values = dict(_value(text) for text in args.value)
    if args.name and not given:
        if args.value:
            raise SolvergenError(f"--value is for expressions; `{args.name}` has values of its own")
        return named(args.name)
    people = {"name": args.name or ""}
    if given == ["alpha", "sigma"]:
        alpha, sigma = (expression(getattr(args, key), f"--{key}") for key in given)
        return process(alpha, sigma, expression(args.until, "--until"), values, **people)
    if given == ["beta"]:
        return from_beta(args.beta, args.until, values, **people)
    if given == ["drift", "diffusion"]:
        return from_drift(args.drift, args.diffusion, args.until, values, **people)
    raise SolvergenError(
        f"found {', '.join(f'--{key}' for key in given)}; give --alpha and --sigma, or --beta alone, "
        "or --drift and --diffusion"
    )


def _value(text: str) -> tuple[str, Fraction]:
    name, _, number = text.partition("=")
    try:
        return name.strip(), Fraction(number.strip())
    except (ValueError, ZeroDivisionError):
        raise SolvergenError(f"--value {text}: write NAME=NUMBER, such as beta_max=20") from None
