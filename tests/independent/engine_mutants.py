"""How many mutants of `derive`, `order` and `program` do the independent derivations kill?

Usage: python tests/independent/engine_mutants.py [COUNT] [SEED]

A mutant is one module with one operator or number changed. Each runs in a process of its own: the
gallery entries below are derived, their rows and orders checked against sympy, and their order reports
compared with what their emitted files state. A mutant that changes nothing of that survives.
"""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
ROOMS = ("derive", "order/expansion", "order/ode", "program/row.py")
NOT = {"stability.py", "stiff.py", "report.py"}  # asked for by other commands than these checks
NAMES = (
    "ab3_lambda", "am3_lambda", "bdf_2", "deis_rhoab3", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m",
    "dpm_solver_3", "heun_3", "hermite_2", "o_belm", "rk4_clock", "sa_solver_p3c4", "unipc_3_bh2",
    "abm3_lambda_pec", "alpha_family_sigma", "dpmpp_2s_ancestral", "deis_tab3", "flow_euler",
)  # fmt: skip
SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Lt: ast.GtE, ast.Gt: ast.LtE,
    ast.LtE: ast.Gt, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip


def sites(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    """Nodes of a module that can be changed, outside messages."""
    found: list[tuple[ast.AST, str]] = []
    skipped = {id(n) for r in ast.walk(tree) if isinstance(r, ast.Raise) for n in ast.walk(r)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
            strings = (isinstance(s, (ast.JoinedStr, ast.Constant)) and not isinstance(getattr(s, "value", 0), int) for s in (node.left, node.right))  # fmt: skip
            if not any(strings):
                found.append((node, "operator"))
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            found.append((node, "comparison"))
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            found.append((node, "number"))
    return found


def mutated(source: str, index: int) -> str:
    """The source with its site number `index` changed."""
    tree = ast.parse(source)
    node, kind = sites(tree)[index]
    if kind == "operator":
        node.op = SWAPS[type(node.op)]()  # type: ignore[attr-defined]
    elif kind == "comparison":
        node.ops[0] = SWAPS[type(node.ops[0])]()  # type: ignore[attr-defined]
    else:
        node.value += 1  # type: ignore[attr-defined]
    return ast.unparse(tree)


def modules() -> list[Path]:
    """The modules that are changed."""
    base = ROOT / "solvergen"
    listed = [p for room in ROOMS for p in ([base / room] if room.endswith(".py") else sorted((base / room).glob("*.py")))]  # fmt: skip
    return [p for p in listed if p.name not in NOT and sites(ast.parse(p.read_text()))]


def judge(path: Path, index: int) -> None:
    """Run the checks with one module changed; raises where they find it."""
    import importlib.abc
    import importlib.util

    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)

    class Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
        def find_spec(self, name, where=None, target=None):
            return importlib.util.spec_from_loader(name, self) if name == dotted else None

        def get_filename(self, fullname):
            return str(path)

        def get_data(self, where):
            return mutated(path.read_text(encoding="utf-8"), index).encode()

        def path_stats(self, where):
            raise OSError  # never from a stored compilation

    if index >= 0:
        sys.meta_path.insert(0, Changed())
    sys.path.insert(0, str(ROOT / "tests"))
    from independent import test_orders, test_rows

    from solvergen import gallery
    from solvergen.loading import load
    from solvergen.order import analyse

    for name in (n for n in NAMES if n in gallery.names()):
        test_rows.rows_checked(name, (1,))
        test_orders.check(name)
        known = test_orders.stated(name)
        if known is None:
            continue
        report = analyse(load(name).program)
        found = {g: {m: [o.value, o.exact] for m, o in cases.items()} for g, cases in report.orders.items()}  # fmt: skip
        assert found == known, name
        uniform = [(t["word"], t["coef"]) for t in report.uniform.json()]
        assert uniform == stated_constants(name), name


def stated_constants(name: str) -> list[tuple[str, str]]:
    """The uniform leading error of an emitted file."""
    tree = ast.parse((ROOT / "generated" / f"{name}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LEADING_ERROR":
            return [(t["word"], t["coef"]) for t in ast.literal_eval(node.value)["uniform"]]
    return []


def main(count: int, seed: int) -> None:
    every = [(p, i) for p in modules() for i in range(len(sites(ast.parse(p.read_text()))))]
    chosen = random.Random(seed).sample(every, min(count, len(every)))
    killed = 0
    for path, index in chosen:
        command = [sys.executable, __file__, "--judge", str(path), str(index)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=300, check=False)
            survived = done.returncode == 0
        except subprocess.TimeoutExpired:
            survived = False
        killed += not survived
        if survived:
            node, kind = sites(ast.parse(path.read_text()))[index]
            print(f"survived: {path.relative_to(ROOT)}:{node.lineno} {kind}", flush=True)  # type: ignore[attr-defined]
    print(f"{killed} of {len(chosen)} mutants killed; {len(every)} sites")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--judge"]:
        judge(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 60, int(sys.argv[2]) if sys.argv[2:] else 1)
