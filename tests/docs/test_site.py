"""The site: every page is listed, and formulas become MathML."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
NOTEBOOKS = [f"notebooks/{path.stem}.md" for path in DOCS.glob("notebooks/*.ipynb")]  # made pages
MADE = {"explore.html", "gallery.html", "frontier-page.html", "demo.png"}  # by `make docs`


def test_every_page_is_listed_once():
    listed = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted([*PAGES, *NOTEBOOKS])


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        found = ((DOCS / page).parent / target).resolve()
        made = found.relative_to(DOCS).as_posix() in NOTEBOOKS or found.name in MADE
        assert found.is_file() or made, f"{page}: {target}"


def test_formulas_become_mathml():
    pytest.importorskip("latex2mathml", reason="the site's extra is not installed")
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    made = hooks.on_page_content(
        r'<p><span class="arithmatex">\(\alpha &lt; 1\)</span></p>'
        r'<div class="arithmatex">\[ \frac{1}{2} \]</div>'
    )
    assert made.count("<math") == 2 and "<mfrac>" in made and 'display="block"' in made
    assert "arithmatex" not in made
    shown = hooks.on_page_content(
        r"<p>$\displaystyle \begin{aligned} x &= \varphi_1 \\ y &= 2 \end{aligned}$</p>"
    )
    assert shown.count("<mtr>") == 2 and "&amp;" not in shown and "<mi>&</mi>" not in shown
