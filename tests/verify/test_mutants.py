"""The judge judged: mutants of emitted files are rejected, the files themselves never."""

from __future__ import annotations

from pathlib import Path

import pytest

from verify.mutants import judging as mutants

GENERATED = Path(__file__).parents[2] / "generated"
CHOSEN = [GENERATED / f"{n}.py" for n in ("dpmpp_2m", "dpmpp_3m_as_published", "unipc_2_bh2")]


@pytest.fixture(scope="module")
def outcomes():
    missing = [p.name for p in CHOSEN if not p.exists()]
    if missing:
        pytest.skip(f"not generated: {missing}")
    return mutants.campaign(CHOSEN)


def test_all_that_change_the_order_are_killed(outcomes):
    killed, count = mutants.rates(outcomes)["order"]
    assert count > 30
    assert killed == count, [o for o in outcomes if o.effect == "order" and not o.killed]


@pytest.mark.xfail(reason="weights rounded to float32 pass as single precision in unipc_2_bh2")
def test_nearly_all_that_change_the_constant_are_killed(outcomes):
    killed, count = mutants.rates(outcomes)["constant"]
    assert count > 2 and killed >= 0.95 * count


def test_causes_name_the_step_that_was_changed(outcomes):
    right, count = mutants.causes_right(outcomes)
    assert count > 30 and right >= 0.95 * count, [
        (o.origin, o.name, o.why) for o in outcomes if o.effect == "order" and not o.right
    ]


def test_mutants_cover_weights_nodes_starts_precision_and_source(outcomes):
    names = " ".join(o.name for o in outcomes)
    for part in ("times 1.01", "times 2", "times -1", "start row", "float32", "phi_", "ratio"):
        assert part in names


def test_honest_files_are_never_rejected():
    assert mutants.false_alarms([p for p in CHOSEN if p.exists()], range(5)) == []
