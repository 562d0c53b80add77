"""Every command on the command line: what it prints, how it exits, that it never ends in a traceback."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from solvergen import gallery
from solvergen.cli import main
from solvergen.spec import parse_solver
from solvergen.spec.text.starter import FAMILIES

ROOT = Path(__file__).parents[2]
GOOD = 'name = "mine"\nintegrand = "data"\n[step]\nrule = "interpolate"\nnodes = ["n", "n-1"]\n'
BAD = GOOD.replace("nodes", "node")


def run(*arguments, check=None, **environment):
    """A command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "solvergen", *arguments],
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        errors="replace",
        cwd=ROOT,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, done.stderr
    return done


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_new_writes_a_spec_that_lints(family, tmp_path, capsys):
    path = tmp_path / "mine.toml"
    assert main(["new", "mine", "--from", family, "--out", str(path)]) == 0
    assert "solvergen lint" in capsys.readouterr().out
    assert main(["lint", str(path)]) == 0
    assert main(["new", "mine", "--from", family, "--out", str(path)]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["3m", "a-b", "", "a b", "../x", "é", "class", "torch"])
def test_new_refuses_names_that_cannot_be_files(name, capsys):
    assert main(["new", name]) == 2
    assert "cannot name a solver" in capsys.readouterr().err


def test_lint_names_entries_of_let_that_nothing_uses(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nintegrand = "data"\n[let]\na = "h/2"\nb = "a*phi1"\nc = "h*phi1"\n"f(x)" = "x"\n'
        '[step]\nrule = "weights"\nweights = { n = "c" }\n'
    )
    assert main(["lint", str(path)]) == 0
    said = capsys.readouterr().err
    unused = ((4, "a"), (5, "b"), (7, "f(x)"))
    wanted = [f"mine.toml:{line}:1: `{name}` of [let] is used by no rule" for line, name in unused]
    assert all(one in said for one in wanted) and "`c`" not in said


def test_lint_reports_every_bad_spec(tmp_path, spec, capsys):
    bad = tmp_path / "bad.toml"
    bad.write_text(BAD, encoding="utf-8")
    assert main(["lint", str(bad), str(spec), str(bad), "ddim"]) == 2
    out, err = capsys.readouterr()
    assert err.count(f"{bad}:5:1: unknown key `node`") == 2 and "did you mean `nodes`" in err
    assert f"{spec}: ok; data, 1 evaluation per step, history 1" in out and "ddim: ok" in out


def test_list_is_the_gallery(capsys):
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == gallery.names()
    assert {"title", "integrand", "evaluations_per_step", "history", "digest"} <= set(rows[0])
    assert main(["list", "--integrand", "noise", "--evaluations", "2"]) == 0
    shown = capsys.readouterr().out
    assert "heun_edm" in shown and "dpmpp_2m" not in shown and "pndm_rk" not in shown


