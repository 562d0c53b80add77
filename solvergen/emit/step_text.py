"""The text of one kind of step inside `coefficients`: its quantities, then weights call by call."""

from __future__ import annotations

import re

from sympy import Expr, Symbol

from ..expr.arithmetic import ONE, ZERO, multiply, negative, quotient, subtract
from ..expr.functions import lift, sqrt
from ..program.row import Row, Term, depth
from ..program.step import Step
from .file_plan import LEVEL_OF_N, FilePlan, row_after
from .parts.noise_text import listed, local, needs_levels, noise_lines, scalar_lines
from .python_text import assign, listing, python
from .step_quantities import BLOCK, StepQuantities


def append_row(plan: FilePlan, kind: int, sigma: str, noise: str = "()", first: bool = True) -> str:
    """The line that adds one model call to the plan."""
    weights = "corrected(weights, gap)" if plan.corrects else "weights"
    if plan.program.stochastic:
        weights += f", {noise}"
    if plan.lifted:
        weights += ", lifts" if first else ", ()"
    return f"{' ' * BLOCK}plan.append((i, {kind}, {sigma}, {weights}))"


class StepText(StepQuantities):
    """The block of one kind of step: offsets, places, φ-functions, then weights call by call."""

    def __init__(self, plan: FilePlan, step: Step) -> None:
        super().__init__(plan.program, step)
        self.plan, self.kept = plan, dict[str, Expr]()
        # What is named in the lines so far: factors of the memory, weights of the newest row.
        self.factors_kept, self.predicted = dict[str, str](), dict[str, str]()
        self.factors = {row.name: self.factor(row) for row in step.rows}

    def lines(self) -> list[str]:
        # What the lines name decides which functions come before them.
        weights = {row: self.weights(row) for row in self.step.rows}
        self.kept = {term.source: self.localise(term.weight) for term in self.step.memory}
        places, calls = self.places(), []
        for index in range(self.step.evaluations):
            row = row_after(self.step, index)
            calls += self.call_lines(index, row, weights[row])
        if self.plan.corrects:
            calls += self.corrector_lines()
        out = [*self.scalars(), *self.chain(), *self.offsets(), *self.functions(True), *places]
        out += [*self.functions(False), *calls]
        return self.without_unused(out)

    @staticmethod
    def without_unused(lines: list[str]) -> list[str]:
        """The lines of a block, the levels of its ends only as far as they are used."""
        first = lines[0].strip() if lines else ""
        if not first.startswith("q0, q1 = "):
            return lines
        pad, (start, end) = " " * BLOCK, first.removeprefix("q0, q1 = ").split(", ")
        text = "\n".join(lines[1:])
        used = [re.search(rf"\b{name}\b", text) for name in ("q0", "q1")]
        if all(used):
            return lines
        given = [f"{pad}q0 = {start}"] * bool(used[0]) + [f"{pad}q1 = {end}"] * bool(used[1])
        return [*given, *lines[1:]]

    def scalars(self) -> list[str]:
        """The numbers of a stochastic step, and where its deterministic part ends."""
        pad, step, out = " " * BLOCK, self.step, []
        if needs_levels(step):
            start = "s0 / a0 if a0 else math.inf" if self.plan.renews else "s0 / a0"
            out.append(f"{pad}q0, q1 = {start}, s1 / a1")
        if self.churned:
            if self.plan.clock:
                out.append(f"{pad}H = clock[i + 1] - {self.clock('0')}")
        else:
            out += scalar_lines(step, BLOCK)
        if step.down is not None:
            out += assign("h", local(step.down), BLOCK)
            out.append(f"{pad}s2 = a1 * math.exp(-lam[i] - h)  # where the deterministic part ends")
            if self.plan.clock:
                out.append(f"{pad}H = {self.clock('2')} - clock[i]")
        return out

    def chain(self) -> list[str]:
        """The plan's rows of the Langevin steps before the step's own, all of them equal."""
        chain, pad = self.step.chain, " " * BLOCK
        out: list[str] = []
        if chain is None:
            return []
        a, s = Symbol("a0"), Symbol("s0")
        site = next(call for call in self.plan.calls if call.evaluations == 1)
        kind, two = site.kind, sqrt(lift(2))
        if chain.rate is None:
            assert chain.snr is not None
            kind, spread = len(self.plan.calls), two * s
            items = [python(multiply(two, local(chain.snr), s)), "a0"]
        else:
            rate = local(chain.rate)
            spread = multiply(s, sqrt(multiply(lift(2), rate)))
            items = [
                self.item(out, "base", subtract(ONE, rate)),
                self.item(out, "w0", multiply(a, rate)),
            ]
            items += ["0"] * (len(site.sources) - 1)
        out.append(f"{pad}weights = {', '.join(items)}")
        out += noise_lines([f"({self.item(out, 'g0', spread)}, q0, q0)"], BLOCK)
        row = f"i, {kind}, s0, weights, noise"
        if not self.plan.lifted:
            times = f" * {chain.repeats}" if chain.repeats > 1 else ""
            return [*out, f"{pad}plan += [({row})]{times}"]
        rest = [f"{pad}plan += [({row}, ())] * {chain.repeats - 1}"] if chain.repeats > 1 else []
        return [*out, f"{pad}plan.append(({row}, lifts))", *rest]

    def factor(self, row: Row) -> Expr:
        """What turns weights in the row's gauge into weights on the model's outputs."""
        at = self.place(row)
        if row.gauge == "clock":
            return multiply(self.scale(at), Symbol("H"))
        alpha, sigma = self.levels(at)
        return alpha if self.program.integrand == "data" else negative(sigma)

    def weights(self, row: Row) -> dict[str, Expr]:
        factor = self.factors[row.name]
        return {
            self.stages.get(term.source, term.source): self.localise(multiply(factor, term.weight))
            for term in row.terms
        } | {term.source: self.state_weight(row, term) for term in row.carry}

    def variable(self, out: list[str], name: str, weight: Expr) -> str:
        """A weight through a variable of its own, unless it is a number."""
        if weight.is_Rational:
            return python(weight)
        out += assign(name, weight, BLOCK)
        return name

    def as_it_comes(self, out: list[str], index: int, weights: dict[str, Expr]) -> dict[str, str]:
        """Weights of a row with a memory, on the newest evaluation as it comes: its share of each factor."""
        if index == 0:
            kept = enumerate(sorted(self.kept.items(), key=lambda pair: depth(pair[0])))
            self.factors_kept = {s: self.variable(out, f"keep{k}", w) for k, (s, w) in kept}
        own = {s: self.variable(out, f"u{k}", w) for k, (s, w) in enumerate(weights.items())}
        self.predicted, newest = own, own.get("n", "0")
        found = {source: text for source, text in own.items() if source != "n"}
        for source, factor in self.factors_kept.items() if newest != "0" else ():
            share = f"{newest} * {factor}"
            found[source] = f"{found[source]} + {share}" if source in found else share
        return found

    def keep_items(self, closes: bool) -> list[str]:
        """The factors of what is remembered, at the end of the row that ends a step."""
        if not self.plan.keeps or not closes:
            return []
        if not self.kept:
            return ["1", *["0"] * (self.plan.keeps - 1)]
        sources = ["n", *(f"n-{k}" for k in range(1, self.plan.keeps))]
        return [self.factors_kept.get(source, "0") for source in sources]

    def state_weight(self, row: Row, term: Term) -> Expr:
        """The weight of a past state: a ratio of scales and its factor."""
        ratio = self.scale(self.place(row)), self.scale("0", depth(term.source))
        return quotient(multiply(ratio[0], self.localise(term.weight)), ratio[1])

    def call_lines(self, index: int, row: Row, weights: dict[str, Expr]) -> list[str]:
        """The plan's row for one model call."""
        call = self.plan.call(self.step, index)
        out: list[str] = []
        at = "0" if index == 0 else self.place(self.step.stages[index - 1])
        called, factor = f"s{at}", self.called(index)
        if factor == LEVEL_OF_N and at == "1":
            out.append(f"{' ' * BLOCK}a_c, s_c = a0, s0  # the model is told the level of n")
            called = "s_c"
        elif factor != ONE:
            ratio = quotient(Symbol(f"a{at}"), multiply(factor, Symbol(called)))
            shown = python(self.localise(ratio))
            found = f"level(math.log({shown}), gauge)"
            taken = f"a_c, s_c = {found}" if self.program.output == "noise" else f"s_c = {found}[1]"
            out.append(f"{' ' * BLOCK}{taken}")
            called = "s_c"
        items = [*self.intake(at, called), self.base(out, row)]
        if self.kept:
            whole = self.as_it_comes(out, index, weights)
            items += [whole.get(source, "0") for source in call.sources]
        else:
            for number, source in enumerate(call.sources):
                items.append(self.item(out, f"w{number}", weights.get(source)))
        items += self.keep_items(call.closes)
        out += listing("weights =", items, BLOCK)
        draws = listed(self.step, index)
        noise = "noise" if draws else "()"
        if draws:
            items = [self.draw(out, k, row, name) for k, name in enumerate(draws)]
            out += noise_lines(items, BLOCK)
        first = index == 0 and self.step.chain is None
        return [*out, append_row(self.plan, call.kind, called, noise, first)]

    def draw(self, out: list[str], k: int, row: Row, name: str) -> str:
        """A draw's weight at a row and the levels between which it lies."""
        weight = next((d.weight for d in row.noise if d.name == name), ZERO)
        at = "1" if row.place.is_end else self.place(row)
        shown = self.item(out, f"g{k}", self.localise(multiply(Symbol(f"s{at}"), weight)))
        part = next(part for part in self.step.draws if part.name == name)
        return f"({shown}, {self.ratio(part.start)}, {self.ratio(part.end)})"

    def item(self, out: list[str], name: str, weight: Expr | None) -> str:
        """A weight in place when it is short, otherwise through a variable of its own."""
        if weight is None:
            return "0"
        text = python(weight)
        if len(text) <= 32:
            return text
        out += assign(name, weight, BLOCK)
        return name

    def called(self, index: int) -> Expr:
        """At what multiple of the σ/α of its state the model is called."""
        return self.step.stages[index - 1].level if index else self.program.called

    def intake(self, at: str, called: str) -> list[str]:
        """Weights that turn (x, denoised) into the integrand: ε = (x − αD)/σ, v = ε − D.

        Where the noise of a call at another level is taken as it comes, D = (x − σε)/α follows.
        """
        if self.plan.direct:
            return []
        if self.program.output == "noise" and called == "s_c":
            ratio = f"(a{at} + s{at}) / a{at}"
            return {
                "data": [f"(1 - s{at} / s_c) / a{at}", f"a_c * s{at} / (s_c * a{at})"],
                "noise": ["1 / s_c", "-a_c / s_c"],
                "velocity": [f"{ratio} / s_c - 1 / a{at}", f"-a_c * {ratio} / s_c"],
            }[self.program.integrand]
        if self.program.integrand == "data":
            return ["0", "1"]
        alpha, sigma = map(python, self.levels(at))
        top = f"-{alpha}" if self.program.integrand == "noise" else f"-({alpha} + {sigma})"
        return [f"1 / {sigma}", f"{top} / {sigma}"]

    def base(self, out: list[str], row: Row) -> str:
        """The weight of the state at the start of the step: a ratio of scales, and the row's decay."""
        to = self.place(row)
        if to == "0":
            return python(self.localise(row.decay))
        above = multiply(self.scale(to), self.localise(row.decay))
        ratio = quotient(above, self.scale("0"))
        if len(text := python(ratio)) <= 60:
            return text
        out += assign("base", ratio, BLOCK)
        return "base"

    def corrector_lines(self) -> list[str]:
        """The gap, corrector minus predictor, between the accepted and the predicted end."""
        pad = " " * BLOCK
        if self.step.corrector is None:
            return [f"{pad}gap = ()"]
        weights = self.weights(self.step.corrector)
        call = self.plan.call(self.step, self.step.evaluations - 1)
        front = 1 if self.plan.direct else 3
        sources = ["n+1", "n", *(f"n-{k}" for k in range(1, self.plan.memory))]
        sources += [f"k{j + 1}" for j in range(self.plan.carried)]
        out: list[str] = []
        items = []
        for number, source in enumerate(sources):
            item = self.item(out, f"v{number}", weights.get(source))
            if self.kept:  # the row's own weights are on the evaluation as it came
                if predicted := self.predicted.get(source):
                    item = f"-{predicted}" if item == "0" else f"{item} - {predicted}"
            elif source in call.sources:
                predicted = f"weights[{front + call.sources.index(source)}]"
                item = f"-{predicted}" if item == "0" else f"{item} - {predicted}"
            items.append(item)
        return out + listing("gap =", items, BLOCK)
