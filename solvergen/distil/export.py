"""A trained student as files: weights, facts, one Python file, a report. No pickle anywhere."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SolvergenError
from ..writing import write
from . import checkpoint, students
from .files import FACTS, FILE, REPORT, WEIGHTS
from .recipe import Recipe
from .train import Trained

EXAMINED = {
    "consistency": "endpoint",
    "trigflow": "endpoint",
    "jump": "flow-map",
    "denoising-jump": "flow-map",
    "average": "flow-map",
    "flow": "flow-map",
    "generator": "generator",
    "multistep-generator": "generator",
    "denoiser": "denoiser",
}
PROBE = 4


def export(recipe: Recipe, trained: Trained, folder: Path, seed: int) -> Path:
    """Write a student's folder; each file whole or not at all.

    Raises:
        SolvergenError: the network is a user's own: only its weights can be written.
    """
    if ":" in recipe.student["network"]["kind"]:
        text = None
    else:
        text = python_file(recipe, trained)
    weights = {
        key: value.detach().float().contiguous()
        for key, value in trained.student.state_dict().items()
    }
    said = {"recipe": recipe.digest, "name": recipe.name, "seed": str(seed)}
    checkpoint.write(folder / WEIGHTS, weights, said)
    write(folder / FACTS, facts_toml(recipe, trained, seed))
    if text is not None:
        write(folder / FILE, text)
    write(folder / REPORT, json.dumps(report(recipe, trained, seed), indent=2) + "\n")
    return folder


def report(recipe: Recipe, trained: Trained, seed: int) -> dict[str, Any]:
    """What is known after training, without an examination."""
    return {
        "recipe": recipe.name,
        "recipe_sha256": recipe.digest,
        "system": recipe.system,
        "seed": seed,
        "iterations": trained.step,
        "finished": trained.finished,
        "processor_seconds": round(trained.seconds, 2),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "losses": trained.losses[:: max(1, len(trained.losses) // 50)],
        "claim": dict(recipe.claim),
    }


def facts_toml(recipe: Recipe, trained: Trained, seed: int) -> str:
    """The facts of a student as TOML."""
    made, table = trained.system, recipe.student["network"]
    lines = [
        f"recipe = {json.dumps(recipe.name)}",
        f"recipe_sha256 = {json.dumps(recipe.digest)}",
        f"system = {json.dumps(recipe.system)}",
        f"form = {json.dumps(recipe.form)}",
        f"seed = {seed}",
        f"iterations = {trained.step}",
        f"sigma_data = {made.world.sd!r}",
        f"sigma_min = {made.low!r}",
        f"sigma_max = {made.top!r}",
        f"levels = {json.dumps(recipe.levels())}",
        "",
        "[network]",
        *(f"{key} = {json.dumps(value)}" for key, value in table.items()),
    ]
    return "\n".join(lines) + "\n"


def probe(recipe: Recipe, trained: Trained) -> dict[str, Any]:
    """Inputs and outputs of the exported weights, by which a reader knows them again."""
    made, inner = trained.system, trained.student
    generator = torch.Generator().manual_seed(17)
    size = made.world.size
    sigma = torch.tensor([made.top, 2.0, 0.5, 0.1][:PROBE], dtype=torch.float64)
    x = torch.randn(PROBE, size, generator=generator, dtype=torch.float64)
    extra = conditions(inner, PROBE)
    levels: list[Tensor] = []
    if recipe.form == "multistep-generator":
        assert isinstance(inner, students.MultistepGenerator)
        shape = (PROBE, size * len(inner.levels))
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
    elif recipe.form != "generator":
        x, levels = x * torch.hypot(sigma, torch.tensor(made.world.sd))[:, None], [sigma]
        if EXAMINED[recipe.form] == "flow-map":
            levels.append(sigma / 3)
    # rounded first, so that what is stated is what was evaluated
    x = x.float().double()
    with torch.no_grad():
        value = inner(x, *levels, **extra)
    out = {
        "x": x.tolist(),
        "levels": [one.tolist() for one in levels],
        "value": [[round(float(v), 7) for v in row] for row in value],
    }
    return out | {key: one.tolist() for key, one in extra.items()}


def conditions(student: nn.Module, count: int) -> dict[str, Tensor]:
    """Classes and scales for a student that takes them."""
    network, extra = getattr(student, "network", None), {}
    if isinstance(network, students.Mlp) and network.classes:
        extra["label"] = torch.arange(count) % network.classes
    if isinstance(network, students.Mlp) and network.scaled:
        extra["scale"] = torch.full((count,), 2.0, dtype=torch.float64)
    return extra


def python_file(recipe: Recipe, trained: Trained) -> str:
    """One Python file: the few-step sampler as emitted, the module, load(), draw()."""
    inner = trained.student
    network = inner.network
    assert isinstance(network, students.Mlp)
    classes: list[type[nn.Module]] = [students.Mlp]
    for one in type(inner).__mro__[::-1]:
        if issubclass(one, nn.Module) and one is not nn.Module:
            classes.append(one)
    form = EXAMINED[recipe.form]
    sampler = "" if form in ("generator", "flow-map") else _sampler()
    times = students.TIMES.get(recipe.form, 1)
    made = trained.system
    shape = {
        "size": made.world.size,
        "width": recipe.student["network"]["width"],
        "depth": recipe.student["network"]["depth"],
        "times": times,
        "classes": network.classes,
        "scaled": network.scaled,
    }
    values: dict[str, Any] = {
        "RECIPE": recipe.name,
        "KIND": recipe.form,
        "FORM": form,
        "PROBLEM": recipe.target["mixture"]
        or ("digits" if recipe.target["data"] == "digits" else ""),
        "LEVELS": recipe.levels() if form != "generator" else [],
        "STEPS": few_levels(recipe),
        "SIGMA_DATA": made.world.sd,
        "SIGMA_MIN": made.low,
        "SIGMA_MAX": made.top,
        "CLAIMS": dict(recipe.claim),
        "CONDITIONS": [
            key for key, has in (("label", network.classes), ("scale", network.scaled)) if has
        ],
        "SCALES": _scales(recipe),
        "DRAWS": len(inner.levels) if isinstance(inner, students.MultistepGenerator) else 1,
        "TOP_ONLY": recipe.system in ("reflow", "progressive"),
        "NETWORK": shape,
        "PROBE": probe(recipe, trained),
    }
    head = [
        f"# {recipe.name}: a student that solvergen trained; do not edit.",
        f"# remake   solvergen train {recipe.name}",
        f'"""{recipe.title}.',
        "",
        "load() gives the student; draw() samples with it. Needs torch and safetensors.",
        '"""',
        "",
    ]
    body = [f"{key} = {value!r}" for key, value in values.items()]
    if isinstance(inner, students.MultistepGenerator):
        body.append(f"GENERATOR_LEVELS = {tuple(inner.levels)!r}")
    source = [inspect.getsource(one).rstrip() for one in classes]
    column = inspect.getsource(students.column).rstrip()
    imports = (
        "import math\nfrom pathlib import Path\nfrom typing import Any\n\nimport torch\n"
        "from safetensors.torch import load_file\nfrom torch import Tensor, nn\n"
    )
    parts = [
        "\n".join(head),
        imports,
        sampler,
        "\n".join(body),
        column,
        *source,
        _loading(type(inner).__name__, isinstance(inner, students.MultistepGenerator)),
        _drawing(form),
    ]
    return _assembled(parts)


