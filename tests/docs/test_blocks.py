"""What the site and the README show without running it at the build: commands, transcripts, specs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from solvergen import cli
from solvergen.distil.recipe import parse_recipe
from solvergen.spec import parse_solver

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?solvergen ([^#\n|;]*)", re.MULTILINE)
INLINE = re.compile(r"`solvergen ([^`\n]+)`")
LONG = re.compile(r"solvergen (fit|train|examine) ")  # minutes; their figures are measured


def fences():
    for page in PAGES:
        for kind, body in FENCE.findall(page.read_text(encoding="utf-8")):
            yield page, kind, body


def command_lines():
    """Every command line on a page, in a block or in a sentence, unless it is cut short by …"""
    for page, _, body in fences():
        yield from ((page, line.strip()) for line in COMMAND.findall(body))
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        yield from ((page, line.strip()) for line in INLINE.findall(text))


def transcripts():
    """(page, command, what the page says that it prints) of blocks which show both."""
    for page, kind, body in fences():
        if "exec" in kind or LONG.search(body):
            continue
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            if command.startswith(("solvergen ", "python -m ")) and shown.strip():
                slow = [pytest.mark.nightly] if "diffusers:" in command else []
                yield pytest.param(command, shown, id=f"{page.stem}: {command}", marks=slow)


def test_every_command_line_is_accepted(capsys):
    refused = []
    for page, line in command_lines():
        words = shlex.split(line)
        if "…" in line or "[" in line or line.startswith("certificate "):
            continue  # cut short, a usage, the name of a format
        try:
            cli.parser(words[0]).parse_args(words)
        except SystemExit:
            said = capsys.readouterr().err
            alone = "arguments are required" in said  # a sentence names the command alone
            if not alone and not re.search(r"invalid choice: '[A-Z]+'", said):  # or a placeholder
                refused.append(f"{page.name}: {line}: {said}")
    assert not refused, "\n".join(refused)


@pytest.mark.parametrize("command, shown", list(transcripts()))
def test_transcripts_are_what_the_commands_print(command, shown, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "transcripts"  # a page's commands share their files
    folder.mkdir(exist_ok=True)
    if "diffusers:" in command:
        pytest.importorskip("diffusers")
    if (
        command.startswith("python -m verify.certificate")
        and not (folder / "unipc_3_bh2.json").exists()
    ):
        run("solvergen certify unipc_3_bh2 --out unipc_3_bh2.json", folder)
    printed, place = " ".join(re.sub("-{3,}", "", run(command, folder)).split()), 0
    for part in shown.split("…\n"):
        words = " ".join(part.split())  # a terminal wraps what a pipe does not
        assert words in printed[place:]
        place = printed.index(words, place) + len(words)


def run(command, folder):
    """What a command prints, in a folder of its own."""
    words = shlex.split(command.removeprefix("python -m "))
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, check=False, text=True,
        encoding="utf-8", timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("page", ["README", "fit", "noise", "students", "ci"])
def test_specs_and_recipes_are_read(page):
    read = 0
    for path, kind, body in fences():
        if path.stem != page or kind != "toml":
            continue
        read += 1
        if page == "students":
            parse_recipe(body, f"{page}.md")
        elif page == "ci":
            assert tomllib.loads(body)["tool"]["solvergen"]["claims"]
        else:
            parse_solver(body)
    assert read


PRELUDE = """
import torch
model = lambda x, sigma: x / (1 + sigma.view(-1, 1) ** 2)
sigmas = torch.linspace(5.0, 0.1, 6, dtype=torch.float64)
x = 5.0 * torch.ones(2, 3, dtype=torch.float64)
"""


# The site's build runs the blocks of every page.
LATER = [pytest.param(page, marks=pytest.mark.nightly) for page in ("noise", "process")]


@pytest.mark.parametrize("page", ["README", *LATER])
def test_python_runs(page, tmp_path):
    blocks = [body for path, kind, body in fences() if path.stem == page and kind == "python"]
    assert blocks
    (tmp_path / "samplers").mkdir()
    shutil.copy(ROOT / "generated" / "sde_dpmpp_2m_exact.py", tmp_path / "samplers")
    script = tmp_path / "shown.py"
    script.write_text(PRELUDE + "\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_other_python_compiles():
    for page, kind, body in fences():
        if kind == "python":
            compile(body, page.name, "exec")
