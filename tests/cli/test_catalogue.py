"""What was proved at generation is read, not derived again, while the specs are those that were proved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from solvergen import catalogue, gallery
from solvergen.catalogue import Entry, entry, entry_of, file_text, read, record, stored
from solvergen.catalogue_changes import changes
from solvergen.cli import main
from solvergen.explanation import explanation
from solvergen.loading import load
from solvergen.proof import proved

# Noise, a clock, a corrector held back by its start, steps over several intervals, no order.
NAMES = ["ddim", "unipc_3_bh2", "rk4_clock", "sde_dpmpp_2m_exact", "dpmpp_3m_as_published"]


def derived(name: str) -> Entry:
    return entry_of(proved(load(name)))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_what_is_proved(name: str) -> None:
    found = stored(name)
    assert found is not None and found == derived(name)
    assert explanation(found) == explanation(derived(name))


def test_every_gallery_solver_is_stored_and_current() -> None:
    assert [name for name in gallery.names() if stored(name) is None] == []


def test_a_changed_spec_is_proved_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ddim", "dpmpp_2m", "dpmpp_3m_as_published"):
        text = (gallery.CATALOG / f"{name}.toml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(gallery, "CATALOG", tmp_path)
    assert stored("dpmpp_2m") is not None and stored("dpmpp_3m_as_published") is not None
    path = tmp_path / "dpmpp_2m.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"1/2"', '"1/3"'), encoding="utf-8")
    assert stored("dpmpp_2m") is None
    assert stored("dpmpp_3m_as_published") is None  # it starts with dpmpp_2m
    assert stored("ddim") is not None
    assert entry("dpmpp_2m").true_order == 1


def test_a_broken_or_missing_store_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / catalogue.FILE
    assert read(path) == {}
    path.write_text("{", encoding="utf-8")
    assert read(path) == {}


def test_the_store_has_a_line_a_solver(tmp_path: Path) -> None:
    records = {name: record(derived(name)) for name in NAMES[:2]}
    text = file_text(records)
    assert text.count("\n") == len(records) + 2
    assert json.loads(text) == json.loads(json.dumps(records))


def test_generating_one_solver_renews_its_entry_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = tmp_path / catalogue.FILE
    stale = {"ddim": {"spec": "", "names": [], "entry": {}}, "other": {"kept": True}}
    facts.write_text(file_text(stale), encoding="utf-8")
    assert main(["generate", "ddim", "--out", str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().err
    assert "catalogue.json: stale" in said and "  ddim: name: nothing, now ddim; " in said
    assert main(["generate", "ddim", "--out", str(tmp_path)]) == 0
    found = read(facts)
    assert found["other"] == {"kept": True}
    assert found["ddim"] == json.loads(json.dumps(record(derived("ddim"))))


def test_a_stale_catalogue_is_described_in_words_and_in_few_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts, records = tmp_path / catalogue.FILE, {"ddim": record(derived("ddim"))}
    text = file_text(records).replace('"own_end": [1, true]', '"own_end": [2, false]', 1)
    facts.write_text(text, encoding="utf-8")
    assert main(["generate", "ddim", "--out", str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().err
    assert "  ddim: order, uniform grid, own start and end: at least 2, now 1\n" in said
    assert "{" not in said.partition("catalogue.json")[2]
    many = {f"s{i:02}": {"entry": {}} for i in range(20)}
    lines = changes(many, {})
    assert len(lines) == 12 and lines[-1] == "and 9 more solvers"
    assert changes(
        {"a": {"spec": "1", "entry": {"x": 1}}}, {"a": {"spec": "2", "entry": {"x": 1}}}
    ) == ["a: its spec changed, what is proved of it did not"]


def test_a_solver_whose_order_cannot_be_derived_is_explained_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lawson.toml"
    path.write_text(
        'name = "bare"\nintegrand = "data"\n[step]\nrule = "weights"\nweights = { n = "2*h*integral(x, 0, 1)" }\n'
    )
    assert main(["explain", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "xₙ₊₁" in shown and "no order is stated: " in shown
