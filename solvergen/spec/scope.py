"""Which names and functions an expression of a spec may use, and what they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from sympy import Expr, Symbol

from ..expr import time
from ..expr.binders import BOUND
from ..expr.parse import Functions, parse
from .names import run_names, scalar_functions, scalar_names, weight_functions, weight_names

# Names that people write and weights do not have, and what to do instead.
ELSEWHERE = {"N": "is not a name here; the number of steps of the run is `steps`"}
WITH_NOISE = {
    **ELSEWHERE,
    "i": "counts the steps in deterministic rules only; a strength that changes along the run is a window "
    "of [noise]",
}


class Vocabulary(Enum):
    """What the expressions of a key may be made of; the value completes "an expression in …"."""

    NUMBERS = 'such as "1/2"'
    PARAMETERS = 'such as "1/2" or "r"'
    LEVEL = 'in the parameters and h, such as "exp(h)"'
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
        stochastic: whether the spec has [noise], whose rules do not count steps.
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
            case Vocabulary.LEVEL:
                return {"h": Symbol("h"), **symbols}
            case Vocabulary.STEP:
                return {**scalar_names(), **symbols}
        grid = scalar_names() if self.stochastic else run_names()
        bound: dict[str, Expr] = {BOUND.name: BOUND} if vocabulary is Vocabulary.FUNCTION else {}
        return {**grid, **weight_names(symbols), **self.abbreviations, **bound}

    def known_functions(self, vocabulary: Vocabulary) -> Functions:
        """The functions besides exp, expm1 and sqrt."""
        match vocabulary:
            case Vocabulary.NUMBERS | Vocabulary.PARAMETERS | Vocabulary.LEVEL:
                return {}
            case Vocabulary.TIME:
                return time.FUNCTIONS
            case Vocabulary.STEP:
                return scalar_functions()
        return {**weight_functions(), **scalar_functions(), **self.functions}

    def explained(self, name: str) -> str:
        """Why a name, or the one that a call begins with, is unknown here; empty where unexplained."""
        name = next(iter(words(name)), "")
        known = WITH_NOISE if self.stochastic else ELSEWHERE
        return f"`{name}` {known[name]}" if name in known else ""

    def doubtful(self, text: str) -> bool:
        """Whether a piece of text uses a name whose own declaration is wrong."""
        return not self.unsure.isdisjoint(words(text))


def words(text: str) -> list[str]:
    """The names in a piece of text.

    >>> words("h*phi(1, c2) + 2")
    ['h', 'phi', 'c2']
    """
    return re.findall(r"[A-Za-z]\w*", text)
