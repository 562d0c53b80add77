"""The explorer in a real browser: its controls move its figures, and it computes what we compute."""

import importlib
import re
import shutil

import pytest
import torch

from solvergen.cli import main
from solvergen.explore import figures
from verify.problems.mixture import GaussianMixture
from verify.problems.reference import ends

FIGURES = ("comparison", "order", "grids", "noise", "distillation", "stability")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def file(explorer):
    return explorer


@pytest.fixture(scope="module")
def opened(file):
    """The page in headless Chromium, with everything that its console said."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab, said = browser.new_page(viewport={"width": 900, "height": 700}), []
        tab.on("console", lambda line: said.append(line.text))
        tab.on("pageerror", lambda error: said.append(f"error: {error}"))
        tab.on("request", lambda request: said.append(f"asked for {request.url}"))
        tab.goto(file.as_uri())
        yield tab, said
        browser.close()


def test_the_page_is_light_and_alone(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.encode()) < 6e6
    assert "default-src 'none'" in text
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)\s*=", text)


def test_every_control_has_a_label(file):
    body = file.read_text(encoding="utf-8").split("<script", 1)[0]
    controls = re.findall(r'<(?:select|input)[^>]* id="([^"]+)"', body)
    assert len(controls) > 15
    assert not [name for name in controls if f'<label for="{name}"' not in body]


def drawn(tab, name):
    tab.locator(f"#{name}").scroll_into_view_if_needed()
    tab.wait_for_selector(f'#{name}[data-drawn="yes"]')
    return tab.locator(f"#{name}-reading")


def test_figures_are_drawn_and_nothing_is_said(opened):
    tab, said = opened
    for name in FIGURES:
        drawn(tab, name)
        tab.wait_for_function(f"document.querySelector('#{name}-reading').textContent.length > 10")
    asked = [
        line
        for line in said
        if not line.startswith(("[bokeh", "asked for file:", "asked for data:"))
    ]
    assert asked == []


@pytest.mark.parametrize(
    ("figure", "slider"),
    [
        ("comparison", "evaluations"),
        ("comparison", "progress"),
        ("order", "steps"),
        ("grids", "budget"),
        ("noise", "strength"),
        ("noise", "seed"),
        ("distillation", "rounds"),
        ("distillation", "level"),
        ("stability", "reach"),
    ],
)
def test_sliders_move_by_keyboard(opened, figure, slider):
    tab, _ = opened
    drawn(tab, figure)
    control, shown = tab.locator(f"#{slider}"), tab.locator(f"#{slider}-shown")
    before = shown.inner_text()
    control.focus()
    control.press(
        "ArrowLeft" if control.input_value() == control.get_attribute("max") else "ArrowRight"
    )
    tab.wait_for_function(
        "([id, old]) => document.getElementById(id).textContent !== old",
        arg=[f"{slider}-shown", before],
    )
    assert shown.inner_text() != before


def test_errors_are_those_of_the_emitted_files(opened):
    """The same starts, run by torch on the emitted file, against ends from the verifier."""
    tab, _ = opened
    drawn(tab, "comparison")
    start = tab.evaluate("Array.from(mathematics.normals(11).many(192).map(z => 10 * z))")
    x = torch.tensor(start, dtype=torch.float64).reshape(-1, 2)
    mixture = GaussianMixture(**figures.problems()["plane"])
    exact = ends(mixture, x.numpy(), figures.SIGMA_MAX, figures.SIGMA_MIN).value
    levels = figures.grids()["Karras, ρ = 7"](10)
    tab.locator("#evaluations").fill("9")
    for name in ("ddim", "dpmpp_2m"):
        tab.select_option("#solver1", name)
        sampler = importlib.import_module(f"generated.{name}")
        gap = sampler.sample(mixture.model(), x, levels) - torch.from_numpy(exact)
        wanted = float(gap.pow(2).sum(1).mean().sqrt())
        tab.wait_for_timeout(300)
        said = tab.locator("#comparison-reading").inner_text().split("error ", 1)[1]
        assert float(said.split(". ")[0]) == pytest.approx(wanted, rel=6e-3)


def test_a_greater_strength_of_noise_moves_the_paths_and_keeps_the_law(opened):
    tab, _ = opened
    reading = drawn(tab, "noise")
    tab.select_option("#length", "40")
    tab.locator("#strength").fill("0")
    tab.wait_for_timeout(400)
    distance = float(reading.inner_text().split("law: ")[1].split(";")[0])
    assert distance < 0.03  # DDIM in 40 steps, 4000 ends


@pytest.mark.parametrize("command", [["gallery", "--html"], ["explore", "--out"]])
def test_without_the_charts_package_it_is_named_before_anything_runs(
    command, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr("verify.report.site.importlib.util.find_spec", lambda name: None)
    assert main([command[0], "ddim", command[1], str(tmp_path / "page.html")]) == 2
    out, said = capsys.readouterr()
    assert out == "" and "pages" in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())
