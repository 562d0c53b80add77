"""Levels of a run of an exported scheduler, and the times that the model gets at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .flow import flow_levels
from .grid import (
    checked_levels,
    checked_times,
    level_at,
    shaped_levels,
    spaced_times,
    time_of,
    told_times,
)


class RunLevels:
    """The grid of a run, made from the config and what `set_timesteps` is given."""

    config: Any
    family: str
    _flow: bool
    _levels: torch.Tensor
    _shift: float | None
    _eta: float | None

    def _grid(
        self,
        count: int | None,
        timesteps: Sequence[float] | None,
        sigmas: Sequence[float] | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Levels ρ with the final one, and the time that the model gets at each but the last."""
        config, family, train = self.config, self.family, self.config.num_train_timesteps
        given = timesteps if timesteps is not None else sigmas
        asked = [key for key in ("use_karras_sigmas", "use_exponential_sigmas") if config[key]]
        asked += [key for key in ("use_beta_sigmas", "use_lu_lambdas") if config[key]]
        if timesteps is not None and asked:
            raise ValueError(f"timesteps and {asked[0]} exclude each other; give one of them")
        if sigmas is not None:
            level = checked_levels(sigmas, self._levels)
            self._timed(level[level > 0], "sigmas")
            if level[-1] == 0:
                return level, self._continuous(level[:-1], time_of(level[:-1], self._levels))
            time = time_of(level, self._levels)
        elif timesteps is not None:
            time = checked_times(timesteps, train)
            level = level_at(time, self._levels)
        else:
            assert count is not None and given is None
            time = spaced_times(config, family, count, self._levels)
            level = level_at(time, self._levels)
            multistep = family not in OF_THE_SPACING
            ends = (self._levels[-1], self._levels[0]) if multistep else (level[0], level[-1])
            if config.interpolation_type == "log_linear":
                ramp = torch.linspace(1, 0, count + 1, dtype=torch.float64)
                low, high = self._levels[0].log(), self._levels[-1].log()
                level = (low + ramp * (high - low)).exp()
                return level, self._continuous(level[:-1], time_of(level[:-1], self._levels))
            shaped = shaped_levels(config, len(level), *map(float, ends))
            if shaped is not None:
                self._timed(shaped, "sigma_max and sigma_min")
                time = time_of(shaped, self._levels, config.timestep_rounding == "diffusers")
                time = told_times(config, family, time)
                level, time = self._ended(shaped, time, shaped=True)
                return level, self._continuous(level[:-1], time)
        level, time = self._ended(level, time, shaped=False)
        return level, self._continuous(level[:-1], time)

    def _first_size(self, level: torch.Tensor) -> float:
        """The size of the noise that a run begins with: σ of its state, or 1, as their classes have it."""
        config, first = self.config, float(level[0])
        of_sigma = (
            self.family in (*OF_THE_SPACING, "EulerAncestralDiscrete")
            and config.timestep_spacing != "leading"
        )
        if not of_sigma or self._flow or math.isinf(first):
            return 1.0
        return first / math.hypot(1.0, first)

    def _continuous(self, level: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """log σ / 4 in place of the time, for networks that were trained with it."""
        config = self.config
        edm = config.timestep_type == "continuous" and config.prediction_type == "v_prediction"
        return level.log() / 4 if edm else time

    def _timed(self, level: torch.Tensor, what: str) -> None:
        """Refuse levels that the network has no time for: more than half a timestep beyond the table.

        Raises:
            ValueError: such a level, unless `timestep_rounding` is "diffusers", whose classes clamp it.
        """
        config, table = self.config, self._levels
        if self._continuous(level, level) is not level or config.timestep_rounding == "diffusers":
            return
        ends = (
            (table[-1] * (table[-1] / table[-2]).sqrt(), table[-1], "above", len(table) - 1),
            (table[0] * (table[0] / table[1]).sqrt(), table[0], "below", 0),
        )
        for beyond, end, word, at in ends:
            far = level[level > beyond] if at else level[level < beyond]
            if len(far):
                raise ValueError(
                    f"{what} lead to the level {float(far[0]):g}, {word} {float(end):g}, the level of "
                    f"timestep {at}: the network has no time for it; stay within the table, or set "
                    "timestep_type = 'continuous' for a v-prediction network that is given log(sigma)/4"
                )

    def _ended(
        self, level: torch.Tensor, time: torch.Tensor, shaped: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Levels with the final one; a level that rounding keeps apart from it becomes it."""
        config = self.config
        ends = config.final_sigmas_type
        if ends is None:
            ends = "zero" if config.set_alpha_to_one else "sigma_min"
        if ends == "zero":
            return torch.cat([level, level.new_zeros(1)]), time
        own = self.family in ("DEISMultistep", "SASolver", "UniPCMultistep")
        final = self._levels[0] if not shaped else torch.minimum(level[-1], self._levels[0])
        final = level[-1] if shaped and own else final
        close = level <= final * (1 + 1e-6)
        level = torch.where(close, final, level)
        return torch.cat([level, final.reshape(1)]), time

    def _undershot(self, level: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Below each level but the last one its (1 − γ)-th time, from which noise leads up (TCD)."""
        gamma = 0.3 if self._eta is None else self._eta
        below = level_at(((1 - gamma) * time[1:]).floor(), self._levels)
        found = [float(level[0])]
        for under, after in zip(below.tolist(), level[1:-1].tolist(), strict=True):
            found += [under, after] if under < after else [after]
        return torch.tensor([*found, float(level[-1])], dtype=torch.float64)

    def _flow_grid(
        self,
        count: int | None,
        timesteps: Sequence[float] | None,
        sigmas: Sequence[float] | None,
        mu: float | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Levels σ with the final one, and the times at them."""
        config, train = self.config, self.config.num_train_timesteps
        if timesteps is not None:
            level = checked_times(timesteps, train + 1) / train
        else:
            given = mu, self._levels, self._shift
            level = flow_levels(config, self.family, count, sigmas, *given)
        time = level * train
        if config.timestep_rounding == "diffusers" and config.shift is None:
            time = time.floor()
        final = level.new_zeros(1)
        if config.shift is None and config.final_sigmas_type == "sigma_min":
            final = level[-1:]
            if self.family in OF_THE_TABLE:
                final = final.minimum(self._levels[:1])
        return torch.cat([level, final]), time

    def _times(self, levels: torch.Tensor, known: dict[float, float]) -> torch.Tensor:
        """The model's time at the level of each row: that of its grid point, or between two.

        Times that rounding would make equal for two levels stay what they are, so that a run that
        begins at a time begins at its level.

        Args:
            levels: of the rows.
            known: the times told at levels of the grid.
        """
        if self._flow:
            between = levels * self.config.num_train_timesteps
        else:
            between = self._continuous(levels, time_of(levels, self._levels))
        values = levels.tolist()
        exact = [known.get(v, t) for v, t in zip(values, between.tolist(), strict=True)]
        if self.config.timestep_rounding == "nearest":
            told: dict[float, set[float]] = {}
            for value, told_there in zip(values, exact, strict=True):
                told.setdefault(told_there, set()).add(value)
            shared = set().union(*(levels for levels in told.values() if len(levels) > 1))
            for k, (value, true) in enumerate(zip(values, between.tolist(), strict=True)):
                if value in shared and not self._flow:
                    exact[k] = true
        return torch.tensor(exact, dtype=torch.float64)


# Families whose shaped levels lie between those of the spaced timesteps, not those of the table.
OF_THE_SPACING = (
    "EulerDiscrete",
    "HeunDiscrete",
    "LMSDiscrete",
    "KDPM2Discrete",
    "KDPM2AncestralDiscrete",
    "DPMSolverSDE",
)
# Families whose flow levels end, with sigma_min, where those of the variance-preserving table do.
OF_THE_TABLE = ("DPMSolverMultistep", "DPMSolverSinglestep")
