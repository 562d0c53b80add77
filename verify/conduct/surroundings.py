"""What a target changes around itself: functions of numpy, torch and math, torch's settings and seed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import is_, itemgetter
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..probe.trace import Denoiser, Run
from .checks import BREACH, SAID, Conduct, Finding

OWNERS: tuple[tuple[str, Any], ...] = (
    ("numpy", np),
    ("numpy.linalg", np.linalg),
    ("torch", torch),
    ("torch.Tensor", torch.Tensor),
    ("torch.linalg", torch.linalg),
    ("torch.nn.functional", torch.nn.functional),
    ("math", math),
)
# how torch says and takes each of its settings
SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "default device": (torch.get_default_device, torch.set_default_device),
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "precision of float32 products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
}
# the names of the checks, in the order of CHECKS
NAMES = ("modules", "settings", "seeds")


_Owner = tuple[str, Any, tuple[str, ...], Callable[[Any], tuple[Any, ...]]]


def _watched() -> list[_Owner]:
    """Public functions and classes of each owner; a module imported later adds to none of them."""
    made: list[_Owner] = []
    for title, owner in OWNERS:
        names = tuple(n for n, v in vars(owner).items() if n[0] != "_" and callable(v))
        made.append((title, owner, names, itemgetter(*names)))
    return made


WATCHED = _watched()
# beside the functions: what a module that is patched by its own package gets comes from there
FOLDERS = tuple(str(Path(m.__file__).parent) for m in (np, torch) if m.__file__)


class Surroundings:
    """What a target is found to change, in import and in runs; each change is undone at once.

    The judge computes with the same functions as its target, so that what a target leaves behind would
    reach its own verdict. In threads beside the main one nothing is watched: what they change, or the judge
    seeds in them, belongs to all.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}
        self.watching = current_thread() is main_thread()
        self._known = [take(vars(owner)) for _, owner, _, take in WATCHED]

    @contextmanager
    def kept(self, when: str, *, seeding: bool = False) -> Iterator[None]:
        """Put back what the block leaves changed, and note it.

        Args:
            when: what the block does: "its import", "a run".
            seeding: whether the judge itself seeds torch's generator in the block.
        """
        if not self.watching:
            yield
            return
        settings = {name: get() for name, (get, _) in SETTINGS.items()}
        seed = torch.initial_seed()
        try:
            yield
        finally:
            # first, so that settings are read by torch's own functions
            self._modules(when)
            self._settings(settings, when)
            if not seeding and torch.initial_seed() != seed:
                text = f"seeds torch's random generator, which all draws of the caller share, in {when}"
                self._note("seeds", "torch", text, when)

    def run(self, run: Run) -> Run:
        """A run with each of its calls kept."""

        def kept(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
            with self.kept("a run"):
                return run(denoiser, x, sigmas)

        return kept

    def real(self, made: Callable[[], Conduct]) -> Callable[[], Conduct]:
        """Real runs that the judge seeds, kept as a whole."""

        def kept() -> Conduct:
            with self.kept("its real runs", seeding=True):
                return made()

        return kept

    def copy(self) -> Surroundings:
        """Another one that has seen the same: for one of several targets of a file."""
        made = Surroundings()
        made._found |= self._found
        return made

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One for each owner and setting that was changed."""
        return tuple(self._found.values())

    def _modules(self, when: str) -> None:
        for i, (title, owner, names, take) in enumerate(WATCHED):
            space, before = vars(owner), self._known[i]
            try:
                if all(map(is_, before, take(space))):
                    continue
            except KeyError:  # one was deleted
                pass
            changed = []
            for name, one in zip(names, before, strict=True):
                other = space.get(name)
                if other is not one and not _own(other):
                    setattr(owner, name, one)
                    changed.append(name)
            self._known[i] = take(space)
            if changed:
                shown = ", ".join(f"{title}.{name}" for name in changed[:3])
                more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
                verb = "are other objects" if len(changed) > 1 else "is another object"
                text = f"changes {title.partition('.')[0]}: {shown}{more} {verb} after {when}"
                self._note("modules", title, text, when, BREACH)

    def _settings(self, before: dict[str, Any], when: str) -> None:
        for name, (get, put) in SETTINGS.items():
            after = get()
            if after == before[name]:
                continue
            put(before[name])
            text = f"leaves torch's {name} changed after {when}: {before[name]}, then {after}"
            self._note("settings", name, text, when)

    def _note(self, check: str, key: str, text: str, when: str, gravity: str = "") -> None:
        # a script may choose its settings where it is imported; nobody expects it of a call
        gravity = gravity or (SAID if when == "its import" else BREACH)
        example = "every caller in the process meets it"
        self._found.setdefault((check, key), Finding(check, text, example, gravity))


def _own(thing: Any) -> bool:
    """Whether a function was written in numpy's or torch's own folders: these patch themselves as they load."""
    code = getattr(thing, "__code__", None)
    if code is not None:
        return str(code.co_filename).startswith(FOLDERS)
    module = sys.modules.get(str(getattr(thing, "__module__", "")).partition(".")[0])
    return isinstance(thing, type) and module in (np, torch)
