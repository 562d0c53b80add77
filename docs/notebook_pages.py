"""A hook of the site: notebooks are run when it is built and become pages, with their outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

LINK = "[Download this notebook]({}.ipynb)"


def on_files(files: Files, config: Any) -> None:
    """Add a page, and its pictures, for every notebook below ``notebooks/``."""
    folder = Path(config.config_file_path).parent / "build" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(config.docs_dir).glob("notebooks/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        run = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
        run.execute()
        text, made = MarkdownExporter().from_notebook_node(notebook, {"unique_key": path.stem})
        page = f"notebooks/{path.stem}.md"
        # A figure alone on its line has an empty description for readers who don't see it.
        text = text.replace("![png](", "![what the cell above plots](")
        files.append(File.generated(config, page, content=f"{text}\n\n{LINK.format(path.stem)}\n"))
        for name, content in made["outputs"].items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
