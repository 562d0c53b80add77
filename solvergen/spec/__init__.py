"""What a solver is: the spec language, its model and its reader. Imports neither sympy nor torch."""

from .model import Solver as Solver
from .reader import parse_solver as parse_solver
from .reader import read_solver as read_solver
