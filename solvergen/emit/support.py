"""The fixed definitions of an emitted file: which of them a solver needs, and its further coordinate."""

from __future__ import annotations

from sympy import Expr, Symbol

from ..expr.arithmetic import terms_of
from ..program.row import FURTHER
from .file_plan import FilePlan
from .python_text import assign
from .specialise import Static, definition

PAD = " " * 4


def support(plan: FilePlan) -> list[str]:
    """The fixed definitions that this solver needs."""
    program, calls, out = plan.program, plan.functions, list[str]()
    if plan.inside:
        out += [definition("levels", "level"), definition("levels", "recognise")]
    if "phi" in calls:
        out.append(definition("functions", "phi"))
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
    further = [step.coordinate for step in program.steps if step.coordinate is not None]
    if further and (calls & set(FURTHER) or "eta1" in program.free_symbols()):
        out += _further(further[0], calls, program.kappa)
    return out


def _further(y: Expr, calls: frozenset[str], kappa: int) -> list[str]:
    """The definitions of a further coordinate y(λ)."""
    body = "\n".join(assign("return", y, len(PAD)))
    line = '"""The further variable of this solver at lambda."""'
    out = [f"def y(lam):\n{PAD}{line}\n{body}\n", definition("variable", "coordinate")]
    static = Static({"KAPPA": kappa}, {"RATE": []})
    if "fraction" in calls:
        out.append(definition("variable", "fraction"))
    if "moment" in calls:
        out.append(definition("variable", "moments", static))
    if "slope" in calls:
        static = Static({"KAPPA": kappa}, {"RATE": _rate(y)})
        out.append(definition("variable", "slope", static))
    return out


def _rate(y: Expr) -> list[str]:
    """Lines that assign the derivative of y(λ) to ``rate``, term by term."""
    terms = terms_of(y.diff(Symbol("lam")))
    lines = [line for k, term in enumerate(terms) for line in assign(f"rate{k}", term, 0)]
    return [*lines, f"rate = {' + '.join(f'rate{k}' for k in range(len(terms)))}"]
