"""The error budget of a recipe as text: what is known before training."""

from __future__ import annotations

from .limits import Limits, TeacherError
from .recipe import Recipe

UPDATE = {
    "dsm": "min E w(t) |D(x0 + t z, t) - x0|^2",
    "flow-matching": "min E |v(x_t, t) - (z - x0)|^2",
    "direct": "min E d(f(x_n, t_n), x_N)",
    "consistency": "min E d(f(x_n, t_n), f-(x_{n+1}, t_{n+1})), both states on the teacher's run",
    "consistency-training": "min E d(f(x0 + t_{n+1} z, t_{n+1}), f-(x0 + t_n z, t_n))",
    "easy-consistency": "min E d(f(x0 + t z, t), f-(x0 + r z, r)), r = t (1 - n(t)/q^k)",
    "continuous-consistency": "min E |F - F- - g|^2, g the normalised tangent of f along the flow",
    "trajectory": "min E d(G(x_t, t, s), G-(x_u, u, s)) + DSM of g(x, t, t)",
    "flow-map": "min E |G(x_t, t, s) - x_s|^2",
    "average-velocity": "min E |u - (v - (t - r) du/dt)|^2",
    "shortcut": "min E |u(x, t, t - 2d) - (u- + u-')/2|^2, |u(x, t, t - d_min) - v|^2",
    "progressive": "min E |x0(x_t) - x0 that two steps of the teacher imply|^2, halving",
    "latent-consistency": "min E d(f(x_n, t_n, c, s), f-(x_{n+1}, t_{n+1}, c, s)), guided teacher",
    "reflow": "min E |v(x_t, t) - (z - x1)|^2 over couples (z, x1) of the teacher",
    "distribution-matching": "x moves along D_real - D_fake; D_fake learns from x",
    "moments": "min MMD(G(x_t, t, s), G-(x_r, r, s))",
    "adversarial-denoising": "min max on states one level below: data against G(x_t), noised",
    "adversarial-distillation": "min max on noised samples, plus a distance to the teacher's D",
}


def budget_lines(recipe: Recipe, found: Limits) -> list[str]:
    """A page for a terminal."""
    lines = [recipe.title]
    source = recipe.source
    if source.get("authors"):
        lines.append(
            f"{source['authors']} {source['year']}, arXiv:{source['arxiv']}, {source['where']}"
        )
    lines += ["", f"  update  {UPDATE[recipe.system]}", f"  limit   {found.limit}", "", "budget"]
    lines += _teacher_lines(recipe, found)
    score = "0 (the denoiser is exact)" if found.score == "exact" else f"that of {found.score}"
    lines.append(f"  E_score    {score}")
    lines += _metric_lines(recipe, found)
    lines.append("  E_net      train recipe `direct` with the same network: the floor of any map")
    lines.append("  E_boot     what is left: the price of learning from its own earlier output")
    if found.start is not None:
        lines.append(
            f"  start      N(0, T^2) in place of the marginal costs {found.start:.2%} of sd"
        )
    claim = dict(recipe.claim)
    if claim:
        lines += ["", "claims  " + ", ".join(f"{key} {value}" for key, value in claim.items())]
    if found.cheapest:
        lines.append(f"cheapest teacher below half of it  {_shown(found.cheapest)}")
    elif found.teacher and "endpoint_error" in claim:
        lines.append("no teacher of at most 320 steps is below half of the claim on such a grid")
    lines += [f"warning: {one}" for one in found.warnings]
    if found.refused:
        lines.append(f"refused: {found.refused}")
    if recipe.authors:
        lines += ["", "the authors' settings"]
        lines += [f"  {key:10} {value}" for key, value in recipe.authors.items()]
    return lines


def _teacher_lines(recipe: Recipe, found: Limits) -> list[str]:
    if found.teacher is None:
        return ["  E_teacher  0 (no solver is run)"]
    levels, substeps = recipe.teacher["levels"]["n"], recipe.teacher["substeps"]
    return [
        f"  E_teacher  {_shown(found.teacher)}, as {levels} levels of {substeps} sub-steps",
        f"             flips {found.teacher.flips:.2%}, rms without {found.teacher.rms_kept:.2%}, "
        + f"mean {found.teacher.mean:.2%}",
    ]


def _metric_lines(recipe: Recipe, found: Limits) -> list[str]:
    if not found.bias:
        return ["  E_metric   0 (the target is not random, or the loss is squared with v exact)"]
    rows = ", ".join(f"{row['median']:.2f} at {row['level']:.2g}" for row in found.bias)
    metric = recipe.loss.get("metric", "l2")
    return [
        f"  E_metric   metric {metric}; |median - mean| of the posterior over its sd: {rows}",
        "             for pseudo-huber with c far below the sd a bias that levels do not remove",
    ]


def _shown(one: TeacherError) -> str:
    return f"{one.rms:.2%} of sd: {one.solver}, {one.steps} steps, {one.calls} model calls"
