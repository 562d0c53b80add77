"""The examiner's page: alone, safe, with the data of its charts, and drawn in a browser."""

import json
import re
import shutil

import pytest

from verify.maps.check import HELD, REFUTED, Check, Examination
from verify.maps.report.page import page, start_plane

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def made(**kept):
    checks = [Check("law", HELD, "a < b"), Check("boundary", REFUTED, "<script>alert(1)</script>")]
    tables = {"levels": [{"level": 80.0, "rms": 0.0123}]}
    return Examination("mine", "endpoint", "coupled", checks=checks, tables=tables, **kept)


def drawn():
    return made(
        picture=[(80.0, -40.0, 0.5), (0.0, 10.0, 1e-3), (-5.0, 3.0, float("nan"))],
        galleries={"1 step": [[-1.0, 1.0, -1.0, 0.0]] * 12},
    )


def test_without_pictures_no_library_travels():
    text = page([made()])
    assert len(text) < 20_000 and "refuted by boundary" in text
    assert "<script>alert" not in text and "a &lt; b" in text and "1.23%" in text


def test_the_greatest_error_lies_on_top_and_nan_is_the_greatest():
    assert start_plane(drawn())["power"] == [-3.0, -0.3, 12.0]


def test_charts_hold_what_was_measured():
    pytest.importorskip("bokeh", reason="bokeh draws the charts")
    text = page([drawn()])
    assert "default-src 'none'" in text
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)\s*=", text)
    plane, pictures = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])[0]
    assert plane["x"] == [0.0, 80.0, -5.0] and pictures["caption"] == "1 step"
    assert (pictures["wide"], pictures["high"]) == (30, 6)  # ten across, a gap after each
    assert sum(map(sum, pictures["rows"])) == 12 * 1.5


def test_charts_are_drawn_in_a_browser(tmp_path):
    pytest.importorskip("bokeh", reason="bokeh draws the charts")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    file = tmp_path / "maps.html"
    file.write_text(page([drawn()]), encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab, said = browser.new_page(), []
        tab.on("console", lambda line: said.append(line.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(file.as_uri())
        tab.locator(".chart").last.scroll_into_view_if_needed()
        tab.wait_for_selector('.chart[data-drawn="yes"] >> nth=1')
        browser.close()
    assert [line for line in said if not line.startswith("[bokeh")] == []
