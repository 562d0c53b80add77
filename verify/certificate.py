"""Check certificates of order: `python -m verify.certificate FILE…` (the proof and the format:
docs/certificates.md). Weights become power series in h whose coefficients are polynomials over the
rationals in step ratios, parameters, square roots of primes and quotients 1/d. Every order condition is
expanded and must cancel term by term: nothing is rounded, sampled or believed.
"""

import ast
import json
import sys
from fractions import Fraction
from math import factorial, prod

EXTRA, HALF, BIAS = 8, 1 << 15, sum(1 << 16 * digit + 15 for digit in range(99))
FORMAT = "solvergen certificate 1"
KAPPA = {"data": 1, "noise": -1, "velocity": 0}


class Refuted(Exception):
    """The certificate does not prove what it says."""


def power(monomial, digit):
    """Monomials are integers; their 16-bit digits are the powers of the variables, h the lowest."""
    return ((monomial + BIAS) >> 16 * digit & 0xFFFF) - HALF


class Series:
    """A polynomial {monomial: coefficient} with powers of h below `end`; what lies beyond is unknown."""

    limit, digits, roots, divisors = 0, {}, {}, {}

    def __init__(self, terms, end=None):
        self.end = Series.limit if end is None else end
        self.terms = {m: x for m, x in terms.items() if x and power(m, 0) < self.end}
        self.low = min((power(m, 0) for m in self.terms), default=self.end)

    def __add__(self, other):
        both = self.terms.keys() | other.terms.keys()
        total = {m: self.terms.get(m, 0) + other.terms.get(m, 0) for m in both}
        return Series(total, min(self.end, other.end))

    def __mul__(self, other):
        end = min(self.end + other.low, other.end + self.low, Series.limit)
        total = {}
        for m, x in self.terms.items():
            for n, y in other.terms.items():
                if power(m + n, 0) < end:
                    total[m + n] = total.get(m + n, 0) + x * y
        for digit, square in Series.roots.items():
            for m in [m for m in total if power(m, digit) > 1]:
                lower = m - (2 << 16 * digit)
                total[lower] = total.get(lower, 0) + square * total.pop(m)
        return Series(total, end)

    def at(self, exponent):
        """The coefficient of a power of h."""
        return Series({m - exponent: x for m, x in self.terms.items() if power(m, 0) == exponent})

    def vanishes(self):
        """Whether nothing is left once every quotient 1/d is cleared by powers of d."""
        left = self
        for digit, divisor in reversed(Series.divisors.items()):
            most, cleared = max((power(m, digit) for m in left.terms), default=0), Series({})
            for missing in {most - power(m, digit) for m in left.terms}:
                shift = (most - missing) << 16 * digit
                part = {
                    m - shift: x for m, x in left.terms.items() if power(m, digit) == most - missing
                }
                part = Series(part)
                for _ in range(missing):
                    part = part * divisor
                cleared = cleared + part
            left = cleared
        return not left.terms

    def inverse(self):
        low = next((k for k in range(self.low, self.end) if not self.at(k).vanishes()), None)
        if low is None:
            raise Refuted("a weight divides by zero, or by too high a power of h")
        lead = self.at(low).terms
        if len(lead) == 1:
            first = Series({-m: 1 / x for m, x in lead.items()})
        else:
            name = "1/" + str(sorted((m, x / lead[max(lead)]) for m, x in lead.items()))
            first = named(name) * number(1 / lead[max(lead)])
            Series.divisors[Series.digits[name]] = Series(lead) * number(1 / lead[max(lead)])
        rest = {m - low: -x for m, x in self.terms.items() if power(m, 0) > low}
        rest, total = first * Series(rest, self.end - low), number(1)
        for _ in range(self.end - low):
            total = number(1) + rest * total
        shifted = {m - low: x for m, x in (first * total).terms.items()}
        return Series(shifted, self.end - 2 * low)

    def phi(self, k):
        return self.into([Fraction(1, factorial(j + k)) for j in range(Series.limit)])

    def into(self, coefficients):
        """Σ coefficients[j] self^j, of a series without constant term."""
        if self.low < 1:
            raise Refuted("a function is taken at a value that does not tend to 0 with h")
        total = number(0)
        for value in reversed(coefficients):
            total = number(value) + self * total
        return total


def number(value):
    return Series({0: Fraction(value)})


def named(name):
    return Series({1 << 16 * Series.digits.setdefault(name, len(Series.digits)): Fraction(1)})


def words(weight):
    """Words of a weight: (l, children) is D^(l), or J_m^(l) of m children; its weight 1 + l + theirs."""
    return [(size, rest) for size in range(weight) for rest in forests(weight - 1 - size, (0, ()))]


