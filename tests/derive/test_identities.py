"""Derived weights against the literature and against sympy's own integration."""

from fractions import Fraction

import pytest
import sympy

from solvergen.derive import derive
from solvergen.derive.weights.lagrange import lagrange
from solvergen.expr.arithmetic import fraction_of
from solvergen.expr.evaluation import evaluate
from solvergen.expr.functions import lift
from solvergen.gallery import load
from solvergen.program.row import KAPPA
from solvergen.spec import parse_solver

H, XI = sympy.Symbol("h", positive=True), sympy.Symbol("xi", positive=True)
THETA = {f"theta{k}": sympy.Symbol(f"theta{k}", positive=True) for k in range(1, 5)}
CLOCK = {f"Theta{k}": sympy.Symbol(f"Theta{k}", positive=True) for k in range(1, 5)}


def solver(step, integrand="data", coordinate="lambda", more=""):
    return parse_solver(
        f'name = "s"\nintegrand = "{integrand}"\ncoordinate = "{coordinate}"\n{more}\n[step]\n{step}'
    )


def phi(k, z):
    """φ_k by its recursion."""
    value = sympy.exp(z)
    for j in range(k):
        value = (value - sympy.Rational(1, sympy.factorial(j))) / z
    return value


def in_sympy(weight, **more):
    functions = {"phi": phi, "exp": sympy.exp, "expm1": lambda z: sympy.exp(z) - 1}
    functions |= {"log1p": lambda z: sympy.log(1 + z), "sqrt": sympy.sqrt}
    number = lambda exact: sympy.Rational(exact.numerator, exact.denominator)
    return evaluate(weight, {"h": H, **THETA, **CLOCK, **more}, functions, number)


def weights(row):
    return {term.source: in_sympy(term.weight) for term in row.terms}


def basis(nodes, j):
    return sympy.prod([(XI - o) / (nodes[j] - o) for k, o in enumerate(nodes) if k != j])


def integral(nodes, j, kappa):
    """h ∫₀¹ e^{−κh(1−ξ)} ℓ_j(ξ) dξ, one power of ξ at a time."""
    top = sympy.prod([XI - o for k, o in enumerate(nodes) if k != j])
    bottom = sympy.prod([nodes[j] - o for k, o in enumerate(nodes) if k != j])
    kernel = sympy.exp(-kappa * H * (1 - XI))
    powers = sympy.Poly(sympy.expand(top), XI).as_dict().items()
    total = sum(c * sympy.integrate(XI**m * kernel, (XI, 0, 1)) for (m,), c in powers)
    return H * total / bottom


def places(steps, symbols, prefix):
    return [sympy.Integer(0), *(-symbols[f"{prefix}{k}"] for k in range(1, steps))]


