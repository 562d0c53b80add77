"""What the symbols in a formula mean."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sympy import Symbol

from ...expr.arithmetic import (
    BINDERS,
    ONE,
    function_name,
    functions_of_x,
    multiply,
    negative,
    split,
    substitute,
    subtract,
    symbols,
    walk,
)
from ...expr.binders import BOUND
from ...expr.functions import lift
from ...expr.printing import show
from ...program.model import Program
from ...program.row import FURTHER, Row, coordinate_number
from ...program.step import Step
from .notation import (
    LATEX,
    OUTPUT,
    OUTPUT_LATEX,
    SUBSCRIPT,
    UNICODE,
    indexed,
    letter,
    provisional,
    subscript,
)

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
    "gamma": "γₖ = (λ − λₙ)/h at the k-th grid point after n",
    "Gamma": "Γₖ = (clock − clockₙ)/Δ at the k-th grid point after n",
    "spans": "n+1 is SPANS points of the grid after n",
    "remaining": "remaining = σ/α at n over σ/α at the first grid point",
    "eta": "ηₖ = (yₙ − yₙ₋ₖ)/(yₙ₊₁ − yₙ)",
    "moment": "μₘ(c) = ∫ ((y − yₙ)/(yₙ₊₁ − yₙ))ᵐ d(clock)/Δ from λₙ to λₙ + c h, μₘ = μₘ(1)",
    "offset": "offset(c) = (y(λₙ + c h) − yₙ)/(yₙ₊₁ − yₙ)",
    "fraction": "fraction(c) = that c′ for which y(λₙ + c′ h) = yₙ + c (yₙ₊₁ − yₙ)",
    "slope": "slope(c) = (yₙ₊₁ − yₙ)/Δ d(clock)/dy at λₙ + c h",
    "phi": "φ₁(z) = (eᶻ − 1)/z, φₖ₊₁(z) = (φₖ(z) − 1/k!)/z",
    "memory": "Dₙ ← …: what is remembered of Dₙ takes its place, here and in later steps",
    "predicted": "x̂ₙ₊₁ predicted: the model is called there, and the next step reuses it",
    "hat": "x̂ₙ₊₁ provisional: the model is called there and gives D̂ₙ₊₁",
}
_MEANINGS_LATEX = {
    "lam": r"\lambda = \log(\alpha/\sigma),\ h = \lambda_{n+1} - \lambda_{n}",
    "clock": r"\mathrm{clock} = CLOCK,\ \Delta = \mathrm{clock}_{n+1} - \mathrm{clock}_{n}",
    "theta": r"\theta_{k} = (\lambda_{n} - \lambda_{n-k})/h",
    "Theta": r"\Theta_{k} = (\mathrm{clock}_{n} - \mathrm{clock}_{n-k})/\Delta",
    "gamma": r"\gamma_{k} = (\lambda - \lambda_{n})/h\text{ at the $k$-th grid point after }n",
    "Gamma": r"\Gamma_{k} = (\mathrm{clock} - \mathrm{clock}_{n})/\Delta"
    r"\text{ at the $k$-th grid point after }n",
    "spans": r"n+1\text{ is SPANS points of the grid after }n",
    "remaining": r"\mathrm{remaining} = \sigma/\alpha\text{ at }n\text{ over that at the first point}",
    "eta": r"\eta_{k} = (y_{n} - y_{n-k})/(y_{n+1} - y_{n})",
    "moment": r"\mu_{m}(c) = \tfrac{1}{\Delta} \int_{\lambda_{n}}^{\lambda_{n} + c h} "
    r"\left(\tfrac{y - y_{n}}{y_{n+1} - y_{n}}\right)^{m} d(\mathrm{clock}),\ \mu_{m} = \mu_{m}(1)",
    "offset": r"\mathrm{offset}(c) = (y(\lambda_{n} + c h) - y_{n})/(y_{n+1} - y_{n})",
    "fraction": r"\mathrm{fraction}(c) = c'\text{ for which }"
    r"y(\lambda_{n} + c' h) = y_{n} + c (y_{n+1} - y_{n})",
    "slope": r"\mathrm{slope}(c) = \tfrac{y_{n+1} - y_{n}}{\Delta}\,"
    r"\tfrac{d(\mathrm{clock})}{dy}\text{ at }\lambda_{n} + c h",
    "phi": r"\varphi_{1}(z) = (e^{z} - 1)/z,\ "
    r"\varphi_{k+1}(z) = (\varphi_{k}(z) - 1/k!)/z",
    "memory": r"D_{n} \gets \ldots\text{: what is remembered of }D_{n}"
    r"\text{ takes its place, here and in later steps}",
    "predicted": r"\hat{x}_{n+1}\text{ predicted: the model is called there, "
    r"and the next step reuses it}",
    "hat": r"\hat{x}_{n+1}\text{ provisional: the model is called there and gives }\hat{D}_{n+1}",
}


_FIRST = {
    "direction": "no call at the first point: ε₀ = x₀/√(α₀² + σ₀²)",
    "mean": "no call at the first point: D₀ = mean",
    "gaussian": "no call at the first point: D₀ = mean + α₀ std² (x₀ − α₀ mean)/(α₀² std² + σ₀²)",
}
_FIRST_LATEX = {
    "direction": r"\text{no call at the first point: }\varepsilon_{0} = "
    r"x_{0}/\sqrt{\alpha_{0}^2 + \sigma_{0}^2}",
    "mean": r"\text{no call at the first point: }D_{0} = \mathrm{mean}",
    "gaussian": r"\text{no call at the first point: }D_{0} = \mathrm{mean} + \alpha_{0} "
    r"\mathrm{std}^2 (x_{0} - \alpha_{0} \mathrm{mean})/(\alpha_{0}^2 \mathrm{std}^2 + \sigma_{0}^2)",
}
_STOCHASTIC = {
    "draw": "z ~ N(0, I), a draw of its own for each index and step",
    "down": "h↓ = DOWN is the length of the deterministic part; σ↓ = αₙ₊₁ e^(−λₙ − h↓)",
    "churn": "x̃ₙ = xₙ + √(σ̂ₙ² − σₙ²) z before the call, σ̂ₙ = σₙ (1 + raised); λₙ is then that of σ̂ₙ",
    "sigma": "sigma, sigma_next = σ/α at n, n+1",
    "counts": "steps: how many the run has; i: the number of the step, from 0",
}
_STOCHASTIC_LATEX = {
    "draw": r"z \sim \mathcal{N}(0, I)",
    "down": r"h_{\downarrow} = DOWN,\ \sigma_{\downarrow} = \alpha_{n+1} "
    r"e^{-\lambda_{n} - h_{\downarrow}}",
    "churn": r"\tilde{x}_n = x_n + \sqrt{\hat{\sigma}_{n}^2 - \sigma_{n}^2}\,z"
    r"\text{ before the call, }\hat{\sigma}_{n} = \sigma_{n} (1 + \mathrm{raised})",
    "sigma": r"\mathrm{sigma}, \mathrm{sigma\_next} = \sigma/\alpha\text{ at }n, n+1",
    "counts": r"\mathrm{steps}\text{: how many the run has; }i\text{: the number of the step, from 0}",
}


def legend(program: Program, steps: Sequence[Step] = (), latex: bool = False) -> list[str]:
    """What the symbols in the formulas of some steps (all unless given) mean; those that occur."""
    steps = steps or program.steps
    rows = [row for step in steps for row in step.rows]
    lower = any(step.down is not None for step in steps)
    places = [_lowered(text, latex) if lower else text for text in _places(rows, latex)]
    keys = _present(steps, any("clock" in text for text in places))
    spans = {step.spans for step in steps}
    table = _MEANINGS_LATEX if latex else _MEANINGS
    clock = (_CLOCKS_LATEX if latex else _CLOCKS)[program.integrand]
    reach = " or ".join(map(str, sorted(spans, reverse=True)))
    meant = {
        key: _lowered(table[key], latex) if lower and key != "lam" else table[key] for key in keys
    }
    lines = [text.replace("CLOCK", clock).replace("SPANS", reach) for text in meant.values()]
    lines[1:1] = [*_scalars(steps, latex), *_functions(steps, latex), *places]
    if {"eta", *FURTHER} & set(keys):
        lines += _coordinates(program, latex)
    if program.varying:
        lines.append(_varying(program, latex))
    if program.linear is not None:
        lines.append(approximated(program, latex))
    lines += _calls(program, latex)
    if any(step.memory for step in steps):
        lines.append(table["memory"].replace("D", letter(program, latex)))
    if any(step.corrector is not None for step in steps):
        lines.append(table["predicted"])
    elif any(provisional(step) for step in steps):
        output = letter(program, latex)
        lines.append(table["hat"].replace("D", output))
    return lines


def approximated(program: Program, latex: bool = False) -> str:
    """What rules approximate where steps take out a linear part of their own; empty elsewhere."""
    program = program.own or program
    if program.linear is None:
        return ""
    notation = LATEX if latex else UNICODE
    excess = subtract(program.linear, lift(program.kappa))
    below = split(excess)[0] < 0 and not excess.is_Add
    size = negative(excess) if below else excess
    shown = show(size, notation)
    factor = f"{shown.join(notation.parentheses) if size.is_Add else shown} " if size != ONE else ""
    state = {"data": "x/α", "noise": "x/σ"}[program.integrand]
    if latex:
        state = {"x/α": r"\frac{x}{\alpha}", "x/σ": r"\frac{x}{\sigma}"}[state]
    sign = "+" if (program.integrand == "data") != below else "-"
    output = (OUTPUT_LATEX if latex else OUTPUT)[program.integrand]
    text = f"G = {output} {sign} {factor}{state}"
    return text if latex else text.replace("-", "−")


def _lowered(text: str, latex: bool) -> str:
    """A meaning in the deterministic part of an ancestral step, which ends at λₙ + h↓."""
    ends = {r"clock}_{n+1}": r"clock}(\lambda_{n} + h)", "y_{n+1}": r"y(\lambda_{n} + h)"}
    for end, lower in (ends if latex else {"ₙ₊₁": "(λₙ + h)"}).items():
        text = text.replace(end, lower)
    length = (LATEX if latex else UNICODE).name("h_lower")
    return re.sub(r"(?<![A-Za-z\\])h(?![A-Za-z])", lambda _: length, text)


def _calls(program: Program, latex: bool) -> list[str]:
    """What stands for the first output, and where the model is called if not at its states' levels."""
    notation, found = LATEX if latex else UNICODE, []
    if program.first:
        found.append((_FIRST_LATEX if latex else _FIRST)[program.first])
    if program.called != ONE:
        factor = show(program.called, notation)
        at = r"\sigma_{n}/\alpha_{n}" if latex else "σₙ/αₙ"
        said = "the model is called at the level"
        found.append(rf"\text{{{said}}} {factor}\,{at}" if latex else f"{said} {factor} {at}")
    stages = [row for step in program.steps for row in step.stages if row.level != ONE]
    for level, place in dict.fromkeys((row.level, _place(row, latex)) for row in stages):
        at = rf"\sigma_{{{place}}}/\alpha_{{{place}}}" if latex else f"σ{place}/α{place}"
        said, factor = "a stage is called at the level", show(level, notation)
        found.append(rf"\text{{{said}}} {factor}\,{at}" if latex else f"{said} {factor} {at}")
    if program.output == "noise" and program.calls_elsewhere:
        said = "a call at another level gives its noise prediction, and D from that at its state's level"
        found.append(rf"\text{{{said}}}" if latex else said)
    return found


