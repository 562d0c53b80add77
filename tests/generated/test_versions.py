"""What emitted files and hosts ask of Python and torch exists in the oldest that they promise."""

import ast
from pathlib import Path

import pytest

from solvergen.derive import derive
from solvergen.emit.exports.diffusers_file import diffusers_file
from solvergen.gallery import load

from .shapes import by_shape

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "generated"
HOSTS = sorted((ROOT / "solvergen" / "hosts").rglob("*.py"))

# Names of torch that emitted files use. Each is in the documentation of torch 2.4; the youngest is
# compiler.is_compiling, of torch 2.1. A name is added here once that is checked. Files ask for
# `scan` with hasattr, and do without where it is missing.
TORCH = {
    "_higher_order_ops",
    "eye",
    "ones",
    "zeros",
    "Tensor",
    "add",
    "addr",
    "arange",
    "as_tensor",
    "compiler",
    "cuda",
    "empty_like",
    "float32",
    "float64",
    "is_grad_enabled",
    "is_tensor",
    "lerp",
    "maximum",
    "mul",
    "no_grad",
    "ones_like",
    "promote_types",
    "randn_like",
    "stack",
    "strided",
    "tensor",
    "zeros_like",
    "bfloat16",
    "finfo",
    "float16",
}
BELOW = {
    "_higher_order_ops": {"scan"},
    "compiler": {"is_compiling"},
    "cuda": {"is_current_stream_capturing"},
}


@pytest.mark.parametrize("path", HOSTS, ids=lambda path: path.stem)
def test_hosts_are_python_310(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))


@pytest.mark.parametrize("name", ["dpmpp_2m", "heun_edm"])
def test_exported_schedulers_are_python_310(name):
    solver = load(name)
    ast.parse(diffusers_file(solver, derive(solver)), feature_version=(3, 10))


def test_the_check_of_the_version_can_fail():
    with pytest.raises(SyntaxError):
        ast.parse("try:\n    pass\nexcept* ValueError:\n    pass\n", feature_version=(3, 10))


@pytest.mark.parametrize("name", by_shape())
def test_files_are_python_310_and_use_what_torch_24_has_and_nothing_else(name):
    text = (GENERATED / f"{name}.py").read_text(encoding="utf-8")
    imports, called = [], set()
    for node in ast.walk(ast.parse(text, feature_version=(3, 10))):
        match node:
            case ast.Attribute(ast.Name("torch"), name):
                assert name in TORCH
            case ast.Attribute(ast.Attribute(ast.Name("torch"), module), name):
                assert name in BELOW.get(module, {name})
            case ast.Import() | ast.ImportFrom():
                imports.append(ast.unparse(node))
            case ast.Name(name):
                called.add(name)
    # Files with levels of their own warn where a run has others.
    warns = ["import warnings"] if "\nLEVELS = " in text else []
    assert sorted(imports) == ["import math", "import torch", *warns]
    assert not called & {"eval", "exec", "open", "compile", "__import__", "print"}
