"""Every place that a sampler can take its noise from, replaced for the length of one run.

Three sources are met in practice: torch's normal draws (randn, randn_like, normal, normal_, however
they are reached), a `noise_sampler(sigma, sigma_next)` argument, and k-diffusion's Brownian tree.
Each is answered from one table, in the order of the requests, so that a run is a function of that
table and nothing is left to chance.
"""

from __future__ import annotations

import contextlib
import inspect
import operator
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..errors import ConductError
from .trace import level_told

Array = NDArray[np.float64]

TREE = "BrownianTreeNoiseSampler"
STANDARD = {torch.randn, torch.randn_like}
NORMAL = {*STANDARD, torch.normal, torch.Tensor.normal_}


@dataclass(frozen=True)
class Draw:
    """One unit-variance tensor that a sampler asked for.

    Args:
        after: model calls that were made before it.
        levels: (sigma it starts from, sigma it leads to), or None when the sampler did not say.
        times: the same in the time of a Brownian tree, or None for an independent draw.
    """

    after: int
    levels: tuple[float, float] | None = None
    times: tuple[float, float] | None = None


class Source:
    """What stands in for all noise during one run.

    Args:
        table: (k, c) the values of the k-th draw, flattened; None answers zeros.
        shape: of the state; a draw of another shape is left alone.
    """

    def __init__(self, shape: tuple[int, ...], table: Array | None = None) -> None:
        self.shape = shape
        self.table = table
        self.draws: list[Draw] = []
        self.normal = 0  # of the draws, those that were asked of torch
        self.calls = 0

    def answer(
        self,
        like: Tensor,
        levels: tuple[float, float] | None = None,
        times: tuple[float, float] | None = None,
    ) -> Tensor:
        """The next draw, in the dtype of `like`.

        Args:
            levels, times: see Draw.

        Raises:
            ConductError: "random", what value() raises.
        """
        draw = Draw(self.calls, levels, times)
        self.draws.append(draw)
        values = _SCALE.get() * self.value(draw)
        made = torch.from_numpy(values).to(like.dtype).reshape(self.shape)
        place = _PLACE.get()
        return made if place is None else place[0](made)

    @property
    def drawn(self) -> tuple[int, ...]:
        """Shape of the draws: the state's, unless the sampler runs on one of another shape."""
        place = _PLACE.get()
        return self.shape if place is None else place[1]

    def value(self, draw: Draw) -> Array:
        """The numbers of one draw, flattened.

        Raises:
            ConductError: "random", more draws than on the same grid a moment ago.
        """
        if self.table is None:
            return np.zeros(int(np.prod(self.shape)))
        if len(self.draws) > len(self.table):
            raise ConductError(
                "random", f"more than {len(self.table)} draws, the number on the same grid before"
            )
        out: Array = self.table[len(self.draws) - 1]
        return out

    def sampler(self, like: Tensor) -> Callable[..., Tensor]:
        """A noise_sampler(sigma, sigma_next) that answers from the table."""

        def noise(sigma: Any, sigma_next: Any, *_: Any, **__: Any) -> Tensor:
            return self.answer(like, (level_told(sigma), level_told(sigma_next)))

        return noise


_ACTIVE: ContextVar[Source | None] = ContextVar("noise_source", default=None)
_OPEN: ContextVar[contextlib.ExitStack | None] = ContextVar("noise_swaps", default=None)
# functions that draw by argument or from a tree alone; those of which that has turned out wrong
_QUICK: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()
_STRAYED: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()
# of a thread: whether a run of its own has strayed
_FRESH = threading.local()
_SCALE: ContextVar[float] = ContextVar("noise_scale", default=1.0)
_Place = tuple[Callable[[Tensor], Tensor], tuple[int, ...]]
_PLACE: ContextVar[_Place | None] = ContextVar("noise_place", default=None)


@contextlib.contextmanager
def draws_scaled(factor: float) -> Iterator[None]:
    """Make every draw inside the block smaller by a factor, for a sampler run at that amplitude."""
    token = _SCALE.set(factor)
    try:
        yield
    finally:
        _SCALE.reset(token)


