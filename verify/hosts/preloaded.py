"""Imports that a server of processes pays once, before it forks one for each target.

Importing this module imports diffusers' scheduler classes, as they are and with exact arithmetic.
Only installed libraries that the judge knows by name belong here: a stranger's module is imported
in a process of its own, where there are limits.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings

from ..errors import ANYTHING
from .scheduler_classes import KNOWN, classes, exact_class, whole


def import_schedulers() -> None:
    """Import every scheduler class that is known; one that cannot be imported is left out."""
    with contextlib.suppress(*ANYTHING), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module("diffusers.schedulers")
        for name in classes():
            if name in KNOWN:
                with contextlib.suppress(*ANYTHING):
                    scheduler = whole(getattr(module, name))
                    exact_class(scheduler.__name__, scheduler.__module__)


import_schedulers()
