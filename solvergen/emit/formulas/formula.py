"""The update formula for people: in the terminal, in LaTeX, in Markdown, in file headers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from sympy import Expr, Symbol, exp

from ...expr.arithmetic import ONE, ZERO, add, multiply, negative, split, substitute, subtract
from ...expr.functions import lift
from ...expr.printing import show
from ...program.model import Program
from ...program.row import Place, Row, Term, depth, scale_terms
from ...program.step import Step
from .legend import legend
from .notation import (
    LATEX,
    SUBSCRIPT,
    SUPERSCRIPT,
    UNICODE,
    indexed,
    letter,
    provisional,
    subscript,
)

TERMINAL = 110
HAT = "\N{COMBINING CIRCUMFLEX ACCENT}"
TILDE = "\N{COMBINING TILDE}"


def _at_end(letter: str, k: int, latex: bool) -> str:
    """A quantity at the end of the step: of its result (k = 0), or of its k-th provisional state."""
    if latex:
        hat = rf"\hat{{{letter}}}" if k else letter
        return f"{hat}_{{n+1}}" + (f"^{{({k})}}" if k > 1 else "")
    count = f"⁽{str(k).translate(SUPERSCRIPT)}⁾" if k > 1 else ""
    return f"{letter}{HAT if k else ''}ₙ₊₁{count}"


def row_formula(row: Row, step: Step, program: Program, latex: bool = False) -> str:
    """One row as an equation on one line."""
    front, terms = _parts(row, step, program, latex)
    left, right = (r"\left[", r"\right]") if latex else ("[", "]")
    joined = " ".join(terms).removeprefix("+ ")
    if len(terms) > 1 or joined.startswith("-"):
        joined = f"{left}{joined}{right}"
    whole = f"{front} {joined}".rstrip() + _drawn(row, latex)
    return whole if latex else whole.replace("-", "−")


def _drawn(row: Row, latex: bool) -> str:
    """The noise of a row: + σ_i g z for each draw."""
    notation = LATEX if latex else UNICODE
    at = "n+1" if row.place.is_end else row.name
    sigma = rf"\sigma_{{{indexed(at, True)}}}" if latex else f"σ{subscript(at)}"
    parts = []
    for draw in row.noise:
        weight = show(draw.weight, notation)
        if draw.weight.is_Add:
            weight = weight.join(notation.parentheses)
        shown = "" if weight == "1" else f" {weight}"
        parts.append(f" + {sigma}{shown} {notation.name(draw.name)}")
    return "".join(parts)


def _parts(row: Row, step: Step, program: Program, latex: bool = False) -> tuple[str, list[str]]:
    """What stands before a row's bracket, and the signed terms inside it.

    In the gauge of λ: x_i = (scale) x_n + α_i Σ w_j D_j (data) or − σ_i Σ w_j ε_j (noise); in the
    clock: x_i = (scale) x_n + (scale_i Δ) Σ w_j f_j.
    """
    if step.down is not None:  # the rows are those of a shorter step
        row = _within(row)
    at = "n+1" if row.place.is_end else row.name
    sub = f"_{{{indexed(at, True)}}}" if latex else subscript(at)
    alpha, sigma = (rf"\alpha{sub}", rf"\sigma{sub}") if latex else (f"α{sub}", f"σ{sub}")
    a_n, s_n = (r"\alpha_{n}", r"\sigma_{n}") if latex else ("αₙ", "σₙ")
    top, bottom = _scale(program, alpha, sigma), _scale(program, a_n, s_n)
    if row.gauge == "clock":
        delta = r"\Delta" if latex else "Δ"
        front, sign = f"{top} {delta}", "+"
    else:
        front, sign = (alpha, "+") if program.integrand == "data" else (sigma, "-")
    if step.down is not None and row.place.is_end:
        lower = r"\sigma_{\downarrow}" if latex else "σ↓"
        top, front = top.replace(sigma, lower), front.replace(sigma, lower)
    base = rf"\frac{{{top}}}{{{bottom}}} x_n" if latex else f"{top}/{bottom} xₙ"
    if program.linear is not None:
        base = f"{_factor(_kept(row.place.lam(0), program), latex)} {base}"
    if step.churn is not None:
        raised = r"\hat{\sigma}_{n}" if latex else f"σ{HAT}ₙ"
        base = base.replace(s_n, raised).replace("x_n", r"\tilde{x}_n").replace("xₙ", f"x{TILDE}ₙ")
    if row.decay != ONE:
        base = f"{_factor(row.decay, latex)} {base}" if row.decay != ZERO or not row.carry else ""
    base = f"{base} {_carried(row, program, top, latex)}".strip().removeprefix("+ ")
    k = 1 if row.name == "predicted" else provisional(step).get(row.name, 0)
    state = _at_end("x", k, latex) if row.place.is_end else f"x{sub}"
    terms = _terms(row, step, program, latex)
    return (f"{state} = {base} {sign} {front}" if terms else f"{state} = {base}"), terms


def _kept(way: Expr, program: Program) -> Expr:
    """What its own linear part keeps of a state over a part of the step, beside that of the integrand."""
    assert program.linear is not None
    rate = subtract(lift(program.kappa), program.linear)
    return exp(multiply(rate, way, Symbol("h")))


def _scale(program: Program, alpha: str, sigma: str) -> str:
    """The scale S of the plain form."""
    terms = scale_terms(program.integrand, alpha, sigma)
    return terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"


def _within(row: Row) -> Row:
    """A row of the deterministic part of an ancestral step, whose length has a symbol of its own."""
    length: dict[str, Expr] = {"h": Symbol("h_lower")}
    terms = tuple(Term(t.source, substitute(t.weight, length)) for t in row.terms)
    return replace(row, terms=terms, decay=substitute(row.decay, length))


def _factor(factor: Expr, latex: bool) -> str:
    notation = LATEX if latex else UNICODE
    shown = show(factor, notation)
    return shown.join(notation.parentheses) if factor.is_Add else shown


def _carried(row: Row, program: Program, top: str, latex: bool) -> str:
    """Past states with their signs, each brought to the row's place by the linear part."""
    parts = []
    for term in row.carry:
        at = f"_{{{term.source.replace('x', 'n')}}}" if latex else _past(f"n{term.source[1:]}")
        alpha, sigma = (rf"\alpha{at}", rf"\sigma{at}") if latex else (f"α{at}", f"σ{at}")
        below = _scale(program, alpha, sigma)
        ratio = rf"\frac{{{top}}}{{{below}}}" if latex else f"{top}/{below}"
        minus = split(term.weight)[0] < 0 and not term.weight.is_Add
        size = negative(term.weight) if minus else term.weight
        if program.linear is not None:
            way = add(row.place.lam(0), Symbol(f"theta{depth(term.source)}"))
            size = multiply(size, _kept(way, program))
        factor = "" if size == ONE else f"{_factor(size, latex)} "
        parts.append(f"{'-' if minus else '+'} {factor}{ratio} x{at}")
    return " ".join(parts)


