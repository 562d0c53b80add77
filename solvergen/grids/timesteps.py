"""Integer timesteps of models that were trained on a table, as diffusers spaces them."""

from __future__ import annotations

from .schedules import between


def linspace(n: int, trained: int = 1000) -> list[int]:
    """n timesteps from trained − 1 down to 0, rounded to even at halves (`timestep_spacing="linspace"`).

    >>> linspace(3)
    [999, 500, 0]
    """
    if n == 1:
        return [0]
    return [round(t) for t in reversed(between(0.0, trained - 1.0, n - 1))]


def leading(n: int, trained: int = 1000, offset: int = 0) -> list[int]:
    """Multiples of trained // n, shifted by `offset` (`timestep_spacing="leading"`, `steps_offset`).

    >>> leading(4, offset=1)
    [751, 501, 251, 1]
    """
    return [i * (trained // n) + offset for i in reversed(range(n))]


def trailing(n: int, trained: int = 1000) -> list[int]:
    """From trained − 1 down in steps of trained / n (`timestep_spacing="trailing"`).

    >>> trailing(4)
    [999, 749, 499, 249]
    """
    return [round(trained - i * (trained / n)) - 1 for i in range(n)]