def forests(total, least):
    sizes = range(1, total + 1)
    first = [(size, word) for size in sizes for word in words(size) if word >= least]
    found = [(word, *rest) for size, word in first for rest in forests(total - size, word)]
    return found if total else [()]


def heavy(word):
    return 1 + word[0] + sum(map(heavy, word[1]))


def value(node, get):
    """The series of an expression of the certificate; `get` knows the names in it."""
    match node:
        case ast.Constant(int()):
            return number(node.value)
        case ast.Name():
            return get(node.id)
        case ast.UnaryOp(ast.USub(), operand):
            return number(-1) * value(operand, get)
        case ast.BinOp(left, ast.Add() | ast.Sub() as sign, right):
            size = number(1 if isinstance(sign, ast.Add) else -1)
            return value(left, get) + size * value(right, get)
        case ast.BinOp(left, ast.Mult(), right):
            return value(left, get) * value(right, get)
        case ast.BinOp(left, ast.Div(), right):
            return value(left, get) * over(right, get)
        case ast.BinOp(left, ast.Pow(), ast.Constant(int(exponent))) if exponent > 0:
            return prod((value(left, get) for _ in range(exponent)), start=number(1))
        case ast.Call(ast.Name("phi"), [ast.Constant(int(k)), z], []):
            return value(z, get).phi(k)
        case ast.Call(ast.Name("exp"), [z], []):
            return value(z, get).phi(0)
        case ast.Call(ast.Name("expm1"), [z], []):
            return value(z, get) * value(z, get).phi(1)
        case ast.Call(ast.Name("log1p"), [z], []):
            signs = [Fraction((-1) ** j, j + 1) for j in range(Series.limit)]
            return value(z, get) * value(z, get).into(signs)
    raise Refuted(f"{ast.unparse(node)} is not an expression of certificates")


