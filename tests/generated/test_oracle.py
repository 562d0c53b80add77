"""The 25-digit endpoints of the order oracle, for every method, grid, start and end it names."""

import json
from dataclasses import replace
from pathlib import Path

import mpmath
import pytest
import torch

from solvergen.gallery import load
from solvergen.spec import parse_solver
from solvergen.spec.model import End, Start

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "order_oracle.json").read_text())
PROBLEM = ORACLE["test_problem"]
GOLDEN = {method["id"]: method["golden_final_x"] for method in ORACLE["ode_methods"]}
STATES = ("0.9", "-1.7")
N, TOLERANCE = 12, 1e-12

MIDPOINT = 'rule = "mean-value"\nnodes = ["n", "n-1"]\ntheta = "1/2"'
BH1 = 'rule = "weights"\nweights = { n = "h*phi1 + h/(2*r1)", "n-1" = "-h/(2*r1)" }'
RELEASED = """rule = "taylor"
nodes = ["n", "n-1", "n-2"]
degree = 2
factors = ["1", "1", "1/2"]"""
TAYLOR_3S = """
[[stage]]
name = "u1"
at = "1/3"
rule = "interpolate"
nodes = ["n"]
[[stage]]
name = "u2"
at = "2/3"
rule = "interpolate"
nodes = ["n", "u1"]
"""


def adams(steps, frozen=False):
    """The [step] of an Adams-Bashforth rule."""
    return f'rule = "adams-bashforth"\nsteps = {steps}\nfrozen = {str(frozen).lower()}'


def solver(integrand, step, before="", coordinate="lambda", start=(), end=()):
    """A variant spec: its step in TOML; start and end by name, or "ramp"."""
    text = f'name = "variant"\nintegrand = "{integrand}"\ncoordinate = "{coordinate}"\n{before}\n'
    ends = End(ramp=True) if end == "ramp" else End(using=tuple(end))
    return replace(parse_solver(f"{text}[step]\n{step}\n"), start=Start(tuple(start)), end=ends)


def multistep(integrand, step, count, low=(), coordinate="lambda"):
    """(warm-up, lower-order final, evaluations of an exact start) of a multistep method.

    `low` are the rules of order 1, 2, … that start and end it; the shortened rule without them.
    """
    end = list(reversed(low)) or "ramp"
    return (
        solver(integrand, step, coordinate=coordinate, start=low),
        solver(integrand, step, coordinate=coordinate, start=low, end=end),
        count,
    )


def predictor_corrector(order, kind, integrand):
    """The same for UniPC, whose last steps lower their order."""
    made = replace(load(f"unipc_{order}_bh{kind}"), integrand=integrand)
    low = tuple(f"unipc_{k}_bh{kind}" for k in range(order - 1, 0, -1))
    return made, replace(made, end=End(using=low)), order + 1


def variants():
    """Every method of the oracle as specs: one evaluation a step as triples, others as one."""
    made = {}
    for side in ("data", "noise"):
        two, exact_two = ["ddim", "dpmpp_2m"], ["ddim", "dpmpp_2m_exact"]
        made[f"ddim_{side}"] = multistep(side, adams(1), 1)
        made[f"dpm_2m_midpoint_{side}"] = multistep(side, MIDPOINT, 2)
        made[f"dpm_2m_heun_{side}"] = multistep(side, adams(2), 2)
        made[f"dpm_3m_as_released_{side}"] = multistep(side, RELEASED, 3, two)
        made[f"dpm_3m_corrected_{side}"] = multistep(side, adams(3), 3, exact_two)
        made[f"unip2_bh1_{side}"] = multistep(side, BH1, 2, ["ddim"])
        made[f"unip2_bh2_{side}"] = multistep(side, MIDPOINT, 2)
        made[f"unip3_{side}"] = multistep(side, adams(3), 3, two)
        made[f"unip4_{side}"] = multistep(side, adams(4), 4, [*two, "dpmpp_3m"])
        for order, kind in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 2)):
            made[f"unipc{order}_bh{kind}_{side}"] = predictor_corrector(order, kind, side)
        for name, kin in (("2s_dpmsolver_r1_2", "dpmpp_2s"), ("2s_taylor_r1_2", "res_2s")):
            made[f"dpm{name}_{side}"] = replace(load(kin), integrand=side)
        made[f"dpm3s_dpmsolver_1_3_2_3_{side}"] = replace(load("dpm_solver_3"), integrand=side)
        made[f"dpm3s_taylor_1_3_2_3_{side}"] = solver(
            side, 'rule = "interpolate"\nnodes = ["n", "u1", "u2"]', TAYLOR_3S
        )
    made["res3s_c2_1_2_c3_1_gamma_c3^3"] = load("res_3s")
    made["heun_edm"] = load("heun_edm")
    made["dpm2_kdiffusion"] = made["amed_r1_2"] = load("amed")
    for steps in (2, 4):
        made[f"ipndm{steps}"] = multistep("noise", adams(steps, True), steps, coordinate="clock")
    made["rhoab2_deis"] = multistep("noise", adams(2), 2, coordinate="clock")
    return made


VARIANTS = variants()
RUNS = [(name, run) for name, runs in GOLDEN.items() for run in runs]


def lams(grid):
    """λ of the oracle's grids, in mpmath's precision."""
    low, high = mpmath.mpf(PROBLEM["lambda0"]), mpmath.mpf(PROBLEM["lambda1"])
    pattern = ["1", "2.2", "0.6", "1.7"] if grid == "rough" else ["1"]
    steps = [mpmath.mpf(pattern[i % len(pattern)]) for i in range(N)]
    return [low + (high - low) * sum(steps[:i]) / sum(steps) for i in range(N + 1)]


