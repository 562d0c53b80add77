"""Steps that span several intervals of the grid, and steps that look ahead, against their peers."""

import itertools
import json
from pathlib import Path

import pytest
import torch

from tests.peer_code import diffusers_in_float64

DATA = Path(__file__).parents[1] / "data"
GALLERY, BLOCKS = (
    json.loads((DATA / f"peer_endpoints_{name}.json").read_text()) for name in ("gallery", "blocks")
)
GRIDS = {name: torch.tensor(g, dtype=torch.float64) for name, g in GALLERY["grids"].items()}
KINDS = {"midpoint": "", "heun": "_taylor", "taylor": "_taylor", "": ""}
FAMILIES = (("dpm++", "dpmpp", "s"), ("dpm", "dpm_solver", ""))


def placed():
    """Peer → the gallery solver that it is."""
    table = {}
    for (mark, base, s), (name, kind) in itertools.product(FAMILIES, KINDS.items()):
        for order in (2, 3):
            solver = f"{base}_{order}{s}_grid{kind}"
            table[f"lu.{mark}_ss{order}" + (f"_{name}" if name else "")] = solver
            table[f"lu.{mark}_ss{order}" + (f"_{name}" if name else "") + "@time_uniform"] = solver
            if order == 3:
                solver = f"{base}_3{s}_grid_as_shipped_by_diffusers"
            for end in ("", "_lof0"):  # the recorded lists of orders are those of dpm-solver
                table[f"dif.{mark}_ss{order}_{name}{end}"] = solver
    return table


SOLVERS = placed()
RECORDED = [
    (peer, grid, end)
    for entry in (*GALLERY["endpoints"], *BLOCKS["endpoints"])
    for peer in entry["peers"]
    for grid, end in entry["ends"].items()
    if peer in SOLVERS
]


@pytest.fixture(scope="module")
def denoise(denoiser):
    return denoiser(*GALLERY["mixture"].values())


@pytest.fixture(scope="module")
def x():
    return torch.tensor(GALLERY["x_init"], dtype=torch.float64)


@pytest.mark.parametrize("peer", sorted({peer for peer, _, _ in RECORDED}))
def test_reproduces_the_peer_on_every_grid(peer, committed, denoise, x):
    module = committed(SOLVERS[peer])
    for _, grid, end in (found for found in RECORDED if found[0] == peer):
        wanted = torch.tensor(end, dtype=torch.float64).reshape(x.shape)
        gap = (module.sample(denoise, x, GRIDS[grid]) - wanted).abs().max() / wanted.abs().max()
        assert gap < 1e-12, grid


def test_all_recorded_single_step_solvers_are_here():
    assert len({peer for peer, _, _ in RECORDED}) == 22
    assert len(RECORDED) == 16 * 15 + 6 * 3
    assert all(len(entry["ends"]) == 12 for entry in BLOCKS["endpoints"])


def karras(n, last):
    ramp = torch.linspace(0, 1, n + 1 - (last == 0), dtype=torch.float64)
    levels = (3.0 ** (1 / 7) + ramp * (0.05 ** (1 / 7) - 3.0 ** (1 / 7))) ** 7
    return torch.cat([levels, torch.zeros(1, dtype=torch.float64)]) if last == 0 else levels


@pytest.mark.parametrize("last", [0.05, 0.0])
@pytest.mark.parametrize("name", ["dpmpp_3s_grid", "dpm_solver_3_grid_taylor", "dpmpp_2s_grid"])
def test_every_interval_costs_one_evaluation(name, last, committed, denoise, x):
    for n in range(1, 9):
        calls, sigmas = [], karras(n, last)

        def counted(x, sigma, calls=calls):
            calls.append(float(sigma[0]))
            return denoise(x, sigma)

        end = committed(name).sample(counted, x, sigmas)
        assert end.isfinite().all()
        assert calls == pytest.approx(sigmas[:-1].tolist(), rel=1e-14)


def heunpp2(denoise, x, sigmas):
    """Heun++2 as field.md states it: w = 3 sigma_0, a penultimate step of two slopes, then Euler."""

    def slope(x, i):
        return (x - denoise(x, sigmas[i].expand(len(x)))) / sigmas[i]

    n = len(sigmas) - 1
    for i in range(n):
        step, first = sigmas[i + 1] - sigmas[i], slope(x, i)
        parts = [first]
        probe = x
        for k in range(1, min(3, n - i)):
            probe = probe + (sigmas[i + k] - sigmas[i + k - 1]) * parts[-1]
            parts.append(slope(probe, i + k))
        shares = [sigmas[i + k] / (len(parts) * sigmas[0]) for k in range(1, len(parts))]
        mean = (1 - sum(shares)) * first
        x = x + step * (mean + sum(w * part for w, part in zip(shares, parts[1:], strict=True)))
    return x


@pytest.mark.parametrize("last", [0.05, 0.0])
@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_heunpp2_is_the_community_sampler(n, last, committed, denoise, x):
    sigmas = karras(n, last)
    found = committed("heunpp2").sample(denoise, x, sigmas)
    wanted = heunpp2(denoise, x, sigmas)
    assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("order", "kind"), [(2, "midpoint"), (2, "heun"), (3, "midpoint")])
def test_runs_of_diffusers_own_scheduler(order, kind, committed, denoise, x):
    """The whole class, with its own lists of orders, on Karras levels of a VP schedule down to 0."""
    scheduling = diffusers_in_float64("dpmsolver_singlestep")
    name = f"dpmpp_{order}s_grid{KINDS[kind]}"
    name += "_as_shipped_by_diffusers" if order == 3 else ""
    for n in range(4, 10):
        scheduler = scheduling.DPMSolverSinglestepScheduler(
            solver_order=order,
            solver_type=kind,
            prediction_type="sample",
            use_karras_sigmas=True,
            lower_order_final=True,
        )
        scheduler.set_timesteps(n)
        levels = scheduler.sigmas.to(torch.float64)
        alphas = (1 + levels**2).rsqrt()
        state = x * alphas[0]
        for i, t in enumerate(scheduler.timesteps):
            denoised = denoise(state / alphas[i], levels[i].expand(len(x)))
            state = scheduler.step(denoised, t, state).prev_sample

        def model(x, sigma):
            alpha = (1 - sigma[0] ** 2).sqrt()
            return denoise(x / alpha, sigma / alpha)

        found = committed(name).sample(model, x * alphas[0], levels * alphas, alphas=alphas)
        assert (found - state).abs().max() < 1e-10 * state.abs().max(), n
