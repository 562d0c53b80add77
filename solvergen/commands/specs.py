"""Commands about spec files: new, lint, schema."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SolvergenError, SpecError
from ..spec.text.starter import FAMILIES
from .parsing import command
from .terminal import complain, say

if TYPE_CHECKING:
    from ..loading import Loaded
    from ..program.model import Program


def add(commands: Any) -> None:
    """Register the commands."""
    new = command(
        commands,
        "new",
        "write a commented starter spec",
        "solvergen new mine --from predictor-corrector",
        "solvergen new --ask                       # asks for name and kind of rule",
    )
    new.add_argument("name", metavar="NAME", nargs="?", help="name of the solver")
    new.add_argument(
        "--from",
        dest="family",
        choices=FAMILIES,
        metavar="KIND",
        help=f"kind of rule, interpolate unless given: {', '.join(FAMILIES)}",
    )
    new.add_argument("--out", type=Path, metavar="FILE", help="NAME.toml unless given")
    new.add_argument("--ask", action="store_true", help="ask for what is not given")
    new.set_defaults(handler=run_new)

    lint = command(
        commands,
        "lint",
        "check specs; errors point at line and column",
        "solvergen lint mine.toml",
        "solvergen lint specs/*.toml               # exit code 2 if any is wrong",
    )
    lint.add_argument("specs", nargs="+", metavar="SPEC", help="TOML files or gallery solvers")
    lint.set_defaults(handler=run_lint)

    schema = command(
        commands,
        "schema",
        "print the JSON Schema of specs, for editors",
        "solvergen schema > solver.schema.json     # named at the top of a starter spec",
        "solvergen schema --markdown               # the reference page",
    )
    schema.add_argument("--markdown", action="store_true", help="the reference page instead")
    schema.set_defaults(handler=run_schema)


def run_new(args: argparse.Namespace) -> int:
    """Write a starter spec; an existing file is left alone."""
    from ..spec.file_name import name_refusal
    from ..spec.text.starter import starter
    from ..writing import write

    name, family = args.name, args.family or "interpolate"
    if args.ask:
        name = name or _asked("name of the solver", "mine", name_refusal)
        family = args.family or _chosen("kind of rule", FAMILIES)
    if name is None:
        raise SolvergenError("give the NAME of the solver, or --ask")
    if refusal := name_refusal(name):
        raise SolvergenError(f"`{name}` cannot name a solver: {refusal}")
    path = args.out or Path(f"{name}.toml")
    if path.exists():
        raise SolvergenError(f"{path} exists; give another name or --out")
    write(path, starter(name, family))
    print(f"wrote {path}; next: solvergen lint {path}, solvergen explain {path}")
    return 0


def _asked(what: str, default: str, refusal: Callable[[str], str]) -> str:
    """An answer that is not refused; the default where nothing is typed."""
    while True:
        answer = _line(f"{what} [{default}]: ") or default
        if not (wrong := refusal(answer)):
            return answer
        print(f"`{answer}`: {wrong}")


def _chosen(what: str, choices: tuple[str, ...]) -> str:
    """One of some choices, by number or name."""
    for number, choice in enumerate(choices, 1):
        print(f"  {number}  {choice}")
    known = dict(zip(map(str, range(1, len(choices) + 1)), choices, strict=True))
    known |= {choice: choice for choice in choices}

    def refusal(answer: str) -> str:
        return "" if answer in known else f"type a number from 1 to {len(choices)}, or a name"

    return known[_asked(what, "1", refusal)]


def _line(prompt: str) -> str:
    """A line that a person types.

    Raises:
        SolvergenError: nobody is there to type it.
    """
    try:
        return input(prompt).strip()
    except EOFError:
        raise SolvergenError("no answer: standard input has ended") from None


def run_lint(args: argparse.Namespace) -> int:
    """Read and derive each spec, and check each recipe; report every one that fails."""
    from ..distil.recipe import is_recipe
    from ..loading import load
    from ..program.advice import advice
    from ..program.consistency import inconsistent_rows
    from .learned import students

    failed = 0
    for target in args.specs:
        try:
            if is_recipe(target):
                say(students.lint(target))
                continue
            loaded = load(target)
            program = loaded.program
        except SpecError as error:
            failed += 1
            complain(f"error: {error}")
            continue
        calls = program.evaluations_per_step
        found = (
            *inconsistent_rows(program),
            *advice(program),
            *_unstable(program),
            *_refuted(loaded),
        )
        warnings = [f"{target}: {text}" for text in found]
        warnings += [
            f"{target}:{line}:{column}: `{name}` of [let] is used by no rule; remove it, or use it"
            for line, column, name in _unused_let(loaded.path)
        ]
        for warning in warnings:
            complain(f"warning: {warning}")
        count = len(warnings)
        state = f"{count} warning{'s' * (count > 1)}" if count else "ok"
        say(
            f"{target}: {state}; {program.integrand}, {calls} evaluation{'s' * (calls > 1)} per step, "
            f"history {program.history}"
        )
    return 2 if failed else 0


def _unstable(program: Program) -> list[str]:
    """Why past states or memories grow, where a solver has any; the order analysis is loaded for those alone."""
    if not (program.main.past_states or program.main.memory):
        return []
    from ..order.ode.zero_stability import unstable

    return unstable(program)


def _unused_let(path: Path) -> list[tuple[int, int, str]]:
    """Line, column and key of the entries of [let] on which nothing depends."""
    import tomllib

    from ..spec.let import unused
    from ..spec.text.locate import Locator

    text = path.read_text(encoding="utf-8-sig")
    if "let" not in (data := tomllib.loads(text)):
        return []
    places = Locator(text)
    return [(*places.find(("let", name))[:2], name) for name in unused(data)]


def _refuted(loaded: Loaded) -> list[str]:
    """The claim that the orders refute; they are derived for specs of one's own that claim any."""
    from ..catalogue import gallery_name
    from ..proof import CLAIMED, proved

    claim = loaded.solver.claim
    if all(getattr(claim, name) is None for name in CLAIMED) or gallery_name(loaded.path):
        return []
    proof = proved(loaded)
    return [] if proof.refused or not proof.claim_fault else [proof.claim_fault]


def run_schema(args: argparse.Namespace) -> int:
    """The spec language for editors or for people."""
    from ..spec.language.reference import reference
    from ..spec.language.schema import json_schema

    print(reference() if args.markdown else json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
