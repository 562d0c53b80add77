"""Check certificates of order: `python -m verify.certificate FILE…`.

Weights become power series in h whose coefficients are rational functions of step ratios and parameters;
every order condition is expanded and must cancel term by term. Nothing is rounded, sampled or believed,
and nothing is imported but the standard library. docs/certificates.md has the proof and the format.
"""

import ast
import json
from contextlib import suppress
from fractions import Fraction
from math import factorial, prod
from typing import Any

from .names import Step
from .series import FAULTS, Refuted, Series, Short, named, number, phi, prepare, value
from .words import Word, as_word, heavy, words

FORMAT, KAPPA = "solvergen certificate 2", {"data": 1, "noise": -1, "plain": 0}
SPARE = (1, 3)  # terms beyond the order, more where weights divide by powers of h
Errors = dict[Word, Series]  # word -> e, for Σ e h^weight word


class Method:
    """A step of a solver on a class of grids, expanded in words up to a weight.

    The claim says which: the main "step", or one of the first or last, "start" and "end".
    """

    def __init__(
        self, document: Any, claim: Any, grid: str, limit: int, at: Any, spare: int = SPARE[-1]
    ) -> None:
        self.main, self.limit, self.spans = document["step"], limit, document["spans"]
        part, self.begins = claim["part"], claim["part"] == "start"
        self.ends = [self.main] if part == "step" else document[part][: claim["index"] + 1]
        self.kappa, self.kept = KAPPA[document["integrand"]], dict[tuple[str, int], Series]()
        self.words = [word for weight in range(1, limit + 1) for word in words(weight)]
        equal = {f"ratio {k}": Fraction(1, self.spans) for k in range(99)}
        equal |= {f"grid point {k}": Fraction(k, self.spans) for k in range(99)}
        fixed = {name: Fraction(text) for name, text in at.items()}
        prepare(limit + spare, document["roots"], fixed | (equal if grid == "uniform" else {}))

    def point(self, i: int) -> Series:
        """Where grid point i is, from the start of step 0 and in units of it; past steps are ratios."""
        if i > 0:
            return number(1) if i == self.spans else named(f"grid point {i}")
        return sum((number(-1) * named(f"ratio {k}") for k in range(1, 1 - i)), number(0))

    def value(self, text: str, site: int) -> Series:
        """A text in h, theta1 …, gamma1 …, parameters and roots, at the step that starts at a site."""
        if (text, site) not in self.kept:
            here = Step(self.kappa, self.spans, lambda k: self.point(self.spans * site + k))
            self.kept[text, site] = value(ast.parse(text, mode="eval").body, here)
        return self.kept[text, site]

    def trimmed(self, errors: Errors) -> Errors:
        """The same up to h^limit."""
        if any(error.end <= self.limit - heavy(word) for word, error in errors.items()):
            raise Short("too many powers of h are divided by")
        return {w: Series(e.terms, self.limit - heavy(w) + 1) for w, e in errors.items()}

    def evaluation(self, error: Errors, offset: Series) -> Errors:
        """N where the state is `error` off the solution at `offset`, in words."""
        found = {}
        for size, children in self.words:
            if all(child in error for child in children):
                same = [factorial(children.count(child)) for child in set(children)]
                factors = [offset] * size + [error[child] for child in children]
                first = number(Fraction(1, factorial(size) * prod(same)))
                found[size, children] = prod(factors, start=first)
        return self.trimmed(found)

    def row(self, row: Any, site: int, known: Any) -> tuple[Errors, Series]:
        """Error and place of a row: Σ w N less ∫ e^{-κ(c-ξ)h} N dξ of the solution, from its bases."""
        start, total = self.point(self.spans * site), Errors()
        size = self.point(self.spans * (site + 1)) - start
        end = start + self.value(row["place"], site) * size
        for back, share in row["from"].items():
            base = self.point(self.spans * (site - int(back)))
            pairs = [(k, j) for k in range(self.limit) for j in range(k + 1)]
            z, weight = number(-self.kappa) * (end - base) * named("h"), self.value(share, site)
            for k, j in pairs:
                factors = [base] * (k - j) + [end - base] * (j + 1) + [phi(j + 1, z), weight]
                part = prod(factors, start=number(Fraction(-1, factorial(k - j))))
                total[k, ()] = total.get((k, ()), number(0)) + part
        unit = named("h").inverse() if self.kappa else size
        for source, text in row["weights"].items():
            for word, part in known[source].items():
                total[word] = total.get(word, number(0)) + unit * self.value(text, site) * part
        return self.trimmed(total), end

    def kind(self, site: int) -> Any:
        """The step from a site, which is at or before 0; ``None`` before the first."""
        index = len(self.ends) - 1 + site
        return self.ends[index] if index >= 0 else None if self.begins else self.main

    def corrects(self, site: int) -> bool:
        """Whether the evaluation after a step is at a predicted state."""
        return bool(self.kind(site) and self.kind(site)["corrector"])

    def predicted(self, site: int, level: int) -> tuple[dict[str, Errors], Errors]:
        """What the step from a site knows, and its error before correction; accepted states are exact.

        PEC evaluates at predicted states: their errors are followed `level` steps back.
        """
        known, step = {}, self.kind(site)
        for k in range(step["history"] + 1):
            before = site - k - 1
            error = self.predicted(before, level - 1)[1] if level and self.corrects(before) else {}
            known[f"n-{k}" if k else "n"] = self.evaluation(
                error, self.point(self.spans * (site - k))
            )
        for stage in step["stages"]:
            known[stage["name"]] = self.evaluation(*self.row(stage, site, known))
        return known, self.row(step["final"], site, known)[0]

    def local(self) -> Errors:
        """The error after the step."""
        corrected = [site for site in range(-self.limit, 1) if self.corrects(site)]
        kinds = {json.dumps(self.kind(site)): site for site in corrected}
        powers = [
            heavy(word) + j
            for site in kinds.values()
            for word, e in self.predicted(site, 0)[1].items()
            for j in range(e.low, e.end) if not e.part(j).vanishes()
        ]  # fmt: skip
        level = self.limit - min(powers, default=self.limit)
        known, error = self.predicted(0, max(level, 0) if kinds else 0)
        if not self.corrects(0):
            return error
        known["n+1"] = self.evaluation(error, number(1))
        return self.row(self.kind(0)["corrector"], 0, known)[0]


