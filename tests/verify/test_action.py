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


@pytest.fixture
def stranger(tmp_path):
    """A repository that is not ours, with one sampler in a folder of its choice."""
    folder = tmp_path / "project" / "src" / "mine"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "samplers.py").write_text(EULER)
    return tmp_path / "project"


def run(stranger, **inputs):
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / ".github/actions/solvergen/action.yml").read_text())
    step = action["runs"]["steps"][1]
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
            "PATH": PATH,
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


def test_a_sampler_without_a_claim_can_be_required_to_state_one(stranger):
    given = {"TARGETS": "mine.samplers:*", "FOLDER": "src", "REQUIRE_CLAIM": "true"}
    done, _ = run(stranger, **given)
    assert done.returncode == 2 and "claims no order" in done.stdout
    claims = '[tool.solvergen.claims]\n"mine.samplers:sample_euler" = 1\n'
    (stranger / "src" / "pyproject.toml").write_text(claims)
    done, _ = run(stranger, **given)
    assert done.returncode == 0, done.stdout


def test_the_hook_runs_on_files_of_any_folder(stranger):
    yaml = pytest.importorskip("yaml")
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    hook = next(h for h in hooks if h["id"] == "solvergen-audit")
    wanted = re.compile(hook["files"])
    assert wanted.search("src/mine/samplers.py") and wanted.search("generated/ddim.py")
    assert not wanted.search("src/mine/models.py") and not wanted.search("generated/__init__.py")
    done = subprocess.run(
        [*hook["entry"].split(), "src/mine/samplers.py"],
        env={**os.environ, "PATH": PATH},
        cwd=stranger,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1/1/1" in done.stdout
