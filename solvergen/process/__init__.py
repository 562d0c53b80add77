"""The process, derived: from α(t) and σ(t), from β(t), or from f(t) and g(t).

>>> flow = process("1 - t", "t")
>>> flow.lam, flow.time
(-log(t) + log(1 - t), 1/(exp(lambda) + 1))
"""

from .model import Process as Process
from .model import ProcessError as ProcessError
from .named import named as named
from .origins import from_beta as from_beta
from .origins import from_drift as from_drift
from .origins import process as process
from .schedule import ProcessSchedule as ProcessSchedule
from .schedule import schedule as schedule
