"""A diffusers scheduler run as its pipelines run it: its own set_timesteps, its own tables and dtype.

Nothing is overwritten here. The network answers for the time that it is told, at the level that this
time had in training; outputs and draws are random and known, so that what every state is made of,
and with it the level at which a state stands, follows by least squares.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ANYTHING, TargetError
from ..probe.noise_sources import Draw, Source, replaced
from ..probe.watch import answers, combined
from .functions import predicted
from .scheduler_classes import EDM, FLOW, FLOW_PAIRS, INDEX, VE, VE_PAIRS, instance

Array = NDArray[np.float64]

SHAPE = (1, 8, 8, 8)


@dataclass(eq=False)
class RealRun:
    """One run of a scheduler.

    Args:
        times: (k,) as the network was told.
        told: (k,) sigma/alpha that these times had in training.
        rows: (k+1, d) states before each call, and the result.
        basis: (1 + k + m, d) start value, outputs, draws.
        draws: number of draws among the basis.
        start: (alpha, sigma) of the first of the basis, in the host's scaling.
        tables: the levels sigma/alpha that the scheduler lists, or empty.
        warned: what the host warned of.
        kept: tensors of the state's shape that the scheduler holds afterwards, by attribute.
        dtype: of the result.
    """

    times: Array
    told: Array
    rows: Array
    basis: Array
    draws: int
    start: tuple[float, float]
    tables: Array
    warned: tuple[str, ...] = ()
    kept: dict[str, int] = field(default_factory=dict)
    dtype: str = "float32"

    @property
    def finite(self) -> bool:
        """Whether every state and the result is finite."""
        return bool(np.isfinite(self.rows).all())

    @cached_property
    def weights(self) -> tuple[Array, Array]:
        """(k+1, 1+k+m) weights of the rows, and what they leave unexplained, (k+1,)."""
        size = np.linalg.norm(self.basis, axis=1)
        size[size == 0] = 1.0
        table = combined((self.basis / size[:, None]).T, self.rows.T).T / size
        left = np.abs(table @ self.basis - self.rows).max(axis=1)
        return table, left / (np.abs(self.rows).max(axis=1) + 1.0)

    @cached_property
    def stands(self) -> Array:
        """(k+1, 2) alpha and sigma at which each state stands, were every output the same constant."""
        table, _ = self.weights
        calls = table.shape[1] - 1 - self.draws
        alpha = table[:, 0] * self.start[0] + table[:, 1 : 1 + calls].sum(axis=1)
        noise = (table[:, 1 + calls :] ** 2).sum(axis=1)
        sigma = np.sqrt((table[:, 0] * self.start[1]) ** 2 + noise)
        return np.stack([alpha, sigma], axis=1)


class _Random(Source):
    """Draws that are random, and remembered."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        super().__init__(shape)
        self.rng = np.random.default_rng([seed, 11])
        self.made: list[Array] = []

    def value(self, draw: Draw) -> Array:
        """The next values."""
        self.made.append(self.rng.standard_normal(int(np.prod(self.shape))))
        return self.made[-1]


