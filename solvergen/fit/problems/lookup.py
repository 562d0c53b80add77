"""From what a user names to a problem: fashion, digits, a mixture of a family, or `module:name`."""

from __future__ import annotations

import importlib
import math
import os
import sys
from pathlib import Path
from typing import Any

from ...errors import hint
from ..problem import Problem, ProblemError, checked
from .adopted import adopted
from .families import COUNTS, family
from .mixture import planar
from .networks import fashion

KNOWN = ("fashion", "digits", "mixtures", *COUNTS)


def cache_folder() -> Path:
    """Where pairs and trained networks are kept: $XDG_CACHE_HOME/solvergen, ~/.cache unless set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "solvergen"


def problem(
    name: str, *, std: float | None = None, ends: tuple[float, float] | None = None
) -> Problem:
    """The problem that a user names.

    Args:
        name: `fashion` (also `fashion:label=3,guidance=2`, or all labels and several scales in turn,
            `fashion:label=all,guidance=1/2/3`), `digits`, `mixtures` (four Gaussians in
            the plane), `image` or `generic` (the
            first held-out mixture; `image/held-out/4` another), or `module:name`.
        std: deviation of the data, in place of what the problem says.
        ends: other ends of σ/α, for mixtures; networks keep those that they were trained for.

    Raises:
        ProblemError: there is none of that name, or it cannot be used.
    """
    head, _, options = name.partition(":")
    if options and head in ("digits", "mixtures"):
        raise ProblemError(f"problem {name}: {head} has no options; write {head}")
    if head == "fashion":
        found = fashion(**_options(name, options))
    elif head == "digits":
        from .digits import digits

        found = digits(cache_folder())
    elif name == "mixtures":
        found = planar().problem()
    elif name.split("/")[0] in COUNTS:
        found = _mixture(name, ends)
    elif ":" in name:
        found = adopted(imported_thing(name), name)
    else:
        raise ProblemError(
            f"no problem `{name}`{hint(name, KNOWN)}; or give "
            "module:name of an object with denoiser, shape, sigma_max and sigma_min"
        )
    if std is not None:
        if not 0 < std < math.inf:
            raise ProblemError(f"--std must be a number above 0; found {std:g}")
        found = found.with_moments(found.mean, std)
    return checked(found)


def _options(name: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, _, value = item.partition("=")
        try:
            found[key] = {"label": _label, "guidance": _scales}[key](value)
        except (KeyError, ValueError):
            raise ProblemError(
                f"problem {name}: `{item}` is not an option; write fashion:label=3,guidance=2 "
                "or fashion:label=all,guidance=1/2/3"
            ) from None
    return found


def _label(text: str) -> int | str:
    return text if text == "all" else int(text)


def _scales(text: str) -> float | tuple[float, ...]:
    found = tuple(float(part) for part in text.split("/"))
    return found[0] if len(found) == 1 else found


def _mixture(name: str, ends: tuple[float, float] | None) -> Problem:
    parts = name.split("/")
    kind, part, index, *more = [*parts, *("held-out", "0")[len(parts) - 1 :]]
    if not index.isdecimal() or int(index) > 999 or more:
        raise ProblemError(f"problem {name}: write {kind}/held-out/3")
    return family(kind, part, int(index) + 1)[-1].problem(*(ends or ()))


def imported_thing(name: str, what: str = "problem") -> Any:
    """What `module:name` is, imported from the current folder or from what is installed.

    Args:
        what: it is wanted for, for error messages.

    Raises:
        ProblemError: it is not written so, or is not there.
    """
    module, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    if not all(part.isidentifier() for part in [*module.split("."), attribute]):
        raise ProblemError(
            f"{what} {name}: write module:name, such as my_models:Mine for Mine of my_models.py"
        )
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ProblemError(
            f"{what} {name}: no module {error.name}; run from its folder or install it"
        ) from None
    except Exception as error:
        raise ProblemError(
            f"{what} {name}: {module} cannot be imported, {type(error).__name__}: {error}"
        ) from error
    if not hasattr(found, attribute):
        known = [n for n in vars(found) if not n.startswith("_")]
        raise ProblemError(
            f"{what} {name}: module {module} has no `{attribute}`{hint(attribute, known)}"
        )
    return getattr(found, attribute)
