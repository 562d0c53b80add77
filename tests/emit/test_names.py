"""No parameter of a spec can shadow a name that its emitted file uses."""

import ast
import builtins
from pathlib import Path

import pytest

from solvergen import gallery
from solvergen.derive import derive
from solvergen.emit.step_text import StepText
from solvergen.spec.names import reserved
from tests.generated.shapes import by_shape

GENERATED = Path(__file__).parents[2] / "generated"


def names_in(path):
    """Names that `coefficients` binds or reads, its own parameters apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    plan = functions["coefficients"]
    used = {node.id for node in ast.walk(plan) if isinstance(node, ast.Name)}
    inner = {node.name for node in ast.walk(plan) if isinstance(node, ast.FunctionDef)}
    return (used | inner | set(functions)) - {"s", "w", "a"}  # bound in comprehensions only


@pytest.mark.parametrize("name", by_shape())
def test_names_of_an_emitted_file_are_reserved(name):
    solver = gallery.load(name)
    own = {parameter.name for parameter in solver.parameters} | set(derive(solver).functions)
    # the data's; derivation refuses parameters of these names beside `first`
    if solver.start.first:
        own |= {"mean", "std"}
    found = names_in(GENERATED / f"{name}.py")
    assert {n for n in found - own if not (reserved(n) or hasattr(builtins, n))} == set()


@pytest.mark.parametrize("name", ["c1", "c2", "theta", "r", "eta", "scale", "tau", "s_noise"])
def test_natural_names_of_parameters_are_free(name):
    assert not reserved(name)


@pytest.mark.parametrize("used", [(), ("q0",), ("q1",), ("q0", "q1")])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_levels_of_a_step_are_assigned_where_a_line_uses_them(used, place):
    """Whichever line of a block that is; names that only begin alike do not count."""
    pad = " " * 12
    lines = [f"{pad}q00 = 1", f"{pad}weights = q00, q10", f"{pad}noise = q00"]
    lines[place] += "".join(f" * {name}" for name in used)
    first, *rest = StepText.without_unused([f"{pad}q0, q1 = s0 / a0, s1 / a1", *lines])
    wanted = {
        (): [], ("q0",): ["q0 = s0 / a0"], ("q1",): ["q1 = s1 / a1"],
        ("q0", "q1"): ["q0, q1 = s0 / a0, s1 / a1"],
    }[used]  # fmt: skip
    assert [first, *rest] == [*(pad + line for line in wanted), *lines]
