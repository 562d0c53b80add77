"""What a scheduler hands to pipelines: the result of a step, and the number of model calls a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers.utils.outputs import BaseOutput


@dataclass
class StepOutput(BaseOutput):
    """The state for the next model call, and the data prediction of this one.

    The second has each of the names under which diffusers' outputs have it.
    """

    prev_sample: torch.Tensor
    pred_original_sample: torch.Tensor | None = None

    @property
    def denoised(self) -> torch.Tensor | None:
        """The data prediction, by the name of LCM's output."""
        return self.pred_original_sample


class CallsPerStep(int):
    """The number of model calls a step, for runs in which not every step has it, or that have two.

    Pipelines find the model call that opens step i at `i * order`; here that product is looked up in
    the plan. In all else it is the usual number of calls, but that it does not equal 2: refiners of
    SDXL that find an order of 2 begin one model call early, with a state that the base has brought
    half a step further.
    """

    starts: list[int]
    __hash__ = int.__hash__

    @classmethod
    def of(cls, calls: int, starts: Sequence[int]) -> int:
        """An int if it opens every step, else one whose products do.

        Args:
            calls: of a usual step.
            starts: the model call that opens each step, and one more entry for the end.
        """
        usual = starts[1] if len(starts) > 2 else calls
        even = all(start == i * usual for i, start in enumerate(starts[:-1]))
        if even and usual != 2:
            return int(usual)
        made = cls(usual if even else calls)
        made.starts = list(starts)
        return made

    def __eq__(self, other: object) -> bool:
        """Whether it is that number, and the number is not 2."""
        return int(self) != 2 and int(self) == other

    def __mul__(self, step: int) -> int:
        """The model call that opens a step."""
        if isinstance(step, int) and 0 <= step < len(self.starts):
            return self.starts[step]
        return int(self) * step

    __rmul__ = __mul__


# Whose step returns the sample alone, where a tuple is asked for.
ONE_RESULT = (
    "DPMSolverMultistep",
    "DPMSolverSinglestep",
    "UniPCMultistep",
    "DEISMultistep",
    "SASolver",
    "PNDM",
    "FlowMatchEulerDiscrete",
    "FlowMatchHeunDiscrete",
)
