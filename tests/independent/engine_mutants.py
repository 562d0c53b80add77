"""How many mutants of `derive`, `order` and `emit` do their tests kill?

Usage: python tests/independent/engine_mutants.py [COUNT] [--seed N] [--room derive] [--only FILE:LINE] [--check]

A mutant is one module with one operator, comparison, condition or number changed, chosen by the
seed. Each runs in a process of its own, where an import hook puts the change in place of the module,
against the tests that guard its room, the quickest first, up to the first failure. A mutant that
passes them all survives, and is reported with its place. `EQUIVALENT` lists changes that mean the
same, each with the reason. With `--check`, survivors also meet `generate --check`, which CI runs at every
change, as by day the tests compare a file of every other shape (two minutes each).
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import random
import resource
import sys
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = "tests/generated/test_golden.py"
CORE = f"{GOLDEN}::test_the_first_gallery_is_current"
EMITTED = f"{GOLDEN}::test_every_file_is_what_its_spec_emits"
ORDER = "tests/order/test_"
COMMANDS = "tests/cli/test_theory_commands.py"
# Tests that guard a room or a part of it, the quickest first; the longest path that fits counts.
GUARDS = {
    "derive": [
        *("tests/derive", CORE, EMITTED, "tests/independent/test_rows.py", "tests/spec"),
        *("tests/program", "tests/emit/test_meaning.py"),
    ],
    "derive/learned.py": [
        *("tests/emit/test_elements.py", "tests/catalog/test_learned.py", "tests/derive", CORE),
        *(EMITTED, "tests/emit/test_meaning.py"),
    ],
    "order": [
        *(f"{ORDER}{part}.py" for part in ("linear", "identities", "past_states", "blocks")),
        *("tests/derive/test_levels.py", "tests/derive/test_stages_before.py"),
        *(CORE, "tests/independent/test_orders.py"),
        *(f"{ORDER}{part}.py" for part in ("engine", "quadrature", "questions", "oracle")),
    ],
    "order/sde": [*(f"{ORDER}{part}.py" for part in ("rates", "stochastic", "engine")), CORE],
    "order/ode/stiff.py": [f"{ORDER}stiff.py", f"{ORDER}oracle.py", CORE],
    "order/ode/switches.py": ["tests/derive/test_levels.py"],
    "order/ode/rounding.py": [f"{ORDER}rounding.py", CORE],
    "order/ode/stability.py": [f"{ORDER}linear.py", f"{ORDER}questions.py", COMMANDS],
    "order/ode/zero_stability.py": [
        *(
            f"{ORDER}past_states.py",
            f"{ORDER}questions.py",
            "tests/catalog/test_tables_of_states.py",
        ),
        *(CORE, "tests/independent/test_orders.py"),
    ],
    "order/ode/persistence.py": [f"{ORDER}past_states.py", CORE],
    "order/questions": [f"{ORDER}questions.py", f"{ORDER}parameters.py", COMMANDS],
    "order/questions/certificate.py": ["tests/certificates"],
    "emit": [
        *("tests/emit/test_formula.py", "tests/emit/test_specialise.py"),
        *("tests/emit/test_lines.py", "tests/expr/test_printing.py", EMITTED),
        *("tests/emit/test_jumps.py", "tests/emit/test_adaptive.py", "tests/derive/test_places.py"),
        *("tests/emit/test_names.py", CORE, "tests/emit/test_meaning.py", COMMANDS),
    ],
    "emit/exports/comfyui_folder.py": [
        "tests/hosts/test_comfyui.py",
        "tests/export/test_command.py",
    ],
    "emit/exports/diffusers_file.py": ["tests/export/test_command.py"],
    "emit/exports/diffusers_family.py": ["tests/export/test_command.py"],
}
ROOMS = ("derive", "order", "emit")
SKIPPED = {"emit/runtime"}  # run-time pieces are judged by running what they emit
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Lt: ast.LtE, ast.Gt: ast.GtE,
    ast.LtE: ast.Lt, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or,
    ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
# Changes that mean the same: (file, the changed line as it is, kind), and why.
EQUIVALENT = {
    (
        "solvergen/order/ode/rounding.py",
        "kept.sort(key=lambda one: (-one[2], one[0], reading_order(one[1])))",
        "number",
    ): "the second key tells apart residuals that are equal to the last bit, of which there are none",
    (
        "solvergen/emit/exports/diffusers_file.py",
        'interval="EVALUATIONS_PER_STEP" + (f" // {spans}" if spans > 1 else ""),',
        "comparison",
    ): "a division by one",
    (
        "solvergen/order/sde/strength.py",
        "numbers = {p.name: p.default or generic(137, i) for i, p in enumerate(program.parameters)}",
        "number",
    ): "another generic number",
    (
        "solvergen/derive/borrowed.py",
        "len(a) == len(b) and all(abs(x - y) < _SAME for x, y in zip(a, b, strict=True))",
        "comparison",
    ): "no difference is 1e-12 to the last bit; that lengths are compared, a test of its own sees",
    **{
        (
            "solvergen/order/ode/ends.py",
            "level = max(0, limit - predictor) if program.main.corrector else 0",
            kind,
        ): "predictors followed further back than matters, or asked for where there are none"
        for kind in ("number", "operator")
    },
    (
        "solvergen/order/sde/gaussian_runs.py",
        "return low + opened.values.expr(place.lam(self.kappa or 1)) * (high - low)",
        "number",
    ): "where kappa is 0 the place is a fraction in lambda already",
    (
        "solvergen/order/ode/zero_stability.py",
        "factors = shares(program, StepValues(program.kappa, SeriesRing(3), grid, parameters), 0)",
        "number",
    ): "only the limit of a series is read, however many terms it has",
    (
        "solvergen/emit/exports/diffusers_file.py",
        'return head.replace("import math\\n\\nimport torch\\n", imports, 1)',
        "number",
    ): "these lines occur once",
    (
        "solvergen/emit/step_text.py",
        "if len(text := python(ratio)) <= 60:",
        "comparison",
    ): "a weight of exactly 60 characters stands on a line of its own: looks",
    (
        "solvergen/order/ode/cases.py",
        "name: self.point(i, seed) if name in self.free else grids.generic_ratio(61 + seed, i)",
        "number",
    ): "another generic number",
    (
        "solvergen/order/ode/cases.py",
        "return lambda site: grids.generic_ratio(79 + seed, 97 * index + site) - Fraction(4, 3)",
        "number",
    ): "another generic number",
    (
        "solvergen/order/expansion/symbol_values.py",
        "GENERIC_TAU = Fraction(331, 907)  # where a velocity solver stands in its clock σ/(α+σ)",
        "number",
    ): "another generic number",
    (
        "solvergen/order/sde/leading_constants.py",
        "close = Fraction(1, 1 << (BITS // 2))",
        "number",
    ): "twice or half of a tolerance; that it is half of the digits, a test of its own sees",
}
CPU = 400  # seconds that a mutant may use, several times what its guards take


def sites(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    """Nodes of a module that can be changed, outside messages, assertions and annotations."""
    out: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Raise | ast.Assert):
            parts = [node]
        elif isinstance(node, ast.FunctionDef):
            parts = [node.returns, *(a.annotation for a in node.args.args), *node.decorator_list]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation]
        out |= {id(inner) for part in parts if part for inner in ast.walk(part)}
    return [
        (node, kind) for node in ast.walk(tree) if id(node) not in out and (kind := _kind(node))
    ]


def _kind(node: ast.AST) -> str:
    """What can be changed in a node."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        return "" if _joins_text(node) else "operator"
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
        return "comparison"
    if isinstance(node, ast.BoolOp):
        return "connective"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return "negation"
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return "number"
    return ""


