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
        scenes = ("flow", "dynamic") if name.startswith("flow") else ("SD", "img2img")
        for scene, run in zip(scenes, ((6, 0), (10, 4)), strict=True):
            found = matrix.outcome(scheduler, name, key, value, scene, (run,))
            assert found is None or found[0] == wanted, (key, scene, found)


@pytest.mark.parametrize("scene", [s for s in matrix.SCENES if s != "SD"])
def test_a_default_config_is_theirs_in_every_scene(scene, scheduler):
    """Families whose method is ours to the last digit, as pipelines use them."""
    for name in ("dpmpp_2m", "unipc_2_bh2_as_shipped_by_diffusers", "ddim", "lcm", "tcd"):
        found = matrix.outcome(scheduler, name, None, None, scene, matrix.SCENES[scene][:1])
        assert found is None or found[0] in ("same", "exact"), (name, found)


@pytest.mark.parametrize("model", matrix.published.MODELS)
def test_a_published_config_is_as_in_its_own_class(model, scheduler):
    """For the solver of the class that stands in the model's folder."""
    family = matrix.published.MODELS[model][0]
    name = next(n for n, (of, *_) in matrix.PEERS.items() if of == family)
    assert matrix.beside_model(scheduler, name, model)[0] in ("same", "exact")


def test_runs_that_end_above_zero_end_where_theirs_do(scheduler):
    """final_sigmas_type on flow levels, and the step that is lowered where the last has no length."""
    at, runs = "final_sigmas_type", ((5, 0),)
    for name in ("dpmpp_2m", "dpmpp_3s_grid_as_shipped_by_diffusers"):
        assert matrix.outcome(scheduler, name, at, "sigma_min", "flow", runs)[0] == "exact"
    assert matrix.outcome(scheduler, "deis_logrho2", None, None, "flow img2img")[0] == "exact"
    assert matrix.outcome(scheduler, "deis_logrho2", None, None, "SD")[0] == "same"


@pytest.mark.parametrize("family", sorted({family for family, _, _ in matrix.PEERS.values()}))
def test_no_key_of_a_family_is_left_out(family):
    """A key that a new diffusers has is compared, or said what becomes of it."""
    keys = set(matrix.keys_of(family)) - {"self", "args", "kwargs"}
    assert keys <= set(matrix.KEYS) | set(matrix.WORDS)


@pytest.mark.nightly
def test_the_documented_table_is_what_runs_give(scheduler):
    assert matrix.DOCUMENT.read_text(encoding="utf-8") == matrix.document(scheduler)