def test_explain_in_every_form(capsys):
    assert main(["explain", "dpmpp_2m"]) == 0
    text = capsys.readouterr().out
    assert "DPM-Solver++(2M)" in text and "xₙ₊₁ = σₙ₊₁/σₙ xₙ" in text and "φ₁(−h)" in text
    assert main(["explain", "dpmpp_2m", "--latex"]) == 0
    latex = capsys.readouterr().out
    assert r"\varphi_{1}" in latex and latex.count("{") == latex.count("}")
    assert main(["explain", "dpmpp_2m", "--markdown"]) == 0
    assert "$$" in capsys.readouterr().out
    assert main(["explain", "dpmpp_2m", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["program"]["integrand"] == "data"


def test_same_exits_with_its_answer(capsys):
    assert main(["same", "ddim", "ddim_noise"]) == 0
    assert "are the same method" in capsys.readouterr().out
    assert main(["same", "dpmpp_2m", "dpmpp_2m_exact", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["same"] is False and found["difference"]["step"] == 2


def test_schema_and_reference_page(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "solvergen spec"
    assert main(["schema", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("# The spec language")


def test_generate_writes_checks_and_shows(tmp_path, spec, capsys):
    out = tmp_path / "out"
    assert main(["generate", str(spec), "--out", str(out)]) == 0
    assert f"wrote {out / 'mine.py'}" in capsys.readouterr().out
    first = (out / "mine.py").read_bytes()
    assert main(["generate", str(spec), "--out", str(out)]) == 0
    assert "up to date" in capsys.readouterr().out and (out / "mine.py").read_bytes() == first
    assert main(["generate", str(spec), "--out", str(out), "--check"]) == 0


def copies(folder, spec, count):
    text = spec.read_text(encoding="utf-8")
    paths = [folder / f"mine{i}.toml" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_text(text.replace('"mine"', f'"mine{i}"'), encoding="utf-8")
    return paths


def test_generate_in_several_processes(tmp_path, spec, capsys):
    paths = [str(path) for path in copies(tmp_path, spec, 17)]
    for jobs in ("1", "2"):
        assert main(["generate", *paths, "--out", str(tmp_path / jobs), "--jobs", jobs]) == 0
    made = {path.name: path.read_bytes() for path in (tmp_path / "1").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "2").iterdir()}
    assert len(made) == 17


def test_an_error_in_another_process_is_told_and_nothing_is_written(tmp_path, spec, capsys):
    paths = copies(tmp_path, spec, 17)
    paths[9].write_text("name = 3\n", encoding="utf-8")
    out = tmp_path / "out"
    argv = ["generate", *map(str, paths), "--out", str(out), "--jobs", "2"]
    assert main(argv) == 2
    assert "mine9.toml:1:1" in capsys.readouterr().err and not out.exists()


def test_check_fails_on_a_stale_file_with_diff_and_command(tmp_path, spec, capsys):
    out = tmp_path / "out"
    main(["generate", str(spec), "--out", str(out)])
    path = out / "mine.py"
    path.write_text(path.read_text(encoding="utf-8").replace("HISTORY = 1", "HISTORY = 7"))
    capsys.readouterr()
    assert main(["generate", str(spec), "--out", str(out), "--check"]) == 1
    err = capsys.readouterr().err
    assert "stale" in err and "-HISTORY = 7" in err and "+HISTORY = 1" in err
    assert f"remake with: solvergen generate {spec} --out {out}" in err
    assert "HISTORY = 7" in path.read_text(encoding="utf-8")
    assert main(["generate", str(spec), "--out", str(out), "--diff"]) == 0
    assert "+HISTORY = 1" in capsys.readouterr().out
    assert "HISTORY = 1" in path.read_text(encoding="utf-8")


def test_check_fails_on_missing_and_extra_files(tmp_path, spec, capsys, monkeypatch):
    out = tmp_path / "out"
    assert main(["generate", str(spec), "--out", str(out), "--check"]) == 2
    assert "there is no folder" in capsys.readouterr().err
    out.mkdir()
    assert main(["generate", str(spec), "--out", str(out), "--check"]) == 1
    assert "missing" in capsys.readouterr().err and not list(out.iterdir())
    monkeypatch.setattr(gallery, "names", lambda: ["ddim"])
    assert main(["generate", "--out", str(out)]) == 0
    (out / "stranger.py").write_text("", encoding="utf-8")
    (out / "__init__.py").write_text("", encoding="utf-8")
    capsys.readouterr()
    assert main(["generate", "--out", str(out), "--check"]) == 1
    err = capsys.readouterr().err
    assert (
        "stranger.py: has no spec (extra file)" in err
        and "__init__" not in err
        and "ddim" not in err
    )


def test_two_specs_of_one_name_are_refused(tmp_path, spec, capsys):
    other = tmp_path / "other.toml"
    other.write_text(GOOD, encoding="utf-8")
    assert main(["generate", str(spec), str(other), "--out", str(tmp_path / "out")]) == 2
    assert "already named `mine`" in capsys.readouterr().err


BAD_FILES = {
    "empty": b"",
    "binary": bytes(range(256)) * 20,
    "utf-16": GOOD.encode("utf-16"),
    "syntax": b"name = ",
    "typo": BAD.encode(),
    "attribute": GOOD.encode() + b'[let]\na = "().__class__.__bases__"\n',
    "power": GOOD.encode() + b'[let]\na = "9**9**9"\n',
    "brackets": GOOD.encode() + b'[let]\na = "' + b"(" * 10_000 + b'"\n',
    "deep": b"a = " + b"[" * 10_000,
    "ten megabytes": b"#" * 10_000_000,
    "spaces": b"[" + b" " * 15_000,
    "abbreviations": GOOD.encode()
    + b'[let]\na0 = "exp(h)"\n'
    + b"".join(b'a%dx = "a%s*exp(a%s)"\n' % (i, p, p) for i, p in
               enumerate([b"0", *(b"%dx" % k for k in range(60))])),
    "no solver": GOOD.encode() + b'[start]\nusing = ["nobody"]\n',
}  # fmt: skip


def test_bad_specs_exit_with_2_and_never_with_a_traceback(tmp_path):
    """All of them through one process a command: none may hang, raise or write."""
    paths = []
    for label, data in BAD_FILES.items():
        path = tmp_path / f"{label.replace(' ', '_')}.toml"
        path.write_bytes(data)
        paths.append(str(path))
    done = run("lint", *paths, check=2)
    assert done.stderr.count("error: ") == len(paths) and done.stdout == ""
    for path in paths:
        assert f"error: {path}:" in done.stderr
        for command in (["explain", path], ["generate", path, "--out", str(tmp_path / "out")]):
            assert main(command) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["lint", "nothing.toml"],
        ["lint", "dpmp_2m"],
        ["lint", "."],
        ["lint", "/dev/null"],
        ["lint", "a" * 5000],
        ["lint", "a" * 5000 + ".toml"],
        ["explain", ""],
        ["same", "ddim", "nobody"],
        ["generate", "nobody"],
        ["generate", "ddim", "--out", "/dev/null/x"],
        ["generate", "ddim", "--out", "README.md/x"],
        ["list", "--evaluations", "two"],
        ["new"],
        ["new", "x", "--from", "nothing"],
        ["nonsense"],
        [],
    ],
)
def test_bad_usage_exits_with_2(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as stopped:  # argparse's own refusals
        code = stopped.code
    err = capsys.readouterr().err
    assert code == 2 and err.strip() and "Traceback" not in err


def test_a_misspelt_name_is_suggested(capsys):
    assert main(["lint", "dpmp_2m"]) == 2
    assert "did you mean `dpmpp_2m`" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_terminals_of_any_encoding_get_the_formula(encoding):
    for arguments in (["explain", "dpmpp_2m"], ["explain", "pndm", "--markdown"]):
        assert run(*arguments, check=0, PYTHONIOENCODING=encoding, PYTHONUTF8="0").stdout


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        f"'{sys.executable}' -m solvergen schema | head -c 10",
        shell=True,
        capture_output=True,
        check=False,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0 and done.stderr == ""


def test_version_and_help(capsys):
    for flag in ("--version", "--help"):
        with pytest.raises(SystemExit) as stopped:
            main([flag])
        assert stopped.value.code == 0 and "solvergen" in capsys.readouterr().out


def test_starters_name_their_solver(tmp_path):
    path = tmp_path / "deep" / "mine.toml"
    assert main(["new", "mine", "--out", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert tomllib.loads(text)["name"] == "mine" == parse_solver(text).name
