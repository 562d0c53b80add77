"""A calibrated file is like any other: explained, judged, compared, checked and exported."""

import importlib.util
import json
import re
import sys

import pytest
import torch
from solvergen.verify.judge import judge
from solvergen.verify.targets import find

from solvergen import api, gallery
from solvergen.cli import main
from solvergen.errors import SpecError
from solvergen.fit.exported import comfyui_text, diffusers_text
from solvergen.fit.file import file_text
from solvergen.fit.fitted import faults, is_fitted, read_fitted
from solvergen.fit.record import RecordError
from solvergen.fit.shipped import names, shipped
from solvergen.fit.table import Table, adams


@pytest.fixture()
def made(tmp_path):
    """A file of four calls within the levels of Stable Diffusion's schedule, with a mean."""
    rule = adams([11.0, 3.0, 1.0, 0.2], 0.03, 2)
    shares = (*rule.shares[:-1], tuple(0.97 * share for share in rule.shares[-1]))
    mean = torch.tensor([[[0.25]], [[-0.5]]])
    text = file_text(
        "tuned",
        "tuned: 4 model calls.",
        Table(rule.levels, shares),
        mean,
        0.9,
        (14.6146, 0.0292),
        remake="solvergen calibrate gauss --on mine:Model --calls 4 --last-row",
        fitted="on mine:Model",
    )
    path = tmp_path / "tuned.py"
    path.write_text(text)
    return path


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as imported: classes of diffusers look for their file
    spec.loader.exec_module(module)
    return module


def test_it_is_read_without_being_run(made, tmp_path):
    fitted = read_fitted(made)
    assert is_fitted(str(made)) and fitted.name == "tuned" and fitted.std == 0.9
    assert fitted.mean == (((0.25,),), ((-0.5,),)) and faults(fitted) == []
    made.write_text(made.read_text() + "\nraise SystemExit('it was run')\n")
    assert faults(read_fitted(made)) == [
        "line last is not what this version writes from its numbers"
    ]
    made.write_text(made.read_text().replace("STD = 0.9", "STD = float('1')"))
    with pytest.raises(RecordError, match="make it anew"):
        read_fitted(made)


def test_commands_take_it(made, capsys, monkeypatch):
    monkeypatch.chdir(made.parent)
    assert main(["explain", "tuned.py"]) == 0
    told = capsys.readouterr().out
    assert "exact on the Gaussian" in told and "remake with: solvergen calibrate gauss" in told
    assert main(["explain", "tuned.py", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["order"] is None
    assert main(["same", "tuned.py", "tuned.py"]) == 0
    other = made.with_name("other.py")
    other.write_text(made.read_text().replace("STD = 0.9", "STD = 0.8"))
    assert main(["same", "tuned.py", "other.py"]) == 1
    assert "the deviation" in capsys.readouterr().out
    assert main(["same", "tuned.py", "dpmpp_2m"]) == 2
    assert main(["generate", "--check", "tuned.py"]) == 0
    other.write_text(made.read_text().replace("DEFECTS = (", "DEFECTS = (9,"))
    assert main(["generate", "--check", "other.py"]) == 1
    assert "line 2" in capsys.readouterr().err
    for words in (
        "generate tuned.py",
        "lint tuned.py",
        "cure tuned.py",
        "explain tuned.py --latex",
    ):
        assert main(words.split()) == 2
        assert "calibrated file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("was", "becomes", "finding"),
    [
        ("mean * (1 - a[i] - sum(terms))", "mean * (1 - a[i])", "not exact on the Gaussian"),
        (
            "outputs.append(denoised)",
            "outputs.append(model(x, sigma * ones))",
            "makes 8 model calls",
        ),
        ("sigma = std * LEVELS[i]\n", "sigma = 1.01 * std * LEVELS[i]\n", "at other levels"),
        ("DEFECTS = (", "DEFECTS = (0.0, 0.0, 0.0, 0.5)\nIGNORED = (", "constant output is missed"),
        ("outputs.append(denoised)", "outputs.append(denoised.mean(0) + 0 * x)", "of its batch"),
        ("outputs.append(denoised)", "outputs.append(denoised.tanh())", "not linear"),
    ],
)
def test_the_judge_finds_what_does_not_hold(made, was, becomes, finding):
    (target,) = find(str(made))
    assert judge(target).status == "pass"
    assert judge(target, claim=2).status == "fail"
    text = made.read_text()
    assert text.count(was) == 1
    made.write_text(text.replace(was, becomes))
    (target,) = find(str(made))
    found = judge(target)
    assert found.status == "fail" and any(finding in text for text in found.findings)


def test_the_scheduler_walks_the_same_path(made, tmp_path):
    path = tmp_path / "tuned_scheduler.py"
    path.write_text(diffusers_text(read_fitted(made)))
    module = module_of(path)
    tuned = module_of(made)

    def denoised(x, sigma):
        return 0.3 + torch.tanh(x / (1 + sigma**2)) / (1 + sigma)

    noise = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    wanted = tuned.sample(lambda x, s: denoised(x, s.view(-1, 1, 1, 1)), 14.6146 * noise)
    for kind in ("epsilon", "v_prediction", "sample"):
        scheduler = module.TunedScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind
        )
        scheduler.set_timesteps(4)
        x = noise * scheduler.init_noise_sigma
        for t, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
            sigma, alpha = float(sigma), float(1 / (1 + sigma.double() ** 2) ** 0.5)
            state = scheduler.scale_model_input(x, t)
            data = denoised(state / alpha, sigma)
            epsilon = (state / alpha - data) / sigma
            out = {
                "epsilon": epsilon,
                "v_prediction": alpha * epsilon - alpha * sigma * data,
                "sample": data,
            }[kind]
            x = scheduler.step(out, t, x).prev_sample
        assert torch.allclose(x, wanted, atol=1e-5)
    with pytest.raises(ValueError, match="makes 4 calls"):
        scheduler.set_timesteps(7)
    with pytest.raises(ValueError, match="has made its 4 calls"):
        scheduler.step(x, 0, x)
    with pytest.raises(ValueError, match="run its function sample"):
        module.TunedScheduler(prediction_type="flow_prediction")
    with pytest.raises(ValueError, match="calibrate a solver on this model"):
        module.TunedScheduler(beta_end=0.001)
    scheduler.save_pretrained(tmp_path / "saved")
    again = module.TunedScheduler.from_pretrained(tmp_path / "saved")
    assert again.config.prediction_type == "sample" and (tmp_path / "saved").is_dir()


