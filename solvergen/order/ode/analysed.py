"""What the report and the questions about accumulated errors ask of an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ...algebra.scalar import Scalar
from ...program.model import Program
from ..expansion.local_error import Case
from ..verdict import LeadingError


class Analysed(Protocol):
    """One program with one choice of parameters, of which constants are derived when asked for."""

    program: Program
    stop: int  # heaviest words ever expanded

    @property
    def values(self) -> Mapping[str, Scalar]:
        """Value of every parameter."""
        ...

    @property
    def predictor(self) -> int:
        """Exponent of the predictor's local error on an arbitrary grid."""
        ...

    def case(self, kind: str, seed: int = 1) -> Case:
        """The program on a grid of a class at a generic rational point."""
        ...

    def constants(self, kind: str) -> LeadingError:
        """The leading local error on a class of grids with exact coefficients."""
        ...
