"""Expressions as Python source, spelt as a formatter would spell them, within 100 columns."""

from __future__ import annotations

from sympy import Expr, Symbol
from sympy.printing.str import StrPrinter

from ..expr.arithmetic import BINDERS, ONE, children, function_name, multiply, power, split
from ..expr.binders import BOUND
from ..expr.functions import lift
from ..expr.printing import PRODUCT, OrderedPrinter, ordered_terms, show

WIDTH = 100


class PythonPrinter(OrderedPrinter, StrPrinter):
    """Python source for floats, with `math` and the fixed functions of emitted files."""

    times = " * "

    def fraction(self, top: str, top_level: int, bottom: str, bottom_level: int) -> str:
        """A quotient, with the spaces of a formatter."""
        top = top if top_level >= PRODUCT else f"({top})"
        return f"{top} / {bottom if bottom_level > PRODUCT else f'({bottom})'}"

    def call(self, name: str, args: tuple[str, ...]) -> str:
        """A function of `math`, of the file, or a comparison."""
        if name == "between":
            return f"({' <= '.join(args)})"
        if name in BINDERS:
            return f"{name}(lambda {BOUND.name}: {', '.join(args)})"
        spelt = name if name in ("phi", "moment", "offset", "min") else f"math.{name}"
        return f"{spelt}({', '.join(args)})"

    def power(self, base: str, exponent: int) -> str:
        """An integer power, as a formatter spaces it."""
        simple = base.isidentifier() or base.isdigit()
        return f"{base}**{exponent}" if simple else f"{base} ** {exponent}"


_PRINTER = PythonPrinter()


def python(expr: Expr) -> str:
    """The expression as one line of Python.

    >>> from sympy import symbols
    >>> from solvergen.expr.functions import phi
    >>> h, r = symbols("h r")
    >>> python(h * phi(1, -h) / (2 * r))
    'h * phi(1, -h) / (2 * r)'
    """
    return show(expr, _PRINTER)


def at_step(name: str) -> Symbol:
    """The number of step i, of a parameter that has one for each step."""
    return Symbol(f"{name}[i]")


def assign(name: str, expr: Expr, indent: int) -> list[str]:
    """Lines that assign an expression to a name (or return it), broken where a formatter would."""
    pad, head = " " * indent, name if name == "return" else f"{name} ="
    line = f"{pad}{head} {python(expr)}"
    if len(line) <= WIDTH:
        return [line]
    coefficient, factors = split(expr)
    whole = coefficient.denominator == 1 and coefficient != -1
    pair = whole and (coefficient != 1) + len(factors) == 2 and not factors[0].is_Pow
    if pair and factors[-1].is_Add:  # a formatter opens the only bracket
        front = python(multiply(lift(coefficient), *factors[:-1]))
        return [f"{pad}{head} {front} * (", *_broken(factors[-1], indent + 4), f"{pad})"]
    return [f"{pad}{head} (", *_broken(expr, indent + 4), f"{pad})"]


def _broken(expr: Expr, indent: int, lead: str = "") -> list[str]:
    """An expression over several lines: a term a line, or a factor a line when one is too long."""
    pad = " " * indent
    whole = f"{pad}{lead}{python(expr)}"
    if len(whole) <= WIDTH:
        return [whole]
    if expr.is_Add:
        out: list[str] = []
        for sign, term in ordered_terms(expr):
            mark = f"{sign} " if out else ("-" if sign == "-" else "")
            out += _broken(term, indent, lead + mark if not out else mark)
        return out
    return _broken_product(expr, indent, lead)


def _broken_product(expr: Expr, indent: int, lead: str) -> list[str]:
    pad = " " * indent
    coefficient, factors = split(expr)
    above = [f for f in factors if not (f.is_Pow and f.exp < 0)]
    below = multiply(*(power(f, -1) for f in factors if f not in above))
    number = abs(coefficient.numerator)
    tops: list[Expr] = ([lift(number)] if number != 1 or not above else []) + above
    out = []
    mark = lead + ("-" if coefficient < 0 else "")
    for top in tops:
        text = f"({python(top)})" if top.is_Add else python(top)
        inner = top.args[0] if function_name(top) and len(children(top)) == 1 else top
        if inner.is_Add and len(pad + mark + text) > WIDTH:
            head = text[: text.index("(") + 1]
            out += [f"{pad}{mark}{head}", *_broken(inner, indent + 4), f"{pad})"]
        else:
            out.append(f"{pad}{mark}{text}")
        mark = "* "
    bottom = multiply(lift(coefficient.denominator), below)
    if bottom != ONE:
        text = python(bottom)
        line = f"{pad}/ " + (text if bottom.is_Atom or function_name(bottom) else f"({text})")
        broken = [f"{pad}/ (", *_broken(bottom, indent + 4), f"{pad})"]
        out += [line] if len(line) <= WIDTH else broken
    return out


def wrap_tuple(head: str, items: list[str], indent: int, tail: str = "") -> list[str]:
    """`head(items)tail` on one line, or one item a line as a formatter would break it."""
    pad = " " * indent
    inner = f"{items[0]}," if len(items) == 1 else ", ".join(items)
    line = f"{pad}{head}({inner}){tail}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{pad}{head}(", *(f"{pad}    {item}," for item in items), f"{pad}){tail}"]


def listing(head: str, items: list[str], indent: int) -> list[str]:
    """The statement of a tuple, which on one line needs no parentheses."""
    line = f"{' ' * indent}{head} {', '.join(items)}"
    bare = len(items) > 1 and len(line) + 2 <= WIDTH
    return [line] if bare else wrap_tuple(f"{head} ", items, indent)


def literal(head: str, value: object, indent: int = 0, tail: str = "") -> list[str]:
    """Plain data (dicts, lists, texts, numbers) as source, broken where a formatter would."""
    pad = " " * indent
    line = f"{pad}{head}{_flat(value)}{tail}"
    if len(line) <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return [line]
    opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
    lines = [f"{pad}{head}{opened}"]
    items = value.items() if isinstance(value, dict) else [(None, item) for item in value]
    for key, item in items:
        lines += literal("" if key is None else f'"{key}": ', item, indent + 4, ",")
    return [*lines, f"{pad}{closed}{tail}"]


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{k}": {_flat(v)}' for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flat(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)
