"""How symbols, functions and nodes are spelt for people: in Unicode and in LaTeX."""

from __future__ import annotations

import re

from sympy.printing.str import StrPrinter

from ...expr.functions import PLACE
from ...expr.printing import OrderedLatexPrinter, OrderedPrinter
from ...program.model import Program
from ...program.row import coordinate_number
from ...program.step import Step

_GREEK = {
    "theta": "θ",
    "Theta": "Θ",
    "eta": "η",
    "lam": "λ",
    "gamma": "γ",
    "Gamma": "Γ",
    "kappa": "κ",
    "tau": "τ",
    "h_lower": "h↓",
}
_LATEX = {
    "theta": r"\theta",
    "Theta": r"\Theta",
    "eta": r"\eta",
    "lam": r"\lambda",
    "gamma": r"\gamma",
    "Gamma": r"\Gamma",
    "H": r"\Delta",
    "kappa": r"\kappa",
    "tau": r"\tau",
    "h_lower": r"h_{\downarrow}",
}
SUBSCRIPT = str.maketrans("0123456789-+", "₀₁₂₃₄₅₆₇₈₉₋₊")
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _split_name(name: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*?)_?(\d*)", name)
    assert found
    return found[1], found[2]


def _unicode_symbol(name: str) -> str:
    stem, index = _split_name(name)
    if (number := coordinate_number(name)) > 1:
        return f"η{index.translate(SUBSCRIPT)}(y{str(number).translate(SUBSCRIPT)})"
    return _GREEK.get(stem, stem) + index.translate(SUBSCRIPT)


def _latex_symbol(name: str) -> str:
    stem, index = _split_name(name)
    if (number := coordinate_number(name)) > 1:
        return rf"\eta_{{{index}}}(y_{{{number}}})"
    head = _LATEX.get(stem, stem if len(stem) == 1 else rf"\mathrm{{{stem}}}".replace("_", r"\_"))
    return head + (f"_{{{index}}}" if index else "")


def _coordinate_apart(name: str, args: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The arguments of a function without the number of its further coordinate, and that number."""
    if name not in PLACE:
        return args, ""
    end = PLACE[name] + 1
    return args[:end], "".join(args[end:])


class UnicodePrinter(OrderedPrinter, StrPrinter):
    """Formulas for terminals and the headers of files."""

    times = " "

    def name(self, name: str) -> str:
        """Greek letters and lowered indices."""
        return _unicode_symbol(name)

    def call(self, name: str, args: tuple[str, ...]) -> str:
        """φ, μ, integrals and windows in the signs of mathematics."""
        args, beside = _coordinate_apart(name, args)
        if beside:
            beside = f"; y{beside.translate(SUBSCRIPT)}"
        match name:
            case "phi":
                return f"φ{args[0].translate(SUBSCRIPT)}({args[1]})"
            case "between":
                return f"[{' ≤ '.join(args)}]"
            case "moment":
                whole = args[1] == "1" and not beside
                return f"μ{args[0].translate(SUBSCRIPT)}" + (
                    "" if whole else f"({args[1]}{beside})"
                )
            case "integral":
                return f"∫[{args[1]}, {args[2]}] ({args[0]}) dx"
        return f"{name}({', '.join(args)}{beside})"

    def power(self, base: str, exponent: int) -> str:
        """A raised exponent."""
        return base + str(exponent).translate(SUPERSCRIPT)


class LatexPrinter(OrderedLatexPrinter):
    """Formulas for papers."""

    def name(self, name: str) -> str:
        """Greek letters and indices."""
        return _latex_symbol(name)

    def call(self, name: str, args: tuple[str, ...]) -> str:
        """Functions in the signs of mathematics."""
        args, beside = _coordinate_apart(name, args)
        if beside:
            beside = rf";\, y_{{{beside}}}"
        match name:
            case "phi":
                return rf"\varphi_{{{args[0]}}}({args[1]})"
            case "moment":
                whole = args[1] == "1" and not beside
                return rf"\mu_{{{args[0]}}}" + ("" if whole else f"({args[1]}{beside})")
            case "between":
                return r"\left[" + r" \le ".join(args) + r"\right]"
            case "integral":
                return rf"\int_{{{args[1]}}}^{{{args[2]}}} \left({args[0]}\right) dx"
            case "log":
                return rf"\log\left({args[0]}\right)"
            case "exp":
                return f"e^{{{args[0]}}}"
            case "expm1":
                return rf"\left(e^{{{args[0]}}} - 1\right)"
            case "sqrt":
                return rf"\sqrt{{{args[0]}}}"
            case "log1p":
                return rf"\log\left(1 + {args[0]}\right)"
        return rf"\mathrm{{{name}}}({', '.join(args)}{beside})"


UNICODE, LATEX = UnicodePrinter(), LatexPrinter()

OUTPUT = {"data": "D", "noise": "ε", "velocity": "v"}
OUTPUT_LATEX = {"data": "D", "noise": r"\varepsilon", "velocity": "v"}


def letter(program: Program, latex: bool) -> str:
    """What weights multiply: a model output, or G where steps take out a linear part of their own."""
    if program.linear is not None:
        return "G"
    return (OUTPUT_LATEX if latex else OUTPUT)[program.integrand]


def indexed(source: str, latex: bool = False) -> str:
    shown = {"n": "n", "n+1": "n+1"}.get(source, source)
    if latex:
        plain = shown == "n" or re.fullmatch(r"n[+-]\d+", shown)
        return shown if plain else rf"\mathrm{{{shown}}}".replace("_", r"\_")
    return shown.translate(SUBSCRIPT) if shown.startswith("n") else shown


def subscript(at: str) -> str:
    return {"n+1": "ₙ₊₁", "n": "ₙ"}.get(at, f"[{at}]")


def provisional(step: Step) -> dict[str, int]:
    """The stages that lie at the end of the step, counted: x̂ₙ₊₁, x̂ₙ₊₁⁽²⁾, …"""
    at_end = [row.name for row in step.stages if row.place.is_end]
    return {name: k for k, name in enumerate(at_end, 1)}
