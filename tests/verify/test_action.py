"""The GitHub action's step, run by the shell that it names on inputs that it would be given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = "generated/ddim.py"


def judge(folder, **inputs):
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / ".github/actions/solvergen/action.yml").read_text())
    step = action["runs"]["steps"][1]
    given = {
        "TARGETS": FILE,
        "CLAIM": "",
        "OPTIONS": "",
        "REPORT": str(folder / "report"),
        **inputs,
    }
    assert set(given) <= set(step["env"])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={**os.environ, **given, "PATH": path, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_holds_passes_and_leaves_its_report(tmp_path):
    done = judge(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "::error" not in done.stdout
    assert (tmp_path / "report/report.html").stat().st_size > 10_000
    assert "<testsuite" in (tmp_path / "report/junit.xml").read_text()


def test_what_fails_is_annotated_at_its_file(tmp_path):
    done = judge(tmp_path, CLAIM="2")
    assert done.returncode == 1
    assert f"::error file={FILE}" in done.stdout
