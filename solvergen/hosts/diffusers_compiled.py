"""Compiled steps of exported schedulers: weights from the rows of a plan, at a counter on the device."""

from __future__ import annotations

from typing import Any

import torch


class CompiledSteps:
    """What `PlanWalk.step` does under `torch.compile`.

    Compiled by `torch.compile(scheduler.step, fullgraph=True)`, the steps of a solver without noise are
    one graph for the first call of a run and one for all later ones.
    """

    config: Any
    family: str
    history: int
    _rows: list[Any]
    _grid_levels: torch.Tensor | None
    _memory: tuple[torch.Tensor, ...]
    _moves: tuple[torch.Tensor, torch.Tensor] | None

    def _counted(self) -> bool:
        """Whether the steps of this run were compiled, so that a tensor counts them."""
        return bool(self._memory) and self._memory[0].dtype == torch.int64

    def _compilable(self, index: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Matrices of all steps from an index on, and their weights of sample and model output.

        None where a compiled step is not possible: noise, or a begin inside a step or a plan.
        """
        try:
            walk = self._begin(index)  # type: ignore[attr-defined]
        except ValueError:
            return None
        plan = self._rows
        if self.history and index:
            assert self._grid_levels is not None
            tail = self._grid_levels[self._rows[index][0] :]
            plan = self.plan(tail)[0]  # type: ignore[attr-defined]
        tensors = getattr(plan, "tensors", None)
        noisy = any(len(row) > 4 for row in plan)
        if noisy or tensors is None or any(kind for kind, _, _ in walk.values()):
            return None
        moves = tensors[1][index - len(self._rows) :]
        intakes = torch.tensor([walk[k][2] for k in sorted(walk)], dtype=torch.float64)
        return (moves, intakes) if len(moves) == len(intakes) else None

    def _compiled_step(
        self, model_output: torch.Tensor, sample: torch.Tensor, given: tuple[Any, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The next state and the denoised prediction of a compiled step.

        Raises:
            ValueError: a step that needs more than the plan's matrices.
        """
        if self._moves is None or any(value is not None for value in given):
            raise ValueError(
                "this run cannot be compiled: it draws noise, or begins inside a step; call step "
                "without torch.compile"
            )
        config = self.config
        if config.thresholding or config.clip_sample or self.family == "LCM":
            raise ValueError(
                "thresholding, clip_sample and LCM's output cannot be compiled; call step without "
                "torch.compile"
            )
        wide = torch.promote_types(sample.dtype, torch.float32)
        x, output = sample.to(wide), model_output.to(wide)
        moves, intakes = (part.to(x.device) for part in self._moves)
        if not self._memory:
            at = torch.zeros(1, dtype=torch.int64, device=x.device)
            held = [torch.zeros_like(x) for _ in range(moves.shape[1] - 1)]
        else:
            at, *held = self._memory
        of_sample, of_output = intakes.index_select(0, at)[0].unbind()
        denoised = of_sample * x + of_output * output
        values = [x, denoised, *held]
        rows = moves.index_select(0, at)[0].unbind()
        following, *held = [sum(w * v for w, v in zip(r, values, strict=True)) for r in rows]
        self._memory = (at + 1, *held)
        return following.to(sample.dtype), denoised.to(sample.dtype)
