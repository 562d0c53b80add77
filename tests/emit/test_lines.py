"""The lines of emitted files: when those made for levels of their own move to them, what stands on one line."""

import pytest

from solvergen.derive import derive
from solvergen.emit.python_text import WIDTH, wrap_tuple
from solvergen.emit.torch_file import torch_file
from solvergen.spec import parse_solver

SPEC = """
name = "made"
integrand = "data"
[step]
rule = "weights"
weights = { n = "WEIGHT" }
[grid]
levels = ["4", "1", "1/4"]
"""
OWN = '[parameters.w]\nper = "step"\ndefault = "1"\nvalues = ["1", "9/10"]\n'


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ("", "    fitted_levels(alpha, sigma)\n"),
        (OWN, '    if w is NUMBERS["w"]:\n        fitted_levels(alpha, sigma)\n'),
    ],
)
def test_levels_are_taken_where_the_numbers_are_the_files_own(own, wanted):
    text = SPEC.replace("WEIGHT", "w*h*phi1" if own else "h*phi1") + own
    solver = parse_solver(text)
    emitted = torch_file(solver, derive(solver), None, "made.toml")
    compile(emitted, "made.py", "exec")
    assert wanted in emitted


def test_a_tuple_of_one_has_its_comma_and_one_of_several_none():
    assert wrap_tuple("a = ", ["x"], 4) == ["    a = (x,)"]
    assert wrap_tuple("a = ", ["x", "y"], 4) == ["    a = (x, y)"]


def test_numbers_that_fill_a_line_stand_one_a_line():
    steps = 24
    levels = ", ".join(f'"1/{2**i}"' for i in range(steps + 1))
    values = ", ".join(f'"{i + 1}/3"' for i in range(steps))
    text = SPEC.replace("WEIGHT", "w*h*phi1") + OWN.replace('"1", "9/10"', values)
    solver = parse_solver(text.replace('"4", "1", "1/4"', levels))
    lines = torch_file(solver, derive(solver), None, "made.toml").splitlines()
    first = lines.index("LEVELS = (")
    assert lines[first + 1 : first + 3] == ["    1.0,", "    0.5,"]
    assert lines[first + steps + 2] == ")"
    first = lines.index('    "w": (')
    assert lines[first + 3] == "        1.0,"
    assert lines[first + steps + 1] == "    ),"


@pytest.mark.parametrize(("over", "quoted"), [(0, 1), (1, 0)])
def test_what_a_file_says_of_itself_stands_on_one_line_where_it_fits(over, quoted):
    said = "Made. " + "x" * (WIDTH - len('"""Made. ."""') + over) + "."
    text = SPEC.replace("WEIGHT", "h*phi1").replace(
        "integrand", f'title = "Made"\ndescription = "{said[6:]}"\nintegrand', 1
    )
    solver = parse_solver(text)
    lines = torch_file(solver, derive(solver), None, "made.toml").splitlines()
    assert lines.count(f'"""{said}"""') == quoted and lines.count('"""Made.') == 1 - quoted


def test_the_level_of_each_call_stands_in_a_tuple_though_it_is_one():
    text = SPEC.replace("WEIGHT", "h*phi1").replace("[step]", '[call]\nlevel = "w"\n[step]') + OWN
    solver = parse_solver(text)
    emitted = torch_file(solver, derive(solver), None, "made.toml")
    assert "CALLED = (\n    (1.0,),\n    (0.9,),\n)\n" in emitted
