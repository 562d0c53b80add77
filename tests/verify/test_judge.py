"""Verdicts, targets, reports, commands, sweeps."""

from __future__ import annotations

import json
import re
import textwrap
from xml.etree import ElementTree

import pytest

from verify import command
from verify.errors import TargetError
from verify.judge import judge
from verify.processes import sweep
from verify.report import machine, page, terminal
from verify.targets import callable_target, find

from . import handwritten as hand
from .conftest import needs_diffusers, needs_k_diffusion

# the rule alone: what real runs show is tested in test_conduct.py
AUDIT = {"rates": False, "conduct": False}
DDIM = """
def sample(model, x, sigmas, extra_args=None, callback=None, disable=None, *, power=1):
    for s, t in zip(sigmas[:-1], sigmas[1:]):
        r = (t / s) ** power
        x = r * x + (1 - r) * model(x, s * x.new_ones(len(x)))
    return x
"""


def emitted(**stated):
    return "".join(f"{k} = {v!r}\n" for k, v in stated.items()) + textwrap.dedent(DDIM)


TRUE_ORDER = {
    kind: {start: [1, True] for start in ("exact_start", "own_start", "own_end")}
    for kind in ("uniform", "smooth", "arbitrary")
}


def leading(coefficient):
    rows = [{"word": "D'", "tree": [1, []], "coef": coefficient}]
    return {"uniform": rows, "symbolic": rows}


@pytest.fixture
def folder(tmp_path):
    good = emitted(
        NAME="ddim",
        INTEGRAND="data",
        CLAIM={"order": 1},
        ORDER=TRUE_ORDER,
        LEADING_ERROR=leading("-1/2"),
    )
    (tmp_path / "good.py").write_text(good, encoding="utf-8")
    (tmp_path / "broken.py").write_text("raise ValueError('not today')\n", encoding="utf-8")
    (tmp_path / "claims2.py").write_text(emitted(CLAIM={"order": 2}), encoding="utf-8")
    return tmp_path


def test_an_honest_file_passes_in_every_respect(folder):
    (target,) = find(str(folder / "good.py"))
    verdict = judge(target)
    assert verdict.status == "pass", verdict.findings
    assert verdict.audited == {"uniform": 1, "smooth": 1, "arbitrary": 1}
    assert set(verdict.measured) == {"uniform", "karras", "uniform_t", "smooth", "rough"}
    assert all(abs(s - 1) < 0.05 for s in verdict.measured.values())
    assert all(0.97 < c["ratio"] < 1.03 for c in verdict.constants.values())
    assert set(verdict.constants) == {"uniform", "rough"}
    assert verdict.calls_per_step == 1


def test_a_wrong_constant_of_one_percent_is_refuted(folder):
    text = emitted(INTEGRAND="data", ORDER=TRUE_ORDER, LEADING_ERROR=leading("-101/200"))
    (folder / "good.py").write_text(text, encoding="utf-8")
    verdict = judge(find(str(folder / "good.py"))[0], **AUDIT)
    assert verdict.status == "fail"
    assert "stated -0.505, audited -0.5" in verdict.findings[0]


def test_a_wrong_statement_of_order_is_refuted(folder):
    wrong = {**TRUE_ORDER, "smooth": {**TRUE_ORDER["smooth"], "exact_start": [2, True]}}
    (folder / "good.py").write_text(emitted(ORDER=wrong), encoding="utf-8")
    verdict = judge(find(str(folder / "good.py"))[0], **AUDIT)
    assert verdict.status == "fail"
    assert verdict.findings == (
        "the file states order 2 (exact_start, smooth grids); the audit finds 1",
    )


def test_verdicts_are_the_same_again():
    target = callable_target(hand.frozen_adams, claim=4)
    one, two = (machine.as_json([judge(target, grids=("rough",), conduct=False)]) for _ in range(2))
    assert one == two


def test_one_bad_target_does_not_stop_the_others(folder):
    verdicts = sweep.sweep(
        [sweep.Request(str(folder), settings=dict(AUDIT))],
    )
    by_name = {v.target.rsplit("/", 1)[-1]: v for v in verdicts}
    assert by_name["good.py"].status == "pass"
    assert (
        by_name["broken.py"].status == "error" and "not today" in by_name["broken.py"].findings[0]
    )
    assert by_name["claims2.py"].status == "fail"


def test_a_sampler_that_exits_stops_nobody_and_ctrl_c_does(folder):
    def leaving(error):
        def sample(model, x, sigmas):
            raise error

        return callable_target(sample, name="leaving")

    verdict = judge(leaving(SystemExit(3)), **AUDIT)
    assert (verdict.status, verdict.reason) == ("error", "raises")
    assert "SystemExit: 3" in verdict.findings[0]
    with pytest.raises(KeyboardInterrupt):
        judge(leaving(KeyboardInterrupt()), **AUDIT)
    script = folder / "script.py"
    script.write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    (verdict,) = sweep.sweep([sweep.Request(str(script))])
    assert "SystemExit on import" in verdict.findings[0]


