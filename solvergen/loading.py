"""From what a user names (a gallery solver or a spec file) to a Solver and its Program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import gallery
from .errors import DeriveError, SpecError

if TYPE_CHECKING:
    from .program.model import Program
    from .spec.model import Solver


@dataclass(frozen=True)
class Loaded:
    """A solver with what was derived from it and the file it was read from."""

    solver: Solver
    program: Program
    path: Path

    @property
    def spec(self) -> str:
        """What to generate it from: a name of the gallery, or the name of its file."""
        return self.path.stem if self.path.parent == gallery.CATALOG else self.path.name


def find(target: str) -> Path:
    """The spec file that a target names: a path, or the name of a gallery solver.

    Raises:
        SpecError: neither exists.
    """
    path = Path(target)
    if path.suffix == ".toml" or "/" in target or path.is_file():
        if path.is_dir():
            raise SpecError("is a folder; name the spec files in it", target)
        if path.suffix == ".py" and path.is_file():
            raise SpecError(
                f"is a Python file, and this command takes specs; {gallery.TAKE_TABLES} take "
                "calibrated files too",
                target,
            )
        if not path.is_file():
            raise SpecError(
                "there is no such file; give a spec file or the name of a gallery solver "
                "(solvergen list)",
                target,
            )
        return path
    if gallery.is_name(target):
        return gallery.CATALOG / f"{target}.toml"
    raise SpecError(gallery.unknown(target, " and no such file"), target)


def load(target: str) -> Loaded:
    """Read and derive a target.

    Raises:
        SpecError: the spec is wrong, or its weights cannot exist; with line and column.
    """
    from .derive import derive
    from .spec.reader import read_solver

    path = find(target)
    solver = read_solver(path)
    try:
        return Loaded(solver, derive(solver, sibling(path)), path)
    except (DeriveError, RecursionError) as error:
        raise located(error, path) from None


def sibling(path: Path) -> Callable[[str], Solver]:
    """How a spec finds the solvers that it names: beside its own file, then in the gallery."""
    from .spec.reader import read_solver

    def lookup(name: str) -> Solver:
        if name.isidentifier() and len(name) <= 64:
            beside = path.parent / f"{name}.toml"
            if beside.is_file() and beside != path:
                return read_solver(beside)
        return gallery.load(name)

    return lookup


def located(error: DeriveError | RecursionError, path: Path) -> SpecError:
    """A derivation error with the place in the spec that caused it."""
    from .spec.text.locate import Locator

    if isinstance(error, RecursionError):
        return SpecError("expressions are nested too deeply to derive; simplify them", str(path))
    locator = Locator(path.read_text(encoding="utf-8"))
    line, column, width = locator.find(error.where)
    return SpecError(error.message, str(path), line, column, locator.line(line), width)
