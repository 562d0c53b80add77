"""The explorer's students are those of their recipes, and the browser runs them as torch does."""

import dataclasses

import pytest
import torch

from solvergen.commands.pages.explore_students import error, layers, trained
from solvergen.distil.recipe import read_recipe
from solvergen.distil.students import Consistency, DenoisingJump, Mlp
from solvergen.explore.learning import RECIPES, kept
from solvergen.explore.page import ASSETS

FORMS = {"consistency": Consistency, "progressive": DenoisingJump}


def rebuilt(name, stage):
    """The network of torch with the weights that the page carries."""
    found = kept()[name]
    network = Mlp(1, width=32, depth=3)
    made = FORMS[name](network, found["sigma_data"], found["sigma_min"]).double()
    linear = [one for one in made.modules() if isinstance(one, torch.nn.Linear)]
    with torch.no_grad():
        for one, (weight, bias) in zip(linear, found["students"][stage]["layers"], strict=True):
            one.weight.copy_(torch.tensor(weight))
            one.bias.copy_(torch.tensor(bias))
    assert layers(made) == found["students"][stage]["layers"]
    return made, found


@pytest.mark.parametrize("name", FORMS)
def test_the_students_are_those_of_their_recipes(name):
    assert kept()[name]["recipe_sha256"] == read_recipe(RECIPES / f"{name}.toml").digest


@pytest.mark.parametrize(
    ("name", "stage", "stride"), [("consistency", 0, 8), ("progressive", 3, 16)]
)
def test_their_errors_are_measured(name, stage, stride):
    student, found = rebuilt(name, stage)
    again = error(student, found["levels"][::stride])
    assert again == pytest.approx(found["students"][stage]["error"], rel=0.02)
    assert again < 0.03  # one DDIM step is off by 0.6


def test_stages_are_trained_one_after_the_other():
    recipe = read_recipe(RECIPES / "progressive.toml")
    short = dataclasses.replace(
        recipe,
        training={**recipe.training, "iterations": 24, "batch": 32},
        teacher={**recipe.teacher, "bank": 64},
    )
    made = trained(short, 6)["students"]
    assert len(made) == 6
    assert made[0]["layers"] != made[5]["layers"]


def test_the_browser_runs_them_as_torch_does():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    import shutil

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    x = torch.tensor([-9.0, -0.3, 0.0, 2.5], dtype=torch.float64)
    consistency, known = rebuilt("consistency", 0)
    progressive, halved = rebuilt("progressive", 2)
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.add_script_tag(content=(ASSETS / "mathematics.js").read_text(encoding="utf-8"))
        ends = tab.evaluate(
            "([k, xs]) => xs.map(x => mathematics.consistency(k, k.students[0].layers, x, 4.0))",
            [known, x.tolist()],
        )
        jumps = tab.evaluate(
            "([k, xs]) => xs.map(x => mathematics.jump(k, k.students[2].layers, x, 4.0, 1.5))",
            [halved, x.tolist()],
        )
        browser.close()
    # The network of torch keeps its frequencies in single precision.
    four, next_one = torch.full_like(x, 4.0), torch.full_like(x, 1.5)
    with torch.no_grad():
        assert consistency(x[:, None], four)[:, 0].tolist() == pytest.approx(ends, abs=1e-6)
        assert progressive(x[:, None], four, next_one)[:, 0].tolist() == pytest.approx(
            jumps, abs=1e-6
        )
