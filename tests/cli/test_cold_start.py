"""Commands about specs start without torch; those that read no spec without sympy."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from solvergen.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"torch", "numpy", "scipy", "matplotlib", "sympy", "solvergen.verify"} & set(sys.modules)
print("loaded:", *sorted(heavy))
"""


def loaded(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("loaded:")[1].split())


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["explain", "--help"]])
def test_light_commands_load_nothing_heavy(arguments):
    assert loaded(*arguments) == set()


@pytest.mark.parametrize("arguments", [["lint", "unipc_3_bh2"], ["list"], ["schema"]])
def test_reading_a_spec_loads_sympy_alone(arguments):
    assert loaded(*arguments) <= {"sympy"}


def test_new_loads_nothing_heavy(tmp_path):
    assert loaded("new", "mine", "--out", str(tmp_path / "mine.toml")) == set()


@pytest.mark.parametrize("command", ["explain", "generate", "same"])
def test_derivation_never_loads_torch(command, tmp_path):
    more = {"explain": [], "generate": ["--out", str(tmp_path)], "same": ["ddim_noise"]}[command]
    assert not loaded(command, "ddim", *more) & {"torch", "numpy", "scipy", "matplotlib"}
