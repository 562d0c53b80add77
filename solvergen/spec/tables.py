"""The tables beside the step: source, schedule, first and last steps, claim."""

# Annotations are read at run time here, so they are not postponed.

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from sympy import Expr

from .declare import Key, Mistake, Raw, Table
from .kinds import Boolean, Bounds, Exact, Expression, Integer, List, Text
from .rule import Rule
from .scope import Vocabulary

FIRST = ("direction", "mean", "gaussian")
SCHEDULES = ("ve", "vp", "vp-linear", "cosine", "flow")


@dataclass(frozen=True)
class Source:
    """Where a method was published."""

    authors: Annotated[str, Key(Text(), "Authors, as cited.", '"Lu et al."')] = ""
    year: Annotated[int | None, Key(Integer(), "Year.", "2022")] = None
    title: Annotated[str, Key(Text(), "Title of the paper or code.", '"…"')] = ""
    arxiv: Annotated[str, Key(Text(), "arXiv number.", '"2211.01095"')] = ""
    doi: Annotated[str, Key(Text(), "DOI.", '"10.1137/040611434"')] = ""
    url: Annotated[str, Key(Text(), "Address, when there is no paper.", '"https://…"')] = ""
    where: Annotated[str, Key(Text(), "Section, equation, algorithm.", '"Algorithm 2"')] = ""

    def cite(self) -> str:
        """One line: authors, year, identifier, place.

        >>> Source("Lu et al.", 2022, arxiv="2211.01095", where="Algorithm 2").cite()
        'Lu et al. 2022, arXiv:2211.01095, Algorithm 2'
        """
        who = " ".join(str(part) for part in (self.authors, self.year) if part)
        link = f"arXiv:{self.arxiv}" if self.arxiv else f"doi:{self.doi}" if self.doi else self.url
        return ", ".join(part for part in (who, link or self.title, self.where) if part)


@dataclass(frozen=True)
class Schedule:
    """A noise schedule: one that has a name, or α(t) and σ(t)."""

    name: Annotated[str, Key(Text(SCHEDULES), "Which schedule.", '"vp-linear"')] = ""
    beta_min: Annotated[Fraction, Key(Exact(), "β at t = 0 (vp-linear).", '"1/10"')] = Fraction(
        1, 10
    )
    beta_max: Annotated[Fraction, Key(Exact(), "β at t = 1 (vp-linear).", "20")] = Fraction(20)
    alpha: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.TIME),
            "The factor α(t) on x0 of a schedule without a name, t from 0 at the data.",
            '"1 - t"',
        ),
    ] = None
    sigma: Annotated[
        Expr | None,
        Key(Expression(Vocabulary.TIME), "Its factor σ(t) on the noise.", '"t"'),
    ] = None
    until: Annotated[Fraction, Key(Exact(), "Its last time.", "1")] = Fraction(1)

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """A name beside expressions, or neither."""
        given = [key for key in ("alpha", "sigma") if key in raw]
        if "name" in raw and given:
            yield (given[0],), "give either `name`, or `alpha` and `sigma`"
        elif "name" not in raw and len(given) < 2:
            yield (), 'give `name`, or both `alpha` and `sigma`, for example: name = "vp-linear"'

    def fault(self) -> Mistake | None:
        """A range of β that is empty or reaches below 0."""
        if 0 <= self.beta_min < self.beta_max:
            return None
        return (), "beta_min must be at least 0 and less than beta_max"


@dataclass(frozen=True)
class Start:
    """The first steps: solvers by name or rules.

    `first` says what stands for the first model output, `shrink` is the exponent of a shorter first
    step.
    """

    using: Annotated[
        tuple[str | Rule, ...],
        Key(
            List(Text()),
            "Solvers for the first steps, by name, one per step.",
            '["rk4_clock"]',
        ),
        Table(
            Rule,
            "[[start.rule]]",
            "Rules for the first steps, written out, one table per step.",
        ),
    ] = ()
    shrink: Annotated[
        Fraction | None,
        Key(
            Exact(bounds=Bounds(above=1, at_most=8)),
            "Shorten the first step from h to h^shrink (where h < 1), which makes up for a "
            "start of low order.",
            '"3/2"',
        ),
    ] = None
    first: Annotated[
        str,
        Key(
            Text(FIRST),
            "The model output at the first point, without a call: direction takes the noise as "
            "x/sqrt(alpha^2 + sigma^2), mean takes the data's mean, gaussian the posterior mean of "
            "data of that mean and deviation; the sampler takes `mean` and `std`.",
            '"gaussian"',
        ),
    ] = ""


@dataclass(frozen=True)
class End:
    """The last steps: solvers by name or rules (the last one is the final step), and limits.

    `remainder` names the last steps of a solver whose steps span several intervals, one tuple for
    each number of intervals modulo its spans.
    """

    using: Annotated[
        tuple[str | Rule, ...],
        Key(
            List(Text()),
            "Solvers for the last steps, by name; the last is the final step.",
            '["ddim"]',
        ),
        Table(
            Rule,
            "[[end.rule]]",
            "Rules for the last steps, written out; the last is the final step.",
        ),
    ] = ()
    ramp: Annotated[
        bool,
        Key(Boolean(), "Use no more nodes than steps remain (lower order at the end).", "true"),
    ] = False
    zero: Annotated[
        str,
        Key(
            Text(("ddim", "rule")),
            "The step to sigma = 0: ddim returns the denoised prediction; rule applies the "
            "solver's own rule where its limit exists.",
            '"ddim"',
        ),
    ] = "ddim"
    corrector: Annotated[
        bool,
        Key(Boolean(), "Correct the final state too, for one more evaluation (PEC).", "true"),
    ] = False
    remainder: Annotated[
        tuple[tuple[str, ...], ...],
        Key(
            List(List(Text())),
            "Of a solver whose steps span several intervals: the solvers of its last steps, one "
            "list for each number of intervals modulo `spans`, from 0 up.",
            '[["ddim", "ddim"], ["ddim"]]',
        ),
    ] = ()

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """Steps given twice."""
        if raw.get("ramp") and (raw.get("using") or raw.get("rule")):
            yield ("ramp",), "give either `ramp` or the steps themselves, not both"


@dataclass(frozen=True)
class Claim:
    """What the author claims; `records` is "publication" when it is known to differ.

    Args:
        order: of a deterministic solver.
        mean, covariance, strong: orders of a stochastic one.
    """

    order: Annotated[int | None, Key(Integer(), "Claimed order of accuracy.", "2")] = None
    mean: Annotated[
        int | None, Key(Integer(), "Claimed weak order of the mean (stochastic solvers).", "2")
    ] = None
    covariance: Annotated[
        int | None, Key(Integer(), "Claimed weak order of the covariance.", "2")
    ] = None
    strong: Annotated[int | None, Key(Integer(), "Claimed strong order.", "1")] = None
    records: Annotated[
        str,
        Key(
            Text(("publication",)),
            "Set to publication when the claim is recorded from the paper and known to differ.",
            '"publication"',
        ),
    ] = ""