def test_a_stopped_sweep_is_resumed(folder, monkeypatch):
    record = folder / "record.jsonl"
    requests = [sweep.Request(str(folder), settings=dict(AUDIT))]
    first = sweep.sweep(requests, record=record)
    lines = record.read_text(encoding="utf-8").splitlines()
    # a stop in the middle of a line loses that line only
    record.write_text("\n".join([*lines[:2], lines[2][:40]]), encoding="utf-8")
    seen = []
    original = sweep.settle
    monkeypatch.setattr(sweep, "settle", lambda r: seen.append(r.target) or original(r))
    again = sweep.sweep(requests, record=record)
    assert len(seen) == 1
    assert machine.as_json(first) == machine.as_json(again)


def test_an_edited_file_is_judged_again(folder):
    record = folder / "record.jsonl"
    request = sweep.Request(str(folder / "claims2.py"), settings=dict(AUDIT))
    assert sweep.sweep([request], record=record)[0].status == "fail"
    (folder / "claims2.py").write_text(emitted(CLAIM={"order": 1}), encoding="utf-8")
    assert sweep.sweep([request], record=record)[0].status == "pass"


def test_several_processes(folder):
    pytest.importorskip("joblib")
    requests = [sweep.Request(str(folder), settings=dict(AUDIT))]
    many = sweep.sweep(requests, jobs=2, backend="threading")
    assert machine.as_json(many) == machine.as_json(sweep.sweep(requests))


def test_command_speaks_json_and_exit_codes(folder, capsys):
    good, bad, broken = (str(folder / n) for n in ("good.py", "claims2.py", "broken.py"))
    assert command.main(["audit", good, "--json"]) == 0
    (data,) = json.loads(capsys.readouterr().out)
    assert data["audited"] == {"uniform": 1, "smooth": 1, "arbitrary": 1}
    assert data["claim"] == 1 and data["causes"] == [] and data["calls_per_step"] == 1
    assert command.main(["audit", bad]) == 1
    assert "claims order 2; on every grid it is 1" in capsys.readouterr().out
    assert command.main(["audit", good, broken]) == 2
    assert command.main(["audit", good, "--with", "power"]) == 2
    assert "not KEY=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--jobs", "2", "--backend", "nosuch"], "--backend nosuch"),
        (["--html", "nowhere/page.html"], "no folder nowhere"),
        (["--junit", "."], "a folder"),
    ],
)
def test_what_cannot_be_done_is_refused_before_judging(folder, capsys, monkeypatch, flags, said):
    if "--backend" in flags:
        pytest.importorskip("joblib")
    monkeypatch.setattr(sweep, "settle", None)
    assert command.main(["verify", str(folder / "good.py"), *flags]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and said in told and told.count("\n") == 1


def test_options_reach_the_sampler(folder, capsys):
    good = str(folder / "claims2.py")
    assert command.main(["audit", good, "--with", "power=2", "--json"]) == 1
    (data,) = json.loads(capsys.readouterr().out)
    # (t/s)^2 is not the exact solution of the linear part: not even consistent
    assert data["audited"]["uniform"] == 0
    assert data["causes"][0]["kind"] == "inconsistent"


def test_reports_are_well_formed(folder, capsys):
    html, junit = folder / "r.html", folder / "r.xml"
    targets = [str(folder / n) for n in ("good.py", "claims2.py", "broken.py")]
    code = command.main(
        ["verify", *targets, "--grid", "uniform", "--html", str(html), "--junit", str(junit)]
        + ["--github"]
    )
    out = capsys.readouterr().out
    assert code == 2
    assert out.count("::error ") == 2 and "claims order 2" in out
    suite = ElementTree.parse(junit).getroot()
    assert suite.attrib["tests"] == "3" and suite.attrib["failures"] == "1"
    assert suite.attrib["errors"] == "1"
    text = html.read_text(encoding="utf-8")
    assert text.count('class="chart"') > 5 and "default-src 'none'" in text
    assert not re.search(r'<(?:script|link|img|a)[^>]* (?:src|href)="(?!#)', text)


def test_a_strangers_words_cannot_break_the_page():
    def rude(model, x, sigmas):
        raise RuntimeError("<script>alert(1)</script>\x00 & ]]>")

    verdict = judge(callable_target(rude), conduct=False)
    assert "<script>alert" not in page.page([verdict])
    ElementTree.fromstring(machine.as_junit([verdict]))
    assert "RuntimeError" in terminal.table([verdict])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.py", "no such file"),
        ("nowhere", "not a target"),
        ("mine.toml", "run `solvergen generate mine.toml --out FOLDER` first"),
        ("json:nothing", "has no 'nothing'"),
        ("nomodule_at_all:f", "cannot be imported"),
        ("json:loads", "is not known; name its convention"),
    ],
)
def test_targets_that_are_none_say_why(text, message):
    with pytest.raises(TargetError, match=message):
        find(text)


