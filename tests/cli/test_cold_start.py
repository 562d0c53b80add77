"""Commands start without torch; those that need no derivation without sympy and the spec language."""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from solvergen import cli

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from solvergen.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"torch", "numpy", "scipy", "matplotlib", "sympy", "rich", "solvergen.verify"}
heavy |= {"solvergen.expr", "solvergen.derive", "solvergen.order"}
heavy &= set(sys.modules)
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["list"],
        ["list", "--falls-short", "--json"],
        ["explain", "--help"],
        ["explain", "bdf_4"],
    ],
)
def test_commands_that_derive_nothing_load_nothing_heavy(arguments):
    assert loaded(*arguments) == set()


def test_lint_loads_no_order_analysis():
    assert not loaded("lint", "unipc_3_bh2") & {"torch", "numpy", "scipy", "solvergen.order"}


def test_new_loads_nothing_heavy(tmp_path):
    assert loaded("new", "mine", "--out", str(tmp_path / "mine.toml")) == set()


@pytest.mark.parametrize("command", ["explain", "generate", "same"])
def test_derivation_never_loads_torch(command, tmp_path):
    more = {"explain": [], "generate": ["--out", str(tmp_path)], "same": ["ddim_noise"]}[command]
    assert not loaded(command, "ddim", *more) & {"torch", "numpy", "scipy", "matplotlib"}


@pytest.mark.parametrize("room", cli.ROOMS)
def test_a_room_declares_the_commands_it_is_named_for(room):
    """The list and a command chosen by name know the same commands; each stands in one room."""
    commands = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(f"solvergen.commands.{room}").add(commands)
    assert tuple(commands.choices) == cli.ROOMS[room]
    assert sum(name in names for names in cli.ROOMS.values() for name in cli.ROOMS[room]) == len(
        cli.ROOMS[room]
    )
