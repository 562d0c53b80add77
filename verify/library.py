"""Whole libraries as targets: every sampler of a module, a file or diffusers, with all its options."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from .errors import TargetError
from .hosts.scheduler_classes import KNOWN, classes
from .hosts.scheduler_options import GRID_ONLY, claimed, swept
from .request import Request
from .targets import module_named, own, samplers_in

EVERY = "*"


def expanded(request: Request, sweep: bool) -> list[Request]:
    """One request for each sampler and each set of options that a request stands for.

    Args:
        sweep: take every documented option of diffusers schedulers in turn.

    Raises:
        TargetError: nothing is found, or a module cannot be imported.
    """
    path, _, name = request.target.partition(":")
    if path == "diffusers":
        return _schedulers(request, name, sweep)
    if name == EVERY:
        return [dataclasses.replace(request, target=f"{path}:{n}") for n in _names(path)]
    folder = Path(request.target)
    if folder.is_dir():
        files = sorted(p for p in folder.glob("*.py") if not p.name.startswith("_"))
        if not files:
            raise TargetError(f"{folder}: no .py file in this folder")
        return [r for p in files for r in _file(dataclasses.replace(request, target=str(p)))]
    return _file(request)


def _file(request: Request) -> list[Request]:
    """A file with several samplers as one request each."""
    path = Path(request.target)
    if path.suffix != ".py" or not path.is_file():
        return [request]
    # an emitted file is one sampler; told from its text, so that nothing is imported for it
    text = path.read_text(encoding="utf-8", errors="replace")
    if "\ndef sample(" in text:
        return [request]
    names = samplers_in(path)
    return [dataclasses.replace(request, target=f"{path}:{n}") for n in names] or [request]


def _names(module_name: str) -> list[str]:
    """Functions named sample_... that a module defines."""
    path = Path(module_name)
    if path.suffix == ".py":
        return samplers_in(path)
    module = module_named(module_name)
    found = [
        n
        for n, thing in sorted(vars(module).items())
        if n.startswith("sample") and inspect.isfunction(thing) and own(module, thing)
    ]
    if not found:
        raise TargetError(f"{module_name}: no functions named sample_... in this module")
    return found


def _schedulers(request: Request, name: str, sweep: bool) -> list[Request]:
    names = [n for n in classes() if n in KNOWN] if name == EVERY else [name]
    out = []
    for each in names:
        sets: list[dict[str, Any]] = list(swept(each)) if sweep and each in classes() else [{}]
        for options in sets:
            made = dataclasses.replace(
                request,
                target=f"diffusers:{each}",
                options={**request.options, **options},
                swept=bool(options),
            )
            if name == EVERY and request.claim is None:
                made = dataclasses.replace(made, claim=claimed(each, made.options))
            if sweep and options and set(options) <= GRID_ONLY:
                made = dataclasses.replace(made, settings={**made.settings, "rule": False})
            out.append(made)
    return out
