"""What the weights of a step are written in: its places, offsets and functions, as local variables."""

from __future__ import annotations

from sympy import Expr, Symbol

from ..expr.arithmetic import (
    BINDERS,
    ONE,
    ZERO,
    add,
    children,
    function_name,
    multiply,
    rebuild,
    split,
    symbols,
    walk,
)
from ..expr.binders import BOUND
from ..expr.functions import PLACE, expm1, lift, log1p, number_of
from ..program.model import Program
from ..program.row import Row, coordinate_number, past_offset, scale_terms
from ..program.step import Step
from .file_plan import phis_of, stage_names
from .parts.noise_text import GRID_NAMES
from .python_text import WIDTH, at_step, python

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
# The same for quantities that count grid points, before their index.
SHORT = {"theta": "t", "Theta": "T", "eta": "y", "gamma": "f", "Gamma": "F"}
OFFSETS = {
    "theta": "(lam[i] - lam[i - {k}]) / h",
    "Theta": "(clock[i] - clock[i - {k}]) / H",
    "eta": "-coordinate(lam[i - {k}], lam[i], lam[i + 1])",
    "gamma": "(lam[i + {k}] - lam[i]) / h",
    "Gamma": "(clock[i + {k}] - clock[i]) / H",
}
CLOCKS = {"data": "{a} / {s}", "noise": "{s} / {a}", "velocity": "{s} / ({a} + {s})"}
# λ at a value of the clock.
LAMBDA = {
    "data": "math.log({})",
    "noise": "-math.log({})",
    "velocity": "math.log(1 / ({}) - 1)",
}


def coordinate_name(number: int) -> str:
    """What the further coordinate of a number is called in a file."""
    return "y" if number == 1 else f"y_{number}"


def rate_name(number: int) -> str:
    """What its derivative is called, where a file has several."""
    return f"d{coordinate_name(number)}"


def clock_text(program: Program) -> str:
    """The integrand's clock at every grid point, as a list."""
    bounded = {"data": "s", "noise": "a"}.get(program.integrand)
    clock = CLOCKS[program.integrand].format(a="a", s="s")
    clock += f" if {bounded} else math.inf" if bounded else ""
    return f"[{clock} for a, s in zip(alpha, sigma)]"


