"""The Program: one exact representation of a solver, its digest, its meaning on a grid."""

from .digest import canonical as canonical
from .digest import digest as digest
from .model import Program as Program
from .row import Place as Place
from .row import Row as Row
from .row import Term as Term
from .step import Step as Step
