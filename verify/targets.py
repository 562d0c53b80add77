"""What a user names, found and loaded: files, folders, functions, schedulers, callables."""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .conduct.adaptive import conduct_of_adaptive
from .conduct.checks import Conduct
from .conduct.schedulers import conduct_of_scheduler
from .errors import ANYTHING, TargetError
from .fitted.judging import Fitted
from .hosts import functions
from .hosts.adaptive import Adaptive, adaptive
from .hosts.alone import k_diffusion_sampling, load_file
from .hosts.schedulers import scheduler_run
from .names import require
from .probe.trace import Run


@dataclass(frozen=True)
class Target:
    """A sampler ready to be judged.

    Args:
        name: how the user named it, with its options.
        run: run(denoiser, x, sigmas), scaling x = x0 + sigma eps.
        claim: order that it claims for itself, or None.
        stated: constants of an emitted file (ORDER, LEADING_ERROR, INTEGRAND, ...), or {}.
        title: a readable name.
        path: source file, for annotations, or None.
        single: the same host with its single-precision casts left in, or None.
        formula: text to show, or "".
        quiet: the same sampler with its noise switched off by its own option, or None.
        real: its real runs, where these are not those of a function on the caller's grid.
        fitted: a file with numbers for each of its steps; `run` then has those of one step at all.
        table: the module of a calibrated file, whose levels are its own, or None.
        adaptive: the sampler, or a function of its file, that chooses its own steps, or None.
    """

    name: str
    run: Run
    claim: int | None = None
    stated: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    path: str | None = None
    single: Run | None = None
    formula: str = ""
    quiet: Run | None = None
    real: Callable[[], Conduct] | None = None
    fitted: Fitted | None = None
    table: types.ModuleType | None = None
    adaptive: Adaptive | None = None


STATED = (
    "NAME",
    "TITLE",
    "INTEGRAND",
    "CLAIM",
    "EVALUATIONS_PER_STEP",
    "HISTORY",
    "SPEC_SHA256",
    "ORDER",
    "LEADING_ERROR",
    "NOISE",
    "WEAK_ORDER",
    "LOCAL_ORDER",
    "STEPS",
    "LEVELS",
    "NUMBERS",
    "BASE",
    "KEPT_ORDER",
    "DEFECTS",
    "GAIN",
    "CALLED",
    "FIRST",
    "PER_SAMPLE",
    "PER_ELEMENT",
)
# constants of a calibrated file
TABLE = ("EVALUATIONS", "LEVELS", "SHARES", "SIGMAS", "MEAN", "STD", "DEFECTS")
# how samplers name the strength of their noise
SWITCHES = ("eta", "tau", "s_churn", "churn")


def find(
    text: str, options: dict[str, Any] | None = None, convention: str | None = None
) -> list[Target]:
    """All samplers that a command-line target names.

    Args:
        text: a .py file, a folder of them, "module:name", or "diffusers:SchedulerClass".
        options: keyword arguments for the sampler, or for the scheduler's constructor.
        convention: how to call a function whose signature does not tell; see hosts.functions.

    Raises:
        TargetError: nothing found there, or it cannot be imported.
    """
    options = options or {}
    if ":" in text and not Path(text).exists():
        return [_named(text, options, convention)]
    require(text)
    path = Path(text)
    if not path.is_dir():
        return _file(path, options, convention)
    files = sorted(p for p in path.glob("*.py") if not p.name.startswith("_"))
    if not files:
        raise TargetError(f"{text}: no .py file in this folder")
    return [t for p in files for t in _file(p, options, convention)]


