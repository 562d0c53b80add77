"""Random specs of every family end in a file whose orders the judge finds too, or in words."""

import pytest

from .random_specs import FAMILIES, Record, families, met, mutated


def test_a_fault_is_recorded_and_a_refusal_is_not():
    record = Record()
    assert met('name = "a"\nintegrand = "data"\n', record) is None
    assert record.refused.total() == 1 and not record.faults
    slow = 'name = "a"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 5\n'
    assert met(slow, record, limit=1e-3) is None
    assert "of CPU" in record.faults[0][1]


def test_every_family_makes_solvers():
    quick = [name for name in FAMILIES if name != "coordinates"]  # seconds each, at night
    found = families(2, 0, seed=13, names=quick)
    assert all(record.analysed and not record.faults for record in found.values())


@pytest.mark.nightly
def test_many_random_specs():
    found = families(60, 6, seed=2)
    faults = [fault for record in found.values() for fault in record.faults]
    assert not faults, faults[0]
    assert all(record.audited == 6 for record in found.values())
    assert set(found) == set(FAMILIES)


@pytest.mark.nightly
def test_many_mutated_specs():
    record = mutated(2000, seed=2)
    assert not record.faults, record.faults[0]
