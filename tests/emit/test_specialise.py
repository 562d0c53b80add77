"""Definitions of emitted files: conditions decided, texts and parameters put in, lines broken."""

import ast

import pytest

from solvergen.emit import specialise
from solvergen.emit.specialise import Static, definition, wrapped


def moment(kappa):
    return definition("variable", "moments", Static({"KAPPA": kappa}))


def test_the_branch_that_holds_is_copied_at_the_place_of_its_condition():
    assert "            density = math.exp(start - lam)" in moment(-1)
    assert "KAPPA" not in moment(-1) and "cosh(lam" not in moment(-1)
    assert "            density = (\n                (end - start)\n" in moment(0)


def test_conditions_that_are_not_open_stay():
    text = definition("levels", "grid", Static({"JUMPS": True}))
    assert "if not (falls or" in text and "must decrease" not in text
    assert "if sigma.ndim != 1" in text


def test_lines_replace_an_open_assignment():
    text = definition(
        "variable", "slope", Static({"KAPPA": 1}, {"RATE": ["rate0 = 2", "rate = rate0"]})
    )
    assert "\n    rate0 = 2\n    rate = rate0\n" in text and "RATE" not in text


@pytest.mark.parametrize("module", [p.stem for p in specialise.RUNTIME.glob("*.py")])
def test_every_definition_is_whole_when_specialised(module):
    static = Static(
        dict.fromkeys(("JUMPS", "LIFTED", "LANGEVIN", "PATH", "PID"), True)
        | {"KAPPA": 0, "INTEGRAND": "noise"},
        {"RATE": ["rate = 1"], "STRENGTH": "tau"},
        {"tau": "0.5", "s_noise": "1"},
    )
    for node in ast.parse((specialise.RUNTIME / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and module != "choices":
            ast.parse(definition(module, node.name, static))


def test_parameters_are_named_in_signatures_and_calls():
    text = definition("run", "sample", Static(parameters={"tau": "0.5"}))
    assert "alphas=None, tau=0.5" in text and "coefficients(sigmas, alphas, tau=tau)" in text


def test_long_lines_are_broken_as_a_formatter_would():
    short = "    value = call(" + ", ".join(["name"] * 10) + ")"
    assert wrapped(short) == short
    middle = "    value = call(" + ", ".join(["name"] * 15) + ")"
    assert wrapped(middle).splitlines()[1] == " " * 8 + ", ".join(["name"] * 15)
    long = "    value = call(" + ", ".join(["name"] * 20) + ")"
    assert wrapped(long).splitlines()[1:] == [" " * 8 + "name,"] * 20 + ["    )"]
