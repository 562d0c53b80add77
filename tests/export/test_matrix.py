"""Levels, times and results of exported schedulers against diffusers' own classes, key by key."""

import logging
import warnings

import pytest

diffusers = pytest.importorskip("diffusers", reason="exported schedulers run inside diffusers")

from tests.export import matrix

# What a quick run looks at: a key of each kind, for the families that people use most.
QUICK = {
    "dpmpp_2m": {"use_karras_sigmas": "same", "use_exponential_sigmas": "exact"},
    "unipc_2_bh2_as_shipped_by_diffusers": {"use_flow_sigmas": "exact", "solver_order": "refused"},
    "ddim_eta": {"set_alpha_to_one": "same", "thresholding": "same"},
    "euler_sigma": {"timestep_type": "same", "sigma_max": "same"},
    "heun_edm": {"use_beta_sigmas": "same", "clip_sample": "same"},
    "lcm": {"original_inference_steps": "same"},
    "tcd": {"steps_offset": "same"},
    "flow_euler": {"use_dynamic_shifting": "same", "shift_terminal": "same"},
    "flow_heun_as_shipped_by_diffusers": {"shift": "same"},
}


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", QUICK)
def test_a_key_is_as_in_their_class(name, scheduler):
    for key, wanted in QUICK[name].items():
        value = next(v for v in matrix.KEYS[key] if v != matrix.PEERS[name][1].get(key, 2))
        assert matrix.outcome(scheduler, name, key, value, ((6, 0), (10, 4)))[0] == wanted, key


@pytest.mark.parametrize("name", ["dpmpp_2m", "ddim", "euler_sigma", "euler_ancestral"])
def test_a_run_split_in_two_is_theirs(name, scheduler):
    """Base and refiner each have a scheduler: the second begins where the first has stopped."""
    family, config, options = matrix.PEERS[name]
    theirs = getattr(diffusers, f"{family}Scheduler")(**config)
    ends = []
    for made in (theirs, scheduler(name).from_config(theirs.config)):
        middle = matrix.whole(made, 10, 0, options, stop=6)
        if not hasattr(made, "set_begin_index"):
            made.set_timesteps(10)
        ends.append(matrix.whole(made, 10, 6, options, x=middle))
    assert (ends[1] - ends[0]).norm() < 1e-5 * ends[0].norm()


@pytest.mark.parametrize("family", sorted({family for family, _, _ in matrix.PEERS.values()}))
def test_no_key_of_a_family_is_left_out(family):
    """A key that a new diffusers has is compared, or said what becomes of it."""
    keys = set(matrix.keys_of(family)) - {"self", "args", "kwargs"}
    assert keys <= set(matrix.KEYS) | set(matrix.WORDS)


@pytest.mark.nightly
def test_the_documented_table_is_what_runs_give(scheduler):
    assert matrix.DOCUMENT.read_text(encoding="utf-8") == matrix.document(scheduler)
