"""The scripts of tests/benchmarks run: their tables, and what they say where something is missing."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def ran(script, *args):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *args],
        capture_output=True,
        text=True,
        check=False,
    )


def here(script, *args, using):
    """Exit status and output of a script in this process, which has torch loaded."""
    patch, captured = using
    patch.setattr(sys, "argv", [script, *args])
    patch.syspath_prepend(str(BENCHMARKS))
    try:
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code
    return code, captured.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_the_table_of_a_device_says_what_is_missing(tmp_path, monkeypatch, capsys):
    code, out = here("device.py", "--out", str(tmp_path / "table.md"), using=(monkeypatch, capsys))
    assert code == 1 and "no GPU that torch can use" in out
    assert "--device cpu" in out and not (tmp_path / "table.md").exists()


@pytest.mark.nightly
def test_the_table_of_a_device_is_whole_and_keeps_to_its_budget(tmp_path):
    out = tmp_path / "table.md"
    done = ran("device.py", "--device", "cpu", "--quick", "--budget", "0", "--out", str(out))
    assert done.returncode == 0, done.stderr
    lines = out.read_text(encoding="utf-8").splitlines()
    assert "CPU, one core" in lines[0]
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| ")]
    assert all(len(row) == len(rows[0]) for row in rows)
    assert {"eager loop", "exported scheduler", "diffusers"} <= {row[2].strip() for row in rows[1:]}
    assert "left out, since the budget of 0 s was spent" in lines[-1]


def test_plans_are_measured(monkeypatch, capsys):
    code, out = here("plans.py", "--over", "30", "ddim", "dpmpp_2m", using=(monkeypatch, capsys))
    assert not code and "| dpmpp_2m | vp | 1000 |" in out


@pytest.mark.nightly
def test_every_plan_of_1000_steps_takes_under_a_tenth_of_a_second(monkeypatch, capsys):
    code, out = here("plans.py", "--relative", using=(monkeypatch, capsys))
    assert not code, out
    assert int(re.search(r"(\d+) solvers", out)[1]) > 390