@needs_k_diffusion
def test_k_diffusion_runs_without_its_other_imports():
    (target,) = find("k_diffusion.sampling:sample_dpmpp_2m")
    assert judge(target, **AUDIT).audited["arbitrary"] == 2


@needs_diffusers
@pytest.mark.parametrize(
    ("name", "options", "expected", "kinds"),
    [
        ("DPMSolverMultistepScheduler", {"solver_order": 3}, (2, 2, 2), {"moment"}),
        ("IPNDMScheduler", {}, (2, 2, 1), {"frozen"}),
        ("UniPCMultistepScheduler", {"solver_order": 3}, (2, 2, 2), {"start", "end"}),
        (
            "UniPCMultistepScheduler",
            {"solver_order": 3, "lower_order_final": False},
            (3, 3, 3),
            {"start"},
        ),
    ],
)
def test_what_is_wrong_with_the_shipped_peers(name, options, expected, kinds):
    (target,) = find(f"diffusers:{name}", options)
    verdict = judge(target, **AUDIT)
    assert tuple(verdict.audited.values()) == expected
    assert {c["kind"] for c in verdict.causes} == kinds
    if kinds == {"moment"}:
        assert all(abs(c["factor"] - 2) < 1e-3 and c["degree"] == 2 for c in verdict.causes)
    if "end" in kinds:
        assert {c["caps"] for c in verdict.causes if c["kind"] == "start"} == {3}
        assert {c["caps"] for c in verdict.causes if c["kind"] == "end"} == {2}


@needs_diffusers
def test_single_precision_of_a_host_is_reported():
    (target,) = find("diffusers:IPNDMScheduler")
    verdict = judge(target, grids=("uniform",), conduct=False)
    assert 1e-9 < verdict.floor < 1e-5
    assert any("single-precision" in f for f in verdict.findings)


def test_a_sampler_in_single_precision_is_judged_and_told_so():
    def rounded(model, x, sigmas):
        return hand.heun(model, x.float(), sigmas.float()).to(x.dtype)

    verdict = judge(callable_target(rounded), **AUDIT)
    assert set(verdict.audited.values()) == {2} and verdict.reason == ""
    assert any("single precision" in text for text in verdict.findings)


def test_options_are_numbers_where_they_can_be(folder, capsys):
    parsed = command.parse_options(["a=1", "c=-inf", "d=1e3", "e=heun", "f=true"])
    assert parsed == {"a": 1, "c": float("-inf"), "d": 1e3, "e": "heun", "f": True}
    assert isinstance(command.parse_options(["b=nan"])["b"], float)
    command.main(["audit", str(folder / "claims2.py"), "--with", "power=abc"])
    assert "given as text, not as numbers: power = 'abc'" in capsys.readouterr().out


def test_order_zero_has_no_constant(folder):
    """With D left out the state shrinks to x t / s: the error does not vanish, nor is it a multiple."""
    words = [{"word": "1", "tree": [0, []], "coef": "-1"}]
    stated = {
        "INTEGRAND": "data",
        "ORDER": {kind: {key: [0, True] for key in starts} for kind, starts in TRUE_ORDER.items()},
        "LEADING_ERROR": {"uniform": words, "symbolic": words},
    }
    path = folder / "zero.py"
    path.write_text(emitted(**stated).replace("model(x,", "0 * model(x,"), encoding="utf-8")
    (target,) = find(str(path))
    verdict = judge(target, grids=("uniform",), conduct=False)
    assert (verdict.status, verdict.constants) == ("pass", {}), verdict.findings


def test_weights_that_diverge_contradict_no_statement(tmp_path):
    """The derivation calls it order -1; conditions only tell that a constant is not integrated."""
    from solvergen.derive import derive
    from solvergen.emit.torch_file import torch_file
    from solvergen.order import analyse
    from solvergen.spec import parse_solver

    rule = 'rule = "weights"\nweights = { n = "phi1" }'
    solver = parse_solver(f'name = "diverging"\nintegrand = "data"\n[step]\n{rule}\n')
    program = derive(solver)
    path = tmp_path / "diverging.py"
    path.write_text(torch_file(solver, program, analyse(program).theory()), encoding="utf-8")
    (target,) = find(str(path))
    verdict = judge(target, **AUDIT)
    assert set(verdict.audited.values()) == {0}
    assert not [text for text in verdict.findings if "states" in text or "leading" in text]
