"""End states of the peers' own code: each sampler as a gallery solver or a variant of a line or two.

Not among the variants here: RES4LYF with its default noise anchor (the gallery has it),
its `res_3m` and `dpmpp_3m` (a slip of power and its own start), its `deis_*` (Riemann sums and a
two-stage start), dpm-solver's single-step on a time-uniform grid (node places vary from step to
step), SA-Solver's `more` (its own history), adaptive steps, dynamic thresholding.
"""

import itertools
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from solvergen.gallery import load
from solvergen.spec import parse_solver
from solvergen.spec.model import End, Start

PEERS = json.loads((Path(__file__).parents[1] / "data" / "peer_endpoints_core.json").read_text())
GRIDS = {name: torch.tensor(g, dtype=torch.float64) for name, g in PEERS["grids"].items()}
ALWAYS = 10**9
SHORT = 'schedule = { name = "vp-linear", beta_min = "1/10", beta_max = 20 }'
MIDPOINT = 'rule = "mean-value"\nnodes = ["n", "n-1"]\ntheta = "1/2"'
BH1 = 'rule = "weights"\nweights = { n = "h*phi1 + h/(2*r1)", "n-1" = "-h/(2*r1)" }'
HALF = 'mode = "PEC"\nrule = "weights"\nweights = { "n+1" = "h/2", n = "h*phi1 - h/2" }'
ROOT = "sqrt(5)"


def solver(integrand, step, coordinate="lambda", stages="", corrector="", start=(), end=(), top=""):
    """A variant spec from the TOML of its rules."""
    text = f'name = "peer"\nintegrand = "{integrand}"\ncoordinate = "{coordinate}"\n{top}\n{stages}'
    text += f"[step]\n{step}\n" + (f"[corrector]\n{corrector}\n" if corrector else "")
    return replace(parse_solver(text), start=Start(tuple(start)), end=End(tuple(end)))


def adams(steps, frozen=False):
    """The keys of an Adams-Bashforth rule."""
    return f'rule = "adams-bashforth"\nsteps = {steps}\nfrozen = {str(frozen).lower()}'


def moulton(steps, mode="PEC"):
    """The keys of an Adams-Moulton corrector."""
    return f'mode = "{mode}"\nrule = "adams-moulton"\nsteps = {steps}'


def stage(name, at, rule):
    """One [[stage]] table."""
    return f'[[stage]]\nname = "{name}"\nat = "{at}"\n{rule}\n'


def tableau(places, rows, weights):
    """An explicit Runge-Kutta method in sigma from its Butcher tableau."""
    names = ["n", *(f"k{i}" for i in range(1, len(places) + 1))]

    def listed(row):
        kept = [f'{name} = "{a}"' for name, a in zip(names, row, strict=False) if a != "0"]
        return f'rule = "weights"\nweights = {{ {", ".join(kept)} }}'

    table = zip(names[1:], places, rows, strict=True)
    stages = "".join(stage(name, at, listed(row)) for name, at, row in table)
    return solver("noise", listed(weights), "clock", stages)


def at(name, *values, integrand="data"):
    """A gallery solver with other defaults of its parameters."""
    made = load(name)
    pairs = zip(made.parameters, values, strict=True)
    changed = tuple(replace(p, default=Fraction(v)) for p, v in pairs)
    return replace(made, integrand=integrand, parameters=changed)


def lowered(made, steps, *low):
    """The solver with a last step of lower order when N < steps, as the libraries have it."""
    end = replace(made, end=End(using=low or ("ddim",)))
    return lambda n: end if n < steps else made


END_STAGE = stage("end", 1, 'rule = "interpolate"\nnodes = ["n"]')
TRAPEZE = 'rule = "interpolate"\nnodes = ["n", "end"]'
FLOW_HEUN = solver("velocity", TRAPEZE, "clock", END_STAGE)
TAYLOR_3S = stage("u1", "1/3", 'rule = "interpolate"\nnodes = ["n"]')
TAYLOR_3S += stage("u2", "2/3", 'rule = "interpolate"\nnodes = ["n", "u1"]')
DIFFUSERS_3S = stage("u1", "1/3", 'rule = "interpolate"\nnodes = ["n"]')
DIFFUSERS_3S += stage("u2", "2/3", 'rule = "mean-value"\nnodes = ["n", "u1"]\ntheta = "1/2"')


