"""The completion command: a script that teaches a shell the commands, options and solver names."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from typing import Any

from ..errors import SolvergenError
from . import judging
from .learned import students
from .parsing import command

SHELLS = ("bash", "zsh", "fish")
_NAMES = "solvergen list --names 2>/dev/null"


def add(commands: Any) -> None:
    """Register the command."""
    parser = command(
        commands,
        "completion",
        "print a script that completes commands, options and solver names",
        'eval "$(solvergen completion bash)"          # in ~/.bashrc',
        'eval "$(solvergen completion zsh)"           # in ~/.zshrc',
        "solvergen completion fish > ~/.config/fish/completions/solvergen.fish",
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(handler=lambda args: run_completion(args, commands))


def run_completion(args: argparse.Namespace, commands: Any) -> int:
    """Print the script."""
    whole = argparse.ArgumentParser().add_subparsers()
    with contextlib.suppress(SolvergenError):  # without the judge's packages, its names alone
        judging.add(whole, "audit")
        students.add(whole, "examine")
    parsers = {**commands.choices, **whole.choices}
    known = {name: list(dict(_options(parser)).items()) for name, parser in parsers.items()}
    helps = {action.dest: action.help or "" for action in commands._choices_actions}
    write = _fish if args.shell == "fish" else _bash
    zsh = ["autoload -U +X bashcompinit && bashcompinit"] * (args.shell == "zsh")
    print("\n".join([*zsh, *write(known, helps)]))
    return 0


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The long options of a command and of those within it, each with its help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _options(inner)
        for option in action.option_strings:
            if option.startswith("--"):
                yield option, action.help or ""


def _bash(known: dict[str, list[tuple[str, str]]], helps: dict[str, str]) -> Iterator[str]:
    yield "_solvergen() {"
    yield '  local word="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}" words=""'
    yield "  if [ $COMP_CWORD -eq 1 ]; then"
    yield f'    words="{" ".join(sorted(known))} --help --version"'
    yield '  elif [ "${word#-}" != "$word" ]; then'
    yield '    case "$command" in'
    for name, options in sorted(known.items()):
        yield f'      {name}) words="{" ".join(option for option, _ in options)}" ;;'
    yield "    esac"
    yield "  else"
    yield f'    words="$({_NAMES})"'
    yield '    COMPREPLY=($(compgen -f -- "$word"))'
    yield "  fi"
    yield '  COMPREPLY+=($(compgen -W "$words" -- "$word"))'
    yield "}"
    yield "complete -F _solvergen solvergen"


def _fish(known: dict[str, list[tuple[str, str]]], helps: dict[str, str]) -> Iterator[str]:
    first = "complete -c solvergen -n __fish_use_subcommand"
    for name, options in sorted(known.items()):
        yield f"{first} -a {name} -d {shlex.quote(helps.get(name, ''))}"
        seen = f'complete -c solvergen -n "__fish_seen_subcommand_from {name}"'
        for option, said in options:
            yield f"{seen} -l {option[2:]} -d {shlex.quote(said)}"
        yield f'{seen} -a "({_NAMES})"'
