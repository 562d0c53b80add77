"""The command `examine`: arguments in, exit code out."""

from __future__ import annotations

import argparse
import ast
import contextlib
import sys
from pathlib import Path
from typing import Any

from ..errors import ProblemError, VerifyError

FORMS = ("endpoint", "flow-map", "velocity", "generator")
EPILOG = """targets:
  out/                   what `solvergen train` or `export student` wrote
  mypkg.students:model   a callable: f(x, sigma) endpoint,
                         G(x, sigma, sigma_next) flow-map,
                         u(x, t, r) velocity in the flow gauge,
                         g(z) generator

examples:
  solvergen examine out/ --html page.html
  solvergen examine mypkg.students:model --on coupled --form endpoint

exit codes: 0 not refuted, 1 refuted, 2 could not be examined
"""


def add_parser(subparsers: Any) -> None:
    """Add `examine` to argparse's subparsers."""
    examine = subparsers.add_parser(
        "examine",
        help="hold a one-step or few-step map against the exact flow and the exact law",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    examine.add_argument("targets", nargs="+", metavar="TARGET")
    examine.add_argument(
        "--on",
        metavar="PROBLEM",
        help="coupled, ring, oracle, gaussian, digits-mixture, digits, module:function, or none for a map "
        "whose truth is not known (an exported student states its own)",
    )
    examine.add_argument("--form", choices=FORMS)
    examine.add_argument(
        "--claim",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="endpoint_error=0.03, law=0.03, shares=0.05, spread=[0.9,1.1], pair_error=0.1",
    )
    examine.add_argument("--samples", type=int, default=262144, help="outputs for the law; 0: none")
    examine.add_argument("--seed", type=int, default=0, help="of those outputs")
    examine.add_argument("--scales", metavar="A,B,..", help="guidance scales of a guided map")
    examine.add_argument("--sigma-min", type=float, metavar="S")
    examine.add_argument("--sigma-max", type=float, metavar="S")
    examine.add_argument("--shape", metavar="C,H,W", help="of one sample, with --on none")
    examine.add_argument("--data", type=Path, metavar="FILE.npy", help="data, with --on none")
    examine.add_argument("--json", action="store_true", help="JSON on stdout in place of the text")
    examine.add_argument("--junit", type=Path, metavar="FILE", help="JUnit XML for CI")
    examine.add_argument("--html", type=Path, metavar="FILE", help="one self-contained page")
    examine.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Examine the targets."""
    try:
        made = _examined(args)
    except VerifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from .report import machine, page, terminal

    if args.json:
        sys.stdout.write(machine.as_json(made))
    else:
        print("\n\n".join(terminal.text(one, colour=sys.stdout.isatty()) for one in made))
    if args.junit:
        args.junit.write_text(machine.as_junit(made), encoding="utf-8")
    if args.html:
        try:
            args.html.write_text(page.page(made), encoding="utf-8")
        except VerifyError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return machine.exit_code(made)


def claims_of(pairs: list[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; values are Python literals.

    Raises:
        ProblemError: a pair without "=", or a value that is no literal.

    >>> claims_of(["law=0.03", "spread=[0.9, 1.1]"])
    {'law': 0.03, 'spread': [0.9, 1.1]}
    """
    out = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = None
        if not equals or not isinstance(value, (int, float, list, dict, tuple)):
            raise ProblemError(f"--claim {pair}: not KEY=NUMBER; write for example law=0.03")
        out[key] = value
    return out


def _examined(args: argparse.Namespace) -> list[Any]:
    from ..command import _writable
    from .examine import Settings, examine
    from .problem import problem
    from .target import find

    for path in (args.html, args.junit):
        _writable(path)
    scales = Settings.scales
    if args.scales:
        try:
            scales = tuple(float(one) for one in args.scales.split(","))
        except ValueError:
            raise ProblemError(f"--scales {args.scales}: not numbers between commas") from None
    if args.samples and args.samples < 1024:
        raise ProblemError(f"--samples {args.samples}: at least 1024, or 0 to leave the law out")
    settings = Settings(samples=args.samples, seed=args.seed, scales=scales)
    out = []
    with contextlib.redirect_stdout(sys.stderr):  # what strangers' modules print
        for text in args.targets:
            target = find(text, args.form)
            name = args.on or target.problem
            if not name:
                raise ProblemError(f"{text}: say on which problem with --on coupled|ring|…")
            claims = claims_of(args.claim) if args.claim else None
            if name == "none":
                from .unknown import examine_unknown

                out.append(examine_unknown(target, args))
                continue
            if name == "digits":
                from .pictures import examine_digits

                out.append(examine_digits(target, claims, seed=args.seed))
                continue
            chosen = problem(name, sigma_min=args.sigma_min, sigma_max=args.sigma_max)
            out.append(examine(target, chosen, claims, settings))
    return out
