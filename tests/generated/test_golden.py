"""`generated/` is the golden folder: it equals what the gallery emits, byte for byte."""

import ast
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from solvergen import gallery
from solvergen.cli import main
from solvergen.derive import derive
from solvergen.emit.torch_file import torch_file
from solvergen.program import digest
from solvergen.spec import parse_solver

from .shapes import by_shape

GENERATED = Path(__file__).parents[2] / "generated"
FILES = sorted(GENERATED.glob("*.py"))
CORE = [
    *("ddim", "ddim_noise", "heun_edm", "dpm_solver_2", "dpm_solver_3", "dpmpp_2s", "dpmpp_2m"),
    *("dpmpp_2m_exact", "dpmpp_3m_as_published", "dpmpp_3m", "deis_rhoab3", "deis_tab3"),
    *("ipndm4", "unipc_2_bh1", "unipc_2_bh2", "unipc_3_bh1", "unipc_3_bh2", "res_2s", "res_3s"),
    *("rk4_clock", "ab4_lambda", "amed", "pndm"),
]


def test_one_file_for_every_solver():
    assert sorted(path.stem for path in FILES if path.stem != "__init__") == gallery.names()
    assert set(CORE) <= set(gallery.names())


def test_the_first_gallery_is_current(capsys):
    """Everything, the proved order included; `make check` does the same for the whole gallery."""
    assert main(["generate", *CORE[::4], "--out", str(GENERATED), "--check"]) == 0, (
        capsys.readouterr()
    )


def stated(name, text):
    """The theory that a committed file states, as the order report gives it: nothing is derived.

    A leading error that the file leaves out is made up, so that a file which states it is another file.
    """
    tree = ast.parse(text)
    found = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and node.targets[0].id in ("ORDER", "LOCAL_ORDER", "LEADING_ERROR", "WEAK_ORDER")
    }
    if not found:
        return None
    if "WEAK_ORDER" in found:
        return {"weak": found["WEAK_ORDER"]}
    order = found.get("ORDER", found.get("LOCAL_ORDER"))
    made_up = {"uniform": [{"word": "D", "coef": "1"}]}
    entry = catalogue()[name]["entry"]
    return {
        "order": {
            grid: {
                case: dict(zip(("order", "exact"), pair, strict=True)) for case, pair in row.items()
            }
            for grid, row in order.items()
        },
        "leading_error": found.get("LEADING_ERROR", made_up),
        **{key: entry[key] for key in ("holds", "divergence", "ways") if entry.get(key)},
    }


@cache
def catalogue():
    return json.loads((GENERATED / "catalogue.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", by_shape())
def test_every_file_is_what_its_spec_emits(name):
    """All of it, with the order that it states, which the order engine's tests are about.

    A file of every other shape by day: `make check` compares all of them, orders derived anew.
    """
    solver = gallery.load(name)
    program = derive(solver)
    committed = (GENERATED / f"{name}.py").read_text(encoding="utf-8")
    assert torch_file(solver, program, stated(name, committed)) == committed
    assert f'SPEC_SHA256 = "{digest(program)}"' in committed


def test_files_say_no_path_date_or_version():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert str(GENERATED.parent) not in text and "0.1.0" not in text
        assert text.endswith("\n") and not text.endswith("\n\n") and "\t" not in text
        assert max(len(line) for line in text.splitlines() if line[0:1] != "#") <= 100


@pytest.mark.skipif(shutil.which("ruff") is None and not Path(sys.prefix, "bin/ruff").exists(),
                    reason="ruff is not installed")  # fmt: skip
@pytest.mark.parametrize("command", [["format", "--check"], ["check"]])
def test_a_formatter_and_a_linter_leave_them_alone(command):
    ruff = shutil.which("ruff") or str(Path(sys.prefix, "bin/ruff"))
    done = subprocess.run(
        [ruff, *command, "--no-cache", str(GENERATED)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


TIES = """
name = "ties"
integrand = "data"
[step]
rule = "adams-bashforth"
steps = 3
[corrector]
rule = "adams-moulton"
steps = 3
[start]
using = ["dpmpp_2s", "unipc_1_bh1"]
[end]
using = ["ddim_noise", "res_2s", "heun_edm", "unipc_1_bh2", "ddim"]
"""


def test_bytes_do_not_depend_on_hashing(tmp_path):
    """Steps that tie in history, in processes whose text hashes differ."""
    spec = tmp_path / "ties.toml"
    spec.write_text(TIES, encoding="utf-8")
    code = (
        "import sys; from solvergen.loading import load; from solvergen.emit.torch_file import *;"
        "found = load(sys.argv[1]); sys.stdout.write(torch_file(found.solver, found.program))"
    )
    texts = set()
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(spec)],
            capture_output=True,
            check=True,
            cwd=GENERATED.parent,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
        )
        texts.add(done.stdout)
    assert len(texts) == 1
    solver = parse_solver(TIES)
    assert texts == {torch_file(solver, derive(solver)).encode()}
