"""Calibrated files in the commands that are made for specs: the same questions, their own answers."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SolvergenError
from ..terminal import say

if TYPE_CHECKING:
    from ...fit.fitted import Fitted


def is_fitted(target: str) -> bool:
    """Whether a target is a calibrated file."""
    if not target.endswith(".py"):
        return False
    from ...fit.fitted import is_fitted as found

    return found(target)


def is_family(target: str) -> bool:
    """Whether a target names a table of the family, such as gauss_8 or gauss_mix_5."""
    return re.fullmatch(r"gauss(_net|_mix|_sum)?_\d+", target) is not None


def generate_family(names: list[str], folder: Path, check: bool) -> int:
    """Write tables of the family as files, for a mean and deviation that the caller gives.

    Returns:
        1 where `check` is set and a file is missing or stale.
    """
    from ...writing import write

    status = 0
    for name in names:
        path, made = folder / f"{name}.py", family_text(name)
        if check:
            current = path.is_file() and path.read_text(encoding="utf-8") == made
            print(f"{path}: {'up to date' if current else f'stale; solvergen generate {name}'}")
            status = max(status, 0 if current else 1)
        elif write(path, made):
            print(f"wrote {path}")
    return status


def family_text(name: str) -> str:
    """The file of a table of the family: mean 0 and deviation 1 unless the caller says otherwise.

    Raises:
        SolvergenError: there is no such table.
    """
    from ...fit.file import file_text
    from ...fit.shipped import shipped

    kept = shipped(name)
    held = kept.figures[f"{kept.family}/held-out over the best published pair"]
    return file_text(
        name,
        f"{name}: {kept.table.calls} model calls, fitted on {kept.family} mixtures; give the data's "
        "mean and std.",
        kept.table,
        0.0,
        1.0,
        (80.0, 0.002),
        remake=f"solvergen generate {name}",
        fitted=f"on {kept.family} mixtures; {held['mean']:.3g} of the best published pair on new ones",
        sums=kept.sums,
    )


def explain(args: argparse.Namespace) -> int:
    """Levels, shares, what is exact, and what was measured when it was calibrated.

    Raises:
        SolvergenError: a form is asked for that only a derived solver has.
    """
    from ...fit.fitted import read_fitted

    for form in ("latex", "markdown", "derivation"):
        if getattr(args, form):
            raise SolvergenError(
                f"{args.spec}: --{form} is for solvers that are derived; a calibrated file is a table "
                "of numbers, shown by explain without options"
            )
    fitted = read_fitted(args.spec)
    if args.json:
        print(json.dumps(facts(fitted), indent=2, ensure_ascii=False))
    else:
        say(text(fitted), title=True)
    return 0


def facts(fitted: Fitted) -> dict[str, Any]:
    """Everything that a calibrated file and its record state, as plain data."""
    return {
        "name": fitted.name,
        "title": fitted.title,
        "calls": fitted.table.calls,
        "sigmas": list(fitted.sigmas),
        "std": fitted.std,
        "levels": [fitted.std * level for level in fitted.table.levels],
        "shares": [list(row) for row in fitted.table.shares],
        "defects": list(fitted.table.defects()),
        "gain": fitted.table.gain(),
        "order": 1 if fitted.sums else None,
        "exact_on_gaussian": True,
        "remake": fitted.remake,
        "fitted": fitted.fitted,
        "record": fitted.record(),
    }


def text(fitted: Fitted) -> str:
    """What people read."""
    table, std = fitted.table, fitted.std
    lines = [fitted.title, ""]
    lines += [
        f"a table of {table.calls} model calls, sigma from {fitted.sigmas[0]:g} to "
        + f"{fitted.sigmas[1]:g}, in the variables σ/{std:.4g} = tan θ and",
        "  x̂ = (x − mean)/(std √(1 + (σ/std)²)):   x̂ᵢ = x̂₀ + (θ₀ − θᵢ) Σ sharesᵢⱼ Fⱼ",
        "",
        "call  sigma      shares of the outputs before it",
    ]
    rows = ((), *table.shares[:-1])
    for i, (level, row) in enumerate(zip(table.levels, rows, strict=True)):
        lines.append(f"{i + 1:>4}  {std * level:<9.4g}  {_row(row) or 'Gaussian step, no call'}")
    lines.append(f" end  {fitted.sigmas[1]:<9.4g}  {_row(table.shares[-1])}")
    worst = max(map(abs, table.defects()))
    lines += [
        "",
        f"exact on the Gaussian of this mean and deviation; gain {table.gain():.3g}",
        "a constant F is integrated exactly: order 1 in θ where such tables are refined"
        if fitted.sums
        else f"a constant F is missed by up to {worst:.2g} of its integral: fitted, of no order",
    ]
    record = fitted.record()
    if record is not None and record.get("published"):
        unit = record["published"][0]
        over = ", ".join(
            f"{stage['name']} {stage['rms on new starts'] / unit['error']:.3f}"
            for stage in record["stages"]
        )
        lines.append(
            f"on {record['problem']['name']}, over {unit['rule']} on {unit['grid']}: {over} "
            f"(kept: {record['kept']})"
        )
    lines.append(f"remake with: {fitted.remake}")
    return "\n".join(lines)


def same(args: argparse.Namespace) -> int:
    """Exit 0 when two calibrated files hold the same numbers to the digits that they state.

    Raises:
        SolvergenError: one of the two is a spec, whose update depends on the caller's grid.
    """
    from ...fit.fitted import read_fitted

    for one, other in ((args.a, args.b), (args.b, args.a)):
        if not is_fitted(one):
            raise SolvergenError(
                f"{other} is a calibrated file with its own levels; {one} is not, so they cannot be "
                "one method; compare their errors with solvergen frontier"
            )
    first, second = read_fitted(args.a), read_fitted(args.b)
    what = _difference(first, second)
    if args.json:
        print(json.dumps({"same": what is None, "difference": what}, indent=2))
    elif what is None:
        print(f"{args.a} and {args.b} are the same method")
    else:
        print(f"{args.a} and {args.b} differ: {what}")
    return 0 if what is None else 1


def check(targets: list[str]) -> int:
    """Whether calibrated files are as they were made; 1 where one is not."""
    from ...fit.fitted import faults, read_fitted

    status = 0
    for target in targets:
        fitted = read_fitted(target)
        found = faults(fitted)
        for fault in found:
            print(f"{target}: {fault}", file=sys.stderr)
        if found:
            status = 1
            print(f"remake with: {fitted.remake} --out {target}", file=sys.stderr)
        else:
            print(f"{target}: up to date")
    return status


def export_diffusers(args: argparse.Namespace) -> int:
    """Write the scheduler file of a calibrated file."""
    from ...emit.exports.diffusers_file import class_name
    from ...fit.exported import diffusers_text
    from ...fit.fitted import read_fitted
    from ...writing import write

    fitted = read_fitted(args.spec)
    path = args.out or Path(f"{fitted.name}_scheduler.py")
    changed = write(path, diffusers_text(fitted))
    print(f"{'wrote' if changed else 'up to date:'} {path} ({class_name(fitted.name)})")
    return 0


def _difference(first: Fitted, second: Fitted) -> str | None:
    if first.table.calls != second.table.calls:
        return f"{first.table.calls} and {second.table.calls} model calls"
    for what, one, other in (
        ("deviation", first.std, second.std),
        ("mean", first.mean, second.mean),
        ("range", first.sigmas, second.sigmas),
    ):
        if one != other:
            return f"the {what}"
    for i, (a, b) in enumerate(zip(first.table.levels, second.table.levels, strict=True)):
        if not math.isclose(a, b, rel_tol=1e-11):
            return f"the level of call {i + 1}, {a:g} and {b:g}"
    for i, (row, other_row) in enumerate(zip(first.table.shares, second.table.shares, strict=True)):
        for j, (a, b) in enumerate(zip(row, other_row, strict=True)):
            if not math.isclose(a, b, rel_tol=1e-11, abs_tol=1e-12):
                return f"share {j + 1} of row {i + 1}, {a:g} and {b:g}"
    return None


def _row(row: tuple[float, ...]) -> str:
    return "  ".join(f"{share:>8.4f}" for share in row)
