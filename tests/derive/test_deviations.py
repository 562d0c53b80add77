"""Evaluations beside the polynomial: generalised Lawson methods against their published tables."""

from dataclasses import replace

import pytest
import torch

from solvergen.derive import derive
from solvergen.errors import DeriveError, SpecError
from solvergen.gallery import load
from solvergen.program.same import same
from solvergen.spec import parse_solver

HEAD = 'name = "made"\nintegrand = "data"\n'
HALF = '[[stage]]\nname = "k2"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
STEP = '[step]\nrule = "interpolate"\nnodes = ["n"]\ndeviations = { k2 = "h*phi2" }\n'

# modgenlawson42 of the EXPINT package: rows of (n, n-1, k2, k3, k4) for equal steps.
PUBLISHED = [
    ("phi(1, 1/2)/2 + phi(2, 1/2)/4", "-phi(2, 1/2)/4"),
    ("phi(1, 1/2)/2 + phi(2, 1/2)/4 - 3/4", "1/4 - phi(2, 1/2)/4", "1/2"),
    ("phi1 + phi2 - 3/2*phi(0, 1/2)", "phi(0, 1/2)/2 - phi2", "0", "phi(0, 1/2)"),
    (
        "phi1 - 2*phi3 - phi(0, 1/2)/2",
        "phi3 - phi2/2 + phi(0, 1/2)/12",
        "phi(0, 1/2)/3",
        "phi(0, 1/2)/3",
        "phi2/2 + phi3 - phi(0, 1/2)/4",
    ),
]


def written_out(rows):
    """A spec with explicit weights from the rows of a general linear method."""
    names = ("n", "n-1", "k2", "k3", "k4")
    text = HEAD
    for (name, at), row in zip(
        (("k2", "1/2"), ("k3", "1/2"), ("k4", "1"), (None, None)), rows, strict=True
    ):
        weights = ", ".join(f'"{n}" = "h*({w})"' for n, w in zip(names, row, strict=False))
        head = f'[[stage]]\nname = "{name}"\nat = "{at}"\n' if name else "[step]\n"
        text += f'{head}rule = "weights"\nweights = {{ {weights} }}\n'
    return parse_solver(text + '[start]\nusing = ["generalised_lawson_4_modified"]\n')


def test_the_two_step_table_is_the_published_one(sampler, mixture):
    """On equal steps in λ."""
    grid = torch.tensor([4 * 1.3**-i for i in range(8)], dtype=torch.float64)
    x = torch.linspace(-4, 4, 10, dtype=torch.float64).reshape(5, 2)
    made = sampler("generalised_lawson_42_modified").sample(mixture, x, grid)
    wanted = sampler(written_out(PUBLISHED)).sample(mixture, x, grid)
    assert (made - wanted).abs().max() < 1e-13


@pytest.mark.parametrize("kind", ["", "_modified"])
def test_with_one_evaluation_they_are_the_one_step_methods(kind):
    long = derive(load(f"generalised_lawson_45{kind}"))
    first = replace(long, main=long.start[0], start=())
    assert same(derive(load(f"generalised_lawson_4{kind}")), first) is None


def test_an_evaluation_on_the_polynomial_changes_nothing():
    """A stage that the polynomial passes through deviates by nothing."""
    through = HALF + STEP.replace('["n"]', '["n", "k2"]')
    plain = HALF + '[step]\nrule = "interpolate"\nnodes = ["n", "k2"]\n'
    assert same(*(derive(parse_solver(HEAD + text)) for text in (through, plain))) is None


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (STEP, DeriveError, "`k2` is not evaluated before this row"),
        (HALF + STEP.replace("k2", '"n+1"'), DeriveError, "only; a predictor cannot use"),
        (
            HALF + STEP.replace('nodes = ["n"]', 'nodes = ["n"]\nstates = ["x", "x-1"]'),
            SpecError,
            "states",
        ),
        (HALF + STEP.replace('"interpolate"', '"mean-value"'), SpecError, "takes no `deviations`"),
    ],
)
def test_what_cannot_deviate_is_refused(text, error, message):
    with pytest.raises(error, match=message):
        derive(parse_solver(HEAD + text))
