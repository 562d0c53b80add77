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