def check(document: Any) -> list[str]:
    """Refute a certificate, or say what it proves, claim by claim."""
    if document["format"] != FORMAT or not document["claims"]:
        raise Refuted(f"not a {FORMAT}, or one without claims")
    said = [claimed(document, claim) for claim in document["claims"]]
    for part in ("start", "end"):
        orders = {c["index"]: c["order"] + 1 for c in document["claims"] if c["part"] == part}
        if document[part] and set(orders) != set(range(len(document[part]))):
            raise Refuted(f"not every step of the {part} has a claim")
        if orders:
            said.append(
                f"{document['solver']}: its own {part} adds errors of O(h^{min(orders.values())})"
            )
    return said


def expanded(*case: Any) -> tuple[Method, Errors]:
    """The step of a claim and its local error, with as few terms as it needs."""
    document, claim, grid, limit, at = case
    with suppress(Short):
        return (method := Method(document, claim, grid, limit, at, SPARE[0])), method.local()
    return (method := Method(document, claim, grid, limit, at)), method.local()


def claimed(document: Any, claim: Any) -> str:
    order, grid, leading = claim["order"], claim["grid"], claim["leading"]
    method, errors = expanded(document, claim, grid, order, claim["parameters"])
    listed = {as_word(one["tree"]): one for one in claim["conditions"]}
    if set(listed) != set(method.words) or grid not in ("uniform", "arbitrary"):
        raise Refuted(f"the conditions are not the words of weight 1 to {order}, on a known grid")
    for word, one in listed.items():
        if not errors.get(word, number(0)).vanishes() or one["defect"] != "0":
            raise Refuted(f"the condition of {one['word']} is violated")
    hidden = {0, *Series.roots, *Series.divisors}
    free = [name for name, digit in Series.digits.items() if digit not in hidden]
    where = f"step {claim['index']} of its {claim['part']}, " * (claim["part"] != "step")
    said = f"{document['solver']}: {where}order {order} on {grid} grids"
    if leading:
        method, errors = expanded(document, claim, leading["grid"], order + 1, leading["at"])
        listed = {as_word(one["tree"]): one for one in leading["terms"]}
        for word in {*listed, *method.words}:
            found = errors.get(word, number(0)).part(order + 1 - heavy(word))
            text = listed[word]["coefficient"] if word in listed else "0"
            if not (found - method.value(text, 0)).vanishes() or (
                found.vanishes() and word in listed
            ):
                raise Refuted(f"the coefficient of {word} in the leading error is not {text}")
        said += f", not {order + 1}" * bool(listed)
    return said + f", identically in {', '.join(free)}" * bool(free)


def main(paths: list[str]) -> int:
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                print("\n".join(check(json.load(file))))
        except (*FAULTS, OSError, ValueError) as error:
            print(f"{path}: refuted: {error!s:.300}")
            return 1
    return 0
