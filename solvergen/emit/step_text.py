"""The text of one kind of step inside `coefficients`: offsets, places, φ-functions, weights."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..expr.tree import (
    BINDERS,
    BOUND,
    ONE,
    ZERO,
    Call,
    Expr,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    add,
    lift,
    multiply,
    power,
    rebuild,
    symbols,
)
from ..program.model import Row, Step, Term, depth
from .layout import CLOCKS, Layout, row_after, stage_names, uses_clock
from .noise_text import (
    GRID_NAMES,
    lifted,
    listed,
    local,
    needs_levels,
    noise_lines,
    renews,
    scalar_lines,
)
from .python_text import WIDTH, assign, python, wrap_tuple

BLOCK = 12
# What the local variables that hold functions are called, before an index.
LETTERS = {
    "phi": "p",
    "moment": "m",
    "offset": "o",
    "fraction": "c",
    "slope": "d",
    "integral": "area",
    "riemann": "area",
}


def bare(line: str) -> str:
    """A tuple on one line needs no parentheses."""
    head, _, rest = line.partition("(")
    return head + rest[:-1]


def append_row(layout: Layout, kind: int, sigma: str, noise: str = "()", first: bool = True) -> str:
    """The line that adds one model call to the plan."""
    weights = "corrected(weights, gap)" if layout.corrects else "weights"
    if layout.program.stochastic:
        weights += f", {noise}"
    if lifted(layout.program):
        weights += ", lifts" if first else ", ()"
    return f"{' ' * BLOCK}plan.append((i, {kind}, {sigma}, {weights}))"


class StepText:
    """The block of one kind of step: offsets, places, φ-functions, then weights call by call."""

    def __init__(self, layout: Layout, step: Step) -> None:
        self.layout, self.step, self.program = layout, step, layout.program
        self.stages = stage_names(step)
        self.named: dict[Call, str] = {}
        self.churned = step.churn is not None
        self.end = "j" if self.program.remainder else "i + 1"
        self.origin = "start" if self.churned else "lam[i]"
        self.factors = {row.name: self.factor(row) for row in step.rows}

    def lines(self) -> list[str]:
        rows = [(row, self.weights(row)) for row in self.step.rows]
        places = self.places()
        out = [*self.scalars(), *self.chain(), *self.offsets(), *self.functions(True), *places]
        out += self.functions(False)
        for index in range(self.step.evaluations):
            row = row_after(self.step, index)
            out += self.call_lines(index, row, dict(rows)[row])
        if self.layout.corrects:
            out += self.corrector_lines()
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
            start = "s0 / a0 if a0 else math.inf" if renews(self.program) else "s0 / a0"
            out.append(f"{pad}q0, q1 = {start}, s1 / a1")
        if self.churned:
            if uses_clock(self.program):
                clock = CLOCKS[self.program.integrand].format(a="a0", s="s0")
                out.append(f"{pad}H = clock[i + 1] - {clock}")
        else:
            out += scalar_lines(step, BLOCK)
        if step.down is not None:
            out += assign("h", local(step.down), BLOCK)
            out.append(f"{pad}s2 = a1 * math.exp(-lam[i] - h)  # where the deterministic part ends")
            if uses_clock(self.program):
                clock = CLOCKS[self.program.integrand].format(a="a1", s="s2")
                out.append(f"{pad}H = {clock} - clock[i]")
        return out

    def chain(self) -> list[str]:
        """The plan's rows of the Langevin steps before the step's own, all of them equal."""
        chain, pad = self.step.chain, " " * BLOCK
        out: list[str] = []
        if chain is None:
            return []
        a, s = Symbol("a0"), Symbol("s0")
        site = next(call for call in self.layout.calls if call.evaluations == 1)
        kind, two = site.kind, Call("sqrt", (lift(2),))
        if chain.rate is None:
            assert chain.snr is not None
            kind, spread = len(self.layout.calls), two * s
            items = [python(two * local(chain.snr) * s), "a0"]
        else:
            rate = local(chain.rate)
            spread = s * Call("sqrt", (2 * rate,))
            items = [self.item(out, "base", 1 - rate), self.item(out, "w0", a * rate)]
            items += ["0"] * (len(site.sources) - 1)
        out.append(f"{pad}weights = {', '.join(items)}")
        out += noise_lines([f"({self.item(out, 'g0', spread)}, q0, q0)"], BLOCK)
        row = f"i, {kind}, s0, weights, noise"
        if not lifted(self.program):
            times = f" * {chain.repeats}" if chain.repeats > 1 else ""
            return [*out, f"{pad}plan += [({row})]{times}"]
        rest = [f"{pad}plan += [({row}, ())] * {chain.repeats - 1}"] if chain.repeats > 1 else []
        return [*out, f"{pad}plan.append(({row}, lifts))", *rest]

    def place(self, row: Row) -> str:
        """Suffix of the variables of a row's place: ``1`` at the end of the step, else ``_k1``.

        ``2`` is the end of the deterministic part of an ancestral step, ``0`` the start.
        """
        if row.place.is_end:
            return "1" if self.step.down is None else "2"
        if row.place.fraction == ZERO:
            return "0"
        twin = next(r for r in self.step.stages if r.place == row.place)
        return f"_{self.stages[twin.name]}"

    def factor(self, row: Row) -> Expr:
        """What turns weights in the row's gauge into weights on the model's outputs."""
        at = self.place(row)
        a, s = Symbol("a1" if at == "2" else f"a{at}"), Symbol(f"s{at}")
        scale = {"data": s, "noise": a, "velocity": a + s}[self.program.integrand]
        if row.gauge == "clock":
            return multiply(scale, Symbol("H"))
        return a if self.program.integrand == "data" else -s

    def weights(self, row: Row) -> dict[str, Expr]:
        factor = self.factors[row.name]
        return {
            self.stages.get(term.source, term.source): self.localise(multiply(factor, term.weight))
            for term in row.terms
        } | {term.source: self.state_weight(row, term) for term in row.carry}

    def state_weight(self, row: Row, term: Term) -> Expr:
        """The weight of a past state: a ratio of scales and its factor."""
        to, k = self.place(row), depth(term.source)
        scale = {
            "data": lambda a, s: s,
            "noise": lambda a, s: a,
            "velocity": lambda a, s: a + s,
        }[self.program.integrand]
        then = scale(Symbol(f"alpha[i - {k}]"), Symbol(f"sigma[i - {k}]"))
        now = scale(Symbol(f"a{to}"), Symbol(f"s{to}"))
        return multiply(now, self.localise(term.weight)) / then

    def localise(self, expr: Expr) -> Expr:
        """History offsets and functions of the grid become local variables."""
        short = {"theta": "t", "Theta": "T", "eta": "y", "gamma": "f", "Gamma": "F"}

        def leaf(symbol: Symbol) -> Expr:
            prefix = symbol.name.rstrip("0123456789")
            index = symbol.name[len(prefix) :]
            if symbol.name in GRID_NAMES:
                return Symbol(GRID_NAMES[symbol.name])
            return Symbol(short[prefix] + index) if index and prefix in short else symbol

        return _replace_calls(rebuild(expr, leaf), self.name_call)

    def name_call(self, call: Call) -> Expr:
        """The local variable that holds a φ-function, integral or function of a coordinate."""
        if call.name not in LETTERS:
            return call
        if call not in self.named:
            self.named[call] = self.fresh(call)
        return Symbol(self.named[call])

    def fresh(self, call: Call) -> str:
        """A short name: ``p2`` for φ_2 of the whole step, ``p2_k1`` at the place of a stage."""
        name = LETTERS[call.name]
        if call.name in ("phi", "moment"):
            name += python(call.args[0])
        if call.name not in BINDERS:
            name += self.suffix(call)
        taken, serial, unique = set(self.named.values()), 2, name
        while unique in taken:
            unique, serial = f"{name}_{serial}", serial + 1
        return unique

    def suffix(self, call: Call) -> str:
        kappa, where = self.program.kappa, call.args[-1]
        for row in reversed(self.step.rows):
            if kappa == 0 and not row.place.is_end:
                continue
            c = row.place.lam(kappa)
            if call.name == "fraction":
                if c == call:
                    return self.place(row)
                continue
            z = self.localise(-kappa * c * self.step.kernel * Symbol("h"))
            if where == (z if call.name == "phi" else self.localise(c)):
                return "" if row.place.is_end else self.place(row)
        return "_z"

    def offsets(self) -> list[str]:
        """θ_k, Θ_k, η_k: where past evaluations lie, in units of the step."""
        names = {name for row in self.step.rows for e in row.expressions for name in symbols(e)}
        out = []
        for prefix, short, text in (
            ("theta", "t", "(lam[i] - lam[i - {k}]) / h"),
            ("Theta", "T", "(clock[i] - clock[i - {k}]) / H"),
            ("eta", "y", "coordinate(lam[i - {k}], lam[i], lam[i + 1])"),
            ("gamma", "f", "(lam[i + {k}] - lam[i]) / h"),
            ("Gamma", "F", "(clock[i + {k}] - clock[i]) / H"),
        ):
            for k in range(1, 10):
                if f"{prefix}{k}" in names:
                    sign = "-" if prefix == "eta" else ""
                    out.append(f"{' ' * BLOCK}{short}{k} = {sign}{text.format(k=k)}")
        if "remaining" in names:
            out.append(f"{' ' * BLOCK}remaining = math.exp(lam[int(alpha[0] == 0)] - lam[i])")
        return out

    def places(self) -> list[str]:
        """α, σ, λ of the stages."""
        out: list[str] = []
        seen = set()
        pad = " " * BLOCK
        for row in self.step.stages:
            at = self.place(row)
            if not at.startswith("_") or at in seen:
                continue
            seen.add(at)
            if row.place.ahead:
                k = row.place.ahead
                out.append(f"{pad}a{at}, s{at} = alpha[i + {k}], sigma[i + {k}]")
                continue
            if row.place.coordinate == "lambda":
                move = self.localise(row.place.fraction * Symbol("h"))
                where = f"{self.origin} + {python(move)}"
            else:
                begin = "clock[i]"
                if self.churned:
                    begin = CLOCKS[self.program.integrand].format(a="a0", s="s0")
                clock = f"{begin} + {python(row.place.fraction * Symbol('H'))}"
                where = {
                    "data": "math.log({})",
                    "noise": "-math.log({})",
                    "velocity": "math.log(1 / ({}) - 1)",
                }[self.program.integrand].format(clock)
            head = f"{pad}a{at}, s{at} = level("
            line = f"{head}{where}, gauge)"
            broken = [head, f"{pad}    {where}, gauge", f"{pad})"]
            out += [line] if len(line) <= WIDTH else broken
        return out

    def functions(self, fractions: bool) -> list[str]:
        """φ-functions, integrals and functions of the further coordinate, one assignment each.

        Args:
            fractions: the places of stages in the further coordinate, or everything else.
        """
        out = []
        for call, name in self.named.items():
            if (call.name == "fraction") != fractions:
                continue
            if call.name in BINDERS:
                out += _opened(name, call)
                continue
            text = ", ".join(python(arg) for arg in call.args)
            if call.name == "offset":
                text = f"lam[i] + {python(call.args[0] * Symbol('h'))}"
            if call.name != "phi":
                text += f", lam[i], lam[{self.end}]"
            function = "coordinate" if call.name == "offset" else call.name
            out.append(f"{' ' * BLOCK}{name} = {function}({text})")
        return out

    def call_lines(self, index: int, row: Row, weights: dict[str, Expr]) -> list[str]:
        """The plan's row for one model call."""
        call = self.layout.call(self.step, index)
        out: list[str] = []
        at = "0" if index == 0 else self.place(self.step.stages[index - 1])
        items = [*self.intake(at), self.base(out, row)]
        for number, source in enumerate(call.sources):
            items.append(self.item(out, f"w{number}", weights.get(source)))
        lines = wrap_tuple("weights = ", items, BLOCK)
        out += [bare(lines[0])] if len(lines) == 1 and len(items) > 1 else lines
        draws = listed(self.step, index)
        noise = "noise" if draws else "()"
        if draws:
            items = [self.draw(out, k, row, name) for k, name in enumerate(draws)]
            out += noise_lines(items, BLOCK)
        first = index == 0 and self.step.chain is None
        return [*out, append_row(self.layout, call.kind, f"s{at}", noise, first)]

    def draw(self, out: list[str], k: int, row: Row, name: str) -> str:
        """A draw's weight at a row and the levels between which it lies."""
        weight = next((d.weight for d in row.noise if d.name == name), ZERO)
        at = "1" if row.place.is_end else self.place(row)
        shown = self.item(out, f"g{k}", self.localise(multiply(Symbol(f"s{at}"), weight)))
        part = next(part for part in self.step.draws if part.name == name)
        return f"({shown}, {self.ratio(part.start)}, {self.ratio(part.end)})"

    def ratio(self, fraction: Expr) -> str:
        """σ/α at the start of the step, at its end, or at the place of a stage."""
        if fraction in (ZERO, ONE):
            return "q0" if fraction == ZERO else "q1"
        row = next(row for row in self.step.stages if row.place.fraction == fraction)
        return f"s{self.place(row)} / a{self.place(row)}"

    def item(self, out: list[str], name: str, weight: Expr | None) -> str:
        """A weight in place when it is short, otherwise through a variable of its own."""
        if weight is None:
            return "0"
        text = python(weight)
        if len(text) <= 32:
            return text
        out += assign(name, weight, BLOCK)
        return name

    def intake(self, at: str) -> list[str]:
        """Weights that turn (x, denoised) into the integrand: ε = (x − αD)/σ, v = ε − D."""
        if self.program.integrand == "data":
            return []
        top = f"-a{at}" if self.program.integrand == "noise" else f"-(a{at} + s{at})"
        return [f"1 / s{at}", f"{top} / s{at}"]

    def base(self, out: list[str], row: Row) -> str:
        """The weight of the state at the start of the step: a ratio of scales, and the row's decay."""
        to = self.place(row)
        if to == "0":
            return python(self.localise(row.decay))
        if row.decay != ONE or to == "2":
            scale = {
                "data": lambda a, s: s,
                "noise": lambda a, s: a,
                "velocity": lambda a, s: a + s,
            }[self.program.integrand]
            top = scale(Symbol("a1" if to == "2" else f"a{to}"), Symbol(f"s{to}"))
            ratio = top * self.localise(row.decay) / scale(Symbol("a0"), Symbol("s0"))
            if len(text := python(ratio)) <= 60:
                return text
            out += assign("base", ratio, BLOCK)
            return "base"
        return {
            "data": f"s{to} / s0",
            "noise": f"a{to} / a0",
            "velocity": f"(a{to} + s{to}) / (a0 + s0)",
        }[self.program.integrand]

    def corrector_lines(self) -> list[str]:
        """The gap, corrector minus predictor, between the accepted and the predicted end."""
        pad = " " * BLOCK
        if self.step.corrector is None:
            return [f"{pad}gap = ()"]
        weights = self.weights(self.step.corrector)
        call = self.layout.call(self.step, self.step.evaluations - 1)
        front = 1 if self.program.integrand == "data" else 3
        sources = ["n+1", "n", *(f"n-{k}" for k in range(1, self.layout.memory))]
        sources += [f"k{j + 1}" for j in range(self.layout.carried)]
        out: list[str] = []
        items = []
        for number, source in enumerate(sources):
            item = self.item(out, f"v{number}", weights.get(source))
            if source in call.sources:
                predicted = f"weights[{front + call.sources.index(source)}]"
                item = f"-{predicted}" if item == "0" else f"{item} - {predicted}"
            items.append(item)
        lines = wrap_tuple("gap = ", items, BLOCK)
        return out + ([bare(lines[0])] if len(lines) == 1 and len(items) > 1 else lines)