def _terms(row: Row, step: Step, program: Program, latex: bool) -> list[str]:
    """The signed terms of a row's sum, weight before model output."""
    notation = LATEX if latex else UNICODE
    output = letter(program, latex)
    hats = provisional(step)
    terms = []
    for term in row.terms:
        if term.source in hats:
            model = _at_end(output, hats[term.source], latex)
        elif latex:
            model = f"{output}_{{{indexed(term.source, True)}}}"
        else:
            model = output + _past(term.source)
        minus = split(term.weight)[0] < 0 and not term.weight.is_Add
        weight = show(negative(term.weight) if minus else term.weight, notation)
        if term.weight.is_Add:
            left, right = notation.parentheses
            weight = f"{left}{weight}{right}"
        shown = model if weight == "1" else f"{weight} {model}"
        terms.append(f"{'-' if minus else '+'} {shown}")
    return terms


def _past(source: str) -> str:
    if source == "n":
        return "ₙ"
    found = re.fullmatch(r"n([+-]\d+)", source)
    return "ₙ" + found[1].translate(SUBSCRIPT) if found else f"[{source}]"


def step_formulas(step: Step, program: Program, latex: bool = False) -> list[str]:
    """The equations of one kind of step, in the order in which they are computed."""
    return [
        *chain_formula(step, latex),
        *memory_formula(step, program, latex),
        *(row_formula(row, step, program, latex) for row in step.rows),
    ]