@pytest.fixture(scope="module")
def denoise(denoiser):
    return denoiser(*([float(v) for v in PROBLEM[key]] for key in ("weights", "means", "std")))


@pytest.fixture(scope="module")
def exact():
    """Exact solution values on both grids: the flow conserves the CDF of the mixture."""
    parts = [
        [mpmath.mpf(v) for v in row]
        for row in zip(*(PROBLEM[key] for key in ("weights", "means", "std")), strict=True)
    ]

    def cdf(x, lam):
        noise = mpmath.exp(-2 * lam)
        return sum(w * mpmath.ncdf((x - m) / mpmath.sqrt(s * s + noise)) for w, m, s in parts)

    def path(state, grid):
        values = [mpmath.mpf(state)]
        with mpmath.workdps(30):
            level = cdf(values[0], grid[0])
            for lam in grid[1:]:
                values.append(mpmath.findroot(lambda x, lam=lam: cdf(x, lam) - level, values[-1]))
        return values

    made = {grid: [path(state, lams(grid)) for state in STATES] for grid in ("uniform", "rough")}
    for state, values in zip(STATES, made["uniform"], strict=True):
        assert abs(values[-1] - mpmath.mpf(PROBLEM["exact_final_x"][state])) < 1e-14
    return {
        grid: torch.tensor([[float(v) for v in row] for row in rows], dtype=torch.float64)
        for grid, rows in made.items()
    }


def from_exact_start(module, plain, denoise, sigmas, path, count):
    """Evaluate at `count` exact values, then run on; the first continued step is not corrected.

    The plan of `plain`, the same solver without its corrector, has that step's weights.
    """
    plan, memory = module.coefficients(sigmas), ()
    states = path.T[:, :, None]
    for i in range(count - 1):
        _, memory = module.step(plan[i], states[i], denoise(states[i], sigmas[i].expand(2)), memory)
    x = states[count - 1]
    for i in range(count - 1, N):
        row = plan[i]
        if i == count - 1 and plain is not None:
            weights = plain.coefficients(sigmas)[i][-1]
            missing = len(row[-1]) - len(weights)
            row = (*row[:-1], (*weights, *[torch.zeros((), dtype=torch.float64)] * missing))
        x, memory = module.step(row, x, denoise(x, sigmas[i].expand(2)), memory)
    return x


def test_every_method_of_the_oracle_is_a_spec():
    assert set(VARIANTS) >= set(GOLDEN)


@pytest.mark.parametrize(("name", "run"), RUNS, ids=[f"{name}-{run}" for name, run in RUNS])
def test_reproduces_the_golden_endpoint(name, run, sampler, denoise, exact):
    grid, _, start = run.partition("_N12")
    made = VARIANTS[name]
    chosen = made if not isinstance(made, tuple) else made[start == "_warmup_lowerfinal"]
    module = sampler(chosen)
    sigmas = torch.tensor([float(mpmath.exp(-lam)) for lam in lams(grid)], dtype=torch.float64)
    if start == "_exactstart":
        plain = sampler(replace(chosen, corrector=None)) if chosen.corrector else None
        found = from_exact_start(module, plain, denoise, sigmas, exact[grid], made[2])
    else:
        x = torch.tensor([[float(state)] for state in STATES], dtype=torch.float64)
        found = module.sample(denoise, x, sigmas)
    wanted = torch.tensor([[float(GOLDEN[name][run][s])] for s in STATES], dtype=torch.float64)
    assert (found - wanted).abs().max() < TOLERANCE


GALLERY = {
    "ddim": "ddim_data",
    "ddim_noise": "ddim_noise",
    "dpmpp_2m": "dpm_2m_midpoint_data",
    "dpmpp_2m_exact": "dpm_2m_heun_data",
    "dpmpp_3m_as_published": "dpm_3m_as_released_data",
    "dpmpp_3m": "dpm_3m_corrected_data",
    "dpmpp_2s": "dpm2s_dpmsolver_r1_2_data",
    "dpm_solver_2": "dpm2s_dpmsolver_r1_2_noise",
    "dpm_solver_3": "dpm3s_dpmsolver_1_3_2_3_noise",
    "res_2s": "dpm2s_taylor_r1_2_data",
    "res_3s": "res3s_c2_1_2_c3_1_gamma_c3^3",
    "ab4_lambda": None,  # starts with the exact two-node rule; the oracle's UniP-4 with midpoint
    "amed": "amed_r1_2",
    "heun_edm": "heun_edm",
    "ipndm4": "ipndm4",
    **{f"unipc_{p}_bh{b}": f"unipc{p}_bh{b}_data" for p in (1, 2) for b in (1, 2)},
    "unipc_3_bh2": "unipc3_bh2_data",
}


@pytest.mark.parametrize("grid", ["uniform", "rough"])
@pytest.mark.parametrize("name", [name for name, method in GALLERY.items() if method])
def test_committed_files_reproduce_the_golden_endpoint(name, grid, committed, denoise):
    golden = GOLDEN[GALLERY[name]]
    wanted = golden.get(f"{grid}_N12") or golden[f"{grid}_N12_warmup"]
    sigmas = torch.tensor([float(mpmath.exp(-lam)) for lam in lams(grid)], dtype=torch.float64)
    x = torch.tensor([[float(state)] for state in STATES], dtype=torch.float64)
    found = committed(name).sample(denoise, x, sigmas)[:, 0]
    assert max(abs(found[k].item() - float(wanted[s])) for k, s in enumerate(STATES)) < TOLERANCE
