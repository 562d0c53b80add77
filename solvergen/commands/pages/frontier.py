"""The frontier and tables commands: everything at equal model calls, and the papers' tables remade."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import SolvergenError
from ...installing import needs
from ..learned.fitting import numbers_of_calls, progress
from ..parsing import command

DEFAULT = ("image", "generic")
PICTURED = 5


def add(commands: Any) -> None:
    """Register the commands."""
    front = command(
        commands,
        "frontier",
        "every solver on every grid at equal model calls, and the fitted tables, on one page",
        "solvergen frontier --on digits --nfe 5:10 --jobs 2",
        "solvergen frontier --on fashion --nfe 5 --solvers dpmpp_2m --add tuned.py",
        "solvergen frontier --on generic/held-out/3@vp --add mine.toml",
    )
    front.add_argument(
        "--on",
        nargs="+",
        default=list(DEFAULT),
        metavar="PROBLEM",
        help="as in calibrate; @vp or @flow behind a mixture for that process (image generic)",
    )
    front.add_argument("--nfe", default="3:20", metavar="A:B", help="model calls, or 5,8,10 (3:20)")
    front.add_argument("--solvers", nargs="+", metavar="NAME", help="the deterministic gallery")
    front.add_argument("--grids", nargs="+", metavar="NAME", help="the nine published grids")
    front.add_argument(
        "--add",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="specs, emitted samplers, calibrated files",
    )
    front.add_argument("--starts", type=int, default=24, help="trajectories a problem (24)")
    front.add_argument("--jobs", type=int, default=1, help="processes (1)")
    front.add_argument(
        "--data", nargs="+", type=Path, metavar="FILE.json", help="show these, run nothing"
    )
    front.add_argument("--json", type=Path, metavar="FILE.json", help="also write the data")
    front.add_argument("--top", type=int, metavar="N", help="pairs for each number in --json; all")
    front.add_argument("--picture", type=Path, metavar="FILE.png", help="also write the samples")
    front.add_argument("--html", type=Path, default=Path("frontier.html"), metavar="FILE.html")
    front.set_defaults(handler=run_frontier)

    tables = command(
        commands,
        "tables",
        "the tables of the papers, rebuilt as endpoint errors on your problem",
        "solvergen tables --on image digits --out tables.md",
    )
    tables.add_argument(
        "--on", nargs="+", default=["image"], metavar="PROBLEM", help="as in frontier (image)"
    )
    tables.add_argument("--starts", type=int, default=24, help="trajectories a problem (24)")
    tables.add_argument("--out", type=Path, metavar="FILE.md", help="also write them as Markdown")
    tables.set_defaults(handler=run_tables)


def run_frontier(args: argparse.Namespace) -> int:
    """Run what is not known yet, write the page, and print who wins."""
    needs("torch", "scipy", "jinja2", "bokeh")
    from ...fit.frontier.page import page, trimmed, winners
    from ...fit.frontier.study import joined, read
    from ...writing import promised, write

    for path in filter(None, (args.html, args.json, args.picture)):
        promised(path)
    if args.top is not None and args.top < 1:
        raise SolvergenError(f"--top must be at least 1; found {args.top}")
    pictures: dict[str, bytes] = {}
    data = joined([read(path) for path in args.data]) if args.data else _studied(args, pictures)
    for problem in data["problems"]:
        print(problem["name"])
        for row in winners(problem, data):
            first = row["pairs"][0]
            tables = ", ".join(f"{t['solver']} {t['ratio']:.3f}" for t in row["tables"]) or "-"
            print(
                f"  {row['calls']:>3} calls  {first['error']:.4g} {first['solver']} on "
                f"{first['grid']}; over it: {tables}; span bound {row['span']:.3f}"
            )
        for line in _unmet(problem, named=args.solvers is not None):
            print(f"  {line}")
    write(args.html, page(data, pictures))
    print(f"wrote {args.html}")
    if args.json:
        kept = data if args.top is None else trimmed(data, args.top)
        write(args.json, json.dumps(kept, separators=(",", ":")) + "\n")
        print(f"wrote {args.json}")
    return 0


def _unmet(problem: dict[str, Any], named: bool) -> Iterator[str]:
    """What gave no result at all, with the reason: one by one where a few were asked for by name."""
    unmet = problem.get("unmet", {})
    if named or len(unmet) < 4:
        yield from (f"no result of {name}: {reason}" for name, reason in unmet.items())
    elif unmet:
        yield f"no result of {len(unmet)} solvers at these numbers of calls; --solvers NAME says why"
    if not problem["points"]:
        yield "no pair has a result; give other --nfe, --solvers or --grids"


def run_tables(args: argparse.Namespace) -> int:
    """Rebuild the tables and print them."""
    needs("torch", "scipy")
    from ...fit.frontier.papers import sheets
    from ...fit.frontier.runs import ground
    from ...writing import promised, write

    if args.out:
        promised(args.out)
    if args.starts < 8:
        raise SolvergenError(f"--starts must be at least 8; found {args.starts}")
    parts = []
    for name in args.on:
        made = sheets(ground(name, args.starts), progress)
        progress("")
        parts.append(f"## {name}\n\n" + "\n".join(sheet.markdown() for sheet in made))
    text = "\n".join(parts)
    print(text, end="")
    if args.out:
        write(args.out, text)
        print(f"wrote {args.out}")
    return 0


def _studied(args: argparse.Namespace, pictures: dict[str, bytes]) -> dict[str, Any]:
    from ...fit.frontier import study
    from ...fit.frontier.runs import ground, levels_of
    from ...fit.frontier.samples import picture
    from ...fit.problems.lookup import cache_folder

    if args.jobs < 1 or args.starts < 2:
        raise SolvergenError("--jobs must be at least 1 and --starts at least 2")
    if args.jobs > 1:
        needs("joblib")
    known = study.default_solvers()
    wanted = args.solvers or known
    for name in wanted:
        if name not in known:
            raise SolvergenError(f"{name}: not a deterministic solver of the gallery; add its file")
    grids = list(levels_of(ground(args.on[0], args.starts), 5))
    for name in args.grids or ():
        if name not in grids:
            raise SolvergenError(f"no grid `{name}`; there are {', '.join(grids)}")
    plan = study.Plan(
        args.on,
        _calls(args.nfe),
        wanted,
        args.grids or grids,
        _added(args.add),
        args.starts,
        args.jobs,
    )
    data = study.study(plan, cache_folder() / "frontier", progress)
    progress("")
    shown = PICTURED if PICTURED in plan.calls else plan.calls[0]
    for problem in data["problems"]:
        made = picture(ground(problem["name"], args.starts), problem, shown, plan.added)
        if made is not None:
            pictures[problem["name"]] = made
    if args.picture:
        if not pictures:
            raise SolvergenError(
                "--picture: none of the problems is of pictures; add digits or fashion"
            )
        args.picture.write_bytes(next(iter(pictures.values())))
        print(f"wrote {args.picture}")
    return data


def _calls(text: str) -> list[int]:
    if "," not in text:
        return list(numbers_of_calls(text, "--nfe"))
    if not all(part.isdigit() and 2 <= int(part) <= 64 for part in text.split(",")):
        raise SolvergenError(f"--nfe must be numbers from 2 to 64; found {text}")
    return sorted({int(part) for part in text.split(",")})


def _added(paths: list[Path]) -> dict[str, Path]:
    """Files by name; a spec is generated into the cache first.

    Raises:
        SolvergenError: two have one name, or one is neither a spec nor a Python file.
    """
    from ...fit.problems.lookup import cache_folder
    from ...loading import load
    from ...proof import proved
    from ...writing import write

    found: dict[str, Path] = {}
    for path in paths:
        name = path.stem
        if path.suffix == ".toml":
            loaded = load(str(path))
            made = cache_folder() / "frontier" / f"{loaded.solver.name}.py"
            write(made, proved(loaded).text)
            path = made
        elif path.suffix != ".py" or not path.is_file():
            raise SolvergenError(f"--add takes specs and Python files; {path} is neither")
        if name in found:
            raise SolvergenError(f"two added files are named {name}")
        found[name] = path
    return found