def _opened(name: str, call: Call) -> list[str]:
    """The assignment of an integral, broken inside its bracket where it is long."""
    pad, text = " " * BLOCK, python(call)
    if len(line := f"{pad}{name} = {text}") <= WIDTH:
        return [line]
    inside = text[len(call.name) + 1 : -1]
    if len(f"{pad}    {inside}") <= WIDTH:
        return [f"{pad}{name} = {call.name}(", f"{pad}    {inside}", f"{pad})"]
    ends = [python(arg) for arg in call.args[1:]]
    integrand = f"lambda {BOUND.name}: {python(call.args[0])}"
    items = [f"{pad}    {item}," for item in (integrand, *ends)]
    return [f"{pad}{name} = {call.name}(", *items, f"{pad})"]


def _replace_calls(expr: Expr, name: Callable[[Call], Expr]) -> Expr:
    """Map calls through a function, the innermost first; what an integral binds stays inside."""
    match expr:
        case Call(function, args):
            if function not in BINDERS:
                args = tuple(_replace_calls(arg, name) for arg in args)
            return name(Call(function, args))
        case Power(base, exponent):
            return power(_replace_calls(base, name), exponent)
        case Product(coefficient, factors):
            return multiply(Number(coefficient), *(_replace_calls(f, name) for f in factors))
        case Sum(terms):
            return add(*(_replace_calls(term, name) for term in terms))
    return expr
