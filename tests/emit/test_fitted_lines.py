"""Files made for levels of their own move to them only with numbers that are their own, if they have some."""

import pytest

from solvergen.derive import derive
from solvergen.emit.python_text import wrap_tuple
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