def _joins_text(node: ast.BinOp) -> bool:
    """Whether an addition joins strings, where a difference has no meaning."""
    return any(
        isinstance(side, ast.JoinedStr)
        or isinstance(side, ast.Constant)
        and type(side.value) is str
        for side in (node.left, node.right)
    )


def mutated(source: str, index: int) -> str:
    """The source with its site number `index` changed."""
    tree = ast.parse(source)
    node, kind = sites(tree)[index]
    if kind == "number":
        node.value += 1  # type: ignore[attr-defined]
    elif kind == "negation":
        inner = deepcopy(node.operand)  # type: ignore[attr-defined]
        node.operand = ast.UnaryOp(ast.Not(), inner)  # type: ignore[attr-defined]
    elif kind == "comparison":
        node.ops[0] = SWAPS[type(node.ops[0])]()  # type: ignore[attr-defined]
    else:
        node.op = SWAPS[type(node.op)]()  # type: ignore[attr-defined]
    return ast.unparse(ast.fix_missing_locations(tree))


def modules(room: str) -> list[Path]:
    """The modules of a room that are changed."""
    found = sorted((ROOT / "solvergen" / room).rglob("*.py"))
    return [p for p in found if not any(f"/{skipped}/" in p.as_posix() for skipped in SKIPPED)]


class Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module with a change."""

    def __init__(self, path: Path, index: int) -> None:
        self.path, self.index = path, index
        self.name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(self, fullname, path=None, target=None):
        """The changed module; none other."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_filename(self, fullname: str) -> str:
        """The module's own file."""
        return str(self.path)

    def get_data(self, path: str) -> bytes:
        """Its changed source."""
        return mutated(self.path.read_text(encoding="utf-8"), self.index).encode()

    def path_stats(self, path: str):
        """Never from a stored compilation."""
        raise OSError

    def set_data(self, path: str, data: bytes, *, _mode: int = 0o666) -> None:
        """Never stored either."""


def judge(path: Path, index: int, check: bool) -> int:
    """Run the guards on one changed module; pytest's exit code, then that of `generate --check`."""
    import pytest

    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, Changed(path, index))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    quiet = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not nightly"]
    code = int(pytest.main([*quiet, "--tb=line", *guards(path)]))
    if code or not check:
        return code
    from solvergen.cli import main as command

    return command(["generate", "--check", "--jobs", "1"])


def guards(path: Path) -> list[str]:
    """The tests that guard a module."""
    name = path.relative_to(ROOT / "solvergen").as_posix()
    return GUARDS[max((part for part in GUARDS if name.startswith(part)), key=len)]


def killed_by(path: Path, index: int, log: Path, check: bool) -> str:
    """The test that kills a mutant; empty when it survives."""
    child = os.fork()
    if not child:
        code = 99
        try:
            with open(log, "w", encoding="utf-8") as out:
                for stream in (1, 2):
                    os.dup2(out.fileno(), stream)
                code = judge(path, index, check)
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    named = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return (named or [*lines[-1:], "does not end"])[0][:150]


def place(path: Path, index: int) -> tuple[str, str, str, int]:
    """File, line as it stands, kind and line number of a site."""
    source = path.read_text(encoding="utf-8")
    node, kind = sites(ast.parse(source))[index]
    number: int = node.lineno  # type: ignore[attr-defined]
    return path.relative_to(ROOT).as_posix(), source.splitlines()[number - 1].strip(), kind, number


def chosen(count: int, seed: int, rooms: list[str], only: str) -> Iterator[tuple[Path, int]]:
    """Module and site of the mutants, as many from each room."""
    for room in rooms:
        every = [
            (p, i)
            for p in modules(room)
            for i in range(len(sites(ast.parse(p.read_text(encoding="utf-8")))))
        ]
        if only:
            yield from (m for m in every if "{0}:{3}".format(*place(*m)).endswith(only))
        else:
            yield from random.Random(seed).sample(every, min(count // len(rooms), len(every)))


def main() -> None:
    """Judge the mutants and print those that survive, then the rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--room", choices=ROOMS, action="append")
    parser.add_argument("--only", default="", help="the mutants of one line, FILE:LINE")
    parser.add_argument("--check", action="store_true", help="survivors meet generate --check too")
    args = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import hypothesis  # noqa: F401  loaded once, before the forks
    import mpmath  # noqa: F401
    import pytest  # noqa: F401
    import sympy  # noqa: F401
    import torch  # noqa: F401

    killed = total = 0
    with tempfile.TemporaryDirectory() as folder:
        for path, index in chosen(args.count, args.seed, args.room or [*ROOMS], args.only):
            file, line, kind, number = place(path, index)
            if (file, line, kind) in EQUIVALENT:
                continue
            by = killed_by(path, index, Path(folder, "log"), args.check)
            total, killed = total + 1, killed + bool(by)
            said = f"killed by {by}" if by else "SURVIVED"
            print(f"{file}:{number} {kind}: {line[:90]}\n    {said}", flush=True)
    print(f"{killed} of {total} mutants killed ({killed / max(total, 1):.1%})")


if __name__ == "__main__":
    main()
