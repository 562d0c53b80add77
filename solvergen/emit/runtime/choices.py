"""Names that definitions use and that are decided for each file.

A condition on one of the upper-case names is decided when a file is written: the branch that holds
is copied, the other is left out; in place of other upper-case names comes what the solver has.
"""

from typing import Any

INTEGRAND = "data"  # what the solver integrates
KAPPA = 1  # the sign of lambda in the exponent of its clock
FORM = "gaussian"  # the first output, where no call is made for it
ANALYTIC = False  # whether there is none
JUMPS = False  # whether the level may rise within a grid
LIFTED = False  # whether noise may come before a model call
LINEAR = True  # whether a step is linear in its states, so that a matrix describes it
FLAT = True  # whether it is and draws no noise: rows hold a level and weights alone
NOISY = False  # whether it draws noise
LANGEVIN = False  # whether steps stay at one level
PATH = False  # whether its noise is that of one Brownian path
PID = False  # whether the controller of its steps is a PID
OPENING: tuple[int, ...] = ()  # kinds of rows that begin a step
STRENGTH = 1.0  # the strength of its noise
LEVELS: tuple[float, ...] = ()  # sigma / alpha at the points of the grid that it is made for
BY_SAMPLE = False  # whether some of its numbers may differ from sample to sample
BY_ELEMENT = False  # whether some of its numbers may differ from element to element
LATE: dict[str, Any] = {}  # those numbers by name
PLANNED: Any = None  # what makes a plan of them
REPEATS: dict[int, int] = {}  # how many calls before a call its stage was called last
RATE = 1.0  # the derivative of its further variable
# Its step controller: defaults, the first step, the exponents and factors of the rule.
RTOL = ATOL = FIRST = CLOSE = SAFETY = EXPONENT = TINY = FACTOR = 1.0


def written(*arguments: Any) -> Any:
    """Stands for a function that each file has from its solver's mathematics."""
    raise LookupError("this function is written when a solver is emitted")


coefficients = step = embedded = y = written
