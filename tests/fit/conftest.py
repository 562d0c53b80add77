import json
from pathlib import Path

import pytest
import torch

from solvergen.fit.problems.mixture import centred


@pytest.fixture(scope="session")
def numbers():
    """Grids and costs from the authors' own code, and the mixture that they ran on."""
    path = Path(__file__).parents[1] / "data" / "learned_grids.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def peer_denoiser(numbers):
    """The denoiser of that mixture, (x, sigma) → D."""
    from solvergen.verify.problems.mixture import GaussianMixture

    parts = numbers["mixture"]
    made = GaussianMixture(parts["w"], parts["m"], std=parts["s"])
    return lambda x, sigma: made.denoise(x, 1.0, sigma)


@pytest.fixture(scope="session")
def mixture():
    """A small exact problem."""
    made = torch.Generator().manual_seed(3)

    def random(*shape):
        return torch.rand(*shape, generator=made, dtype=torch.float64)

    return centred("small", 0.2 + random(5), 2 * random(5, 6) - 1, 0.02 + 0.2 * random(5, 6))
