"""The text of `step`: one model output in, the next state to evaluate and what to remember out."""

from __future__ import annotations

from .file_plan import CallSite, FilePlan
from .python_text import WIDTH, wrap_tuple

PAD = " " * 4

LANGEVIN = """\
    if kind == {kind}:  # a Langevin step of the length that norms give
        toward = weights[1] * denoised - x
        drawn, pulled = (v[:, None].flatten(1).norm(dim=1).mean() for v in (*noise, toward))
        root = weights[0] * drawn / pulled.where(pulled > 0, math.inf)  # nothing pulls: no step
        return x + root * (root * toward + weights[2] * noise[0]), ()
"""


def step_function(plan: FilePlan) -> str:
    """The definition of `step`, one block for each kind of model call."""
    names = ["_", "kind" if len(plan.calls) + plan.norms > 1 else "_", "_", "weights"]
    stochastic = plan.program.stochastic
    names += ["*_"] if stochastic else []
    drawn = [f"{PAD}noise: unit Gaussian tensors like x, one for each pair in row[4]."]
    lines = [
        f"def step(row, x, denoised, memory{', noise=()' if stochastic else ''}, empty=None):",
        f'{PAD}"""Take one model output: return the next state to evaluate and what to remember.',
        "",
        f"{PAD}row: one row of the plan; memory: () at first, then what the last call returned.",
        *(drawn if stochastic else []),
        f"{PAD}empty: gives memory for what is made here, as torch.empty_like; torch does unless given.",
        f'{PAD}"""',
        f"{PAD}{', '.join(names)} = row",
    ]
    if plan.norms:
        lines += LANGEVIN.format(kind=len(plan.calls)).splitlines()
    for site in plan.calls:
        if site is plan.calls[-1]:
            lines += _site(plan, site, PAD)
        else:
            lines.append(f"{PAD}if kind == {site.kind}:{_remark(site)}")
            lines += _site(plan, site, PAD * 2)
    return "\n".join(lines) + "\n"


def _remark(site: CallSite) -> str:
    if site.evaluations == 1:
        return "  # a step of one evaluation"
    return f"  # evaluation {site.index + 1} of {site.evaluations}"


def _site(plan: FilePlan, site: CallSite, pad: str) -> list[str]:
    """The lines that consume one model output."""
    direct = plan.direct
    now = plan.variable("n")
    current = now if site.opens else f"k{site.index}"
    value = "denoised" if direct else "combine(weights[:2], (x, denoised), empty)"
    lines = [f"{pad}{current} = {value}"]
    past = list(plan.past)
    before = _live(plan, site, site.index - 1)
    after = _live(plan, site, site.index)
    start = "x" if site.opens else "base"
    carries = plan.carries
    drawn = ["*noise"] if plan.draws and site.opens else ["*known", "*noise"] if carries else []
    carried = [] if not carries else ["noise" if site.opens else "(*known, *noise)"]
    if not site.opens:
        names = ["base", now, *before, *past, *(["known"] if carried else [])]
        line = f"{pad}{_joined(names)} = memory"
        lines += [line] if len(line) <= WIDTH else wrap_tuple("", names, len(pad), " = memory")
    elif past:
        empty = f"torch.zeros_like({now})"
        fresh = f"({empty},)" if len(past) == 1 else f"[{empty} for _ in range({len(past)})]"
        line = f"{pad}{_joined(past)} = memory or {fresh}"
        broken = [f"{line.split('[')[0]}[", f"{pad}    {fresh[1:-1]}", f"{pad}]"]
        lines += [line] if len(line) <= WIDTH else broken
    values = _tuple([start, *(plan.variable(source) for source in site.sources), *drawn])
    if site.closes:
        stages = [f"k{j}" for j in range(1, site.index + 1)]
        if plan.keeps:
            recent = _tuple([now, *past[: plan.keeps - 1]])
            lines.append(f"{pad}kept = combine(weights[-{plan.keeps}:], {recent}, empty)")
        split = plan.memory + plan.states
        remembered = ["kept" if plan.keeps else now, *past][: plan.memory]
        remembered += [start, *past[plan.memory : split]][: plan.states]
        remembered += (stages + [now] * plan.carried)[: plan.carried]
    else:
        remembered = [start, now, *after, *past, *carried]
    if f"{current}," not in f"{values}{_tuple(remembered)},".replace(")", ","):
        lines = lines[1:]  # a last evaluation that its step ignores: an embedded rule uses it
    tail = f"-{plan.keeps}" if plan.keeps and site.closes else ""
    weights = f"weights[{'' if direct else '2'}:{tail}]"
    weights = "weights" if weights == "weights[:]" else weights
    return lines + _return(f"combine({weights}, {values}, empty)", remembered, pad)


def _live(plan: FilePlan, site: CallSite, made: int) -> list[str]:
    """Of the first stages of a step, those that it still needs when the next output comes."""
    later = [s for s in plan.calls if s.evaluations == site.evaluations and s.index > made]
    used = {plan.variable(source) for s in later for source in s.sources}
    return [f"k{j}" for j in range(1, made + 1) if j <= plan.carried or f"k{j}" in used]


def _return(value: str, remembered: list[str], pad: str) -> list[str]:
    line = f"{pad}return {value}, {_tuple(remembered)}"
    if len(line) <= WIDTH:
        return [line]
    last = f"{pad}return following, {_tuple(remembered)}"
    wrapped = wrap_tuple("return following, ", remembered, len(pad))
    made = f"{pad}following = {value}"
    opened, inner = made.removesuffix(")").split("(", 1)
    called = [made] if len(made) <= WIDTH else [f"{opened}(", f"{pad}    {inner}", f"{pad})"]
    return [*called, *([last] if len(last) <= WIDTH else wrapped)]


def _joined(names: list[str]) -> str:
    return ", ".join(names) if len(names) > 1 else f"({names[0]},)"


def _tuple(names: list[str]) -> str:
    return "(" + ", ".join(names) + ("," if len(names) == 1 else "") + ")"