def test_a_node_takes_the_ends_of_a_schedule(made, tmp_path):
    path = tmp_path / "node.py"
    path.write_text(comfyui_text(read_fitted(made)))
    x = 14.6146 * torch.randn(2, 2, 3, 3)
    levels = torch.tensor([14.6146, 5.0, 1.0, 0.0292])
    plain, noded = (
        module.sample(lambda x, s: torch.tanh(x), x, sigmas)
        for module, sigmas in ((module_of(made), levels[[0, -1]]), (module_of(path), levels))
    )
    assert torch.equal(plain, noded)


def test_tables_of_the_family_are_files_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in names():
        assert main(["generate", name, "--out", "."]) == 0
        assert read_fitted(f"{name}.py").table == shipped(name).table
        assert faults(read_fitted(f"{name}.py")) == []
    module = module_of(tmp_path / "gauss_8.py")
    mean, x = torch.tensor([0.5, -1.0, 2.0]), 80 * torch.randn(4, 3)
    calls = []

    def gaussian(x, sigma):
        calls.append(float(sigma[0]))
        return mean + 0.49 / (0.49 + sigma[:, None] ** 2) * (x - mean)

    ends = module.sample(gaussian, x, (80.0, 0.002), mean=mean, std=0.7)
    exact = mean + (x - mean) * ((0.49 + 0.002**2) / (0.49 + 80**2)) ** 0.5
    assert torch.allclose(ends, exact, atol=1e-4) and len(calls) == 8
    assert main(["generate", "--check", "gauss_8", "--out", "."]) == 0
    assert main(["generate", "--check", "gauss_8", "--out", "elsewhere"]) != 0
    capsys.readouterr()
    assert main(["generate", "gauss_8", "ddim"]) == 2
    assert "by two commands" in capsys.readouterr().err
    assert main(["generate", "gauss_40"]) == 2
    assert "no fitted table `gauss_40`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [
        "explain gauss_8",
        "explain --json gauss_8",
        "lint gauss_8",
        "same ddim gauss_8",
        "certify gauss_8",
        "compare gauss_8",
        "export diffusers gauss_8",
        "audit gauss_8",
        "verify gauss_8",
    ],
)
def test_the_name_of_a_table_is_told_from_one_that_is_unknown(asked, capsys):
    assert main(asked.split()) == 2
    told = capsys.readouterr().err
    assert "fitted table" in told and "`solvergen generate gauss_8" in told
    assert main([word.replace("gauss_8", "gauss_80") for word in asked.split()]) == 2
    told = capsys.readouterr().err
    assert "is a fitted table" not in told and "gauss_80: no" in told
    with pytest.raises(SpecError, match="is a fitted table"):
        api.solver("gauss_8")
    with pytest.raises(KeyError, match="is a fitted table"):
        gallery.load("gauss_8")


def test_what_is_said_of_a_table_holds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in re.findall("`solvergen (.*?)`", gallery.unknown("gauss_4")):
        assert main(line.split()) == 0
    for command in ("explain", "generate --check", "same samplers/gauss_4.py"):
        assert command.split()[0] in gallery.TAKE_TABLES
        assert main([*command.split(), "samplers/gauss_4.py"]) == 0
    assert "gauss_4" in capsys.readouterr().out
