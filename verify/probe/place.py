"""The line of a source file at which a sampler makes its steps, found by tracing."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ANYTHING
from .trace import Run, level_told

LEVELS = np.exp(-0.1 * np.arange(7))


def line_of_step(run: Run, path: str) -> int | None:
    """The line of a file from which the model is called most often; None when none is.

    Args:
        run: run(denoiser, x, sigmas).
        path: the source file.
    """
    wanted = str(Path(path).resolve())
    lines: Counter[int] = Counter()

    def denoiser(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        frame = sys._getframe(1)
        while frame is not None:
            if str(Path(frame.f_code.co_filename).resolve()) == wanted:
                lines[frame.f_lineno] += 1
                break
            frame = frame.f_back  # type: ignore[assignment]
        return x / (1 + level_told(sigma) ** 2)

    try:
        run(denoiser, torch.ones(1, 4, 1, 1, dtype=torch.float64), torch.from_numpy(LEVELS.copy()))
    except ANYTHING:  # what is wrong with it is reported elsewhere
        pass
    return lines.most_common(1)[0][0] if lines else None
