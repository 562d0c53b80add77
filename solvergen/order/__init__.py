"""The true order of any solver: from a Program to its truncation error, exactly, on any grid.

What few solvers need, and further questions, live in modules of their own, imported where they are
asked: `sde.report` (solvers with noise), `conditions` (parameter values that reach an order), `cure`,
`compare`, `stability`, `derivation`.
"""

from ..algebra.explosion import Explosion as Explosion
from .ode.analyse import analyse as analyse
from .ode.report import OrderReport as OrderReport
from .ode.stiff import StiffOrder as StiffOrder
from .verdict import Bottleneck as Bottleneck
from .verdict import LeadingError as LeadingError
from .verdict import Order as Order
from .verdict import Rate as Rate
from .verdict import ZeroStability as ZeroStability
