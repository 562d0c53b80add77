"""Formulas for people: a solver's update in the terminal, in LaTeX and in Markdown, and its legend."""
