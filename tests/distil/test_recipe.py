"""Recipes: those that come along are read; mistakes are reported with their line and a remedy."""

import pytest

from solvergen.distil.keys import SYSTEMS
from solvergen.distil.recipe import names, parse_recipe, read_recipe
from solvergen.errors import SpecError

GOOD = """name = "mine"
title = "Mine"
system = "consistency"

[target]
mixture = "coupled"

[teacher]
solver = "dpmpp_2m"
levels = { n = 8 }
substeps = 5
"""


def told(text):
    with pytest.raises(SpecError) as caught:
        parse_recipe(text, "mine.toml")
    return str(caught.value)


@pytest.mark.parametrize("name", names())
def test_recipes_of_the_catalogue_are_read(name):
    recipe = read_recipe(name)
    assert recipe.name == name and recipe.title and recipe.authors
    assert recipe.source["arxiv"] and recipe.training["seeds"]


def test_every_system_has_a_recipe():
    assert {read_recipe(name).system for name in names()} == set(SYSTEMS)


def test_levels_and_substeps_are_two_numbers():
    recipe = parse_recipe(GOOD)
    assert len(recipe.grid()) == 41 and len(recipe.levels()) == 9
    assert recipe.levels() == recipe.grid()[::5]
    assert recipe.levels()[0] == 80.0 and recipe.levels()[-1] == 0.002


def test_the_digest_is_of_what_training_depends_on():
    first = parse_recipe(GOOD)
    assert parse_recipe(GOOD.replace('"Mine"', '"Yours"')).digest == first.digest
    assert parse_recipe(GOOD + "\n[claim]\nlaw = 0.1\n").digest == first.digest
    assert parse_recipe(GOOD.replace("= 5", "= 4")).digest != first.digest


@pytest.mark.parametrize(
    "change, line, said",
    [
        (("substeps", "substep"), 11, "unknown key `substep` in [teacher]; did you mean"),
        (("consistency", "consistancy"), 3, "unknown system 'consistancy'"),
        (("[teacher]", "[loss]\npower = 1\n[teacher]"), 9, "does not use `power`; it is for"),
        (("n = 8", "n = 8, sigma_min = 90.0"), 10, "0 < sigma_min < sigma_max"),
        (("n = 8", "m = 8"), 10, "unknown key `m`"),
        (('mixture = "coupled"', ""), 5, "give [target] mixture"),
        (("substeps = 5", 'substeps = "5"'), 11, "must be a integer, found '5'"),
        (("[teacher]", "[loss]\nmetric = 'l3'\n[teacher]"), 9, "cannot be 'l3'"),
    ],
)
def test_a_mistake_is_told_with_its_line(change, line, said):
    text = told(GOOD.replace(*change, 1))
    assert f"mine.toml:{line}:" in text and said in text


def test_all_mistakes_are_told_together():
    text = told(GOOD.replace("substeps", "substep").replace("solver", "solwer"))
    assert "`substep`" in text and "`solwer`" in text


def test_guidance_that_is_drawn_must_be_shown():
    text = GOOD.replace('"consistency"', '"latent-consistency"').replace(
        'mixture = "coupled"', 'mixture = "coupled"\nclasses = true'
    )
    assert "guidance is missing" in told(text)
    hidden = text + "guidance = { scale = [1, 4], shown = false }\n"
    assert "not shown to the network" in told(hidden)
    assert parse_recipe(text + "guidance = { scale = [1, 4] }\n").teacher["guidance"]
    assert parse_recipe(text + "guidance = { scale = 2, shown = false }\n").teacher["guidance"]


def test_steps_that_cannot_be_halved_are_refused():
    text = GOOD.replace('"consistency"', '"progressive"') + "\n[loss]\nhalvings = 4\n"
    assert "40 steps cannot be halved 4 times" in told(text)


def test_the_exact_denoiser_of_data_is_not_known():
    assert "exact denoiser of data" in told(GOOD.replace("mixture =", "data ="))
