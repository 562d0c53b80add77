"""The fit command: a spec with numbers per step, fitted to a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...errors import SolvergenError
from ...installing import needs
from ..parsing import command
from ..terminal import complain


def add(commands: Any) -> None:
    """Register the command."""
    fit = command(
        commands,
        "fit",
        "fit the numbers per step and the levels of a spec to a model",
        "solvergen fit learned_ab1 --on mixtures --steps 5 --out mine_5.toml",
        "solvergen fit mine.toml --on fashion --steps 8 --free b1 --out mine_8.toml",
        "solvergen fit mine.toml --on module:name --steps 6 --out mine_6.toml",
        "solvergen fit amed_solver --on mixtures --steps 3 --predictor --out amed.toml",
    )
    fit.add_argument("spec", metavar="SPEC", help="a TOML file or a gallery solver's name")
    fit.add_argument(
        "--on", required=True, metavar="PROBLEM", help="mixtures, digits, fashion, module:name …"
    )
    fit.add_argument("--steps", required=True, type=int, metavar="N", help="steps to fit for")
    fit.add_argument("--out", required=True, type=Path, metavar="FILE.toml", help="the fitted spec; "
                     "its torch file and a JSON record are written beside it")  # fmt: skip
    fit.add_argument(
        "--free",
        metavar="NAMES",
        help="parameters, and grid, separated by commas; all unless given",
    )
    fit.add_argument("--starts", type=int, default=256, help="trajectories to fit on (256)")
    fit.add_argument("--held-out", type=int, default=256, help="more, to choose on (256)")
    fit.add_argument("--seed", type=int, default=0, help="of the starts (0)")
    fit.add_argument("--iterations", type=int, default=40, help="most steps of the fit (40)")
    fit.add_argument("--ridge", type=float, default=1e-5, help="on departures (0.00001)")
    fit.add_argument(
        "--teacher-steps", type=int, default=120, metavar="N", help="steps of the teacher (120)"
    )
    fit.add_argument(
        "--predictor",
        action="store_true",
        help='also train a network for the numbers with per = "sample"; FILE.safetensors',
    )
    fit.add_argument(
        "--features",
        metavar="MODULE:NAME",
        help="what that network sees: a function (x, denoised), or a Hook on a part of your model",
    )
    fit.add_argument("--std", type=float, help="deviation of the data, where you know it")
    fit.add_argument("--threads", type=int, default=1, help="of torch; 1 gives the same bits again")
    fit.add_argument("--no-cache", action="store_true", help="keep no trajectories")
    fit.set_defaults(handler=run_fit)


def run_fit(args: argparse.Namespace) -> int:
    """Fit, write the three files, print what was measured; 130 after Ctrl-C."""
    from .fitting import progress

    needs("torch", "scipy", "safetensors", "tomlkit")
    if args.out.suffix != ".toml":
        raise SolvergenError(f"--out must be a spec file, FILE.toml; found {args.out}")
    if args.threads < 1:
        raise SolvergenError(f"--threads must be at least 1; found {args.threads}")
    import torch

    from ...fit.problems.lookup import cache_folder, imported_thing, problem
    from ...fit.specs.outcome import fit_spec
    from ...loading import load
    from ...writing import promised

    for suffix in (".toml", ".py", ".json", *[".safetensors"] * args.predictor):
        promised(args.out.with_suffix(suffix))
    torch.set_num_threads(args.threads)
    try:
        fitted = fit_spec(
            load(args.spec),
            problem(args.on, std=args.std),
            args.steps,
            args.out,
            free=None if args.free is None else tuple(n.strip() for n in args.free.split(",")),
            starts=args.starts,
            held=args.held_out,
            seed=args.seed,
            iterations=args.iterations,
            ridge=args.ridge,
            teacher_steps=args.teacher_steps,
            predictor=args.predictor,
            features=None if args.features is None else imported_thing(args.features, "--features"),
            cache=None if args.no_cache else cache_folder() / "pairs",
            tell=progress,
        )
    except KeyboardInterrupt:  # before the first step, or while the file was being made
        progress("")
        complain(
            "interrupted: no solver is written; the same command goes on from the trajectories and "
            "steps that are kept"
        )
        return 130
    progress("")
    for line in fitted.lines():
        print(line)
    for path in fitted.write(args.out):
        print(f"wrote {path}")
    return 130 if fitted.found.interrupted else 0
