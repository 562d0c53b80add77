"""A library of two installations judged by one judge: `solvergen diff OLD NEW --target ...`.

Each side is a folder with installed packages, or a virtual environment that has one. It is put before
everything else on the path of a process of its own, so that the library comes from there and the
judge from here; the two reports are compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import baseline
from .errors import TargetError

TAIL = 400


def packages_of(place: Path) -> Path:
    """The folder of installed packages that a user named: itself, or that of a virtual environment.

    Raises:
        TargetError: a virtual environment without such a folder.
    """
    if not (place / "pyvenv.cfg").is_file():
        return place
    found = sorted(place.glob("lib/python*/site-packages")) + [place / "Lib" / "site-packages"]
    folder = next((f for f in found if f.is_dir()), None)
    if folder is None:
        raise TargetError(f"{place}: a virtual environment without a site-packages folder")
    return folder


def judged_from(
    place: Path, targets: Sequence[str], arguments: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Rows of an audit of targets whose packages come from a folder.

    Args:
        place: folder of installed packages, or a virtual environment.
        targets: as for `solvergen audit`.
        arguments: more of its command line, such as --sweep.

    Raises:
        TargetError: the audit gives no report.
    """
    folder = packages_of(place).resolve()
    path = os.pathsep.join(p for p in (str(folder), os.environ.get("PYTHONPATH", "")) if p)
    package = __package__ or "verify"
    command = [sys.executable, "-m", package, "audit", *targets, *arguments, "--json"]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        with report.open("w", encoding="utf-8") as file:
            made = subprocess.run(
                command,
                stdout=file,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                text=True,
                check=False,
            )
        if not report.stat().st_size:
            raise TargetError(f"{place}: no report: {made.stderr.strip()[-TAIL:]}")
        return baseline.read(report)
