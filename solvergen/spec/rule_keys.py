"""What a key and a table of the spec language are, and the keys that every rule has."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Key:
    """One key of a table.

    Args:
        kind: what a value must be; see `KINDS`.
        doc: one sentence for the reference page.
        example: a TOML value.
        required: whether the table is an error without it.
        choices: the allowed texts, when they are a closed list.
    """

    kind: str
    doc: str
    example: str
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the spec: its keys, and how it is written in TOML."""

    header: str
    doc: str
    keys: dict[str, Key] = field(default_factory=dict)
    repeated: bool = False


KINDS = {
    "text": "a text",
    "name": "a name of letters, digits and underscores that does not start with a digit",
    "integer": "a whole number",
    "boolean": "true or false",
    "exact": 'an exact number: an integer or a text such as "1/2" or "0.25"',
    "expression": 'an expression in a text, such as "1/2" or "r"',
    "texts": "a list of texts",
    "lists": "a list of lists of texts",
    "place": 'an expression in a text, such as "1/2" or "r", or a grid point, such as "grid 1"',
    "expressions": "a list of expressions",
    "weight": "an expression in a text",
    "list": "a list of expressions",
    "rows": "a list of lists of expressions",
    "scalar": "an expression in the parameters, h, sigma, sigma_next (both σ/α) and steps",
    "scalars": "a list of such expressions",
    "weights": 'a table from node to expression, such as { n = "1/6", k2 = "1/3" }',
}

RULES = ("interpolate", "taylor", "mean-value", "weights", "adams-bashforth", "adams-moulton")
COORDINATES = ("lambda", "clock", "rho", "s", "sigma", "t")
SCHEDULES = ("ve", "vp", "vp-linear", "cosine", "flow")

RULE_KEYS = {
    "rule": Key(
        "text", "How the integral over the step is approximated.", '"interpolate"', True, RULES
    ),
    "nodes": Key(
        "texts",
        'Model evaluations the rule uses: "n" is the current point, "n-1" the one before, "n+1" the '
        "end of the step (correctors only), a stage by its name.",
        '["n", "n-1"]',
    ),
    "coordinate": Key(
        "text",
        "Variable of the polynomial, when it differs from the solver's.",
        '"clock"',
        False,
        COORDINATES,
    ),
    "steps": Key("integer", "Number of nodes of an Adams rule, newest first.", "3"),
    "degree": Key("integer", "Degree of the Taylor polynomial (rule taylor).", "2"),
    "factors": Key(
        "expressions",
        "Factors on the terms of the Taylor polynomial, from degree 0 up (rule taylor); all 1 "
        "unless given. This is how published slips are reproduced.",
        '["1", "1", "1/2"]',
    ),
    "theta": Key(
        "expression",
        "Where the interpolant is read, as a fraction of the step (rule mean-value).",
        '"1/2"',
    ),
    "scale": Key(
        "expression", "Factor on the mean value (rule mean-value); 1 unless given.", '"c"'
    ),
    "weights": Key(
        "weights",
        "Explicit weights (rule weights). In the coordinate lambda they are the A_j of "
        "u' = -kappa*u + N and contain h; in the clock they multiply the clock's step; in another "
        "coordinate its step, and each evaluation comes with the clock's slope there.",
        '{ n = "h*phi1 - h*phi2/r", mid = "h*phi2/r" }',
    ),
    "states": Key(
        "texts",
        'Accepted states that the polynomial passes through (rule interpolate, in the clock): "x" is '
        'the current one, "x-1" the one before. ["x"] unless given.',
        '["x", "x-1"]',
    ),
    "deviations": Key(
        "weights",
        "Stages beside the polynomial, with weights like explicit ones: each counts by how far its "
        "evaluation lies from the polynomial there (rule interpolate).",
        '{ mid = "h*phi(0, 1/2)" }',
    ),
    "carry": Key(
        "weights",
        "Factors on the accepted states, each first brought to the place of the result by the linear "
        'part alone (rule weights); they sum to 1. { x = "1" } unless given.',
        '{ x = "4/3", x-1 = "-1/3" }',
    ),
    "decay": Key(
        "weight",
        "Factor on the state beside the ODE's own (rule weights, stochastic solvers).",
        '"exp(-h)"',
    ),
    "noise": Key(
        "weights",
        "Draws and their weights, in units of σ at the place of the result (rule weights). Rows that "
        "name the same draw share it.",
        '{ z = "sqrt(-expm1(-2*h))" }',
    ),
    "frozen": Key("boolean", "Weights as if all steps were equal (iPNDM, PLMS).", "true"),
}
