"""The update formula for people: in the terminal, in LaTeX, in Markdown, in file headers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from ..expr.show import ATOM, PRODUCT, Notation, show
from ..expr.tree import Call, Sum, Symbol, split
from ..program.model import Program, Row, Step

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
HAT = "\N{COMBINING CIRCUMFLEX ACCENT}"
_CLOCKS = {"data": "α/σ", "noise": "σ/α", "velocity": "σ/(α+σ)"}
_CLOCKS_LATEX = {
    "data": r"\alpha/\sigma",
    "noise": r"\sigma/\alpha",
    "velocity": r"\sigma/(\alpha+\sigma)",
}
# What a symbol means; CLOCK stands for the integrand's clock and D for its model output.
_MEANINGS = {
    "lam": "λ = log(α/σ), h = λₙ₊₁ − λₙ",
    "clock": "clock = CLOCK, Δ = clockₙ₊₁ − clockₙ",
    "theta": "θₖ = (λₙ − λₙ₋ₖ)/h",
    "Theta": "Θₖ = (clockₙ − clockₙ₋ₖ)/Δ",
    "eta": "ηₖ = (yₙ − yₙ₋ₖ)/(yₙ₊₁ − yₙ)",
    "moment": "μₘ(c) = ∫ ((y − yₙ)/(yₙ₊₁ − yₙ))ᵐ d(clock)/Δ from λₙ to λₙ + c h, μₘ = μₘ(1)",
    "offset": "offset(c) = (y(λₙ + c h) − yₙ)/(yₙ₊₁ − yₙ)",
    "phi": "φ₁(z) = (eᶻ − 1)/z, φₖ₊₁(z) = (φₖ(z) − 1/k!)/z",
    "predicted": "x̂ₙ₊₁ predicted: the model is called there, and the next step reuses it",
    "hat": "x̂ₙ₊₁ provisional: the model is called there and gives D̂ₙ₊₁",
}
_MEANINGS_LATEX = {
    "lam": r"\lambda = \log(\alpha/\sigma),\ h = \lambda_{n+1} - \lambda_{n}",
    "clock": r"\mathrm{clock} = CLOCK,\ \Delta = \mathrm{clock}_{n+1} - \mathrm{clock}_{n}",
    "theta": r"\theta_{k} = (\lambda_{n} - \lambda_{n-k})/h",
    "Theta": r"\Theta_{k} = (\mathrm{clock}_{n} - \mathrm{clock}_{n-k})/\Delta",
    "eta": r"\eta_{k} = (y_{n} - y_{n-k})/(y_{n+1} - y_{n})",
    "moment": r"\mu_{m}(c) = \tfrac{1}{\Delta} \int_{\lambda_{n}}^{\lambda_{n} + c h} "
    r"\left(\tfrac{y - y_{n}}{y_{n+1} - y_{n}}\right)^{m} d(\mathrm{clock}),\ \mu_{m} = \mu_{m}(1)",
    "offset": r"\mathrm{offset}(c) = (y(\lambda_{n} + c h) - y_{n})/(y_{n+1} - y_{n})",
    "phi": r"\varphi_{1}(z) = (e^{z} - 1)/z,\ "
    r"\varphi_{k+1}(z) = (\varphi_{k}(z) - 1/k!)/z",
    "predicted": r"\hat{x}_{n+1}\text{ predicted: the model is called there, "
    r"and the next step reuses it}",
    "hat": r"\hat{x}_{n+1}\text{ provisional: the model is called there and gives }\hat{D}_{n+1}",
}


def _index(source: str, latex: bool = False) -> str:
    shown = {"n": "n", "n+1": "n+1"}.get(source, source)
    if latex:
        plain = shown == "n" or re.fullmatch(r"n[+-]\d+", shown)
        return shown if plain else rf"\mathrm{{{shown}}}".replace("_", r"\_")
    return shown.translate(_SUBSCRIPT) if shown.startswith("n") else shown


def _hats(step: Step) -> dict[str, int]:
    """The stages that lie at the end of the step, counted: x̂ₙ₊₁, x̂ₙ₊₁⁽²⁾, …"""
    at_end = [row.name for row in step.stages if row.place.is_end]
    return {name: k for k, name in enumerate(at_end, 1)}


def _at_end(letter: str, k: int, latex: bool) -> str:
    """A quantity at the end of the step: of its result (k = 0), or of its k-th provisional state."""
    if latex:
        hat = rf"\hat{{{letter}}}" if k else letter
        return f"{hat}_{{n+1}}" + (f"^{{({k})}}" if k > 1 else "")
    count = f"⁽{str(k).translate(_SUPERSCRIPT)}⁾" if k > 1 else ""
    return f"{letter}{HAT if k else ''}ₙ₊₁{count}"


def row_formula(row: Row, step: Step, program: Program, latex: bool = False) -> str:
    """One row as an equation on one line."""
    front, terms = _parts(row, step, program, latex)
    left, right = (r"\left[", r"\right]") if latex else ("[", "]")
    joined = " ".join(terms).removeprefix("+ ")
    if len(terms) > 1 or joined.startswith("-"):
        joined = f"{left}{joined}{right}"
    whole = f"{front} {joined}".rstrip()
    return whole if latex else whole.replace("-", "−")


def _parts(row: Row, step: Step, program: Program, latex: bool = False) -> tuple[str, list[str]]:
    """What stands before a row's bracket, and the signed terms inside it.

    In the gauge of λ: x_i = (scale) x_n + α_i Σ w_j D_j (data) or − σ_i Σ w_j ε_j (noise); in the
    clock: x_i = (scale) x_n + (scale_i Δ) Σ w_j f_j.
    """
    at = "n+1" if row.place.is_end else row.name
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
    k = 1 if row.name == "predicted" else _hats(step).get(row.name, 0)
    state = _at_end("x", k, latex) if row.place.is_end else f"x{sub}"
    terms = _terms(row, step, program, latex)
    return (f"{state} = {base} {sign} {front}" if terms else f"{state} = {base}"), terms


def _sub(at: str) -> str:
    return {"n+1": "ₙ₊₁", "n": "ₙ"}.get(at, f"[{at}]")


def _terms(row: Row, step: Step, program: Program, latex: bool) -> list[str]:
    """The signed terms of a row's sum, weight before model output."""
    notation = LATEX if latex else UNICODE
    output = (_OUTPUT_LATEX if latex else _OUTPUT)[program.integrand]
    hats = _hats(step)
    terms = []
    for term in row.terms:
        if term.source in hats:
            model = _at_end(output, hats[term.source], latex)
        elif latex:
            model = f"{output}_{{{_index(term.source, True)}}}"
        else:
            model = output + _past(term.source)
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
    return [row_formula(row, step, program, latex) for row in step.rows]


