"""No false alarm: honest samplers hold what they claim, whatever the style, the clock and the seed."""

from __future__ import annotations

import pytest

from verify.errors import TargetError
from verify.judge import judge
from verify.targets import callable_target

from .honest import HONEST

DAILY = {
    *(f"heun as {style}" for style in ("generator", "opaque", "edm", "vp", "flow")),
    "krogstad as plain",
    "Adams-Bashforth 4 in angle",
    "Adams-Bashforth 3 in root",
}
# of places and random outputs; real runs have none and are made with the last
SEEDS = range(20)


def rejected(entry, seeds):
    name, sampler, convention, order = entry
    target = callable_target(sampler, name=name, convention=convention, claim=order)
    for seed in seeds:
        verdict = judge(target, rates=False, conduct=seed == SEEDS[-1], seed=seed)
        if verdict.status != "pass" or set(verdict.audited.values()) != {order}:
            yield seed, verdict.status, verdict.findings[:2]


def test_there_are_thirty():
    assert len(HONEST) == 30 and DAILY < {name for name, *_ in HONEST}


@pytest.mark.parametrize("entry", [e for e in HONEST if e[0] in DAILY], ids=lambda e: e[0])
def test_an_honest_sampler_passes(entry):
    assert not list(rejected(entry, [0]))


@pytest.mark.nightly
@pytest.mark.parametrize("entry", HONEST, ids=lambda e: e[0])
def test_an_honest_sampler_passes_with_every_seed(entry):
    assert not list(rejected(entry, SEEDS))


def test_a_closure_that_names_no_argument_asks_for_its_convention():
    (sampler,) = (s for name, s, *_ in HONEST if name == "heun as opaque")
    with pytest.raises(TargetError, match=r"name its convention: one of .*k-diffusion.*flow"):
        callable_target(sampler)
