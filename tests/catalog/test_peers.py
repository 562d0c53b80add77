"""Gallery solvers against the end states of the peers' own code, on every recorded grid.

A peer is named as its record has it: `kd.` k-diffusion, `dif.` diffusers, `lu.` dpm-solver, `un.`
UniPC, `sa.` SA-Solver, `ds.` diff-sampler, `edm.` EDM, `r4.` RES4LYF.
"""

import itertools
import json
from pathlib import Path

import pytest
import torch

from solvergen import gallery

DATA = Path(__file__).parents[1] / "data"
PEERS = json.loads((DATA / "peer_endpoints_gallery.json").read_text())
SHIPPED = json.loads((DATA / "peer_endpoints_shipped.json").read_text())["endpoints"]
GRIDS = {name: torch.tensor(g, dtype=torch.float64) for name, g in PEERS["grids"].items()}
ENDS = {name: entry["ends"] for entry in PEERS["endpoints"] for name in entry["peers"]}
BY_DIFFUSERS, BY_SA = "_as_shipped_by_diffusers", "_as_shipped_by_sa_solver"
BY_RES4LYF = "_as_shipped_by_res4lyf"

ALIASES = {
    "ddim": "kd.euler kd.euler_ancestral_eta0 kd.lms1 dif.ddim dif.deis1 dif.dpm++_ms1 "
    "dif.dpm++_ss1 dif.edm_euler dif.euler ds.dpm_pp1 ds.dpm_pp1_lof0 lu.dpm++_ms1 lu.dpm++_ss1 "
    "r4.ddim sa.few_p1c0_tau0",
    "ddim_noise": "ds.dpm_pp1_eps dif.dpm_ms1 dif.dpm_ss1 lu.dpm_ms1 lu.dpm_ss1",
    "euler_sigma": "ds.euler r4.euler r4.euler_anchor0",
    "flow_euler": "dif.fm_euler",
    "heun_edm": "kd.heun dif.heun edm.edm_sampler ds.heun r4.heun_2s_anchor0",
    "heun_edm" + BY_DIFFUSERS: "dif.heun_lasteuler",
    "flow_heun": "dif.fm_heun",
    "flow_heun" + BY_DIFFUSERS: "dif.fm_heun_lasteuler",
    "dpm2": "kd.dpm_2 kd.dpm_2_ancestral_eta0 dif.kdpm2",
    "dpm2_generalised": "ds.dpm_2",
    "dpmpp_2s": "kd.dpmpp_2s_ancestral_eta0 kd.dpmpp_sde_eta0 r4.dpmpp_2s",
    "dpmpp_sde_2s" + BY_RES4LYF: "r4.dpmpp_sde_2s",
    "dpmpp_3s" + BY_RES4LYF: "r4.dpmpp_3s",
    "res_2s": "r4.res_2s",
    "etd2rk": "r4.res_2s_stable r4.res_2s_rkmk2e",
    "res_3s": "r4.res_3s",
    "dpmpp_2m": "kd.dpmpp_2m kd.dpmpp_2m_sde_midpoint_eta0 ds.dpm_pp2_lof0",
    "dpmpp_2m" + BY_DIFFUSERS: "dif.dpm++_ms2_midpoint_finalzero ds.dpm_pp2",
    "dpmpp_2m_exact": "kd.dpmpp_2m_sde_heun_eta0",
    "dpmpp_3m_as_published": "ds.dpm_pp3_lof0 ds.dpm_pp3_lof0_asshipped",
    "dpmpp_3m" + BY_DIFFUSERS: "ds.dpm_pp3",
    "dpm_solver_2m" + BY_DIFFUSERS: "ds.dpm_pp2_eps",
    "dpm_solver_3m" + BY_DIFFUSERS: "ds.dpm_pp3_eps",
    "lms2": "kd.lms2",
    "lms3": "kd.lms3",
    "lms4": "kd.lms4 dif.lms4",
    "ipndm2": "ds.ipndm2",
    "ipndm3": "ds.ipndm3",
    "ipndm4": "ds.ipndm4 dif.ipndm",
    "pndm": "dif.pndm_prk",
    "pndm" + BY_DIFFUSERS: "dif.pndm_plms",
    "unipc_2_bh2_noise" + BY_DIFFUSERS: "dif.unipc2_bh2_eps",
    "unipc_3_bh2_noise": "dif.unipc3_bh2_eps_lof0",
    "sa_solver_p1c1": "sa.few_p1c1_tau0 dif.sasolver_p1c1_tau0",
    "sa_solver_p2" + BY_SA: "sa.few_p2c0_tau0",
    "sa_solver_p3" + BY_SA: "sa.few_p3c0_tau0",
    "sa_solver_p3c4_more_steps" + BY_SA: "sa.more_p3c4_tau0",
    "sa_solver_p3c4_pece" + BY_SA: "sa.few_p3c4_PECE_tau0_lof0",
}


