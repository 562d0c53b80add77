"""Two processes give the loss curve of one; a killed run resumes. Minutes on a busy machine."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.nightly
RECIPE = """name = "pair"
system = "consistency"

[target]
mixture = "coupled"

[teacher]
bank = 512

[training]
iterations = 50
batch = 64
"""
TRAIN = ["-m", "solvergen", "train", "pair.toml", "--log-every", "1", "--save-every", "5"]


def curve(folder):
    lines = (folder / "scalars.jsonl").read_text().splitlines()
    return [json.loads(one)["loss"] for one in lines]


def test_two_processes_give_the_loss_curve_of_one(tmp_path):
    (tmp_path / "pair.toml").write_text(RECIPE)
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launch += ["--main_process_port", "29571"]
    runs = {
        "one": [sys.executable, *TRAIN, "--out", "one"],
        "two": [sys.executable, *launch, *TRAIN, "--accelerate", "--out", "two"],
    }
    for command in runs.values():
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=900
        )
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert len(one) == len(two) == 50
    assert max(abs(a - b) / a for a, b in zip(one, two, strict=True)) < 1e-6


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on_to_the_same_end(how, tmp_path):
    text = RECIPE.replace("iterations = 50", "iterations = 400")
    (tmp_path / "pair.toml").write_text(text)
    whole = [sys.executable, *TRAIN, "--out", "whole"]
    subprocess.run(whole, cwd=tmp_path, check=True, capture_output=True, timeout=900)
    parts = [sys.executable, *TRAIN, "--out", "parts"]
    running = subprocess.Popen(parts, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    path = tmp_path / "parts/scalars.jsonl"
    while not path.is_file() or len(path.read_text().splitlines()) < 60:
        time.sleep(0.05)
        assert running.poll() is None
    running.send_signal(how)
    said = running.communicate()[0]
    if how == signal.SIGINT:
        assert running.returncode == 0 and "--resume" in said
    subprocess.run([*parts, "--resume"], cwd=tmp_path, check=True, capture_output=True, timeout=900)
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in ("parts", "whole"))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
