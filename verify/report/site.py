"""One look for every page that is made here: templates, style and the chart library, all inlined.

Pages need no network and no server. Charts are drawn in the browser by BokehJS, which travels inside
the page.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import PageError

HERE = Path(__file__).parent / "templates"
NEEDED = {"jinja2": "pages need", "bokeh": "charts need"}


def render(template: str, folder: Path | None = None, **values: Any) -> str:
    """A page from a template, which knows the style and the scripts that all pages share.

    Args:
        template: its file name; it may extend ``base.html``, and include ``charts.html`` to draw
            `content`.
        folder: where it lies, besides the templates of this room.
        values: what it shows. Strings are escaped as HTML.

    Raises:
        PageError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise _absent("jinja2") from error
    folders = [HERE] if folder is None else [folder, HERE]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data"] = as_data
    shared = {
        "style": part(HERE / "style.css"),
        "bokeh": charts,
        "chart_script": part(HERE / "charts.js"),
    }
    return environment.get_template(template).render(**shared, **values)


def require() -> None:
    """See that pages can be made, before anything is judged.

    Raises:
        PageError: names the package that is not installed.
    """
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise _absent(package)


def _absent(package: str) -> PageError:
    root = Path(__file__).parents[2]
    command = "pip install 'solvergen[pages]'"
    if (root / "constraints.txt").is_file():  # a checkout: an index may not have it
        command = f"cd {root} && pip install -c constraints.txt -e '.[pages]'"
    return PageError(f"{NEEDED[package]} {package}; {command}")


@cache
def charts() -> Any:
    """BokehJS with its plotting interface, as the text of one script.

    Raises:
        PageError: bokeh is not installed.
    """
    try:
        from bokeh.resources import Resources
    except ModuleNotFoundError as error:
        raise _absent("bokeh") from error
    text = "\n".join(Resources(mode="inline", components=["bokeh", "bokeh-api"]).js_raw)
    return _verbatim(text.replace("</script", "<\\/script"))


def as_data(value: Any) -> Any:
    """A value as JSON that may stand inside a script element.

    >>> str(as_data({"a": "</script>"}))
    '{"a":"<\\\\/script>"}'
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return _verbatim(text.replace("</", "<\\/"))


def part(path: Path) -> Any:
    """A file of ours that goes into a page as it is: a style sheet or a script."""
    return _verbatim(path.read_text(encoding="utf-8"))


def _verbatim(text: str) -> Any:
    """Text that a template must not escape."""
    from markupsafe import Markup

    return Markup(text)