def legend(program: Program, steps: Sequence[Step] = (), latex: bool = False) -> list[str]:
    """What the symbols in the formulas of some steps (all unless given) mean; those that occur."""
    steps = steps or program.steps
    rows = [row for step in steps for row in step.rows]
    nodes = [node for row in rows for term in row.terms for node in term.weight.walk()]
    used = {node.name for node in nodes if isinstance(node, Symbol)}
    calls = {node.name for node in nodes if isinstance(node, Call)}
    places = _places(rows, latex)
    in_clock = any(row.gauge == "clock" for row in rows) or any("clock" in text for text in places)

    def histories(name: str) -> bool:
        return any(re.fullmatch(rf"{name}\d+", symbol) for symbol in used)

    keys = ["lam", *(["clock"] if in_clock or histories("Theta") else [])]
    keys += [name for name in ("theta", "Theta") if histories(name)]
    further = histories("eta") or bool(calls & {"moment", "offset"})
    keys += [
        key
        for key, present in (
            ("eta", histories("eta")),
            ("moment", "moment" in calls),
            ("offset", "offset" in calls),
            ("phi", "phi" in calls),
        )
        if present
    ]
    table = _MEANINGS_LATEX if latex else _MEANINGS
    clock = (_CLOCKS_LATEX if latex else _CLOCKS)[program.integrand]
    lines = [table[key].replace("CLOCK", clock) for key in keys]
    lines[1:1] = places
    if further:
        lines += _coordinates(steps, latex)
    if any(step.corrector is not None for step in steps):
        lines.append(table["predicted"])
    elif any(_hats(step) for step in steps):
        output = (_OUTPUT_LATEX if latex else _OUTPUT)[program.integrand]
        lines.append(table["hat"].replace("D", output))
    return lines


