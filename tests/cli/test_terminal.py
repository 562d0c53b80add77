"""At a terminal: colour, tables that fit, questions. In a pipe: plain lines. In a shell: completion."""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from solvergen.cli import main
from solvergen.commands import terminal

ROOT = Path(__file__).parents[2]
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def at_a_terminal(*arguments: str, **environment: str) -> str:
    """What a command writes to a terminal of 80 columns, both streams together."""
    ours, theirs = pty.openpty()
    known = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CI")}
    process = subprocess.Popen(
        [sys.executable, "-m", "solvergen", *arguments],
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env={**known, "TERM": "xterm", "COLUMNS": "80", **environment},
    )
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    process.wait(timeout=60)
    return b"".join(pieces).decode("utf-8", "replace")


def test_tables_fit_eighty_columns() -> None:
    shown = at_a_terminal("list", "--order", "6")
    lines = [ANSI.sub("", line).rstrip() for line in shown.splitlines()]
    table = lines[: next(i for i, line in enumerate(lines) if "solvers; order:" in line)]
    assert "\x1b[1m" in shown  # heads are bold
    assert len(table) > 3 and table[0].split()[:2] == ["name", "integrand"]
    assert max(map(len, table)) <= 80


def test_explain_is_coloured_at_a_terminal_and_plain_with_no_color() -> None:
    shown = at_a_terminal("explain", "unipc_3_bh2")
    assert "\x1b[33mheld back by" in shown
    quiet = at_a_terminal("explain", "unipc_3_bh2", NO_COLOR="1")
    assert "held back by" in quiet and "\x1b[33m" not in quiet
    assert ANSI.sub("", shown) == ANSI.sub("", quiet)


def test_errors_are_marked_at_a_terminal() -> None:
    assert "\x1b[1;31merror" in at_a_terminal("explain", "dpmpp_2mm")


def test_pipes_get_no_escape(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "unipc_3_bh2"]) == 0
    assert main(["list"]) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err


def test_progress_shows_after_a_second_and_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(terminal.shown([1, 2, 3], "counting")) == [1, 2, 3]
    assert capsys.readouterr().err == ""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, clock = Screen(), iter(range(0, 100, 2))
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(terminal.time, "monotonic", lambda: float(next(clock)))
    assert list(terminal.shown([1, 2, 3], "counting")) == [1, 2, 3]
    assert "counting" in screen.getvalue()


def test_new_asks_until_the_answers_are_usable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["3m", "mine", "twelve", "taylor"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    monkeypatch.chdir(tmp_path)
    assert main(["new", "--ask"]) == 0
    shown = capsys.readouterr().out
    assert "`3m`: use letters" in shown and "type a number from 1 to" in shown
    assert 'rule   = "taylor"' in (tmp_path / "mine.toml").read_text(encoding="utf-8")


def test_new_without_a_name_or_anybody_to_ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new"]) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["new", "--ask"]) == 2
    err = capsys.readouterr().err
    assert "give the NAME" in err and "standard input has ended" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_understood(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "explain" in script and "falls-short" in script and "list --names" in script
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=script, text=True, check=True, capture_output=True)


def test_bash_completes_commands_options_and_solvers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out

    def completed(*words: str) -> list[str]:
        ask = (
            f"{script}\nsolvergen() {{ echo dpmpp_2m; echo ddim; }}\n"
            f"COMP_WORDS=(solvergen {' '.join(words)})\nCOMP_CWORD={len(words)}\n_solvergen\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("expla") == ["explain"]
    assert "--falls-short" in completed("list", "--f")
    assert completed("explain", "dpm") == ["dpmpp_2m"]
    assert completed("audit", "--bas") == ["--baseline"]
    assert completed("examine", "--cl") == ["--claim"]
    assert completed("export", "--o") == ["--out"]


COMMANDS = [
    "audit",
    "calibrate",
    "certify",
    "compare",
    "completion",
    "conditions",
    "cure",
    "demo",
    "diff",
    "examine",
    "explain",
    "explore",
    "export",
    "fit",
    "fit-grid",
    "fit-statistics",
    "frontier",
    "gallery",
    "generate",
    "lint",
    "list",
    "new",
    "process",
    "recipes",
    "same",
    "schema",
    "search",
    "tables",
    "train",
    "verify",
]


def test_every_command_is_asked_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert {line.split()[0] for line in shown.splitlines() if line.strip()} >= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_in_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0
    assert f"solvergen {command}" in shown.split("examples:")[1]
    assert max(map(len, shown.splitlines())) <= 80
