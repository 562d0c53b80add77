"""Integer timesteps of models that were trained on a table, as diffusers spaces them."""

from __future__ import annotations

from .arguments import real, whole
from .schedules import between


def linspace(n: int, trained: int = 1000) -> list[int]:
    """n timesteps from trained − 1 down to 0, rounded to even at halves (`timestep_spacing="linspace"`).

    Raises:
        ValueError: n is not an integer from 1 to `trained`.

    >>> linspace(3)
    [999, 500, 0]
    """
    n, trained = _counts(n, trained)
    if n == 1:
        return [0]
    return [round(t) for t in reversed(between(0.0, trained - 1.0, n - 1))]


def leading(n: int, trained: int = 1000, offset: int = 0) -> list[int]:
    """Multiples of trained // n, shifted by `offset` (`timestep_spacing="leading"`, `steps_offset`).

    Raises:
        ValueError: n is not an integer from 1 to `trained`, or `offset` leads off the table.

    >>> leading(4, offset=1)
    [751, 501, 251, 1]
    """
    n, trained = _counts(n, trained)
    stride = trained // n
    whole("offset", offset, 0, trained - 1 - (n - 1) * stride)
    return [i * stride + offset for i in reversed(range(n))]


def trailing(n: int, trained: int = 1000) -> list[int]:
    """From trained − 1 down in steps of trained / n (`timestep_spacing="trailing"`).

    Raises:
        ValueError: n is not an integer from 1 to `trained`.

    >>> trailing(4)
    [999, 749, 499, 249]
    """
    n, trained = _counts(n, trained)
    return [round(trained - i * (trained / n)) - 1 for i in range(n)]


def lcm_times(n: int, trained: int = 1000, original: int = 50, strength: float = 1.0) -> list[int]:
    """n of the timesteps that a latent consistency model was distilled on (Luo et al. 2023; diffusers).

    Args:
        n: number of steps.
        trained: length of the table.
        original: timesteps of the distillation (`original_inference_steps`), every
            (trained // original)-th one.
        strength: which part of them is used, from the lowest up (img2img).

    Raises:
        ValueError: an argument out of bounds; n may not exceed int(original · strength).

    >>> lcm_times(4)
    [999, 759, 499, 259]
    """
    trained = whole("trained", trained)
    original = whole("original", original, 1, trained)
    used = int(original * real("strength", strength, above=0, most=1))
    if used < 1:
        raise ValueError(
            f"strength = {strength} leaves none of the original = {original} timesteps; raise it"
        )
    stride, n = trained // original, whole("n", n, 1, used)
    known = [k * stride - 1 for k in range(used, 0, -1)]
    return [known[i * used // n] for i in range(n)]


def _counts(n: int, trained: int) -> tuple[int, int]:
    trained = whole("trained", trained)
    return whole("n", n, 1, trained), trained
