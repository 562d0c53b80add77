"""Stochastic samplers of the gallery against the formulas of ComfyUI and of the papers, draw for draw."""

import math

import mpmath
import pytest
import torch

from solvergen.grids.levels import karras
from solvergen.grids.restart import restarted
from tests.catalog import noise_formulas as formulas
from tests.catalog.noise_runs import agrees, apart, draws, levels, run

STEPS = (5, 10, 20)
TOLERANCE = 1e-13


@pytest.fixture
def start():
    return 14 * draws(1)()


LOUD = {"eta": 0.7, "s_noise": 1.1}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("options", [{}, LOUD])
@pytest.mark.parametrize(
    ("name", "nodes", "form", "place"),
    [
        ("seeds_1", (), "phi_1", {}),
        ("seeds_2", (0.5,), "phi_1", {}),
        ("seeds_2", (0.3,), "phi_1", {"r": 0.3}),
        ("seeds_2_phi2", (0.3,), "phi_2", {"r": 0.3}),
        ("seeds_3", (1 / 3, 2 / 3), "phi_2", {}),
        ("exp_heun_2_x0_sde", (1.0,), "phi_2", {}),
    ],
)
def test_seeds(name, nodes, form, place, options, steps, committed, mixture, start):
    grid = levels(steps)
    wanted = formulas.seeds(mixture, start, grid, draws(), nodes, form, **options)
    agrees(committed(name), mixture, start, grid, wanted, TOLERANCE, **options, **place)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("options", [{}, LOUD])
def test_res_multistep(options, steps, committed, mixture, start):
    grid = levels(steps)
    wanted = formulas.res_multistep(mixture, start, grid, draws(), **options)
    agrees(committed("res_multistep_ancestral"), mixture, start, grid, wanted, TOLERANCE, **options)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 2.6])
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_er_sde(stages, power, steps, committed, mixture, start):
    """Closed forms of the integrals of x^-power against quadrature."""
    grid, scaler = levels(steps), lambda x: x**power
    wanted = formulas.er_sde(mixture, start, grid, draws(), scaler, stages, 0.9)
    options = {"power": power, "s_noise": 0.9}
    agrees(committed(f"er_sde_{stages}_power"), mixture, start, grid, wanted, TOLERANCE, **options)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_er_sde_of_the_paper(stages, steps, committed, mixture, start):
    """Its scaler, whose integrals have no closed form, against 30 digits."""
    grid, scaler = levels(steps), lambda x: x * (mpmath.exp(x ** mpmath.mpf("0.3")) + 10)
    with mpmath.workdps(30):
        wanted = formulas.er_sde(
            mixture, start, grid, draws(), scaler, stages, 0.9, formulas.precise_integral
        )
    agrees(committed(f"er_sde_{stages}"), mixture, start, grid, wanted, TOLERANCE, s_noise=0.9)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_er_sde_of_comfyui(stages, steps, committed, mixture, start):
    """Its left sums of 200 parts, in float64: ComfyUI's own count of the parts is float32."""
    grid, scaler = levels(steps), lambda x: x * (math.exp(x**0.3) + 10)
    wanted = formulas.er_sde(
        mixture, start, grid, draws(), scaler, stages, 0.9, formulas.left_sum_of_comfyui
    )
    name = f"er_sde_{stages}" + "_as_shipped_by_comfyui" * (stages > 1)
    agrees(committed(name), mixture, start, grid, wanted, TOLERANCE, s_noise=0.9)


def test_er_sde_of_one_long_step(committed):
    """Both of its scalers at levels that would overflow if they were computed as they are written."""
    for name in ("er_sde_1", "er_sde_1_power"):
        [(_, _, _, weights, draw)] = committed(name).coefficients([math.exp(25.0), 1.0])
        assert float(weights[1]) == pytest.approx(1, abs=1e-9)
        assert float(weights[0]) < 1e-13 and float(weights[-1]) == pytest.approx(1)
        assert len(draw) == 1


def windowed(grid, tau, low, high):
    """Strengths of the steps that begin inside the window."""
    return [tau * float(low <= s <= high) for s in grid[:-1].tolist()]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("tau", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    ("name", "orders"),
    [
        *((f"p{p}", (p, 0)) for p in (1, 2, 3, 4)),
        *((f"p{p}c{c}", (p, c)) for p, c in ((1, 1), (2, 2), (3, 3), (3, 4), (4, 4))),
        ("p3c4_pece", (3, 4)),
    ],
)
def test_sa_solver(name, orders, tau, steps, committed, mixture, start):
    """On a grid that ends above 0, where every step is the method's own."""
    grid, window = levels(steps, zero=False), {"low": 0.3, "high": 8.0}
    taus = windowed(grid, tau, **window)
    wanted = formulas.sa_solver(mixture, start, grid, draws(), taus, orders, pece="pece" in name)
    found = run(committed(f"sa_solver_sde_{name}"), mixture, start, grid, tau=tau, **window)
    assert apart(found, wanted) < TOLERANCE


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("tau", [0.0, 0.4, 1.0])
def test_sa_solver_of_comfyui(tau, steps, committed, mixture, start):
    """Its window looks at the end of each step."""
    grid, window = levels(steps), {"low": 0.3, "high": 8.0}
    ends = [tau * float(0.3 <= s <= 8.0) for s in grid[1:].tolist()]
    wanted = formulas.sa_solver(mixture, start, grid, draws(), ends, (3, 4), ends=True)
    name = "sa_solver_sde_p3c4_as_shipped_by_comfyui"
    agrees(committed(name), mixture, start, grid, wanted, TOLERANCE, tau=tau, **window)


