"""Learned tables with factors on states and levels of calls, against the numbers of their authors."""

import json
import math
from pathlib import Path

import numpy as np
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


def denoiser(x, sigma):
    return MIXTURE.denoise(x, sigma[0])


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


# UniPC's differences are summed in float32 there.
LD3 = {"ipndm": ("ld3_ipndm3", 1e-12), "unipc_bh1": ("ld3_unipc3", 1e-7)}


@pytest.mark.parametrize(
    "run",
    PEERS["ld3"]["runs"],
    ids=lambda r: f"{r['solver']}, {r['schedule'][:3]}, {len(r['times'])}",
)
def test_ld3(run):
    name, bound = LD3[run["solver"]]
    module, x = imported(ROOT / f"generated/{name}.py"), tensor(run["x_init"])
    levels, called = run["times"], run["model_times"]
    if run["schedule"] == "edm":
        a = [m / t for m, t in zip(called, levels, strict=True)][:-1]
        found = module.sample(denoiser, x, levels, a=a)
    else:
        places, called = [*map(vp_linear, levels)], [*map(vp_linear, called)]
        alphas, sigmas = zip(*places, strict=True)
        a = factors(places[:-1], called[:-1])
        found = module.sample(under_vp, x, sigmas, alphas=alphas, a=a)
    assert away(found, run["y"]) < bound


def generalised(run):
    """Weights of outputs and states, k steps back, that the authors' corrections make; row by step."""
    n = run["N"]
    alphas, sigmas = zip(*map(vp_linear, run["times"]), strict=True)
    lam = [math.log(a / s) for a, s in zip(alphas, sigmas, strict=True)]
    outputs, states = np.zeros((n, n)), np.zeros((n, n))

    def corrected(key, k, i):
        return run[key][k][i] if k < len(run[key]) else 0.0

    for i in range(n):
        h, ratio, depth = lam[i + 1] - lam[i], sigmas[i + 1] / sigmas[i], min(run["order"], i + 1)
        m0, alpha = math.expm1(-h), alphas[i + 1]
        if not run["theory"]:  # what that code calls the S4S form: the linear part counts twice
            states[i, 0] = ratio**2
            for k in range(depth):
                both = ratio * corrected("c", k, i) + corrected("a", k, i)
                outputs[i, k] = -m0 * alpha * both
            continue
        states[i, :depth] = [corrected("a", k, i) for k in range(depth)]
        states[i, 0] += ratio
        outputs[i, 0] -= alpha * m0 + corrected("c", 0, i)
        back = [lam[i - k] - lam[i - k - 1] for k in range(min(2, depth - 1))]
        newer = np.array([1.0, -1.0, 0.0]) * h / back[0] if depth > 1 else None
        if depth == 2:
            outputs[i, :2] -= (alpha * m0 / 2 + corrected("c", 1, i)) * newer[:2]
        if depth > 2:
            older = np.array([0.0, 1.0, -1.0]) * h / back[1]
            part = back[0] / sum(back)
            second = (newer - older) * h / sum(back)
            phi2, phi3 = m0 / h + 1, (m0 / h + 1) / h - 0.5
            outputs[i, :3] += (alpha * phi2 + corrected("c", 1, i)) * (
                newer + part * (newer - older)
            )
            outputs[i, :3] -= (alpha * phi3 + corrected("c", 2, i)) * second
            outputs[i, 3:depth] += [corrected("c", k, i) for k in range(3, depth)]
    return outputs, states


def generalised_name(run):
    return f"{run['N']} steps, order {run['order']}" + ", no base" * (not run["theory"])


@pytest.mark.parametrize("run", PEERS["gs"]["runs"], ids=generalised_name)
def test_gs(run):
    """All orders, on DPM-Solver++ and without it: the numbers are what remains beyond the base."""
    n, sample = run["N"], imported(ROOT / "generated/gs.py").sample
    places = [*map(vp_linear, run["times"])]
    called = [vp_linear(t + s) for t, s in zip(run["times"], run["time_shift"], strict=False)]
    alphas, sigmas = zip(*places, strict=True)
    outputs, states = generalised(run)
    base, _ = generalised({**run, "c": [], "a": [], "order": 3, "theory": True})
    numbers = {f"{name}{k}": [0.0] * n for name in "bc" for k in range(n)}
    for i in range(n):
        ratio = alphas[i] * sigmas[i + 1] / (alphas[i + 1] * sigmas[i])
        for k in range(i + 1):
            numbers[f"c{k}"][i] = (outputs - base)[i, k] / (alphas[i + 1] * (1 - ratio))
            numbers[f"b{k}"][i] = states[i, k] * sigmas[i - k] / sigmas[i + 1] - (k == 0)
    numbers["a"] = factors(places[:-1], called)
    found = sample(under_vp, tensor(PEERS["gs"]["x_init"]), sigmas, alphas=alphas, **numbers)
    assert away(found, run["y"]) < 1e-12


def test_s4s_pc():
    """Against the paper's formulas, written out."""
    sample = imported(ROOT / "generated/s4s_pc.py").sample
    grid, x = [3.0, 1.7, 0.9, 0.5, 0.2, 0.1], tensor([[-6.2, -3.1], [-0.6, -4.1]])
    made = np.random.default_rng(0)
    numbers = {
        name: made.uniform(-0.5, 1, 5).tolist()
        for name in ("b0", "b1", "b2", "c0", "c1", "c2", "d")
    }
    found = sample(denoiser, x, grid, **numbers)
    outputs = [MIXTURE.denoise(x, tensor(grid[0]))]
    for i in range(5):
        ratio = grid[i + 1] / grid[i]
        past = list(zip(range(3), reversed(outputs[-3:]), strict=False))
        ahead = ratio * x + (1 - ratio) * sum(numbers[f"b{k}"][i] * d for k, d in past)
        if i == 4:
            x = ahead
            break
        outputs.append(MIXTURE.denoise(ahead, tensor(grid[i + 1])))
        corrected = numbers["d"][i] * outputs[-1] + sum(numbers[f"c{k}"][i] * d for k, d in past)
        x = ratio * x + (1 - ratio) * corrected if i >= 2 else ahead
    assert away(found, x.tolist()) < 1e-12


@pytest.mark.parametrize(
    "name", ["bns", "gs", "s4s", "s4s_pc", "timetuner", "ld3_ipndm3", "ld3_unipc3"]
)
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
