"""The update formula for people: in the terminal, in LaTeX, in Markdown, in file headers."""

from __future__ import annotations

import re
import textwrap

from ..expr.show import ATOM, PRODUCT, Notation, show
from ..expr.tree import Expr, Sum, split
from ..program.model import Place, Program, Row, Step

TERMINAL = 110
_GREEK = {"theta": "θ", "Theta": "Θ", "eta": "η", "lam": "λ", "gamma": "γ", "kappa": "κ"}
_LATEX = {
    "theta": r"\theta",
    "Theta": r"\Theta",
    "eta": r"\eta",
    "lam": r"\lambda",
    "gamma": r"\gamma",
    "H": r"\Delta",
    "kappa": r"\kappa",
}
_SUBSCRIPT = str.maketrans("0123456789-+", "₀₁₂₃₄₅₆₇₈₉₋₊")
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _split_name(name: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*?)_?(\d*)", name)
    assert found
    return found[1], found[2]


def _unicode_symbol(name: str) -> str:
    stem, index = _split_name(name)
    return _GREEK.get(stem, stem) + index.translate(_SUBSCRIPT)


def _latex_symbol(name: str) -> str:
    stem, index = _split_name(name)
    head = _LATEX.get(stem, stem if len(stem) == 1 else rf"\mathrm{{{stem}}}".replace("_", r"\_"))
    return head + (f"_{{{index}}}" if index else "")


def _unicode_call(name: str, args: tuple[str, ...]) -> str:
    if name == "phi":
        return f"φ{args[0].translate(_SUBSCRIPT)}({args[1]})"
    if name == "moment":
        return f"μ{args[0].translate(_SUBSCRIPT)}" + ("" if args[1] == "1" else f"({args[1]})")
    return f"{name}({', '.join(args)})"


def _latex_call(name: str, args: tuple[str, ...]) -> str:
    match name:
        case "phi":
            return rf"\varphi_{{{args[0]}}}({args[1]})"
        case "moment":
            return rf"\mu_{{{args[0]}}}" + ("" if args[1] == "1" else f"({args[1]})")
        case "exp":
            return f"e^{{{args[0]}}}"
        case "expm1":
            return rf"\left(e^{{{args[0]}}} - 1\right)"
        case "sqrt":
            return rf"\sqrt{{{args[0]}}}"
        case "log1p":
            return rf"\log\left(1 + {args[0]}\right)"
    return rf"\mathrm{{{name}}}({', '.join(args)})"


def _unicode_fraction(top: str, top_level: int, bottom: str, bottom_level: int) -> str:
    top = top if top_level >= PRODUCT else f"({top})"
    return f"{top}/{bottom if bottom_level >= ATOM else f'({bottom})'}"


UNICODE = Notation(
    times=" ",
    symbol=_unicode_symbol,
    call=_unicode_call,
    fraction=_unicode_fraction,
    power=lambda base, exponent: base + str(exponent).translate(_SUPERSCRIPT),
)
LATEX = Notation(
    times=r" \, ",
    symbol=_latex_symbol,
    call=_latex_call,
    fraction=lambda top, _, bottom, __: rf"\frac{{{top}}}{{{bottom}}}",
    power=lambda base, exponent: f"{base}^{{{exponent}}}",
    parentheses=(r"\left(", r"\right)"),
)

_OUTPUT = {"data": "D", "noise": "ε", "velocity": "v"}
_OUTPUT_LATEX = {"data": "D", "noise": r"\varepsilon", "velocity": "v"}


def _index(source: str, latex: bool = False) -> str:
    shown = {"n": "n", "n+1": "n+1"}.get(source, source)
    if latex:
        plain = shown == "n" or re.fullmatch(r"n[+-]\d+", shown)
        return shown if plain else rf"\mathrm{{{shown}}}".replace("_", r"\_")
    return shown.translate(_SUBSCRIPT) if shown.startswith("n") else shown


def _at(place: Place, name: str) -> str:
    return "n+1" if place.is_end and name in ("x", "predicted", "corrected", "n+1") else name


def row_formula(row: Row, program: Program, latex: bool = False) -> str:
    """One row as an equation on one line."""
    front, terms = _parts(row, program, latex)
    left, right = (r"\left[", r"\right]") if latex else ("[", "]")
    joined = " ".join(terms).removeprefix("+ ")
    if len(terms) > 1 or joined.startswith("-"):
        joined = f"{left}{joined}{right}"
    return f"{front} {joined}" if latex else f"{front} {joined}".replace("-", "−")


def _parts(row: Row, program: Program, latex: bool = False) -> tuple[str, list[str]]:
    """What stands before a row's bracket, and the signed terms inside it.

    In the gauge of λ: x_i = (scale) x_n + α_i Σ w_j D_j (data) or − σ_i Σ w_j ε_j (noise); in the
    clock: x_i = (scale) x_n + (scale_i Δ) Σ w_j f_j.
    """
    notation = LATEX if latex else UNICODE
    at = _at(row.place, row.name)
    sub = f"_{{{_index(at, True)}}}" if latex else _sub(at)
    alpha, sigma = (rf"\alpha{sub}", rf"\sigma{sub}") if latex else (f"α{sub}", f"σ{sub}")
    a_n, s_n = (r"\alpha_{n}", r"\sigma_{n}") if latex else ("αₙ", "σₙ")
    top, bottom = {
        "data": (sigma, s_n),
        "noise": (alpha, a_n),
        "velocity": (f"({alpha} + {sigma})", f"({a_n} + {s_n})"),
    }[program.integrand]
    if row.gauge == "clock":
        delta = r"\Delta" if latex else "Δ"
        front, sign = f"{top} {delta}", "+"
    else:
        front, sign = (alpha, "+") if program.integrand == "data" else (sigma, "-")
    base = rf"\frac{{{top}}}{{{bottom}}} x_n" if latex else f"{top}/{bottom} xₙ"
    state = "x" if row.name != "predicted" else r"\hat{x}" if latex else "x̂"
    return f"{state}{sub} = {base} {sign} {front}", _terms(row, program, notation, latex)