def own():
    """Solvers that start and end other variants, by the names used there."""
    made = {"sa_p2": solver("data", BH1, start=["ddim"])}
    for side in ("data", "noise"):
        made |= {f"{side}_2_": replace(load("dpmpp_2s"), integrand=side)}
        made |= {f"{side}_2_taylor": replace(load("res_2s"), integrand=side)}
        made |= {f"{side}_3_": replace(load("dpm_solver_3"), integrand=side)}
        last = 'rule = "interpolate"\nnodes = ["n", "u1", "u2"]'
        made |= {f"{side}_3_taylor": solver(side, last, stages=TAYLOR_3S)}
    last = 'rule = "interpolate"\nnodes = ["n", "u2"]'
    made["data_3_diffusers"] = solver("data", last, stages=DIFFUSERS_3S)
    made["data_2_diffusers"] = made["data_2_"]
    made["pece_1"] = solver("data", adams(1), corrector=HALF.replace("PEC", "PECE"))
    made["pece_2"] = solver("data", BH1, corrector=moulton(3, "PECE"), start=["ddim"])
    return made


OWN = own()


def euler():
    """Names of all samplers that are DDIM."""
    names = "kd.euler kd.euler_ancestral_eta0 kd.lms1 dif.ddim dif.deis1 dif.dpm++_ms1 dif.dpm_ms1 "
    names += "dif.dpm++_ss1 dif.dpm_ss1 dif.edm_euler dif.euler dif.fm_euler ds.euler ds.dpm_pp1 "
    names += "ds.dpm_pp1_eps ds.dpm_pp1_lof0 lu.dpm++_ms1 lu.dpm++_ss1 lu.dpm_ms1 lu.dpm_ss1 "
    return (names + "r4.ddim r4.euler r4.euler_anchor0 sa.few_p1c0_tau0").split()


def runge_kutta():
    """Staged methods: in sigma by their tableaux, exponential ones from the gallery."""
    made = dict.fromkeys(("kd.heun", "dif.heun", "edm.edm_sampler", "ds.heun"), load("heun_edm"))
    made["r4.heun_2s_anchor0"] = load("heun_edm")
    made["dif.heun_lasteuler"] = replace(load("heun_edm"), end=End(using=("ddim",)))
    made["dif.fm_heun"] = FLOW_HEUN
    made["dif.fm_heun_lasteuler"] = replace(FLOW_HEUN, end=End(using=("ddim",)))
    names = ("kd.dpm_2", "kd.dpm_2_ancestral_eta0", "dif.kdpm2", "ds.dpm_2")
    made |= dict.fromkeys(names, load("amed"))
    made["r4.midpoint_2s_anchor0"] = replace(load("amed"), coordinate="clock")
    for name, places, rows, weights in (
        ("ralston_2s", ["2/3"], [["2/3"]], ["1/4", "3/4"]),
        ("kutta_3s", ["1/2", "1"], [["1/2"], ["-1", "2"]], ["1/6", "2/3", "1/6"]),
        ("heun_3s", ["1/3", "2/3"], [["1/3"], ["0", "2/3"]], ["1/4", "0", "3/4"]),
        ("houwen-wray_3s", ["8/15", "2/3"], [["8/15"], ["1/4", "5/12"]], ["1/4", "0", "3/4"]),
        ("ralston_3s", ["1/2", "3/4"], [["1/2"], ["0", "3/4"]], ["2/9", "1/3", "4/9"]),
        (
            "ralston_4s",
            ["2/5", f"7/8 - 3*{ROOT}/16", "1"],
            [
                ["2/5"],
                [f"(-2889 + 1428*{ROOT})/1024", f"(3785 - 1620*{ROOT})/1024"],
                [
                    f"(-3365 + 2094*{ROOT})/6040",
                    f"(-975 - 3046*{ROOT})/2552",
                    f"(467040 + 203968*{ROOT})/240845",
                ],
            ],
            [
                f"(263 + 24*{ROOT})/1812",
                f"(125 - 1000*{ROOT})/3828",
                f"1024*(3346 + 1623*{ROOT})/5924787",
                f"(30 - 4*{ROOT})/123",
            ],
        ),
    ):
        made[f"r4.{name}_anchor0"] = tableau(places, rows, weights)
    names = ("kd.dpmpp_2s_ancestral_eta0", "kd.dpmpp_sde_eta0", "r4.dpmpp_2s")
    made |= dict.fromkeys(names, load("dpmpp_2s"))
    made["r4.dpmpp_sde_2s"] = at("dpmpp_2s", 1)
    made["r4.res_2s"], made["r4.res_2s_stable"] = load("res_2s"), at("res_2s", 1)
    made["r4.res_3s"], made["r4.dpmpp_3s"] = load("res_3s"), at("dpm_solver_3", "1/2", 1)
    return made


