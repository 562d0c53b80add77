"""Safe arithmetic: exact values in, everything else refused with its place."""

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Symbol

from solvergen.errors import ExpressionError
from solvergen.expr import parse, show
from solvergen.expr.arithmetic import fraction_of, functions_of_x, substitute, symbols
from solvergen.expr.binders import BOUND, Applied
from solvergen.expr.evaluation import evaluate
from solvergen.expr.functions import lift
from solvergen.expr.parse import QUADRATURE, function_of_x

H, R = Symbol("h"), Symbol("r")
NAMES = {"h": H, "r": R}
STEADY = settings(max_examples=150, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/3", Fraction(1, 3)),
        ("0.1", Fraction(1, 10)),
        ("1e-3 + .5", Fraction(501, 1000)),
        ("-2**2", Fraction(-4)),
        ("2**-3 * 8", Fraction(1)),
        ("(1 + 1/2)*(1 - 1/2)", Fraction(3, 4)),
        ("+7 - -7", Fraction(14)),
        ("1_000", Fraction(1000)),
        ("0x10", Fraction(16)),
        ("  3 ", Fraction(3)),
    ],
)
def test_numbers_are_exact(text, value):
    assert parse(text, {}) == lift(value)


HOSTILE = [
    "",
    " ",
    "h.__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "__import__('os').system('true')",
    "eval('1')",
    "h if h else r",
    "h and r",
    "h < r",
    "[h]",
    "{h}",
    "(h, r)",
    "h[0]",
    "lambda: h",
    "(h := 1)",
    "'text'",
    "b'1'",
    "f'{h}'",
    "True",
    "None",
    "...",
    "1j",
    "h; r",
    "h = 1",
    "import os",
    "h // r",
    "h % 2",
    "h @ r",
    "h << 2",
    "~1",
    "not h",
    "*h",
    "exp(h, r)",
    "exp()",
    "exp(z=h)",
    "exp(*[h])",
    "unknown",
    "unknown(h)",
    "9**9**9",
    "9**9**9**9",
    "2**33",
    "h**33",
    "h**(1/2)",
    "h**r",
    "0**-1",
    "1/0",
    "1/(h - h)",
    "(h - h)**-1",
    "1e999",
    "1e-999",
    "1e100",
    "inf",
    "nan",
    "9" * 1001,
    "((9" + "9" * 60 + ")**32)" + " * ((9" + "9" * 60 + ")**32)",
    "1" + "+1" * 1500,
    "(" * 41 + "1" + ")" * 41,
    "(" * 10_000,
    "(" * 10_000 + "1" + ")" * 10_000,
    "[" * 10_000 + "]" * 10_000,
    "-" * 1999 + "1",
    "((((2**32)**32)**32)**32)",
    "((((h**32)**32)**32)**32)",
    "((((h + 1)**32)**32)**32)",
    "(h + 1)**10**6",
    "exp(exp(exp(exp(9999))))",
    "exp(exp(99))*h",
    "1/exp(9999)",
    "\x00",
    "1\x002",
    "1 #",
    "h\n+r",
    "\ud800",
    "ℎ",  # NFKC of this is h: the parser says h
    "h" * 4001,
]


@pytest.mark.parametrize("digits", [61, 300, 1000])
def test_published_numbers_of_any_length_are_exact(digits):
    assert fraction_of(parse("0." + "3" * (digits - 2), {})) == Fraction(
        10 ** (digits - 2) // 3, 10 ** (digits - 2)
    )


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text)[:30] for text in HOSTILE])
def test_hostile_text_is_refused_or_harmless(text):
    try:
        found = parse(text, NAMES)
    except ExpressionError as error:
        assert error.message and 0 <= error.column <= max(1, len(text)) and error.width >= 1
    else:
        assert text in ("1 #", "ℎ") and symbols(found) <= {"h"}


def test_abbreviations_of_abbreviations_stay_small():
    names = dict(NAMES)
    with pytest.raises(ExpressionError, match="too large"):
        for level in range(40):
            names["h"] = parse("exp(h) + r*expm1(h)", names)
            assert level < 30
    names = dict(NAMES)
    with pytest.raises(ExpressionError, match="too large"):
        for _ in range(1500):
            names["h"] = parse("exp(h)", names)


def test_refusals_point_and_suggest():
    with pytest.raises(ExpressionError) as caught:
        parse("h*thetta", {"h": H, "theta": R})
    assert (caught.value.column, caught.value.width) == (2, 6)
    assert "did you mean `theta`?" in caught.value.message


def test_the_variable_of_an_integral_means_nothing_outside():
    area = parse("integral(x*r, h, 2*h)", NAMES, QUADRATURE)
    assert symbols(area) == {"h", "r"} and show(area) == "integral(r*x, h, 2*h)"
    moved = substitute(area, {"h": lift(3), "x": R})
    assert show(moved) == "integral(r*x, 3, 6)"
    for text in ("x + integral(x, 0, h)", "integral(h, x, 1)", "integral(h, 0, x)"):
        with pytest.raises(ExpressionError, match="unknown name `x`"):
            parse(text, NAMES, QUADRATURE)
    with pytest.raises(ExpressionError, match="unknown"):
        parse("integral(x, 0, h)", NAMES)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("integral(integral(x, 0, h), 0, h)", "inside an integral"),
        ("integral(x, h)", "does not take 2 arguments"),
        ("integral()", "does not take 0 arguments"),
        ("riemann(x, 0, h)", "does not take 3 arguments"),
        ("riemann(x, 0, h, r)", "whole count"),
        ("riemann(x, 0, h, 1/2)", "whole count"),
        ("riemann(x, 0, h, 0)", "from 1 to 1000"),
        ("riemann(x, 0, h, 10**9)", "from 1 to 1000"),
    ],
)
def test_integrals_that_are_refused(text, why):
    with pytest.raises(ExpressionError, match=why):
        parse(text, NAMES, QUADRATURE)


