"""One examination: which measures a form has, in which order, against which truth."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ConductError, ExactnessError, ProblemError
from . import closed, conduct, guided, law, pairs, pointwise
from .check import REFUTED, REPORTED, Check, Examination, judged
from .flow import Trajectories, exact_map, trajectories
from .problem import Problem
from .target import Target

LEVELS = (8.0, 2.0, 1.0, 0.5, 0.2)
STEPS = (1, 2, 4, 8)
CLAIMS = ("endpoint_error", "guided_error", "pair_error", "law", "shares", "spread", "steps")


@dataclass(frozen=True)
class Settings:
    """How large an examination is.

    Args:
        samples: independent outputs for the law of one step; 0 leaves the law out.
        multistep: samples for the law of 2, 4 and 8 steps.
        seed: of the samples; starts of the pointwise measures have none.
        scales: guidance scales at which a guided map is examined.
        picture: starts that are drawn on the page.
    """

    samples: int = 262144
    multistep: int = 32768
    seed: int = 0
    scales: tuple[float, ...] = (1.0, 2.0, 4.0)
    picture: int = 900


def examine(
    target: Target,
    problem: Problem,
    claims: dict[str, Any] | None = None,
    settings: Settings | None = None,
) -> Examination:
    """Hold a map against the exact flow and the exact law.

    Args:
        target: the map.
        claims: in place of the target's own; keys of CLAIMS.

    Returns:
        The examination; a map that cannot be called has `error` set.

    Raises:
        ProblemError: a claim that is not known.
    """
    settings = settings or Settings()
    claimed = dict(target.claims if claims is None else claims)
    for key in claimed:
        if key not in CLAIMS:
            raise ProblemError(f"claim `{key}` is not known; known are {', '.join(CLAIMS)}")
    made = Examination(target.name, target.form, problem.name, claims=claimed)
    begun = time.process_time()
    try:
        if "label" in target.conditions:
            _guided(made, target, problem, settings)
        elif target.form == "generator":
            _generator(made, target, problem, settings)
        else:
            _map(made, target, problem, settings)
    except (ConductError, ExactnessError) as error:
        made.error = str(error)
    made.facts["seconds"] = round(time.process_time() - begun, 2)
    made.facts["sd"] = problem.sd
    return made


def chosen_levels(target: Target, problem: Problem) -> list[float]:
    """Levels to examine: some that the map was trained on, and as many between or beside them."""
    low, top = problem.sigma_min, problem.sigma_max
    if target.top_only:
        return []
    trained = [one for one in target.levels if low < one < top]
    if len(trained) > 4:
        trained = [trained[round(i * (len(trained) - 1) / 3)] for i in range(4)]
    between = [math.sqrt(a * b) for a, b in itertools.pairwise(trained)]
    fixed = [one for one in LEVELS if low < one < top]
    return sorted({*trained, *between, *fixed}, reverse=True)


def _map(made: Examination, target: Target, problem: Problem, settings: Settings) -> None:
    if target.form == "velocity":
        _velocity(made, target, problem)
        target = pairs.from_velocity(target)
    low = problem.sigma_min
    truth = trajectories(problem, chosen_levels(target, problem))
    made.facts |= {"starts": truth.states.shape[1], "truth_bound": truth.bound}
    top = truth.at(problem.sigma_max)
    target.settle(top[:4], *conduct.arguments(target, problem.sigma_max, low))
    states = {level: truth.at(level) for level in truth.levels}
    made.checks += conduct.conduct(target, states, low)
    if made.named("finite").status == REFUTED:
        return
    made.checks += conduct.stated_values(target)
    made.checks += conduct.boundary(target, truth.ends, low)
    made.checks += conduct.input_scale(target, states, low)
    _pointwise(made, target, problem, truth, settings)
    _laws(made, target, problem, settings)


def _velocity(made: Examination, target: Target, problem: Problem) -> None:
    truth = trajectories(problem, chosen_levels(target, problem))
    t, r = (one / (1 + one) for one in (problem.sigma_max, problem.sigma_min))
    target.settle(truth.at(problem.sigma_max)[:4] * (1 - t), t, r)
    made.tables["average velocity"] = pairs.average_velocity(target, problem, truth)


def _pointwise(
    made: Examination, target: Target, problem: Problem, truth: Trajectories, settings: Settings
) -> None:
    flow = exact_map(problem)
    rows = made.tables["levels"] = pointwise.by_level(target, problem, truth)
    pointwise.require_finite(rows)
    made.checks += pointwise.identity_of(target, problem, truth)
    made.checks += pointwise.level_jump(rows)
    made.checks += pointwise.off_grid(rows, target)
    if problem.dimension <= 8:
        made.checks += pointwise.level_shift(target, problem, truth, flow)
        made.checks += pointwise.start_mismatch(problem, flow)
    if not target.top_only:
        made.checks += pointwise.derivative_law(target, problem, truth)
    made.checks += pointwise.certificate(problem, rows)
    made.checks.append(_claimed(made, "endpoint_error", rows[0]["rms"], "rms error of one step"))
    if target.form == "flow-map":
        table = made.tables["pairs"] = pairs.pair_errors(target, problem, truth)
        worst = max(row["rms"] for row in table)
        made.checks += pairs.same_level(target, problem, truth)
        if not target.top_only:
            made.checks += pairs.semigroup(target, problem, truth)
        made.checks.append(_claimed(made, "pair_error", worst, "largest error of a pair of levels"))
    if problem.dimension == 2:
        start, few = truth.at(problem.sigma_max), settings.picture
        low = problem.sigma_min
        ends = target(start[:few], *conduct.arguments(target, problem.sigma_max, low))
        gap = (ends - truth.ends[:few]).square().mean(1).sqrt() / problem.sd
        made.picture = [
            (float(x), float(y), float(e)) for (x, y), e in zip(start, gap, strict=False)
        ]


def _claimed(made: Examination, key: str, found: float, what: str) -> Check:
    name = key.replace("_", " ")
    if key not in made.claims:
        return Check(name, REPORTED, f"{what}: {found:.2%} of sd", found)
    bound = float(made.claims[key])
    return judged(name, found, bound, f"{what}: {found:.2%} of sd, claimed {bound:.2%}")


def _laws(made: Examination, target: Target, problem: Problem, settings: Settings) -> None:
    low, top = problem.sigma_min, problem.sigma_max

    def jump(x: Tensor, level: float = top) -> Tensor:
        parts = [target(part, *conduct.arguments(target, level, low)) for part in x.split(32768)]
        return torch.cat(parts)

    if len(problem.mixture.weights) == 1:
        made.checks += closed.gaussian_law(jump, problem)
    if problem.dimension == 1:
        made.checks += closed.line_law(jump, problem)
    if not settings.samples:
        return
    cost = settings.samples if problem.dimension <= 8 else settings.samples // 16
    generator = torch.Generator().manual_seed(settings.seed)
    start = _starts(problem, cost, generator)
    _law(made, jump(start), problem)
    rows = made.tables["steps"] = []
    for steps in STEPS[: 1 if target.top_only else None]:
        levels = _step_levels(target, problem, steps)
        part = start[: settings.multistep if steps > 1 else cost]
        found = (
            _chain(target, part, [*levels, low])
            if target.form == "flow-map"
            else law.several_steps(jump, part, levels, low, generator)
        )
        ks, seen = law.projected_ks(found, problem.mixture, low)
        rows.append(
            {
                "steps": steps,
                "levels": levels,
                "ks": ks,
                "band": law.ks_band(len(part), seen),
                "energy": law.energy_distance(found, problem.mixture, low),
            }
        )
    _claimed_steps(made)


def _claimed_steps(made: Examination) -> None:
    """A claim `steps` is a table: number of steps to the KS distance that it stays within."""
    for steps, bound in dict(made.claims.get("steps", {})).items():
        row = next((one for one in made.tables["steps"] if str(one["steps"]) == str(steps)), None)
        if row is not None:
            made.checks.append(
                judged(
                    f"law of {steps} steps",
                    row["ks"],
                    float(bound) + row["band"],
                    f"projected KS distance {row['ks']:.4f}, claimed {float(bound):g}, band of an "
                    f"exact sample {row['band']:.4f}",
                )
            )


def _law(made: Examination, sample: Tensor, problem: Problem) -> None:
    names = ("law", "shares", "spread")
    about = {str(key): made.claims[key] for key in names if key in made.claims}
    checks, rows = law.law_checks(
        sample, problem.mixture, problem.sigma_min, about, exact=not made.claims
    )
    made.checks += checks
    made.tables["modes"] = rows
    made.facts["samples"] = len(sample)


def _starts(problem: Problem, count: int, generator: torch.Generator) -> Tensor:
    data = problem.mixture.sample(count, seed=int(generator.initial_seed()) + 1)
    noise = torch.randn(data.shape, generator=generator, dtype=data.dtype)
    return data + problem.sigma_max * noise


def _step_levels(target: Target, problem: Problem, steps: int) -> list[float]:
    """Levels of few-step sampling: the map's own where it has as many, else Karras levels."""
    if len(target.steps) == steps:
        return list(target.steps)
    top, low = problem.sigma_max ** (1 / 7), problem.sigma_min ** (1 / 7)
    return [(top + i / steps * (low - top)) ** 7 for i in range(steps)]