def _sub(at: str) -> str:
    return {"n+1": "ₙ₊₁", "n": "ₙ"}.get(at, f"[{at}]")


def _terms(row: Row, program: Program, notation: Notation, latex: bool) -> list[str]:
    """The signed terms of a row's sum, weight before model output."""
    output = (_OUTPUT_LATEX if latex else _OUTPUT)[program.integrand]
    terms = []
    for term in row.terms:
        index = _index(term.source, latex)
        model = f"{output}_{{{index}}}" if latex else output + _past(term.source)
        negative = split(term.weight)[0] < 0 and not isinstance(term.weight, Sum)
        weight = show(-term.weight if negative else term.weight, notation)
        if isinstance(term.weight, Sum):
            left, right = notation.parentheses
            weight = f"{left}{weight}{right}"
        shown = model if weight == "1" else f"{weight} {model}"
        terms.append(f"{'-' if negative else '+'} {shown}")
    return terms


def _past(source: str) -> str:
    if source == "n":
        return "ₙ"
    found = re.fullmatch(r"n([+-]\d+)", source)
    return "ₙ" + found[1].translate(_SUBSCRIPT) if found else f"[{source}]"


def step_formulas(step: Step, program: Program, latex: bool = False) -> list[str]:
    """The equations of one kind of step, in the order in which they are computed."""
    return [row_formula(row, program, latex) for row in step.rows]


def legend(program: Program) -> list[str]:
    """What the symbols of a Program's formulas mean, only those that occur."""
    used = program.free_symbols()
    clock = {"data": "α/σ", "noise": "σ/α", "velocity": "σ/(α+σ)"}[program.integrand]
    lines = ["λ = log(α/σ), h = λₙ₊₁ − λₙ"]
    if program.main.corrector is not None:
        lines.append("x̂ₙ₊₁ predicted: the model is called there, and the next step reuses it")
    if any(row.gauge == "clock" for step in program.steps for row in step.rows):
        lines.append(f"Δ = step of the clock {clock}")
    if any(name.startswith("theta") for name in used if name[5:].isdigit()):
        lines.append("θₖ = (λₙ − λₙ₋ₖ)/h")
    if any(name.startswith("Theta") for name in used):
        lines.append("Θₖ = (clockₙ − clockₙ₋ₖ)/Δ")
    if any(name.startswith("eta") for name in used if name[3:].isdigit()):
        lines.append("ηₖ = (yₙ − yₙ₋ₖ)/(yₙ₊₁ − yₙ), μₘ = ∫ ((y − yₙ)/(yₙ₊₁ − yₙ))ᵐ d(clock)/Δ")
    return lines


def update_lines(program: Program, width: int) -> list[str]:
    """The main step's equations for a file header, where they fit the width."""
    lines: list[str] = []
    for row in program.main.rows:
        lines += _row_lines(row, program, width, "         " if lines else "update   ")
    for text in legend(program):
        lines.append(("         " if "where    " in "".join(lines) else "where    ") + text)
    return lines


def _row_lines(row: Row, program: Program, width: int, head: str) -> list[str]:
    """An equation, over several lines with one term each where one line is too short."""
    whole = head + row_formula(row, program)
    if len(whole) <= width:
        return [whole]
    front, terms = _parts(row, program)
    body = [*terms[:-1], terms[-1] + "]"]
    lines = [f"{head}{front} ["]
    for term in body:
        lines += textwrap.wrap(
            term,
            width,
            initial_indent=" " * (len(head) + 4),
            subsequent_indent=" " * (len(head) + 8),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [line.replace("-", "−") for line in lines]


def terminal(program: Program) -> str:
    """All kinds of steps as text for a terminal."""
    blocks = []
    for step in program.steps:
        head = "every step" if step == program.main else step.label
        lines = [line for row in step.rows for line in _row_lines(row, program, TERMINAL, "  ")]
        blocks.append("\n".join([f"{head}:", *lines]))
    return "\n".join([*blocks, "where " + "; ".join(legend(program))])


def latex(program: Program) -> str:
    """The main step as LaTeX, one aligned equation a row."""
    rows = step_formulas(program.main, program, latex=True)
    if len(rows) == 1:
        return rows[0]
    body = " \\\\\n".join(row.replace(" = ", " &= ", 1) for row in rows)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def markdown(program: Program, cite: str = "") -> str:
    """A Markdown section: title, source, the equations of every kind of step."""
    lines = [f"## {program.title}", ""]
    if cite:
        lines += [cite, ""]
    for step in program.steps:
        lines += [f"**{'Every step' if step == program.main else step.label}**", ""]
        for text in step_formulas(step, program, latex=True):
            lines += ["$$", text, "$$", ""]
    return "\n".join([*lines, "with " + "; ".join(legend(program)) + "."]) + "\n"


def plain_expression(expr: Expr) -> str:
    """A weight in terminal notation."""
    return show(expr, UNICODE)
