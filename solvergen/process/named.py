"""The processes that the literature names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import sympy as sp

from ..errors import hint
from ..expr.time import T
from .model import Process, ProcessError
from .origins import from_beta
from .text import parameter

_LOW, _HIGH = parameter("beta_min"), parameter("beta_max")
_BETAS = {"beta_min": Fraction(1, 10), "beta_max": Fraction(20)}
_BETA = _LOW + (_HIGH - _LOW) * T


def _vp_linear() -> Process:
    source = "Song et al. 2021, Eq. 33"
    return from_beta(_BETA, "1", _BETAS, name="vp-linear", title="VP, β linear in t", source=source)


def _sub_vp() -> Process:
    alpha = _vp_linear().alpha
    return Process(
        alpha,
        1 - alpha**2,
        values=_BETAS,
        name="sub-vp",
        title="sub-VP, β linear in t",
        source="Song et al. 2021, Eq. 29",
    )


def _vp_cosine() -> Process:
    return Process(
        sp.cos(sp.pi * T / 2),
        sp.sin(sp.pi * T / 2),
        name="vp-cosine",
        title="VP, cosine",
        source="Nichol and Dhariwal 2021, Eq. 17, without the offset; Salimans and Ho 2022",
    )


def _ve() -> Process:
    source = "Karras et al. 2022, Table 1"
    return Process(sp.Integer(1), sp.sqrt(T), name="ve", title="VE, σ = √t", source=source)


def _ve_geometric() -> Process:
    low, high = parameter("sigma_min"), parameter("sigma_max")
    return Process(
        sp.Integer(1),
        low * (high / low) ** T,
        values={"sigma_min": Fraction(1, 50), "sigma_max": Fraction(100)},
        name="ve-geometric",
        title="VE, log σ linear in t",
        source="Song et al. 2021, Eq. 31",
    )


def _edm() -> Process:
    return Process(
        sp.Integer(1),
        T,
        sp.Integer(80),
        name="edm",
        title="EDM, σ = t",
        source="Karras et al. 2022, Section 3",
    )


def _flow() -> Process:
    source = "Liu et al. 2022; Lipman et al. 2022, Eq. 20"
    return Process(1 - T, T, name="flow", title="Rectified flow", source=source)


def _trigflow() -> Process:
    source = "Lu and Song 2024, Section 3"
    return Process(
        sp.cos(T), sp.sin(T), sp.pi / 2, name="trigflow", title="TrigFlow", source=source
    )


NAMED: Mapping[str, Callable[[], Process]] = {
    "vp-linear": _vp_linear,
    "vp-cosine": _vp_cosine,
    "sub-vp": _sub_vp,
    "ve": _ve,
    "ve-geometric": _ve_geometric,
    "edm": _edm,
    "flow": _flow,
    "trigflow": _trigflow,
}


def named(name: str) -> Process:
    """The process of that name.

    Raises:
        ProcessError: there is none; the message lists those that there are.

    >>> named("flow").lam
    -log(t) + log(1 - t)
    """
    if name not in NAMED:
        raise ProcessError(f"no process is named `{name}`{hint(name, NAMED)}")
    return NAMED[name]()
