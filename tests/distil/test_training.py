"""The loop: every system trains, resumes to the same bits, refuses what is wrong, and is exported."""

import json
import math
import sys

import pytest
import torch
from solvergen.verify.maps.examine import Settings, examine
from solvergen.verify.maps.problem import problem
from solvergen.verify.maps.target import find

from solvergen.distil import bank as banks
from solvergen.distil import checkpoint
from solvergen.distil.bank import bank
from solvergen.distil.data import world
from solvergen.distil.export import export, loaded
from solvergen.distil.files import FILE, WEIGHTS
from solvergen.distil.hosts_folder import comfyui_folder
from solvergen.distil.recipe import names
from solvergen.distil.seeds import Draws
from solvergen.distil.train import TrainingError, train
from solvergen.errors import SolvergenError

CHAINED = {"reflow_distilled"}


@pytest.mark.parametrize("name", [one for one in names() if one not in CHAINED])
def test_every_recipe_trains(name, small):
    made = train(small(name, iterations=12), every=1)
    assert made.finished and all(math.isfinite(loss) for _, loss in made.losses)
    loss = made.system.loss(Draws(0, 99), 32)
    assert loss.shape == (32,) and loss.isfinite().all()


@pytest.mark.parametrize(
    "name", ["consistency", "progressive", "distribution_matching", "trajectory"]
)
def test_a_resumed_run_goes_on_to_the_same_bits(name, small, tmp_path):
    changes = (
        [("averaging  = 0.999", "averaging = 0.999\ntarget = 0.9")] if name == "trajectory" else []
    )
    recipe = small(name, *changes, iterations=18)
    whole = train(recipe, tmp_path / "whole", every=3)
    train(recipe, tmp_path / "parts", steps=7, every=3)
    rest = train(recipe, tmp_path / "parts", resume=True, every=3)
    for key, value in whole.raw.state_dict().items():
        assert torch.equal(value, rest.raw.state_dict()[key]), key
        assert torch.equal(whole.student.state_dict()[key], rest.student.state_dict()[key]), key
    rows = [json.loads(one) for one in (tmp_path / "parts/scalars.jsonl").read_text().splitlines()]
    assert (rows[-1]["step"], rows[-1]["loss"]) == whole.losses[-1]


def test_a_bank_is_the_emitted_file_s_own_run(small):
    recipe = small("consistency")
    made = bank(recipe, world(recipe))
    assert made.states.shape == (41, 256, 2) and len(made.levels) == 9
    from solvergen.generated import dpmpp_2m

    grid = torch.tensor(made.grid, dtype=torch.float64)
    model = world(recipe).mixture.model()
    ends = dpmpp_2m.sample(model, made.states[0].double(), grid)
    assert float((ends - made.states[-1]).abs().max()) < 1e-5
    # the second time it comes from disk, and a damaged one is made again
    (kept,) = banks.shelf().glob(f"{banks.digest(recipe)}*")
    assert torch.equal(bank(recipe, world(recipe)).states, made.states)
    kept.write_bytes(b"damaged")
    assert torch.equal(bank(recipe, world(recipe)).states, made.states)


@pytest.mark.parametrize(
    "name",
    [
        "consistency",
        "trajectory",
        "scm",
        "mean_flow",
        "progressive",
        "ufogen",
        "distribution_matching",
        "latent_consistency",
    ],
)
def test_the_exported_student_is_the_trained_one(name, small, tmp_path):
    made = train(small(name))
    folder = export(made.system.recipe, made, tmp_path / "out", 0)
    module = loaded(folder)
    again = module.load()
    probe = module.PROBE
    x = torch.tensor(probe["x"])
    levels = [torch.tensor(one) for one in probe["levels"]]
    extra = {key: torch.tensor(probe[key]) for key in module.CONDITIONS}
    with torch.no_grad():
        gap = (again(x, *levels, **extra) - made.student(x, *levels, **extra)).abs().max()
        samples = module.draw(again, 8, **{k: v[:1].repeat(8) for k, v in extra.items()})
    assert float(gap) <= 1e-6 and samples.shape == (8, 2)
    names = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    assert names == {"student.safetensors", "student.toml", "student.py", "report.json"}
    target = find(str(folder))
    assert target.form == module.FORM and target.claims == dict(made.system.recipe.claim)


