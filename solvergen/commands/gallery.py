"""The gallery command, and the filters that `list` shares with it."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OrderError
from .progress import shown

if TYPE_CHECKING:
    from ..loading import Loaded
    from ..program.model import Program

FAMILIES = ("one evaluation", "runge-kutta", "multistep", "predictor-corrector", "hybrid")
GRIDS = {"uniform": "uniform in λ", "smooth": "smooth", "arbitrary": "any"}
MODES = {"exact_start": "exact start", "own_start": "own start", "own_end": "own end"}


@dataclass(frozen=True)
class Entry:
    """A solver of the gallery with what is proved of it.

    Args:
        loaded: the solver, its program and its spec file.
        order: grid class → mode → (p, exact).
        leading: the leading local error on a uniform grid, as words and exact coefficients.
        weak: of a solver with noise, in place of both: grid class → quantity → rate.
    """

    loaded: Loaded
    order: dict[str, dict[str, tuple[int, bool]]]
    leading: tuple[tuple[str, str], ...]
    weak: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The solver's name."""
        return self.loaded.solver.name

    @property
    def true_order(self) -> int:
        """What a user gets on any grid, with the solver's own start and end.

        Of a solver with noise: the order of its covariance.
        """
        if self.weak:
            rate = self.rate("covariance")
            return int(rate[0]) if isinstance(rate, list) else 0
        return self.order["arbitrary"]["own_end"][0]

    def rate(self, quantity: str) -> Any:
        """A rate of a solver with noise on any grid: [p, exactly], "exact" or None."""
        row = self.weak["arbitrary"]
        return row.get(f"path_{quantity}") or row[quantity]

    @property
    def shown_order(self) -> str:
        """The order in a column: 2, or =/2/1 for mean, covariance and strong order."""
        if not self.weak:
            return str(self.true_order)
        rates = (self.rate(name) for name in ("mean", "covariance", "strong"))
        return "/".join("-" if r is None else "=" if r == "exact" else f"{r[0]:g}" for r in rates)

    @property
    def family(self) -> str:
        """Which of `FAMILIES` it belongs to."""
        return family(self.loaded.program)

    @property
    def falls_short(self) -> bool:
        """Whether a higher order was published than is reached."""
        claim = self.loaded.solver.claim
        if self.weak and self.rate("covariance") == "exact":
            return False
        claimed = claim.covariance if self.weak else claim.order
        return claimed is not None and claimed > self.true_order


def family(program: Program) -> str:
    """The family of a solver, read off its main step."""
    main = program.main
    names = {row.name for row in main.stages}
    if main.corrector is not None or any(name.startswith("n+1") for name in names):
        return "predictor-corrector"
    if main.stages:
        return "hybrid" if main.history else "runge-kutta"
    return "multistep" if main.history else "one evaluation"


def entry(target: str) -> Entry:
    """A solver with its proved order: from its emitted file where that is current, else analysed."""
    from ..loading import load

    loaded = load(target)
    facts = _stated(loaded.program) or _proved(loaded)
    if loaded.program.stochastic:
        return Entry(loaded, {}, (), facts["WEAK_ORDER"])
    order = {
        kind: {mode: _pair(found) for mode, found in modes.items()}
        for kind, modes in facts["ORDER"].items()
    }
    words = facts["LEADING_ERROR"].get("uniform", [])
    return Entry(loaded, order, tuple((word["word"], word["coef"]) for word in words))


def _proved(loaded: Loaded) -> dict[str, Any]:
    """The constants that an emitted file would state.

    Raises:
        OrderError: naming the spec whose order cannot be derived.
    """
    from .theory import analysed, noise_analysed

    try:
        if loaded.program.stochastic:
            return {"WEAK_ORDER": noise_analysed(loaded).json()}
        report = analysed(loaded).json(symbolic=False)
    except OrderError as error:
        raise OrderError(f"{loaded.path}: {error}") from None
    return {"ORDER": report["order"], "LEADING_ERROR": report["leading_error"]}


def _pair(found: Any) -> tuple[int, bool]:
    if isinstance(found, dict):
        return int(found["order"]), bool(found["exact"])
    return int(found[0]), bool(found[1])


def _stated(program: Program) -> dict[str, Any] | None:
    """ORDER and LEADING_ERROR of the emitted file, if it was made from this very program."""
    from .. import __path__ as roots
    from ..program.digest import digest

    for root in roots:
        path = Path(root) / "generated" / f"{program.name}.py"
        if path.is_file():
            found = constants(path)
            if "LOCAL_ORDER" in found:
                found["ORDER"] = found["LOCAL_ORDER"]
            stated = "WEAK_ORDER" if program.stochastic else "ORDER"
            found.setdefault("LEADING_ERROR", {})  # not stated of steps over several intervals
            if found.get("SPEC_SHA256") == digest(program) and stated in found:
                return found
    return None


def constants(path: Path) -> dict[str, Any]:
    """The literal constants of an emitted file, without importing it."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The filters on what is proved and derived, besides those on integrand and evaluations."""
    parser.add_argument("--family", choices=FAMILIES)
    parser.add_argument("--order", type=int, metavar="P", help="true order on any grid, own start")
    parser.add_argument(
        "--falls-short", action="store_true", help="published order higher than the true one"
    )


def chosen(targets: Iterable[str], args: argparse.Namespace) -> list[Entry]:
    """The entries that pass the filters; attributes that `args` lacks do not filter."""
    integrand, calls = getattr(args, "integrand", None), getattr(args, "evaluations", None)
    found = []
    for target in shown(list(targets), "reading"):
        one = entry(target)
        program = one.loaded.program
        if (
            args.family in (None, one.family)
            and args.order in (None, one.true_order)
            and integrand in (None, program.integrand)
            and calls in (None, program.evaluations_per_step)
            and (one.falls_short or not args.falls_short)
        ):
            found.append(one)
    return found


def add(commands: Any) -> None:
    """Register the command."""
    gallery = commands.add_parser("gallery", help="all solvers on one HTML page")
    gallery.add_argument("specs", nargs="*", metavar="SPEC", help="the whole gallery unless given")
    gallery.add_argument("--html", type=Path, required=True, metavar="FILE")
    gallery.add_argument(
        "--no-errors", action="store_true", help="do not run the samplers (needs no torch)"
    )
    gallery.add_argument("--integrand", choices=("data", "noise", "velocity"))
    gallery.add_argument("--evaluations", type=int, metavar="K", help="model calls per step")
    add_filters(gallery)
    gallery.set_defaults(handler=run_gallery)


def run_gallery(args: argparse.Namespace) -> int:
    """Write the page."""
    from .. import gallery
    from ..writing import write
    from .gallery_page import page

    entries = chosen(args.specs or gallery.names(), args)
    measured = {}
    if not args.no_errors:
        from .gallery_errors import measure

        measured = measure(entries)
    write(args.html, page(entries, measured))
    print(f"wrote {args.html}: {len(entries)} solvers")
    return 0
