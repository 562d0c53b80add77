"""Hooks of the site: formulas become MathML when it is built, so that pages need no script for them."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

BLOCK = re.compile(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', re.DOTALL)
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Replace every formula of a page by MathML."""
    content = BLOCK.sub(lambda found: _formula(found[1], "block"), content)
    return INLINE.sub(lambda found: _formula(found[1], "inline"), content)


def _formula(latex: str, display: str) -> str:
    return convert(html.unescape(latex).strip(), display=display)