@pytest.mark.parametrize("integrand", ["data", "noise"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_adams_bashforth_in_lambda_is_the_integral(steps, integrand):
    """A_j = h ∫₀¹ e^{κhξ} ℓ_j(ξ) dξ, scaled to the end of the step by e^{−κh}."""
    kappa = KAPPA[integrand]
    found = weights(
        derive(solver(f'rule = "adams-bashforth"\nsteps = {steps}', integrand)).main.final
    )
    nodes = places(steps, THETA, "theta")
    for j, source in enumerate(["n", "n-1", "n-2"][:steps]):
        assert sympy.simplify(found[source] - integral(nodes, j, kappa)) == 0


@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_adams_moulton_corrector_is_the_integral(integrand):
    step = 'rule = "interpolate"\nnodes = ["n"]\n[corrector]\nrule = "adams-moulton"\nsteps = 3'
    row = derive(solver(step, integrand)).main.corrector
    kappa, nodes = KAPPA[integrand], [sympy.Integer(1), sympy.Integer(0), -THETA["theta1"]]
    for j, source in enumerate(["n+1", "n", "n-1"]):
        assert sympy.simplify(weights(row)[source] - integral(nodes, j, kappa)) == 0


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_adams_bashforth_in_the_clock_is_the_integral(steps):
    made = solver(f'rule = "adams-bashforth"\nsteps = {steps}', "noise", "clock")
    found, nodes = weights(derive(made).main.final), places(steps, CLOCK, "Theta")
    for j, source in enumerate(["n", "n-1", "n-2", "n-3"][:steps]):
        exact = sympy.integrate(sympy.expand(basis(nodes, j)), (XI, 0, 1))
        assert sympy.simplify(found[source] - exact) == 0


BASHFORTH = {
    1: "1",
    2: "3/2 -1/2",
    3: "23/12 -16/12 5/12",
    4: "55/24 -59/24 37/24 -9/24",
    5: "1901/720 -2774/720 2616/720 -1274/720 251/720",
    6: "4277/1440 -7923/1440 9982/1440 -7298/1440 2877/1440 -475/1440",
}
MOULTON = {
    1: "1",
    2: "1/2 1/2",
    3: "5/12 8/12 -1/12",
    4: "9/24 19/24 -5/24 1/24",
    5: "251/720 646/720 -264/720 106/720 -19/720",
    6: "475/1440 1427/1440 -798/1440 482/1440 -173/1440 27/1440",
}


def numbers(row):
    assert all(term.weight.is_Rational for term in row.terms)
    return [fraction_of(term.weight) for term in row.terms]


@pytest.mark.parametrize("coordinate", ["clock", "s"])
@pytest.mark.parametrize("steps", BASHFORTH)
def test_frozen_rules_have_the_textbook_numbers(steps, coordinate):
    step = f'rule = "adams-bashforth"\nsteps = {steps}\nfrozen = true\n'
    step += f'[corrector]\nrule = "adams-moulton"\nsteps = {steps}\nfrozen = true'
    main = derive(solver(step, "noise", coordinate)).main
    assert numbers(main.final) == [Fraction(v) for v in BASHFORTH[steps].split()]
    assert numbers(main.corrector) == [Fraction(v) for v in MOULTON[steps].split()]


@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_frozen_in_lambda_keeps_exact_exponentials(integrand):
    """φ stays, ratios become 1: what variable steps give on a uniform grid."""
    kinds = ("", "\nfrozen = true")
    free, frozen = (
        derive(solver(f'rule = "adams-bashforth"\nsteps = 3{kind}', integrand)).main.final
        for kind in kinds
    )
    uniform = {"theta1": sympy.Integer(1), "theta2": sympy.Integer(2)}
    for a, b in zip(free.terms, frozen.terms, strict=True):
        assert sympy.simplify(in_sympy(a.weight, **uniform) - in_sympy(b.weight)) == 0


def test_taylor_with_all_its_factors_is_the_interpolant():
    nodes = 'nodes = ["n", "n-1", "n-2"]'
    taylor = derive(solver(f'rule = "taylor"\n{nodes}\ndegree = 2')).main
    assert taylor == derive(solver(f'rule = "interpolate"\n{nodes}')).main


def test_published_third_order_weights():
    """D2 with half of its weight: the terms as DPM-Solver's code combines them."""
    found = weights(derive(load("dpmpp_3m_as_published")).main.final)
    r0, r1 = THETA["theta1"], THETA["theta2"] - THETA["theta1"]
    d = sympy.symbols("d0 d1 d2")
    first, second = (d[0] - d[1]) / r0, (d[1] - d[2]) / r1
    slope = first + r0 / (r0 + r1) * (first - second)
    curve = (first - second) / (r0 + r1)
    e = sympy.exp(-H)
    wanted = (
        (1 - e) * d[0]
        + ((e - 1) / H + 1) * slope
        - ((e - 1 + H) / H**2 - sympy.Rational(1, 2)) * curve
    )
    assembled = sum(found[source] * d[k] for k, source in enumerate(["n", "n-1", "n-2"]))
    assert sympy.simplify(sympy.expand(assembled - wanted)) == 0


def test_mean_value_reads_the_interpolant_at_theta():
    found = weights(derive(load("dpmpp_2m")).main.final)
    total = 1 - sympy.exp(-H)
    half = sympy.Rational(1, 2) / THETA["theta1"]
    assert sympy.simplify(found["n"] - total * (1 + half)) == 0
    assert sympy.simplify(found["n-1"] + total * half) == 0


def test_dpm_solver_2_as_its_algorithm_has_it():
    """Eq. 4.1: −σ (e^h − 1) ε − σ/(2r) (e^h − 1)(ε_mid − ε), in u = x/σ."""
    r = sympy.Symbol("r", positive=True)
    main = derive(load("dpm_solver_2")).main
    grown = sympy.exp(H) - 1
    found = {t.source: in_sympy(t.weight, r=r) for t in main.final.terms}
    assert sympy.simplify(found["n"] - grown * (1 - 1 / (2 * r))) == 0
    assert sympy.simplify(found["mid"] - grown / (2 * r)) == 0
    (stage,) = main.stages
    assert sympy.simplify(in_sympy(stage.terms[0].weight, r=r) - (sympy.exp(r * H) - 1)) == 0


@pytest.mark.parametrize("name", ["dpmpp_3m", "deis_rhoab3", "ipndm4", "res_3s", "dpm_solver_3"])
def test_constants_are_integrated_exactly(name):
    """The weights of every row of an interpolatory method add up to the whole integral."""
    program = derive(load(name))
    values = {p.name: sympy.Rational(str(p.default)) for p in program.parameters}
    for row in (*program.main.stages, program.main.final):
        total = sum(in_sympy(term.weight, **values) for term in row.terms)
        c = in_sympy(row.place.lam(program.kappa), **values)
        if row.gauge == "clock":
            exact = in_sympy(row.place.clock(program.kappa), **values)
        else:
            exact = program.kappa * (1 - sympy.exp(-program.kappa * c * H))
        assert sympy.simplify(total - exact) == 0


def test_lagrange_basis_is_one_at_its_node_and_zero_at_the_others():
    a, b = sympy.Symbol("a"), sympy.Symbol("b")
    nodes = [lift(0), -a, -b, lift(1)]
    at = {"a": Fraction(3, 7), "b": Fraction(11, 5)}
    points = [Fraction(0), -at["a"], -at["b"], Fraction(1)]
    for j, polynomial in enumerate(lagrange(nodes)):
        for k, point in enumerate(points):
            powers = [lift(point**m) for m in range(4)]
            value = evaluate(polynomial.against(powers), at, {}, lambda exact: exact)
            assert value == (j == k)
    with pytest.raises(ZeroDivisionError):
        lagrange([a, b, a])