def callable_target(
    sampler: Any,
    *,
    name: str | None = None,
    claim: int | None = None,
    options: dict[str, Any] | None = None,
    convention: str | None = None,
) -> Target:
    """A Python object as a target: a function, an emitted module, a scheduler class or instance.

    Raises:
        TargetError: an object of a kind that is not known.
    """
    options = options or {}
    title = name or str(getattr(sampler, "__name__", type(sampler).__name__))
    if isinstance(sampler, types.ModuleType):
        return _emitted(sampler, title, options)
    if hasattr(sampler, "set_timesteps") and hasattr(sampler, "step"):
        return _scheduler(sampler, title, options, claim)
    if callable(sampler):
        found = convention or functions.convention_of(sampler)
        free = adaptive(sampler, options) if found == "k-diffusion-adaptive" else None
        return Target(
            title,
            functions.adapted(sampler, found, options),
            claim,
            title=title,
            quiet=_quiet(sampler, found, options),
            real=(lambda: conduct_of_adaptive(free)) if free else None,
            adaptive=free,
        )
    raise TargetError(f"{title}: neither a sampler function, a module nor a scheduler")


def _label(text: str, options: dict[str, Any]) -> str:
    shown = [f"{k}={v}" for k, v in options.items() if not callable(v)]
    return " ".join([text, *shown])


def samplers_in(path: Path) -> list[str]:
    """Names of the sampler functions of a file.

    Raises:
        TargetError: the file cannot be imported, or has none.
    """
    module = load_file(path)
    names = [
        name
        for name, thing in sorted(vars(module).items())
        if name.startswith("sample") and inspect.isfunction(thing) and own(module, thing)
    ]
    if not names:
        raise TargetError(
            f"{path}: no sampler found; it must define sample(model, x, sigmas, ...) or functions "
            "named sample_..."
        )
    return names


def _named(text: str, options: dict[str, Any], convention: str | None) -> Target:
    module_name, _, attribute = text.rpartition(":")
    if module_name == "diffusers":
        return _scheduler(attribute, _label(text, options), options, None)
    inside = Path(module_name)
    if inside.suffix == ".py" and inside.is_file():
        module = load_file(inside)
    else:
        module = module_named(module_name)
    thing: Any = module
    for part in attribute.split("."):
        thing = getattr(thing, part, None)
    if thing is None:
        raise TargetError(f"{text}: {module_name} has no {attribute!r}")
    made = callable_target(
        thing, name=_label(text, options), options=options, convention=convention
    )
    with_path = inspect.getsourcefile(inspect.unwrap(thing)) if callable(thing) else None
    return Target(**{**made.__dict__, "path": with_path})


def module_named(name: str) -> types.ModuleType:
    """An importable module.

    Raises:
        TargetError: it cannot be imported.
    """
    if name == "k_diffusion.sampling":
        try:
            return importlib.import_module(name)
        except ImportError:
            return k_diffusion_sampling()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TargetError(f"{name}: cannot be imported: {error}") from error
    except ANYTHING as error:
        raise TargetError(f"{name}: {type(error).__name__} on import: {error}") from error


def _file(path: Path, options: dict[str, Any], convention: str | None) -> list[Target]:
    module = load_file(path)
    if own(module, getattr(module, "sample", None)):
        made = _emitted(module, _label(str(path), options), options)
        return [Target(**{**made.__dict__, "path": str(path)})]
    out = []
    for name in samplers_in(path):
        made = callable_target(
            vars(module)[name],
            name=_label(f"{path}:{name}", options),
            claim=_stated_order(module, str(path)),
            options=options,
            convention=convention,
        )
        out.append(Target(**{**made.__dict__, "path": str(path)}))
    return out


def own(module: types.ModuleType, thing: Any) -> bool:
    """A callable that the file defines: one imported from elsewhere is somebody else's sampler."""
    imported = inspect.isroutine(thing) or inspect.isclass(thing)
    return callable(thing) and not (imported and thing.__module__ != module.__name__)


