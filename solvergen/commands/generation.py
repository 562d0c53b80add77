"""The generate command: specs to torch files, and the check that committed files are current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import OrderError, SpecError
from ..loading import Loaded
from ..writing import Change
from .progress import shown


def add(commands: Any) -> None:
    """Register the command."""
    generate = commands.add_parser(
        "generate", help="write torch files (the whole gallery by default)"
    )
    generate.add_argument("specs", nargs="*", metavar="SPEC")
    generate.add_argument("--out", type=Path, default=Path("generated"), metavar="DIR")
    generate.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    generate.add_argument("--diff", action="store_true", help="show what would change or changed")
    generate.set_defaults(handler=run_generate)


def emitted(loaded: Loaded) -> tuple[str, str]:
    """The text of a solver's torch file, and why its claim does not hold (or nothing).

    A solver whose order cannot be derived is emitted without one.
    """
    from ..emit.torch_file import torch_file
    from .theory import analysed, claim_fault

    try:
        report = analysed(loaded)
    except OrderError as error:
        return torch_file(loaded.solver, loaded.program), f"{loaded.path}: no order stated: {error}"
    return torch_file(loaded.solver, loaded.program, report.json()), claim_fault(loaded, report)


def run_generate(args: argparse.Namespace) -> int:
    """Write files, or with --check say which are stale and how to remake them."""
    from .. import gallery
    from ..loading import load
    from ..writing import compare, extras, write

    targets = args.specs or gallery.names()
    files: dict[Path, str] = {}
    faults: list[str] = []
    for target in shown(targets, "deriving"):
        loaded = load(target)
        path = args.out / f"{loaded.solver.name}.py"
        if path in files:
            raise SpecError(f"another spec is already named `{loaded.solver.name}`", target)
        files[path], fault = emitted(loaded)
        faults += [fault] if fault else []
    changes = [change for path, text in files.items() if (change := compare(path, text))]
    if not args.specs and args.check:
        changes += extras(args.out, {path.name for path in files})
    if args.diff:
        print("".join(change.diff for change in changes), end="")
    for fault in faults:
        print(fault, file=sys.stderr)
    if args.check:
        return max(_report(changes, args, len(files)), 1 if faults else 0)
    for path, text in files.items():
        if write(path, text):
            print(f"wrote {path}")
    if not changes:
        print(f"{len(files)} file{'s' * (len(files) != 1)} in {args.out} up to date")
    return 0


def _report(changes: list[Change], args: argparse.Namespace, count: int) -> int:
    if not changes:
        print(f"{count} file{'s' * (count != 1)} in {args.out} up to date")
        return 0
    for change in changes:
        word = {"new": "missing", "stale": "stale", "extra": "made by no spec"}[change.kind]
        print(f"{change.path}: {word}", file=sys.stderr)
        if change.kind == "stale" and not args.diff:
            print(change.diff, end="", file=sys.stderr)
    remake = " ".join(["solvergen generate", *args.specs, "--out", str(args.out)])
    print(f"remake with: {remake}", file=sys.stderr)
    return 1
