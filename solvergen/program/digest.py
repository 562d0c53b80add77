"""The canonical text of a Program and its SHA-256: equal derivations have equal digests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from ..expr.arithmetic import ONE
from ..expr.printing import rational, show
from ..spec.model import Parameter
from .model import Program
from .row import Row
from .step import Step


def canonical(program: Program) -> dict[str, Any]:
    """A Program as plain data, with every weight as exact text.

    Titles, labels and names of stages do not enter: two specs that derive the same rows are equal.
    """
    adaptive = {
        "embedded": program.embedded and _row(program.embedded, _names(program.main)),
        "controller": program.controller
        and {name: str(value) for name, value in vars(program.controller).items()},
    }
    functions = {name: show(body) for name, body in program.functions.items()}
    return {
        **(adaptive if program.controller else {}),
        **({"jumps": True} if program.jumps else {}),
        **({"jump_scale": show(program.jump_scale)} if program.jump_scale != ONE else {}),
        **({"functions": functions} if functions else {}),
        **(
            {"remainder": [[_step(step) for step in rest] for rest in program.remainder]}
            if program.remainder
            else {}
        ),
        "integrand": program.integrand,
        "main": _step(program.main),
        "start": [_step(step) for step in program.start],
        "end": [_step(step) for step in program.end],
        "zero": program.zero,
        "shrink": None if program.shrink is None else show(program.shrink),
        "parameters": {p.name: _parameter(p) for p in program.parameters},
        **({"first": program.first} if program.first else {}),
        **({"called": show(program.called)} if program.called != ONE else {}),
        **({"output": program.output} if program.output != "data" else {}),
        **({"levels": [rational(level) for level in program.levels]} if program.levels else {}),
    }


def _parameter(parameter: Parameter) -> list[Any]:
    bounds = (parameter.minimum, parameter.maximum, parameter.above, parameter.below)
    found: list[Any] = [rational(parameter.default)]
    found += [None if bound is None else rational(bound) for bound in bounds]
    return [*found, [rational(value) for value in parameter.values]] if parameter.per else found


def _step(step: Step) -> dict[str, Any]:
    names = _names(step)
    noise: dict[str, Any] = {}
    if step.stochastic:
        noise = {
            "lets": [[name, show(value)] for name, value in step.lets],
            "down": None if step.down is None else show(step.down),
            "churn": None if step.churn is None else [show(step.churn), show(step.churn_scale)],
            "draws": [[d.name, show(d.start), show(d.end)] for d in step.draws],
        }
    if step.chain is not None:
        sizes = (step.chain.rate, step.chain.snr)
        noise["chain"] = [
            step.chain.repeats,
            *(None if size is None else show(size) for size in sizes),
        ]
    return {
        **noise,
        **({"spans": step.spans} if step.spans > 1 else {}),
        **({"memory": {t.source: show(t.weight) for t in step.memory}} if step.memory else {}),
        "stages": [_row(row, names) for row in step.stages],
        "final": _row(step.final, names),
        "corrector": step.corrector and _row(step.corrector, names),
        "coordinate": ", ".join(map(show, step.coordinates)) or None,
    }


def _names(step: Step) -> dict[str, str]:
    names = {row.name: f"k{i}" for i, row in enumerate(step.stages, 1)}
    return names | {f"{name}-1": f"{short}-1" for name, short in names.items()}


def _row(row: Row, names: dict[str, str]) -> dict[str, Any]:
    noise = {"decay": show(row.decay), "noise": {d.name: show(d.weight) for d in row.noise}}
    return {
        **(noise if row.noise or row.decay != ONE else {}),
        **({"carry": {t.source: show(t.weight) for t in row.carry}} if row.carry else {}),
        **({"level": show(row.level)} if row.level != ONE else {}),
        "place": [row.place.coordinate, show(row.place.fraction)],
        "gauge": row.gauge,
        "weights": {names.get(t.source, t.source): show(t.weight) for t in row.terms},
    }


def base_digest(program: Program) -> str:
    """SHA-256 of a Program without its levels and its numbers per step: of the rule alone."""
    bare = tuple(replace(p, values=()) for p in program.parameters)
    return digest(replace(program, parameters=bare, levels=()))


def digest(program: Program) -> str:
    """SHA-256 of the canonical text."""
    text = json.dumps(canonical(program), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
