"""The pytest plugin, run in a pytest of its own."""

from __future__ import annotations

import functools
import textwrap

import pytest

from verify.errors import VerifyError
from verify.plugin import Refuted, assert_order

from . import handwritten as hand

pytest_plugins = ("pytester",)
# An installed solvergen registers the same plugin by itself, under its entry point's name.
PLUGIN = ("-p", "no:solvergen", "-p", "verify.plugin")


def test_assert_order_passes_and_explains():
    assert_order(hand.midpoint_2m, 2)
    assert_order(hand.frozen_adams, 1, grid="arbitrary")
    third = functools.partial(hand.multistep, second=1.0)
    with pytest.raises(Refuted) as caught:
        assert_order(third, 3)
    text = str(caught.value)
    assert "not of the expected order 3" in text and "none" not in text
    assert "2/2/2" in text and "multiplied by 2" in text


def test_assert_order_is_two_sided():
    with pytest.raises(Refuted):
        assert_order(hand.heun, 1)


def test_unknown_grids_are_named():
    with pytest.raises(VerifyError, match="choose one of"):
        assert_order(hand.heun, 2, grid="karras")


def test_one_test_for_each_sampler(pytester):
    honest = """
        NAME = "{name}"
        CLAIM = {{"order": {claim}}}

        def sample(model, x, sigmas, extra_args=None, callback=None, disable=None):
            for s, t in zip(sigmas[:-1], sigmas[1:]):
                x = t / s * x + (1 - t / s) * model(x, s * x.new_ones(len(x)))
            return x
    """
    folder = pytester.mkdir("made")
    for name, claim in (("good", 1), ("boastful", 2)):
        text = textwrap.dedent(honest).format(name=name, claim=claim)
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    pytester.makepyfile("def test_nothing():\n    pass\n")
    result = pytester.runpytest_inprocess(*PLUGIN, "--solvergen", "made", "-q")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*claims order 2; on every grid it is 1*"])


def test_the_fixture_is_there(pytester):
    pytester.makepyfile(
        """
        from tests.verify import handwritten

        def test_mine(assert_order):
            assert_order(handwritten.runge_kutta_4, 4)
        """
    )
    result = pytester.runpytest_inprocess(*PLUGIN, "-q")
    result.assert_outcomes(passed=1)
