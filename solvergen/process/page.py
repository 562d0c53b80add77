"""A process on one page: for the terminal, as LaTeX, and as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.pretty_symbology import pretty_use_unicode
from sympy.printing.pretty.stringpict import prettyForm

from .equations import LETTERS, exact_data, probability_flow
from .model import TAU, Process
from .preconditioning import ALPHA, SIGMA, derive
from .proofs import Proof

WIDEST = 180  # columns of a formula in two dimensions; wider ones are written in one line
SHORT = 14  # operations of α and σ up to which the equations are also written out in t
_F, _G, _X, _NOISE = sp.symbols("f g x z")
_ALPHA_S, _SIGMA_S = sp.symbols("alpha_s sigma_s", positive=True)


@dataclass(frozen=True)
class Line:
    """One formula.

    Args:
        key: its name in JSON.
        left: what it defines, as LaTeX and as text for a terminal.
        terms: the formula, as terms that stay in their order.
        note: words after it.
    """

    key: str
    left: str
    terms: tuple[sp.Expr, ...]
    note: str = ""
    plain: str = ""

    @property
    def formula(self) -> sp.Expr:
        """The whole right-hand side."""
        return sp.Add(*self.terms)


@dataclass(frozen=True)
class Section:
    """A titled group of formulas."""

    key: str
    title: str
    lines: tuple[Line, ...]
    words: str = field(default="")


def sections(process: Process) -> list[Section]:
    """Everything that is derived of a process, in reading order."""
    return [
        Section("process", "Process  x = α(t) x₀ + σ(t) ε", tuple(_process(process))),
        Section("sde", "Forward SDE  dx = f x dt + g dW", tuple(_forward(process))),
        Section("ode", "Probability-flow ODE", tuple(_flow(process))),
        Section("reverse_sde", "Reverse SDE of strength τ", tuple(_reverse(process))),
        Section("exact", "Exact steps from s to t", tuple(_exact(process))),
        Section(
            "preconditioning",
            "Preconditioning  D = c_skip x + c_out F(c_in x),  data of deviation σ_d",
            tuple(_preconditioning(process)),
        ),
    ]


def _process(process: Process) -> Iterator[Line]:
    yield Line("alpha", r"\alpha(t)", (process.alpha,), plain="α(t)")
    yield Line("sigma", r"\sigma(t)", (process.sigma,), plain="σ(t)")
    yield Line(
        "lambda", r"\lambda = \log\frac{\alpha}{\sigma}", (process.lam,), plain="λ = log(α/σ)"
    )
    if process.time is not None:
        yield Line("time", r"t(\lambda)", (process.time,), plain="t(λ)")


def _forward(process: Process) -> Iterator[Line]:
    yield Line("f", r"f = \frac{\alpha'}{\alpha}", (process.f,), plain="f = α'/α")
    yield Line(
        "g2",
        r"g^2 = \frac{d\sigma^2}{dt} - 2 f \sigma^2 = -2 \sigma^2 \frac{d\lambda}{dt}",
        (process.g2,),
        plain="g² = dσ²/dt − 2 f σ² = −2 σ² dλ/dt",
    )
    factor, variance = process.transition
    yield Line(
        "mean_factor", r"\mathrm{E}[x_t \mid x_s] / x_s", (factor,), plain="E[x_t | x_s]/x_s"
    )
    yield Line("variance", r"\mathrm{Var}[x_t \mid x_s]", (variance,), plain="Var[x_t | x_s]")


def _model(prediction: str) -> sp.Symbol:
    return sp.Symbol(LETTERS[prediction])


def _general(weight: sp.Expr) -> dict[str, tuple[sp.Expr, ...]]:
    """The drift f x − weight ∇log p in f, g, α and σ, the same for every process."""
    return {
        "score": _sum((_F, _X), (-weight, _model("score"))),
        "noise": _sum((_F, _X), (weight / SIGMA, _model("noise"))),
        "data": _sum((_F + weight / SIGMA**2, _X), (-ALPHA * weight / SIGMA**2, _model("data"))),
    }


def _sum(*terms: tuple[sp.Expr, sp.Symbol]) -> tuple[sp.Expr, ...]:
    """A linear combination whose terms stay in the order given."""
    return tuple(factor * symbol for factor, symbol in terms if factor != 0)


def _short(process: Process) -> bool:
    return int(process.alpha.count_ops() + process.sigma.count_ops()) <= SHORT


def _flow(process: Process) -> Iterator[Line]:
    general = _general(_G**2 / 2)
    names = {
        "score": "score S = ∇log p",
        "noise": "noise prediction ε",
        "data": "data prediction D",
        "velocity": "velocity u = α' D + σ' ε",
        "v": "v = α ε − σ D",
    }
    for prediction, note in names.items():
        if prediction in general:
            left = r"\frac{dx}{dt}"
            yield Line(f"{prediction}_general", left, general[prediction], note, "dx/dt")
        if prediction == "velocity":
            yield Line("velocity", r"\frac{dx}{dt}", (_model("velocity"),), note, "dx/dt")
        elif _short(process):
            drift = probability_flow(process, prediction)
            right = _sum((drift.state, _X), (drift.model, _model(prediction)))
            yield Line(prediction, r"\frac{dx}{dt}", right, note, "dx/dt")


def _reverse(process: Process) -> Iterator[Line]:
    general = _general(_G**2 / 2 * (1 + TAU**2))
    del process
    for prediction, right in general.items():
        note = "drift; the noise is τ g dW, and τ = 0 is the ODE" if prediction == "score" else ""
        yield Line(prediction, r"\text{drift}", right, note, "drift")


def _exact(process: Process) -> Iterator[Line]:
    x_s, data, h = sp.Symbol("x_s"), _model("data"), sp.Symbol("h", positive=True)
    ddim = _sum((SIGMA / _SIGMA_S, x_s), (ALPHA - _ALPHA_S * SIGMA / _SIGMA_S, data))
    yield Line("ddim_general", "x_t", ddim, "DDIM: exact while D is frozen", "x_t")
    if _short(process):
        ratio, share = exact_data(process)
        yield Line("ddim", "x_t", _sum((ratio, x_s), (share, data)), plain="x_t")
    keep = sp.exp(-(1 + TAU**2) * h)
    noise = SIGMA * sp.sqrt(1 - sp.exp(-2 * TAU**2 * h))
    strong = _sum((keep * ALPHA / _ALPHA_S, x_s), (ALPHA * (1 - keep), data), (noise, _NOISE))
    yield Line("sde", "x_t", strong, "of strength τ, h = λ_t − λ_s, z a unit draw", "x_t")


def _preconditioning(process: Process) -> Iterator[Line]:
    unit = derive(
        process.alpha if _short(process) else ALPHA, process.sigma if _short(process) else SIGMA
    )
    yield Line("c_skip", r"c_{\mathrm{skip}}", (unit.skip,), plain="c_skip")
    yield Line("c_out", r"c_{\mathrm{out}}", (unit.out,), plain="c_out")
    yield Line("c_in", r"c_{\mathrm{in}}", (unit.into,), plain="c_in")
    yield Line("weight", "w", (unit.weight,), "loss weight, w c_out² = 1", "w")


# -- terminal ---------------------------------------------------------------------------------------


def text(process: Process, proved: list[Proof]) -> str:
    """The page for a terminal, formulas set in two dimensions."""
    heading = process.title or "Process"
    about = ", ".join(part for part in (process.name, process.source) if part)
    parts = [f"{heading}   ({about})" if about else heading, f"0 ≤ t ≤ {_plain(process.until)}"]
    if process.values:
        shown = ", ".join(f"{name} = {value}" for name, value in process.values.items())
        parts.append(f"where numbers are needed: {shown}")
    for section in sections(process):
        parts += ["", section.title]
        parts += ["\n".join(_set(line)) for line in section.lines]
    if process.time is None:
        parts.append("\nt(λ) has no closed form that sympy finds; it is computed by bisection")
    if proved:
        parts += ["", "Proved by computer algebra, for any α(t) and σ(t)"]
        parts += [f"  {'yes' if proof.holds else 'NO '}  {proof.statement}" for proof in proved]
    return "\n".join(parts)


def _set(line: Line) -> list[str]:
    """A formula on several lines: what it defines stands at the height of the fraction bars."""
    form = _form(line.terms[0])
    for term in line.terms[1:]:
        sign, size = _signed(term)
        form = prettyForm(*form.right(f" {sign} "))
        form = prettyForm(*form.right(_form(size)))
    rows, base = str(form).splitlines(), form.baseline
    if max(map(len, rows)) > WIDEST:
        rows, base = [str(line.formula)], 0
    left = f"  {line.plain} = "
    lines = [(left if i == base else " " * len(left)) + row for i, row in enumerate(rows)]
    if line.note:
        lines[base] += f"     ({line.note})"
    return [row.rstrip() for row in lines]


def _form(expr: sp.Expr) -> prettyForm:
    pretty_use_unicode(True)
    return PrettyPrinter({"use_unicode": True, "wrap_line": False})._print(expr)


def _signed(term: sp.Expr) -> tuple[str, sp.Expr]:
    return ("-", -term) if term.could_extract_minus_sign() else ("+", term)


def _plain(expr: sp.Expr) -> str:
    return str(_form(expr))


# -- LaTeX and data ---------------------------------------------------------------------------------


def latex(process: Process) -> str:
    """The page as LaTeX: one aligned block for each section, for amsmath."""
    parts = []
    for section in sections(process):
        rows = []
        for line in section.lines:
            note = rf" && \text{{{_escaped(line.note)}}}" if line.note else ""
            rows.append(f"  {line.left} &= {_latex(line)}{note}")
        body = " \\\\\n".join(rows)
        parts.append(f"% {section.title}\n\\begin{{align*}}\n{body}\n\\end{{align*}}")
    return "\n".join(parts)


def _latex(line: Line) -> str:
    found = sp.latex(line.terms[0])
    for term in line.terms[1:]:
        sign, size = _signed(term)
        found += f" {sign} {sp.latex(size)}"
    return str(found)


def _escaped(note: str) -> str:
    """A note with its formulas' letters as LaTeX."""
    letters = {
        "∇": r"$\nabla$", "τ": r"$\tau$", "σ": r"$\sigma$", "α": r"$\alpha$", "ε": r"$\varepsilon$",
        "λ": r"$\lambda$", "_": r"\_", "²": "$^2$", "−": "$-$",
    }  # fmt: skip
    return "".join(letters.get(letter, letter) for letter in note)


def data(process: Process, proved: list[Proof]) -> dict[str, Any]:
    """The page as plain data: every formula as text in sympy's spelling and as LaTeX."""
    return {
        "name": process.name,
        "title": process.title,
        "source": process.source,
        "until": str(process.until),
        "values": {name: str(value) for name, value in process.values.items()},
        **{
            section.key: {
                line.key: {"formula": str(line.formula), "latex": _latex(line)}
                for line in section.lines
            }
            for section in sections(process)
        },
        "proofs": [{"name": p.name, "statement": p.statement, "holds": p.holds} for p in proved],
    }