def over(node, get):
    """1 over an expression, factor by factor, so that equal factors are one quotient."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return over(node.left, get) * over(node.right, get)
    return value(node, get).inverse()


class Method:
    """The main step of a solver on a class of grids, expanded in words up to a weight."""

    def __init__(self, document, grid, limit, at):
        self.step, self.grid, self.limit, self.at = document["step"], grid, limit, at
        self.kappa, self.spans = KAPPA[document["integrand"]], document["spans"]
        self.words = [word for weight in range(1, limit + 1) for word in words(weight)]
        Series.limit, Series.digits, Series.divisors = limit + EXTRA, {"h": 0}, {}
        Series.roots = {}
        for name, square in document["roots"].items():
            named(name)
            Series.roots[Series.digits[name]] = square
        self.kept = {}

    def free(self, name):
        return number(self.at[name]) if name in self.at else named(name)

    def point(self, i):
        """Where grid point i is, in units of the step from 0; past steps are r1, r2, … of it."""
        if self.grid == "uniform":
            return number(Fraction(i, self.spans))
        if i > 0:
            return number(1) if i == self.spans else self.free(f"grid point {i}")
        return sum((number(-1) * self.free(f"ratio {k}") for k in range(1, 1 - i)), number(0))

    def site(self, site):
        return self.point(self.spans * site)

    def value(self, text, site):
        """An expression in h, theta1, …, gamma1, …, parameters and roots, at the step from a site."""
        start = self.site(site)
        size = self.site(site + 1) + number(-1) * start

        def get(name):
            if name == "h":
                return size * named("h")
            if name[:5] not in ("theta", "gamma") or not name[5:].isdigit():
                return self.free(name)
            back = self.spans * -int(name[5:]) if name[0] == "t" else int(name[5:])
            sign = number(-1 if name[0] == "t" else 1)
            return (
                sign * (self.point(self.spans * site + back) + number(-1) * start) * size.inverse()
            )

        if (text, site) not in self.kept:
            self.kept[text, site] = value(ast.parse(text, mode="eval").body, get)
        return self.kept[text, site]

    def trimmed(self, errors):
        """Σ errors[word] h^weight word, up to h^limit."""
        for word, error in errors.items():
            if error.end <= self.limit - heavy(word):
                raise Refuted("too many powers of h are divided by")
        return {w: Series(e.terms, self.limit - heavy(w) + 1) for w, e in errors.items()}

    def evaluation(self, error, offset):
        """N where the state is `error` off the solution at `offset`, in words."""
        found = {}
        for size, children in self.words:
            if all(child in error for child in children):
                same = prod(factorial(children.count(child)) for child in set(children))
                factors = [offset] * size + [error[child] for child in children]
                found[size, children] = prod(
                    factors, start=number(Fraction(1, factorial(size) * same))
                )
        return self.trimmed(found)

    def row(self, row, site, known):
        """Error and place of a row: e^{-κ(c-b)h} u_b + Σ w N - the exact solution, from each base b."""
        start, kappa = self.site(site), number(-self.kappa)
        size = self.site(site + 1) + number(-1) * start
        end = start + self.value(row["place"], site) * size
        total = {}
        for back, share in row["from"].items():
            origin = self.site(site - int(back))
            length = end + number(-1) * origin
            z = kappa * length * named("h")
            for k in range(self.limit):
                for j in range(k + 1):
                    part = prod([origin] * (k - j) + [length] * (j + 1), start=z.phi(j + 1))
                    part = part * number(Fraction(-1, factorial(k - j))) * self.value(share, site)
                    total[k, ()] = total.get((k, ()), number(0)) + part
        unit = over(ast.Name("h"), lambda _: named("h")) if self.kappa else size
        for source, text in row["weights"].items():
            for word, part in known[source].items():
                total[word] = total.get(word, number(0)) + unit * self.value(text, site) * part
        return self.trimmed(total), end

    def predicted(self, site, level):
        """Evaluations that the step from a site uses, and its error before correction.

        Accepted states are exact; PEC evaluates at predicted ones, followed `level` steps back.
        """
        known = {}
        for k in range(self.step["history"] + 1):
            error = self.predicted(site - k - 1, level - 1)[1] if level else {}
            known[f"n-{k}" if k else "n"] = self.evaluation(error, self.site(site - k))
        for stage in self.step["stages"]:
            known[stage["name"]] = self.evaluation(*self.row(stage, site, known))
        return known, self.row(self.step["final"], site, known)[0]

    def local(self):
        """The error after one step."""
        known, error = self.predicted(0, 0)
        if not self.step["corrector"]:
            return error
        sizes = [
            heavy(w) + j
            for w, e in error.items()
            for j in range(e.low, e.end)
            if not e.at(j).vanishes()
        ]
        known, error = self.predicted(0, max(0, self.limit - min(sizes, default=self.limit)))
        known["n+1"] = self.evaluation(error, number(1))
        return self.row(self.step["corrector"], 0, known)[0]


def check(document):
    """Refute a certificate, or say what it proves."""
    if document["format"] != FORMAT:
        raise Refuted(f"the format is not {FORMAT}")
    for name, square in document["roots"].items():
        if not name.isidentifier() or square < 2 or any(square % k == 0 for k in range(2, square)):
            raise Refuted(f"{name} is not the square root of a prime")
    return [claimed(document, claim) for claim in document["claims"]]


def claimed(document, claim):
    order, grid = claim["order"], claim["grid"]
    method = Method(document, grid, order, rationals(claim["parameters"]))
    errors, listed = method.local(), {as_word(one["tree"]): one for one in claim["conditions"]}
    if set(listed) != set(method.words):
        raise Refuted(f"the conditions are not the words of weight 1 to {order}")
    for word, condition in listed.items():
        if (condition["defect"], condition["below"]) != ("0", order + 1):
            raise Refuted(f"the condition of {condition['word']} does not say that it vanishes")
        if not errors.get(word, number(0)).vanishes():
            raise Refuted(f"the condition of {condition['word']} is violated")
    hidden = {
        "h",
        *document["roots"],
        *(n for n, d in Series.digits.items() if d in Series.divisors),
    }
    free = ", ".join(name for name in Series.digits if name not in hidden) or "nothing else"
    said = f"{document['solver']}: order {order} on {grid} grids, identically in h and {free}"
    if "leading" not in claim:
        return said
    leading = claim["leading"]
    method = Method(document, leading["grid"], order + 1, rationals(leading["at"]))
    errors, listed = method.local(), {as_word(one["tree"]): one for one in leading["terms"]}
    for word in {*listed, *method.words}:
        found = errors.get(word, number(0)).at(order + 1 - heavy(word))
        text = listed[word]["coefficient"] if word in listed else "0"
        if not (found + number(-1) * method.value(text, 0)).vanishes():
            raise Refuted(f"the leading error has not {text} at {word}")
        if word in listed and found.vanishes():
            raise Refuted(f"the leading error vanishes at {word}")
    return said + f"; not {order + 1}" * bool(listed)


def rationals(texts):
    return {name: Fraction(text) for name, text in texts.items()}


def as_word(tree):
    return tree[0], tuple(as_word(child) for child in tree[1])


def main(paths):
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                print(*check(json.load(file)), sep="\n")
        except (Refuted, OSError, LookupError, TypeError, ValueError, SyntaxError) as error:
            print(f"{path}: refuted: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
