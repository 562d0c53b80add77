"""A bench for one scheduler: its real runs, each made once, at an amplitude at which it is linear."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from ..errors import ANYTHING
from ..hosts.real_case import Case, RealRun
from ..hosts.real_run import Host
from .bench import LAYOUTS, REFUSALS, Refused

# answers so small that no clip and no threshold of a scheduler bites
SMALL = 0.05
SHOWN = (10, 30)


class RealBench:
    """Runs of one host, equal cases once."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.runs = 0
        self._known: dict[Case, RealRun | Refused] = {}

    @cached_property
    def amplitude(self) -> float:
        """Factor of the answers in all runs: one, unless only small ones leave a run linear."""
        for amplitude in (1.0, SMALL):
            seen = self._seen(Case(SHOWN[0], amplitude=amplitude))
            if isinstance(seen, RealRun) and seen.linear:
                return amplitude
        return 1.0

    def seen(self, n: int, **named: Any) -> RealRun | Refused:
        """The run of n steps, or how it was refused.

        Args:
            named: more of a Case.
        """
        return self._seen(Case(n, amplitude=self.amplitude, **named))

    def _seen(self, case: Case) -> RealRun | Refused:
        if case not in self._known:
            self._known[case] = self._made(case)
        return self._known[case]

    def again(self, n: int, **named: Any) -> RealRun | Refused:
        """The run of n steps, whether or not it has been run before."""
        return self._made(Case(n, amplitude=self.amplitude, **named))

    def _made(self, case: Case) -> RealRun | Refused:
        self.runs += 1
        torch.default_generator.manual_seed(0)
        try:
            return self.host.run(case)
        except ANYTHING as error:
            crash = not isinstance(error, REFUSALS)
            return Refused(f"{type(error).__name__}: {error}"[:200], crash)

    def words(self, n: int, **named: Any) -> str:
        """A run in a line."""
        keys = ("timestep_spacing", "final_sigmas_type")
        shown = [f"{k}={self.host.config[k]}" for k in keys if k in self.host.config]
        case = replace(Case(n), **named)
        if case.begin:
            shown.append(f"begun at step {case.begin}")
        if case.batch > 1:
            shown.append(f"batch {case.batch}")
        if case.shape != Case(n).shape:
            shown.append("x".join(map(str, case.shape)))
        shown += [name for name, layout in LAYOUTS.items() if case.layout is layout]
        return ", ".join([f"set_timesteps({n})", *shown])
