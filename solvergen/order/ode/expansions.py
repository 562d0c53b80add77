"""What the parts of an analysis ask of it: cases to expand, and what was found so far."""

from __future__ import annotations

from typing import Any, Protocol

from ...program.model import Program
from ..expansion.local_error import Case
from ..verdict import LeadingError


class Expansions(Protocol):
    """A program with one choice of parameters, and its expansions on the classes of grids."""

    program: Program
    values: dict[str, Any]

    @property
    def predictor(self) -> int:
        """Exponent of the predictor's local error on an arbitrary grid."""
        ...

    def case(self, kind: str, seed: int = 1) -> Case:
        """The program on a grid of a class at a generic rational point."""
        ...

    def constants(self, kind: str) -> LeadingError:
        """The leading local error on a class of grids."""
        ...
