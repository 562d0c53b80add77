"""The kinds of value that a key may have: how each is named, described to editors, and read."""

from .exact import EXACT_SCHEMA, Bounds, Exact, Expression, StagePlace
from .kind import KeyPath, Kind, Reading, shown
from .plain import Boolean, Integer, List, Name, Text
from .rows import Carried, Draw, Node, State, Weights

__all__ = [
    "EXACT_SCHEMA",
    "Boolean",
    "Bounds",
    "Carried",
    "Draw",
    "Exact",
    "Expression",
    "Integer",
    "KeyPath",
    "Kind",
    "List",
    "Name",
    "Node",
    "Reading",
    "StagePlace",
    "State",
    "Text",
    "Weights",
    "shown",
]
