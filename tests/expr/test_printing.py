"""Printers are held to their meaning: what they print, read again, has the value of the expression."""

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Mul, Symbol

from solvergen.emit.formulas.notation import LATEX, SUPERSCRIPT, UNICODE
from solvergen.emit.python_text import assign, python
from solvergen.expr import parse, show
from solvergen.expr.arithmetic import add, multiply, power
from solvergen.expr.evaluation import evaluate
from solvergen.expr.functions import lift

A, B, C = (Symbol(name) for name in "abc")
AT = {"a": Fraction(7, 3), "b": Fraction(-5, 4), "c": Fraction(11, 2)}
NAMES = {"a": A, "b": B, "c": C}
STEADY = settings(max_examples=200, deadline=None, derandomize=True)

NUMBERS = st.fractions(-4, 4, max_denominator=6).map(lift)
EXPRESSIONS = st.recursive(
    st.one_of(st.sampled_from([A, B, C]), NUMBERS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: add(*parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: multiply(*parts)),
        st.tuples(inner, st.sampled_from([-2, -1, 2, 3])).map(
            lambda pair: power(*pair) if value(pair[0]) else pair[0]
        ),
        # what sympy itself makes of a number and a sum when it does not distribute
        st.tuples(NUMBERS, inner).map(
            lambda pair: Mul(*pair, evaluate=False) if pair[0] and pair[1].is_Add else pair[1]
        ),
    ),
    max_leaves=9,
)


def value(expr):
    try:
        return evaluate(expr, AT, {}, lambda exact: exact)
    except ZeroDivisionError:
        return None


def read(text):
    return value(parse(text, NAMES))


def from_unicode(text):
    """Factors side by side, raised digits."""
    raised = str.maketrans(dict(zip(SUPERSCRIPT.values(), SUPERSCRIPT, strict=True)))
    digits = "".join(chr(code) for code in SUPERSCRIPT.values())
    text = re.sub(f"([{digits}]+)", lambda m: "**" + m[1].translate(raised), text)
    return re.sub(r"(?<=[\w)]) (?=[\w(])", "*", text)


def from_latex(text):
    """Fractions, grouped products and exponents, the innermost braces first."""
    text = text.replace(r"\left(", "(").replace(r"\right)", ")").replace(r" \, ", "*")
    while r"\frac" in text or "^" in text:
        before = text
        text = re.sub(r"\^\{(-?\d+)\}", r"**\1", text)
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
        assert text != before, text
    return text


@STEADY
@given(EXPRESSIONS)
def test_every_notation_keeps_the_value(expr):
    wanted = value(expr)
    if wanted is None:
        return
    assert read(show(expr)) == wanted
    assert read(python(expr)) == wanted
    assert read("\n".join(assign("return", expr, 0))[len("return ") :].replace("\n", " ")) == wanted
    assert read(from_unicode(show(expr, UNICODE))) == wanted
    assert read(from_latex(show(expr, LATEX))) == wanted


def test_a_bracket_is_opened_on_the_line_of_a_plain_factor_alone():
    names = [Symbol(f"a_name_of_some_length_{i}") for i in range(6)]
    broken = add(*names)

    def opening(*factors):
        return assign("a", Mul(*factors, broken, evaluate=False), 0)[0]

    assert opening(lift(2)) == "a = 2 * ("
    assert opening(A) == "a = a * ("
    assert opening(power(A, 2)) == opening(power(A, -1)) == opening(A, B) == "a = ("


def test_a_negated_sum_keeps_its_parentheses():
    """With sympy's distribution off, −(a + b) once printed as −a + b."""
    expr = add(C, Mul(-1, A + B, evaluate=False))
    assert read(python(expr)) == AT["c"] - AT["a"] - AT["b"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2*(a + b)/c", "2*(a + b)/c"),
        ("(a + b)/2", "(a + b)/2"),
        ("-a + b", "b - a"),
        ("1/(2*a*b)", "1/(2*a*b)"),
        ("a**2/b**3 - 1", "a**2/(b**3) - 1"),
    ],
)
def test_plain_text(text, shown):
    assert show(parse(text, NAMES)) == shown