@contextlib.contextmanager
def draws_placed(placed: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Iterator[None]:
    """Give every draw inside the block in a state of another shape.

    Args:
        placed: from a draw of the state's shape to one of `shape`.
    """
    token = _PLACE.set((placed, shape))
    try:
        yield
    finally:
        _PLACE.reset(token)


@contextlib.contextmanager
def hooked(
    function: Callable[..., Any], options: dict[str, Any], x: Tensor
) -> Iterator[dict[str, Any]]:
    """The `noise_sampler` argument to give to a function inside the block, or {}.

    A function that has asked only this argument, or a Brownian tree, in a whole run before is taken to
    go on so: torch's own draws, to intercept which makes each operation several times slower, are
    then left alone. Should it draw from torch after all, strayed() says so.
    """
    source = _ACTIVE.get()
    if source is None:
        yield {}
        return
    given = {} if "noise_sampler" in options else _argument(function, source, x)
    if function not in _QUICK:
        yield given
        if source.draws and not source.normal and function not in _STRAYED:
            _QUICK.add(function)
        return
    before = torch.default_generator.get_state()
    with torch._C.DisableTorchFunction():
        yield given
    if not torch.equal(before, torch.default_generator.get_state()):
        _QUICK.discard(function)
        _STRAYED.add(function)
        _FRESH.strayed = True


def strayed() -> bool:
    """Whether, since this was last asked, a run has drawn where no draw was expected any more.

    What was judged of it then is void. The next runs of the same function are watched in full.
    """
    found: bool = getattr(_FRESH, "strayed", False)
    _FRESH.strayed = False
    return found


def _argument(function: Callable[..., Any], source: Source, x: Tensor) -> dict[str, Any]:
    """A function whose own default is a Brownian tree keeps it: the tree's correlations are its own."""
    inner = inspect.unwrap(function)
    if "noise_sampler" not in inspect.signature(inner).parameters:
        return {}
    code = getattr(inner, "__code__", None)
    if code is not None and TREE in code.co_names:
        stack, space = _OPEN.get(), inner.__globals__
        if stack is not None and TREE in space:
            # of a module that is no longer the one under its name in sys.modules
            stack.enter_context(_swapped(space))
        return {}
    return {"noise_sampler": source.sampler(x)}


@contextlib.contextmanager
def replaced(source: Source) -> Iterator[Source]:
    """Answer every draw from `source` inside the block."""
    token = _ACTIVE.set(source)
    with contextlib.ExitStack() as stack:
        for module in _with_trees():
            stack.enter_context(_swapped(vars(module)))
        stack.enter_context(_Normal(source))
        opened = _OPEN.set(stack)
        try:
            yield source
        finally:
            _OPEN.reset(opened)
            _ACTIVE.reset(token)


class _Normal(TorchFunctionMode):
    """Answers torch's normal draws of the state's shape."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **kwargs) if kwargs else func(*args)
        if func not in NORMAL or tuple(out.shape) != self.source.drawn:
            return out
        self.source.normal += 1
        unit = self.source.answer(out)
        if func in STANDARD:
            return unit
        kwargs = kwargs or {}
        given = args[1:] if func is torch.Tensor.normal_ else args
        mean = given[0] if given else kwargs.get("mean", 0.0)
        std = given[1] if len(given) > 1 else kwargs.get("std", 1.0)
        made = mean + std * unit
        return out.copy_(made) if func is torch.Tensor.normal_ else made


class _Tree:
    """k-diffusion's BrownianTreeNoiseSampler, answered from a source."""

    def __init__(self, source: Source, x: Tensor, transform: Callable[[Any], Any]) -> None:
        self.source, self.like, self.transform = source, x, transform

    def __call__(self, sigma: Any, sigma_next: Any) -> Tensor:
        levels = level_told(sigma), level_told(sigma_next)
        one, two = (
            level_told(self.transform(torch.as_tensor(s, dtype=torch.float64))) for s in levels
        )
        return self.source.answer(self.like, levels, (one, two))


_SWAPPING = threading.Lock()
# modules that were looked through before: thousands are loaded, and each run would look again; by
# reference, since the next module may get the number of one that is gone
_TREELESS: dict[int, weakref.ref[Any]] = {}
# the modules that were loaded when last looked at, and those of them that may have a tree; held, so that
# none of them can be taken for another
_LOADED: list[Any] = []
_SUSPECTS: list[Any] = []


def _with_trees() -> list[Any]:
    """Loaded modules that define or import a Brownian tree."""
    loaded = list(sys.modules.values())
    with _SWAPPING:
        if len(loaded) != len(_LOADED) or not all(map(operator.is_, loaded, _LOADED)):
            _LOADED[:], _SUSPECTS[:] = loaded, _maybe_with_trees(loaded)
        return [module for module in _SUSPECTS if _has_tree(module)]


def _maybe_with_trees(loaded: list[Any]) -> list[Any]:
    """Those of the modules that have a tree, or cannot be remembered as having none."""
    found = []
    for module in loaded:
        known = _TREELESS.get(id(module))
        if known is not None and known() is module:
            continue
        if _has_tree(module):
            found.append(module)
            continue
        try:
            _TREELESS[id(module)] = weakref.ref(module)
        except TypeError:  # a stranger's object in sys.modules
            found.append(module)
    return found


def _has_tree(module: Any) -> bool:
    # do not trigger lazy imports by reading module attributes
    # nor is it a class where a block around this one has swapped it
    return callable(getattr(module, "__dict__", {}).get(TREE))


@dataclass
class _Swap:
    """A tree that is replaced in one namespace for as long as any block, of any thread, needs it."""

    space: dict[str, Any]
    tree: Callable[..., Any]
    blocks: int = 0

    def made(self, x: Tensor, *args: Any, **options: Any) -> Any:
        """The stand-in of the source of whoever asks; the tree itself outside every block."""
        source = _ACTIVE.get()
        if source is None:
            return self.tree(x, *args, **options)
        return _Tree(source, x, options.get("transform", lambda t: t))


# by the number of the namespace, which its swap keeps alive; blocks of two threads end in any order,
# so that none may put back what it found
_SWAPS: dict[int, _Swap] = {}


@contextlib.contextmanager
def _swapped(space: dict[str, Any]) -> Iterator[None]:
    with _SWAPPING:
        swap = _SWAPS.setdefault(id(space), _Swap(space, space[TREE]))
        swap.blocks += 1
        space[TREE] = swap.made
    try:
        yield
    finally:
        with _SWAPPING:
            swap.blocks -= 1
            if not swap.blocks:
                space[TREE] = _SWAPS.pop(id(space)).tree


def mixing(draws: tuple[Draw, ...]) -> Array:
    """(k, m): the draws as combinations of m independent unit draws.

    Draws of a Brownian tree over overlapping intervals share the path between their ends; every
    other draw is independent of all the rest.
    """
    ends = _apart([t for d in draws if d.times is not None for t in d.times])
    alone = [i for i, d in enumerate(draws) if d.times is None]
    pieces = max(len(ends) - 1, 0)
    out = np.zeros((len(draws), pieces + len(alone)))
    out[alone, pieces + np.arange(len(alone))] = 1.0
    lengths = np.diff(ends)
    for i, draw in enumerate(draws):
        if draw.times is None:
            continue
        low, high = (int(np.abs(ends - t).argmin()) for t in sorted(draw.times))
        out[i, low:high] = np.sqrt(lengths[low:high] / (ends[high] - ends[low]))
    return out


def _apart(times: list[float]) -> Array:
    """Sorted ends of intervals, those that rounding has split made one."""
    found = np.sort(np.asarray(times, dtype=np.float64))
    if len(found) == 0:
        return found
    keep = np.diff(found, prepend=-np.inf) > 1e-9 * np.abs(found).max()
    out: Array = found[keep]
    return out