def peers():
    """Peer → the gallery solver that it is."""
    table = {peer: name for name, names in ALIASES.items() for peer in names.split()}
    for peer, name in {
        "heun_2s": "heun_edm",
        "midpoint_2s": "midpoint_sigma",
        "ralston_2s": "ralston_2",
        "ralston_3s": "ralston_3",
        "ralston_4s": "ralston_4",
        "heun_3s": "heun_3",
        "kutta_3s": "kutta_3",
        "houwen-wray_3s": "van_der_houwen_3",
    }.items():
        table[f"r4.{peer}"], table[f"r4.{peer}_anchor0"] = name + BY_RES4LYF, name
    for name in ("res_2m", "res_3m", "dpmpp_2m", "dpmpp_3m", "deis_2m", "deis_3m", "deis_4m"):
        table[f"r4.{name}"] = name + BY_RES4LYF
    for library, order, kind in itertools.product(("un", "dif", "ds"), (1, 2, 3), (1, 2)):
        name, peer = f"unipc_{order}_bh{kind}", f"{library}.unipc{order}_bh{kind}"
        table[peer], table[f"{peer}_lof0"] = name + (BY_DIFFUSERS if order > 1 else ""), name
    for library, pair in itertools.product(("sa.few", "dif.sasolver"), ("p2c2", "p3c3", "p3c4")):
        table[f"{library}_{pair}_tau0"] = f"sa_solver_{pair}_lower_order_final{BY_SA}"
        table[f"{library}_{pair}_tau0_lof0"] = f"sa_solver_{pair}{BY_SA}"
    return table


def uniform_in_time():
    """Peer → the gallery solver whose outer steps and stage nodes are uniform in the time of linear VP."""
    marks, kinds = (("dpm++", "dpmpp_{}s"), ("dpm", "dpm_solver_{}")), ("", "_taylor")
    return {
        f"lu.{mark}_ssfixed{order}{kind}@time_uniform": f"{name.format(order)}_time{kind}"
        for (mark, name), kind, order in itertools.product(marks, kinds, (2, 3))
    }


def formulas_as_shipped():
    """Peer → the gallery solver that repeats its code: ComfyUI `co.`, diff-sampler, UniPC."""
    table = {
        "co.gradient_estimation": "gradient_estimation",
        "co.heunpp2": "heunpp2",
        "un.vary_coeff1": "unipc_1_vary_coeff_as_shipped_by_unipc",
        "un.vary_coeff2": "unipc_2_vary_coeff_lower_order_final_as_shipped_by_unipc",
        "un.vary_coeff2_lof0": "unipc_2_vary_coeff_as_shipped_by_unipc",
    }
    for library in ("co", "ds"):
        table[f"{library}.ipndm_v2"] = "ipndm_v2"
        for order in (3, 4):
            table[f"{library}.ipndm_v{order}"] = f"ipndm_v{order}_as_shipped_by_diff_sampler"
    return table


def short_runs():
    """Peer → (N, solver below N steps, solver from N on): diffusers' and dpm-solver's policy."""
    table = {}
    for mark, base in (("dpm++", "dpmpp"), ("dpm", "dpm_solver")):
        for library, steps, middle, exact in (
            ("dif", 15, "_midpoint", "_heun"),
            ("lu", 10, "", "_taylor"),
        ):
            made = {f"ms2{middle}": "2m", f"ms2{exact}": "2m_exact", "ms3": "3m"}
            for peer, name in made.items():
                long = f"{base}_3m_as_published" if name == "3m" else f"{base}_{name}"
                table[f"{library}.{mark}_{peer}"] = (steps, f"{base}_{name}{BY_DIFFUSERS}", long)
    three = "dpmpp_3m" + BY_DIFFUSERS
    table["dif.dpm++_ms3_finalzero"] = (15, three, "dpmpp_3m_final_zero" + BY_DIFFUSERS)
    for order in (2, 3):
        name = f"deis_logrho{order}"
        table[f"dif.deis{order}"] = (15, name + BY_DIFFUSERS, name)
    return table