def _chain(target: Target, x: Tensor, levels: Sequence[float]) -> Tensor:
    for high, low in itertools.pairwise(levels):
        x = torch.cat([target(part, high, low) for part in x.split(32768)])
    return x


def _generator(made: Examination, target: Target, problem: Problem, settings: Settings) -> None:
    generator = torch.Generator().manual_seed(settings.seed)
    count = settings.samples or 65536
    size = problem.dimension * target.draws
    noise = torch.randn(count, size, generator=generator, dtype=torch.float64)
    target.settle(noise[:4])
    made.checks += conduct.stated_values(target)
    first, again = target(noise[:64]), target(noise[:64])
    bad = int((~first.isfinite()).sum())
    made.checks.append(judged("finite", bad, 0, f"{bad} values are NaN or infinite"))
    gap = float((first - again).abs().max())
    made.checks.append(
        judged(
            "deterministic",
            gap,
            0.0,
            f"two calls differ by {gap:.1e}",
            remedy="call eval() and draw no noise inside the generator",
        )
    )
    if bad:
        return
    sample = torch.cat([target(part) for part in noise.split(32768)])
    _law(made, sample, problem)


def _guided(made: Examination, target: Target, problem: Problem, settings: Settings) -> None:
    low, top = problem.sigma_min, problem.sigma_max
    truth = trajectories(problem, chosen_levels(target, problem))
    part = truth.at(top)[:4]
    extra: dict[str, Tensor] = {"label": torch.zeros(4, dtype=torch.long)}
    for dtype in (torch.float64, torch.float32):
        target.dtype = dtype
        if "scale" in target.conditions:
            extra["scale"] = torch.ones(4, dtype=dtype)
        try:
            target(part, *conduct.arguments(target, top, low), **extra)
            break
        except ConductError:
            if dtype == torch.float32:
                raise
    made.checks += conduct.stated_values(target)
    scales = settings.scales
    if "scale" not in target.conditions:
        scales = target.scales[:1] or (1.0,)
    elif target.scales:
        scales = tuple(one for one in scales if target.scales[0] <= one <= target.scales[-1])
    rows, checks = guided.guided_rows(target, problem, scales or (1.0,))
    made.tables["guided"] = rows
    summary = made.tables["scales"] = guided.by_scale(rows)
    made.checks += checks
    made.facts["starts"] = guided.COUNT
    for row in summary:
        name = f"guided error at {row['scale']:g}"
        claimed = dict(made.claims.get("guided_error", {}))
        bound = claimed.get(f"{row['scale']:g}")
        text = f"rms error of one step at scale {row['scale']:g}: {row['rms']:.2%} of sd"
        if bound is None:
            made.checks.append(Check(name, REPORTED, text, row["rms"]))
        else:
            made.checks.append(
                judged(name, row["rms"], float(bound), f"{text}, claimed {bound:.2%}")
            )
