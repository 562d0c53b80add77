"""Compiled steps of exported schedulers: weights from the rows of a plan, at a counter on the device."""

from __future__ import annotations

from typing import Any

import torch


class CompiledSteps:
    """What `PlanWalk.step` does under `torch.compile`.

    Compiled by `torch.compile(scheduler.step, fullgraph=True)`, the steps of a solver without noise are
    one graph for the first call of a run and one for all later ones.
    """

    family: str
    history: int
    _rows: list[Any]
    _grid_levels: torch.Tensor | None
    _memory: tuple[torch.Tensor, ...]
    _clips: bool
    _moves: tuple[torch.Tensor, torch.Tensor] | None

    def _counted(self) -> bool:
        """Whether the steps of this run were compiled, so that a tensor counts them."""
        held = self._memory[0] if self._memory else None
        return held is not None and held.dtype == torch.int64

    def _compilable(self, index: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Matrices of all steps from an index on, and their weights of sample and model output.

        None where a compiled step is not possible: noise, or a begin inside a step or a plan.
        """
        try:
            walk = self._begin(index)  # type: ignore[attr-defined]
            plan = self._rows
            if self.history and index:
                assert self._grid_levels is not None
                tail = self._grid_levels[self._rows[index][0] :]
                plan = self.plan(tail, len(self._row_levels) > len(self._rows))[0]  # type: ignore[attr-defined]
        except (ValueError, IndexError):  # too few levels are left to begin there
            return None
        tensors = getattr(plan, "tensors", None)
        if tensors is None or any(len(row) > 4 for row in plan):
            return None
        planned = tensors[1][index - len(self._rows) :]
        moves = torch.zeros(len(walk), *planned.shape[1:], dtype=planned.dtype)
        for place, k in enumerate(sorted(walk)):
            kind, row, _ = walk[k]
            if kind == "ddim":
                moves[place, 0, 0], moves[place, 0, 1] = float(row[0]), float(row[1])
            elif kind or place >= len(planned):
                return None
            else:
                moves[place] = planned[place]
        intakes = torch.tensor([walk[k][2] for k in sorted(walk)], dtype=torch.float64)
        return moves, intakes

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
        if self._clips or self.family == "LCM":
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