def multistep():
    """DPM-Solver(++) multistep, Adams rules in λ, σ and t, frozen ones, RES."""
    made = {}
    for side, mark in (("data", "dpm++"), ("noise", "dpm")):
        names = ("dpmpp_2m", "dpmpp_2m_exact", "dpmpp_3m_as_published")
        mid, exact, three = (replace(load(name), integrand=side) for name in names)
        made[f"dif.{mark}_ms2_midpoint"] = lowered(mid, 15)
        made[f"dif.{mark}_ms2_heun"] = lowered(exact, 15)
        made[f"dif.{mark}_ms3"] = lowered(three, 15, "dpmpp_2m", "ddim")
        made[f"lu.{mark}_ms2"] = lowered(mid, 10)
        made[f"lu.{mark}_ms2_taylor"] = lowered(exact, 10)
        made[f"lu.{mark}_ms3"] = lowered(three, 10, "dpmpp_2m", "ddim")
        suffix = "" if side == "data" else "_eps"
        made[f"ds.dpm_pp2{suffix}"] = lowered(mid, ALWAYS)
        made[f"ds.dpm_pp3{suffix}"] = lowered(three, ALWAYS, "dpmpp_2m", "ddim")
    mid, three = load("dpmpp_2m"), load("dpmpp_3m_as_published")
    made |= dict.fromkeys(("kd.dpmpp_2m", "kd.dpmpp_2m_sde_midpoint_eta0", "ds.dpm_pp2_lof0"), mid)
    made["kd.dpmpp_2m_sde_heun_eta0"], made["ds.dpm_pp3_lof0"] = load("dpmpp_2m_exact"), three
    made["dif.dpm++_ms2_midpoint_finalzero"] = lowered(mid, ALWAYS)
    short, long = lowered(three, ALWAYS, "dpmpp_2m", "ddim"), lowered(three, ALWAYS)
    made["dif.dpm++_ms3_finalzero"] = lambda n: short(n) if n < 15 else long(n)
    for steps in (2, 3, 4):
        made[f"kd.lms{steps}"] = solver("noise", adams(steps), "clock")
        made[f"ds.ipndm{steps}"] = solver("noise", adams(steps, True), "clock")
        made[f"ds.deis_tab{steps}"] = solver("noise", adams(steps), "t", top=SHORT)
    made["dif.lms4"], made["dif.ipndm"] = made["kd.lms4"], made["ds.ipndm4"]
    made["dif.deis2"] = lowered(solver("noise", adams(2)), 15)
    made["dif.deis3"] = lowered(solver("noise", adams(3)), 15, "dpmpp_2m_exact", "ddim")
    made["dif.pndm_prk"] = load("pndm")
    made["dif.pndm_plms"] = solver("noise", adams(4, True), "clock", start=["heun_edm"])
    made["r4.res_2m"] = solver("data", adams(2), start=["res_2s"] * 2)
    made["r4.dpmpp_2m"] = solver("data", MIDPOINT, start=["dpmpp_2s"] * 2)
    return made


def predictor_corrector():
    """UniPC in three libraries, SA-Solver without noise in two."""
    made = {}
    for order, kind in itertools.product((1, 2, 3), (1, 2)):
        full = load(f"unipc_{order}_bh{kind}")
        low = tuple(f"unipc_{k}_bh{kind}" for k in range(order - 1, 0, -1))
        for library in ("un", "dif", "ds"):
            made[f"{library}.unipc{order}_bh{kind}_lof0"] = full
            made[f"{library}.unipc{order}_bh{kind}"] = replace(full, end=End(using=low))
    noise = {p: replace(load(f"unipc_{p}_bh2"), integrand="noise") for p in (2, 3)}
    made["dif.unipc2_bh2_eps"] = replace(noise[2], end=End(using=("unipc_1_bh2",)))
    made["dif.unipc3_bh2_eps_lof0"] = noise[3]
    one, two = ["unipc_1_bh1"], ["unipc_1_bh1", "unipc_2_bh1"]
    for library, lower in itertools.product(("sa.few", "dif.sasolver"), (True, False)):
        name = f"{library}_{{}}_tau0{'' if lower else '_lof0'}"
        end, ends = (["ddim"], ["unipc_2_bh1", "ddim"]) if lower else ([], [])
        made[name.format("p1c1")] = solver("data", adams(1), corrector=moulton(1))
        made[name.format("p2c2")] = solver("data", BH1, corrector=HALF, start=one, end=end)
        for steps in (3, 4):
            rules = adams(3), moulton(steps)
            made[name.format(f"p3c{steps}")] = solver(
                "data", rules[0], corrector=rules[1], start=two, end=ends
            )
    made["sa.few_p2c0_tau0"] = solver("data", BH1, start=["ddim"], end=["ddim"])
    start, end = ["ddim", "sa_p2"], ["sa_p2", "ddim"]
    made["sa.few_p3c0_tau0"] = solver("data", adams(3), start=start, end=end)
    start, rule = ["pece_1", "pece_2"], moulton(4, "PECE")
    made["sa.few_p3c4_PECE_tau0_lof0"] = solver(
        "data", adams(3), corrector=rule, start=start, end=["dpmpp_3m"]
    )
    return made


