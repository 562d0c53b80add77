"""The report as one page: alone, safe against what a target is called, with every chart's data."""

import json
import re

import pytest

from verify.report.page import chart_data, fragment, page
from verify.verdict import Verdict

RATES = {
    "uniform": {
        "steps": [8, 16, 32, 64],
        "errors": [1e-2, 2.5e-3, 6e-4, float("nan")],
        "window": [16, 64],
        "floor": 1e-12,
        "reason": None,
    }
}


def verdict(**kept):
    return Verdict(target="mine.py", title="<script>alert(1)</script>", status="pass", **kept)


def test_a_page_escapes_what_it_is_given():
    text = page([verdict(findings=("a < b",))])
    assert "<script>alert" not in text
    assert "a &lt; b" in text
    assert not re.search(r'(?:src|href)="(?!#)', text)


def test_a_page_without_charts_carries_no_library():
    assert len(page([verdict()])) < 20_000
    assert "Bokeh" not in fragment(verdict())


def test_charts_hold_the_measured_points():
    made = verdict(
        rates=RATES,
        audited={"uniform": 2, "smooth": 2, "arbitrary": 2},
        budget={"uniform": {5: 1e-2, 8: 4e-3, 10: None}},
        figures={"stability": {"box": [-2, 1, -1, 1], "stable": [[True, False]], "form": "data"}},
    )
    data = chart_data(made)
    assert data["convergence"]["curves"]["uniform"] == [[8, 1e-2], [16, 2.5e-3], [32, 6e-4]]
    assert data["convergence"]["window"] == [16, 64]
    assert data["work"]["curves"]["uniform"] == [[5.0, 1e-2], [8.0, 4e-3]]
    pytest.importorskip("bokeh", reason="bokeh draws the charts")
    text = page([made])
    shipped = re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1)
    assert json.loads(shipped)[0]["stability"] == {"box": [-2, 1, -1, 1], "stable": [[1, 0]]}
    assert text.count('class="chart"') == 3


def test_one_measured_budget_is_no_curve():
    assert chart_data(verdict(budget={"uniform": {5: 1e-2}})) == {}
