"""A solver with its parameters at their defaults, so that it can serve inside another one."""

from __future__ import annotations

from dataclasses import replace

from sympy import Expr

from ..expr.arithmetic import substitute
from ..expr.functions import lift
from ..spec.model import Noise, Rule, Solver


def pinned(solver: Solver) -> Solver:
    """The solver with its parameters at their defaults, so that it can serve inside another one."""
    values: dict[str, Expr] = {p.name: lift(p.default) for p in solver.parameters}

    def fixed(rule: Rule) -> Rule:
        return replace(
            rule,
            theta=rule.theta and substitute(rule.theta, values),
            scale=rule.scale and substitute(rule.scale, values),
            factors=tuple(substitute(f, values) for f in rule.factors),
            weights=tuple((source, substitute(w, values)) for source, w in rule.weights),
            decay=rule.decay and substitute(rule.decay, values),
            noise=tuple((draw, substitute(w, values)) for draw, w in rule.noise),
            deviations=tuple((stage, substitute(w, values)) for stage, w in rule.deviations),
            carry=tuple((state, substitute(w, values)) for state, w in rule.carry),
        )

    return replace(
        solver,
        step=fixed(solver.step),
        stages=tuple(
            replace(
                stage,
                at=substitute(stage.at, values),
                level=stage.level and substitute(stage.level, values),
                rule=fixed(stage.rule),
            )
            for stage in solver.stages
        ),
        coupled=solver.coupled and fixed(solver.coupled),
        corrector=solver.corrector and replace(solver.corrector, rule=fixed(solver.corrector.rule)),
        linear=None if solver.linear is None else substitute(solver.linear, values),
        parameters=(),
    )


def fixed_noise(solver: Solver) -> Noise:
    """A solver's noise with its parameters at their defaults."""
    noise, values = solver.noise, {p.name: lift(p.default) for p in solver.parameters}
    assert noise is not None
    return replace(
        noise,
        strength=substitute(noise.strength, values),
        scale=substitute(noise.scale, values),
        window=tuple(substitute(edge, values) for edge in noise.window),
        down=noise.down and substitute(noise.down, values),
    )