def single_steps():
    """Peer → (prefix, kind, order, use of the grid): patterns of orders on a grid uniform in λ."""
    table = {"kd.dpm_fast": ("dpm_solver", "", 3, "ends")}
    marks = (("dpm++", "dpmpp"), ("dpm", "dpm_solver"))
    for (mark, base), kind, order in itertools.product(marks, ("", "_taylor"), (2, 3)):
        table[f"lu.{mark}_ss{order}{kind}"] = (base, kind, order, "nodes")
        table[f"lu.{mark}_ss{order}{kind}@logSNR"] = (base, kind, order, "ends")
        table[f"lu.{mark}_ssfixed{order}{kind}@logSNR"] = (base, kind, order, "fixed")
        for suffix in ("", "_lof0"):
            name = f"dif.{mark}_ss{order}_{'heun' if kind else 'midpoint'}{suffix}"
            shipped = BY_DIFFUSERS if order == 3 else kind
            table[name] = (base, shipped, order, "nodes")
    return table


SAME, SHORT, SINGLE, TIMED = peers(), short_runs(), single_steps(), uniform_in_time()
# Peers that no gallery solver is, the nearest one, the largest relative distance, and the reason.
APART = {
    **{
        f"ds.deis_tab{k}": (f"deis_tab{k}", 3e-4, "a Riemann sum of 10^4 points, not the integral")
        for k in (2, 3, 4)
    },
}
# Compared in test_blocks.py: single-step solvers of diffusers and dpm-solver whose stage nodes are points
# of the grid.
ADAPTIVE = {
    "kd.dpm_adaptive_order2": "dpm_adaptive_12",
    "kd.dpm_adaptive_order3": "dpm_adaptive_23",
}


@pytest.fixture(scope="module")
def end_state(committed, denoiser):
    """A function from a gallery solver and a grid to the end state, in EDM's scaling."""
    denoise = denoiser(*PEERS["mixture"].values())
    x = torch.tensor(PEERS["x_init"], dtype=torch.float64)

    def flow(x, t):
        return denoise(x / (1 - t)[:, None], t / (1 - t))

    def run(name, sigmas):
        module = committed(name)
        if module.INTEGRAND != "velocity":
            return module.sample(denoise, x, sigmas)
        t = sigmas / (1 + sigmas)
        return module.sample(flow, x * (1 - t[0]), t, alphas=1 - t) / (1 - t[-1])

    return run


def distance(found, recorded):
    wanted = torch.tensor(recorded, dtype=torch.float64).reshape(found.shape)
    return float((found - wanted).abs().max() / wanted.abs().max())


def grouped(peer, sigmas):
    """A single-step peer as a solver of the gallery and the grid of its outer steps."""
    base, kind, order, use = SINGLE[peer]
    n, s = len(sigmas) - 1, "s" if base == "dpmpp" else ""
    whole, left = divmod(n, order)
    assert not (order == 3 and left == 0), "no record ends with orders 2 and 1"
    name = f"{base}_{order}{s}{kind}" if order == 3 or kind != BY_DIFFUSERS else f"{base}_2{s}"
    orders = [order] * whole
    if left and use != "fixed":
        orders.append(left)
        name = f"{base}_fast_{order}_{left}{kind}"
    if use == "nodes":
        return name, sigmas[[0, *itertools.accumulate(orders)]]
    ends = -torch.log(sigmas[[0, -1]])
    return name, torch.exp(-torch.linspace(*ends.tolist(), len(orders) + 1, dtype=torch.float64))


