"""Stages at grid points, steps of several intervals, past states: what is derived and what refused."""

import pytest
from sympy import Symbol

from solvergen import gallery
from solvergen.derive import derive
from solvergen.errors import DeriveError, SpecError
from solvergen.program.same import same
from solvergen.spec import parse_solver
from solvergen.spec.model import Stage

HEAD = 'name = "made"\nintegrand = "noise"\n'
STAGE = '[[stage]]\nname = "u"\nat = "grid 1"\nrule = "interpolate"\nnodes = ["n"]\n'
STEP = '[step]\nspans = 2\nrule = "interpolate"\nnodes = ["n", "u"]\n'
REST = '[end]\nremainder = [[], ["ddim"]]\n'
AHEAD = (
    STAGE.replace("grid 1", "grid 2") + '[step]\nrule = "interpolate"\nnodes = ["n", "u"]\n[end]\n'
)
CLOCK = 'coordinate = "clock"\n'


def made(text):
    return derive(parse_solver(HEAD + text))


def test_a_block_has_its_grid_points_as_symbols():
    program = made(STAGE + STEP + REST)
    (stage,) = program.main.stages
    assert stage.place.coordinate == "grid" and stage.place.ahead == 1
    assert program.main.spans == 2 == program.main.ahead and program.main.uneven
    assert [[step.spans for step in rest] for rest in program.remainder] == [[], [1]]
    assert [step.spans for step in program.blocks(7)] == [2, 2, 2, 1]
    assert program.blocks(0) == ()


def test_the_point_at_the_end_of_a_step_is_its_end():
    program = made(STAGE.replace("grid 1", "grid 2") + STEP + REST)
    assert program.main.stages[0].place.is_end


def test_a_python_built_stage_names_a_grid_point():
    read = parse_solver(HEAD + STAGE + STEP + REST).stages[0]
    assert read == Stage("u", Symbol("gamma1"), read.rule, "grid")


def test_blocks_are_compared_at_every_remainder():
    short, long = "[[], ['ddim']]", "[['dpm_solver_2_grid_taylor', 'ddim', 'ddim'], ['ddim']]"
    texts = [STAGE + STEP + f"[end]\nremainder = {rest}\n" for rest in (short, long)]
    one, other = map(made, texts)
    assert same(one, derive(gallery.load("dpm_solver_2_grid_taylor"))) is None
    difference = same(one, other)
    assert difference and "evaluations" in difference.what


REFUSED = {
    "no remainder": (STAGE + STEP, r"\[end\] remainder needs 2 lists"),
    "too few lists": (STAGE + STEP + "[end]\nremainder = [[]]", "needs 2 lists.* found 1"),
    "wrong sum": (
        STAGE + STEP + '[end]\nremainder = [["ddim"], ["ddim"]]',
        "list 0 .* covers 1 intervals, which is not 0 modulo 2",
    ),
    "history": (
        STEP.replace('"u"', '"n-1"') + REST,
        "starts anew each time",
    ),
    "end using": (STAGE + STEP + '[end]\nusing = ["ddim"]', "starts anew each time"),
    "too far": (STAGE.replace("grid 1", "grid 3") + STEP + REST, "cannot look at the grid point 3"),
    "to zero": (
        CLOCK + STAGE + STEP + REST + 'zero = "rule"',
        "a last interval to sigma = 0 is a DDIM step of its own",
    ),
    "remainder of single steps": (
        '[step]\nrule = "interpolate"\nnodes = ["n"]\n[end]\nremainder = [[], ["ddim"]]',
        "remainder needs 1 lists",
    ),
    "looks ahead to the end": (AHEAD, r"looks 2 points ahead, so that the last 1 steps"),
    "looks ahead from the end": (
        AHEAD + 'using = ["heunpp2"]',
        "looks 2 points ahead",
    ),
    "looks ahead with history": (
        AHEAD.replace('["n", "u"]\n[end]', '["n", "n-1", "u"]\n[end]') + 'using = ["ddim"]',
        "starts every step anew",
    ),
    "states in lambda": (
        '[step]\nrule = "interpolate"\nnodes = ["n"]\nstates = ["x", "x-1"]',
        "works in the integrand's clock",
    ),
    "states with PEC": (
        CLOCK + '[step]\nrule = "interpolate"\nnodes = ["n"]\nstates = ["x", "x-1"]\n'
        '[corrector]\nrule = "adams-moulton"\nsteps = 2',
        'needs mode = "PECE"',
    ),
    "two free nodes": (
        CLOCK
        + STAGE.replace("grid 1", "1/2")
        + '[step]\nrule = "interpolate"\nnodes = ["n", "u"]\n'
        'states = ["x-1", "x-2"]',
        "at most one node may lie elsewhere",
    ),
    "carry that does not sum to one": (
        (
            '[step]\nrule = "weights"\nweights = { n = "h" }\ncarry = { x = "1/2", x-1 = "1/3" }\n'
            '[start]\nusing = ["ddim"]'
        ),
        "must sum to 1, .* their sum is 5/6",
    ),
    "carry from before the start": (
        '[step]\nrule = "weights"\nweights = { n = "h" }\ncarry = { x-1 = 1 }',
        "carry a state from before the start",
    ),
    "no state at the start": (
        CLOCK + '[step]\nrule = "interpolate"\nnodes = ["n"]\nstates = ["x-1"]',
        "none of the states or nodes",
    ),
}


@pytest.mark.parametrize("label", REFUSED)
def test_what_cannot_be_is_refused(label):
    text, reason = REFUSED[label]
    with pytest.raises(DeriveError, match=reason):
        made(text)


MISTAKES = {
    "spans": (
        STAGE + STEP.replace("spans = 2", "spans = 0") + REST,
        r"`spans` must be from 1 to 9, found 0",
    ),
    "place of a grid point": (
        STAGE.replace("rule", 'place = "lambda"\nrule', 1) + STEP + REST,
        "a grid point needs no variable",
    ),
    "state": (
        '[step]\nrule = "interpolate"\nnodes = ["n"]\nstates = ["n-1"]',
        '`n-1` is not an accepted state; write "x"',
    ),
    "state twice": (
        '[step]\nrule = "interpolate"\nnodes = ["n"]\nstates = ["x", "x"]',
        "`x` is listed twice; two states",
    ),
    "states of weights": (
        '[step]\nrule = "weights"\nweights = { n = "h" }\nstates = ["x"]',
        "rule weights takes no `states`",
    ),
    "remainder of numbers": (
        STAGE + STEP + "[end]\nremainder = [[1]]",
        "a list of lists of strings",
    ),
}


@pytest.mark.parametrize("label", MISTAKES)
def test_mistakes_are_named_where_they_are(label):
    text, reason = MISTAKES[label]
    with pytest.raises(SpecError, match=reason) as caught:
        parse_solver(HEAD + text)
    assert caught.value.line > 0
