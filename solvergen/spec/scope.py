"""Which names and functions an expression of a spec may use, and what they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from sympy import Expr, Symbol

from ..expr import time
from ..expr.binders import BOUND
from ..expr.parse import Functions, parse
from .names import level_names, scalar_functions, scalar_names, weight_functions, weight_names

_SWITCH = (
    "needs [noise]; what is proved of a deterministic rule holds at every level, so write the rules of "
    "the first and last steps in [start] and [end]"
)
_COUNTED = (
    "is not a quantity of one step, so no order could be proved; numbers that differ from step to step "
    'are a parameter with per = "step" and values = […]'
)
# Names that weights do not have in deterministic rules, and what to do instead.
ELSEWHERE = {
    **{name: _SWITCH for name in ("between", "min", "log")},
    **{name: _COUNTED for name in ("steps", "i", "N")},
}


class Vocabulary(Enum):
    """What the expressions of a key may be made of; the value completes "an expression in …"."""

    NUMBERS = 'such as "1/2"'
    PARAMETERS = 'such as "1/2" or "r"'
    STEP = "in the parameters, h, sigma, sigma_next (both σ/α) and steps"
    WEIGHTS = 'such as "h*phi1 - h*phi2/r"'
    TIME = 'in the time t and pi, such as "exp(-t)"'
    FUNCTION = 'in x and the names of weights, such as "x*exp(x)"'


@dataclass
class Scope:
    """The names that a spec declares, while it is read.

    Attributes:
        parameters: names of the parameters read so far.
        abbreviations: of [let], each with what it stands for.
        functions: of [let], each as what applies it.
        unsure: names whose own declaration is wrong; what uses them is not reported beside that.
        stochastic: whether the spec has [noise], whose weights may use the grid.
    """

    stochastic: bool = False
    parameters: list[str] = field(default_factory=list)
    abbreviations: dict[str, Expr] = field(default_factory=dict)
    functions: Functions = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)

    def parsed(self, text: str, vocabulary: Vocabulary) -> Expr:
        """An expression in the names of a vocabulary.

        Raises:
            ExpressionError: with the column in the text.
        """
        return parse(text, self.names(vocabulary), self.known_functions(vocabulary))

    def names(self, vocabulary: Vocabulary) -> dict[str, Expr]:
        """What each name stands for."""
        symbols: dict[str, Expr] = {n: Symbol(n) for n in (*self.unsure, *self.parameters)}
        match vocabulary:
            case Vocabulary.NUMBERS:
                return {}
            case Vocabulary.TIME:
                return dict(time.NAMES)
            case Vocabulary.PARAMETERS:
                return symbols
            case Vocabulary.STEP:
                return {**scalar_names(), **symbols}
        grid = scalar_names() if self.stochastic else level_names()
        bound: dict[str, Expr] = {BOUND.name: BOUND} if vocabulary is Vocabulary.FUNCTION else {}
        return {**grid, **weight_names(symbols), **self.abbreviations, **bound}

    def known_functions(self, vocabulary: Vocabulary) -> Functions:
        """The functions besides exp, expm1 and sqrt."""
        match vocabulary:
            case Vocabulary.NUMBERS | Vocabulary.PARAMETERS:
                return {}
            case Vocabulary.TIME:
                return time.FUNCTIONS
            case Vocabulary.STEP:
                return scalar_functions()
        grid = scalar_functions() if self.stochastic else {}
        return {**weight_functions(), **grid, **self.functions}

    def explained(self, name: str) -> str:
        """Why a name, or the one that a call begins with, is unknown here; empty where unexplained."""
        name = next(iter(words(name)), "")
        if self.stochastic or name not in ELSEWHERE:
            return ""
        return f"`{name}` {ELSEWHERE[name]}"

    def doubtful(self, text: str) -> bool:
        """Whether a piece of text uses a name whose own declaration is wrong."""
        return not self.unsure.isdisjoint(words(text))


def words(text: str) -> list[str]:
    """The names in a piece of text.

    >>> words("h*phi(1, c2) + 2")
    ['h', 'phi', 'c2']
    """
    return re.findall(r"[A-Za-z]\w*", text)
