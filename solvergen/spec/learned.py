"""Numbers of a solver: free constants, numbers that differ from step to step, levels, provenance."""

# Annotations are read at run time here, so they are not postponed.

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from sympy import Expr

from .declare import Key, Mistake, Raw
from .kinds import Bounds, Exact, Expression, Integer, List, Text
from .scope import Vocabulary

MAX_LENGTH = 64  # most steps that a table of numbers is kept for


@dataclass(frozen=True)
class Parameter:
    """A free constant: its default and its bounds (``None`` where unbounded).

    One that differs from step to step has `per` = "step", or "sample" or "element" where it may differ from
    sample to sample or from element to element too, and `values` where they are known.
    """

    name: str
    default: Annotated[Fraction, Key(Exact(), "Default value.", '"1/2"')]
    minimum: Annotated[Fraction | None, Key(Exact(), "Least value allowed.", "0")] = None
    maximum: Annotated[Fraction | None, Key(Exact(), "Greatest value allowed.", "1")] = None
    above: Annotated[Fraction | None, Key(Exact(), "Values must be greater than this.", "0")] = None
    below: Annotated[Fraction | None, Key(Exact(), "Values must be less than this.", "1")] = None
    doc: Annotated[
        str, Key(Text(), "What the parameter does.", '"place of the intermediate node"')
    ] = ""
    per: Annotated[
        str,
        Key(
            Text(("step", "sample", "element")),
            "step: one number for each step of the run; what is proved holds for all of them. sample: "
            "besides, samplers take a number for each sample of the batch, as a tensor or from a callable "
            "(i, x, denoised) that is asked after the first model call of step i. element: samplers take arrays "
            "of the shape of a sample, such as a number for each channel; weights are of degree one in them.",
            '"step"',
        ),
    ] = ""
    values: Annotated[
        tuple[Fraction, ...],
        Key(
            List(Exact()),
            "The numbers of a parameter with `per`, one a step of the run; the default at "
            "every step unless given.",
            '["0.31", "-0.07"]',
        ),
    ] = ()

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """Values of a parameter that has one."""
        if "values" in raw and "per" not in raw:
            yield ("values",), 'a list of values needs per = "step" beside it'

    def refusal(self, value: Fraction) -> str:
        """Why a value is out of bounds; empty when it is not."""
        for bad, sign, bound in (
            (self.minimum is not None and value < self.minimum, ">=", self.minimum),
            (self.maximum is not None and value > self.maximum, "<=", self.maximum),
            (self.above is not None and value <= self.above, ">", self.above),
            (self.below is not None and value >= self.below, "<", self.below),
        ):
            if bad:
                return f"`{self.name}` must be {sign} {bound}, found {value}"
        return ""

    def fault(self) -> Mistake | None:
        """A default beyond the parameter's own bounds."""
        if refusal := self.refusal(self.default):
            return ("default",), f"the default is outside its own bounds: {refusal}"
        for i, value in enumerate(self.values):
            if refusal := self.refusal(value):
                return ("values", i), f"the value of step {i} is out of bounds: {refusal}"
        return None


@dataclass(frozen=True)
class Grid:
    """The levels σ/α that a solver is made for, from the first to the last."""

    levels: Annotated[
        tuple[Fraction, ...],
        Key(
            List(Exact(bounds=Bounds(at_least=0))),
            "sigma/alpha at the points of the grid, falling; the last may be 0.",
            '["80", "5.2", "0.61", "0"]',
        ),
    ]

    @property
    def steps(self) -> int:
        """How many steps they make."""
        return len(self.levels) - 1

    def fault(self) -> Mistake | None:
        """Levels that do not fall, or are too few or too many."""
        if not 2 <= len(self.levels) <= MAX_LENGTH + 1:
            return ("levels",), f"2 to {MAX_LENGTH + 1} levels are needed, found {len(self.levels)}"
        for i, (high, low) in enumerate(zip(self.levels, self.levels[1:], strict=False), 1):
            if low >= high:
                shown = f"level {i} is {float(low):g}, the one before {float(high):g}"
                return ("levels", i), f"levels must fall at every step: {shown}"
        return None


@dataclass(frozen=True)
class Called:
    """At which level the model is called, and what of its answer is taken as it comes."""

    level: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.PARAMETERS),
            "Where the model is called at the grid's points, as a factor on sigma/alpha; 1 unless "
            "given. The state is passed as it is. Such a solver keeps no order.",
            '"1"',
        ),
    ] = None
    output: Annotated[
        str,
        Key(
            Text(("data", "noise")),
            "What is taken as it comes from a call at another level, of stages too: the denoised "
            "prediction, or the noise prediction of the level of the call.",
            '"noise"',
        ),
    ] = "data"


@dataclass(frozen=True)
class Fitted:
    """Where fitted numbers come from.

    Args:
        base: SHA-256 of the rule without its numbers and levels.
        problem, probe: what it was fitted on, and a digest of that model's outputs.
        teacher: what gave the ends.
        steps, starts, seed: of the run and of the fit.
        before, after, held_out: root mean square errors, as decimals.
    """

    base: Annotated[str, Key(Text(), "SHA-256 of the rule without its numbers.", '"5baf…"')]
    problem: Annotated[str, Key(Text(), "What it was fitted on.", '"mixtures"')]
    steps: Annotated[int, Key(Integer(1, MAX_LENGTH), "Steps of the run.", "5")]
    probe: Annotated[str, Key(Text(), "Digest of the model's outputs.", '"3f2a…"')] = ""
    teacher: Annotated[
        str, Key(Text(), "What gave the ends, and its own error.", '"exact ends"')
    ] = ""
    starts: Annotated[int | None, Key(Integer(), "Starts of the fit.", "256")] = None
    seed: Annotated[int | None, Key(Integer(), "Seed of the starts.", "0")] = None
    before: Annotated[
        Fraction | None, Key(Exact(), "Error on held-out starts before the fit.", '"0.127"')
    ] = None
    after: Annotated[
        Fraction | None, Key(Exact(), "Error on the starts of the fit.", '"0.0034"')
    ] = None
    held_out: Annotated[
        Fraction | None, Key(Exact(), "Error on held-out starts after it.", '"0.0038"')
    ] = None
