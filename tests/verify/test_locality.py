"""Weights that depend on the whole grid: order conditions must not vouch for them."""

from __future__ import annotations

import itertools

import pytest
import torch

from verify import command
from verify.judge import judge
from verify.order.audit import audit
from verify.order.stated_error import bound_only
from verify.problems.grids import GRIDS
from verify.targets import callable_target, find

from . import handwritten as hand


def offset(model, x, sigmas):
    """DDIM whose outputs are scaled by a factor of the first level: not even consistent."""
    for s, t in itertools.pairwise(sigmas):
        d = model(x, s * x.new_ones(len(x))) * (1 + 0.1 * (1 - s / sigmas[0]))
        x = t / s * x + (1 - t / s) * d
    return x


def _multistep(model, x, sigmas, gate=None, stale=False):
    old = last = None
    for s, t in itertools.pairwise(sigmas):
        d = model(x, s * x.new_ones(len(x)))
        h = torch.log(s / t)
        slope = 0 if old is None else (d - old) * h / last
        x = t / s * x - torch.expm1(-h) * (d + 0.5 * (gate(s, sigmas) if gate else 1) * slope)
        old = d
        last = h if last is None or not stale else last
    return x


def gated(model, x, sigmas):
    """2M whose history fades with sigma / sigma_max: order one."""
    return _multistep(model, x, sigmas, gate=lambda s, sigmas: s / sigmas[0])


def counted(model, x, sigmas):
    """2M whose history depends on the number of steps."""
    return _multistep(model, x, sigmas, gate=lambda s, sigmas: 1 - 1 / len(sigmas))


def stale(model, x, sigmas):
    """2M that keeps the first step for all its ratios."""
    return _multistep(model, x, sigmas, stale=True)


@pytest.mark.parametrize("sampler", [offset, gated, counted, stale])
def test_the_audit_does_not_vouch_for_them(sampler):
    found = audit(sampler)
    assert (found.status, found.grids) == ("nonlocal", {})
    assert "depend on the whole grid" in found.message
    verdict = judge(callable_target(sampler, claim=1), rates=False, conduct=False)
    assert (verdict.status, verdict.reason) == ("error", "nonlocal")
    assert "could not be judged" in verdict.findings[0]


@pytest.mark.parametrize(("sampler", "claim"), [(gated, 2), (stale, 2)])
def test_measured_rates_decide(sampler, claim):
    verdict = judge(callable_target(sampler, claim=claim), grids=("karras",), conduct=False)
    assert verdict.status == "fail" and abs(verdict.measured["karras"] - 1) < 0.2
    assert (
        judge(callable_target(sampler, claim=1), grids=("karras",), conduct=False).status == "pass"
    )


def test_an_error_that_stays_is_no_pass():
    verdict = judge(callable_target(offset, claim=1), grids=("uniform",), conduct=False)
    assert verdict.status == "error"
    assert any("does not tend to zero" in f for f in verdict.findings)


@pytest.mark.parametrize(
    "sampler", [hand.ddim, hand.multistep, hand.heun, hand.frozen_adams, hand.predictor_corrector]
)
def test_local_samplers_stay_so(sampler):
    assert audit(sampler).status == "ok"


def test_an_imported_sampler_is_not_the_files_own(tmp_path):
    (tmp_path / "theirs.py").write_text(
        "def sample(model, x, sigmas):\n    return x\n", encoding="utf-8"
    )
    text = """
import importlib.util, pathlib
place = pathlib.Path(__file__).parent / "theirs.py"
spec = importlib.util.spec_from_file_location("theirs", place)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sample = module.sample
print("printed on import")
def sample_mine(model, x, sigmas):
    for s, t in zip(sigmas[:-1], sigmas[1:]):
        x = t / s * x + (1 - t / s) * model(x, s * x.new_ones(len(x)))
    return x
"""
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    (target,) = find(str(tmp_path / "mine.py"))
    assert target.name.endswith(":sample_mine")


def test_the_command_speaks_plainly(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(
        "print('noise')\ndef sample_one(model, x, sigmas, a=1, b=1):\n"
        "    for s, t in zip(sigmas[:-1], sigmas[1:]):\n"
        "        x = t / s * x + (1 - t / s) * model(x, s * x.new_ones(len(x)))\n"
        "    return x\n",
        encoding="utf-8",
    )
    assert command.main(["audit", "--with", "a=2", "--with", "b=3", str(path)]) == 0
    out = capsys.readouterr().out
    assert "noise" not in out and "a=2 b=3" in out
    assert "measured" not in out and "constant" not in out and "calls:" in out
    assert command.main(["audit", "dpmpp_2m"]) == 2
    assert "solvergen generate dpmpp_2m" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["audit", str(path), "--convention", "nonsense"])
    assert tuple(GRIDS) == command.GRID_NAMES


def test_a_lower_bound_states_no_constant():
    at_least = {"ORDER": {"uniform": {"exact_start": [3, False]}}}
    assert bound_only(at_least, "uniform", 4)
    assert not bound_only(at_least, "uniform", 3)
    assert not bound_only({"ORDER": {"uniform": {"exact_start": [3, True]}}}, "uniform", 4)
