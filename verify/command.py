"""The commands `verify` and `audit`: arguments in, exit code out.

The generator's command line adds them with add_parsers(); `python -m verify` runs them alone.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import TargetError, VerifyError
from .hosts import CONVENTIONS
from .names import require

GRID_NAMES = ("uniform", "karras", "uniform_t", "smooth", "rough")
FILES = {
    "html": "one self-contained page",
    "junit": "JUnit XML for CI",
    "sarif": "SARIF for code hosts",
    "markdown": "a summary for a pull request",
    "badge": "an SVG badge",
}
EPILOG = """targets:
  generated/dpmpp_2m.py                 any file with sample functions
  generated/                            a folder of them
  mypkg.samplers:sample_mine            a function, k-diffusion's or EDM's kind
  diffusers:DPMSolverMultistepScheduler --with solver_order=3
  'diffusers:*' --sweep                 every scheduler, every option
  'k_diffusion.sampling:*'              every sample_... function of a module

examples:
  solvergen {name} generated/dpmpp_2m.py
  solvergen {name} samplers.py:sample_mine --claim 2 --html report.html
  solvergen {name} 'diffusers:*' --baseline solvergen.lock.toml --update

exit codes:
  0 claims hold, 1 a claim is refuted or a baseline differs,
  2 a target could not be judged
"""
DIFF_EPILOG = """examples:
  solvergen diff old.json new.json
  solvergen diff old-env/ new-env/ --target 'diffusers:*'
