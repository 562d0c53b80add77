"""Certificates: the order conditions of a solver as a document that anybody can check.

`verify/certificate/checker.py` checks them with fractions alone and shares no code with this module;
docs/certificates.md says what is proved and describes the format.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from sympy import Expr, Symbol

from ...algebra.scalar import Scalar
from ...algebra.series import coefficient
from ...errors import OrderError
from ...expr.arithmetic import fraction_of, function_name, multiply, rebuild, symbols, walk
from ...expr.functions import expm1, lift
from ...expr.printing import show
from ...program.digest import digest
from ...program.model import Program
from ...program.row import FURTHER, Row, depth
from ...program.step import Step
from ..expansion.grid import ARBITRARY, UNIFORM, Grid, from_steps, uniform
from ..expansion.local_error import Case, History, first_error, local_error
from ..expansion.recursion import Words
from ..expansion.symbol_values import generic_coordinate
from ..expansion.words import Word, reading_order, spell, tree, words
from ..ode.analyse import Analysis
from ..ode.ends import last_steps
from ..verdict import Document, LeadingError

FORMAT = "solvergen certificate 2"
HIGHEST = 4  # unless asked for more, which takes the checker minutes where words meet many ratios
KNOWN = {"phi", "exp", "expm1", "log1p", *FURTHER}  # the functions that the checker expands


class NotCertified(OrderError):
    """A solver that no certificate is made of, with the reason."""


def certificate(program: Program, highest: int = HIGHEST) -> Document:
    """The certificate of a solver's main step: on any grid, and on uniform ones where it is more there.

    Args:
        program: the solver.
        highest: the highest order that is certified.

    Raises:
        NotCertified: what the solver uses has no expansion with rational coefficients, or its order is
            0 or above `highest`.
    """
    if program.stochastic:
        raise NotCertified(
            f"{program.name}: it draws noise; certificates are for deterministic solvers"
        )
    if program.own is not None:
        raise NotCertified(
            f"{program.name}: it takes out a linear part of its own; certificates are for that of the integrand"
        )
    if program.main.memory:
        raise NotCertified(
            f"{program.name}: it remembers combinations of evaluations; certificates are for steps that use "
            "evaluations as they come"
        )
    if program.recalls:
        raise NotCertified(
            f"{program.name}: it uses stages of the step before; certificates are for steps that use "
            "evaluations at grid points and their own stages"
        )
    if not {"sigma", "sigma_next", "steps", "i"}.isdisjoint(program.free_symbols()):
        raise NotCertified(
            f"{program.name}: its weights depend on the level or on the number of the step; certificates are "
            "for those of h and ratios"
        )
    variable = _variable(program, program.main)
    name, made, program = program.name, digest(program), _seen_in(program, variable)
    plain = Analysis(program, {}, ())
    orders = plain.local_orders()
    text = _Texts(program)
    step, order = text.step(program.main), orders[ARBITRARY].value
    own = {part: _own(plain, part, order, variable, text) for part in ("start", "end")}
    kinds = [ARBITRARY] + [UNIFORM] * (order < orders[UNIFORM].value <= highest)
    return {
        "format": FORMAT,
        "solver": name,
        "program": made,
        "integrand": program.integrand if variable == "lambda" else "plain",
        "spans": program.main.spans,
        "roots": text.roots,
        "step": step,
        **{part: [step for step, _ in steps] for part, steps in own.items()},
        "claims": [
            *(_claim(plain, kind, orders[kind].value, highest) for kind in kinds),
            *(
                _conditions(part, index, ARBITRARY, reached, _defaults(program))
                for part, steps in own.items()
                for index, (_, reached) in enumerate(steps)
            ),
        ],
    }


def _own(
    plain: Analysis, part: str, order: int, variable: str, text: _Texts
) -> list[tuple[Document, int]]:
    """The first or last steps, each with the order that is claimed of it; none where one has none.

    An error that is made once may be larger by 1/h than one that every step makes, so that order
    p − 1 is enough beside a main step of order p.
    """
    program = plain.program
    steps = program.start if part == "start" else last_steps(program)
    other = program.remainder or program.shrink is not None
    if other or any(step.spans > 1 for step in (*steps, program.main)):
        return []  # steps of other lengths: their start and end are not certified
    if any(_variable(program, step) != variable for step in steps):
        return []
    found: list[tuple[Document, int]] = []
    for index, step in enumerate(steps):
        reached = min(_order(plain, part, steps, index), max(1, order - 1))
        if reached < 1:
            return []
        try:
            found.append((text.step(step), reached))
        except NotCertified:
            return []
    return found


def _order(plain: Analysis, part: str, steps: tuple[Step, ...], index: int) -> int:
    """The order of one of the first or last steps, with exact accepted states before it."""
    main, first = plain.program.main, 0 if part == "start" else None

    def step_at(site: int) -> Step:
        return steps[site] if 0 <= site < len(steps) else main

    def expand(limit: int) -> Words:
        return case.expand(limit, lambda r: History(r, step_at, first).accepted(index, limit))

    case = plain.case(ARBITRARY).deciding()
    found = first_error(expand, 1, plain.stop)
    return int(found.exponent) - 1 if found else plain.stop


def _variable(program: Program, step: Step) -> str:
    """The variable that the words are derivatives in: the clock where everything is written in it."""
    names = {symbol for e in step.expressions for symbol in symbols(e)}
    names |= {symbol for row in step.rows for symbol in symbols(row.place.fraction)}
    own = {p.name for p in program.parameters}
    plain = all(name[:5] in ("Theta", "Gamma") or name in own for name in names)
    places = all(row.place.coordinate == "clock" or row.place.is_end for row in step.rows)
    gauges = all(row.gauge == "clock" for row in step.rows)
    calls = {function_name(node) for e in step.expressions for node in walk(e)}
    return "clock" if plain and places and gauges and calls <= {"", "sqrt"} else "lambda"


def _seen_in(program: Program, variable: str) -> Program:
    """The same rows with the clock as the variable: there dY/d(clock) = f is plain for any integrand."""
    return replace(program, integrand="velocity") if variable == "clock" else program


def _claim(plain: Analysis, kind: str, order: int, highest: int) -> Document:
    program = plain.program
    if not 1 <= order <= highest:
        raise NotCertified(
            f"{program.name}: its order is {order}; certificates are made of orders 1 to {highest}"
        )
    names = tuple(parameter.name for parameter in program.parameters)
    fixed = _defaults(program)
    if names and Analysis(program, {}, names).local_orders()[kind].value >= order:
        fixed = {}
    return {**_conditions("step", 0, kind, order, fixed), "leading": _leading(plain, kind, order)}


def _defaults(program: Program) -> dict[str, str]:
    return {p.name: str(p.default) for p in program.parameters}


def _conditions(part: str, index: int, kind: str, order: int, fixed: dict[str, str]) -> Document:
    """The claim that a step has an order: its conditions, which vanish."""
    every = [word for weight in range(1, order + 1) for word in words(weight)]
    return {
        "part": part,
        "index": index,
        "grid": kind,
        "order": order,
        "parameters": fixed,
        "conditions": [
            {"word": spell(word), "tree": tree(word), "defect": "0"}
            for word in sorted(every, key=reading_order)
        ],
        "leading": None,
    }


def _leading(plain: Analysis, kind: str, order: int) -> Document:
    """The local error of the next power of h at one point, where it does not vanish."""
    program = plain.program
    at = _defaults(program)
    if "remaining" in program.free_symbols():
        at["remaining"] = "1"
    if program.main.coordinates:
        at |= {f"y{j}": str(generic_coordinate(j)) for j in range(2, order + 3)}
    exact, where = plain.leading(_at_defaults(plain, uniform()), order + 1), UNIFORM
    if exact is not None:
        found = LeadingError.of(exact.exponent, exact.terms)
    else:
        found, points = _uneven(plain, order)
        at, where = at | points, kind
    texts = zip(found.coefficients(), found.terms, strict=True)
    return {
        "grid": where,
        "at": at,
        "terms": [
            {"word": spell(word), "tree": tree(word), "coefficient": _rooted(text)}
            for text, (word, _) in texts
        ],
    }


def _at_defaults(plain: Analysis, grid: Grid) -> Case:
    """The program on a grid with a number for everything that is free."""
    return Case(plain.program, lambda ring: grid, lambda ring: plain.values)


def _uneven(plain: Analysis, order: int) -> tuple[LeadingError, dict[str, str]]:
    """The leading error where the steps grow by 3/2, and where its grid points are."""
    program, spans = plain.program, plain.program.main.spans
    grid: Grid = from_steps(lambda i: Fraction(3, 2) ** i)
    unit, reach = grid.position(spans), 4 * program.main.history + 4
    points = {
        f"ratio {k}": str((grid.position(1 - k) - grid.position(-k)) / unit)
        for k in range(1, reach * spans)
    } | {f"grid point {i}": str(grid.position(i) / unit) for i in range(1, program.main.ahead + 1)}
    errors = local_error(_at_defaults(plain, grid), order + 1, plain.predictor)
    terms: dict[Word, Scalar] = {}
    for word, value in errors.items():
        if kept := coefficient(value, 0):
            terms[word] = kept
    return LeadingError.of(Fraction(order + 1), terms), points


def _rooted(text: str) -> str:
    """√3 as the certificate names it."""
    return re.sub(
        r"sqrt\((\d+)\)", lambda m: f"({'*'.join(f'sqrt{p}' for p in _primes(int(m[1])))})", text
    )


def _primes(number: int) -> list[int]:
    """The prime factors of a number, with their multiplicities."""
    found = []
    for prime in range(2, number + 1):
        while number % prime == 0:
            number //= prime
            found.append(prime)
    return found


class _Texts:
    """The rows of the main step as strings in h, theta1 …, gamma1 …, parameters and roots, in u."""

    def __init__(self, program: Program) -> None:
        self.program, self.kappa = program, program.kappa
        self.roots: dict[str, int] = {}
        if len(program.coordinates) > 1:
            raise NotCertified(
                f"{program.name}: its weights are integrals in several coordinates, and certificates hold one"
            )
        if program.main.coordinates and not self.kappa:
            raise NotCertified(
                f"{program.name}: its weights are integrals in a coordinate beside the clock of velocity"
            )
        if "remaining" in program.free_symbols() and program.main.history:
            raise NotCertified(
                f"{program.name}: its weights change with how far the run has come, from step to step"
            )

    def step(self, step: Step) -> Document:
        return {
            "history": step.history,
            "stages": [{"name": row.name, **self.row(row)} for row in step.stages],
            "final": self.row(step.final),
            "corrector": self.row(step.corrector) if step.corrector else None,
        }

    def row(self, row: Row) -> Document:
        place = row.place.lam(self.kappa) if self.kappa else row.place.clock(0)
        past = {str(depth(term.source)): self.text(term.weight) for term in row.carry}
        return {
            "place": self.text(place),
            "from": {"0": self.text(row.decay), **past},
            "weights": {source: self.text(w) for source, w in row.u_weights(self.kappa)},
        }

    def text(self, expr: Expr) -> str:
        plain = rebuild(expr, self.symbol, self.function)
        if not self.kappa and symbols(plain) & {"h", "lam"}:
            raise NotCertified(
                f"{self.program.name}: its weights use λ beside the clock of velocity"
            )
        return show(plain)

    def symbol(self, symbol: Symbol) -> Expr:
        """History and grid points in the clock, written in λ; for velocity the clock is the variable."""
        stem, k = symbol.name[:5], symbol.name[5:]
        if stem not in ("Theta", "Gamma") or not k.isdigit():
            return symbol
        plain, sign = Symbol(stem.lower() + k), lift(-1 if stem == "Theta" else 1)
        if not self.kappa:
            return plain
        whole = lift(self.kappa) * Symbol("h")
        return multiply(sign, expm1(multiply(sign, plain, whole)), expm1(whole) ** -1)

    def function(self, call: Expr) -> Expr:
        """A function that the checker expands; a square root of a number becomes names of its own."""
        name = function_name(call)
        if name in KNOWN:
            return call
        if name == "sqrt" and call.args[0].is_Rational and call.args[0].is_positive:
            return self.root(fraction_of(call.args[0]))
        raise NotCertified(
            f"{self.program.name}: `{show(call)[:60]}` is not expanded by the checker"
        )

    def root(self, square: Fraction) -> Expr:
        """√(p/q) as a product of square roots of distinct primes."""
        factors = {prime: 0 for prime in _primes(square.numerator * square.denominator)}
        for prime in _primes(square.numerator * square.denominator):
            factors[prime] += 1
        names = {prime: f"sqrt{prime}" for prime, power in factors.items() if power % 2}
        self.roots |= {name: prime for prime, name in names.items()}
        whole = [lift(prime ** (power // 2)) for prime, power in factors.items()]
        return multiply(
            lift(Fraction(1, square.denominator)), *whole, *(Symbol(n) for n in names.values())
        )
