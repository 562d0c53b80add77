"""The fixed definitions of an emitted file: which of them a solver needs, and its further coordinates."""

from __future__ import annotations

from sympy import Expr, Symbol

from ..expr.arithmetic import terms_of
from .file_plan import FilePlan
from .python_text import assign
from .specialise import Static, definition
from .step_quantities import coordinate_name, rate_name

PAD = " " * 4
LAM = Symbol("lam")


def support(plan: FilePlan) -> list[str]:
    """The fixed definitions that this solver needs."""
    program, calls, out = plan.program, plan.functions, list[str]()
    if plan.inside:
        out += [definition("levels", "level"), definition("levels", "recognise")]
    if "phi" in calls:
        out.append(definition("functions", "phi"))
    if plan.phis:
        out.append(definition("functions", "phis"))
    if calls & {"integral", "moment", "riemann"}:
        out += [definition("functions", name) for name in ("fejer", "tanh_sinh")]
        out.append("RULES = fejer(), tanh_sinh()\n")
    if "integral" in calls:
        out.append(definition("functions", "integral"))
    if "riemann" in calls:
        out += [definition("functions", name) for name in ("left_sum", "riemann")]
        out.append(f"SUMS = {{count: left_sum(count) for count in {plan.sums}}}\n")
    for name, body in program.functions.items():
        lines = "\n".join(assign("return", body, len(PAD)))
        out.append(f'def {name}(x):\n{PAD}"""The spec\'s {name}(x)."""\n{lines}\n')
    return [*out, *_further(plan)]


def _further(plan: FilePlan) -> list[str]:
    """The definitions of the further coordinates y(λ), and of what is asked of them.

    Where there are several, those functions take the coordinate as their first argument.
    """
    calls, kappa = plan.functions, plan.program.kappa
    ys = {number: plan.program.coordinates[number - 1] for number in plan.further}
    if not ys:
        return []
    several = len(plan.program.coordinates) > 1
    out = []
    for number, y in ys.items():
        body = assign("return", y, len(PAD))
        out.append(_of_lam(coordinate_name(number), "The further variable", body))
        if several and "slope" in calls:
            rate = [f"{PAD}{line}" for line in (*_rate(y), "return rate")]
            out.append(_of_lam(rate_name(number), "The derivative of the further variable", rate))
    static = Static({"KAPPA": kappa}, first=["y"] if several else [])
    out.append(definition("variable", "coordinate", static))
    if "fraction" in calls:
        out.append(definition("variable", "fraction", static))
    if "moment" in calls:
        out.append(definition("variable", "moments", static))
    if "slope" in calls:
        rate = ["rate = dy(lam)"] if several else _rate(next(iter(ys.values())))
        first = ["y", "dy"] if several else []
        out.append(
            definition("variable", "slope", Static({"KAPPA": kappa}, {"RATE": rate}, first=first))
        )
    return out


def _of_lam(name: str, what: str, body: list[str]) -> str:
    """A function of λ."""
    lines = "\n".join(body)
    return f'def {name}(lam):\n{PAD}"""{what} of this solver at lambda."""\n{lines}\n'


def _rate(y: Expr) -> list[str]:
    """Lines that assign the derivative of y(λ) to ``rate``, term by term."""
    terms = terms_of(y.diff(LAM))
    lines = [line for k, term in enumerate(terms) for line in assign(f"rate{k}", term, 0)]
    return [*lines, f"rate = {' + '.join(f'rate{k}' for k in range(len(terms)))}"]
