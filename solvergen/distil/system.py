"""What a system is to the training loop: players with losses and clocks of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SolvergenError
from . import teacher
from .bank import Bank, bank
from .data import Model, World, called
from .recipe import Recipe
from .seeds import Draws
from .students import FORMS, TIMES, Mlp

Loss = Callable[[Draws, int], Tensor]


@dataclass
class Player:
    """A network that is trained, with its loss for each sample and its updates an iteration.

    Args:
        module: what is trained.
        loss: (draws, count) -> (count,) per-sample losses.
        updates: how often it is updated in one iteration.
        betas: of Adam.
        rate: factor on the learning rate.
    """

    module: nn.Module
    loss: Loss
    updates: int = 1
    betas: tuple[float, float] = (0.9, 0.999)
    rate: float = 1.0


class System:
    """One system of training; a subclass says its loss.

    Args:
        recipe: what is trained.
        world: the data.
        seed: of the initial weights.
    """

    # whether the loss compares with an average of the student's own past weights
    own_target = False

    def __init__(self, recipe: Recipe, world: World, seed: int) -> None:
        self.recipe, self.world, self.seed = recipe, world, seed
        self.total = int(recipe.training["iterations"])
        self.low = float(recipe.teacher["levels"]["sigma_min"])
        self.top = float(recipe.teacher["levels"]["sigma_max"])
        torch.manual_seed(seed)
        self.student: nn.Module = self.made(recipe.form)
        if recipe.student["start"]:
            begin_from(self.student, str(recipe.student["start"]))
        self.frozen: dict[str, nn.Module] = {}
        self.prepare()

    def prepare(self) -> None:
        """What a system needs before the first step: a bank, frozen copies."""

    def made(self, form: str) -> nn.Module:
        """A fresh student of a form with the recipe's network."""
        return FORMS[form](self.network(TIMES.get(form, 1)), self.world.sd, self.low)

    def network(self, times: int, outputs: int = 0, classes: int | None = None) -> nn.Module:
        """The recipe's raw network."""
        table = self.recipe.student["network"]
        known = self.world.classes if classes is None else classes
        if table["kind"] == "mlp":
            return Mlp(
                self.world.size,
                table["width"],
                table["depth"],
                times,
                known,
                self.recipe.system == "latent-consistency",
                outputs,
            )
        if ":" in table["kind"]:
            found = called(table["kind"])
            if not isinstance(found, nn.Module):
                raise SolvergenError(f"network {table['kind']}: returned no nn.Module")
            return found
        raise SolvergenError(
            f'network kind `{table["kind"]}`: unknown; "mlp" or "module:function" that returns a module'
        )

    def players(self) -> dict[str, Player]:
        """The networks that are trained; the first is exported."""
        return {"student": Player(self.student, self.loss)}

    def loss(self, draws: Draws, count: int) -> Tensor:
        """(count,) per-sample loss of the student."""
        raise NotImplementedError

    def before(self, step: int) -> None:
        """Called before each iteration: curricula and stages."""

    def progress(self, step: int) -> float:
        """From 0 to 1, what the learning rate follows; a system with stages restarts it."""
        return step / self.total

    def modules(self) -> dict[str, nn.Module]:
        """Everything whose weights belong to a checkpoint."""
        return {name: one.module for name, one in self.players().items()} | self.frozen

    def copy_of(self, module: nn.Module) -> nn.Module:
        """A frozen copy of a module."""
        made = copy.deepcopy(module)
        return made.requires_grad_(False)

    def bank(self) -> Bank:
        """The teacher's trajectories."""
        return bank(self.recipe, self.world)

    def denoiser(self) -> Model:
        """The teacher's denoiser."""
        return teacher.denoiser(self.recipe, self.world)


def begin_from(student: nn.Module, folder: str) -> None:
    """Give a student's network the weights of another with the same shapes.

    Raises:
        SolvergenError: no student there, or its network has other shapes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from .files import WEIGHTS

    try:
        held = load_file(f"{folder}/{WEIGHTS}")
        student.load_state_dict(held)
    except (OSError, SafetensorError) as error:
        raise SolvergenError(f"[student] start: {folder} holds no student: {error}") from None
    except RuntimeError:
        raise SolvergenError(
            f"[student] start: the network in {folder} has other shapes; give it the same form, width "
            "and depth"
        ) from None


def square(gap: Tensor) -> Tensor:
    """Mean over coordinates of the squared difference: (b,)."""
    return gap.square().flatten(1).mean(1)


def distance(gap: Tensor, loss: Any) -> Tensor:
    """The recipe's metric of a difference: squared, or pseudo-Huber of the norm over the sample."""
    if loss.get("metric", "l2") == "l2":
        return square(gap)
    c = float(loss["c"])
    return (gap.square().flatten(1).sum(1) + c * c).sqrt() - c