def single_step():
    """Single-step patterns on a uniform λ grid: (integrand, solver kind, order, how N is used)."""
    made = {"kd.dpm_fast": ("noise", "", 3, "ends")}
    for (side, mark), kind, order in itertools.product(
        (("data", "dpm++"), ("noise", "dpm")), ("", "_taylor"), (2, 3)
    ):
        made[f"lu.{mark}_ss{order}{kind}"] = (side, kind[1:], order, "nodes")
        made[f"lu.{mark}_ss{order}{kind}@logSNR"] = (side, kind[1:], order, "ends")
        made[f"lu.{mark}_ssfixed{order}{kind}@logSNR"] = (side, kind[1:], order, "fixed")
        name = "heun" if kind else "midpoint"
        for suffix in ("", "_lof0"):
            made[f"dif.{mark}_ss{order}_{name}{suffix}"] = (side, kind[1:], order, "nodes")
    for suffix in ("", "_lof0"):
        made[f"dif.dpm++_ss3_midpoint{suffix}"] = ("data", "diffusers", 3, "nodes")
    return made


VARIANTS = dict.fromkeys(euler(), load("ddim"))
VARIANTS |= {**runge_kutta(), **multistep(), **predictor_corrector()}
SINGLE = single_step()
CASES = [(name, grid) for name, grids in PEERS["endpoints"].items() for grid in grids]


def pattern(order, n):
    """Orders of the outer steps that spend n evaluations."""
    if order == 3 and n % 3 == 0:
        return [3] * (n // 3 - 1) + [2, 1]
    return [order] * (n // order) + ([n % order] if n % order else [])


def grouped(name, sigmas):
    """A single-step sampler as a spec and the grid of its outer steps."""
    side, kind, order, use = SINGLE[name]
    n = len(sigmas) - 1
    orders = [order] * (n // order) if use == "fixed" else pattern(order, n)
    tail = tuple("ddim" if k == 1 else f"{side}_{k}_{kind}" for k in orders if k != orders[0])
    made = replace(OWN[f"{side}_{orders[0]}_{kind}"], end=End(using=tail))
    if use == "nodes":
        return made, sigmas[[0, *itertools.accumulate(orders)]]
    ends = -torch.log(sigmas[[0, -1]])
    return made, torch.exp(-torch.linspace(*ends.tolist(), len(orders) + 1, dtype=torch.float64))


def look_up(name):
    return OWN[name] if name in OWN else load(name)


@pytest.mark.parametrize(("name", "grid"), CASES, ids=[f"{name}-{grid}" for name, grid in CASES])
def test_reproduces_the_peer(name, grid, sampler, denoiser):
    sigmas, recorded = GRIDS[grid], PEERS["endpoints"][name][grid]
    wanted = torch.tensor(recorded, dtype=torch.float64).reshape(2, 2)
    if name in SINGLE:
        made, sigmas = grouped(name, sigmas)
    else:
        made = VARIANTS[name]
        made = made(len(sigmas) - 1) if callable(made) else made
    module = sampler(made, look_up)
    denoise = denoiser(*PEERS["mixture"].values())
    x = torch.tensor(PEERS["x_init"], dtype=torch.float64)
    if made.integrand == "velocity":  # flow: x_t = (1 - t) x, t = sigma / (1 + sigma)
        t = sigmas / (1 + sigmas)
        flow = lambda x, t: denoise(x / (1 - t)[:, None], t / (1 - t))
        found = module.sample(flow, x * (1 - t[0]), t, alphas=1 - t) / (1 - t[-1])
    else:
        found = module.sample(denoise, x, sigmas)
    # diff-sampler integrates tAB by a Riemann sum of 10^4 points, which is worth 1e-4 here.
    tolerance = 1e-3 if name.startswith("ds.deis_tab") else 1e-10
    assert (found - wanted).abs().max() < tolerance


def test_every_recorded_peer_is_covered():
    assert set(PEERS["endpoints"]) <= set(VARIANTS) | set(SINGLE)
    assert len(PEERS["endpoints"]) >= 170