FLOW = torch.tensor([0.93, 0.8, 0.55, 0.3, 0.1, 0.0], dtype=torch.float64)


@pytest.mark.parametrize("first", [1.0, 0.99])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    ("name", "stages"), [("euler_ancestral_rf", 1), ("dpmpp_2s_ancestral_rf", 2)]
)
def test_ancestral_flow(name, stages, eta, first, committed, mixture, start):
    """From pure noise too: there the two-stage one has one stage, where ComfyUI puts it at 0.9999."""
    t = torch.cat([torch.tensor([first], dtype=torch.float64), FLOW])

    def model(x, t):
        at_one = t == 1
        scaled = x / torch.where(at_one, 1, 1 - t)[:, None]
        level = t / torch.where(at_one, 1e-3, 1 - t)
        return mixture(scaled, level)

    x = start / 14
    wanted = formulas.flow_ancestral(model, x, t, draws(), eta, 1.1, stages)
    options = {"eta": eta, "s_noise": 1.1, "noise_sampler": draws(), "alphas": 1 - t}
    assert apart(committed(name).sample(model, x, t, **options), wanted) < TOLERANCE


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("tau", [0.0, 0.4, 1.0])
def test_euler_maruyama(tau, steps, committed, mixture, start):
    grid = levels(steps)
    wanted = formulas.euler_maruyama(mixture, start, grid, draws(), tau)
    agrees(committed("euler_maruyama_lambda"), mixture, start, grid, wanted, TOLERANCE, tau=tau)


def test_annealed_langevin(committed, mixture, start):
    """The state at the last level: one more level, at which nothing is evaluated, ends the run."""
    grid = levels(8, zero=False)
    epsilon = 2 * 0.15 * float(grid[-1]) ** 2
    wanted = formulas.langevin(mixture, start, grid, draws(), 100, epsilon)
    closed = torch.cat([grid, grid[-1:] / 2])
    agrees(committed("annealed_langevin"), mixture, start, closed, wanted, TOLERANCE, delta=0.15)
    wanted = formulas.called(mixture, wanted, grid[-1])
    closed = torch.cat([grid, torch.zeros(1, dtype=torch.float64)])
    agrees(committed("annealed_langevin"), mixture, start, closed, wanted, TOLERANCE, delta=0.15)


@pytest.mark.parametrize("rate", [{"snr": 0.16}, {"delta": 0.05}])
def test_predictor_corrector(rate, committed, mixture, start):
    """The corrector of score-SDE, its length from the norms of the batch or given."""
    grid = levels(8)
    name = "predictor_corrector_ve" + "_snr" * ("snr" in rate)
    wanted = formulas.predictor_corrector(mixture, start, grid, draws(), **rate)
    assert apart(run(committed(name), mixture, start, grid, **rate), wanted) < TOLERANCE


def test_norms_do_not_depend_on_the_gauge(committed, mixture, start):
    grid, module = levels(6), committed("predictor_corrector_ve_snr")
    wanted = run(module, mixture, start, grid)
    agrees(module, mixture, start, grid, wanted, TOLERANCE)


def test_no_step_is_taken_where_nothing_pulls(committed):
    step = committed("predictor_corrector_ve_snr").step
    weights, x = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64).unbind(), torch.ones(2, 5)
    row = (0, 1, 1.0, weights, ())
    assert torch.equal(step(row, x, x, (), (x,))[0], x)
    assert not torch.equal(step(row, x, 2 * x, (), (x,))[0], x)
    assert step(row, x[:0], x[:0], (), (x[:0],))[0].shape == (0, 5)


@pytest.mark.parametrize("s_noise", [1.0, 1.003])
def test_restart(s_noise, committed, mixture, start):
    grid = torch.tensor(karras(9, 0.05, 14.0), dtype=torch.float64)
    index = int((grid - 0.6).abs().argmin())
    walked = restarted(grid.tolist(), [(4, 3, 0.6, 2.5)])
    nodes = karras(3, float(grid[index]), 2.5, zero=False)
    wanted = formulas.restart(mixture, start, grid, draws(), index, nodes, 3, s_noise)
    level = torch.tensor(walked, dtype=torch.float64)
    agrees(committed("restart_heun"), mixture, start, level, wanted, TOLERANCE, s_noise=s_noise)


def test_ddim_with_jumps(committed, mixture, start):
    level = torch.tensor([14.0, 5.0, 2.0, 5.0, 2.0, 0.7, 2.0, 0.2, 0.0], dtype=torch.float64)
    x, noise = start, draws()
    for a, b in zip(level[:-1].tolist(), level[1:].tolist(), strict=True):
        if b > a:
            x = x + math.sqrt(b * b - a * a) * noise()
        else:
            d = formulas.called(mixture, x, a)
            x = d + b / a * (x - d)
    agrees(committed("ddim_jumps"), mixture, start, level, x, TOLERANCE)
