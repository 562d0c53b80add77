"""Names with a meaning in the spec language, and what they stand for in weights."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable

from sympy import Expr, Symbol

from ..errors import ExpressionError
from ..expr.arithmetic import ZERO, subtract
from ..expr.functions import between, log, log1p, minimum, phi
from ..expr.parse import FUNCTIONS, QUADRATURE

MAX_STEPS, MAX_PHI = 9, 12
NODE = re.compile(r"n(?:-(\d{1,3}))?|n\+1|[A-Za-z][A-Za-z0-9_]{0,31}(?:-(\d{1,3}))?", re.ASCII)

STATE = re.compile(r"x(?:-(\d{1,3}))?", re.ASCII)
GRID_POINT = re.compile(r"grid ([1-9])", re.ASCII)

H, KAPPA = Symbol("h"), Symbol("kappa")

# What an emitted file or a host already calls something else.
_TAKEN = {
    "h",
    "n",
    "kappa",
    "lam",
    "model",
    "x",
    "sigmas",
    "alphas",
    "extra_args",
    "callback",
    "disable",
    "phi",
    "phis",
    "exp",
    "expm1",
    "log1p",
    "sqrt",
    "math",
    "torch",
    "moment",
    "offset",
    "fraction",
    "slope",
    "y",
    "self",
    "plan",
    "step",
    "sample",
    "coefficients",
    "integrate",
    "grid",
    "i",
    "k",
    "first",
    "last",
    "row",
    "memory",
    "denoised",
    "H",
    "clock",
    "sigma",
    "alpha",
    "weights",
    "rows",
    "coordinate",
    "gauge",
    "after",
    "value",
    "tensor",
    "level",
    "a_c",
    "s_c",
    "begun",
    "finite",
    "first_output",
    "recognise",
    "float64",
    "distance",
    "combine",
    "corrected",
    "gap",
    "levels",
    "atol",
    "rtol",
    "embedded",
    "sample_adaptive",
    "attempt",
    "check",
    "kind",
    "o",
    "log",
    "min",
    "sigma_next",
    "steps",
    "noise",
    "noise_sampler",
    "draw",
    "draws",
    "pair",
    "lift",
    "lifts",
    "keep",
    "spread",
    "start",
    "tensors",
    "Plan",
    "stacked",
    "listed",
    "rolled",
    "strength",
    "up",
    "down",
    "raised",
    "lower",
    "found",
    "base",
    "j",
    "block",
    "blocks",
    "rest",
    "spans",
    "count",
    "remaining",
    "tolerance",
    "REPEATS",
    "integral",
    "riemann",
    "fejer",
    "left_sum",
    "moments",
    "tanh_sinh",
    "places_of",
    "numbers",
    "check_noise",
    "check_state",
    "same_path",
    "per_step",
    "at_step",
    "by_sample",
    "by_element",
    "element_numbers",
    "integrate_by_element",
    "integrate_by_sample",
    "fitted_levels",
    "warnings",
    "LEVELS",
    "NUMBERS",
}
# Local variables of an emitted `coefficients`: weights, offsets, places, φ-functions and moments.
_LOCAL = re.compile(
    r"(ratio|phi|theta|Theta|gamma|Gamma|ahead|eta|down|keep|[aegHmpqstTuyzwdfFv])\d+|[A-Z]|[as]_k\d+|[cdmop]\d*_(k\d+|z|\d+)(_\d+)?|area(_\d+)?|(eta|y)\d+_\d+"
)


def reserved(name: str) -> bool:
    """Whether a name cannot be given to a parameter or a stage."""
    taken = name in _TAKEN or keyword.iskeyword(name) or hasattr(builtins, name)
    return taken or bool(_LOCAL.fullmatch(name))


def weight_names(parameters: dict[str, Expr]) -> dict[str, Expr]:
    """Names allowed in explicit weights: parameters, ``h``, ``r1`` … and ``phi1`` ….

    ``r_k`` are the step ratios h_{n−k}/h_n of the rule's coordinate, ``g_k`` the place of the k-th
    next grid point in it; ``phi_k`` is φ_k(−κh); ``remaining`` is σ/α over its first value.
    """
    ratios = {f"r{k}": Symbol(f"ratio{k}") for k in range(1, MAX_STEPS + 1)}
    phis = {f"phi{k}": phi(k, -KAPPA * H) for k in range(1, MAX_PHI + 1)}
    points = {f"g{k}": Symbol(f"ahead{k}") for k in range(1, MAX_STEPS + 1)}
    return {**phis, **ratios, **points, "h": H, "remaining": Symbol("remaining"), **parameters}


def weight_functions() -> dict[str, Callable[..., Expr]]:
    """Functions allowed in explicit weights: ``phi(k, c)`` is φ_k(−κ c h)."""

    def phi_at(k: Expr, c: Expr) -> Expr:
        if not (k.is_Integer and 0 <= k <= MAX_PHI):
            raise ExpressionError(f"phi(k, c) needs a whole k from 0 to {MAX_PHI}")
        return phi(k, -KAPPA * c * H)

    return {"phi": phi_at, "log1p": log1p, **QUADRATURE}


def scalar_names() -> dict[str, Expr]:
    """Names for a number of the step: ``h``, σ/α at its ends, and the number of steps."""
    return {name: Symbol(name) for name in ("h", "sigma", "sigma_next", "steps")}


def run_names() -> dict[str, Expr]:
    """Names for where a deterministic step lies: σ/α at its ends, the number of steps, and its own."""
    return {name: Symbol(name) for name in ("sigma", "sigma_next", "steps", "i")}


def scalar_functions() -> dict[str, Callable[..., Expr]]:
    """Functions for a number of the step."""

    def least(*values: Expr) -> Expr:
        if len(values) != 2:
            raise ExpressionError("min takes two expressions")
        return minimum(*values)

    def logarithm(z: Expr) -> Expr:
        if z.is_Rational and z <= 0:
            raise ExpressionError(f"log needs a number above 0, found {z}")
        return log(z)

    return {
        "log": logarithm,
        "log1p": log1p,
        "min": least,
        "between": between,
        **QUADRATURE,
    }


def language_names() -> set[str]:
    """All names and functions that expressions of a spec may use without declaring them."""
    names = {*weight_names({}), *scalar_names(), *run_names()}
    return names | {*FUNCTIONS, *weight_functions(), *scalar_functions()}


def ratio(prefix: str, k: int) -> Expr:
    """The k-th step ratio in terms of history offsets: ``theta2 - theta1`` for k = 2."""
    newer = Symbol(f"{prefix}{k - 1}") if k > 1 else ZERO
    return subtract(Symbol(f"{prefix}{k}"), newer)
