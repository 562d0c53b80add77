"""Commands about students: recipes, train, examine, and what explain, lint and export say of them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from ...errors import SolvergenError, SpecError
from ...installing import install
from ..parsing import command


def add(commands: Any, chosen: str | None) -> None:
    """Register recipes, train and examine; the examiner's arguments only when it is chosen."""
    listing = command(
        commands,
        "recipes",
        "list the recipes that train students",
        "solvergen recipes",
        "solvergen recipes --json",
    )
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(handler=run_recipes)

    train = command(
        commands,
        "train",
        "train a student by a recipe and export it",
        "solvergen train consistency",
        "solvergen train mine.toml --out students/mine --seed 1",
        "solvergen train consistency --resume",
    )
    train.add_argument("recipe", metavar="RECIPE")
    train.add_argument("--out", type=Path, metavar="DIR", help="students/NAME unless given")
    train.add_argument("--seed", type=int, help="the recipe's first unless given")
    train.add_argument("--steps", type=int, metavar="N", help="stop after N iterations")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint in DIR")
    train.add_argument("--save-every", type=int, default=1000, metavar="N")
    train.add_argument("--log-every", type=int, default=50, metavar="N")
    train.add_argument("--accelerate", action="store_true", help="under accelerate launch")
    train.set_defaults(handler=run_train)

    if chosen != "examine":
        commands.add_parser("examine", help="hold a map against the exact flow and the exact law")
        return
    _light_threads()
    try:
        from solvergen.verify.maps.command import add_parser
    except ModuleNotFoundError as error:
        raise SolvergenError(f"`examine` needs {error.name}; {install('verify')}") from None
    add_parser(commands)


def add_export(hosts: Any) -> None:
    """Register `export student`."""
    student = hosts.add_parser("student", help="a trained student as a diffusers or ComfyUI folder")
    student.add_argument("folder", type=Path, metavar="DIR", help="that solvergen train wrote")
    student.add_argument("--host", choices=("diffusers", "comfyui"), default="diffusers")
    student.add_argument("--out", type=Path, metavar="DIR", help="DIR-HOST unless given")
    student.set_defaults(handler=run_export)


def _light_threads() -> None:
    """Small networks: threads of the linear algebra, set when torch loads, wait for each other."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def run_recipes(args: argparse.Namespace) -> int:
    """The recipes as a table or as JSON."""
    from ...distil.recipe import names, read_recipe

    rows = []
    for name in names():
        recipe = read_recipe(name)
        rows.append(
            {
                "name": name,
                "system": recipe.system,
                "target": recipe.target["mixture"] or recipe.target["data"],
                "iterations": recipe.training["iterations"],
                "claim": dict(recipe.claim),
                "title": recipe.title,
            }
        )
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    wide = max(len(str(row["name"])) for row in rows)
    kind = max(len(str(row["system"])) for row in rows)
    for row in rows:
        print(f"{row['name']:{wide}}  {row['system']:{kind}}  {row['target']:8}  {row['title']}")
    print(f"{len(rows)} recipes; solvergen explain NAME, solvergen train NAME", file=sys.stderr)
    return 0


def run_train(args: argparse.Namespace) -> int:
    """Train, export, and say how to go on."""
    from ...distil.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    folder = args.out or Path("students") / recipe.name
    if folder.is_file():
        raise SolvergenError(f"{folder}: a file; name a folder with --out")
    for name, value in (
        ("--steps", args.steps),
        ("--save-every", args.save_every),
        ("--log-every", args.log_every),
    ):
        if value is not None and value < 1:
            raise SolvergenError(f"{name} {value}: at least 1")
    _light_threads()
    _require_torch()
    from ...distil.checkpoint import FILE as CHECKPOINT
    from ...distil.export import export
    from ...distil.train import train

    if (folder / CHECKPOINT).is_file() and not args.resume:
        raise SolvergenError(
            f"{folder}: holds a checkpoint; go on with --resume, or give another --out"
        )
    seed = recipe.training["seeds"][0] if args.seed is None else args.seed
    engine = None
    if args.accelerate:
        from ...distil.engine import Accelerated

        engine = Accelerated()
    made = train(
        recipe,
        folder,
        seed=seed,
        steps=args.steps,
        resume=args.resume,
        engine=engine,
        every=args.log_every,
        save_every=args.save_every,
    )
    if engine is not None and engine.rank:
        return 0
    loss = f", loss {made.losses[-1][1]:.4g}" if made.losses else ""
    said = f"{recipe.name}: {made.step} iterations in {made.seconds:.0f} s of processor{loss}"
    if not made.finished:
        out = f" --out {folder}" if args.out else ""
        again = f"solvergen train {args.recipe}{out} --seed {seed} --resume"
        print(f"{said}; stopped; go on with: {again}")
        return 0
    export(recipe, made, folder, seed)
    print(f"{said}; wrote {folder}; next: solvergen examine {folder}")
    return 0


def _require_torch() -> None:
    try:
        import safetensors.torch  # noqa: F401
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise SolvergenError(f"training needs {error.name}; {install('train,verify')}") from None


def lint(target: str) -> str:
    """What lint says of a recipe.

    Raises:
        SpecError: it cannot be read, or its teacher is worse than its own claim.
    """
    from ...distil.recipe import read_recipe

    recipe = read_recipe(target)
    _light_threads()
    _require_torch()
    from ...distil.limits import limits

    try:
        found = limits(recipe, full=False)
    except SpecError:
        raise
    except SolvergenError as error:
        raise SpecError(str(error), recipe.path) from None
    if found.refused:
        from ...spec.text.locate import Locator

        locator = Locator(Path(recipe.path).read_text(encoding="utf-8"))
        line, column, width = locator.find(("claim", "endpoint_error"))
        raise SpecError(found.refused, recipe.path, line, column, locator.line(line), width)
    teacher = f"; teacher's error {found.teacher.rms:.2%} of sd" if found.teacher else ""
    return f"{target}: ok; {recipe.system}{teacher}"


def explain(target: str, as_json: bool) -> int:
    """The limit, the budget and the warnings of a recipe."""
    from ...distil.recipe import read_recipe

    recipe = read_recipe(target)
    _light_threads()
    _require_torch()
    from dataclasses import asdict

    from ...distil.budget import budget_lines
    from ...distil.limits import limits

    found = limits(recipe)
    if as_json:
        print(json.dumps({"name": recipe.name, "system": recipe.system, **asdict(found)}, indent=2))
    else:
        print("\n".join(budget_lines(recipe, found)))
    return 0


def run_export(args: argparse.Namespace) -> int:
    """A student's folder for another program."""
    _light_threads()
    _require_torch()
    from ...distil.hosts_folder import comfyui_folder, diffusers_folder

    out = args.out or args.folder.with_name(f"{args.folder.name}-{args.host}")
    if args.host == "comfyui":
        names = comfyui_folder(args.folder, out)
    else:
        names = diffusers_folder(args.folder, out, _scheduler())
    print(f"wrote {out} ({', '.join(names)})")
    return 0


def _scheduler() -> str:
    """The scheduler of multistep consistency sampling, as `export diffusers` writes it."""
    from ...emit.exports.diffusers_file import diffusers_file
    from ...loading import load
    from ...proof import proved

    known = load("consistency_multistep")
    return diffusers_file(known.solver, known.program, proved(known).theory, known.spec)
