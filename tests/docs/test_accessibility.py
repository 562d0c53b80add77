"""Pages for people: contrast AA in both modes, every control by keyboard, no scroll to the side on a phone.

Contrast is computed here, in a headless Chromium, for every text that is shown: the ratio of WCAG 2.1 of
its colour to the first opaque background behind it, at least 4.5, or 3 for large letters.
"""

import shutil
from pathlib import Path

import pytest

from solvergen.catalogue import stored
from solvergen.commands.pages import gallery_page
from verify.maps.check import HELD, REFUTED, Check, Examination
from verify.maps.report.page import page as maps_page
from verify.report.page import page as report_page
from verify.verdict import Verdict

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"width": 360, "height": 740}
CONTRAST = """() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const page = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  const known = new Map([[null, page]]);
  const behind = element => {
    if (!known.has(element)) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      known.set(element, colour[3] === 1 ? colour : over(colour, behind(element.parentElement)));
    }
    return known.get(element);
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.textContent.trim() || !element.checkVisibility() || element.closest("script, style, option")) continue;
    const back = behind(element), ink = over(parse(style.color), back);
    const [high, low] = [light(ink), light(back)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${element.tagName} ${node.textContent.trim().slice(0, 40)}`);
  }
  return [...new Set(found)].slice(0, 10);
}"""
REACHED = """() => {
  const wanted = [...document.querySelectorAll("a[href], input, select, button, summary, [tabindex]")]
    .filter(e => e.checkVisibility() && e.tabIndex >= 0 && !e.disabled);
  const bare = [...document.querySelectorAll("[onclick]")];
  const unnamed = wanted.filter(e => !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim()));
  return { wanted: wanted.length, bare: bare.length, unnamed: unnamed.map(e => e.outerHTML.slice(0, 80)) };
}"""


def examination():
    checks = [Check("law", HELD, "held"), Check("boundary", REFUTED, "refuted")]
    return Examination("mine", "endpoint", "coupled", checks=checks, picture=[(1.0, 2.0, 0.1)])


def verdict():
    return Verdict(
        target="mine.py",
        title="mine",
        status="fail",
        findings=("claims order 3",),
        audited={"uniform": 2, "smooth": 2, "arbitrary": 2},
        budget={"uniform": {5: 1e-2, 8: 4e-3, 10: 2e-3}},
    )


def gallery():
    entries = [stored(name) for name in ("dpmpp_2m", "dpmpp_3m", "dpmpp_sde")]
    return gallery_page.page([one for one in entries if one], {})


MADE = {
    "gallery": gallery,
    "report": lambda: report_page([verdict()]),
    "maps": lambda: maps_page([examination()]),
}
OURS = ("explorer", *MADE)
SITE = Path(__file__).parents[2] / "build" / "site"
BUILT = ("index", "tutorial", "how-to/ci", "notebooks/researcher", "reference/language")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    pytest.importorskip("bokeh", reason="bokeh draws the charts")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def files(tmp_path_factory, explorer):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "explorer.html").write_bytes(explorer.read_bytes())
    for name, make in MADE.items():
        (folder / f"{name}.html").write_text(make(), encoding="utf-8")
    return folder


def look(browser, path, ours):
    """What a page is like: faint text by mode, its width on a phone, its controls, its console."""
    tab = browser.new_page(viewport={"width": 1100, "height": 800}, color_scheme="light")
    said = []
    tab.on("console", lambda line: said.append(line.text))
    tab.on("pageerror", lambda error: said.append(f"error: {error}"))
    tab.goto(path.as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for place in tab.locator("section[id], .chart").all():
        place.scroll_into_view_if_needed()
    tab.wait_for_timeout(150)
    seen = {"light": tab.evaluate(CONTRAST)}
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_timeout(150)
    seen["dark"] = tab.evaluate(CONTRAST)
    if ours:
        seen["controls"] = tab.evaluate(REACHED)
        tab.evaluate(
            "() => { window.reached = new Set();"
            " document.addEventListener('focusin', e => reached.add(e.target)); scrollTo(0, 0); }"
        )
        for _ in range(seen["controls"]["wanted"]):
            tab.keyboard.press("Tab")
        seen["reached"] = tab.evaluate("reached.size")
    tab.set_viewport_size(PHONE)
    tab.wait_for_timeout(150)
    seen["width"] = tab.evaluate("document.documentElement.scrollWidth")
    tab.close()
    return seen | {"said": [line for line in said if not line.startswith("[bokeh")]}


@pytest.fixture(scope="module")
def seen(browser, files):
    """A page is opened once, and looked at from all sides."""
    found = {}

    def at(name):
        path = SITE / f"{name}.html" if name in BUILT else files / f"{name}.html"
        if not path.is_file():
            pytest.skip("the site is not built; make docs")
        if name not in found:
            found[name] = look(browser, path, name in OURS)
        return found[name]

    return at


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*OURS, *BUILT])
def test_text_stands_out(seen, name, scheme):
    assert seen(name)[scheme] == []


@pytest.mark.parametrize("name", [*OURS, *BUILT])
def test_a_phone_does_not_scroll_to_the_side(seen, name):
    assert seen(name)["width"] <= PHONE["width"]


@pytest.mark.parametrize("name", OURS)
def test_every_control_is_reached_by_keyboard_and_has_a_name(seen, name):
    controls = seen(name)["controls"]
    assert controls["bare"] == 0 and controls["unnamed"] == []
    assert seen(name)["reached"] >= controls["wanted"]


@pytest.mark.parametrize("name", [*OURS, *BUILT])
def test_the_console_stays_empty(seen, name):
    assert seen(name)["said"] == []


def test_the_measure_finds_faint_text(browser):
    tab = browser.new_page()
    tab.set_content("<p style='color:#999'>faint</p><p style='color:#666'>fine</p>")
    (found,) = tab.evaluate(CONTRAST)
    assert found.startswith("2.85 P faint")
    tab.close()
