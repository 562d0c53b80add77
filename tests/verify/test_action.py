"""The action and the pre-commit hook, run as a stranger's repository would, in a folder of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
EULER = """
def sample_euler(model, x, sigmas, strength=1.0, note=""):
    ones = x.new_ones(len(x))
    for a, b in zip(sigmas[:-1], sigmas[1:]):
        x = b / a * x + strength * (1 - b / a) * model(x, a * ones)
    return x
"""


def git(folder, *words):
    author = ("-c", "user.name=a stranger", "-c", "user.email=a@stranger")
    made = subprocess.run(
        ["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return made.stdout


@pytest.fixture
def stranger(tmp_path):
    """A git repository that is not ours, with one sampler in a folder of its choice."""
    folder = tmp_path / "project" / "src" / "mine"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "samplers.py").write_text(EULER)
    git(tmp_path / "project", "init", "--quiet")
    git(tmp_path / "project", "add", ".")
    git(tmp_path / "project", "commit", "--quiet", "--message", "a sampler")
    return tmp_path / "project"


def run(stranger, number=1, path=PATH, **inputs):
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / ".github/actions/solvergen/action.yml").read_text())
    step = action["runs"]["steps"][number]
    names = {
        m: re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", str(v)) for m, v in step["env"].items()
    }
    given = {m: action["inputs"][f[1]].get("default", "") for m, f in names.items() if f}
    assert set(inputs) <= set(given)
    summary = stranger / "summary.txt"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={
            **os.environ,
            **given,
            **inputs,
            "PATH": path,
            "OMP_NUM_THREADS": "1",
            "GITHUB_STEP_SUMMARY": str(summary),
        },
        cwd=stranger,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, summary.read_text() if summary.exists() else ""


def test_what_fails_is_annotated_at_the_line_of_its_step(stranger):
    done, summary = run(
        stranger,
        TARGETS="mine/samplers.py",
        FOLDER="src",
        CLAIM="2",
        OPTIONS="strength=1.0\nnote=two",
    )
    assert done.returncode == 1, done.stderr
    assert "::error file=mine/samplers.py,line=5," in done.stdout
    assert "strength=1.0 note=two" in done.stdout
    assert "| FAIL | 2 | 1/1/1 |" in summary
    report = stranger / "src" / "solvergen-report"
    assert (report / "report.html").stat().st_size > 3_000
    assert "<testsuite" in (report / "junit.xml").read_text()
    assert '"startLine": 5' in (report / "solvergen.sarif").read_text()


@pytest.mark.nightly
def test_a_sampler_without_a_claim_can_be_required_to_state_one(stranger):
    given = {"TARGETS": "mine.samplers:*", "FOLDER": "src", "REQUIRE_CLAIM": "true"}
    done, _ = run(stranger, **given)
    assert done.returncode == 2 and "claims no order" in done.stdout
    claims = '[tool.solvergen.claims]\n"mine.samplers:sample_euler" = 1\n'
    (stranger / "src" / "pyproject.toml").write_text(claims)
    done, _ = run(stranger, **given)
    assert done.returncode == 0, done.stdout


def test_the_action_installs_a_pinned_torch_for_cpus_first(stranger, tmp_path):
    """With a `python` that writes down what it is asked, in place of one that downloads it."""
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "python"
    fake.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n')
    fake.chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{PATH}"
    done, _ = run(stranger, number=0, path=path, PACKAGE="solvergen[verify] == 1.0")
    assert done.returncode == 0, done.stderr
    torch, package = (tmp_path / "asked").read_text().splitlines()
    assert torch.startswith("-m pip install --quiet torch==") and torch.endswith("/whl/cpu")
    assert package == "-m pip install --quiet solvergen[verify] == 1.0"
    done, _ = run(stranger, number=0, path=path, TORCH="")
    assert len((tmp_path / "asked").read_text().splitlines()) == 3


def hooked(stranger):
    """As pre-commit runs the hook: on the staged Python files that its pattern names."""
    yaml = pytest.importorskip("yaml")
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    hook = next(h for h in hooks if h["id"] == "solvergen-audit")
    staged = git(stranger, "diff", "--cached", "--name-only").split()
    files = [f for f in staged if re.search(hook["files"], f) and f.endswith(".py")]
    done = subprocess.run(
        [*hook["entry"].split(), *files],
        env={**os.environ, "PATH": PATH},
        cwd=stranger,
        capture_output=True,
        text=True,
        check=False,
    )
    return files, done


def test_the_hook_judges_what_is_staged_in_any_folder(stranger):
    (stranger / "src" / "mine" / "models.py").write_text("raise SystemExit\n")
    (stranger / "generated").mkdir()
    (stranger / "generated" / "__init__.py").write_text("raise SystemExit\n")
    (stranger / "src" / "mine" / "samplers.py").write_text(EULER.replace("1 - b / a", "b / a"))
    git(stranger, "add", ".")
    claims = '[tool.solvergen.claims]\n"src/mine/samplers.py:sample_euler" = 1\n'
    (stranger / "pyproject.toml").write_text(claims)
    files, done = hooked(stranger)
    assert files == ["src/mine/samplers.py"]
    assert done.returncode == 1 and "0/0/0" in done.stdout, done.stdout + done.stderr
    (stranger / "src" / "mine" / "samplers.py").write_text(EULER + "\n")
    git(stranger, "add", ".")
    files, done = hooked(stranger)
    assert done.returncode == 0 and "1/1/1" in done.stdout, done.stdout + done.stderr
