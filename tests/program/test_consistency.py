"""A rule whose weights do not sum to the integral of a constant is named."""

from __future__ import annotations

import pytest

from solvergen import gallery
from solvergen.derive import derive
from solvergen.program.consistency import inconsistent_rows
from solvergen.spec import parse_solver


@pytest.mark.parametrize("name", gallery.names()[::5])
def test_gallery_solvers_are_consistent(name: str) -> None:
    assert inconsistent_rows(derive(gallery.load(name))) == []


@pytest.mark.parametrize(
    ("integrand", "rule"),
    [
        ("data", 'rule = "weights"\nweights = { n = "h*phi2" }'),
        ("noise", 'rule = "weights"\nweights = { n = "h*phi1", "n-1" = "h*phi1" }'),
        ("data", 'rule = "mean-value"\nnodes = ["n"]\nscale = "9/10"'),
        ("velocity", 'rule = "weights"\ncoordinate = "clock"\nweights = { n = "1/2" }'),
    ],
)
def test_a_missing_part_of_the_integral_is_seen(integrand: str, rule: str) -> None:
    start = '\n[start]\nusing = ["ddim"]\n' if '"n-1"' in rule else "\n"
    solver = parse_solver(f'name = "bad"\nintegrand = "{integrand}"\n[step]\n{rule}{start}')
    assert any(row.startswith("the step (") for row in inconsistent_rows(derive(solver)))


def test_weights_without_h_are_told_so() -> None:
    rule = 'rule = "weights"\nweights = { n = "phi1" }'
    solver = parse_solver(f'name = "bad"\nintegrand = "data"\n[step]\n{rule}\n')
    assert any("lack the factor h" in told for told in inconsistent_rows(derive(solver)))


def test_a_deviation_without_h_is_told_so() -> None:
    stage = '[[stage]]\nname = "a"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
    rule = '[step]\nrule = "interpolate"\nnodes = ["n"]\ndeviations = {{ a = "{}" }}\n'
    head = 'name = "bad"\nintegrand = "data"\n'
    for weight, count in (("h*phi1*5", 0), ("1", 1)):
        told = inconsistent_rows(derive(parse_solver(head + stage + rule.format(weight))))
        assert sum("deviation of n, a lacks the factor h" in line for line in told) == count
        assert len(told) == count
