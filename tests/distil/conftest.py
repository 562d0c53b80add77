import pytest
import torch

from solvergen.distil.recipe import parse_recipe, read_recipe


@pytest.fixture(autouse=True)
def own_shelf(tmp_path_factory, monkeypatch):
    """Banks and flows of the tests lie in their own folder; one thread makes runs repeatable."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "shelf"))
    torch.set_num_threads(1)


@pytest.fixture
def small():
    """A recipe of the catalogue with few iterations, a small network and a small bank."""

    def make(name, *changes, iterations=20, width=16):
        recipe = read_recipe(name)
        with open(recipe.path, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
        out = []
        for line in lines:
            if line.startswith("iterations = ") and line[13:].strip().isdigit():
                line = f"iterations = {iterations}"
            if line.startswith("batch "):
                line = "batch = 32"
            if line.startswith("network"):
                line = f'network = {{ kind = "mlp", width = {width}, depth = 2 }}'
            if line == "[teacher]" and recipe.teacher.get("bank"):
                line = "[teacher]\nbank = 256"
            out.append(line)
        text = "\n".join(out) + "\n"
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        return parse_recipe(text, f"{name}.toml")

    return make
