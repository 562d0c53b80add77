"""Hooks of the site: formulas become MathML, so that pages need no script; examples have a folder."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

BLOCK = re.compile(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', re.DOTALL)
SHOWN = re.compile(r"\$\\displaystyle (.*?)\$", re.DOTALL)  # by an object in a notebook
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)


def on_pre_build(config: Any) -> None:
    """Empty the folders in which the commands of two pages run."""
    for name in ("tutorial", "ci"):
        folder = Path(config.config_file_path).parent / "build" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def on_page_content(content: str, **_: Any) -> str:
    """Replace every formula of a page by MathML."""
    content = BLOCK.sub(lambda found: _formula(found[1], "block"), content)
    content = SHOWN.sub(lambda found: _formula(found[1], "block"), content)
    return INLINE.sub(lambda found: _formula(found[1], "inline"), content)


def _formula(latex: str, display: str) -> str:
    # The converter knows `split`, which is `aligned` by another name.
    latex = html.unescape(latex).strip().replace("{aligned}", "{split}")
    return convert(latex.removeprefix("\\displaystyle").strip(), display=display)