def chain_formula(step: Step, latex: bool = False) -> list[str]:
    """The Langevin steps that come before a step's rows, as an equation on one line, if any."""
    chain = step.chain
    if chain is None:
        return []
    if latex:
        pull, text = (
            r"\left(\alpha_n D_n - x_n\right)",
            r"x_n \gets x_n + {d} {p} + \sigma_n \sqrt{{2 {d}}} \, y",
        )
        name, rule = (
            r"\delta",
            r"\quad \delta = 2 \left({s} \, \sigma_n |y| / |\alpha_n D_n - x_n|\right)^2",
        )
        times = rf",\quad {chain.repeats}\text{{ times}}"
    else:
        pull, text = "(αₙ Dₙ − xₙ)", "xₙ ← xₙ + {d} {p} + σₙ sqrt(2 {d}) y"
        name, rule = "δ", ", δ = 2 ({s} σₙ |y|/|αₙ Dₙ − xₙ|)²"
        times = f", {chain.repeats} times"
    shown = name if chain.rate is None else _factor(chain.rate, latex)
    length = "" if chain.snr is None else rule.format(s=_factor(chain.snr, latex))
    return [text.format(d=shown, p=pull) + length + times * (chain.repeats > 1)]


def memory_formula(step: Step, program: Program, latex: bool = False) -> list[str]:
    """What takes the place of the evaluation at n, as an equation on one line, if anything does."""
    if not step.memory:
        return []
    row = Row("memory", Place(ZERO), "lambda", step.memory)
    joined = " ".join(_terms(row, step, program, latex)).removeprefix("+ ")
    output = letter(program, latex)
    text = f"{output}_{{n}} \\gets {joined}" if latex else f"{output}ₙ ← {joined}"
    return [text if latex else text.replace("-", "−")]


def update_lines(program: Program, width: int) -> list[str]:
    """The main step's equations for a file header, where they fit the width."""
    program = program.own or program
    main, pad = program.main, " " * 9
    lines: list[str] = []
    for text in (*chain_formula(main), *memory_formula(main, program)):
        lines += _wrapped(text, width, "update   ", pad + " " * 4)
    for row in main.rows:
        lines += _row_lines(row, main, program, width, pad if lines else "update   ")
    return lines + _meanings(legend(program, (main,)), width, "where    ")


def _meanings(meanings: Sequence[str], width: int, head: str) -> list[str]:
    """What the symbols mean, one below the other."""
    lines: list[str] = []
    pad = " " * len(head)
    for text in meanings:
        lines += _wrapped(text, width, pad if lines else head, pad + " " * 4)
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
    if row.noise:
        drawn = _drawn(row, False).strip()
        lines += _wrapped(drawn, width, " " * (len(head) + 2), " " * (len(head) + 6))
    return [line.replace("-", "−") for line in lines]


def terminal(program: Program) -> str:
    """All kinds of steps as text for a terminal."""
    program = program.own or program
    blocks = []
    for step in program.steps:
        head = "every step" if step == program.main else step.label
        lines = [f"  {text}" for text in (*chain_formula(step), *memory_formula(step, program))]
        lines += [
            line for row in step.rows for line in _row_lines(row, step, program, TERMINAL, "  ")
        ]
        blocks.append("\n".join([f"{head}:", *lines]))
    return "\n".join([*blocks, *_meanings(legend(program), TERMINAL, "where ")])


def latex(program: Program) -> str:
    """The main step as LaTeX: aligned equations, one a row, and what their symbols mean."""
    program = program.own or program
    rows = step_formulas(program.main, program, latex=True)
    lines = [re.sub(r" (=|\\gets) ", r" &\1 ", row, count=1) for row in rows]
    meanings = legend(program, (program.main,), latex=True)
    lines += [
        rf"&\text{{{'where ' if i == 0 else ''}}}{text}".replace(r"\text{}", "")
        for i, text in enumerate(meanings)
    ]
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def markdown(program: Program, cite: str = "") -> str:
    """A Markdown section: title, source, the equations of every kind of step."""
    program = program.own or program
    lines = [f"## {program.title}", ""]
    if cite:
        lines += [cite, ""]
    for step in program.steps:
        lines += [f"**{'Every step' if step == program.main else step.label}**", ""]
        for text in step_formulas(step, program, latex=True):
            lines += ["$$", text, "$$", ""]
    meanings = (f"${text}$" for text in legend(program, latex=True))
    return "\n".join([*lines, "with " + "; ".join(meanings) + "."]) + "\n"
