"""A mixture in the plane on which emitted samplers are tried, beside the exact solution."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

COUNTS = (5, 10, 20, 40, 80)
SIGMA_MAX, SIGMA_MIN = 10.0, 0.05


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch in one thread, as long as it lasts: handing out states as small as a trial's takes four times the work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Trial:
    """A 2-D mixture, 48 starts at high noise, and where the exact flow takes them."""

    def __init__(self) -> None:
        import torch

        from solvergen.verify.problems.mixture import GaussianMixture
        from solvergen.verify.problems.reference import ends

        self.mixture = GaussianMixture(
            weights=[0.3, 0.25, 0.25, 0.2],
            means=[[-1.5, -0.5], [1.2, -1.0], [0.3, 1.4], [-0.6, 1.0]],
            std=[0.25, 0.35, 0.3, 0.2],
        )
        noise = torch.Generator().manual_seed(0)
        self.x = SIGMA_MAX * torch.randn(48, 2, generator=noise, dtype=torch.float64)
        exact = ends(self.mixture, self.x.numpy(), SIGMA_MAX, SIGMA_MIN)
        self.exact, self.bound = torch.from_numpy(exact.value), exact.bound

    def grid(self, n: int) -> torch.Tensor:
        """n + 1 levels, uniform in sigma^(1/7) (Karras et al. 2022, Eq. 5)."""
        import torch

        ramp = torch.linspace(0, 1, n + 1, dtype=torch.float64)
        high, low = SIGMA_MAX ** (1 / 7), SIGMA_MIN ** (1 / 7)
        return (high + ramp * (low - high)) ** 7

    def run(
        self, module: ModuleType, n: int, watch: Callable[[Any], None] | None = None
    ) -> torch.Tensor:
        """End points of a sampler after n steps, (48, 2)."""
        end: torch.Tensor = module.sample(
            self.mixture.model(), self.x, self.grid(n), callback=watch
        )
        return end

    def paths(self, points: int = 120) -> torch.Tensor:
        """The exact trajectories (points + 1, 48, 2), by the classical Runge-Kutta method in log σ."""
        import torch

        model, x = self.mixture.model(), self.x
        h = math.log(SIGMA_MIN / SIGMA_MAX) / points

        def slope(x: torch.Tensor, sigma: float) -> torch.Tensor:
            return x - model(x, torch.full((len(x),), sigma, dtype=x.dtype))

        found = [x]
        for i in range(points):
            sigma = SIGMA_MAX * math.exp(h * i)
            middle, end = sigma * math.exp(h / 2), sigma * math.exp(h)
            k1 = slope(x, sigma)
            k2 = slope(x + h / 2 * k1, middle)
            k3 = slope(x + h / 2 * k2, middle)
            k4 = slope(x + h * k3, end)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            found.append(x)
        return torch.stack(found)

    def error(self, module: ModuleType, n: int) -> float:
        """RMS distance to the exact end points after n steps."""
        gap = self.run(module, n) - self.exact
        return float(gap.pow(2).sum(1).mean().sqrt())

    def point(self, module: ModuleType, n: int) -> tuple[int, float]:
        """Model evaluations and error of n steps."""
        return len(module.coefficients(self.grid(n))), self.error(module, n)


def order_of(module: ModuleType) -> str:
    """The proved order on any grid, with the sampler's own start and end."""
    if not hasattr(module, "ORDER"):
        return "of a law"
    value, exact = module.ORDER["arbitrary"]["own_end"]
    return str(value) if exact else f"at least {value}"
