"""The commands of the fitting room; torch and the room itself are imported only when they run."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SolvergenError
from ...installing import needs
from ..parsing import command

if TYPE_CHECKING:
    from ...fit.table import Table


def add(commands: Any) -> None:
    """Register the commands."""
    _add_calibrate(commands)
    _add_search(commands)
    _add_fit_grid(commands)
    _add_fit_statistics(commands)


def _add_calibrate(commands: Any) -> None:
    tune = command(
        commands,
        "calibrate",
        "fit a solver of few calls to your own model",
        "solvergen calibrate gauss --on mine:Model --calls 5 --out tuned.py",
        "solvergen calibrate gauss --on digits --calls 5 --whole --out tuned.py",
        about="Fit a shipped table of the family gauss to a model, from a few of its trajectories.",
    )
    tune.add_argument("name", metavar="NAME", help="gauss, gauss_net, gauss_sum or gauss_mix")
    tune.add_argument(
        "--on", required=True, metavar="PROBLEM", help="fashion, digits, module:name …"
    )
    tune.add_argument("--calls", required=True, type=int, metavar="N")
    tune.add_argument("--starts", type=int, help="trajectories to fit on (40; 160 with --whole)")
    tune.add_argument("--unused", type=int, default=24, help="more, to measure on (24)")
    how = tune.add_mutually_exclusive_group()
    how.add_argument("--last-row", action="store_true", help="linear least squares alone")
    how.add_argument("--whole", action="store_true", help="then all numbers through the model")
    tune.add_argument(
        "--rows", type=int, metavar="K", help="of the last that are fitted (3; 1 before --whole)"
    )
    tune.add_argument("--seed", type=int, default=0, help="of the starts (0)")
    tune.add_argument("--std", type=float, help="deviation of the data, where you know it")
    tune.add_argument(
        "--teacher-steps", type=int, default=120, metavar="N", help="steps of the teacher (120)"
    )
    tune.add_argument("--iterations", type=int, default=12, help="most steps of the whole fit (12)")
    tune.add_argument("--no-compare", action="store_true", help="leave the published samplers out")
    tune.add_argument("--no-cache", action="store_true", help="keep no trajectories")
    tune.add_argument("--out", type=Path, required=True, metavar="FILE.py")
    tune.set_defaults(handler=run_calibrate)


def run_calibrate(args: argparse.Namespace) -> int:
    """Run the teacher, fit, write the file and its record, print what was measured."""
    needs("torch", "scipy", "safetensors")
    from ...fit.problems.lookup import cache_folder, problem
    from ...fit.tune import calibrate, table_name
    from ...spec.file_name import name_refusal
    from ...writing import promised

    if args.out.suffix != ".py":
        raise SolvergenError(f"--out must be a Python file; found {args.out}")
    if refusal := name_refusal(args.out.stem):
        raise SolvergenError(f"--out {args.out}: `{args.out.stem}` cannot name a solver: {refusal}")
    if args.last_row and args.rows not in (None, 1):
        raise SolvergenError(
            f"--last-row fits one row and --rows {args.rows} says otherwise; give one of the two"
        )
    promised(args.out)
    table_name(args.name, args.calls)
    tuned = calibrate(
        args.name,
        problem(args.on, std=args.std),
        args.calls,
        starts=args.starts,
        unused=args.unused,
        rows=1 if args.last_row else args.rows,
        whole=args.whole,
        seed=args.seed,
        teacher_steps=args.teacher_steps,
        iterations=args.iterations,
        compare=not args.no_compare,
        cache=None if args.no_cache else cache_folder() / "pairs",
        out=args.out,
        tell=progress,
    )
    progress("")
    found = tuned.found
    print(
        f"teacher: {found.teacher.calls} calls in {found.teacher.seconds:.1f} s; its own error, by "
        f"halving, {found.teacher.error:.2g} deviations"
    )
    for line in found.lines():
        print(line)
    for path in tuned.write(args.out):
        print(f"wrote {path}")
    return 0


def _add_search(commands: Any) -> None:
    search = command(
        commands,
        "search",
        "fit the family of own solvers on exact mixtures",
        "solvergen search --family network --steps 5:8 --out tables",
        about="Fit tables of N calls on a family of mixtures; goes on where it stopped.",
    )
    search.add_argument("--family", choices=("image", "network", "generic"), default="image")
    search.add_argument("--sums", action="store_true", help="shares that sum to 1: order 1, proved")
    search.add_argument("--steps", default="4:20", metavar="A:B", help="numbers of calls (4:20)")
    search.add_argument(
        "--problems", type=int, metavar="N", help="training mixtures; all by default"
    )
    search.add_argument("--iterations", type=int, default=14)
    search.add_argument("--seed", type=int, default=1, help="of the starts (1)")
    what = search.add_mutually_exclusive_group()
    what.add_argument(
        "--again", action="store_true", help="fit those that are there too, each from where it is"
    )
    what.add_argument(
        "--measure", action="store_true", help="measure those that are there again, fit none"
    )
    search.add_argument(
        "--ridge",
        type=float,
        help="toward Adams weights; more lowers the gain (image 0.01, network 0.1, generic 0.001)",
    )
    search.add_argument(
        "--out", type=Path, metavar="DIR", help="the package's own tables by default"
    )
    search.set_defaults(handler=run_search)


def run_search(args: argparse.Namespace) -> int:
    """Fit the tables that are not there yet, one after the other, or measure those that are."""
    needs("torch", "scipy", "sklearn")
    from ...fit.search import search
    from ...fit.shipped import FOLDER, KINDS, names, shipped
    from ...writing import promised

    folder = args.out or FOLDER
    kinds = [k for k, (family, sums) in KINDS.items() if (family, sums) == (args.family, args.sums)]
    if not kinds:
        raise SolvergenError(
            f"--sums is fitted on image mixtures; leave --family {args.family} out"
        )
    if args.ridge is not None and not 0 <= args.ridge < math.inf:
        raise SolvergenError(f"--ridge must be a number not below 0; found {args.ridge:g}")
    if args.iterations < 1 or (args.problems is not None and args.problems < 1):
        raise SolvergenError(
            f"--iterations and --problems must be at least 1; found {args.iterations}, {args.problems}"
        )
    kind = kinds[0]
    promised(folder / f"{kind}.json")
    wanted = numbers_of_calls(args.steps)
    if args.measure and not any(f"{kind}_{calls}" in names(folder) for calls in wanted):
        raise SolvergenError(
            f"--measure: {folder} has no {kind} of {args.steps} calls; leave --measure out to fit it"
        )
    for calls in wanted:
        name = f"{kind}_{calls}"
        there = name in names(folder)
        if args.measure:
            if there:
                kept = shipped(name, folder)
                print(_measured(kind, kept.table, kept.figures["fit"], folder))
            continue
        if there and not args.again:
            print(f"{name}: there already")
            continue
        near = sorted(
            (shipped(n, folder).table for n in names(folder) if n.rsplit("_", 1)[0] == kind),
            key=lambda table: abs(table.calls - calls),
        )
        state = folder / f"{kind}_{calls}.state"
        table, fit = search(
            kind,
            calls,
            neighbours=near[:1],
            count=args.problems,
            iterations=args.iterations,
            seed=args.seed,
            ridge=args.ridge,
            state=state,
            tell=progress,
        )
        print(_measured(kind, table, fit, folder) + f"; {fit['seconds']:.0f} s")
        for suffix in (".state", ".begin", ".best"):
            state.with_suffix(suffix).unlink(missing_ok=True)
    return 0


def _measured(kind: str, table: Table, fit: dict[str, float], folder: Path) -> str:
    """Measure a table on held-out problems, write it, and say both."""
    from ...fit.search import compared, families, made
    from ...fit.shipped import write_shipped

    held = {name: compared(table, name, tell=progress) for name in families(kind)}
    progress("")
    path = write_shipped(made(kind, table, fit, held), folder)
    return f"wrote {path}, over the best published pair on held-out problems: " + "; ".join(
        f"{name} {found['mean']:.3f}, worst {found['worst']:.2f}" for name, found in held.items()
    )


def _add_fit_grid(commands: Any) -> None:
    fit = command(
        commands,
        "fit-grid",
        "find a grid for a model: gits, boss, oss, klub, dmn, own, best",
        "solvergen fit-grid own --on image --steps 8 --for dpmpp_2m",
        about="Find the levels of N steps by a published method or by one of our own.",
    )
    fit.add_argument("method", metavar="METHOD", help="gits, boss, oss, klub, dmn, own or best")
    fit.add_argument("--on", default="image", metavar="PROBLEM", help="as in calibrate (image)")
    fit.add_argument("--steps", type=int, required=True, metavar="N", help="steps of the grid")
    fit.add_argument("--for", dest="solver", default="dpmpp_2m", metavar="SOLVER", help="own, best")
    fit.add_argument("--starts", type=int, default=32)
    fit.add_argument("--seed", type=int, default=0, help="of the starts (0)")
    fit.add_argument("--points", type=int, default=61, help="of the fine grid (61)")
    fit.add_argument("--gamma", type=float, default=1.15, help="gits: weight of later jumps (1.15)")
    fit.add_argument("--json", action="store_true")
    fit.set_defaults(handler=run_fit_grid)


def run_fit_grid(args: argparse.Namespace) -> int:
    """Find a grid and print its levels."""
    needs("torch", "scipy")
    from ...fit.grids.methods import fitted_grid
    from ...fit.problems.lookup import problem

    found = fitted_grid(
        args.method,
        problem(args.on),
        args.steps,
        solver=args.solver,
        starts=args.starts,
        seed=args.seed,
        points=args.points,
        gamma=args.gamma,
        tell=progress,
    )
    progress("")
    if args.json:
        print(json.dumps({"levels": found.levels, found.objective: found.value}))
    else:
        print(f"{args.method}: {found.objective} {found.value:.6g}")
        print("[" + ", ".join(f"{level:.6g}" for level in found.levels) + "]")
    return 0


def _add_fit_statistics(commands: Any) -> None:
    fit = command(
        commands,
        "fit-statistics",
        "measure the statistics of DPM-Solver-v3 on a model",
        "solvergen fit-statistics --on digits --levels 120 --out ems.safetensors",
        about="Measure l, s and b of a model; writes them, and the sampler that takes them beside.",
    )
    fit.add_argument(
        "--on",
        required=True,
        metavar="PROBLEM",
        help="mixtures, digits, fashion … or module:name of an object with denoiser(x, sigma), "
        "shape, sigma_max and sigma_min",
    )
    fit.add_argument(
        "--levels", type=int, default=120, metavar="N", help="steps of the table, 8 or more (120)"
    )
    fit.add_argument(
        "--points",
        type=int,
        default=1024,
        metavar="N",
        help="samples behind every level, 8 or more (1024)",
    )
    fit.add_argument("--seed", type=int, default=0, help="of starts, noise and signs (0)")
    fit.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.safetensors",
        help="the sampler is written beside it, as FILE.py",
    )
    fit.set_defaults(handler=run_fit_statistics)


def run_fit_statistics(args: argparse.Namespace) -> int:
    """Take ends of trajectories as data, measure, write the tensors and the sampler."""
    needs("torch", "scipy", "safetensors")
    from ...fit.problems.lookup import cache_folder, problem
    from ...fit.statistics.estimate import estimate, fits
    from ...fit.statistics.file import written
    from ...fit.teacher import taught
    from ...spec.file_name import name_refusal
    from ...writing import promised

    if args.out.suffix != ".safetensors":
        raise SolvergenError(f"--out must be a safetensors file; found {args.out}")
    if args.points < 8:
        raise SolvergenError(f"--points must be at least 8; found {args.points}")
    if args.levels < 8:
        raise SolvergenError(f"--levels must be at least 8; found {args.levels}")
    beside = args.out.with_suffix(".py")
    if refusal := name_refusal(beside.stem):
        raise SolvergenError(f"--out {args.out}: {beside.name} cannot be a sampler: {refusal}")
    if beside.is_file() and "made by solvergen" not in beside.read_text(errors="replace")[:200]:
        raise SolvergenError(
            f"--out {args.out}: would replace {beside}, a file of yours; rename it"
        )
    for path in (args.out, beside):
        promised(path)
    model = problem(args.on)
    fits(model, args.points, args.levels)
    data = taught(model, args.points, args.seed, cache=cache_folder() / "pairs", tell=progress).ends
    found = estimate(model, data, levels=args.levels, seed=args.seed, tell=progress)
    progress("")
    flags = f" --levels {args.levels} --points {args.points}" + f" --seed {args.seed}" * bool(
        args.seed
    )
    remake = f"solvergen fit-statistics --on {args.on}{flags} --out {args.out.name}"
    for path in written(found, model, args.out, remake):
        print(f"wrote {path}")
    return 0


def numbers_of_calls(text: str, option: str = "--steps") -> range:
    """4:20 or 5 as numbers of calls; `option` says where they stand."""
    first, _, last = text.partition(":")
    if not (first.isdigit() and (last or first).isdigit()):
        raise SolvergenError(f"{option} must be a number or a range as 4:20; found {text}")
    numbers = range(int(first), int(last or first) + 1)
    if not numbers or numbers[0] < 2 or numbers[-1] > 64:
        raise SolvergenError(f"{option} must lie between 2 and 64 and rise; found {text}")
    return numbers


def progress(line: str) -> None:
    """A line that the next one replaces, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