def test_other_weights_than_those_exported_are_refuted(small, tmp_path):
    made = train(small("direct"))
    folder = export(made.system.recipe, made, tmp_path, 0)
    weights = {key: value.detach().clone() for key, value in made.raw.state_dict().items()}
    checkpoint.write(folder / WEIGHTS, weights, {})
    found = examine(find(str(folder)), problem("coupled"), settings=Settings(samples=0))
    assert "stated values" in [one.name for one in found.refuted]


def test_the_node_of_comfyui_samples(small, tmp_path):
    made = train(small("consistency"))
    folder = export(made.system.recipe, made, tmp_path / "out", 0)
    comfyui_folder(folder, tmp_path / "node")
    from solvergen.distil.data import load_python

    node = load_python(tmp_path / "node" / "__init__.py").SampleStudent()
    (latent,) = node.run(5, 2, 1)
    assert latent["samples"].shape == (5, 2, 1, 1)


def test_a_checkpoint_of_another_recipe_or_a_damaged_one_is_refused(small, tmp_path):
    recipe = small("direct")
    train(recipe, tmp_path, steps=5)
    other = small("direct", ("averaging  = 0.999", "averaging = 0.9"))
    with pytest.raises(SolvergenError, match="of recipe `direct` or of other settings"):
        train(other, tmp_path, resume=True)
    with pytest.raises(SolvergenError, match="of seed 0, not 3"):
        train(recipe, tmp_path, seed=3, resume=True)
    path = tmp_path / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(SolvergenError, match="damaged"):
        train(recipe, tmp_path, resume=True)
    with pytest.raises(SolvergenError, match="no checkpoint"):
        train(recipe, tmp_path / "nowhere", resume=True)


def test_nan_names_the_step_and_keeps_the_last_good_state(small, tmp_path, monkeypatch):
    recipe = small("dsm")
    from solvergen.distil.losses.denoising import Denoising

    honest = Denoising.loss

    def breaks(self, draws, count):
        return honest(self, draws, count) * (float("nan") if draws.step == 13 * 64 else 1.0)

    monkeypatch.setattr(Denoising, "loss", breaks)
    with pytest.raises(TrainingError, match=r"not finite at step 13; the state of step 10 is kept"):
        train(recipe, tmp_path, save_every=5)
    assert checkpoint.facts(tmp_path)["step"] == "10"


def wrong_network():
    return torch.nn.ModuleList([torch.nn.Linear(2, 2)])


class Narrow(torch.nn.Linear):
    def forward(self, x, *times, **_):
        return x[:, :1]


def narrow_network():
    return Narrow(2, 1)


@pytest.mark.parametrize(
    "made, told",
    [("narrow_network", r"returned \(4, 1\) for a state"), ("wrong_network", "cannot be called")],
)
def test_a_network_of_another_shape_is_told_before_training(made, told, small, monkeypatch):
    module = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "stranger", module)
    old = 'kind = "mlp"'
    with pytest.raises(SolvergenError, match=told):
        train(small("dsm", (old, f'kind = "stranger:{made}"')))


@pytest.mark.parametrize(
    "change, told",
    [
        (('"dpmpp_2m"', '"dpmpp_2n"'), "no emitted solver of that name; did you mean"),
        (('"dpmpp_2m"', '"euler_ancestral"'), "draws noise: it has no map to distil"),
        (('"coupled"', '"coupld"'), "mixture `coupld`: unknown"),
    ],
)
def test_a_teacher_or_target_that_is_not_there_is_told(change, told, small):
    with pytest.raises(SolvergenError, match=told):
        train(small("consistency", change))


def test_draws_do_not_depend_on_how_many_processes_there_are():
    whole = Draws(4, 7).normal((8, 2), "noise")
    parts = [Draws(4, 7, rank, 2).normal((4, 2), "noise") for rank in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(Draws(4, 8).normal((8, 2), "noise"), whole)
    assert not torch.equal(Draws(4, 7).normal((8, 2), "data"), whole)


def test_the_exported_file_needs_torch_and_safetensors_alone(small, tmp_path):
    made = train(small("consistency"))
    export(made.system.recipe, made, tmp_path, 0)
    text = (tmp_path / FILE).read_text()
    imports = [one for one in text.splitlines() if one.startswith(("import ", "from "))]
    allowed = (
        "from __future__",
        "import math",
        "from pathlib",
        "from typing",
        "import torch",
        "from torch",
        "from safetensors",
    )
    assert all(one.startswith(allowed) for one in imports), imports
