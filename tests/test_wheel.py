"""The wheel holds the generator, the emitted files and the judge under one name, and works alone."""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = [name for name in ("hatchling", "build", "pip") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(NEEDED), reason=f"{', '.join(NEEDED)} not installed; a wheel cannot be built offline"
)


def run(*command, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(wheel, folder where it is installed without its dependencies)."""
    folder = tmp_path_factory.mktemp("wheel")
    out, target = folder / "dist", folder / "site"
    arguments = ["--wheel", "--no-isolation", "--skip-dependency-check", "--outdir", str(out)]
    run("-m", "build", *arguments, str(ROOT), cwd=folder)
    (wheel,) = out.glob("*.whl")
    quiet = ["--no-deps", "--no-index", "--disable-pip-version-check", "-q"]
    run("-m", "pip", "install", *quiet, "--target", str(target), str(wheel), cwd=folder)
    return wheel, target


def test_one_name_in_site_packages(installed):
    wheel, _ = installed
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"solvergen"}
    for path in ("generated/dpmpp_2m.py", "verify/__init__.py", "catalog/dpmpp_2m.toml"):
        assert f"solvergen/{path}" in names
    assert not any("test" in name.split("/")[-1] and name.endswith(".toml") for name in names)


CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import solvergen, solvergen.generated.dpmpp_2m as emitted, solvergen.verify as judge
for module in (solvergen, emitted, judge):
    assert module.__file__.startswith(sys.argv[1]), module.__file__
import torch
sigmas = torch.tensor([3.0, 1.0, 0.3, 0.0], dtype=torch.float64)
print(emitted.sample(lambda x, s: 0 * x + 0.5, torch.ones(2, 2, dtype=torch.float64), sigmas))
"""


def test_imports_from_an_empty_folder(installed, tmp_path):
    _, target = installed
    shown = run("-c", CODE, str(target), cwd=tmp_path)
    assert "0.5000" in shown


def test_the_command_line_works_from_the_wheel(installed, tmp_path):
    _, target = installed
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from solvergen.cli import main; main()"
    assert "unipc_3_bh2: ok;" in run("-c", code, str(target), "lint", "unipc_3_bh2", cwd=tmp_path)
    run("-c", code, str(target), "generate", "dpmpp_2m", "--out", "made", cwd=tmp_path)
    made, committed = tmp_path / "made" / "dpmpp_2m.py", ROOT / "generated" / "dpmpp_2m.py"
    assert made.read_bytes() == committed.read_bytes()
