"""Commented starter specs: one for each family of rules."""

from __future__ import annotations

_HEAD = """\
#:schema solver.schema.json
name        = "{name}"
title       = "{name}"
description = "Say in a sentence what is particular about this solver."
integrand   = "{integrand}"   # data (D), noise (eps) or velocity
coordinate  = "{coordinate}"  # variable of the polynomials: lambda, clock, rho, s, sigma, t

# [source]
# authors = "..."
# year    = 2026
# arxiv   = "0000.00000"
# where   = "Algorithm 1"
"""

_TAIL = """
# While history is short the same rule is used with the nodes that exist. To start otherwise:
{mark}[start]
{mark}using  = ["res_2s"]        # a first step of order p - 1 is enough for order p
# shrink = "3/2"

# [end]
# ramp = true               # lower order at the end, as some libraries do

[claim]
order = {order}                   # checked against what is derived, never used
"""

_BODIES: dict[str, tuple[str, str, int, str]] = {
    "interpolate": (
        "data",
        "lambda",
        2,
        """
[step]
rule  = "interpolate"       # the polynomial through these nodes, integrated exactly
nodes = ["n", "n-1"]
""",
    ),
    "adams-bashforth": (
        "data",
        "lambda",
        3,
        """
[step]
rule  = "adams-bashforth"   # short for interpolate with nodes n, n-1, n-2
steps = 3
""",
    ),
    "taylor": (
        "data",
        "lambda",
        2,
        """
[step]
rule   = "taylor"           # Taylor polynomial at n, derivatives from the interpolant
nodes  = ["n", "n-1"]
degree = 1
# factors = ["1", "1"]      # factors on the terms of degree 0, 1, ...
""",
    ),
    "mean-value": (
        "noise",
        "lambda",
        2,
        """
[parameters.theta]
default = "1/2"
above   = 0
below   = 1
doc     = "where in the step the model is called"

[[stage]]
name  = "mid"
at    = "theta"
rule  = "interpolate"
nodes = ["n"]

[step]
rule  = "mean-value"        # one-point quadrature
nodes = ["mid"]
# theta = "1/2"             # where to read the interpolant when there are several nodes
# scale = "1"
""",
    ),
    "weights": (
        "data",
        "lambda",
        2,
        """
[parameters.c2]
default = "1/2"
above   = 0
maximum = 1
doc     = "place of the stage"

[[stage]]
name    = "mid"
at      = "c2"
rule    = "weights"
weights = { n = "c2*h*phi(1, c2)" }

[step]
rule    = "weights"         # explicit weights in h, r1, r2, phi1, phi(k, c), parameters
weights = { n = "h*phi1 - h*phi2/c2", mid = "h*phi2/c2" }
""",
    ),
    "predictor-corrector": (
        "data",
        "lambda",
        3,
        """
[step]
rule  = "adams-bashforth"   # the predictor
steps = 2

[corrector]
mode  = "PEC"               # reuse the evaluation at the predicted value; PECE evaluates again
rule  = "adams-moulton"     # nodes n+1, n, n-1
steps = 3
""",
    ),
    "runge-kutta": (
        "noise",
        "clock",
        2,
        """
[[stage]]
name    = "end"
at      = "1"
rule    = "weights"
weights = { n = "1" }       # in the clock, weights are those of a Butcher tableau

[step]
rule    = "weights"
weights = { n = "1/2", end = "1/2" }
""",
    ),
    "stochastic": (
        "data",
        "lambda",
        2,
        """
[parameters]
tau = { default = 1, minimum = 0, doc = "0 is the ODE, 1 the reverse SDE" }

[noise]
form     = "sde"            # or ancestral (strength eta), churn (S_churn), explicit
strength = "tau"
# window = ["1/20", "10"]   # least and greatest sigma/alpha where the strength holds

[step]
rule  = "adams-bashforth"   # integrated against the SDE's own exponential kernel
steps = 2
""",
    ),
}

FAMILIES = tuple(_BODIES)


def starter(name: str, family: str) -> str:
    """A commented spec of a family, ready to lint and generate.

    Args:
        name: name of the new solver.
        family: one of `FAMILIES`.

    Raises:
        KeyError: no such family.
    """
    integrand, coordinate, order, body = _BODIES[family]
    head = _HEAD.format(name=name, integrand=integrand, coordinate=coordinate)
    tail = _TAIL.format(order=order, mark="" if family == "adams-bashforth" else "# ")
    if family == "stochastic":  # two orders of its own instead of one
        tail = tail.replace(f"order = {order}     ", f"covariance = {order}\nstrong = 1    ")
    return head + body + tail