def _place(row: Row, latex: bool) -> str:
    """The index of the place of a stage."""
    at = "n+1" if row.place.is_end else row.name
    return indexed(at, True) if latex else subscript(at)


def _varying(program: Program, latex: bool) -> str:
    """The parameters that have a number for each step."""
    notation = LATEX if latex else UNICODE
    names = ", ".join(notation.name(name) for name in program.varying)
    said = "one number for each step n" if len(program.varying) == 1 else "a number for each step n"
    if program.by_sample == program.varying:
        said += ", or for each step and sample"
    if program.by_element == program.varying:
        said += ", or for each step and element"
    return rf"{names}:\ \text{{{said}}}" if latex else f"{names}: {said}"


def _present(steps: Sequence[Step], clock: bool) -> list[str]:
    """Keys of the symbols that occur in the rows of some steps, in the order of the legend."""
    rows = [row for step in steps for row in step.rows]
    written = [e for row in rows for e in (row.place.fraction, *row.expressions)]
    written += [term.weight for step in steps for term in step.memory]
    used = {name for expression in written for name in symbols(expression)}
    calls = {function_name(node) for expression in written for node in walk(expression)}
    counted = {name.rstrip("0123456789") for name in used if name[-1].isdigit()}
    counted |= {"gamma" for row in rows if row.place.ahead}
    found = {
        "lam": True,
        "clock": clock or "Theta" in counted or any(row.gauge == "clock" for row in rows),
        "spans": any(step.spans > 1 for step in steps),
        **{name: name in counted for name in ("gamma", "Gamma")},
        "remaining": "remaining" in used,
        **{name: name in counted for name in ("theta", "Theta")},
        "eta": any(map(coordinate_number, used)),
        **{name: name in calls for name in ("moment", "offset", "fraction", "slope", "phi")},
    }
    return [key for key, present in found.items() if present]


