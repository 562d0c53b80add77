"""The judge's own figures: what it costs, whom it rejects wrongly, what becomes of mutants."""

from __future__ import annotations

from verify import measures
from verify.mutants.judging import Outcome
from verify.processes.supervised import Limits
from verify.request import Request

TWO = """
def sample_right(model, x, sigmas):
    for s, t in zip(sigmas[:-1], sigmas[1:]):
        x = t / s * x + (1 - t / s) * model(x, s * x.new_ones(len(x)))
    return x

def sample_wrong(model, x, sigmas):
    return 1.01 * sample_right(model, x, sigmas)
"""


def test_costs_and_false_alarms_are_printed_with_what_lies_behind(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(measures, "LIMITS", Limits(seconds=20.0))
    (tmp_path / "two.py").write_text(TWO)
    right = f"{tmp_path / 'two.py'}:sample_right"
    assert measures.main(["cost", right]) == 0
    assert "1 targets: " in capsys.readouterr().out
    asked = [
        Request(f"{tmp_path / 'two.py'}:sample_{name}", claim=1, settings=dict(measures.AUDIT))
        for name in ("right", "wrong")
    ]
    found = measures.alarms(asked, [0])
    assert [(name.rpartition("_")[2], seed) for name, seed, _ in found] == [("wrong", 0)]
    assert "claims order 1" in found[0][2]


def test_mutants_that_live_and_causes_that_miss_are_listed():
    killed = Outcome("ddim", "weight 1 times 2", "order", 1.0, True, "step 3 is wrong", False)
    alive = Outcome("ddim", "weight 1 times 2", "order", 1.0, False, "")
    fine = Outcome("ddim", "weight 1 times 2", "order", 1.0, True, "every step is wrong", True)
    assert measures.missed([killed, alive, fine]) == [
        "alive: ddim: weight 1 times 2",
        "another step named: ddim: weight 1 times 2: step 3 is wrong",
    ]
