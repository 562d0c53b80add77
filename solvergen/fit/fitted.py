"""A calibrated file, read back: its numbers and words, without running it."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .record import RecordError
from .table import Table

MARKS = ("made by solvergen", "SHARES = (", "KEPT_ORDER")
NUMBERS = ("NAME", "EVALUATIONS", "SIGMAS", "LEVELS", "SHARES", "KEPT_ORDER", "STD", "MEAN")


@dataclass(frozen=True)
class Fitted:
    """What a calibrated file states.

    Args:
        path, text: of the file.
        name, title: of the solver.
        table: levels in units of the deviation, and shares.
        std, mean: of the data; the mean a number or nested tuples of one sample's shape.
        sigmas: the ends of the range.
        sums: whether shares sum to 1 by construction.
        remake, fitted: lines of the header.
    """

    path: Path
    text: str
    name: str
    title: str
    table: Table
    std: float
    mean: Any
    sigmas: tuple[float, float]
    sums: bool
    remake: str
    fitted: str

    def record(self) -> dict[str, Any] | None:
        """What was measured, from the JSON file beside it; None where there is none.

        Raises:
            RecordError: it is not a record of a calibration.
        """
        beside = self.path.with_suffix(".json")
        if not beside.is_file():
            return None
        try:
            found = json.loads(beside.read_text(encoding="utf-8"))
            if found["format"] != "solvergen calibration 1":
                raise KeyError("format")
            return dict(found)
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise RecordError(f"{beside}: not a record of a calibration ({error})") from None


def is_fitted(target: str) -> bool:
    """Whether a target is a calibrated file: by its words, before anything of it is trusted."""
    path = Path(target)
    if path.suffix != ".py" or not path.is_file():
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return all(mark in text for mark in MARKS)


def read_fitted(target: str | Path) -> Fitted:
    """The numbers of a calibrated file; they are read as literals, never run.

    Raises:
        RecordError: a constant is missing, or is not a literal of its kind.
    """
    path = Path(target)
    text = path.read_text(encoding="utf-8")
    found: dict[str, Any] = {}
    try:
        tree = ast.parse(text)
        for node in tree.body:
            if isinstance(node, ast.Assign):
                for name in node.targets:
                    if isinstance(name, ast.Name) and name.id in NUMBERS:
                        found[name.id] = ast.literal_eval(node.value)
        table = Table(
            tuple(map(float, found["LEVELS"])),
            tuple(tuple(map(float, row)) for row in found["SHARES"]),
        )
        high, low = map(float, found["SIGMAS"])
        return Fitted(
            path=path,
            text=text,
            name=str(found["NAME"]),
            title=ast.get_docstring(tree) or str(found["NAME"]),
            table=table,
            std=float(found["STD"]),
            mean=found["MEAN"],
            sigmas=(high, low),
            sums=found["KEPT_ORDER"] == 1,
            remake=_header(text, "remake"),
            fitted=_header(text, "fitted"),
        )
    except KeyError as error:
        raise RecordError(f"{path}: not a calibrated file: it states no {error.args[0]}") from None
    except (SyntaxError, ValueError, TypeError) as error:
        raise RecordError(f"{path}: not a calibrated file ({error}); make it anew") from None


def faults(fitted: Fitted) -> list[str]:
    """What in a file is not as it was made: its text, or numbers that its record has otherwise."""
    from .file import file_text

    found = []
    made = file_text(
        fitted.name,
        fitted.title,
        fitted.table,
        fitted.mean,
        fitted.std,
        fitted.sigmas,
        remake=fitted.remake,
        fitted=fitted.fitted,
        sums=fitted.sums,
    )
    if made != fitted.text:
        lines = zip(made.splitlines(), fitted.text.splitlines(), strict=False)
        first = next((i for i, (a, b) in enumerate(lines, 1) if a != b), "last")
        found.append(f"line {first} is not what this version writes from its numbers")
    record = fitted.record()
    if record is not None:
        kept = next(stage for stage in record["stages"] if stage["name"] == record["kept"])
        for key, own in (("levels", fitted.table.levels), ("shares", fitted.table.shares)):
            if _floats(kept[key]) != _floats(own):
                found.append(f"its {key} are not those of {fitted.path.with_suffix('.json').name}")
    return found


def _floats(value: Any) -> Any:
    return [_floats(v) for v in value] if isinstance(value, list | tuple) else float(value)


def _header(text: str, key: str) -> str:
    found = re.search(rf"^# {key}\s+(.*)$", text, re.MULTILINE)
    return found.group(1) if found else ""
