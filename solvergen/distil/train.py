"""The one training loop: players with clocks, averages, checkpoints, Ctrl-C, NaN."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ..errors import SolvergenError
from . import checkpoint
from .data import world
from .engine import Alone, Engine
from .losses import system
from .recipe import Recipe
from .seeds import Draws
from .system import Player, System

SCALARS = "scalars.jsonl"
CLIP = 10.0


class TrainingError(SolvergenError):
    """Training that cannot go on; the last good state is kept."""


@dataclass(frozen=True)
class Trained:
    """What a run ended with.

    Args:
        student: the averaged student, in evaluation mode.
        raw: the student's raw weights.
        step: iterations done.
        finished: False when it was stopped before its end.
        losses: the student's loss at every logged step.
        seconds: processor time.
    """

    student: nn.Module
    raw: nn.Module
    step: int
    finished: bool
    losses: list[tuple[int, float]]
    seconds: float
    system: System


def train(
    recipe: Recipe,
    folder: Path | None = None,
    *,
    seed: int = 0,
    steps: int | None = None,
    resume: bool = False,
    engine: Engine | None = None,
    every: int = 50,
    save_every: int = 1000,
) -> Trained:
    """Train a recipe.

    Args:
        folder: where checkpoints and scalars go; None keeps nothing.
        seed: of weights and of every draw.
        steps: stop after this many iterations; the schedule stays that of the whole run.
        resume: go on from the folder's checkpoint, to the same bits.
        engine: one process unless given.
        every: iterations between logged losses.
        save_every: iterations between checkpoints.

    Raises:
        SolvergenError: a recipe whose parts cannot be had, or a checkpoint that does not fit.
        TrainingError: a loss that is not finite; the step is named and the last good state kept.
    """
    engine = engine or Alone()
    begun = time.process_time()
    made = system(recipe.system)(recipe, world(recipe), seed)
    _check_shapes(made)
    players = made.players()
    optimizers = {name: _optimizer(one, recipe) for name, one in players.items()}
    student = next(iter(players.values())).module
    average = AveragedModel(student, multi_avg_fn=_averaging(recipe.training["averaging"]))
    if made.own_target and float(recipe.training.get("target") or 0) > 0:
        made.frozen["target"] = made.copy_of(student)
    kept = {name: one for name, one in made.modules().items()} | {"average": average}
    first = checkpoint.load(folder, recipe, seed, kept, optimizers) if resume and folder else 0
    last = made.total if steps is None else min(first + steps, made.total)
    losses: list[tuple[int, float]] = []
    with _log(folder, first, engine) as log, _signals() as stopped:
        step = first
        while step < last and not stopped:
            made.before(step)
            _set_rate(recipe, made, players, optimizers, step)
            value = _iteration(made, players, optimizers, engine, recipe, seed, step)
            if not math.isfinite(value):
                _lost(folder, step)
            average.update_parameters(student)
            _follow(made, student, float(recipe.training.get("target") or 0))
            step += 1
            if step % every == 0 or step == last:
                losses.append((step, value))
                log(step, value)
            # a state in which every weight is finite, so what is kept is good
            if folder and engine.rank == 0 and (step % save_every == 0) and _finite(kept):
                checkpoint.save(folder, recipe, seed, step, kept, optimizers)
    engine.wait()
    if not _finite(kept):
        _lost(folder, step)
    if folder and engine.rank == 0:
        checkpoint.save(folder, recipe, seed, step, kept, optimizers)
    return Trained(
        average.module.train(False),
        student.train(False),
        step,
        step == made.total,
        losses,
        time.process_time() - begun,
        made,
    )


def _iteration(
    made: System,
    players: dict[str, Player],
    optimizers: dict[str, Any],
    engine: Engine,
    recipe: Recipe,
    seed: int,
    step: int,
) -> float:
    """Update every player; returns the loss of the first, the mean over processes."""
    batch, shown = int(recipe.training["batch"]) // engine.world, math.nan
    for number, (name, player) in enumerate(players.items()):
        for turn in range(player.updates):
            draws = Draws(seed, step * 64 + turn, engine.rank, engine.world)
            draws.seed = seed if number == 0 else seed + 10**6 * number
            for other in players.values():
                other.module.requires_grad_(other is player)
            loss = player.loss(draws, batch).mean()
            value = engine.mean(loss.detach())
            if number == 0:
                shown = value
            if not math.isfinite(value):
                return math.nan
            optimizers[name].zero_grad(set_to_none=True)
            engine.backward(loss, player.module)
            torch.nn.utils.clip_grad_norm_(player.module.parameters(), CLIP)
            optimizers[name].step()
    return shown


def _optimizer(player: Player, recipe: Recipe) -> torch.optim.Optimizer:
    rate = float(recipe.training["rate"]["start"]) * player.rate
    return torch.optim.Adam(player.module.parameters(), lr=rate, betas=player.betas, foreach=True)


def _averaging(decay: float) -> Any:
    """An exponential average that follows quickly at first: min(decay, (1 + i)/(10 + i))."""

    @torch.no_grad()
    def update(averaged: Any, current: Any, count: Any) -> None:
        share = min(decay, (1 + float(count)) / (10 + float(count)))
        torch._foreach_lerp_(averaged, current, 1 - share)

    return update


def _follow(made: System, student: nn.Module, decay: float) -> None:
    """The target network follows the student."""
    if "target" not in made.frozen:
        return
    with torch.no_grad():
        old: list[Tensor] = [*made.frozen["target"].parameters()]
        new: list[Tensor] = [*student.parameters()]
        torch._foreach_lerp_(old, new, 1 - decay)


def rate_at(rate: Any, share: float) -> float:
    """The learning rate at a share of training.

    >>> [round(rate_at({"start": 1.0, "end": 0.1, "shape": "linear"}, s), 3) for s in (0, 0.5, 1)]
    [1.0, 0.55, 0.1]
    """
    high, low = float(rate["start"]), float(rate["end"])
    if rate["shape"] == "constant":
        return high
    part = share if rate["shape"] == "linear" else 0.5 * (1 - math.cos(math.pi * share))
    return high + part * (low - high)


def _set_rate(
    recipe: Recipe,
    made: System,
    players: dict[str, Player],
    optimizers: dict[str, Any],
    step: int,
) -> None:
    value = rate_at(recipe.training["rate"], made.progress(step))
    for name, player in players.items():
        for group in optimizers[name].param_groups:
            group["lr"] = value * player.rate


def _check_shapes(made: System) -> None:
    """One loss before the first step: a network with another shape is reported here.

    Raises:
        TrainingError: the student's output does not have the shape of its state.
    """
    made.before(0)
    size = 4
    state = torch.zeros(size, made.world.size)
    network = getattr(made.student, "network", None)
    times = {"jump": 2, "average": 2, "generator": 0}.get(made.recipe.form, 1)
    if network is None:
        return
    try:
        out = network(state, *[torch.ones(size)] * times)
    except (RuntimeError, TypeError) as error:
        raise TrainingError(
            f"network: cannot be called as network(x {tuple(state.shape)}, {times} times (b,)): {error}"
        ) from None
    if not isinstance(out, Tensor) or out.shape != state.shape:
        found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise TrainingError(
            f"network: returned {found} for a state of shape {tuple(state.shape)}; it must return the "
            "shape of its state"
        )


def _finite(modules: dict[str, nn.Module]) -> bool:
    return all(
        bool(value.isfinite().all()) for one in modules.values() for value in one.parameters()
    )


def _lost(folder: Path | None, step: int) -> None:
    known = checkpoint.facts(folder) if folder else {}
    kept = f"the state of step {known['step']} is kept; " if known else ""
    raise TrainingError(
        f"training: the loss or a weight is not finite at step {step}; {kept}lower [training] rate, or "
        "look at the data and the teacher for infinite values"
    )


@contextmanager
def _log(folder: Path | None, first: int, engine: Engine) -> Iterator[Any]:
    """Losses into scalars.jsonl, one JSON a line, and a line of progress on terminals."""
    stream = None
    if folder and engine.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SCALARS
        rows = (
            [one for one in checkpoint.lines(path) if one["step"] <= first]
            if (first and path.is_file())
            else []
        )
        stream = path.open("w", encoding="utf-8")
        stream.writelines(json.dumps(one) + "\n" for one in rows)
    begun, shown = time.monotonic(), sys.stderr.isatty() and engine.rank == 0

    def log(step: int, value: float) -> None:
        if stream:
            stream.write(json.dumps({"step": step, "loss": value}) + "\n")
            stream.flush()
        if shown:
            pace = (step - first) / max(time.monotonic() - begun, 1e-9)
            text = f"\rstep {step}  loss {value:.4g}  {pace:.0f}/s\x1b[K"
            print(text, end="", file=sys.stderr, flush=True)

    try:
        yield log
    finally:
        if stream:
            stream.close()
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM finish the step and save; the list is no longer empty then."""
    caught: list[int] = []

    def note(number: int, _: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    try:
        old = {one: signal.signal(one, note) for one in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread
        yield caught
        return
    try:
        yield caught
    finally:
        for one, handler in old.items():
            signal.signal(one, handler)
