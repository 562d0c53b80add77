"""The update formula for people: in the terminal, in LaTeX, in Markdown, in file headers."""

from __future__ import annotations

import re

from ..expr.show import ATOM, PRODUCT, Notation, show
from ..expr.tree import Expr, Symbol, multiply
from ..program.model import Place, Program, Row, Step

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
    return "n+1" if place.is_end and name in ("x", "corrected", "n+1") else name


def row_formula(row: Row, program: Program, latex: bool = False) -> str:
    """One row as an equation, its scale factors written out.

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
    return f"x{sub} = {base} {sign} {front} {_bracket(row, program, notation, latex)}"


def _sub(at: str) -> str:
    return {"n+1": "ₙ₊₁", "n": "ₙ"}.get(at, f"[{at}]")


def _bracket(row: Row, program: Program, notation: Notation, latex: bool) -> str:
    output = (_OUTPUT_LATEX if latex else _OUTPUT)[program.integrand]
    pieces = []
    for term in row.terms:
        index = _index(term.source, latex)
        model = f"{output}_{{{index}}}" if latex else output + _past(term.source)
        text = show(multiply(Symbol("#"), term.weight), _with_output(notation, model))
        pieces.append(text)
    joined = " + ".join(pieces).replace("+ -", "- ")
    left, right = (r"\left[", r"\right]") if latex else ("[", "]")
    return joined if len(pieces) == 1 else f"{left}{joined}{right}"


def _past(source: str) -> str:
    if source == "n":
        return "ₙ"
    found = re.fullmatch(r"n([+-]\d+)", source)
    return "ₙ" + found[1].translate(_SUBSCRIPT) if found else f"[{source}]"


def _with_output(notation: Notation, model: str) -> Notation:
    from dataclasses import replace

    return replace(notation, symbol=lambda n: model if n == "#" else notation.symbol(n))


def step_formulas(step: Step, program: Program, latex: bool = False) -> list[str]:
    """The equations of one kind of step, in the order in which they are computed."""
    return [row_formula(row, program, latex) for row in step.rows]


def legend(program: Program) -> list[str]:
    """What the symbols of a Program's formulas mean, only those that occur."""
    used = program.free_symbols()
    clock = {"data": "α/σ", "noise": "σ/α", "velocity": "σ/(α+σ)"}[program.integrand]
    lines = ["λ = log(α/σ), h = λₙ₊₁ − λₙ"]
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
    shown = step_formulas(program.main, program)
    lines = []
    for number, text in enumerate(shown):
        head = "update   " if number == 0 else "         "
        lines += _folded(head, text, width)
    lines += [
        f"{'where    ' if i == 0 else '         '}{text}" for i, text in enumerate(legend(program))
    ]
    return lines


def _folded(head: str, text: str, width: int) -> list[str]:
    """Break an equation at spaces outside parentheses so that it fits."""
    import textwrap

    return textwrap.wrap(
        text,
        width,
        initial_indent=head,
        subsequent_indent=" " * (len(head) + 4),
        break_long_words=False,
        break_on_hyphens=False,
    )


def terminal(program: Program) -> str:
    """All kinds of steps as text for a terminal."""
    blocks = []
    for step in program.steps:
        head = "every step" if step == program.main else step.label
        blocks.append(
            "\n".join([f"{head}:", *(f"  {line}" for line in step_formulas(step, program))])
        )
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
