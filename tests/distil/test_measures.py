"""The claims of the recipes, trained and examined end to end: a minute of processor each."""

import pytest
from solvergen.verify.maps.examine import Settings, examine
from solvergen.verify.maps.problem import problem
from solvergen.verify.maps.target import find

from solvergen.distil.export import export
from solvergen.distil.recipe import names, read_recipe
from solvergen.distil.train import train

pytestmark = pytest.mark.nightly


def claimed():
    return [name for name in names() if read_recipe(name).claim]


@pytest.mark.parametrize("name", claimed())
def test_a_recipe_reaches_what_it_claims(name, tmp_path):
    recipe = read_recipe(name)
    made = train(recipe, seed=recipe.training["seeds"][0])
    target = find(str(export(recipe, made, tmp_path, 0)))
    law = {"law", "shares", "spread"} & set(recipe.claim)
    settings = Settings(samples=131072 if law else 0)
    found = examine(target, problem(target.problem), settings=settings)
    assert not found.error
    wanted = {key.replace("_", " ") for key in recipe.claim}
    broken = {one.name for one in found.refuted}
    assert not {one for one in broken if any(one.startswith(name) for name in wanted)}, broken
