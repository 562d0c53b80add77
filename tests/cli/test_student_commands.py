"""The commands about students: what they print, and what they refuse without a traceback."""

import json

import pytest

from solvergen.cli import main


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shelf"))
    monkeypatch.chdir(tmp_path)


TINY = """name = "tiny"
system = "direct"

[target]
mixture = "gaussian"

[teacher]
bank = 128

[student]
network = { width = 8, depth = 1 }

[training]
iterations = 20
batch = 16
"""


def test_recipes_are_listed(capsys):
    assert main(["recipes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"consistency", "trajectory", "add"} <= {row["name"] for row in rows}


def test_explain_states_limit_and_budget(capsys):
    assert main(["explain", "consistency"]) == 0
    said = capsys.readouterr().out
    assert "E_teacher  0.77% of sd: dpmpp_2m, 40 steps" in said
    assert "cheapest teacher below half of it" in said


def test_a_teacher_worse_than_the_claim_is_refused_by_lint(tmp_path, capsys):
    (tmp_path / "bad.toml").write_text(TINY + "\n[claim]\nendpoint_error = 1e-4\n")
    assert main(["lint", "bad.toml"]) == 2
    said = capsys.readouterr().err
    assert "bad.toml:18:1: the teacher's own error is" in said and "above the claim" in said
    (tmp_path / "good.toml").write_text(TINY)
    assert main(["lint", "good.toml"]) == 0


def test_train_stop_resume_examine_export(tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text(TINY)
    assert main(["train", "tiny.toml", "--out", "out", "--steps", "5"]) == 0
    assert "stopped; go on with: solvergen train tiny.toml" in capsys.readouterr().out
    assert main(["train", "tiny.toml", "--out", "out"]) == 2
    assert "holds a checkpoint; go on with --resume" in capsys.readouterr().err
    assert main(["train", "tiny.toml", "--out", "out", "--resume"]) == 0
    assert main(["examine", "out", "--samples", "2048", "--html", "page.html"]) == 1
    assert "out as endpoint on gaussian: refuted by" in capsys.readouterr().out
    assert 'class="chart' in (tmp_path / "page.html").read_text()
    assert main(["export", "student", "out", "--host", "comfyui"]) == 0
    assert (tmp_path / "out-comfyui" / "__init__.py").is_file()


@pytest.mark.parametrize(
    "words, told",
    [
        (["train", "nothing"], "no recipe of that name"),
        (["train", "consistency", "--steps", "0"], "--steps 0: at least 1"),
        (["examine", "nothing"], "not a target"),
        (["examine", "math:sqrt", "--form", "endpoint"], "say on which problem"),
        (["examine", "math:sqrt", "--form", "endpoint", "--on", "copled"], "no such problem"),
        (["examine", "math:sqrt", "--form", "endpoint", "--on", "none"], "needs --shape"),
        (["export", "student", "nowhere"], "no exported student"),
    ],
)
def test_bad_usage_is_told_in_one_line(words, told, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and told in said and "Traceback" not in said
