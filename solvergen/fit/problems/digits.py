"""A small network trained on scikit-learn's digits: a problem that is not exact, made in a minute."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..problem import Problem, ProblemError
from ..record import load_tensors, save_tensors

DEVIATION = 0.75  # of the pixels, scaled to [-1, 1]; EDM's σ_data
STEPS, BATCH, WIDTH = 3000, 128, 256


class Network(nn.Module):
    """A residual multilayer perceptron with EDM's preconditioning (Karras et al. 2022, Table 1)."""

    tones: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64 + 16, WIDTH)
        self.inner = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.last = nn.Linear(WIDTH, 64)
        nn.init.zeros_(self.last.weight)
        self.register_buffer("tones", torch.logspace(-0.5, 1.5, 8))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x]; x is (b, 64), sigma one number or (b, 1)."""
        total = sigma * sigma + DEVIATION**2
        told = (sigma.log() / 4) * self.tones + torch.zeros_like(x[:, :1])
        scaled = x / total.sqrt()
        hidden = self.first(torch.cat([scaled, told.sin(), told.cos()], 1))
        for layer in self.inner:
            hidden = hidden + layer(nn.functional.silu(hidden))
        out = self.last(nn.functional.silu(hidden))
        return DEVIATION**2 / total * x + sigma * DEVIATION / total.sqrt() * out


def digits(cache: Path) -> Problem:
    """The network as a problem, σ from 80 to 0.002; trained on first use and kept in the cache."""
    from ...errors import SolvergenError

    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ProblemError(
            "problem digits: needs scikit-learn; pip install scikit-learn"
        ) from error
    pictures = torch.from_numpy(load_digits(return_X_y=True)[0]).float() / 8 - 1
    path = cache / f"digits-{STEPS}-{BATCH}-{WIDTH}.safetensors"
    network = Network()
    try:
        network.load_state_dict(load_tensors(path))
    except (SolvergenError, FileNotFoundError, RuntimeError):
        network = trained(pictures)
        save_tensors(path, dict(network.state_dict()))
    network.train(False).requires_grad_(False)
    mean = pictures.mean(0)
    return Problem(
        name="digits",
        denoiser=network,
        shape=(64,),
        sigma_max=80.0,
        sigma_min=0.002,
        mean=mean,
        std=float(((pictures - mean) ** 2).mean().sqrt()),
        chunk=256,
    )


def trained(pictures: Tensor, steps: int = STEPS, seed: int = 0) -> Network:
    """Denoising score matching with averaged weights; the same for the same seed and machine."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network()
        noise = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.Adam(network.parameters(), 2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
        average = torch.optim.swa_utils.AveragedModel(
            network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
        )
        for _ in range(steps):
            clean = pictures[torch.randint(len(pictures), (BATCH,), generator=noise)]
            sigma = (1.3 * torch.randn(BATCH, 1, generator=noise) - 0.8).exp()
            noisy = clean + sigma * torch.randn(clean.shape, generator=noise)
            weight = (sigma**2 + DEVIATION**2) / (sigma * DEVIATION) ** 2
            loss = (weight * (network(noisy, sigma) - clean) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
    assert isinstance(average.module, Network)
    return average.module
