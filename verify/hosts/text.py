"""A module from source text that is held in memory, for mutants."""

from __future__ import annotations

import importlib.abc
import importlib.util
import types

from ..errors import ANYTHING, MutantError


class TextLoader(importlib.abc.InspectLoader):
    """Loads one module from text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_source(self, fullname: str) -> str:
        """The text."""
        return self.text


def load_text(text: str, name: str) -> types.ModuleType:
    """A module made from source text; it is not registered in sys.modules.

    Raises:
        MutantError: the text raises while it is imported.
    """
    loader = TextLoader(text)
    spec = importlib.util.spec_from_loader(name, loader)
    if spec is None:
        raise MutantError(f"{name}: cannot be made a module")
    module = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
    except ANYTHING as error:
        raise MutantError(f"{name}: {type(error).__name__} on import: {error}") from error
    return module