def _assembled(parts: list[str]) -> str:
    """The parts with the future import where Python wants it: after the docstring."""
    text = "\n\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"
    head, rest = text.split("import math\n", 1)
    return f"{head.rstrip()}\n\nfrom __future__ import annotations\n\nimport math\n{rest}"


def _sampler() -> str:
    """The emitted file of multistep consistency sampling, without its docstring and imports."""
    from solvergen.generated import consistency_multistep

    text = Path(str(consistency_multistep.__file__)).read_text(encoding="utf-8")
    _, _, rest = text.partition("import torch\n")
    about = "# The sampler below is solvergen's own consistency_multistep, as emitted (CC0-1.0)."
    return f"{about}\n{rest.strip()}"


def _loading(name: str, several: bool) -> str:
    extra = "\n    made.levels = GENERATOR_LEVELS" if several else ""
    return f'''def load(path: str | Path | None = None) -> {name}:
    """The student with its weights, in evaluation mode.

    path: of student.safetensors; beside this file unless given.
    """
    made = {name}(Mlp(**NETWORK), SIGMA_DATA, SIGMA_MIN){extra}
    place = Path(__file__).with_name("{WEIGHTS}") if path is None else path
    made.load_state_dict(load_file(place))
    return made.train(False)'''


def _drawing(form: str) -> str:
    if form == "generator":
        return '''@torch.no_grad()
def draw(model: nn.Module, count: int, seed: int = 0, **extra: Any) -> Tensor:
    """Samples: (count, d)."""
    generator = torch.Generator().manual_seed(seed)
    return model(torch.randn(count, NETWORK["size"] * DRAWS, generator=generator), **extra)'''
    if form == "flow-map":
        return '''@torch.no_grad()
def draw(model: nn.Module, count: int, steps: int = 1, seed: int = 0, **extra: Any) -> Tensor:
    """Samples in 1 to len(STEPS) jumps from the highest level down: (count, d)."""
    generator = torch.Generator().manual_seed(seed)
    x = SIGMA_MAX * torch.randn(count, NETWORK["size"], generator=generator)
    levels = [*STEPS[:: max(1, len(STEPS) // steps)][:steps], SIGMA_MIN]
    for high, low in zip(levels, levels[1:]):
        x = model(x, torch.full((count,), high), torch.full((count,), low), **extra)
    return x'''
    return '''@torch.no_grad()
def draw(model: nn.Module, count: int, steps: int = 1, seed: int = 0, **extra: Any) -> Tensor:
    """Samples in 1 to len(STEPS) steps, from the highest trained level down: (count, d)."""
    generator = torch.Generator().manual_seed(seed)
    x = SIGMA_MAX * torch.randn(count, NETWORK["size"], generator=generator)
    levels = [*STEPS[:: max(1, len(STEPS) // steps)][:steps], 0.0]

    def noise(*_: Any) -> Tensor:
        return torch.randn(x.shape, generator=generator)

    return sample(model, x, levels, extra, noise_sampler=noise, sigma_min=SIGMA_MIN)'''


def few_levels(recipe: Recipe) -> list[float]:
    """Four trained levels from which few-step sampling draws, the highest first."""
    levels = recipe.levels()[:-1]
    if recipe.form in ("generator", "multistep-generator"):
        return []
    return [levels[len(levels) * i // 4] for i in range(min(4, len(levels)))]


def _scales(recipe: Recipe) -> list[float]:
    scale = (recipe.teacher.get("guidance") or {}).get("scale", [])
    return list(scale) if isinstance(scale, list) else [scale]


def loaded(folder: Path) -> Any:
    """The Python file of a student's folder as a module.

    Raises:
        SolvergenError: no student there.
    """
    from .data import load_python

    if not (folder / FILE).is_file():
        raise SolvergenError(f"{folder}: no exported student; train one with solvergen train")
    return load_python(folder / FILE)
