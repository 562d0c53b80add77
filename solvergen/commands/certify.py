"""The command `certify`: the order conditions of a solver, for anybody to check."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import SolvergenError
from .parsing import command

CHECKER = "python -m verify.certificate"  # python -m solvergen.verify.certificate where installed


def add(commands: Any) -> None:
    """Register the command."""
    parser = command(
        commands,
        "certify",
        "write the order conditions as identities that anybody can check",
        "solvergen certify dpmpp_2m                  # write dpmpp_2m.certificate.json",
        about="Write a certificate: the exact rows of a solver's main step, its order conditions "
        "and its leading error. A checker of 200 lines, without any part of the generator, expands them "
        "and verifies that they cancel identically in the step ratios.",
        note=f"Check it with `{CHECKER} FILE` (python -m solvergen.verify.certificate where installed).",
    )
    parser.add_argument("specs", nargs="*", metavar="SPEC")
    parser.add_argument("--gallery", action="store_true", help="every deterministic gallery solver")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="file to write; a folder for several solvers"
    )
    parser.add_argument(
        "--up-to", type=int, default=4, metavar="P", help="highest order (4); more may take minutes"
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Write certificates; a solver that has none is named with the reason."""
    from .. import gallery
    from ..loading import load
    from ..order.questions.certificate import NotCertified, certificate
    from ..writing import write

    names = [*args.specs, *(gallery.names() if args.gallery else [])]
    if not names:
        raise SolvergenError("name a spec or a gallery solver, or give --gallery")
    several = len(names) > 1
    if several and args.out is None:
        raise SolvergenError("several certificates need a folder: give --out FOLDER")
    made = failed = 0
    for name in names:
        program = load(name).program
        if args.gallery and name not in args.specs and program.stochastic:
            continue
        try:
            document = certificate(program, args.up_to)
        except NotCertified as error:
            failed += 1
            if not several:
                raise
            print(f"no certificate: {error}")
            continue
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        made += 1
        if args.out is None:
            print(text, end="")
            continue
        path = args.out / f"{program.name}.json" if several else args.out
        write(path, text)
        if not several:
            print(f"wrote {path}: {_claims(document)}; check it with {CHECKER} {path}")
    if several:
        print(f"wrote {made} certificates to {args.out}; {failed} solvers have none")
    return 0


def _claims(document: dict[str, Any]) -> str:
    return ", ".join(
        f"order {c['order']} on {c['grid']} grids"
        for c in document["claims"]
        if c["part"] == "step"
    )