def test_an_integral_has_the_value_of_its_ring():
    rings = {
        "integral": lambda f, low, high: (high - low) * f((low + high) / 2),
        "riemann": lambda f, low, high, count: (
            (high - low) * (f(low) + f((low + high) / 2)) / count
        ),
    }
    at = {"h": Fraction(3), "r": Fraction(5)}
    area = parse("integral(x + r, h, 2*h)", NAMES, QUADRATURE)
    assert evaluate(area, at, rings, lambda number: number) == 3 * (Fraction(9, 2) + 5)
    left = parse("riemann(x + r, h, 2*h, 2)", NAMES, QUADRATURE)
    assert evaluate(left, at, rings, lambda number: number) == Fraction(3, 2) * (3 + 4.5 + 10)


def test_functions_of_x_keep_their_names_unless_they_depend_on_the_step():
    names = {**NAMES, "x": BOUND}
    f = function_of_x("f", parse("x**2 + 1", names))
    g = function_of_x("g", parse("f(x)*x", names, {"f": f}))
    scaled = function_of_x("scaled", parse("h*x", names))
    found = parse("g(h + 1) + scaled(r)", NAMES, {"g": g, "scaled": scaled})
    assert show(found) == "h*r + g(h + 1)" and symbols(found) == {"h", "r"}
    assert list(functions_of_x(found)) == ["f", "g"]
    assert value(found, {"h": Fraction(2), "r": Fraction(7)}) == 3 * 10 + 14
    moved = substitute(found, {"h": R})
    assert moved == Applied("g", R + 1, functions_of_x(found)["g"]) + R**2


def test_functions_of_functions_stay_small():
    functions = {}
    with pytest.raises(ExpressionError, match="too large"):
        for level in range(30):
            text = "h*x + x**2" if not level else f"f{level - 1}(f{level - 1}(x))"
            body = parse(text, {**NAMES, "x": BOUND}, functions)
            functions[f"f{level}"] = function_of_x(f"f{level}", body)


LEAVES = st.one_of(
    st.sampled_from(["h", "r"]), st.fractions(-5, 5, max_denominator=12).map(lambda v: f"({v})")
)
TEXTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.integers(0, 3)).map(lambda t: f"({t[0]})**{t[1]}"),
        inner.map(lambda t: f"-{t}"),
    ),
    max_leaves=8,
)


def value(expr, at):
    return evaluate(expr, at, {"phi": None}, lambda exact: exact)


@settings(STEADY, max_examples=40)
@given(TEXTS, st.fractions(-3, 3, max_denominator=7), st.fractions(-3, 3, max_denominator=7))
def test_normal_form_keeps_the_value(text, h, r):
    wanted = Fraction(_by_hand(text, {"h": h, "r": r}))
    found = parse(text, NAMES)
    assert value(found, {"h": h, "r": r}) == wanted
    assert value(parse(show(found), NAMES), {"h": h, "r": r}) == wanted  # what is shown reads back
    assert parse(show(found), NAMES) == found
    assert substitute(found, {"h": lift(h), "r": lift(r)}) == lift(wanted)


def _by_hand(text, values):
    """The value of a string by a stack machine over its own grammar: no Python evaluation."""
    tokens = text.replace("(", " ( ").replace(")", " ) ").replace("**", " ^ ")
    for sign in "+*":
        tokens = tokens.replace(sign, f" {sign} ")
    tokens = tokens.replace("-", " - ").replace("/", " / ").split()
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else ""

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def sums():
        total = products()
        while peek() in ("+", "-"):
            total = total + products() if take() == "+" else total - products()
        return total

    def products():
        total = signed()
        while peek() in ("*", "/"):
            total = total * signed() if take() == "*" else total / signed()
        return total

    def signed():
        if peek() == "-":
            take()
            return -signed()
        return powers()

    def powers():
        base = atom()
        if peek() == "^":
            take()
            return base ** int(atom())
        return base

    def atom():
        token = take()
        if token == "(":
            inner = sums()
            assert take() == ")"
            return inner
        return values[token] if token in values else Fraction(token)

    return sums()


def test_equal_expressions_are_equal_trees_and_texts():
    assert parse("h*(r + 1)", NAMES) == parse("(1 + r)*h", NAMES)
    assert parse("2*h/(2*r)", NAMES) == parse("h/r", NAMES)
    assert show(parse("-h + r", NAMES)) == show(parse("r - h", NAMES)) == "r - h"
    assert parse("h - h", NAMES) == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(h + 1)**10**6", "power too large"),
        ("((((h + 1)**32)**32)**32)", "power too large"),
        ("h*exp(exp(exp(exp(9999))))", "exp(9999) is out of the range of double precision"),
        ("exp(exp(99))*h", "out of the range"),
    ],
)
def test_what_sympy_would_not_end_at_is_refused_before_it(text, why):
    with pytest.raises(ExpressionError, match=re.escape(why)):
        parse(text, NAMES)