class StepQuantities:
    """The local variables of one kind of step, named as its weights come to need them."""

    def __init__(self, program: Program, step: Step) -> None:
        self.program, self.step = program, step
        self.stages = stage_names(step)
        self.named: dict[Expr, str] = {}
        self.varying = frozenset(program.varying)
        self.churned = step.churn is not None
        self.end = "j" if program.remainder else "i + 1"
        self.origin = "start" if self.churned else "lam[i]"

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

    def ratio(self, fraction: Expr) -> str:
        """σ/α at the start of the step, at its end, or at the place of a stage."""
        if fraction in (ZERO, ONE):
            return "q0" if fraction == ZERO else "q1"
        row = next(row for row in self.step.stages if row.place.fraction == fraction)
        return f"s{self.place(row)} / a{self.place(row)}"

    def levels(self, at: str) -> tuple[Expr, Expr]:
        """α and σ at a place; where an ancestral step's deterministic part ends α is that of its end."""
        return Symbol("a1" if at == "2" else f"a{at}"), Symbol(f"s{at}")

    def scale(self, at: str, past: int = 0) -> Expr:
        """The scale S of the plain form at a place of the step, or at a grid point before it."""
        levels = self.levels(at)
        if past:
            levels = (Symbol(f"alpha[i - {past}]"), Symbol(f"sigma[i - {past}]"))
        return add(*scale_terms(self.program.integrand, *levels))

    def clock(self, at: str) -> str:
        """The clock at a place of the step, as Python."""
        alpha, sigma = self.levels(at)
        return CLOCKS[self.program.integrand].format(a=python(alpha), s=python(sigma))

    def localise(self, expr: Expr) -> Expr:
        """History offsets and functions of the grid become local variables."""

        def leaf(symbol: Symbol) -> Expr:
            prefix = symbol.name.rstrip("0123456789")
            index = symbol.name[len(prefix) :]
            number = coordinate_number(symbol.name)
            if number > 1:
                return Symbol(f"y{number}_{index}")
            if symbol.name in self.varying:
                return at_step(symbol.name)
            if symbol.name in GRID_NAMES:
                return Symbol(GRID_NAMES[symbol.name])
            return Symbol(SHORT[prefix] + index) if index and prefix in SHORT else symbol

        return rebuild(expr, leaf, self.name_call)

    def name_call(self, call: Expr) -> Expr:
        """The local variable that holds a φ-function, integral or function of a coordinate."""
        if function_name(call) not in LETTERS:
            return call
        if call not in self.named:
            self.named[call] = self.fresh(call)
        return Symbol(self.named[call])

    def fresh(self, call: Expr) -> str:
        """A short name: ``p2`` for φ_2 of the whole step, ``p2_k1`` at the place of a stage."""
        function = function_name(call)
        name = LETTERS[function]
        if function in ("phi", "moment"):
            name += python(call.args[0])
        if function not in BINDERS:
            name += self.suffix(call)
        taken, serial, unique = set(self.named.values()), 2, name
        while unique in taken:
            unique, serial = f"{name}_{serial}", serial + 1
        return unique

    def suffix(self, call: Expr) -> str:
        kappa, name = self.program.kappa, function_name(call)
        where = call.args[PLACE.get(name, -1)]
        for row in reversed(self.step.rows):
            if kappa == 0 and not row.place.is_end:
                continue
            c = row.place.lam(kappa)
            if name == "fraction":
                if c == call:
                    return self.place(row)
                continue
            z = self.localise(multiply(multiply(lift(-kappa), c, self.step.kernel), Symbol("h")))
            if where == (z if name == "phi" else self.localise(c)):
                return "" if row.place.is_end else self.place(row)
        return "_z"

    def offsets(self) -> list[str]:
        """θ_k, Θ_k, η_k: where past evaluations lie, in units of the step."""
        names = {name for e in self.step.weights for name in symbols(e)}
        out = []
        for prefix, text in OFFSETS.items():
            for k in range(1, 10):
                if f"{prefix}{k}" in names:
                    given = text.format(k=k).replace("coordinate(", f"coordinate({self.which(1)}")
                    out.append(f"{' ' * BLOCK}{SHORT[prefix]}{k} = {given}")
        for number in range(2, len(self.step.coordinates) + 1):
            for k in range(1, 10):
                if f"{past_offset(number)}{k}" in names:
                    given = f"-coordinate({self.which(number)}lam[i - {k}], lam[i], lam[i + 1])"
                    out.append(f"{' ' * BLOCK}y{number}_{k} = {given}")
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
                move = self.localise(multiply(row.place.fraction, Symbol("h")))
                where = f"{self.origin} + {python(move)}"
            else:
                where = LAMBDA[self.program.integrand].format(self.on_clock(row))
            out += self.reached(row)
            head = f"{pad}a{at}, s{at} = level("
            line = f"{head}{where}, gauge)"
            broken = [head, f"{pad}    {where}, gauge", f"{pad})"]
            out += [line] if len(line) <= WIDTH else broken
        return out

    def on_clock(self, row: Row) -> str:
        """The clock at a stage that lies at a fraction of the step in it, as Python."""
        begin = self.clock("0") if self.churned else "clock[i]"
        return f"{begin} + {python(self.localise(multiply(row.place.fraction, Symbol('H'))))}"

    def reached(self, row: Row) -> list[str]:
        """The refusal of steps so long that a stage outside them has no level, where there are any."""
        fraction, pad = row.place.fraction, " " * BLOCK
        if row.place.coordinate == "lambda":
            found = _outside_in_lambda(fraction)
            if found is None:
                return []
            value, above = found
            fails = f"{python(self.localise(value))} <= 0"
        else:
            if not fraction.is_Rational or 0 <= fraction <= 1:
                return []
            above = bool(fraction > 1)
            if above and self.program.kappa == 1 or not above and self.program.kappa == -1:
                return []  # the clock ends on the other side alone
            bound = ">= 1" if self.program.kappa == 0 and not above else "<= 0"
            fails = f"{self.on_clock(row)} {bound}"
        end = "sigma = 0" if above else "alpha = 0"
        return [
            f"{pad}if {fails}:",
            f'{pad}    where = f"step {{i}}, from sigma / alpha = {{s0 / a0}} to {{s1 / a1}}"',
            f'{pad}    why = "its stage {row.name} lies beyond {end}; take more steps"',
            f'{pad}    raise ValueError(f"{{where}}: {{why}}")',
        ]

    def functions(self, fractions: bool) -> list[str]:
        """φ-functions, integrals and functions of the further coordinate, one assignment each.

        Args:
            fractions: the places of stages in the further coordinate, or everything else.
        """
        out = []
        for call, name in self.named.items():
            function = function_name(call)
            if (function == "fraction") != fractions:
                continue
            if function in BINDERS:
                out += _opened(name, call)
                continue
            if function == "moment":
                out += self.moments(call)
                continue
            if function == "phi" and (together := phis_of(call, self.named)):
                if call == together[0]:
                    out.append(self.phis(together))
                continue
            args = call.args[:1] if function in PLACE else call.args
            text = ", ".join(python(arg) for arg in args)
            if function == "offset":
                text = f"lam[i] + {python(multiply(call.args[0], Symbol('h')))}"
            if function != "phi":
                text += f", lam[i], lam[{self.end}]"
            if function in PLACE:
                text = f"{self.which(number_of(call), function == 'slope')}{text}"
            called = "coordinate" if function == "offset" else function
            out.append(f"{' ' * BLOCK}{name} = {called}({text})")
        return out

    def phis(self, calls: list[Expr]) -> str:
        """The assignment of several φ-functions of one argument, each from the one above it."""
        names = {int(call.args[0]): self.named[call] for call in calls}
        given = ", ".join(names.get(k, "_") for k in range(1, max(names) + 1))
        return f"{' ' * BLOCK}{given} = phis({max(names)}, {python(calls[0].args[1])})"

    def which(self, number: int, rate: bool = False) -> str:
        """The coordinate as the first argument of its functions, where the file has several."""
        if len(self.program.coordinates) < 2:
            return ""
        return f"{coordinate_name(number)}, " + (f"{rate_name(number)}, " if rate else "")

    def moments(self, call: Expr) -> list[str]:
        """One assignment of all moments up to a place, where the first of them comes."""
        place = call.args[1:]
        alike = [c for c in self.named if function_name(c) == "moment" and c.args[1:] == place]
        if call != alike[0]:
            return []
        names, powers = (
            f"({texts[0]},)" if len(texts) == 1 else ", ".join(texts)
            for texts in ([self.named[c] for c in alike], [python(c.args[0]) for c in alike])
        )
        powers = powers if powers.startswith("(") else f"({powers})"
        ends = f"{python(place[0])}, lam[i], lam[{self.end}]"
        return [f"{' ' * BLOCK}{names} = moments({self.which(number_of(call))}{powers}, {ends})"]


