"""The import law: data flows one way, the judge stands apart, emitted files stand alone."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "solvergen").rglob("*.py"), *(ROOT / "verify").rglob("*.py")])
RUNTIME = ROOT / "solvergen" / "emit" / "runtime"
# What a room may import from the other rooms of the generator.
MAY = {
    "errors": set(),
    "expr": {"errors"},
    "algebra": {"errors", "expr"},
    "spec": {"errors", "expr"},
    "program": {"errors", "expr", "spec"},
    "gallery": {"errors", "expr", "spec"},
    "derive": {"errors", "expr", "process", "spec", "program", "gallery"},
    "order": {"errors", "expr", "algebra", "spec", "program", "derive", "gallery"},
    "emit": {"errors", "expr", "spec", "program"},
    "writing": set(),
    "loading": {"errors", "gallery", "spec", "derive", "program"},
    "proof": {"errors", "loading", "order", "emit", "program"},
    "catalogue": {"errors", "expr", "gallery", "loading", "program", "proof", "order", "emit"},
    "explanation": {"errors", "catalogue", "order"},
    "notebook": {"explanation", "catalogue", "program", "emit"},
    "grids": set(),
    "process": {"errors", "expr"},
}
HEAVY = {"torch", "numpy", "scipy", "diffusers", "matplotlib", "joblib", "torchvision"}


@cache
def imported(path):
    """Absolute dotted names that a module imports, wherever in it; of names, also module.name.

    One exception is the law's own: a value that shows itself in a notebook asks the printers to.
    """
    package = path.relative_to(ROOT).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ("_repr_latex_", "_repr_html_"):
            node.body = [ast.Pass()]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            found.append(name)
            if node.level:
                found += [f"{name}.{alias.name}" for alias in node.names]
    return tuple(found)


def circles(graph):
    """Groups of modules each of which reaches all others of its group (Tarjan's algorithm).

    >>> circles({"a": {"b"}, "b": {"a", "c"}, "c": set()})
    [['a', 'b']]
    """
    number, least, stack, found = {}, {}, [], []

    def visit(module):
        number[module] = least[module] = len(number)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in number:
                visit(other)
            if other in stack:
                least[module] = min(least[module], least[other])
        if least[module] == number[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            found.extend([sorted(group)] * (len(group) > 1))

    for module in sorted(graph):
        if module not in number:
            visit(module)
    return found


def test_modules_import_each_other_in_no_circle():
    """Imports in functions and for types count too: a module is read with what it names."""
    names = {}
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {name: set() for name in names}
    for name, path in names.items():
        dotted = [d.removeprefix("solvergen.") if ".verify" in d else d for d in imported(path)]
        deepest = {d for d in dotted if d in names}
        # `from .room import module` reaches the module, not the room's own names
        inside = {d.rpartition(".")[0] for d in deepest if d.rpartition(".")[0] in deepest}
        graph[name] = deepest - inside - {name, "solvergen"}
    assert circles(graph) == []
    assert circles({"a": {"b"}, "b": {"a", "c"}, "c": set()}) == [["a", "b"]]


def room(dotted):
    """The room of a dotted name inside the generator, or ``None``."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "solvergen" and len(parts) > 1 else None


def of_room(name):
    inside = ROOT / "solvergen" / name
    return sorted(inside.rglob("*.py")) if inside.is_dir() else [inside.with_suffix(".py")]


def test_the_law_is_about_rooms_that_exist():
    assert all(of_room(name) and of_room(name)[0].is_file() for name in MAY)


@pytest.mark.parametrize("name", MAY)
def test_rooms_import_what_lies_before_them(name):
    for path in of_room(name):
        found = {room(dotted) for dotted in imported(path)} - {None, name}
        assert found <= MAY[name], f"{path}: {found - MAY[name]}"


@pytest.mark.parametrize("name", MAY)
def test_no_generator_room_imports_torch(name):
    for path in of_room(name):
        if path.parent != RUNTIME:
            found = {dotted.split(".")[0] for dotted in imported(path)}
            allowed = {"scipy"} if path.stem == "distribution" else set()  # an extra of the grids
            assert not found & (HEAVY - allowed), path
        # Expressions are sympy's in every room that holds one. These rooms hold none: what they
        # serve (--help, --version, list, new) starts without sympy.
        if name in ("errors", "gallery", "writing", "grids"):
            assert not found & {"sympy"}, path


def test_what_emitted_files_copy_is_read_and_never_imported():
    for path in sorted(RUNTIME.glob("*.py")):
        outside = {dotted for dotted in imported(path) if not dotted.startswith("solvergen.emit.")}
        assert outside <= {"torch", "math", "typing", "collections.abc", "warnings"}, path
    for path in SOURCES:
        assert path.parent == RUNTIME or not any(".runtime" in name for name in imported(path)), (
            path
        )


def test_the_judge_never_imports_the_generator():
    for path in sorted((ROOT / "verify").rglob("*.py")):
        for dotted in imported(path):
            parts = dotted.split(".")
            inside = parts[0] in ("solvergen", "generated")
            allowed = parts[:2] in (["solvergen", "verify"], ["solvergen", "generated"])
            assert not inside or allowed, f"{path} imports {dotted}"


def test_nothing_evaluates_text():
    """No eval, exec, compile or string parsing by sympy, in the generator and in the judge."""
    banned = {"eval", "exec", "compile", "sympify", "parse_expr", "S", "__import__", "lambdify"}
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.id if isinstance(called, ast.Name) else ""
                if isinstance(called, ast.Attribute):
                    owner = called.value.id if isinstance(called.value, ast.Name) else ""
                    of_torch = owner in ("re", "torch") or not node.args  # network.eval()
                    name = "" if of_torch else called.attr
                assert name not in banned - {"S"}, f"{path}:{node.lineno}"
        assert not {"pickle", "marshal", "shelve", "sympy.parsing"} & set(imported(path)), path


def test_no_shelf_for_odds_and_ends():
    names = {path.stem for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")]}
    assert not names & {"utils", "util", "common", "helpers", "helper", "misc", "manager"}


def test_the_runtime_for_hosts_imports_nothing_of_the_generator():
    for path in of_room("hosts"):
        assert not {room(dotted) for dotted in imported(path)} - {None, "hosts"}, path
        assert "sympy" not in {dotted.split(".")[0] for dotted in imported(path)}, path


def test_training_is_imported_by_commands_alone():
    for path in SOURCES:
        parts = path.relative_to(ROOT).parts
        if parts[:2] in (("solvergen", "distil"), ("solvergen", "commands")):
            continue
        assert "distil" not in {room(dotted) for dotted in imported(path)}, path


def test_the_trainer_and_the_examiner_share_nothing():
    for path in sorted((ROOT / "solvergen" / "distil").rglob("*.py")):
        for dotted in imported(path):
            assert not dotted.startswith(("verify.maps", "solvergen.verify.maps")), path


def test_recipes_are_read_without_torch():
    for name in ("recipe", "keys", "budget"):
        path = ROOT / "solvergen" / "distil" / f"{name}.py"
        assert not {dotted.split(".")[0] for dotted in imported(path)} & HEAVY, path


def test_nobody_imports_the_fitting_room():
    """Only the commands and the Python API reach `fit`; the judge never does."""
    for path in SOURCES:
        inside = path.relative_to(ROOT).parts
        if inside[:2] in (("solvergen", "fit"), ("solvergen", "commands")) or inside in (
            ("solvergen", "__init__.py"),
            ("solvergen", "api.py"),
        ):
            continue
        assert "fit" not in {room(dotted) for dotted in imported(path)}, path
