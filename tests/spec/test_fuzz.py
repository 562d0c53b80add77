"""Whatever a file holds, reading it ends in a solver or in a SpecError."""

import ast
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvergen import gallery
from solvergen.derive import derive
from solvergen.emit.torch_file import torch_file
from solvergen.errors import DeriveError, SpecError
from solvergen.spec import parse_solver

STEADY = settings(max_examples=200, deadline=None, derandomize=True)
SPECS = {
    name: (gallery.CATALOG / f"{name}.toml").read_text(encoding="utf-8")
    for name in gallery.names()
    if len((gallery.CATALOG / f"{name}.toml").read_bytes()) < 2000
}
WORDS = sorted({word for text in SPECS.values() for word in text.replace('"', " ").split()})
HOSTILE = [
    "h.__class__", "__import__('os')", "9**9**9", "(" * 50, "1e999", "0x" + "f" * 400, "\\u0000",
    "lambda: 1", "1/0", "n-99", "n+1", "[[stage]]", "sweeps = 9", "[tableau]", "true", "-1", "1.5",
    "h*phi13", "phi(99, 1)", "r1", "\x00", "\ud7ff", "'" * 3, '"' * 3, "[", "{", "=", "a.b.c = 1",
]  # fmt: skip


def ends_well(text):
    """Read, derive and emit; the solver's name when all went well, else ``None``."""
    try:
        solver = parse_solver(text)
        made = torch_file(solver, derive(solver))
    except (SpecError, DeriveError) as error:
        assert str(error) and error.message
        return None
    compile(made, solver.name, "exec")  # what is emitted is Python; it is not run
    return solver.name


@STEADY
@given(st.text(max_size=400))
def test_random_text(text):
    ends_well(text)


@STEADY
@given(st.binary(max_size=400))
def test_random_bytes(data):
    ends_well(data)


@STEADY
@given(st.lists(st.sampled_from([*WORDS, *HOSTILE, "\n", "=", '"', "[", "]"]), max_size=60))
def test_random_words_of_the_language(words):
    ends_well(" ".join(words))


@st.composite
def mutated(draw):
    """A gallery spec with a few pieces replaced, doubled, removed or moved."""
    text = SPECS[draw(st.sampled_from(sorted(SPECS)))]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        size = draw(st.integers(0, 12))
        piece = draw(
            st.one_of(
                st.sampled_from(HOSTILE),
                st.sampled_from(WORDS),
                st.text(string.printable, max_size=6),
                st.just(text[at : at + size] * 2),
            )
        )
        text = text[:at] + piece + text[at + draw(st.sampled_from([0, size])) :]
    return text


@settings(STEADY, max_examples=250)
@given(mutated())
def test_mutated_specs(text):
    ends_well(text)


def values_replaced(share):
    """Every value of every gallery spec replaced by every hostile text, a seeded share of them."""
    chosen = random.Random(20260)
    for name in sorted(SPECS):
        lines = SPECS[name].splitlines()
        for number, line in enumerate(lines):
            key, equals, _ = line.partition("=")
            if equals and chosen.random() < share:
                hostile = chosen.choice(HOSTILE).replace("\\", "\\\\").replace('"', '\\"')
                yield (
                    name,
                    "\n".join([*lines[:number], f'{key}= "{hostile}"', *lines[number + 1 :]]),
                )


@pytest.mark.parametrize("share", [0.03, pytest.param(0.1, marks=pytest.mark.nightly)])
def test_hostile_values(share):
    outcomes = [ends_well(text) for _, text in values_replaced(share)]
    assert len(outcomes) > 50 and None in outcomes


@pytest.mark.parametrize("name", sorted(SPECS)[::12])
def test_truncated_specs(name):
    text = SPECS[name]
    for end in range(0, len(text), 9):
        ends_well(text[:end])
    assert ends_well(text) == name


def test_comments_of_an_emitted_file_hold_no_code():
    """Texts of a spec reach comments and a docstring: neither can be left."""
    evil = '\\nimport os\\n\\"\\"\\"\\nraise SystemExit\\n#\\r\\u2028 x = 1 \\\\'
    text = f'name = "x"\ntitle = "{evil}"\ndescription = "{evil}"\nintegrand = "data"\n'
    text += f'[source]\nauthors = "{evil}"\nwhere = "{evil}"\nurl = "{evil}"\n'
    text += f'[parameters.q]\ndefault = 1\ndoc = "{evil}"\n'
    text += '[[stage]]\nname = "a"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
    solver = parse_solver(text + '[step]\nrule = "interpolate"\nnodes = ["n", "a"]\n')
    plain = parse_solver(
        'name = "x"\nintegrand = "data"\n[parameters.q]\ndefault = 1\n'
        '[[stage]]\nname = "a"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["n", "a"]\n'
    )
    found, wanted = (torch_file(s, derive(s)) for s in (solver, plain))
    first, second = (ast.parse(text).body for text in (found, wanted))
    assert isinstance(first[0], ast.Expr) and isinstance(first[0].value.value, str)
    assert [ast.unparse(node) for node in first[1:]] == [ast.unparse(node) for node in second[1:]]
