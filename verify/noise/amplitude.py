"""A sampler with noise that clips or thresholds, judged at an amplitude where neither bites."""

from __future__ import annotations

from torch import Tensor

from ..errors import ConductError
from ..order.approach import AMPLITUDES, scaled
from ..probe.noise_sources import draws_scaled
from ..probe.noise_trace import require_linear, trace_noise
from ..probe.trace import Denoiser, Run
from ..problems.grids import rough

# enough steps that one falls into a window of the noise
SEEN = 24


def linear_at(run: Run) -> tuple[Run, float]:
    """The sampler at the largest amplitude at which it is linear, and that amplitude.

    Raises:
        ConductError: "nonlinear" when it is so at every amplitude; what tracing raises.
    """
    try:
        require_linear(run, [trace_noise(run, rough(SEEN))])
    except ConductError as error:
        if error.kind != "nonlinear":
            raise
        for amplitude in AMPLITUDES:
            less = smaller(run, amplitude)
            try:
                require_linear(less, [trace_noise(less, rough(SEEN))])
            except ConductError:
                continue
            return less, amplitude
        raise
    return run, 1.0


def smaller(run: Run, amplitude: float) -> Run:
    """The run with start value, outputs and draws made smaller, and its result as much larger."""
    inner = scaled(run, amplitude)

    def less(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        with draws_scaled(amplitude):
            return inner(denoiser, x, sigmas)

    return less


def sentence(amplitude: float) -> str:
    """What a reader must know of a sampler that was judged at a small amplitude."""
    return (
        "not linear in outputs of usual size: a clip or a threshold bites; judged with outputs and "
        f"draws {1 / amplitude:g} times smaller, where it does not: the orders are those of the rule "
        "below it"
    )
