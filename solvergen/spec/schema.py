"""The spec language for machines (JSON Schema) and for people (the reference page)."""

from __future__ import annotations

from typing import Any

from ..expr.parse import MAX_PARTS
from .keys import TABLES
from .rule_keys import Key, Table

_EXACT = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "name": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,63}$"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "exact": _EXACT,
    "expression": _EXACT,
    "texts": {"type": "array", "items": {"type": "string"}},
    "lists": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
    "place": _EXACT,
    "expressions": {"type": "array", "items": _EXACT},
    "list": {"type": "array", "items": _EXACT},
    "scalar": _EXACT,
    "scalars": {"type": "array", "items": _EXACT},
    "weight": _EXACT,
    "rows": {"type": "array", "items": {"type": "array", "items": _EXACT}},
    "weights": {"type": "object", "additionalProperties": _EXACT},
}


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 7, which TOML editors read) of a spec file."""
    top = _object(TABLES[""])
    tables: dict[str, Any] = {}
    for name, table in TABLES.items():
        if not name or "." in name:
            continue
        shape = _object(table)
        if name == "parameters":
            shape = {"type": "object", "additionalProperties": shape}
        elif name == "let":
            shape = {"type": "object", "additionalProperties": _EXACT}
        elif table.repeated:
            shape = {"type": "array", "items": shape}
        tables[name] = {"description": table.doc, **shape}
    for edge in ("start", "end"):
        rules = {"type": "array", "items": _object(TABLES[f"{edge}.rule"])}
        tables[edge]["properties"]["rule"] = rules
    top["properties"] |= tables
    top["anyOf"] = [{"required": ["step"]}, {"required": ["tableau"]}]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "solvergen spec",
        "description": "A diffusion solver as a short spec.",
        **top,
    }


def _object(table: Table) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _property(key) for name, key in table.keys.items()},
    }
    return shape | {"required": [name for name, key in table.keys.items() if key.required]}


def _property(key: Key) -> dict[str, Any]:
    shape = {"description": key.doc, **_TYPES[key.kind]}
    return shape | ({"enum": list(key.choices)} if key.choices else {})


def reference() -> str:
    """The reference page in Markdown: every table and key, with an example each."""
    lines = [
        "# The spec language",
        "",
        'A spec is a TOML file. Expressions are texts (`"1/2"`) or integers, and stay exact; a TOML',
        "float is refused. In explicit weights these names exist: `h` (step in λ), `r1`, `r2`, … (step",
        "ratios h_{n−k}/h_n in the rule's coordinate), `phi1`, `phi2`, … (φ_k(−κh), κ = +1 for data and",
        "−1 for noise), `phi(k, c)` (φ_k(−κch)), `exp`, `expm1`, `log1p`, `sqrt`, the parameters and the",
        "abbreviations of `[let]`; `g1`, `g2`, … (where the next points of the grid lie, as fractions of",
        "the step in the rule's coordinate) and `remaining` (σ/α at n over that at the first point where it is finite). With `[noise]` they also know `sigma` and `sigma_next` (σ/α where the",
        "step begins and ends), `steps` (how many the run has), `log`, `min` and `between(low, x, high)`, which",
        "is 1 where low <= x <= high and 0 elsewhere.",
        "",
        "Weights without a closed form: `integral(f, a, b)` is the integral of f from a to b, where f is",
        "an expression in `x`, smooth up to its ends (1/sqrt(x) from 0 is not) and without integrals of its",
        "own; it stays exact in what is proved, and emitted files compute it to float64.",
        f"`riemann(f, a, b, count)` is the left sum of that many equal parts, at most {MAX_PARTS}, as libraries",
        "have it: `integral(1/(x + x**2), sigma_next, sigma)`.",
        "",
    ]
    rules = TABLES["step"].keys
    for name, table in TABLES.items():
        lines += [f"## `{table.header}`" if name else "## Top of the file", "", table.doc, ""]
        shared = name != "step" and set(rules) <= set(table.keys)
        keys = {k: v for k, v in table.keys.items() if not (shared and k in rules)}
        if keys:
            lines += ["| key | meaning | example |", "|---|---|---|"]
            lines += [_line(key, value) for key, value in keys.items()]
            lines.append("")
        if shared:
            lines += ["And the keys of a rule, as in `[step]`.", ""]
    return "\n".join(lines)


def _line(name: str, key: Key) -> str:
    choices = f" One of {', '.join(f'`{c}`' for c in key.choices)}." if key.choices else ""
    needed = " Required." if key.required else ""
    return f"| `{name}` | {key.doc}{choices}{needed} | `{name} = {key.example}` |"