def _emitted(module: types.ModuleType, name: str, options: dict[str, Any]) -> Target:
    """An emitted file: `sample` with k-diffusion's signature and its claims as constants."""
    sample = getattr(module, "sample", None)
    if not callable(sample):
        raise TargetError(f"{name}: the module has no function sample(model, x, sigmas, ...)")
    stated = {key: getattr(module, key) for key in STATED if hasattr(module, key)}
    options = {**_strength(sample, stated), **options}
    order = _stated_order(module, name)
    fitted = _fitted(sample, stated, options)
    if fitted is not None and order is None:
        order = stated.get("KEPT_ORDER")
    return Target(
        name=name,
        run=fitted.held(int(stated["STEPS"]) // 2)
        if fitted
        else functions.adapted(sample, "k-diffusion", options),
        claim=order,
        stated=stated,
        title=str(stated.get("TITLE") or stated.get("NAME") or name),
        path=getattr(module, "__file__", None),
        formula=(module.__doc__ or "").strip(),
        quiet=_quiet(sample, "k-diffusion", options),
        fitted=fitted,
        table=module if all(hasattr(module, name) for name in TABLE) else None,
        adaptive=adaptive(module.sample_adaptive, options)
        if hasattr(module, "sample_adaptive")
        else None,
    )


def _stated_order(module: types.ModuleType, name: str) -> int | None:
    """The order that a file claims for its samplers: `CLAIM = 2`, or {"order": 2, …}.

    Raises:
        TargetError: a claim of another kind, which would otherwise claim nothing.
    """
    claim = getattr(module, "CLAIM", None)
    order = claim.get("order") if isinstance(claim, dict) else claim
    if order is None or (isinstance(order, int) and not isinstance(order, bool)):
        return order
    raise TargetError(f'{name}: CLAIM = {claim!r}: write an order, CLAIM = 2, or {{"order": 2}}')


def _fitted(sample: Any, stated: dict[str, Any], options: dict[str, Any]) -> Fitted | None:
    """A file with numbers for each of its steps, where it is one and the user gives none."""
    numbers = stated.get("NUMBERS")
    if not (isinstance(numbers, dict) and numbers and "STEPS" in stated and "LEVELS" in stated):
        return None

    def numbered(others: Mapping[str, Any]) -> Run:
        return functions.adapted(sample, "k-diffusion", {**options, **others})

    return None if set(numbers) & set(options) else Fitted(numbered({}), numbered, stated)


def _strength(sample: Any, stated: dict[str, Any]) -> dict[str, Any]:
    """One, for the strength of an emitted file's noise that is off by default."""
    noise = stated.get("NOISE")
    name = noise.get("strength") if isinstance(noise, dict) else None
    known = inspect.signature(sample).parameters.get(str(name))
    return {str(name): 1.0} if known is not None and known.default == 0 else {}


def _quiet(function: Any, convention: str, options: dict[str, Any]) -> Run | None:
    """The function with every strength that it has an argument for at zero."""
    known = inspect.signature(function).parameters
    off = {name: 0.0 for name in SWITCHES if name in known}
    return functions.adapted(function, convention, {**options, **off}) if off else None


def _scheduler(scheduler: Any, name: str, options: dict[str, Any], claim: int | None) -> Target:
    title = scheduler if isinstance(scheduler, str) else name
    return Target(
        name=name,
        run=scheduler_run(scheduler, options),
        claim=claim,
        title=str(title),
        single=_lazy(lambda: scheduler_run(scheduler, options, exact=False)),
        quiet=_quiet_scheduler(scheduler, options),
        real=lambda: conduct_of_scheduler(scheduler, options),
    )


def _quiet_scheduler(scheduler: Any, options: dict[str, Any]) -> Run | None:
    """The scheduler with the options that switch its noise on turned back, when there are any."""
    off: dict[str, Any] = {name: 0.0 for name in SWITCHES if name in options}
    kind = options.get("algorithm_type")
    if isinstance(kind, str) and kind.startswith("sde-"):
        off["algorithm_type"] = kind.removeprefix("sde-")
    if "tau_func" in options:
        off["tau_func"] = lambda _: 0.0
    return _lazy(lambda: scheduler_run(scheduler, {**options, **off})) if off else None


def _lazy(make: Callable[[], Run]) -> Run:
    """A run that is built on its first use."""
    made: list[Run] = []

    def run(denoiser: Any, x: Any, sigmas: Any) -> Any:
        if not made:
            made.append(make())
        return made[0](denoiser, x, sigmas)

    return run