def _places(rows: Sequence[Row], latex: bool) -> list[str]:
    """Where the stages lie that are not at the end of the step."""
    found: dict[str, None] = {}
    for row in rows:
        if row.place.is_end:
            continue
        in_clock = row.place.coordinate == "clock"
        fraction = show(row.place.fraction, LATEX if latex else UNICODE)
        if isinstance(row.place.fraction, Sum):
            fraction = rf"\left({fraction}\right)" if latex else f"({fraction})"
        if latex:
            name, unit = (r"\mathrm{clock}", r"\Delta") if in_clock else (r"\lambda", "h")
            at = f"{name}_{{{_index(row.name, True)}}} = {name}_{{n}}"
        else:
            name, unit = ("clock", "Δ") if in_clock else ("λ", "h")
            at = f"{name}{_sub(row.name)} = {name}ₙ"
        move = "" if fraction == "0" else f" + {fraction} {unit}"
        found[at + (move if latex else move.replace("-", "−"))] = None
    return list(found)


def _coordinates(steps: Sequence[Step], latex: bool) -> list[str]:
    """The further coordinate y(λ), as an expression."""
    notation, left = (LATEX, r"y(\lambda)") if latex else (UNICODE, "y(λ)")
    known = dict.fromkeys(step.coordinate for step in steps if step.coordinate is not None)
    shown = [f"{left} = {show(expr, notation)}" for expr in known]
    return shown if latex else [text.replace("-", "−") for text in shown]


def update_lines(program: Program, width: int) -> list[str]:
    """The main step's equations for a file header, where they fit the width."""
    main, pad = program.main, " " * 9
    lines: list[str] = []
    for row in main.rows:
        lines += _row_lines(row, main, program, width, pad if lines else "update   ")
    for i, text in enumerate(legend(program, (main,))):
        lines += _wrapped(text, width, pad if i else "where    ", pad + " " * 4)
    return lines


def _wrapped(text: str, width: int, first: str, later: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _row_lines(row: Row, step: Step, program: Program, width: int, head: str) -> list[str]:
    """An equation, over several lines with one term each where one line is too short."""
    whole = head + row_formula(row, step, program)
    front, terms = _parts(row, step, program)
    if len(whole) <= width or not terms:
        return [whole]
    body = [*terms[:-1], terms[-1] + "]"]
    lines = [f"{head}{front} ["]
    for term in body:
        lines += _wrapped(term, width, " " * (len(head) + 4), " " * (len(head) + 8))
    return [line.replace("-", "−") for line in lines]


def terminal(program: Program) -> str:
    """All kinds of steps as text for a terminal."""
    blocks = []
    for step in program.steps:
        head = "every step" if step == program.main else step.label
        lines = [
            line for row in step.rows for line in _row_lines(row, step, program, TERMINAL, "  ")
        ]
        blocks.append("\n".join([f"{head}:", *lines]))
    meanings = "where " + "; ".join(legend(program))
    return "\n".join([*blocks, *_wrapped(meanings, TERMINAL, "", "  ")])


def latex(program: Program) -> str:
    """The main step as LaTeX: aligned equations, one a row, and what their symbols mean."""
    rows = step_formulas(program.main, program, latex=True)
    lines = [row.replace(" = ", " &= ", 1) for row in rows]
    meanings = legend(program, (program.main,), latex=True)
    lines += [
        rf"&\text{{{'where ' if i == 0 else ''}}}{text}".replace(r"\text{}", "")
        for i, text in enumerate(meanings)
    ]
    body = " \\\\\n".join(lines)
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
    meanings = (f"${text}$" for text in legend(program, latex=True))
    return "\n".join([*lines, "with " + "; ".join(meanings) + "."]) + "\n"
