"""The gallery command: all solvers on one page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...installing import install, needs
from ..listing import add_filters, chosen
from ..parsing import command


def add(commands: Any) -> None:
    """Register the command."""
    gallery = command(
        commands,
        "gallery",
        "put all solvers on one HTML page, with their formulas, orders and errors",
        "solvergen gallery --html gallery.html",
        "solvergen gallery mine.toml ddim dpmpp_2m --html mine.html",
    )
    gallery.add_argument("specs", nargs="*", metavar="SPEC", help="the whole gallery unless given")
    gallery.add_argument("--html", type=Path, required=True, metavar="FILE")
    gallery.add_argument(
        "--no-errors", action="store_true", help="do not run the samplers (needs no torch)"
    )
    add_filters(gallery)
    gallery.set_defaults(handler=run_gallery)


def run_gallery(args: argparse.Namespace) -> int:
    """Write the page.

    Raises:
        OrderError: a solver whose order cannot be derived.
    """
    from ... import gallery
    from ...errors import OrderError, SolvergenError
    from ...writing import write
    from .gallery_page import page

    needs("jinja2", "bokeh", extras="pages")
    entries = chosen(args.specs or gallery.names(), args)
    for one in entries:
        if one.refused:
            raise OrderError(f"{one.target}: {one.refused}")
    measured = {}
    if not args.no_errors:
        from .gallery_errors import measure

        measured = measure(entries)
    try:
        text = page(entries, measured)
    except ModuleNotFoundError as error:
        raise SolvergenError(f"`gallery` needs {error.name}; {install('pages')}") from None
    write(args.html, text)
    print(f"wrote {args.html}: {len(entries)} solvers")
    return 0
