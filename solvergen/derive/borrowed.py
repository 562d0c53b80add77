"""Steps borrowed from other solvers: is the rule on this integrand the solver of that name?

A rule is a set of weights on model outputs. On another prediction the same rule is in general another
solver: Heun's method on the noise differs from Heun's method on the data. Both are right to use, but
only one has the name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mpmath

from ..errors import SolvergenError
from ..program.model import Program
from ..program.unroll import oldest, unroll
from ..spec.model import Solver
from ..spec.tables import End, Start

_STEPS = (0.31, 0.84, 0.47, 0.66)  # no pattern, so that nothing agrees by accident
_SAME = 1e-12


def is_that_solver(solver: Solver, here: Solver, derive: Callable[[Solver], Program]) -> bool:
    """Whether a solver's rule in another one, on its integrand and with its linear part, gives the same states.

    Args:
        solver: the one that is named, its parameters numbers.
        here: the one that it serves in, its parameters numbers.
        derive: makes the program of a solver.

    >>> from solvergen.derive import derive
    >>> from solvergen.gallery import load
    >>> [is_that_solver(load(name), load("deis_tab2"), derive) for name in ("ddim", "dpmpp_2m")]
    [True, False]
    """
    integrand, linear = here.integrand, here.linear
    if solver.integrand == integrand and solver.linear == linear:
        return True
    alone = replace(solver, start=Start(), end=End())
    try:
        taken = replace(alone, integrand=integrand, linear=linear)
        programs = [derive(one) for one in (alone, taken)]
        lam = [mpmath.mpf(0)]
        for i in range(max(map(oldest, programs)) + 1):
            lam.append(lam[-1] + _STEPS[i % len(_STEPS)])
        own, there = (unroll(program, lam) for program in programs)
    except SolvergenError:  # it cannot be shortened, or has no such coordinate: nothing shows it
        return False
    pairs = [(own.final, there.final)]
    pairs += [(a.state, b.state) for a, b in zip(own.calls, there.calls, strict=False)]
    return len(own.calls) == len(there.calls) and all(
        len(a) == len(b) and all(abs(x - y) < _SAME for x, y in zip(a, b, strict=True))
        for a, b in pairs
    )
