"""The Program: one exact representation of a solver, its digest, its meaning on a grid."""

from .digest import canonical as canonical
from .digest import digest as digest
from .model import Place as Place
from .model import Program as Program
from .model import Row as Row
from .model import Step as Step
from .model import Term as Term
