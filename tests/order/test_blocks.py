"""Orders of steps that span several intervals, and of steps that look ahead."""

import pytest

from solvergen import gallery
from solvergen.derive import derive
from solvergen.order import analyse
from solvergen.order.expansion.grid import symbolic


def report(name):
    return analyse(derive(gallery.load(name)))


def table(found, mode):
    return [found.orders[kind][mode].value for kind in ("uniform", "smooth", "arbitrary")]


@pytest.mark.parametrize("name", ["dpm_solver_3_grid", "dpmpp_3s_grid"])
def test_nodes_of_the_grid_cost_the_third_order_where_ratios_are_not_one_to_two(name):
    found = report(name)
    assert table(found, "exact_start") == [3, 3, 2]
    assert table(found, "own_end") == [2, 2, 2]  # by the DDIM step for one interval left over
    ((word, value),) = found.symbolic.terms
    assert word == (2, ()) and str(value) and found.symbolic.exponent == 3


def test_on_a_uniform_grid_a_block_is_the_solver_with_even_nodes():
    found, plain = report("dpm_solver_3_grid"), report("dpm_solver_3")
    assert found.uniform.terms == plain.uniform.terms


def test_three_exact_nodes_are_of_order_three_for_one_ratio_only():
    found = report("dpm_solver_3_grid_taylor")
    assert table(found, "exact_start") == [3, 3, 2]  # u2 is reached to second order only


def test_two_exact_nodes_are_of_order_two_at_any_ratio():
    assert table(report("dpmpp_2s_grid_taylor"), "own_end") == [2, 2, 2]


def test_weights_that_know_how_far_the_run_has_come():
    found = report("heunpp2")
    assert table(found, "own_end") == [1, 1, 1]
    assert str(found.uniform).endswith("[(remaining - 1/2) D']")


def test_points_inside_a_block_are_symbols_and_its_ends_are_numbers():
    position = symbolic(3).position
    assert (position(0), position(3)) == (0, 1)
    assert [str(position(site))[:7] for site in (1, 2)] == ["<in g1:", "<in g2:"]
    assert str(symbolic().position(-2)).startswith("<in r1, r2:") and symbolic().position(1) == 1
