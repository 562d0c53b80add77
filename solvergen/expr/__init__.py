"""Exact expressions: the arithmetic that specs are written in and Programs are made of.

Expressions are sympy's. This room adds the functions that sympy lacks, a parser that executes nothing,
printers with an order of our own, and the value of an expression in any ring.
"""

from .parse import parse as parse
from .printing import show as show