@pytest.mark.parametrize("peer", sorted({*SAME, *SHORT, *SINGLE} & set(ENDS)))
def test_reproduces_the_peer_on_every_grid(peer, end_state):
    for grid, recorded in ENDS[peer].items():
        sigmas = GRIDS[grid]
        if peer in SINGLE:
            name, sigmas = grouped(peer, sigmas)
        elif peer in SHORT:
            steps, short, long = SHORT[peer]
            name = short if len(sigmas) - 1 < steps else long
        else:
            name = SAME[peer]
        assert distance(end_state(name, sigmas), recorded) < 1e-10, (grid, name)


@pytest.mark.parametrize("run", PEERS["adaptive"], ids=lambda run: f"{run['peer']}-{run['rtol']}")
def test_adaptive_steps_are_those_of_the_peer(run, committed, denoiser):
    module, calls = committed(ADAPTIVE[run["peer"]]), []
    denoise = denoiser(*PEERS["mixture"].values())

    def counted(x, sigma):
        calls.append(sigma)
        return denoise(x, sigma)

    ends = torch.tensor([3.0, 0.1], dtype=torch.float64)
    x = torch.tensor(PEERS["x_init"], dtype=torch.float64)
    tolerances = {"rtol": run["rtol"], "atol": run["atol"]}
    assert distance(module.sample_adaptive(counted, x, ends, **tolerances), run["end"]) < 1e-12
    assert len(calls) <= run["nfe"]  # k-diffusion evaluates again after a rejected step


@pytest.mark.parametrize("peer", sorted(APART))
def test_stands_apart_from_the_peer_as_far_as_stated(peer, end_state):
    name, bound, _ = APART[peer]
    gaps = [distance(end_state(name, GRIDS[grid]), end) for grid, end in ENDS[peer].items()]
    assert bound / 10 < max(gaps) < bound


@pytest.mark.parametrize(("peer", "name"), sorted(formulas_as_shipped().items()))
def test_reproduces_the_code_of_the_peer(peer, name, end_state):
    assert len(SHIPPED[peer]) == len(GRIDS) == 15
    for grid, recorded in SHIPPED[peer].items():
        assert distance(end_state(name, GRIDS[grid]), recorded) < 1e-10, grid


@pytest.mark.parametrize("peer", sorted(TIMED))
def test_reproduces_the_peer_whose_nodes_are_uniform_in_time(peer, end_state):
    order, ends = int(TIMED[peer].split("_time")[0].rstrip("s")[-1]), ENDS[peer]
    assert len(ends) == 3
    for grid, recorded in ends.items():
        sigmas = GRIDS[grid]
        outer = (len(sigmas) - 1) // order
        times = linear_vp_time(sigmas[[0, -1]])
        levels = linear_vp_level(torch.linspace(*times.tolist(), outer + 1, dtype=torch.float64))
        assert distance(end_state(TIMED[peer], levels), recorded) < 1e-10, grid


def linear_vp_time(sigma):
    """t at which −2 log α = 19.9 t²/2 + 0.1 t gives σ/α."""
    return ((0.01 + 39.8 * torch.log1p(sigma**2)).sqrt() - 0.1) / 19.9


def linear_vp_level(t):
    return torch.expm1(19.9 * t**2 / 2 + 0.1 * t).sqrt()


def test_sa_solver_as_shipped_returns_the_last_denoised_prediction(end_state, denoiser):
    """Its `more` steps end in one more evaluation, recorded like a VP state: times sqrt(1 + sigma^2)."""
    denoise = denoiser(*PEERS["mixture"].values())
    name = SAME["sa.more_p3c4_tau0"]
    for grid, recorded in ENDS["sa.more_p3c4_tau0_asshipped"].items():
        sigma = GRIDS[grid][-1:]
        last = denoise(end_state(name, GRIDS[grid]), sigma) * (1 + sigma**2).sqrt()
        assert distance(last, recorded) < 1e-10, grid


def test_every_recorded_peer_is_placed():
    placed = {*SAME, *SHORT, *SINGLE, *APART, *TIMED, "sa.more_p3c4_tau0_asshipped"}
    elsewhere = {peer for peer in ENDS if "@time_uniform" in peer and "fixed" not in peer}
    assert set(ENDS) - placed == elsewhere  # in test_blocks.py
    assert len(placed & set(ENDS)) >= 194
    assert {name for name in SAME.values()} <= set(gallery.names())
