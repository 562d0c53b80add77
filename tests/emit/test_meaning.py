"""An emitted file computes what its Program says: one-hot model outputs reveal every weight."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import mpmath
import pytest
import torch

from solvergen import gallery
from solvergen.derive import derive
from solvergen.errors import DeriveError
from solvergen.program.unroll import unroll
from solvergen.spec import parse_solver
from tests.generated.shapes import LONG, representatives

SHAPES = set(representatives()[::2])
HALF_WIDTH = 600  # of the states: x and outputs first, draws after them
ROUGH = [0.31, 0.77, 0.18, 0.52, 0.44, 0.9, 0.27]

HALF = '[corrector]\nrule = "weights"\nweights = { "n+1" = "h/2", n = "h*phi1 - h/2" }\n'
ADAMS = '[step]\nrule = "adams-bashforth"\nsteps = {}\n'
ONE = '[step]\nrule = "interpolate"\nnodes = ["n"]\n'

# Corners of the language: starts and ends that compete, correctors of some steps only, long
# histories in the last step, other coordinates, a shorter first step, repeated corrections.
CORNERS = {
    "end_needs_more_history": ONE + '[end]\nusing = ["dpmpp_3m"]',
    "ends_need_more_history": ONE + '[end]\nusing = ["dpmpp_3m", "dpmpp_2m"]',
    "start_without_corrector": ONE + HALF + '[start]\nusing = ["ddim", "ddim"]',
    "end_without_corrector": ONE + HALF + '[end]\nusing = ["ddim", "ddim"]',
    "start_corrected_main_not": ADAMS.format(2) + '[start]\nusing = ["unipc_1_bh2"]',
    "end_corrected_main_not": ADAMS.format(2) + '[end]\nusing = ["unipc_1_bh2", "dpmpp_2m"]',
    "start_and_end_compete": ADAMS.format(3)
    + '[start]\nusing = ["ddim", "dpmpp_2m"]\n[end]\nusing = ["dpmpp_2s", "ddim"]',
    "end_staged": ADAMS.format(2) + '[end]\nusing = ["res_3s"]',
    "ramp": ADAMS.format(4) + "[end]\nramp = true",
    "ramp_corrected": ADAMS.format(3)
    + '[corrector]\nrule = "adams-moulton"\nsteps = 3\n[end]\nramp = true',
    "final_corrected": ADAMS.format(2)
    + '[corrector]\nrule = "adams-moulton"\nsteps = 2\n[end]\ncorrector = true',
    "one_node_corrector": ONE + '[corrector]\nrule = "adams-moulton"\nsteps = 1',
    "evaluated_again": ADAMS.format(2)
    + '[corrector]\nmode = "PECE"\nrule = "adams-moulton"\nsteps = 3',
    "evaluated_twice_again": ADAMS.format(2)
    + '[corrector]\nmode = "PECE"\nsweeps = 2\nrule = "adams-moulton"\nsteps = 3',
    "shorter_first_step": ADAMS.format(3) + '[start]\nshrink = "3/2"',
    "started_by_a_rule": ADAMS.format(2) + '[[start.rule]]\nrule = "interpolate"\nnodes = ["n"]',
    "ended_by_a_rule": ADAMS.format(2) + '[[end.rule]]\nrule = "interpolate"\nnodes = ["n"]',
    "own_linear": "linear = 0\n" + ADAMS.format(3),
    "own_linear_corrected": 'linear = "1/3"\n'
    + ADAMS.format(2)
    + '[corrector]\nmode = "PECE"\nsweeps = 2\nrule = "adams-moulton"\nsteps = 3',
    "own_linear_ended": 'linear = "-2"\n' + ADAMS.format(2) + '[end]\nusing = ["res_3s"]',
    "clock_of_data": 'coordinate = "clock"\n' + ADAMS.format(3),
    "coordinate_of_the_other": 'coordinate = "s"\n' + ADAMS.format(3),
    "far_history_only": '[step]\nrule = "interpolate"\nnodes = ["n", "n-3"]',
    "past_states": 'coordinate = "clock"\n[step]\nrule = "interpolate"\nnodes = ["n", "n-1"]\n'
    'states = ["x", "x-1", "x-2"]',
    "past_states_corrected": 'coordinate = "clock"\n[step]\nrule = "interpolate"\nnodes = ["n"]\n'
    'states = ["x", "x-1"]\n[corrector]\nmode = "PECE"\nrule = "interpolate"\n'
    'nodes = ["n+1", "n-1"]\nstates = ["x", "x-1", "x-2"]',
    "past_state_alone": 'coordinate = "clock"\n[step]\nrule = "interpolate"\nnodes = ["n", "n-1"]\n'
    'states = ["x-1"]\n[start]\nusing = ["euler_sigma"]\n[end]\nusing = ["ddim"]',
    "past_states_carried": '[step]\nrule = "weights"\nweights = { n = "h*phi1 + h/(2*r1)" }\n'
    'carry = { x = "1 - r1/3", x-2 = "r1/3" }\n[start]\nusing = ["ddim", "ddim"]',
    "blocks": '[[stage]]\nname = "u"\nat = "grid 1"\nrule = "interpolate"\nnodes = ["n"]\n'
    '[[stage]]\nname = "v"\nat = "grid 2"\nrule = "interpolate"\nnodes = ["n", "u"]\n'
    '[step]\nspans = 3\nrule = "interpolate"\nnodes = ["n", "u", "v"]\n'
    '[end]\nremainder = [["dpm_solver_2_grid", "euler_sigma"], ["ddim"], ["dpm_solver_2_grid"]]',
    "blocks_in_s": 'coordinate = "s"\n[[stage]]\nname = "u"\nat = "grid 1"\nrule = "interpolate"\n'
    'nodes = ["n"]\n[step]\nspans = 2\nrule = "mean-value"\nnodes = ["n", "u"]\n'
    '[end]\nremainder = [[], ["euler_sigma"]]',
    "block_without_stages": '[step]\nspans = 2\nrule = "interpolate"\nnodes = ["n"]\n'
    '[end]\nremainder = [["ddim", "ddim"], ["ddim"]]',
    "later_points": 'coordinate = "clock"\n[[stage]]\nname = "u"\nat = 1\nrule = "interpolate"\n'
    'nodes = ["n"]\n[[stage]]\nname = "v"\nat = "grid 3"\nrule = "interpolate"\nnodes = ["n", "u"]\n'
    '[step]\nrule = "interpolate"\nnodes = ["n", "v"]\n'
    '[end]\nusing = ["heun_edm", "heun_edm", "ddim"]',
    "weights_of_later_points": 'coordinate = "clock"\n[[stage]]\nname = "u"\nat = "grid 2"\n'
    'rule = "weights"\nweights = { n = "g2" }\n[step]\nrule = "weights"\n'
    'weights = { n = "1 - remaining/(2*g2)", u = "remaining/(2*g2)" }\n[end]\nusing = ["heun_edm", "ddim"]',
    "tableau": '[tableau]\nc = ["1/2", "1"]\na = [["1/2"], ["-1", "2"]]\nb = ["1/6", "2/3", "1/6"]',
}

# Rules that hold at both ends of the schedule, so that no step of a file is DDIM's.
REGULAR = {
    "one_kind_of_step": ONE,
    "two_kinds_of_steps": ADAMS.format(2),
    "ramp": ADAMS.format(3) + "[end]\nramp = true\n",
    "staged": '[[stage]]\nname = "u"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
    '[step]\nrule = "interpolate"\nnodes = ["n", "u"]\n',
}

STAGES_IN_LAMBDA = ("start_and_end_compete", "end_staged")  # velocity has no such places


def corner(name, integrand):
    text = CORNERS[name]
    head = f'name = "{name}"\nintegrand = "{integrand}"\n'
    return parse_solver(head + text)


def revealed(module, sigmas):
    """(λ of every call, its state, the final state), in weights of x and of the outputs so far."""
    width, calls, drawn = 2 * HALF_WIDTH, [], itertools.count(HALF_WIDTH)

    def one_hot(x, sigma):
        calls.append((-torch.log(sigma[0]).item(), x[0].clone()))
        out = torch.zeros_like(x)
        out[0, len(calls)] = 1
        return out

    def draw(sigma, sigma_next):
        return torch.nn.functional.one_hot(torch.tensor([next(drawn)]), width).double()

    x = torch.zeros(1, width, dtype=torch.float64)
    x[0, 0] = 1
    given = {"noise_sampler": draw} if hasattr(module, "NOISE") else {}
    return calls, module.sample(one_hot, x, sigmas, **given)[0]


def check(solver, module, n, zero):
    lam = [-1.3 + sum(ROUGH[:i]) for i in range(n + 1)]
    values = [*(math.exp(-v) for v in lam), *([0.0] if zero else [])]
    sigmas = torch.tensor(values, dtype=torch.float64)
    exact = [-mpmath.log(mpmath.mpf(s)) if s else mpmath.inf for s in sigmas.tolist()]
    calls, final = revealed(module, sigmas)
    with mpmath.workdps(20):
        meant = unroll(derive(solver), exact)
    assert len(calls) == len(meant.calls)
    for (place, state), call in zip(calls, meant.calls, strict=True):
        assert place == pytest.approx(float(call.lam), abs=1e-12)
        same(state[:HALF_WIDTH], call.state)
    same(final[:HALF_WIDTH], meant.final)
    # Which draw is which is a matter of naming; what they make of the states is not.
    found = torch.stack([*(state for _, state in calls), final])[:, HALF_WIDTH:]
    rows = [[float(v) for v in noise] for noise in (*(c.noise for c in meant.calls), meant.noise)]
    wanted = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.float64)
    for i, row in enumerate(rows):
        wanted[i, : len(row)] = torch.tensor(row, dtype=torch.float64)
    gap = found @ found.T - wanted @ wanted.T
    assert gap.abs().max() < 1e-12 * max(1, (wanted @ wanted.T).abs().max())


def same(found, meant):
    wanted = torch.zeros_like(found)
    wanted[: len(meant)] = torch.tensor([float(v) for v in meant], dtype=torch.float64)
    assert (found - wanted).abs().max() < 1e-12 * max(1, wanted.abs().max())


def files():
    """Every file on one kind of grid, by turns; on the other at night."""
    for turn, name in enumerate(gallery.names()):
        for zero in (False, True):
            by_day = turn % 2 == zero and name in SHAPES and name not in LONG
            later = [] if by_day else [pytest.mark.nightly]
            yield pytest.param(name, zero, marks=later)


@pytest.mark.parametrize(("name", "zero"), list(files()))
def test_gallery_files_are_their_programs(name, zero, committed):
    solver = gallery.load(name)
    if solver.langevin and solver.langevin.snr is not None:
        with pytest.raises(DeriveError, match="norms of the state"):
            unroll(derive(solver), [0, 1])
        return
    for n in (1, 4) if zero else (2, 5):
        check(solver, committed(name), n, zero)


def cases():
    """Every corner for every integrand, one by day; explicit weights in λ belong to data and noise."""
    for turn, (name, text) in enumerate(CORNERS.items()):
        found = [
            integrand
            for integrand in ("data", "noise", "velocity")
            if integrand != "velocity" or not ("h*phi1" in text or "linear" in text)
        ]
        for integrand in found:
            later = [] if integrand == found[turn % len(found)] else [pytest.mark.nightly]
            yield pytest.param(name, integrand, marks=later)


@pytest.mark.parametrize(("name", "integrand"), list(cases()))
def test_corners_of_the_language_are_their_programs(name, integrand, sampler):
    solver = corner(name, integrand)
    if integrand == "velocity" and solver.coordinate == "lambda":
        solver = replace(solver, coordinate="clock")
    if integrand == "velocity" and name in STAGES_IN_LAMBDA:
        with pytest.raises(DeriveError, match="one clock"):
            derive(solver)
        return
    for n in (1, 2, 3, 4, 6):
        check(solver, sampler(solver), n, zero=n % 2 == 0)


@pytest.mark.parametrize("name", REGULAR)
def test_rules_that_hold_at_both_ends_take_every_step(name, sampler):
    text = REGULAR[name] + ("" if "[end]" in REGULAR[name] else "[end]\n") + 'zero = "rule"\n'
    head = f'name = "{name}"\nintegrand = "velocity"\ncoordinate = "clock"\n'
    solver = parse_solver(head + text)
    module = sampler(solver)
    assert "DDIM is its limit" not in Path(module.__file__).read_text(encoding="utf-8")
    for n in (1, 2, 3, 5):
        check(solver, module, n, zero=False)


STOCHASTIC = {
    "strength_in_a_window": (
        '[noise]\nform = "sde"\nstrength = "tau"\nwindow = ["low", "high"]\n'
        '[parameters]\ntau = { default = "3/5" }\nlow = { default = "1/2" }\n'
        "high = { default = 2 }\n"
        + ADAMS.format(2)
        + '[corrector]\nrule = "adams-moulton"\nsteps = 3'
    ),
    "one_path": (
        '[noise]\nform = "sde"\nscale = "11/10"\n'
        '[[stage]]\nname = "a"\nat = "1/3"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[[stage]]\nname = "b"\nat = "2/3"\nrule = "interpolate"\nnodes = ["n", "a"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["n", "b"]'
    ),
    "draws_of_their_own": (
        '[noise]\nform = "ancestral"\nstages = "own"\nstrength = "4/5"\n'
        '[[stage]]\nname = "a"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "mean-value"\nnodes = ["n", "a"]\ntheta = "1/2"'
    ),
    "a_lower_level": (
        '[noise]\nform = "ancestral"\nstrength = "9/10"\n'
        '[[stage]]\nname = "a"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["n", "a", "n-1"]'
    ),
    "a_lower_level_corrected": (
        '[noise]\nform = "ancestral"\nstrength = "4/5"\n'
        + ADAMS.format(2)
        + '[corrector]\nmode = "PECE"\nrule = "adams-moulton"\nsteps = 2\n'
    ),
    "a_level_given": '[noise]\nform = "ancestral"\ndown = "sigma_next*3/4"\n' + ADAMS.format(2),
    "churned": (
        '[noise]\nform = "churn"\nstrength = 2\n'
        '[[stage]]\nname = "a"\nat = "1"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["n", "a"]'
    ),
    "langevin": '[noise]\nform = "sde"\n[langevin]\nsteps = 2\nrate = "1/20"\n' + ONE,
    "langevin_with_a_stage": (
        '[noise]\nform = "explicit"\n[langevin]\nsteps = 3\nrate = "1/(4 + sigma)"\n'
        '[[stage]]\nname = "a"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "weights"\nweights = { a = "h*phi1" }\nnoise = { y = "1/3" }'
    ),
    "explicit": (
        '[noise]\nform = "explicit"\n[step]\nrule = "weights"\nweights = { n = "2*h" }\n'
        'decay = "(1 - 2*h)*exp(h)"\nnoise = { z = "sqrt(2*h)*sigma/sigma_next" }'
    ),
    "explicit_integrals": (
        '[noise]\nform = "explicit"\n[step]\nrule = "weights"\nweights = { n = "2*h" }\n'
        'decay = "integral(exp(-x), sigma_next, sigma)"\n'
        'noise = { y = "integral(1/(1 + x), sigma_next, sigma)", z = "sqrt(h)" }'
    ),
}


@pytest.mark.parametrize("integrand", ["data", "noise"])
@pytest.mark.parametrize("name", STOCHASTIC)
def test_stochastic_files_are_their_programs(name, integrand, sampler):
    if integrand == "noise" and name.startswith(("langevin", "explicit")):
        pytest.skip("written for the denoised prediction")
    solver = parse_solver(f'name = "{name}"\nintegrand = "{integrand}"\n' + STOCHASTIC[name])
    for n in (1, 2, 3, 5):
        check(solver, sampler(solver), n, zero=n % 2 == 0)


@pytest.mark.parametrize(
    ("place", "at", "end"),
    [
        ('integrand = "data"\ncoordinate = "s"', "3/2", "sigma"),
        ('integrand = "data"\ncoordinate = "clock"', "-1/2", "alpha"),
        ('integrand = "noise"\ncoordinate = "clock"', "3/2", "sigma"),
        ('integrand = "velocity"\ncoordinate = "clock"', "3/2", "sigma"),
        ('integrand = "velocity"\ncoordinate = "clock"', "-2", "alpha"),
    ],
)
def test_a_stage_beyond_the_ends_of_the_schedule_is_refused(place, at, end, sampler):
    stage = f'[[stage]]\nname = "mid"\nat = "{at}"\nrule = "interpolate"\nnodes = ["n"]\n'
    rule = '[step]\nrule = "interpolate"\nnodes = ["n", "mid"]\n'
    module = sampler(parse_solver(f'name = "far"\n{place}\n{stage}{rule}'))
    sigmas = torch.tensor([0.6, 0.5, 0.02], dtype=torch.float64)
    assert len(module.coefficients(sigmas[:2], 1 - sigmas[:2])) >= 1
    told = f"step 1, from sigma / alpha = 1.0 to 0.02.*: its stage mid lies beyond {end} = 0"
    with pytest.raises(ValueError, match=told):
        module.coefficients(sigmas, 1 - sigmas)
