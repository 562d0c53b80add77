"""A derivation as a document: its parts, and their spelling as Markdown and as LaTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Paragraph:
    """A piece of a derivation: text, a displayed formula, or a table.

    Args:
        kind: "text", "formula" or "table".
        content: Markdown text with $…$, LaTeX of a formula, or rows of LaTeX cells (header first).
    """

    kind: str
    content: str | tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Part:
    """One step of a derivation: a heading and what is under it."""

    heading: str
    paragraphs: tuple[Paragraph, ...]


@dataclass(frozen=True)
class Derivation:
    """A derivation of a solver's truncation errors.

    Args:
        title: the solver.
        parts: the steps in order.
    """

    title: str
    parts: tuple[Part, ...]

    def markdown(self) -> str:
        """The derivation as Markdown with LaTeX formulas."""
        return _whole_markdown(self)

    def latex(self) -> str:
        """The derivation as LaTeX sections, to be included in a document with amsmath."""
        return _whole_latex(self)


def _whole_markdown(derivation: Derivation) -> str:
    """The derivation as Markdown with $…$ and $$…$$ formulas."""
    lines = [f"# Truncation errors of {derivation.title}", ""]
    for number, part in enumerate(derivation.parts, 1):
        lines += [f"## {number}. {part.heading}", ""]
        for paragraph in part.paragraphs:
            lines += [_markdown(paragraph), ""]
    return "\n".join(lines)


def _markdown(paragraph: Paragraph) -> str:
    content = paragraph.content
    if isinstance(content, str):
        return content if paragraph.kind == "text" else f"$$\n{content}\n$$"
    head, *rows = content
    table = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    table += ["| " + " | ".join(f"${cell}$" for cell in row) + " |" for row in rows]
    return "\n".join(table)


def _whole_latex(derivation: Derivation) -> str:
    """The derivation as LaTeX sections."""
    lines = [rf"\section{{Truncation errors of {_escaped(derivation.title)}}}", ""]
    for part in derivation.parts:
        lines += [rf"\subsection{{{_escaped(part.heading)}}}", ""]
        for paragraph in part.paragraphs:
            lines += [_latex(paragraph), ""]
    return "\n".join(lines)


def _latex(paragraph: Paragraph) -> str:
    content = paragraph.content
    if isinstance(content, str):
        return _prose(content) if paragraph.kind == "text" else f"\\[\n{content}\n\\]"
    head, *rows = content
    columns = "l" + "r" * (len(head) - 1)
    lines = [rf"\begin{{array}}{{{columns}}}"]
    lines.append(" & ".join(rf"\text{{{cell}}}" for cell in head) + r" \\ \hline")
    lines += [" & ".join(row) + r" \\" for row in rows]
    lines.append(r"\end{array}")
    return "\\[\n" + "\n".join(lines) + "\n\\]"


def _prose(text: str) -> str:
    """Markdown text as LaTeX: code, emphasis and special characters outside formulas."""
    pieces = re.split(r"(\$[^$]*\$)", text)
    return "".join(piece if piece.startswith("$") else _marked(piece) for piece in pieces)


def _marked(text: str) -> str:
    escaped = _escaped(text)
    escaped = re.sub(r"`([^`]*)`", r"\\texttt{\1}", escaped)
    return re.sub(r"\*([^*]+)\*", r"\\emph{\1}", escaped)


UNICODE = {
    "…": r"\ldots{}",
    "φ": r"$\varphi$",
    "λ": r"$\lambda$",
    "₁": r"$_1$",
    "₂": r"$_2$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "ε": r"$\varepsilon$",
}


def _escaped(text: str) -> str:
    text = re.sub(r"([#%&_{}])", r"\\\1", text)
    text = text.replace("^", r"\textasciicircum{}")
    for character, spelling in UNICODE.items():
        text = text.replace(character, spelling)
    return text