class Host:
    """A scheduler class with its options, made anew for every run.

    Args:
        scheduler: name in diffusers, class, or instance.
        options: of the constructor and of step().

    Raises:
        TargetError: diffusers is absent, or the class is not one that integrates on a grid.
    """

    def __init__(self, scheduler: Any, options: dict[str, Any]) -> None:
        made = instance(scheduler, options, exact=False)
        self.cls, self.family = made.cls, made.family
        self.options, self.step_options = made.options, made.step_options
        self.config = dict(made.scheduler.config)

    def changed(self, **options: Any) -> Host:
        """The same host with other options."""
        return Host(self.cls, {**self.options, **self.step_options, **options})

    @property
    def flow(self) -> bool:
        """Whether levels are flow times."""
        return self.family in FLOW | FLOW_PAIRS or bool(self.config.get("use_flow_sigmas"))

    def knows(self, option: str) -> bool:
        """Whether the constructor has this option."""
        return option in inspect.signature(self.cls).parameters

    def prepared(self, n: int) -> Any:
        """A scheduler after set_timesteps(n), and begin index where pipelines set it.

        Raises:
            Exception: whatever the class raises.
        """
        scheduler = self.cls(**self.options)
        extra = {"mu": 0.8} if self.config.get("use_dynamic_shifting") else {}
        scheduler.set_timesteps(n, **extra)
        return scheduler

    def level(self, scheduler: Any, time: float) -> float:
        """sigma/alpha that the network was trained at for a time."""
        if self.flow:
            s = time / float(self.config.get("num_train_timesteps", 1000))
            return s / (1 - s) if s < 1 else float("inf")
        if self.family == "CosineDPMSolverMultistepScheduler":
            return float(np.tan(time * np.pi / 2))
        if self.family in EDM:
            return float(np.exp(4 * time))
        if self.family in INDEX:
            return float(np.tan(time * np.pi / 2))
        table = self.training(scheduler)
        return float(np.exp(np.interp(time, np.arange(len(table)), np.log(table))))

    def training(self, scheduler: Any) -> Array:
        """sigma/alpha of the training times."""
        kept = scheduler.alphas_cumprod.detach().double().numpy()
        return np.asarray(np.sqrt((1 - kept) / np.maximum(kept, 1e-12)))

    def alpha(self, level: float) -> float:
        """The factor of the data in the host's states."""
        if self.flow:
            return 1 / (1 + level) if np.isfinite(level) else 0.0
        if self.family in VE | VE_PAIRS | EDM:
            return 1.0
        return 1 / float(np.sqrt(1 + level**2))

    def levels(self, scheduler: Any) -> Array:
        """sigma/alpha of the levels that the scheduler lists; empty where it lists none."""
        own = getattr(scheduler, "sigmas", None)
        if not isinstance(own, torch.Tensor):
            return np.zeros(0)
        values = own.detach().double().numpy()
        if self.flow:
            with np.errstate(divide="ignore"):
                return np.asarray(values / (1 - values))
        return np.asarray(values)

    def run(self, n: int, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> RealRun:
        """Run as a pipeline does.

        Raises:
            Exception: whatever the scheduler raises.
        """
        size = int(np.prod(SHAPE[1:]))
        with _heard() as warned:
            scheduler = self.prepared(n)
            times = [float(t) for t in scheduler.timesteps]
            first = self.level(scheduler, times[0])
            alpha = self.alpha(first)
            sigma = alpha * first if alpha else 1.0
            unit = answers(seed + 7919, 0, size, 1.0)[0]
            x = torch.from_numpy(unit * sigma).to(dtype).reshape(SHAPE)
            start = x.detach().double().reshape(-1).numpy().copy()
            basis, rows, told = [start / sigma], [], []
            source = _Random(SHAPE, seed)
            kind = self.config.get("prediction_type") or (
                "flow_prediction" if self.flow else "v_prediction"
            )
            with replaced(source), torch.no_grad():
                for call, time in enumerate(scheduler.timesteps):
                    level = self.level(scheduler, times[call])
                    scales = hasattr(scheduler, "scale_model_input")
                    given = scheduler.scale_model_input(x, time) if scales else x
                    rows.append(x.detach().double().reshape(-1).numpy().copy())
                    made = answers(seed, call, size, 1.0)[0].copy()
                    denoised = torch.from_numpy(made).to(dtype).reshape(SHAPE)
                    basis.append(denoised.double().reshape(-1).numpy().copy())
                    answer = self._answer(scheduler, denoised, given, x, level, str(kind))
                    x = scheduler.step(
                        answer.to(dtype), time, x, return_dict=False, **self.step_options
                    )[0]
                    told.append(level)
            rows.append(x.detach().double().reshape(-1).numpy().copy())
        return RealRun(
            times=np.asarray(times),
            told=np.asarray(told),
            rows=np.stack(rows),
            basis=np.stack([*basis, *source.made]),
            draws=len(source.made),
            start=(alpha / sigma, 1.0),
            tables=self.levels(scheduler),
            warned=tuple(dict.fromkeys(warned)),
            kept=_kept(scheduler),
            dtype=str(x.dtype).removeprefix("torch."),
        )

    def _answer(
        self,
        scheduler: Any,
        denoised: torch.Tensor,
        given: torch.Tensor,
        x: torch.Tensor,
        level: float,
        kind: str,
    ) -> torch.Tensor:
        if self.family in EDM:
            at = torch.tensor(level, dtype=x.dtype)
            base = scheduler.precondition_outputs(x, torch.zeros_like(x), at)
            slope = scheduler.precondition_outputs(x, torch.zeros_like(x) + 1, at) - base
            return (denoised - base) / slope
        if self.flow:
            s = level / (1 + level) if np.isfinite(level) else 1.0
            return predicted(denoised, given, 1 - s, s, kind)
        shrink = 1 / float(np.sqrt(1 + level**2))
        return predicted(denoised, given, shrink, level * shrink, kind)


def _kept(scheduler: Any) -> dict[str, int]:
    """How many tensors of the state's shape each attribute holds."""
    out = {}
    for name, value in vars(scheduler).items():
        items = value if isinstance(value, (list, tuple)) else [value]
        count = sum(isinstance(v, torch.Tensor) and tuple(v.shape) == SHAPE for v in items)
        if count:
            out[name] = count
    return out


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """Warnings of Python and of diffusers' logger inside the block, as sentences."""
    told: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                told.append(record.getMessage())

    ear = Ear()
    logger = logging.getLogger("diffusers")
    before = logger.propagate
    logger.addHandler(ear)
    logger.propagate = False
    others = [h for h in logger.handlers if h is not ear]
    for handler in others:
        logger.removeHandler(handler)
    try:
        with (
            warnings.catch_warnings(record=True) as seen,
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("always")
            yield told
            told.extend(
                str(w.message).split("\n")[0]
                for w in seen
                if not issubclass(w.category, (DeprecationWarning, PendingDeprecationWarning))
            )
    finally:
        logger.removeHandler(ear)
        for handler in others:
            logger.addHandler(handler)
        logger.propagate = before


def classes() -> list[str]:
    """Names of the scheduler classes of the installed diffusers.

    Raises:
        TargetError: diffusers is absent.
    """
    try:
        module = importlib.import_module("diffusers.schedulers")
    except ANYTHING as error:
        raise TargetError(f"diffusers: not installed ({error}); pip install diffusers") from error
    return sorted(
        n for n in dir(module) if n.endswith("Scheduler") and not n.startswith(("Flax", "_"))
    )
