"""A user's map, found, loaded and called: module:function, a .py file, or an exported folder."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ANYTHING, ConductError, TargetError
from ..hosts.alone import load_file

FORMS = ("endpoint", "flow-map", "velocity", "generator")
FILE = "student.py"


@dataclass
class Target:
    """A map ready to be examined.

    Args:
        name: how the user named it.
        form: one of FORMS.
        call: the user's callable.
        network: the module inside whose first input is looked at, or None.
        levels: levels that it was trained on, descending, or ().
        problem: name of the problem that it states, or "".
        claims: what it claims.
        conditions: names of the extra inputs: "label", "scale".
        scales: range of guidance scales that it was trained for, or ().
        probe: inputs with the outputs that an exported file states, or None.
        steps: levels at which its own few-step sampler calls it, or ().
        top_only: it is a map from the highest level alone (rectified flow's other levels have laws of
            their own, progressive distillation forgets them).
        draws: how many states of noise a generator takes, side by side: g(z) with z (b, draws d).
    """

    name: str
    form: str
    call: Callable[..., Any]
    network: nn.Module | None = None
    levels: tuple[float, ...] = ()
    problem: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    scales: tuple[float, ...] = ()
    probe: dict[str, Any] | None = None
    steps: tuple[float, ...] = ()
    top_only: bool = False
    draws: int = 1
    dtype: torch.dtype = torch.float64

    def __call__(self, x: Tensor, *levels: float | Tensor, **extra: Tensor) -> Tensor:
        """The map on x (b, ...) at levels given as numbers or (b,); float64 in and out.

        Raises:
            ConductError: it raises, or returns another shape or no tensor.
        """
        shown = x.to(self.dtype)
        filled = [
            level.to(self.dtype)
            if torch.is_tensor(level)
            else torch.full((len(x),), float(level), dtype=self.dtype)
            for level in levels
        ]
        try:
            with torch.no_grad():
                out = self.call(shown, *filled, **extra)
        except ANYTHING as error:
            where = ", ".join(f"{float(level.max()):g}" for level in filled)
            raise ConductError(
                "raised", f"{self.name}: {type(error).__name__} at level {where}: {error}"
            ) from error
        if not torch.is_tensor(out):
            raise ConductError("type", f"{self.name}: returned {type(out).__name__}, not a tensor")
        if out.shape != (len(x), x.shape[1] // self.draws, *x.shape[2:]):
            raise ConductError(
                "shape",
                f"{self.name}: returned shape {tuple(out.shape)} for a state of shape "
                f"{tuple(x.shape)}; a map returns the shape of its state",
            )
        return out.double()

    def settle(self, x: Tensor, *levels: float) -> None:
        """Find the dtype that the map takes: float64, else float32.

        Raises:
            ConductError: it takes neither.
        """
        first: ConductError | None = None
        for dtype in (torch.float64, torch.float32):
            self.dtype = dtype
            try:
                self(x, *levels)
                return
            except ConductError as error:
                if error.kind != "raised":
                    raise
                first = first or error
        assert first is not None
        raise first


def find(text: str, form: str | None = None) -> Target:
    """The map that a command line names.

    Args:
        text: a folder written by `solvergen train`, a .py file like its student.py, or
            module:function.
        form: one of FORMS; a folder or file states its own.

    Raises:
        TargetError: nothing there, it cannot be loaded, or its form is unknown.
    """
    path = Path(text)
    if path.is_dir() or path.suffix == ".py":
        return _exported(text, path / FILE if path.is_dir() else path, form)
    if ":" not in text:
        raise TargetError(
            f"{text}: not a target; give a folder of an exported student, its {FILE}, or "
            "module:function"
        )
    thing = _named(text)
    if form is None:
        raise TargetError(f"{text}: say what it is with --form {'|'.join(FORMS)}")
    return wrapped(thing, form, name=text)


def wrapped(thing: Callable[..., Any], form: str, *, name: str = "map", **known: Any) -> Target:
    """A Python callable as a target.

    Raises:
        TargetError: not callable, or an unknown form.
    """
    if form not in FORMS:
        raise TargetError(f"--form {form}: unknown; one of {', '.join(FORMS)}")
    if not callable(thing):
        raise TargetError(f"{name}: {type(thing).__name__} cannot be called")
    if isinstance(thing, nn.Module):
        thing.train(False)
    network = getattr(thing, "network", None)
    if not known.get("network") and isinstance(network, nn.Module):
        known["network"] = network
    if "conditions" not in known:
        known["conditions"] = _conditions(thing)
    return Target(name, form, thing, **known)


def _conditions(thing: Callable[..., Any]) -> tuple[str, ...]:
    call = thing.forward if isinstance(thing, nn.Module) else thing
    try:
        names = inspect.signature(call).parameters
    except (TypeError, ValueError):
        return ()
    return tuple(name for name in ("label", "scale") if name in names)


def _named(text: str) -> Callable[..., Any]:
    module, _, attribute = text.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        thing: Any = importlib.import_module(module)
    except ANYTHING as error:
        raise TargetError(
            f"{module}: cannot be imported: {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        thing = getattr(thing, part, None)
    if thing is None:
        raise TargetError(f"{text}: {module} has no `{attribute}`")
    if not callable(thing):
        raise TargetError(f"{text}: {type(thing).__name__} cannot be called")
    return thing


def _exported(text: str, path: Path, form: str | None) -> Target:
    if not path.is_file():
        raise TargetError(f"{text}: there is no {FILE} in it; give a folder of an exported student")
    module = load_file(path)
    load = getattr(module, "load", None)
    if not callable(load):
        raise TargetError(f"{path}: no function load(); give a file that `solvergen train` wrote")
    try:
        made = load()
    except ANYTHING as error:
        raise TargetError(f"{path}: load() raised {type(error).__name__}: {error}") from error
    stated = {key.lower(): getattr(module, key) for key in STATED if hasattr(module, key)}
    return wrapped(
        made,
        form or str(stated.pop("form", "endpoint")),
        name=text,
        **{key: _plain(value) for key, value in stated.items() if key != "form"},
    )


STATED = (
    "FORM",
    "LEVELS",
    "PROBLEM",
    "CLAIMS",
    "CONDITIONS",
    "SCALES",
    "PROBE",
    "STEPS",
    "DRAWS",
    "TOP_ONLY",
)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
