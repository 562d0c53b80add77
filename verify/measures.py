"""What the judge costs and how well it judges: CPU time, false alarms, mutants killed, causes named.

    python -m verify.measures cost generated --jobs 2
    python -m verify.measures cost 'diffusers:*' --sweep --jobs 2
    python -m verify.measures mutants generated/dpmpp_2m.py generated/unipc_3_bh2.py
    python -m verify.measures alarms generated --seeds 20 --jobs 2

Every figure is measured anew and printed with what lies behind it, worst first.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .judge import judge
from .mutants.judging import Outcome, campaign, causes_right, rates
from .processes.isolated import arriving, called
from .processes.settle import settle
from .processes.supervised import Limits
from .processes.sweep import single
from .request import Request
from .targets import find

AUDIT = {"rates": False, "constants": False}
# a target that takes longer is stopped, and counts with what it took
LIMITS = Limits(seconds=300.0)
SHOWN = 12


@dataclass(frozen=True)
class Cost:
    """What one target took.

    Args:
        name: target with its options.
        seconds: CPU time in its process, imports left out.
        status: of its verdict; the reason where there was none.
    """

    name: str
    seconds: float
    status: str


def costs(requests: Sequence[Request], jobs: int = 1) -> Iterator[Cost]:
    """CPU seconds of each target in a process of its own, as they are measured."""
    for place, text in arriving(list(enumerate(requests)), jobs, LIMITS, _timed):
        if isinstance(text, str):
            seconds, status = json.loads(text)
        else:
            seconds, status = LIMITS.seconds, text[0]
        yield Cost(requests[place].name, float(seconds), str(status))


def _timed(request: Request) -> str:
    begun = time.process_time()
    statuses = {v.status for v in settle(request)}
    return json.dumps([time.process_time() - begun, ", ".join(sorted(statuses))])


def alarms(
    requests: Sequence[Request], seeds: Sequence[int], jobs: int = 1
) -> list[tuple[str, int, str]]:
    """Honest targets that are rejected: (name, seed, why). Real runs have no seed: run with the first.

    Args:
        requests: samplers that hold what they claim.
        seeds: places of the audit and random outputs.
    """
    asked = [
        dataclasses.replace(r, settings={**r.settings, "seed": seed, "conduct": seed == seeds[0]})
        for r in requests
        for seed in seeds
    ]
    out = []
    for request, text in zip(asked, called(_rejected, asked, jobs, LIMITS), strict=True):
        said = text if isinstance(text, str) else ": ".join(text)
        if said:
            out.append((request.name, int(request.settings["seed"]), said))
    return out


def _rejected(request: Request) -> str:
    for target in find(request.target, request.options, request.convention):
        verdict = judge(target, claim=request.claimed(target.name), **request.settings)
        if verdict.status in ("fail", "error", "disagree"):
            return f"{verdict.status}: {verdict.findings[:1]}"
    return ""


def missed(outcomes: Sequence[Outcome]) -> list[str]:
    """Mutants that lose order and live, and those whose cause names another step, one line each."""
    lost = [o for o in outcomes if o.effect == "order"]
    lines = [f"alive: {o.origin}: {o.name}" for o in lost if not o.killed]
    lines += [
        f"another step named: {o.origin}: {o.name}: {o.why}"
        for o in lost
        if o.killed and not o.right
    ]
    return lines


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m verify.measures", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=("cost", "alarms", "mutants"))
    parser.add_argument("targets", nargs="+", metavar="TARGET")
    parser.add_argument("--sweep", action="store_true", help="as for audit")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when nothing went wrong that must not."""
    args = _parsed(argv)
    warnings.simplefilter("ignore")
    if args.what == "mutants":
        outcomes = campaign([Path(t) for t in args.targets])
        for kind, (killed, count) in rates(outcomes).items():
            print(f"{kind}: {killed} of {count} killed")
        right, count = causes_right(outcomes)
        print(f"causes: {right} of {count} name the step that was changed")
        wrong = missed(outcomes)
        print(*wrong, sep="\n")
        return int(any(line.startswith("alive") for line in wrong))
    asked = [Request(t, settings=dict(AUDIT)) for t in args.targets]
    requests, failed = single(asked, args.sweep, LIMITS)
    if args.what == "alarms":
        found = alarms(requests, range(args.seeds), args.jobs)
        print(f"{len(requests)} samplers, {args.seeds} seeds each: {len(found)} false alarms")
        for name, seed, why in found:
            print(f"{name}, seed {seed}: {why}")
        return int(bool(found))
    begun, made = time.monotonic(), []
    for one in costs(requests, args.jobs):
        made.append(one)
        # a run that is stopped has measured what it has printed
        print(f"{one.seconds:7.2f}  {one.name}: {one.status}", flush=True)
    wall, spent = time.monotonic() - begun, sum(c.seconds for c in made)
    counts = Counter(c.status for c in made)
    print(
        f"{len(made)} targets: {spent:.0f} CPU s, {wall:.0f} s of wall time with {args.jobs} jobs; "
        + ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
    )
    for one in sorted(made, key=lambda c: -c.seconds)[:SHOWN]:
        print(f"{one.seconds:7.2f}  {one.name}: {one.status}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
