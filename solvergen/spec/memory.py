"""What is remembered of a model evaluation: itself, or a combination with what was remembered before."""

# Annotations are read at run time here, so they are not postponed.

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from sympy import Expr

from .declare import Key, Mistake, Raw
from .kinds import Expression, KeyPath, List, Node, Text, Weights
from .rule import COORDINATES
from .scope import Vocabulary


@dataclass(frozen=True)
class Memory:
    """What takes the place of an evaluation at a grid point, in its step and in all later ones.

    Args:
        nodes: of the polynomial: ``n``, the evaluation itself, and ``n-1``, …, what is remembered.
        at: where it is read, as a fraction of the interval from n-1 to n.
        weights: or factors on the same, which sum to 1.
        coordinate: variable of the polynomial; ``None`` for the solver's.
        where: key path in the spec, for error messages.
    """

    nodes: Annotated[
        tuple[str, ...],
        Key(
            List(Node(), "two nodes that coincide have no interpolant"),
            'Of a polynomial: "n" is the evaluation as it comes, "n-1", "n-2", … are what is remembered '
            "of those before.",
            '["n", "n-1", "n-2"]',
        ),
    ] = ()
    at: Annotated[
        Expr | None,
        Key(
            Expression(Vocabulary.LEVEL),
            "Where that polynomial is read, as a fraction of the last interval: 0 is n-1 and 1 is n.",
            '"1/2"',
        ),
    ] = None
    weights: Annotated[
        tuple[tuple[str, Expr], ...],
        Key(
            Weights(Node()),
            "Or factors on the same evaluations, which sum to 1.",
            '{ n = "3/4", n-1 = "1/4" }',
        ),
    ] = ()
    coordinate: Annotated[
        str | None,
        Key(
            Text(COORDINATES),
            "Variable of the polynomial and of the step ratios in weights, when it differs from the "
            "solver's.",
            '"t"',
        ),
    ] = None
    where: tuple[str | int, ...] = field(default=("memory",), compare=False)

    @classmethod
    def mistakes(cls, raw: Raw, whole: Raw) -> Iterator[Mistake]:
        """A polynomial beside weights, half of one, or neither."""
        given = [key for key in ("nodes", "at") if key in raw]
        if "weights" in raw and given:
            yield (given[0],), "give either `weights`, or `nodes` and `at`"
        elif "weights" not in raw and len(given) < 2:
            yield (), 'give `nodes` and `at`, or `weights`: weights = { n = "3/4", n-1 = "1/4" }'

    @classmethod
    def written_out(cls, given: dict[str, Any], raw: Raw, path: KeyPath) -> dict[str, Any]:
        """With the place of the table in the spec."""
        return {**given, "where": path}
