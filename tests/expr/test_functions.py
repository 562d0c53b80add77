"""What a researcher does with a weight: substitute, differentiate, expand, evaluate, print."""

from fractions import Fraction

import mpmath
import pytest
import sympy
from sympy import Symbol, exp, latex, pretty

from solvergen.expr.arithmetic import divide, multiply, power, rebuild, substitute, symbols
from solvergen.expr.binders import Applied, integral, riemann
from solvergen.expr.evaluation import evaluate
from solvergen.expr.functions import between, expm1, lift, log, log1p, minimum, phi, sqrt
from solvergen.program.functions import ELEMENTARY, number

H, R, X = Symbol("h"), Symbol("r"), Symbol("x")


def close(found, wanted, digits=25):
    return abs(found - wanted) <= mpmath.mpf(10) ** -digits * max(1, abs(wanted))


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_phi_is_its_integral(k):
    t = Symbol("t", positive=True)
    inside = exp((1 - t) * H) * t ** (k - 1) / sympy.factorial(k - 1)
    whole = sympy.integrate(sympy.expand(inside), (t, 0, 1), conds="none")
    for at in (sympy.Rational(-7, 3), sympy.Rational(1, 9), sympy.Integer(4)):
        value = phi(k, H).subs(H, at)
        assert abs(value.n(40) - whole.subs(H, at).n(40)) < 10**-35
        assert abs(value.rewrite(exp).n(40, maxn=400) - value.n(40)) < 10**-35


def test_phi_has_its_limits_series_and_derivative():
    assert phi(0, H) == exp(H) and phi(3, 0) == sympy.Rational(1, 6)
    assert sympy.limit(phi(2, -H), H, 0) == sympy.Rational(1, 2)
    taylor = sum(((-2 * H) ** j / sympy.factorial(j + 2) for j in range(5)), sympy.S.Zero)
    assert (phi(2, -2 * H).series(H, 0, 5).removeO() - taylor).expand() == 0
    slope = phi(3, -2 * H).diff(H)
    assert (slope.series(H, 0, 3).removeO() - phi(3, -2 * H).series(H, 0, 4).removeO().diff(H)).expand() == 0  # fmt: skip
    about_one = phi(1, H).series(H, 1, 2).removeO()
    assert abs(about_one.subs(H, sympy.Rational(101, 100)).n() - phi(1, 1.01)) < 1e-3
    for wrong in (-1, sympy.Rational(1, 2), H):
        with pytest.raises(ValueError, match="whole index"):
            phi(wrong, H)


def test_a_weight_expands_in_h():
    weight = H * (phi(1, -H) + phi(2, -H) / R)
    found = weight.series(H, 0, 3).removeO().expand()
    assert sympy.simplify(found - (H - H**2 / 2 + H / (2 * R) - H**2 / (6 * R))) == 0
    assert weight.subs(R, 2).subs(H, 0) == 0


FUNCTIONS_OF_H = [
    expm1(2 * H),
    log1p(H / 3),
    sqrt(1 + 2 * H),
    log(H + 2),
    sqrt(-expm1(-2 * H)) * R,
    phi(2, -H * R) / expm1(H),
    log1p(exp(-2 * H)) / (sqrt(1 + H * H) + 3) + log(H) ** 2,
    riemann(X * H, 0, H, 4),
    Applied("f", H * R, X**2 + exp(X)),
    integral(X * H + X**2, 0, H),
]


@pytest.mark.parametrize("expr", FUNCTIONS_OF_H, ids=str)
def test_derivative_value_and_substitution_agree(expr):
    at, r = Fraction(7, 10), Fraction(5, 3)
    with mpmath.workdps(40):

        def value(of, h):
            return evaluate(of, {"h": h, "r": number(r)}, ELEMENTARY, number)

        h = number(at)
        slope = mpmath.diff(lambda h: value(expr, h), h)
        assert close(value(expr.diff(H).doit(), h), slope, 15)
        direct = expr.subs({H: lift(at), R: lift(r)})
        assert close(mpmath.mpf(str(direct.n(35))), value(expr, h))
        kept = substitute(expr, {"h": lift(at), "r": lift(r)})
        assert close(evaluate(kept, {}, ELEMENTARY, number), value(expr, h))
        known = expr.doit().subs({H: lift(at), R: lift(r)})
        assert close(mpmath.mpf(str(known.n(35))), value(expr, h))


def test_minima_and_windows():
    assert minimum(H, R).subs({H: 2, R: 3}).doit() == 2 and minimum(H, 1).doit() == sympy.Min(H, 1)
    inside = between(1, H, R)
    assert [inside.subs({H: h, R: 3}).doit() for h in (0, 1, 2, 3, 4)] == [0, 1, 1, 1, 0]


def test_bound_variables_mean_nothing_outside():
    for area in (integral(X * R, H, 2 * H), riemann(X * R, H, 2 * H, 5)):
        assert symbols(area) == {"h", "r"}
        assert area.subs(X, 3) == area == substitute(area, {"x": R})
        assert symbols(area.subs(R, 2)) == symbols(substitute(area, {"r": lift(2)})) == {"h"}
        assert area.func(*area.args) == area


def test_powers_and_quotients_keep_their_form():
    half = lift(Fraction(1, 2))
    assert multiply(half, H + R).is_Mul and multiply(lift(-1), H - R) == R - H
    assert rebuild(multiply(half, H + R), lambda s: s).is_Mul
    assert power(multiply(lift(2), H + R), 2) == 4 * (H + R) ** 2
    assert divide(H + 1, H) == 1 + 1 / H
    assert sqrt(2 * H) ** 4 == 4 * H**2 and sqrt(2 * H) ** 3 != 0
    for zero in (R - R, lift(0)):
        with pytest.raises(ZeroDivisionError):
            divide(H, zero)
    with pytest.raises(ZeroDivisionError):
        substitute(1 / (H - R), {"h": R})


@pytest.mark.parametrize("value", ["h", 0.5, True, None, 1j])
def test_only_exact_numbers_are_lifted(value):
    """sympy would execute a string, and take a float for exact."""
    with pytest.raises(TypeError, match="not an exact number"):
        lift(value)


def test_sympy_prints_weights():
    assert latex(phi(2, -H)) == r"\varphi_{2}\left(- h\right)"
    assert latex(sqrt(2 * H)) == r"\sqrt{2 h}" and "√" in pretty(sqrt(2 * H).doit())
    assert pretty(phi(1, H)) == "φ₁(h)"
    assert str(Applied("f", H, X**2)) == "f(h)"
