"""Noise mixed into data at the levels of times: for training, and for runs from an image."""

from __future__ import annotations

import torch

from .grid import level_at
from .walk import PlanWalk


class NoiseMixing(PlanWalk):
    """What pipelines ask of a scheduler beside its steps: data with noise at a time, velocities."""

    def _noise_scales(
        self, timesteps: torch.Tensor, sample: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """α and σ at times, shaped to multiply a batch."""
        times = torch.as_tensor(timesteps).reshape(-1).cpu()
        index = self._begin_index if self._step_index is None else self._step_index
        if index is not None and self._rows:
            levels = [*self._row_levels.tolist(), float(self._grid_levels[-1])]  # type: ignore
            level = torch.tensor([levels[index]], dtype=torch.float64).expand(len(times))
        elif self._rows and all((self.timesteps.cpu() == t).any() for t in times):
            level = self._row_levels[[self.index_for_timestep(t) for t in times]]
        elif self._flow:
            level = times.double() / self.config.num_train_timesteps
        else:
            level = level_at(times.double(), self._levels)
        alpha, sigma = self.scales(level)
        shape = (-1, *[1] * (sample.ndim - 1))
        pair = (value.to(sample.dtype).to(sample.device) for value in (alpha, sigma))
        alpha, sigma = (value.reshape(shape) for value in pair)
        return alpha, sigma

    def add_noise(
        self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """α x0 + σ ε at the given times."""
        alpha, sigma = self._noise_scales(timesteps, original_samples)
        return alpha * original_samples + sigma * noise

    def scale_noise(
        self,
        sample: torch.Tensor,
        timestep: float | torch.Tensor,
        noise: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The same with flow-matching pipelines' order of arguments."""
        if noise is None:
            raise ValueError("scale_noise needs the noise to mix in")
        return self.add_noise(sample, noise, torch.as_tensor(timestep))

    def get_velocity(
        self, sample: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """The target of v-prediction training, α ε − σ x0."""
        alpha, sigma = self._noise_scales(timesteps, sample)
        return alpha * noise - sigma * sample
