"""The spec language for people: the reference page in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...expr.parse import MAX_PARTS
from ..declare import Key, keys_of
from ..model import Rule
from . import TABLES

_INTRODUCTION = f"""\
# The spec language

A spec is a TOML file. Expressions are strings (`"1/2"`) or integers, and stay exact; a TOML float is
refused. In explicit weights these names exist: `h` (step in λ), `r1`, `r2`, … (step ratios
h_{{n−k}}/h_n in the rule's coordinate), `phi1`, `phi2`, … (φ_k(−κh), κ = +1 for data and −1 for noise),
`phi(k, c)` (φ_k(−κch)), `exp`, `expm1`, `log1p`, `sqrt`, the parameters and the abbreviations of `[let]`;
`g1`, `g2`, … (where the next points of the grid lie, as fractions of the step in the rule's coordinate)
`remaining` (σ/α at n over that at the first point where it is finite), `sigma` and `sigma_next` (σ/α where
the step begins and ends), `steps` (how many the run has), `log`, `min` and `between(low, x, high)`, which
is 1 where low <= x <= high and 0 elsewhere. Without `[noise]` there is also `i`, the number of the step,
from 0. A rule that switches (`between`, `min`) has the order of its weakest kind of step at least, and
`explain` shows that of each; orders of rules that count steps hold for long runs at every place of them:

```toml
[let]  # Heun's rule between two levels, Euler elsewhere
inside = "between(1/10, sigma, 5)"

[[stage]]
name  = "end"
at    = 1
rule  = "interpolate"
nodes = ["n"]

[step]
rule    = "weights"
weights = {{ n = "h*phi1 - h*phi2*inside", end = "h*phi2*inside" }}
```

Weights without a closed form: `integral(f, a, b)` is the integral of f from a to b, where f is an
expression in `x`, smooth up to its ends (1/sqrt(x) from 0 is not) and without integrals of its own; it
stays exact in what is proved, and emitted files compute it to float64. `riemann(f, a, b, count)` is the
left sum of that many equal parts, at most {MAX_PARTS}, as some libraries compute it:
`integral(1/(x + x**2), sigma_next, sigma)`.

Nodes may be stages of the step before, `mid-1` for the stage `mid`: peer methods and two-step Runge-Kutta
methods use them. Interpolants without [start] begin with the nodes that exist; explicit weights need
[[start.rule]] tables, which may use the stages too:

```toml
[[stage]]
name  = "mid"
at    = "1/2"
rule  = "interpolate"
nodes = ["n", "mid-1", "n-1"]

[step]
rule  = "interpolate"
nodes = ["n", "mid", "mid-1"]        # order 3 on any grid, for two calls a step
```

Explicit weights may start from the states of stages too, and [coupled] keeps a second state `y`, which
begins as x does. What is derived is the two-step method on x that this is. These are
the rules of `edict` in the gallery, whose stage is also called at another level; `p` is a parameter:

```toml
[[stage]]                            # y moved by the output at x
name    = "inter"
at      = 1
rule    = "weights"
carry   = {{ y = 1 }}
weights = {{ n = 1 }}

[step]                               # then both are mixed
rule    = "weights"
carry   = {{ x = "1 - p + p**2", inter = "p*(1 - p)" }}
weights = {{ inter = "1 - p + p**2" }}

[coupled]
rule    = "weights"
carry   = {{ x = "1 - p", inter = "p" }}
weights = {{ inter = "1 - p" }}
```

[memory] says what is remembered of an evaluation where that is not the evaluation itself: a combination of
it with what is remembered of those before, which takes its place in the step that begins there and in all
later ones. DC-Solver reads the polynomial through the last three at a ratio of the last interval, before every
step:

```toml
integrand = "data"
schedule  = {{ name = "vp-linear" }}

[step]
rule  = "interpolate"
nodes = ["n", "n-1"]

[memory]
nodes      = ["n", "n-1", "n-2"]
at         = "rho"                   # order 1 for any numbers; with "1 + h*rho" order 2
coordinate = "t"

[parameters.rho]
default = 1
per     = "step"
```

An error that is remembered goes on in all later steps, so that orders hold while it dies out; `explain` says for
which numbers it does, here for rho between 1/3 and 4/3.

Each rule, and the place of each stage, may have a coordinate of its own: λ, the clock of the integrand, and
any number beside them. A polynomial in one coordinate is integrated exactly against the kernel of the step
whatever the others are. Here an Adams predictor in the σ of flow models meets a corrector in ρ = α/σ; of the
latter's nodes only the places count, so that all are read in ρ:

```toml
integrand  = "noise"
coordinate = "sigma"
schedule   = {{ name = "flow" }}

[step]
rule  = "adams-bashforth"
steps = 2

[corrector]
mode       = "PECE"
rule       = "adams-moulton"
steps      = 3
coordinate = "rho"                   # order 3 on any grid, for two calls a step
```

In formulas and messages the first coordinate beside λ and the clock is y, the second y₂, and so on; offsets
ηₖ, moments μ and `slope` carry that number too. Rules in [start] and [end] may name a coordinate as well. With
[noise], [coupled] and `linear`, rules stay in λ or the clock, and a certificate holds one coordinate.

Steps take out the linear part of the integrand exactly, u' = −κu + N, κ = 1 with N = D of data and κ = −1 with
N = −ε of noise. `linear` is another number ℓ for that: u' = −ℓu + G, where rules approximate
G = N + (ℓ − κ)u. ℓ = 0 makes them plain Adams or Runge-Kutta methods on x/α in λ; a parameter can be fitted.
Orders are proved as for any rule, since G is as smooth as N; the emitted file reads the same model outputs and
keeps past states beside them:

```toml
integrand = "data"
linear    = "l"                      # order 2 on any grid; with l = 1 it is dpmpp_2m_exact

[parameters.l]
default = "1/2"

[step]
rule  = "interpolate"
nodes = ["n", "n-1"]
```

This is the linear coefficient of DPM-Solver-v3 as one number; its coefficients that differ from pixel to pixel
are not part of the language (`solvergen fit-statistics` makes a sampler of them).
"""


def reference() -> str:
    """The reference page in Markdown: every table and key once, with an example each."""
    rule = keys_of(Rule)
    lines = [_INTRODUCTION]
    for table in TABLES.values():
        lines += [f"## `{table.header}`" if table.name else "## Top of the file", "", table.doc, ""]
        holds_rule = set(rule) <= set(table.keys)
        own = {name: key for name, key in table.keys.items() if not (holds_rule and name in rule)}
        lines += _keys(own)
        if holds_rule:
            lines += ["It takes the [keys of a rule](#the-keys-of-a-rule).", ""]
    lines += ["## The keys of a rule", "", f"Tables that hold one: {', '.join(_holders())}.", ""]
    return "\n".join([*lines, *_keys(rule)])


def _holders() -> Iterator[str]:
    rule = set(keys_of(Rule))
    yield from (f"`{table.header}`" for table in TABLES.values() if rule <= set(table.keys))


def _keys(keys: Mapping[str, Key]) -> list[str]:
    if not keys:
        return []
    rows = [_row(name, key) for name, key in keys.items()]
    return ["| key | meaning | example |", "|---|---|---|", *rows, ""]


def _row(name: str, key: Key) -> str:
    said = [key.doc]
    if key.choices:
        said.append(f"One of {', '.join(f'`{choice}`' for choice in key.choices)}.")
    if key.kind.range:
        said.append(f"{key.kind.range.capitalize()}.")
    if key.required:
        said.append("Required.")
    if key.takers:
        said.append(f"For {', '.join(f'`{one}`' for one in key.takers)}.")
    return f"| `{name}` | {' '.join(said)} | `{name} = {key.example}` |"
