"""A student's folder for diffusers (ModelMixin and scheduler) and for ComfyUI (a node)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ..errors import SolvergenError
from ..writing import write
from .export import loaded
from .files import FACTS, FILE, WEIGHTS

MODEL = '''"""The student as a diffusers model: register_to_config, save_pretrained, from_pretrained."""

import importlib.util
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config

_spec = importlib.util.spec_from_file_location("student", Path(__file__).with_name("student.py"))
student = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(student)


class Student(ModelMixin, ConfigMixin):
    """The map itself: forward(sample, timestep=sigma) is one jump to the lowest level."""

    @register_to_config
    def __init__(self, sigma_min: float = student.SIGMA_MIN, sigma_max: float = student.SIGMA_MAX):
        super().__init__()
        self.map = student.load()

    def forward(self, sample, timestep, **conditions):
        """sample: x = x0 + sigma z; timestep: sigma, a number or one for each sample."""
        sigma = torch.as_tensor(timestep, dtype=sample.dtype, device=sample.device)
        return self.map(sample, sigma.expand(len(sample)), **conditions)
'''
COMFY = '''"""A ComfyUI node that samples with the student; the folder goes into custom_nodes."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("student", Path(__file__).with_name("student.py"))
student = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(student)


class SampleStudent:
    """Samples of the student, as a latent of shape (count, size, 1, 1)."""

    CATEGORY = "sampling/solvergen"
    RETURN_TYPES = ("LATENT",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        """What the node asks for."""
        most = max(1, len(student.STEPS))
        return {
            "required": {
                "count": ("INT", {"default": 64, "min": 1, "max": 65536}),
                "steps": ("INT", {"default": 1, "min": 1, "max": most}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**63 - 1}),
            }
        }

    def run(self, count, steps, seed):
        """Draw and hand on."""
        model = student.load()
        more = {} if student.FORM == "generator" else {"steps": steps}
        samples = student.draw(model, count, seed=seed, **more)
        return ({"samples": samples[:, :, None, None]},)


NODE_CLASS_MAPPINGS = {"SolvergenStudent": SampleStudent}
NODE_DISPLAY_NAME_MAPPINGS = {"SolvergenStudent": "Sample a student (solvergen)"}
'''


def diffusers_folder(folder: Path, out: Path, scheduler: str) -> list[str]:
    """model.py with a ModelMixin, the scheduler of multistep consistency sampling, the student.

    Args:
        scheduler: text of the scheduler's file.

    Raises:
        SolvergenError: no student in the folder, or one whose form has no scheduler.
    """
    module = loaded(folder)
    if module.FORM != "endpoint":
        raise SolvergenError(
            f"{folder}: a {module.FORM} has no scheduler of diffusers; use its own draw(), or --host "
            "comfyui"
        )
    said = {"_class_name": "Student", "sigma_min": module.SIGMA_MIN, "sigma_max": module.SIGMA_MAX}
    texts = {
        "model.py": MODEL,
        "scheduler.py": scheduler,
        "config.json": json.dumps(said, indent=2) + "\n",
        "levels.json": json.dumps({"sigmas": [*module.STEPS, 0.0]}) + "\n",
    }
    return _written(folder, out, texts)


def comfyui_folder(folder: Path, out: Path) -> list[str]:
    """A custom-node folder that samples with the student.

    Raises:
        SolvergenError: no student in the folder.
    """
    loaded(folder)
    return _written(folder, out, {"__init__.py": COMFY})


def _written(folder: Path, out: Path, texts: dict[str, str]) -> list[str]:
    if out.resolve() == folder.resolve():
        raise SolvergenError(f"{out}: the student's own folder; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write(out / name, text)
    for name in (WEIGHTS, FACTS, FILE):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / f".{name}.tmp")
            (out / f".{name}.tmp").replace(out / name)
    return [*texts, WEIGHTS, FACTS, FILE]
