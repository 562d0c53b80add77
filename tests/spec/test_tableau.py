"""[tableau]: Runge-Kutta tables written out as stages, explicit and iterated."""

from __future__ import annotations

import pytest

from solvergen.derive import derive
from solvergen.errors import SpecError
from solvergen.gallery import load
from solvergen.order import analyse
from solvergen.program.same import same
from solvergen.spec import parse_solver

HEAD = 'name = "t"\nintegrand = "noise"\ncoordinate = "clock"\n'

RK4 = (
    HEAD
    + """
[tableau]
c = ["1/2", "1/2", "1"]
a = [["1/2"], ["0", "1/2"], ["0", "0", "1"]]
b = ["1/6", "1/3", "1/3", "1/6"]
"""
)

GAUSS = (
    HEAD
    + """
[tableau]
c = ["1/2 - sqrt(3)/6", "1/2 + sqrt(3)/6"]
a = [["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]]
b = ["1/2", "1/2"]
sweeps = {sweeps}
"""
)


def test_a_table_is_the_stages_it_stands_for() -> None:
    assert same(derive(parse_solver(RK4)), derive(load("rk4_clock"))) is None


def test_an_exponential_table_in_lambda_multiplies_h() -> None:
    text = 'name = "t"\nintegrand = "data"\n[tableau]\nc = ["1/2"]\n' \
           'a = [["phi(1, 1/2)/2"]]\nb = ["phi1 - 2*phi2", "2*phi2"]\n'  # fmt: skip
    assert same(derive(parse_solver(text)), derive(load("res_2s"))) is None


@pytest.mark.parametrize(("sweeps", "order"), [(1, 2), (2, 3), (3, 4), (4, 4)])
def test_every_sweep_of_an_implicit_table_gains_an_order(sweeps: int, order: int) -> None:
    # Each sweep multiplies the stage error by h; Gauss-Legendre with two stages stops at 4.
    report = analyse(derive(parse_solver(GAUSS.format(sweeps=sweeps))))
    assert report.order.value == order
    assert report.order.exact


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["0", "1/2"]', '["1/2"]', "row 2 of a needs 2 weights, found 1"),
        ('c = ["1/2", ', 'c = [', "b has 4 weights, so c and a need 3 entries"),
        ("[tableau]", '[step]\nrule = "interpolate"\nnodes = ["n"]\n[tableau]', "[tableau] takes the place"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused_where_they_stand(old: str, new: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_solver(RK4.replace(old, new), "bad.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("bad.toml:")
    assert caught.value.line > 3


def test_repeated_corrector_sweeps_evaluate_each_time() -> None:
    text = 'name = "t"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 1\n' \
           '[corrector]\nmode = "PECE"\nsweeps = {n}\nrule = "adams-moulton"\nsteps = 3\n'  # fmt: skip
    orders = []
    for sweeps in (1, 2, 3):
        program = derive(parse_solver(text.replace("{n}", str(sweeps))))
        assert program.evaluations_per_step == 1 + sweeps
        orders.append(analyse(program).orders["arbitrary"]["exact_start"].value)
    assert orders == [2, 3, 3]


def test_a_pec_corrector_takes_one_sweep() -> None:
    text = 'name = "t"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 1\n' \
           '[corrector]\nsweeps = 2\nrule = "adams-moulton"\nsteps = 2\n'  # fmt: skip
    with pytest.raises(SpecError, match="PEC exactly one"):
        parse_solver(text)


FULL = """
name = "merson"
integrand = "noise"
coordinate = "clock"
[tableau]
c = [{c}"1/3", "1/3", "1/2", "1"]
a = [{a}["1/3"{z}], ["1/6", "1/6"], ["1/8", "0", "3/8"], ["1/2", "0", "-3/2", "2"]]
b = ["1/6", "0", "0", "2/3", "1/6"]
"""


@pytest.mark.parametrize(
    "printed", [{"a": "[], "}, {"a": '["0", "0"], '}, {"a": "[], ", "z": ', "0", "0"'}]
)
def test_a_table_as_it_is_printed_is_read_too(printed):
    short = parse_solver(FULL.format(c="", a="", z=""))
    found = parse_solver(FULL.format(c='"0", ', **{"z": "", **printed}))
    assert (found.stages, found.step) == (short.stages, short.step)


def test_a_first_row_that_is_not_zero_is_refused():
    with pytest.raises(SpecError, match="need 4 entries"):
        parse_solver(FULL.format(c='"1/9", ', a="[], ", z=""))


def test_a_plus_in_a_bare_key_is_named():
    with pytest.raises(SpecError, match='write "n\\+1" with quotes'):
        parse_solver('name = "a"\n[corrector]\nweights = { n = "1", n+1 = "1/2" }\n')