def _outside_in_lambda(fraction: Expr) -> tuple[Expr, bool] | None:
    """What must stay positive for a place log1p(c expm1(z)), and whether it lies after the step.

    Returns:
        1 + c expm1(z) and whether c > 1, or ``None`` where it is positive for every step, or c is a
        parameter.
    """
    for node in walk(fraction):
        if isinstance(node, log1p):
            c, factors = split(node.args[0])
            if len(factors) != 1 or not isinstance(factors[0], expm1):
                continue
            if c > 1 if split(factors[0].args[0])[0] < 0 else c < 0:
                return add(ONE, node.args[0]), c > 1
    return None


def _opened(name: str, call: Expr) -> list[str]:
    """The assignment of an integral, broken inside its bracket where it is long."""
    pad, text = " " * BLOCK, python(call)
    if len(line := f"{pad}{name} = {text}") <= WIDTH:
        return [line]
    function = function_name(call)
    inside = text[len(function) + 1 : -1]
    if len(f"{pad}    {inside}") <= WIDTH:
        return [f"{pad}{name} = {function}(", f"{pad}    {inside}", f"{pad})"]
    integrated, *limits = children(call)
    ends = [python(arg) for arg in limits]
    integrand = f"lambda {BOUND.name}: {python(integrated)}"
    items = [f"{pad}    {item}," for item in (integrand, *ends)]
    return [f"{pad}{name} = {function}(", *items, f"{pad})"]