"""


def add_parsers(subparsers: Any) -> None:
    """Add `verify` and `audit` to argparse's subparsers; each sets `handler`."""
    verify = subparsers.add_parser(
        "verify",
        help="measure and audit samplers, and check their claims",
        epilog=EPILOG.format(name="verify"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(verify)
    verify.add_argument("--grid", action="append", choices=GRID_NAMES, help="measure on this only")
    verify.set_defaults(handler=verify_command)
    audit = subparsers.add_parser(
        "audit",
        help="exact order of a sampler, from one-hot runs alone",
        epilog=EPILOG.format(name="audit"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(audit)
    audit.set_defaults(handler=audit_command)
    diff = subparsers.add_parser(
        "diff",
        help="what changed between two reports, baselines or installed versions",
        epilog=DIFF_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("old", "new"):
        diff.add_argument(
            name,
            type=Path,
            help="JSON of --json, a .toml baseline, or a folder of installed packages (a virtual "
            "environment, or what `pip install --target` makes)",
        )
    diff.add_argument(
        "--target",
        dest="targets",
        action="append",
        default=[],
        metavar="TARGET",
        help="what to audit in both folders, such as 'diffusers:*'; repeat for more",
    )
    diff.add_argument("--sweep", action="store_true", help="as for audit")
    diff.add_argument("--jobs", type=int, default=1, help="as for audit")
    diff.set_defaults(handler=diff_command)


def _order(text: str) -> int:
    """An order that may be claimed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"an order is 0, 1, 2, …; found {text!r}")
    return int(text)


def _above_zero(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0; found {text!r}")
    return number


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="TARGET")
    parser.add_argument("--claim", type=_order, help="order to hold every target to")
    parser.add_argument(
        "--with",
        dest="options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="keyword argument for the sampler or the scheduler; repeat --with for more",
    )
    parser.add_argument(
        "--convention",
        choices=CONVENTIONS,
        metavar="STYLE",
        help=f"how to call a function whose signature is unknown: {', '.join(CONVENTIONS)}",
    )
    parser.add_argument(
        "--require-claim", action="store_true", help="a sampler that claims no order is an error"
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout in place of the table")
    for name, text in FILES.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=text)
    parser.add_argument("--github", action="store_true", help="GitHub annotations on stdout")
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE", help="accepted verdicts; any change of them fails"
    )
    parser.add_argument("--update", action="store_true", help="write the baseline anew")
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="verdicts on unchanged targets, kept here"
    )
    parser.add_argument("--record", type=Path, help="file of finished verdicts, to stop and resume")
    parser.add_argument("--jobs", type=int, default=1, help="processes (joblib)")
    parser.add_argument("--backend", help="joblib backend: loky, dask, ray, ...")
    parser.add_argument(
        "--sweep", action="store_true", help="every documented option of diffusers schedulers"
    )
    parser.add_argument(
        "--timeout",
        type=_above_zero,
        default=120.0,
        metavar="SECONDS",
        help="CPU time of one target",
    )
    parser.add_argument(
        "--memory", type=_above_zero, default=4.0, metavar="GIB", help="memory of one target"
    )


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; values are Python literals, numbers (nan, inf too), or text.

    Raises:
        TargetError: a pair without "=" or with a key that is not a name.
    """
    out: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise TargetError(f"--with {pair}: not KEY=VALUE; write for example solver_order=3")
        out[key] = _value(text)
    return out


def _value(text: str) -> Any:
    """A Python literal, a number in any spelling of float(), a word for one, or the text itself."""
    for read in (ast.literal_eval, float):
        with contextlib.suppress(ValueError, SyntaxError):
            return read(text)
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def verify_command(args: argparse.Namespace) -> int:
    """Judge the targets: audit, rates, constants, claims."""
    settings = {"grids": tuple(args.grid)} if args.grid else {}
    return _run(args, settings)


def audit_command(args: argparse.Namespace) -> int:
    """Audit the targets only."""
    return _run(args, {"rates": False, "constants": False})


def _run(args: argparse.Namespace, settings: dict[str, Any]) -> int:
    try:
        requests, accepted = _requests(args, settings), _accepted(args)
        verdicts = _verdicts(args, requests)
    except VerifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from .report import machine, terminal

    if args.json:
        sys.stdout.write(machine.as_json(verdicts))
    else:
        print(terminal.table(verdicts, colour=sys.stdout.isatty()))
    if args.github:
        text = machine.as_github(verdicts)
        if text:
            # beside JSON the annotations must not break the document
            print(text, file=sys.stderr if args.json else sys.stdout)
    for name in FILES:
        path = getattr(args, name)
        if path is not None:
            path.write_text(_as_file(name, verdicts), encoding="utf-8")
    if args.baseline is None:
        return machine.exit_code(verdicts)
    return _against(args, accepted, requests, verdicts)


def _as_file(name: str, verdicts: list[Any]) -> str:
    from .report import machine, page, sarif, summary

    makers = {
        "html": page.page,
        "junit": machine.as_junit,
        "sarif": sarif.as_sarif,
        "markdown": summary.as_markdown,
        "badge": summary.as_badge,
    }
    return makers[name](verdicts)


def _accepted(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The rows of the baseline, read before anything is judged.

    Raises:
        TargetError: it cannot be read, or is to be compared with and is not there.
    """
    from . import baseline

    if args.baseline is None or (args.update and not args.baseline.exists()):
        return {}
    if not args.baseline.exists():
        raise TargetError(f"{args.baseline}: there is no such file; write it with --update")
    return baseline.read(args.baseline)


def _against(
    args: argparse.Namespace,
    known: dict[str, dict[str, Any]],
    requests: Sequence[Any],
    verdicts: list[Any],
) -> int:
    """Compare with the baseline, or write it; what is accepted there fails no more."""
    from . import baseline

    def sought(target: str) -> bool:
        return any(request.covers(target) for request in requests)

    found = baseline.rows(verdicts)
    if args.update:
        kept = {target: row for target, row in known.items() if not sought(target)}
        baseline.write(args.baseline, {**kept, **found})
        print(f"{args.baseline}: {len(found)} verdicts accepted", file=sys.stderr)
        return 0
    changed = baseline.changes(known, found, sought=sought)
    for change in changed:
        print(f"baseline: {change.sentence()}", file=sys.stderr)
    if changed:
        print(f"accept with: --baseline {args.baseline} --update", file=sys.stderr)
    return 1 if changed else 0


def diff_command(args: argparse.Namespace) -> int:
    """What changed between two reports or versions: 0 when nothing did, 1 when something did."""
    from . import baseline

    try:
        changed = baseline.changes(*(_side(place, args) for place in (args.old, args.new)))
    except VerifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for change in changed:
        print(change.sentence())
    return 1 if changed else 0


def _side(place: Path, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The rows of one side of a comparison: of a report, or of an audit of a folder's packages."""
    from . import baseline, versions_apart

    if not place.is_dir():
        return baseline.read(place)
    if not args.targets:
        raise TargetError(f"{place}: a folder; name what to audit there: --target 'diffusers:*'")
    more = [*(["--sweep"] if args.sweep else []), "--jobs", str(args.jobs)]
    return versions_apart.judged_from(place, args.targets, more)


def _requests(args: argparse.Namespace, settings: dict[str, Any]) -> list[Any]:
    """What is to be judged; whatever would end the run after the judging is refused before it."""
    from . import baseline
    from .request import Request

    for target in args.targets:
        require(target)
    for path in (*(getattr(args, name) for name in FILES), args.record, args.baseline):
        _writable(path)
    if args.html is not None:
        from .report import site

        site.require()
    options = parse_options(args.options)
    claims = baseline.claims_of_project(Path.cwd())
    return [
        Request(t, options, args.convention, args.claim, settings, claims) for t in args.targets
    ]


def _verdicts(args: argparse.Namespace, requests: Sequence[Any]) -> list[Any]:
    record = args.record
    if args.cache is not None:
        args.cache.mkdir(parents=True, exist_ok=True)
        record = record or args.cache / "verdicts.jsonl"
    # a user's own module lies where the command is run
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    from .processes.sweep import Limits, sweep

    shown = sys.stderr.isatty()

    def progress(done: int, total: int, target: str) -> None:
        if shown:
            print(f"\r\033[K[{done}/{total}] {target}", end="", file=sys.stderr, flush=True)

    try:
        # what strangers' modules print must not end up in the report
        with contextlib.redirect_stdout(sys.stderr):
            made = sweep(
                requests,
                record=record,
                jobs=args.jobs,
                backend=args.backend,
                progress=progress,
                limits=Limits(args.timeout, int(args.memory * 2**30)),
                every_option=args.sweep,
            )
            made = [*made, *_gone(requests, made)]
            return [_stated(v) for v in made] if args.require_claim else made
    finally:
        if shown:
            print(file=sys.stderr)


def _gone(requests: Sequence[Any], made: Sequence[Any]) -> list[Any]:
    """Errors for the samplers that the project claims an order for, and that are not there."""
    from .processes.settle import broken
    from .request import Request, speaks_of

    text = "[tool.solvergen.claims] of pyproject.toml holds it to an order, and there is no such sampler"
    return [
        broken(Request(name, claim=order), "target", text)
        for name, order in (requests[0].claims if requests else {}).items()
        if any(request.covers(name) for request in requests)
        and not any(speaks_of(name, verdict.target) for verdict in made)
        and not any(verdict.status == "error" and verdict.reason == "target" for verdict in made)
    ]


def _stated(verdict: Any) -> Any:
    """A verdict on a sampler that must claim an order."""
    if verdict.status != "none":
        return verdict
    text = "claims no order; state one with CLAIM in the file, --claim, or [tool.solvergen.claims]"
    findings = (text, *verdict.findings)
    return dataclasses.replace(verdict, status="error", reason="unclaimed", findings=findings)


def _writable(path: Path | None) -> None:
    """Refuse a file that cannot be written before anything is judged.

    Raises:
        TargetError: no such folder, or a folder in its place.
    """
    if path is None:
        return
    if path.is_dir():
        raise TargetError(f"{path}: a folder; name a file")
    if not path.parent.is_dir():
        raise TargetError(f"{path}: cannot be written: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise TargetError(f"{path}: cannot be written: no permission")


def main(argv: list[str] | None = None) -> int:
    """`python -m verify verify|audit ...`."""
    parser = argparse.ArgumentParser(prog="verify", description="The judge of diffusion samplers.")
    add_parsers(parser.add_subparsers(required=True, metavar="COMMAND"))
    args = parser.parse_args(argv)
    return int(args.handler(args))
