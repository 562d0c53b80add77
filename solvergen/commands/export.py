"""The export command: solvers as files of other programs, a diffusers scheduler or ComfyUI nodes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SolvergenError
from .learned import fitted, students
from .parsing import command

if TYPE_CHECKING:
    from ..spec.model import Parameter


def add(commands: Any) -> None:
    """Register the command."""
    export = command(
        commands,
        "export",
        "write a diffusers scheduler or ComfyUI nodes",
        "solvergen export diffusers dpmpp_2m --out my_scheduler.py",
        "solvergen export comfyui custom_nodes/mine dpmpp_2m unipc_2_bh2",
    )
    hosts = export.add_subparsers(title="hosts", metavar="HOST", required=True)
    diffusers = hosts.add_parser("diffusers", help="a scheduler in one file")
    diffusers.add_argument("spec", metavar="SPEC")
    diffusers.add_argument("--out", type=Path, metavar="FILE", help="NAME_scheduler.py by default")
    diffusers.set_defaults(handler=run_diffusers, used=diffusers)
    comfyui = hosts.add_parser("comfyui", help="a custom-node folder")
    comfyui.add_argument("folder", type=Path, metavar="DIR")
    comfyui.add_argument("specs", nargs="+", metavar="SPEC")
    comfyui.set_defaults(handler=run_comfyui, used=comfyui)
    students.add_export(hosts)


def run_diffusers(args: argparse.Namespace) -> int:
    """Write the scheduler file of one solver."""
    if fitted.is_fitted(args.spec):
        return fitted.export_diffusers(args)
    from ..emit.exports.diffusers_file import class_name, diffusers_file
    from ..loading import load
    from ..proof import proved
    from ..writing import write

    loaded = load(args.spec)
    text = diffusers_file(loaded.solver, loaded.program, proved(loaded).theory, loaded.spec)
    path = args.out or Path(f"{loaded.solver.name}_scheduler.py")
    changed = write(path, text)
    print(f"{'wrote' if changed else 'up to date:'} {path} ({class_name(loaded.solver.name)})")
    return 0


def run_comfyui(args: argparse.Namespace) -> int:
    """Write a custom-node folder with some solvers."""
    from ..emit.exports.comfyui_folder import comfyui_folder
    from ..writing import write

    if args.folder.is_file() or any(Path(target).is_dir() for target in args.specs):
        raise SolvergenError(
            "the folder comes first and the solvers after it: solvergen export comfyui DIR SPEC ...; found "
            f"{args.folder} {' '.join(args.specs)}"
        )
    samplers: dict[str, str] = {}
    parameters: dict[str, tuple[Parameter, ...]] = {}
    for target in args.specs:
        name, text, taken = _sampler(target)
        if name in samplers:
            raise SolvergenError(f"two of the solvers are named `{name}`")
        if name in ("nodes", "__init__"):
            raise SolvergenError(f"a solver in a node folder cannot be named `{name}`")
        samplers[name], parameters[name] = text, taken
    for name, text in comfyui_folder(samplers, parameters).items():
        write(args.folder / name, text)
    print(f"wrote {args.folder} ({len(samplers)} sampler node{'s' * (len(samplers) != 1)})")
    return 0


def _sampler(target: str) -> tuple[str, str, tuple[Parameter, ...]]:
    """Name, text and parameters of a sampler for a node folder."""
    if fitted.is_fitted(target):
        from ..fit.exported import comfyui_text
        from ..fit.fitted import read_fitted

        one = read_fitted(target)
        return one.name, comfyui_text(one), ()
    from ..loading import load
    from ..proof import proved

    loaded = load(target)
    return loaded.solver.name, proved(loaded).text, tuple(loaded.program.parameters)
