"""Reference end points of the probability-flow ODE.

One dimension: exact, from the conserved distribution function, at any precision. More dimensions:
two integrators that share no code (scipy's DOP853 in log sigma, and Gragg-Bulirsch-Stoer
extrapolation in the plain clock 1/sigma), each at two tolerances. The bound returned is the spread
of the tight pair plus what each method still moved between its tolerances, doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from ..errors import ExactnessError
from .mixture import GaussianMixture
from .precise import PreciseMixture, transport

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ends:
    """End points in the scaling x = x0 + sigma eps.

    Args:
        value: (b, d) float64.
        bound: largest error that `value` can have, absolute, in any coordinate.
    """

    value: Array
    bound: float


def exact_ends(mixture: GaussianMixture, x: Array, sigma: float, sigma_end: float) -> Ends:
    """Exact end points of 1-D trajectories that start at x (b, 1) at level sigma."""
    twin = PreciseMixture.of(mixture)
    values = [float(transport(twin, float(v), sigma, sigma_end, digits=20)) for v in x[:, 0]]
    return Ends(np.asarray(values)[:, None], 2.0**-52)


def integrated_ends(
    mixture: GaussianMixture, x: Array, sigma: float, sigma_end: float, *, bound: float = 1e-11
) -> Ends:
    """Reference end points in any dimension, with the bound described above.

    Args:
        x: (b, d) start values at level sigma, scaling x = x0 + sigma eps.
        bound: the error that is acceptable.

    Raises:
        ExactnessError: the methods do not agree to `bound`.
    """
    field = _field(mixture, x.shape)
    loose, tight = (dop853(field, x, sigma, sigma_end, rtol) for rtol in (1e-11, 2.3e-14))
    coarse, fine = (extrapolated(field, x, sigma, sigma_end, tol) for tol in (1e-11, 1e-14))
    spread = np.abs(tight - fine).max()
    moved = max(np.abs(tight - loose).max(), np.abs(fine - coarse).max()) * 1e-2
    found = 2 * float(spread + moved)
    if not found <= bound:
        raise ExactnessError(
            f"reference: DOP853 and extrapolation agree only to {found:.1e}; asked {bound:.1e}; "
            "shorten the range of sigma or accept a larger bound"
        )
    return Ends(fine, found)


def ends(mixture: GaussianMixture, x: Array, sigma: float, sigma_end: float) -> Ends:
    """The best reference there is: exact in one dimension, bounded otherwise."""
    make = exact_ends if mixture.dimension == 1 else integrated_ends
    return make(mixture, x, sigma, sigma_end)


def near_ends(mixture: GaussianMixture, x: Array, sigma: float, sigma_end: float) -> Array:
    """Ends to about 1e-8, cheaply: enough beside errors at a small budget."""
    return dop853(_field(mixture, x.shape), x, sigma, sigma_end, 1e-9)


Field = Callable[[float, Array], Array]


def _field(mixture: GaussianMixture, shape: tuple[int, ...]) -> Field:
    """The denoiser as a numpy function of (sigma, state of the given shape)."""

    def denoise(sigma: float, state: Array) -> Array:
        x = torch.from_numpy(np.ascontiguousarray(state.reshape(shape)))
        out: Array = mixture.denoise(x, 1.0, sigma).numpy()
        return out

    return denoise


def dop853(field: Field, x: Array, sigma: float, sigma_end: float, rtol: float) -> Array:
    """The end of dx/dlog(sigma) = x - D at sigma_end, by scipy's DOP853."""

    def right(log_sigma: float, state: Array) -> Array:
        # dx/dlog(sigma) = x - D
        return state - field(float(np.exp(log_sigma)), state).ravel()

    span = (float(np.log(sigma)), float(np.log(sigma_end)))
    out = solve_ivp(right, span, x.ravel(), method="DOP853", rtol=rtol, atol=rtol)
    return np.asarray(out.y[:, -1]).reshape(x.shape)


def extrapolated(field: Field, x: Array, sigma: float, sigma_end: float, tol: float) -> Array:
    """Gragg-Bulirsch-Stoer on dY/dclock = D with Y = x / sigma, clock = 1 / sigma."""
    clock, last = 1.0 / sigma, 1.0 / sigma_end
    state, step = x / sigma, (last - clock) / 8
    while clock < last * (1 - 1e-15):
        step = min(step, last - clock)
        new, error = _bulirsch_stoer(field, state, clock, step)
        if error <= tol * (1.0 + np.abs(new).max()) or step < 1e-6 * (last - clock):
            clock, state = clock + step, new
            step *= 1.5
        else:
            step *= 0.5
    return state * sigma_end


_SUBSTEPS = (2, 4, 6, 8, 10, 12, 14, 16)


def _bulirsch_stoer(field: Field, state: Array, clock: float, step: float) -> tuple[Array, float]:
    """One extrapolated step, and the last change in the tableau as its error."""
    rows: list[Array] = []
    change = np.inf
    for k, count in enumerate(_SUBSTEPS):
        row = [_gragg(field, state, clock, step, count)]
        for j in range(1, k + 1):
            factor = (count / _SUBSTEPS[k - j]) ** 2 - 1
            row.append(row[j - 1] + (row[j - 1] - rows[j - 1]) / factor)
        if k:
            change = float(np.abs(row[-1] - row[-2]).max())
        rows = row
    return rows[-1], change


def _gragg(field: Field, state: Array, clock: float, step: float, count: int) -> Array:
    """Modified midpoint rule with smoothing: an even expansion in the substep."""
    h = step / count

    def right(at: float, y: Array) -> Array:
        return field(1.0 / at, y / at)

    before, here = state, state + h * right(clock, state)
    for i in range(1, count):
        before, here = here, before + 2 * h * right(clock + i * h, here)
    return 0.5 * (before + here + h * right(clock + step, here))
