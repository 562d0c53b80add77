"""Learned tables with factors on states and levels of calls, against the numbers of their authors."""

import json
import math
from pathlib import Path

import pytest
import torch

from solvergen.derive import derive
from solvergen.emitted import imported
from solvergen.fit.problems.mixture import planar
from solvergen.gallery import load
from solvergen.order import analyse
from solvergen.spec import parse_solver

ROOT = Path(__file__).parents[2]
PEERS = json.loads((ROOT / "tests/data/learned_tables.json").read_text())
MIXTURE = planar()


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def away(found, wanted):
    return float((found - tensor(wanted)).abs().max())


def vp_linear(t):
    alpha = math.exp(-0.25 * t * t * 19.9 - 0.05 * t)
    return alpha, math.sqrt(1 - alpha * alpha)


def under_vp(x, sigma):
    alpha = torch.sqrt(1 - sigma[0] ** 2)
    return MIXTURE.denoise(x / alpha, sigma[0] / alpha)


def under_flow(x, sigma):
    alpha = 1 - sigma[0]
    if alpha == 0:  # the posterior mean of noise alone
        return MIXTURE.weights @ MIXTURE.means + 0 * x
    return MIXTURE.denoise(x / alpha, sigma[0] / alpha)


def factors(places, called):
    """Of each call, its σ/α over that of its state."""
    return [(s / a) / (z / y) for (a, s), (y, z) in zip(called, places, strict=True)]


@pytest.mark.parametrize("run", PEERS["bns"]["runs"], ids=lambda run: f"{run['n']} steps")
def test_bns(run):
    n, t, a, b = run["n"], [*run["times"], 1.0], run["a"], run["b"]
    # x' = a x0 + sum b u by the state before: u = -v in time from noise to data
    keep = [a[i] / (a[i - 1] if i else 1) for i in range(n)]
    share = [
        [
            (b[i][j] - keep[i] * (b[i - 1][j] if j < i else 0)) / (t[i + 1] - t[i])
            for j in range(i + 1)
        ]
        for i in range(n)
    ]
    numbers = {f"b{k}": [share[i][i - k] if i >= k else 0.0 for i in range(n)] for k in range(8)}
    module = imported(ROOT / "generated/bns.py")
    sigmas, x = [1 - v for v in t], tensor(PEERS["bns"]["x_init"])
    assert away(module.sample(under_flow, x, sigmas, alphas=t, a=keep, **numbers), run["y"]) < 1e-12


@pytest.mark.parametrize("run", PEERS["ld3"]["runs"], ids=lambda run: run["schedule"][:3])
def test_ld3_on_ipndm(run):
    module, x = imported(ROOT / "generated/ld3_ipndm3.py"), tensor(run["x_init"])
    levels, called = run["times"], run["model_times"]
    if run["schedule"] == "edm":
        a = [m / t for m, t in zip(called, levels, strict=True)][:-1]
        found = module.sample(lambda x, s: MIXTURE.denoise(x, s[0]), x, levels, a=a)
    else:
        places, called = [*map(vp_linear, levels)], [*map(vp_linear, called)]
        alphas, sigmas = zip(*places, strict=True)
        a = factors(places[:-1], called[:-1])
        found = module.sample(under_vp, x, sigmas, alphas=alphas, a=a)
    assert away(found, run["y"]) < 1e-12


@pytest.mark.parametrize("run", PEERS["gs"]["runs"], ids=lambda run: f"{run['N']}, {run['order']}")
def test_generalised_solver_of_order_1(run):
    n, module = run["N"], imported(ROOT / "generated/gs.py")
    places = [*map(vp_linear, run["times"])]
    lam = [math.log(a / s) for a, s in places]
    called = [
        vp_linear(t + shift) for t, shift in zip(run["times"], run["time_shift"], strict=False)
    ]
    numbers = {f"{name}{k}": [0.0] * n for name in "bc" for k in range(3)}
    for i in range(n):
        unit = -places[i + 1][0] * math.expm1(lam[i] - lam[i + 1])
        numbers["c0"][i] = -run["c"][0][i] / unit
        numbers["b0"][i] = run["a"][0][i] * places[i][1] / places[i + 1][1]
        if i:  # the theory of order 1, where the spec has that of order 2
            half = 0.5 * (lam[i + 1] - lam[i]) / (lam[i] - lam[i - 1])
            numbers["c0"][i] -= half
            numbers["c1"][i] = half
    alphas, sigmas = zip(*places, strict=True)
    numbers["a"] = factors(places[:-1], called)
    found = module.sample(under_vp, tensor(PEERS["gs"]["x_init"]), sigmas, alphas=alphas, **numbers)
    assert away(found, run["y"]) < 1e-12


@pytest.mark.parametrize("name", ["bns", "gs", "s4s", "timetuner", "ld3_ipndm3"])
def test_no_order_is_kept(name):
    report = analyse(derive(load(name)))
    assert {o.value for modes in report.orders.values() for o in modes.values()} <= {0, -1}
    assert report.divergence


def test_factors_on_states_alone_keep_no_order():
    text = 'name = "a"\nintegrand = "data"\ncoordinate = "clock"\n[step]\nrule = "weights"\n'
    text += (
        'weights = { n = "1" }\ncarry = { x = "b" }\n[parameters.b]\nper = "step"\ndefault = 1\n'
    )
    report = analyse(derive(parse_solver(text)))
    assert report.order.value == 0 and "factors on the states" in report.divergence