def _scalars(steps: Sequence[Step], latex: bool) -> list[str]:
    """The numbers of a stochastic step, where its deterministic part ends, and its churn."""
    notation, lines = LATEX if latex else UNICODE, dict[str, None]()
    table = _STOCHASTIC_LATEX if latex else _STOCHASTIC
    for step in steps:
        lets = [f"{notation.name(name)} = {show(value, notation)}" for name, value in step.lets]
        if step.down is not None:
            lets.append(table["down"].replace("DOWN", show(step.down, notation)))
        if step.churn is not None:
            lets.append(table["churn"])
        used = {name for _, value in step.lets for name in symbols(value)}
        if step.draws or step.churn is not None:
            lets.append(table["draw"])
        if not step.stochastic and _names(step) & {"steps", "i"}:
            lets.append(table["counts"])
        if used & {"sigma", "sigma_next"} or any("sigma" in e for e in _names(step)):
            lets.append(table["sigma"])
        lines |= dict.fromkeys(text if latex else text.replace("-", "−") for text in lets)
    return list(lines)


def _functions(steps: Sequence[Step], latex: bool) -> list[str]:
    """The named functions of x."""
    notation = LATEX if latex else UNICODE
    bodies = functions_of_x(*(e for step in steps for e in step.expressions))
    left, right = notation.parentheses
    lines = []
    for name, body in bodies.items():
        own = any(function_name(node) in BINDERS for node in walk(body))
        taken = symbols(body)
        argument = next((c for c in "yuvw" if own and c not in taken), BOUND.name)
        shown = show(substitute(body, {BOUND.name: Symbol(argument)}), notation)
        lines.append(f"{notation.name(name)}{left}{argument}{right} = {shown}")
    return lines if latex else [line.replace("-", "−") for line in lines]


