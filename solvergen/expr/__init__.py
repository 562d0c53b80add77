"""Exact expressions: the arithmetic that specs are written in and Programs are made of."""

from .parse import parse as parse
from .show import show as show
from .tree import Call as Call
from .tree import Expr as Expr
from .tree import Number as Number
from .tree import Symbol as Symbol
