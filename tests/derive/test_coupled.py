"""States of stages and coupled second states, written out as methods on one state."""

from fractions import Fraction

import pytest
from sympy import Rational, Symbol, simplify

from solvergen.derive import derive
from solvergen.errors import DeriveError
from solvergen.gallery import load
from solvergen.order import analyse
from solvergen.order.ode.zero_stability import zero_stability
from solvergen.spec import parse_solver

TOP = 'name = "pair"\nintegrand = "noise"\ncoordinate = "clock"\n'
STAGE = (
    '[[stage]]\nname = "mid"\nat = 1\nrule = "weights"\ncarry = { y = 1 }\nweights = { n = 1 }\n'
)
STEP = '[step]\nrule = "weights"\ncarry = { x = "1/4", mid = "3/4" }\nweights = { mid = "1/4" }\n'
SECOND = (
    '[coupled]\nrule = "weights"\ncarry = { x = "3/4", mid = "1/4" }\nweights = { mid = "3/4" }\n'
)


def derived(text):
    return derive(parse_solver(text))


def test_edict_is_a_two_step_method_with_the_roots_of_its_mixing():
    main, p = derive(load("edict")).main, Symbol("p")
    (past,) = main.final.carry
    assert simplify(main.final.decay - 1 - p**2) == 0
    assert past.source == "x-1" and simplify(past.weight + p**2) == 0
    roots = zero_stability(derive(load("edict")), {"p": Fraction(1, 2)}).roots
    assert [complex(root) for root, _ in roots] == pytest.approx([1, 0.25], abs=1e-6)
    assert main.recalls == ("inter",)


def test_the_state_of_a_stage_is_what_the_stage_was_given():
    """Half of Euler's end state, and a step from there: one Euler step and a half of the output there."""
    stage = STAGE.replace("y = 1", "x = 1")
    step = (
        '[step]\nrule = "weights"\ncarry = { x = "1/2", mid = "1/2" }\nweights = { mid = "1/2" }\n'
    )
    rule = derived(TOP + stage + step).main.final
    assert not rule.carry and rule.decay == 1
    assert {t.source: t.weight for t in rule.terms} == dict.fromkeys(("n", "mid"), Rational(1, 2))
    assert analyse(derived(TOP + stage + step)).order.value == 2  # Heun's method


def test_a_stage_in_lambda_is_propagated_to_the_end():
    """ETD Euler to the middle and from there to the end, with the output at the middle: of order 1."""
    text = (
        'name = "halves"\nintegrand = "data"\n'
        '[[stage]]\nname = "mid"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "weights"\ncarry = { mid = 1 }\nweights = { mid = "h/2*phi(1, 1/2)" }\n'
    )
    rows = derived(text).main
    once = derived(text.replace("mid = 1 }", "x = 1 }"))
    assert rows.final.decay == 1 and [t.source for t in rows.final.terms] == ["mid", "n"]
    assert analyse(derived(text)).order.value == 1
    assert analyse(once).order.value == 0  # without what the stage had been given


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((SECOND, ""), "a second state needs [coupled]"),
        (
            ('mid = "3/4" }\nweights = { mid = "1/4"', 'x-1 = "3/4" }\nweights = { mid = "1/4"'),
            "by itself",
        ),
        (('name = "mid"', 'name = "y"'), "`y` is the coupled state"),
        ((STEP, '[step]\nrule = "interpolate"\nnodes = ["n"]\n'), "nothing couples"),
        (("[step]", "[end]\nramp = true\n[step]"), "one rule in [end]"),
        (("[step]", '[start]\nusing = ["ddim"]\n[step]'), "begins with y = x"),
        (("[step]\n", "[end]\nremainder = [[]]\n[step]\nspans = 2\n"), "steps of one interval"),
        (('weights = { mid = "3/4"', 'weights = { mid = "3/4*r1"'), "is another number"),
        (('coordinate = "clock"', 'coordinate = "rho"'), "needs lambda or the integrand's clock"),
        (
            ('carry = { x = "3/4"', 'coordinate = "lambda"\ncarry = { x = "3/4"'),
            "another coordinate",
        ),
    ],
)
def test_what_a_pair_has_no_place_for_is_refused(change, said):
    text = (TOP + STAGE + STEP + SECOND).replace(*change)
    with pytest.raises(DeriveError) as caught:
        derived(text)
    assert said in caught.value.message


@pytest.mark.parametrize("state", ["mid-1", "n", "n-1", "x-12"])
def test_states_that_are_not_kept_are_refused_by_name(state):
    with pytest.raises(Exception, match=f"`{state}`"):
        parse_solver(TOP + STAGE + STEP.replace("x =", f"{state} =") + SECOND)


def test_a_coupled_solver_serves_in_no_other():
    with pytest.raises(DeriveError, match="two states"):
        derived(f'{TOP}[step]\nrule = "interpolate"\nnodes = ["n"]\n[end]\nusing = ["edict"]\n')


def test_factors_that_cancel_are_worked_out():
    opening = derive(load("edict")).start[0]
    assert opening.final.decay == 1


@pytest.mark.parametrize("mid", [False, True])
def test_noise_allows_a_share_of_the_state_itself_but_not_of_a_stage(mid):
    noise = '[noise]\nform = "sde"\n'
    plain = 'name = "noisy"\nintegrand = "noise"\n[step]\nrule = "weights"\nweights = { n = "h" }\n'
    if not mid:
        carried = derived(plain + "carry = { x = 1 }\n" + noise)
        assert carried.main.final == derived(plain + noise).main.final
        return
    with pytest.raises(DeriveError, match="states of stages and"):
        derived(plain + "carry = { mid = 1 }\n" + STAGE.replace("y = 1", "x = 1") + noise)
