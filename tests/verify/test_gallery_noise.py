"""The orders that files with noise state, derived, are those that the judge measures."""

from pathlib import Path

import pytest

from verify.judge import judge
from verify.targets import find

FILES = sorted((Path(__file__).parents[2] / "generated").glob("*.py"))
NOISY = [path for path in FILES if "\nNOISE = " in path.read_text(encoding="utf-8")]
# A hundred moves a level, counted from single runs: minutes.
LONG = {"annealed_langevin"}
DAILY = [
    pytest.param(path, marks=pytest.mark.nightly) if path.stem in LONG else path for path in NOISY
]
# What has no linear map has no orders; this one draws only when it is told to.
UNTOLD = {"predictor_corrector_ve_snr", "euler_churn_as_shipped_by_diffusers"}


@pytest.mark.parametrize("path", DAILY, ids=lambda path: path.stem)
def test_stated_orders_are_measured(path):
    (target,) = find(str(path))
    verdict = judge(target, rates=False)
    assert verdict.status == ("none" if path.stem in UNTOLD else "pass"), verdict.findings
