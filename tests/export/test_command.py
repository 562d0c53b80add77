"""The export command: files that stand alone, errors that say what to do."""

import ast
import subprocess
import sys

import pytest

from solvergen.cli import main
from solvergen.emit.exports.diffusers_family import family_of


def imported(path):
    """Top-level names of the packages that a file imports; relative ones as a dot."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else node.module.split(".")[0])
    return found


def test_diffusers_file_stands_alone(tmp_path, capsys):
    path = tmp_path / "mine.py"
    assert main(["export", "diffusers", "unipc_2_bh2", "--out", str(path)]) == 0
    assert "Unipc2Bh2Scheduler" in capsys.readouterr().out
    known = {
        "__future__",
        "copy",
        "dataclasses",
        "functools",
        "inspect",
        "itertools",
        "math",
        "operator",
        "os",
        "shutil",
        "threading",
        "weakref",
        "collections",
        "typing",
        "torch",
        "diffusers",
        "scipy",
    }
    assert imported(path) <= known
    text = path.read_text(encoding="utf-8")
    assert "# remake   solvergen export diffusers unipc_2_bh2" in text
    code = "import mine; s = mine.Unipc2Bh2Scheduler(); s.set_timesteps(4); print(len(s.sigmas))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split()[-1] == "5"


def test_a_scheduler_names_the_file_it_is_made_from(tmp_path):
    spec, path = tmp_path / "my spec.toml", tmp_path / "made.py"
    spec.write_text(
        'name = "mine"\nintegrand = "data"\n[step]\nrule = "interpolate"\nnodes = ["n"]\n',
        encoding="utf-8",
    )
    assert main(["export", "diffusers", str(spec), "--out", str(path)]) == 0
    remake = "# remake   solvergen export diffusers my spec.toml\n"
    assert remake in path.read_text(encoding="utf-8")


def test_comfyui_folder_stands_alone(tmp_path):
    folder = tmp_path / "nodes"
    assert main(["export", "comfyui", str(folder), "dpmpp_2m", "ddim"]) == 0
    assert {p.name for p in folder.iterdir()} == {
        "__init__.py",
        "nodes.py",
        "inversion.py",
        "dpmpp_2m.py",
        "ddim.py",
    }
    known = {
        "__future__",
        "functools",
        "inspect",
        "itertools",
        "math",
        "collections",
        "types",
        "typing",
    }
    known |= {"warnings"}
    known |= {"torch", "comfy", "."}
    assert set().union(*(imported(p) for p in folder.iterdir())) <= known


def test_a_solver_that_draws_noise_says_so(tmp_path, scheduler):
    path = tmp_path / "noisy.py"
    assert main(["export", "diffusers", "heun_churn", "--out", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert "WEAK_ORDER = {" in text and 'NOISE = {"form": "churn"' in text
    made = scheduler("heun_churn")(solver_parameters={"s_churn": 3.0})
    made.set_timesteps(4)
    assert type(made).__name__ == "HeunChurnScheduler" and len(made.timesteps) == 7


@pytest.mark.parametrize("solvers", [["dpmpp_2m", "dpmpp_2m"], ["dpmpp_2mm"]])
def test_errors_write_nothing(solvers, tmp_path, capsys):
    assert main(["export", "comfyui", str(tmp_path / "nodes"), *solvers]) == 2
    assert solvers[0] in capsys.readouterr().err and not (tmp_path / "nodes").exists()


def test_swapped_and_unknown_arguments_of_comfyui(tmp_path, capsys):
    (tmp_path / "nodes").mkdir()
    assert main(["export", "comfyui", "dpmpp_2m", str(tmp_path / "nodes")]) == 2
    assert "the folder comes first" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", "comfyui", "dpmpp_2m", "--out", "x"])
    with pytest.raises(SystemExit):
        main(["audit", "x.py", "--bogus"])
    told = capsys.readouterr().err
    assert (
        "usage: solvergen export comfyui [-h] DIR SPEC" in told and "solvergen audit [-h]" in told
    )


LATER = [
    pytest.param(n, marks=pytest.mark.nightly) for n in ("pndm", "res_3s", "dpmpp_2m", "er_sde_3")
]


@pytest.mark.parametrize("name", ["unipc_3_bh2", *LATER])
def test_text_is_as_a_formatter_leaves_it(name, tmp_path):
    pytest.importorskip("ruff", reason="the formatter is a development tool")
    main(["export", "diffusers", name, "--out", str(tmp_path / "a.py")])
    others = ["ddim", "heun_churn", "seeds_2", "sa_solver_sde_p2c2_as_shipped_by_diffusers"]
    main(["export", "comfyui", str(tmp_path / "nodes"), name, *others])
    options = ["format", "--check", "--isolated", "--line-length", "100", str(tmp_path)]
    assert subprocess.run([sys.executable, "-m", "ruff", *options], check=False).returncode == 0


def test_a_start_by_runge_kutta_is_skipped_where_a_solver_has_none():
    found = {name: family_of(name) for name in ("pndm", "pndm_rk", "pndm_as_shipped_by_diffusers")}
    assert found["pndm"] == ("PNDM", {"skip_prk_steps": False})
    assert found["pndm_rk"] == ("PNDM", {"skip_prk_steps": False})
    assert found["pndm_as_shipped_by_diffusers"] == ("PNDM", {"skip_prk_steps": True})


def test_rules_that_a_class_does_not_have_tell_it_no_method():
    assert family_of("dpmpp_2m")[1]["solver_order"] == 2
    assert "solver_order" not in family_of("dpmpp_2m_afs")[1]
    assert family_of("dpmpp_3m_as_shipped_by_diffusers")[1]["solver_order"] == 3


def test_a_solver_without_a_corrector_says_so_to_its_class():
    for name, order in (("sa_solver_sde_p2", 0), ("sa_solver_sde_p2c2", 2)):
        family, method = family_of(name)
        assert family == "SASolver" and (method["predictor_order"], method["corrector_order"]) == (
            2,
            order,
        )
