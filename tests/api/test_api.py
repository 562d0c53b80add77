"""A solver in Python is the solver of the spec file: same value, same messages, same file, same verdict."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import solvergen as sg
from solvergen import gallery
from solvergen.cli import main
from solvergen.spec import parse_solver

TOML = """
name = "mine"
integrand = "data"
[parameters.c2]
default = "1/2"
above = 0
[[stage]]
name = "mid"
at = "c2"
rule = "interpolate"
nodes = ["n"]
[step]
rule = "weights"
weights = { n = "h*phi1 - h*phi2/c2", mid = "h*phi2/c2" }
[claim]
order = 2
"""
TABLES: dict[str, Any] = {
    "parameters": {"c2": {"default": Fraction(1, 2), "above": 0}},
    "stage": [{"name": "mid", "at": "c2", "rule": "interpolate", "nodes": ("n",)}],
    "step": {"rule": "weights", "weights": {"n": "h*phi1 - h*phi2/c2", "mid": "h*phi2/c2"}},
    "claim": {"order": 2},
}


@pytest.fixture
def mine() -> sg.Solver:
    return sg.Solver("mine", "data", **TABLES)


def test_built_in_python_it_is_the_solver_of_the_file(mine: sg.Solver, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TOML, encoding="utf-8")
    read = sg.read(path)
    assert mine.spec == parse_solver(TOML) and mine == read and hash(mine) == hash(read)
    assert mine.program == read.program
    assert mine.order().order.value == 2


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"step": {"rule": "interpolat"}}, "step.rule: `interpolat` is not one of"),
        ({"step": {"rule": "interpolat"}}, "did you mean `interpolate`?"),
        ({"step": {"rule": "taylor", "nodes": ["n"]}}, "step: rule taylor needs `degree`"),
        ({"step": {"rule": "mean-value", "nodes": ["n"], "theta": 0.5}}, "floats are not exact"),
        ({"stepp": {}, "step": {"rule": "interpolate", "nodes": ["n"]}}, "unknown key `stepp`"),
        ({}, "there is no [step]"),
        (
            {"step": {"rule": "weights", "weights": {"n": "h*phi1 + hh"}}},
            "unknown name `hh`; did you mean `h`?\n      | h*phi1 + hh\n      |          ^^",
        ),
        ({"stage": [{"name": "a", "at": "1"}]}, "stage[0]: [[stage]] needs `rule`"),
    ],
)
def test_what_a_file_refuses_is_refused_by_key(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(sg.SpecError) as caught:
        sg.Solver("mine", "data", **tables)
    assert message in str(caught.value)
    assert str(caught.value).startswith("Solver('mine'): ")


def test_weights_that_cannot_exist_are_refused_by_key() -> None:
    made = sg.Solver("mine", "data", step={"rule": "interpolate", "nodes": ["n", "b"]})
    with pytest.raises(sg.SpecError, match=r"Solver\('mine'\): step.nodes: `b` is not evaluated"):
        _ = made.program


def test_a_start_may_be_another_solver() -> None:
    first = sg.Solver("first", "data", step={"rule": "adams-bashforth", "steps": 1})
    step = {"rule": "adams-bashforth", "steps": 2}
    made = sg.Solver("mine", "data", step=step, start={"using": [first]})
    named = sg.Solver("mine", "data", step=step, start={"using": ["ddim"]})
    assert [s.final.terms for s in made.program.start] == [
        s.final.terms for s in named.program.start
    ]


def test_siblings_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(TOML.replace('"mine"', '"own"'), encoding="utf-8")
    path = tmp_path / "with_start.toml"
    head = 'name = "with_start"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 2\n'
    path.write_text(head + '[start]\nusing = ["own"]\n', encoding="utf-8")
    assert sg.read(path).program.start[0].evaluations == 2


def test_it_explains_and_generates_as_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "unipc_2_bh2"]) == 0
    assert capsys.readouterr().out == f"{sg.solver('unipc_2_bh2').explain()}\n"
    found = sg.solver("unipc_2_bh2").generate(tmp_path)
    committed = Path(__file__).parents[2] / "generated" / "unipc_2_bh2.py"
    assert found == committed.read_text(encoding="utf-8")
    assert (tmp_path / "unipc_2_bh2.py").read_text(encoding="utf-8") == found


def test_it_samples_and_is_judged(mine: sg.Solver) -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(2, 3, dtype=torch.float64)
    sigmas = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    end = mine.sample(lambda x, sigma: x / (1 + sigma.reshape(-1, 1) ** 2), x, sigmas)
    exact = x * (1.25 / 5) ** 0.5  # data of unit variance
    assert end.shape == x.shape and (end - exact).abs().max() < 0.05
    verdict = mine.audit()
    assert verdict.status == "pass" and verdict.audited["arbitrary"] == 2
    assert mine.audit(claim=3).status == "fail"


def test_plots_are_axes_that_hold_what_was_computed(mine: sg.Solver) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = mine.plot_error("ddim")
    slow = {line.get_label(): line.get_xydata() for line in axes.lines}["ddim, order 1"]
    assert len(axes.lines) == 2 and slow[-1][0] == 80 and 0.01 < slow[-1][1] < 0.02
    region = sg.solver("rk4_clock").plot_stability()
    path = region.collections[-1].get_paths()[0].vertices
    crossing = min(x for x, y in path if abs(y) < 0.05)
    assert crossing == pytest.approx(-2.785, abs=0.03)  # of the classical method
    assert mine.plot_stability(axes=axes) is axes


def test_a_spec_is_fitted(mine: sg.Solver, tmp_path: Path) -> None:
    for package in ("torch", "scipy", "safetensors", "tomlkit"):
        pytest.importorskip(package)
    out = tmp_path / "mine_3.toml"
    made = sg.solver("learned_ab1").fit("mixtures", 3, out, starts=24, held=16, iterations=3)
    assert made.name == "mine_3" and made.program.levels and out.with_suffix(".py").is_file()
    assert made.order().order.value >= 1
    with pytest.raises(sg.SolvergenError, match="built in Python"):
        mine.fit("mixtures", 3, out)


def test_anybodys_sampler_is_judged() -> None:
    torch = pytest.importorskip("torch")

    def euler(model: Any, x: Any, sigmas: Any, gain: float = 1.0) -> Any:
        for high, low in itertools.pairwise(sigmas):
            slope = (x - model(x, high * x.new_ones(len(x)))) / high
            x = x + gain * (low - high) * slope
        return torch.clone(x)

    verdict = sg.audit(euler, claim=1)
    assert verdict.status == "pass" and not verdict.rates
    measured = sg.audit(euler, claim=1, rates=True)
    assert measured.status == "pass" and measured.rates
    pytest.importorskip("jinja2", reason="verdicts show themselves by templates")
    assert "Recovered weights" in verdict._repr_html_()
    with pytest.raises(sg.SolvergenError, match="nowhere_to_be_found"):
        sg.audit("nowhere_to_be_found:sample")


def test_names_that_do_not_exist_are_suggested() -> None:
    with pytest.raises(sg.SpecError, match="did you mean `dpmpp_2m`"):
        sg.solver("dpmpp_2mm")
    with pytest.raises(AttributeError, match="no attribute 'solvr'"):
        _ = sg.solvr  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["dpmpp_2m", "sde_dpmpp_2m_exact"])
def test_notebooks_show_formula_and_orders(name: str) -> None:
    found = sg.solver(name)
    assert found._repr_latex_().startswith("$\\displaystyle") and "\\varphi" in found._repr_latex_()
    page = found._repr_html_()
    assert found._repr_latex_() in page and "<td>any grid</td>" in page
    assert repr(found.explain()) == str(found.explain())
    assert name in repr(found) and name in repr(found.order())


def test_ipython_shows_programs_reports_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell

    from solvergen.notebook import register

    shell = InteractiveShell.instance()
    try:
        register()
        show = shell.display_formatter.format
        found = sg.solver("dpmpp_2m")
        assert "\\varphi" in show(found.program)[0]["text/latex"]
        assert "<table>" in show(found.order())[0]["text/html"]
        shell.run_cell("import solvergen\nsolvergen.Solver('mine', 'data', step={'rule': 'x'})")
        shown = capsys.readouterr().out
        assert "step.rule: `x` is not one of" in shown and "Traceback" not in shown
        assert "api.py" not in shown
    finally:
        InteractiveShell.clear_instance()


def test_the_readers_frames_do_not_stand_before_a_message(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('name = "a"\nintegrand = "data"\n[step]\nrul = "x"\n', encoding="utf-8")
    for read in (lambda: sg.read(path), lambda: sg.Solver("a", "data", step={"rul": "x"})):
        with pytest.raises(sg.SpecError, match="did you mean `rule`") as caught:
            read()
        assert {Path(str(frame.path)).name for frame in caught.traceback} <= {
            "test_api.py",
            "api.py",
        }


def test_errors_in_notebooks_are_the_message_alone() -> None:
    with pytest.raises(sg.SpecError) as caught:
        sg.Solver("mine", "data", step={"rule": "interpolat"})
    (line,) = caught.value._render_traceback_()
    assert line == f"SpecError: {caught.value}"


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, solvergen as sg\n"
        "assert sg.SpecError and sg.Solver and dir(sg)\n"
        "assert not {'sympy', 'torch', 'numpy', 'solvergen.spec.model'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    assert set(sg.__all__) <= set(dir(sg))
    assert all(getattr(sg, name).__doc__ for name in sg.__all__)
    assert (Path(sg.__file__).parent / "py.typed").is_file()
    assert gallery.is_name("ddim")
