"""Predicted against measured global errors, and the derivatives under them."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from verify.errors import ClaimError
from verify.order import constant
from verify.order import leading_error as leading
from verify.order.audit import audit
from verify.order.stated_error import evaluate
from verify.problems import jets
from verify.problems.mixture import oracle_mixture

from . import handwritten as hand

ORACLE = {
    m["id"]: m
    for m in json.loads(
        (Path(__file__).parents[1] / "data" / "order_oracle.json").read_text(encoding="utf-8")
    )["ode_methods"]
}


def stated(name):
    entry = ORACLE[name]
    tables = {"uniform": entry["leading_local_error_uniform_lambda"]}
    if isinstance(entry.get("leading_local_error_symbolic_ratios"), list):
        tables["symbolic"] = entry["leading_local_error_symbolic_ratios"]
    return {"INTEGRAND": entry["prediction"], "LEADING_ERROR": tables}


CASES = [
    ("ddim_data", hand.ddim),
    ("dpm_2m_midpoint_data", hand.midpoint_2m),
    ("dpm_2m_heun_data", hand.multistep),
    ("dpm_3m_as_released_data", functools.partial(hand.multistep, second=1.0)),
    ("dpm_3m_corrected_data", functools.partial(hand.multistep, second=2.0)),
    ("heun_edm", hand.heun),
]


@pytest.mark.parametrize(("name", "sampler"), CASES)
def test_global_error_is_predicted_and_leading_words_agree_exactly(name, sampler):
    claim = stated(name)
    found = audit(sampler, form=claim["INTEGRAND"])
    predicted = constant.compare(sampler, claim, found)
    assert predicted
    for grid, result in predicted.items():
        assert result["ok"], (grid, result)
        assert result["ratio"] == pytest.approx(1.0, abs=0.02)
    for kind in ("uniform", "arbitrary"):
        grid = found.grids[kind]
        if (claim["LEADING_ERROR"]).get("uniform" if kind == "uniform" else "symbolic"):
            assert not leading.differences(claim, kind, grid.exact_start, grid.leading)


def test_one_percent_in_a_word_is_seen():
    claim = stated("dpm_2m_heun_data")
    claim["LEADING_ERROR"]["uniform"] = [{"tree": [2, []], "coef": "-5/12 * 1.01"}]
    grid = audit(hand.multistep, form="data").grids["uniform"]
    assert leading.differences(claim, "uniform", 2, grid.leading)


def test_jets_against_differences():
    mixture = oracle_mixture()
    lam, x = np.asarray([0.3]), np.asarray([0.7])
    for kappa in (1, -1):
        series = jets.integrand_series(mixture, kappa, lam, x, 3, 3)

        def value(u, at, kappa=kappa):
            return jets.integrand_series(mixture, kappa, np.asarray([at]), np.asarray([u]), 1, 1)[
                0, 0, 0
            ]

        scale = 1.0 if kappa == 1 else float(np.exp(-lam[0]))
        step = 1e-5
        # du = scale * dx
        slope = (value(x[0] + step * scale, lam[0]) - value(x[0] - step * scale, lam[0])) / 2 / step
        assert series[0, 1, 0] == pytest.approx(slope, rel=1e-7)
        speed = -kappa * (x[0] / scale) + series[0, 0, 0]

        def along(t, speed=speed, kappa=kappa):
            u = x[0] / (1.0 if kappa == 1 else np.exp(-lam[0])) + t * speed
            back = 1.0 if kappa == 1 else np.exp(-(lam[0] + t))
            return value(u * back, lam[0] + t)

        total = (along(step) - along(-step)) / 2 / step
        assert series[1, 0, 0] == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize(
    "text", ["__import__('os')", "r1.real", "f(r1)", "[1]", "x", "1 if 1 else 2", "'a'", "1 +"]
)
def test_coefficients_are_arithmetic_only(text):
    with pytest.raises(ClaimError):
        evaluate(text, {"r1": 1.0})


def test_coefficients():
    assert evaluate("-1/4*r1^2 - (1/6)", {"r1": 2.0}) == pytest.approx(-7 / 6)
    assert evaluate("2**3", {}) == 8
