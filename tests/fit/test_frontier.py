"""The frontier: equal calls, results kept by digest, and a page with everything in it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from solvergen.cli import main
from solvergen.fit.frontier import amed, papers, study
from solvergen.fit.frontier.page import drawn, front, winners
from solvergen.fit.frontier.runs import ends_of, ground, levels_of, measured, sampler, span_bound
from solvergen.fit.problem import ProblemError

NAME = "generic/held-out/1"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_processes_scale_states_and_nothing_else():
    """On the same levels ρ, a rule in λ gives one path in every process."""
    plain, flow = ground(NAME, 6), ground(f"{NAME}@flow", 6)
    levels = levels_of(plain, 6)["karras"]
    module = sampler("dpmpp_2m")
    edm, calls = ends_of(module, plain, levels)
    moved = replace(plain, alpha=flow.alpha)
    walked, _ = ends_of(module, moved, levels)
    assert calls == 6 and torch.allclose(edm, walked, rtol=1e-6, atol=1e-8)
    assert flow.problem.sigma_max == 999 and math.isclose(flow.problem.sigma_min, 0.001)
    with pytest.raises(ProblemError, match="processes are edm, vp and flow"):
        ground(f"{NAME}@fow", 6)


def test_span_bound_is_below_the_error_and_failures_have_reasons():
    where = ground(NAME, 6)
    levels = levels_of(where, 5)["karras"]
    outputs = []
    ends, _ = ends_of(sampler("ipndm3"), where, levels, outputs)
    error = measured(sampler("ipndm3"), where, levels).error
    assert len(outputs) == 5 and 0 <= span_bound(where, ends, outputs) < error
    assert "decreas" in measured(sampler("ipndm3"), where, levels[::-1]).reason


def test_a_study_is_kept_and_goes_on(tmp_path, monkeypatch):
    plan = study.Plan([NAME], [4, 5], ["dpmpp_2m", "heun_edm"], ["karras", "flow"], {}, 6)
    first = study.study(plan, tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1][: len(lines[-1]) // 2]]))
    ran = []
    whole = study.measured
    monkeypatch.setattr(study, "measured", lambda *a: ran.append(a) or whole(*a))
    assert study.study(plan, tmp_path) == first and len(ran) <= 1
    found = {(p["solver"], p["calls"]) for p in first["problems"][0]["points"]}
    assert found == {
        ("dpmpp_2m", 4),
        ("dpmpp_2m", 5),
        ("heun_edm", 4),
    }  # Heun makes two calls a step
    rows = winners(first["problems"][0], first)
    assert [row["calls"] for row in rows] == [4, 5] and rows[0]["pairs"][0]["ratio"] == 1
    assert {t["solver"] for t in rows[1]["tables"]} >= {"gauss_5", "gauss_mix_5"}
    assert "--on generic/held-out/1 --nfe 4 --solvers" in rows[0]["command"]


def test_the_front_falls():
    points = [{"calls": c, "error": e} for c, e in ((4, 1.0), (4, 2.0), (5, 1.5), (6, 0.5))]
    assert [(p["calls"], p["error"]) for p in front(points)] == [(4, 1.0), (6, 0.5)]


def test_the_command_makes_a_page(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 2\n'
    )
    words = f"frontier --on {NAME} --nfe 5 --solvers ddim --grids karras --starts 4 --add mine.toml"
    assert main([*words.split(), "--json", "d.json", "--html", "a.html"]) == 0
    out = capsys.readouterr().out
    assert "  5 calls" in out and "gauss_mix_5" in out
    data = json.loads((tmp_path / "d.json").read_text())
    assert {p["solver"] for p in data["problems"][0]["points"]} == {"ddim", "mine"}
    assert main(["frontier", "--data", "d.json", "d.json", "--html", "c.html"]) == 0
    assert (tmp_path / "c.html").read_text().count("<h2>") == 2
    assert main(["frontier", "--data", "d.json", "--html", "b.html"]) == 0
    a, b = ((tmp_path / name).read_text() for name in ("a.html", "b.html"))
    assert a == b and "mine on karras" in a


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--nfe 1:3", "between 2 and 64"),
        ("--nfe 5,x", "numbers from 2 to 64"),
        ("--solvers euler_ancestral", "not a deterministic solver"),
        ("--grids karas", "there are uniform_lambda"),
        ("--add nothing.txt", "takes specs and Python files"),
        ("--data nothing.json", "not the data of a frontier"),
        ("--jobs 0", "--jobs must be"),
        ("--nfe x", "--nfe must be a number or a range"),
        ("--top 0", "--top must be at least 1"),
        ("--html .", "is a folder"),
    ],
)
def test_bad_usage_is_named(words, message, capsys):
    assert main(["frontier", "--on", NAME, *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_what_gives_no_result_is_named_and_the_rest_goes_on(capsys, tmp_path):
    (tmp_path / "mine.py").write_text("def run(x): return x\n")
    (tmp_path / "odd.py").write_text(
        "def sample(model, x, s, alphas): return model(x[:1], s[:1])\n"
    )
    words = ["frontier", "--on", NAME, "--nfe", "5", "--starts", "4", "--grids", "karras"]
    assert main([*words, "--solvers", "ddim", "heun_edm", "--add", "mine.py", "odd.py"]) == 0
    said = capsys.readouterr().out
    assert "no result of heun_edm: 2 calls a step" in said
    assert "no result of mine: AttributeError" in said and "no result of odd: " in said
    assert "ddim on karras" in said
    assert main([*words, "--solvers", "heun_edm"]) == 0
    assert "no pair has a result; give other --nfe" in capsys.readouterr().out


def test_pictures_are_drawn():
    from io import BytesIO

    from PIL import Image

    grey = Image.open(BytesIO(drawn([np.full((2, 3, 3), -1.0), np.full((2, 3, 3), 0.5)], 1)))
    assert grey.size == (14, 14) and grey.getpixel((3, 3)) == 0 and grey.getpixel((3, 10)) == 191


def test_tables_of_the_papers(capsys):
    where = ground(NAME, 8)
    seven, flat = papers.seven_steps(where), papers.trajectories(where)
    assert [row[0] for row in seven.rows] == list(papers.SEVEN)
    on_lambda = measured(sampler("ddim"), where, levels_of(where, 7)["uniform_lambda"]).error
    assert seven.rows[0][1] == f"{on_lambda:.3g}"
    # a trajectory is nearly straight, and the mean slope of a step is found on it
    assert all(0 < float(row[1]) < 1 and float(row[3]) < 0.05 for row in flat.rows)
    levels = papers.uniform_time(4, 152.0, 0.01)
    times = [(-0.1 + math.sqrt(0.01 + 39.8 * math.log1p(v * v))) / 19.9 for v in levels]
    assert np.allclose(np.diff(times, 2), 0, atol=1e-9) and levels[0] == 152.0
    plain, analytic = (papers._at(where, "ipndm3", 4, first) for first in (False, True))
    assert plain.calls == 4 and analytic.calls == 5 and analytic.error != plain.error
    assert main(["tables", "--on", NAME, "--starts", "4"]) == 2
    assert "at least 8" in capsys.readouterr().err


@pytest.mark.nightly
def test_the_plug_in_is_fitted_on_schedules_and_teachers(monkeypatch):
    where = ground(NAME, 8)
    for name, value in {"FITTED": 16, "HELD": 8, "ITERATIONS": 4, "TEACHERS": ("ipndm3",)}.items():
        monkeypatch.setattr(amed, name, value)
    monkeypatch.setattr(amed, "SCHEDULES", {"karras": "polynomial"})
    plain, fitted = amed.schedule_rows(where, papers.uniform_time)
    assert plain[1:] == tuple(
        papers._shown(papers._at(where, "dpm_solver_2", n)) for n in (4, 6, 8)
    )
    assert all(float(b) < 0.5 * float(a) for a, b in zip(plain[1:], fitted[1:], strict=True))
    teacher, exact = amed.teacher_rows(where)
    on_karras = measured(sampler("ipndm3"), where, levels_of(where, 24)["karras"]).error
    assert teacher[0] == "ipndm3" and teacher[1] == f"{on_karras:.3g}" and exact[2] == fitted[2]
