"""The import law: data flows one way, the judge stands apart, emitted files stand alone."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "solvergen").rglob("*.py"), *(ROOT / "verify").rglob("*.py")])
GENERATED = sorted((ROOT / "generated").glob("*.py"))
# What a room may import from the other rooms of the generator.
MAY = {
    "errors": set(),
    "expr": {"errors"},
    "algebra": {"errors", "expr"},
    "spec": {"errors", "expr"},
    "program": {"errors", "expr", "spec"},
    "gallery": {"errors", "expr", "spec"},
    "derive": {"errors", "expr", "spec", "program", "gallery"},
    "order": {"errors", "expr", "algebra", "spec", "program", "derive", "gallery"},
    "emit": {"errors", "expr", "spec", "program"},
    "writing": set(),
    "grids": set(),
}
HEAVY = {"torch", "numpy", "scipy", "diffusers", "matplotlib", "joblib", "torchvision"}


def imported(path):
    """Absolute dotted names that a module imports, wherever in it.

    One exception is the law's own: a value that shows itself in a notebook asks the printers to.
    """
    package = path.relative_to(ROOT).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "_repr_latex_":
            node.body = [ast.Pass()]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield name
            if node.level and not node.module:
                yield from (f"{name}.{alias.name}" for alias in node.names)


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
        found = {dotted.split(".")[0] for dotted in imported(path)}
        assert not found & HEAVY, path
        if name in ("errors", "expr", "spec", "derive", "gallery", "writing"):
            assert not found & {"sympy"}, path


def test_emitted_files_import_nothing_but_torch():
    for path in GENERATED:
        assert path.stem == "__init__" or set(imported(path)) == {"torch", "math"}, path


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
                    name = "" if owner in ("re", "torch") else called.attr
                assert name not in banned - {"S"}, f"{path}:{node.lineno}"
        assert not {"pickle", "marshal", "shelve", "sympy.parsing"} & set(imported(path)), path


def test_no_shelf_for_odds_and_ends():
    names = {path.stem for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")]}
    assert not names & {"utils", "util", "common", "helpers", "helper", "misc", "manager"}


def test_the_runtime_for_hosts_imports_nothing_of_the_generator():
    for path in of_room("hosts"):
        assert not {room(dotted) for dotted in imported(path)} - {None, "hosts"}, path
        assert "sympy" not in {dotted.split(".")[0] for dotted in imported(path)}, path


def test_the_rooms_of_the_judge_import_without_circles():
    root = ROOT / "verify"
    graph = {}
    for path in sorted(root.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = {dotted for dotted in imported(path) if dotted.startswith("verify.")}
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, f"import circle: {' -> '.join([*open_, name])}"
        if name in done or name not in graph:
            return
        open_.append(name)
        for other in sorted(graph[name]):
            visit(other)
        open_.pop()
        done.add(name)

    for name in graph:
        visit(name)
