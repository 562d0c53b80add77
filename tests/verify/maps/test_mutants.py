"""The examiner's own test: maps with one fault each are refuted by the check that names it."""

import pytest

from verify.maps.mutants import MUTANTS

SLOW = {"guidance shown", "collapse", "modes"}


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(one, id=one.check, marks=[pytest.mark.nightly] if one.check in SLOW else [])
        for one in MUTANTS
    ],
)
def test_a_mutant_is_refuted_by_the_check_that_names_its_fault(mutant):
    made = mutant.examination()
    assert not made.error
    assert mutant.check in [one.name for one in made.refuted]
    # a fault of the law or of the network is seen by nothing that looks elsewhere
    assert "finite" not in [one.name for one in made.refuted]
    assert "independent samples" not in [one.name for one in made.refuted]