def _names(step: Step) -> set[str]:
    return {name for row in step.rows for weight in row.expressions for name in symbols(weight)}


def _places(rows: Sequence[Row], latex: bool) -> list[str]:
    """Where the stages lie that are not at the end of the step."""
    found: dict[str, None] = {}
    for row in rows:
        if row.place.is_end:
            continue
        in_clock = row.place.coordinate == "clock"
        notation = LATEX if latex else UNICODE
        fraction = show(row.place.fraction, notation)
        if row.place.fraction.is_Add:
            fraction = rf"\left({fraction}\right)" if latex else f"({fraction})"
        if latex:
            name, unit = (r"\mathrm{clock}", r"\Delta") if in_clock else (r"\lambda", "h")
            at = f"{name}_{{{indexed(row.name, True)}}} = {name}_{{n}}"
        else:
            name, unit = ("clock", "Δ") if in_clock else ("λ", "h")
            at = f"{name}{subscript(row.name)} = {name}ₙ"
        move = "" if fraction == "0" else f" + {fraction} {unit}"
        if not in_clock and "h" in symbols(row.place.fraction):  # the unit may cancel
            distance = show(multiply(row.place.fraction, Symbol("h")), notation)
            move = f" - {distance[1:]}" if distance.startswith("-") else f" + {distance}"
        found[at + (move if latex else move.replace("-", "−"))] = None
    return list(found)


def _coordinates(program: Program, latex: bool) -> list[str]:
    """The further coordinates y(λ), as expressions."""
    notation, shown = LATEX if latex else UNICODE, []
    for number, expr in enumerate(program.coordinates, 1):
        index = (
            "" if number == 1 else f"_{{{number}}}" if latex else str(number).translate(SUBSCRIPT)
        )
        left = rf"y{index}(\lambda)" if latex else f"y{index}(λ)"
        shown.append(f"{left} = {show(expr, notation)}")
    if len(shown) > 1:
        mark = "$y_{2}$" if latex else "y₂"
        said = f"a symbol that names {mark} is taken in that coordinate, one that names none in y"
        shown.append(rf"\text{{{said}}}" if latex else said)
    return shown if latex else [text.replace("-", "−") for text in shown]
