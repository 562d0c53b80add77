"""cure, compare, conditions, and claims that generate checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from solvergen.cli import main
from solvergen.derive import derive
from solvergen.order import analyse
from solvergen.spec import read_solver


def test_cure_writes_a_spec_that_proves_its_order(tmp_path: Path) -> None:
    out = tmp_path / "cured.toml"
    assert main(["cure", "dpmpp_3m", "--out", str(out)]) == 0
    cured = read_solver(out)
    assert cured.name == "dpmpp_3m_cured"
    assert analyse(derive(cured)).order.value == 3
    assert cured.claim.order == 3 and not cured.claim.records
    assert cured.title.endswith(", cured")


def test_cure_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.toml"
    out.write_text("precious")
    assert main(["cure", "dpmpp_3m", "--out", str(out)]) == 2
    assert out.read_text() == "precious"
    assert "exists" in capsys.readouterr().err


def test_nothing_to_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cure", "dpmpp_2m"]) == 0
    assert "nothing to cure" in capsys.readouterr().out


def test_cures_are_listed_with_their_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cure", "unipc_3_bh2", "--list"]) == 0
    listed = capsys.readouterr().out
    assert "order 3 becomes 4 (no cost)" in listed
    assert "[start] using = [" in listed
    assert "(2 more evaluations)" in listed


def test_compare_ranks_order_before_constant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "ddim", "dpmpp_2m", "dpmpp_2m_exact", "unipc_2_bh2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["unipc_2_bh2", "dpmpp_2m_exact", "dpmpp_2m", "ddim"]
    assert [row["order"]["order"] for row in rows] == [3, 2, 2, 1]


def test_conditions_are_solved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conditions", "dpm_solver_3", "3"]) == 0
    assert "r2 = 2/3" in capsys.readouterr().out


def test_explain_json_carries_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "unipc_3_bh2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["order"]["arbitrary"]["exact_start"] == {"order": 4, "exact": True}
    assert facts["order"]["arbitrary"]["own_start"] == {"order": 3, "exact": True}
    assert {"word": "D^(4)", "tree": [4, []], "coef": "19/720"} in facts["leading_error"]["uniform"]


@pytest.mark.parametrize("records", [False, True])
def test_a_false_claim_fails_the_check_unless_it_records_the_publication(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], records: bool
) -> None:
    spec = tmp_path / "boast.toml"
    spec.write_text(
        'name = "boast"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 3\n'
        "[claim]\norder = 3\n" + ('records = "publication"\n' if records else "")
    )
    where = ["--out", str(tmp_path)]
    main(["generate", str(spec), *where])
    capsys.readouterr()
    assert main(["generate", str(spec), "--check", *where]) == (0 if records else 1)
    assert ("claims order 3, derived is exactly 2" in capsys.readouterr().err) is not records


def test_all_false_claims_of_a_spec_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "boast.toml"
    spec.write_text(
        'name = "boast"\nintegrand = "data"\n[noise]\nform = "sde"\nstrength = "1/2"\n'
        '[step]\nrule = "interpolate"\nnodes = ["n"]\n'
        "[claim]\norder = 2\nmean = 3\ncovariance = 2\nstrong = 2\n"
    )
    main(["generate", str(spec), "--out", str(tmp_path)])
    capsys.readouterr()
    assert main(["generate", str(spec), "--check", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    for text in ("mean order 3", "covariance order 2", "strong order 2", "no single order"):
        assert text in said


@pytest.mark.parametrize(
    ("name", "meaning"),
    [("ddim", "the denoised prediction"), ("dpm_solver_2", "minus the noise prediction, −ε")],
)
def test_explain_says_what_the_words_are_made_of(
    name: str, meaning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", name]) == 0
    assert f"D is {meaning}, along the solution" in capsys.readouterr().out


def test_compare_shows_no_constant_that_does_not_apply(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "dpmpp_3m", "dpmpp_2m"]) == 0
    shown = capsys.readouterr()
    last = shown.out.splitlines()[-1].split()
    assert last[0] == "dpmpp_3m" and last[4:7] == ["h^2", "-", "-"]
    assert "does not apply" in shown.err
    assert main(["compare", "dpmpp_3m", "--json", "--start", "exact_start"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["error_power"] == 3 and row["error_norm"] == 0.375 and row["limited_by"] == []


@pytest.mark.parametrize(
    ("name", "interval"), [("ipndm4", 0.3), ("heun_edm", 2.0), ("dpmpp_2m", 1.0)]
)
def test_explain_json_carries_stability_for_plots(
    capsys: pytest.CaptureFixture[str], name: str, interval: float
) -> None:
    # Adams-Bashforth 4 is stable to -3/10 on the real axis, Heun to -2, Adams-Bashforth 2 to -1.
    assert main(["explain", name, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["stability"]["real_interval"] == pytest.approx(interval, abs=1e-5)
    assert facts["zero_stability"]["stable"] is True
    assert len(facts["stability"]["locus"]) == 120
