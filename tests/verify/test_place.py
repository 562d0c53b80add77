"""Annotations stand in the file and at the line of a sampler's step."""

from pathlib import Path

from verify.judge import judge
from verify.targets import find

DECORATED = """import torch

@torch.no_grad()
def sample_slip(model, x, sigmas):
    for high, low in zip(sigmas[:-1], sigmas[1:]):
        x = low / high * x + 1.1 * (1 - low / high) * model(x, high * x.new_ones(len(x)))
    return x
"""


def test_a_decorated_sampler_of_a_module_is_annotated_in_its_own_file(tmp_path, monkeypatch):
    (tmp_path / "slips.py").write_text(DECORATED)
    monkeypatch.syspath_prepend(str(tmp_path))
    (target,) = find("slips:sample_slip")
    verdict = judge(target, claim=1, rates=False, conduct=False)
    assert (verdict.status, verdict.line) == ("fail", 6)
    assert Path(verdict.path) == tmp_path / "slips.py"


def test_a_sampler_that_raises_is_told_the_step_and_the_call(tmp_path):
    (tmp_path / "broken.py").write_text(
        DECORATED.replace("    return", "        x = [x][int(high < 0.85)]\n    return")
    )
    (target,) = find(f"{tmp_path / 'broken.py'}:sample_slip")
    verdict = judge(target, claim=1, rates=False, conduct=False)
    assert (verdict.status, verdict.reason) == ("error", "raises")
    assert {c["step"] for c in verdict.causes} == {"2"}
    assert verdict.findings[1] == "it raises in step 2, after model call 3, at level 0.8187"


def test_a_claim_above_what_the_nodes_allow_has_a_cause_that_says_so(tmp_path):
    (tmp_path / "plain.py").write_text(DECORATED.replace("1.1 * ", ""))
    (target,) = find(f"{tmp_path / 'plain.py'}:sample_slip")
    verdict = judge(target, claim=2, rates=False, conduct=False)
    assert verdict.status == "fail"
    assert {(c["kind"], c["step"], c["grid"]) for c in verdict.causes} == {
        ("limit", "every", kind) for kind in ("uniform", "smooth", "arbitrary")
    }
    assert judge(target, claim=1, rates=False, conduct=False).causes == ()
