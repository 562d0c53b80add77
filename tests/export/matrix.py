"""Exported schedulers beside diffusers' own classes, key by key: what is compared, and how it ends.

`python -m tests.export.matrix` writes docs/schedulers.md anew; the nightly test holds it to that.
"""

import functools
import inspect
import itertools
import logging
import math
import warnings
from pathlib import Path

import diffusers
import torch

from tests.export import published

DOCUMENT = Path(__file__).parents[2] / "docs" / "schedulers.md"
VP = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
PLAIN = {**VP, "clip_sample": False}
# A solver for each family: its class there, the config of both, and options of a step.
PEERS = {
    "dpmpp_2m": ("DPMSolverMultistep", VP, {}),
    "sde_dpmpp_2m": ("DPMSolverMultistep", {**VP, "algorithm_type": "sde-dpmsolver++"}, {}),
    "dpmpp_3s_grid_as_shipped_by_diffusers": (
        "DPMSolverSinglestep",
        {**VP, "solver_order": 3, "lower_order_final": True},
        {},
    ),
    "unipc_2_bh2_as_shipped_by_diffusers": ("UniPCMultistep", VP, {}),
    "deis_logrho2": ("DEISMultistep", VP, {}),
    "sa_solver_sde_p2c2_as_shipped_by_diffusers": ("SASolver", VP, {}),
    "ddim": ("DDIM", PLAIN, {}),
    "ddim_eta": ("DDIM", PLAIN, {"eta": 0.7}),
    "ddpm_fixed_small": ("DDPM", PLAIN, {}),
    "pndm_as_shipped_by_diffusers": ("PNDM", {**VP, "skip_prk_steps": True}, {}),
    "euler_sigma": ("EulerDiscrete", VP, {}),
    "euler_ancestral": ("EulerAncestralDiscrete", VP, {}),
    "heun_edm": ("HeunDiscrete", VP, {}),
    "dpm2": ("KDPM2Discrete", VP, {}),
    "lms4": ("LMSDiscrete", VP, {}),
    "lcm": ("LCM", VP, {}),
    "tcd": ("TCD", VP, {"eta": 0.3}),
    "flow_euler": ("FlowMatchEulerDiscrete", {"shift": 3.0}, {}),
    "flow_heun_as_shipped_by_diffusers": ("FlowMatchHeunDiscrete", {"shift": 3.0}, {}),
}
WALKED = [0.001 + 0.019 * i / 999 for i in range(1000)]
# Values beside the default, for every key that a class of diffusers has.
KEYS = {
    "num_train_timesteps": [500],
    "beta_start": [0.0005],
    "beta_end": [0.02],
    "beta_schedule": ["linear", "squaredcos_cap_v2"],
    "trained_betas": [WALKED],
    "prediction_type": ["v_prediction", "sample"],
    "thresholding": [True],
    "dynamic_thresholding_ratio": [0.9],
    "sample_max_value": [2.0],
    "clip_sample": [True],
    "clip_sample_range": [2.0],
    "use_karras_sigmas": [True],
    "use_exponential_sigmas": [True],
    "use_beta_sigmas": [True],
    "use_lu_lambdas": [True],
    "sigma_min": [0.05],
    "sigma_max": [10.0],
    "timestep_spacing": ["leading", "trailing", "linspace"],
    "timestep_type": ["continuous"],
    "interpolation_type": ["log_linear"],
    "steps_offset": [1],
    "final_sigmas_type": ["sigma_min"],
    "set_alpha_to_one": [False],
    "rescale_betas_zero_snr": [True],
    "lambda_min_clipped": [-5.1],
    "use_flow_sigmas": [True],
    "flow_shift": [3.0],
    "shift": [1.0],
    "shift_terminal": [0.1037],
    "use_dynamic_shifting": [True],
    "time_shift_type": ["linear"],
    "invert_sigmas": [True],
    "original_inference_steps": [100],
    "timestep_scaling": [2.0],
    "variance_type": ["learned_range"],
    "solver_order": [1],
    "solver_type": ["heun", "bh1", "logrho"],
    "algorithm_type": ["dpmsolver"],
    "lower_order_final": [False, True],
    "euler_at_final": [True],
    "predict_x0": [False],
    "disable_corrector": [[0]],
    "predictor_order": [1],
    "corrector_order": [1],
    "skip_prk_steps": [False],
    "stochastic_sampling": [True],
}
# Keys that no run can compare, and what becomes of them.
WORDS = {
    "base_shift": "kept: pipelines compute mu from it",
    "max_shift": "kept: pipelines compute mu from it",
    "base_image_seq_len": "kept: pipelines compute mu from it",
    "max_image_seq_len": "kept: pipelines compute mu from it",
    "solver_p": "refused: an exported solver has no predictor of another class",
    "tau_func": "refused: set the strength by `solver_parameters`",
    "noise_sampler_seed": "honoured: seeds the draws of runs that are given no generator; the draws "
    "are not those of torchsde's tree",
}
# What goes with a key for it to mean anything.
WITH = {
    "rescale_betas_zero_snr": {"prediction_type": "v_prediction", "timestep_spacing": "trailing"},
    "timestep_type": {"prediction_type": "v_prediction", "use_karras_sigmas": True},
    "use_flow_sigmas": {"prediction_type": "flow_prediction"},
    "flow_shift": {"prediction_type": "flow_prediction", "use_flow_sigmas": True},
    "dynamic_thresholding_ratio": {"thresholding": True},
    "sample_max_value": {"thresholding": True},
    "clip_sample_range": {"clip_sample": True},
    "sigma_min": {"use_karras_sigmas": True},
    "sigma_max": {"use_karras_sigmas": True},
}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
# What pipelines do with a scheduler: counts of steps, and the step to begin at (or to split at).
SCENES = {
    "SD": ((6, 0), (10, 0), (20, 0)),
    "img2img": ((10, 4),),
    "split": ((10, 6),),
    "flow": ((6, 0), (10, 0)),
    "flow img2img": ((10, 4),),
    "dynamic": ((10, 0),),
    "LCM": ((4, 0), (7, 0)),
}
SIGMA = ("Euler", "Heun", "LMS", "KDPM2")
MIDDLE, FLOWS = ("img2img", "split", "flow img2img"), ("flow", "flow img2img", "dynamic")
CLIPS = (
    "thresholding",
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "clip_sample",
    "clip_sample_range",
)
# Where theirs is left on purpose: family, scenes, keys and value, None for any; the reason.
NOTES = (
    (
        "DDIM",
        None,
        ("timestep_spacing", "rescale_betas_zero_snr"),
        None,
        "theirs steps to t − T // n, not to the next timestep",
    ),
    (
        "PNDM",
        MIDDLE,
        None,
        None,
        "theirs begins in the middle with half of its repeated first step",
    ),
    ("PNDM", None, ("prediction_type",), None, "theirs combines v before it is converted"),
    ("PNDM", None, ("timestep_spacing",), None, "theirs steps to t − T // n"),
    (
        "PNDM",
        None,
        ("skip_prk_steps",),
        None,
        "a default of theirs does not choose a method: this file skips the Runge-Kutta steps",
    ),
    (
        "LMSDiscrete",
        MIDDLE,
        None,
        None,
        "theirs begins in the middle with weights of a history that it does not have",
    ),
    (
        "LMSDiscrete",
        None,
        None,
        None,
        "theirs takes its rule to level 0, where a file takes the denoised prediction",
    ),
    (
        "DPMSolverSinglestep",
        MIDDLE,
        None,
        None,
        "from inside a step ours goes to its end by DDIM; theirs goes on with a history it lacks",
    ),
    (
        "DPMSolverSinglestep",
        None,
        ("final_sigmas_type",),
        None,
        "where 3 divides the number of steps ours lowers its last three only if they end at 0",
    ),
    (
        "SASolver",
        None,
        None,
        None,
        "theirs draws noise between timesteps 200 and 800 (tau_func), ours along the whole run",
    ),
    (
        "EulerDiscrete",
        None,
        ("interpolation_type",),
        None,
        "theirs has n + 1 levels and passes the times of other levels; ours passes their own",
    ),
    (
        "DDPM",
        None,
        ("rescale_betas_zero_snr",),
        None,
        "from α = 0 ours takes the limit without noise",
    ),
    ("TCD", None, CLIPS, None, "theirs does not use it; ours does"),
    (
        "LCM",
        None,
        ("rescale_betas_zero_snr",),
        None,
        "as far as float32 holds α of the first level",
    ),
    (
        "DPMSolverMultistep",
        None,
        ("final_sigmas_type",),
        None,
        "a solver with noise is not lowered at its end",
    ),
    (
        "UniPCMultistep",
        FLOWS,
        ("final_sigmas_type",),
        None,
        "theirs ends with a step of length zero, and corrects the state once more in it",
    ),
    (
        "DEISMultistep",
        FLOWS,
        None,
        None,
        "theirs takes logarithms of flow levels near 1 in float32: 1e-4",
    ),
    (
        "DEISMultistep",
        None,
        ("use_flow_sigmas", "flow_shift"),
        None,
        "theirs takes logarithms of flow levels near 1 in float32: 1e-4",
    ),
    ("HeunDiscrete", None, ("beta_schedule",), None, "float32 at levels above 1000, in theirs"),
    (
        "EulerAncestralDiscrete",
        None,
        ("beta_schedule", "rescale_betas_zero_snr"),
        None,
        "float32 at levels above 1000, in theirs",
    ),
    (
        "EulerDiscrete",
        None,
        ("rescale_betas_zero_snr",),
        None,
        "float32 at level 4096, in theirs",
    ),
)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def model(x, t):
    return torch.tanh(x) * (0.5 + float(t) / 2000)


def keys_of(family):
    """The config keys of a class and their defaults."""
    found = inspect.signature(getattr(diffusers, f"{family}Scheduler").__init__).parameters
    return {name: p.default for name, p in found.items() if name != "self"}


def config_of(name, scene, key=None, value=None):
    """The config of their class in a scene, or None where it knows no such scene."""
    family, base, _ = PEERS[name]
    known, alone = keys_of(family), family.startswith("FlowMatch")
    flow = scene in ("flow", "flow img2img", "dynamic")
    if alone and not flow or flow and not (alone or "use_flow_sigmas" in known):
        return None
    if scene == "dynamic" and "use_dynamic_shifting" not in known:
        return None
    if scene == "LCM" and family not in ("LCM", "TCD"):
        return None
    given = {**base, **(FLOW if flow and not alone else {})}
    given |= {"use_dynamic_shifting": True} if scene == "dynamic" else {}
    given |= {**({key: value} if key else {}), **WITH.get(key, {})}
    return {k: v for k, v in given.items() if k in known}


def whole(scheduler, count, start=0, options=None, stop=None, x=None, split=None, **given):
    """The last state of a run, as α x0 + σ ε.

    start, stop: the step to begin and end at; split: run up to there, and the rest in a copy, as
    base and refiner do.
    """
    scheduler.set_timesteps(count, **given)
    first, last = start * scheduler.order, stop and stop * scheduler.order
    if start and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    name = type(scheduler).__name__
    theirs_sigma = hasattr(diffusers, name) and name.startswith(SIGMA)

    def size(index):
        return (1 + scheduler.sigmas[index] ** 2) ** 0.5 if theirs_sigma else 1.0

    x = draw(2, 3, 4, 4, seed=9) if x is None else x
    x = x * size(first)
    known = inspect.signature(scheduler.step).parameters
    step = {**(options or {}), "generator": torch.Generator().manual_seed(1)}
    step = {name: value for name, value in step.items() if name in known}
    times = scheduler.timesteps[first:last]
    for t in times:
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(model(seen, t), t, x, **step).prev_sample
    return x / size(first + len(times))


def close(one, other):
    """Whether two lists of times or levels are one to rounding."""
    pair = one.double(), other.double()
    return len(one) == len(other) and torch.allclose(*pair, rtol=1e-5, atol=1e-3)


def run_of(make, scene, count, start, options, given):
    """(the schedulers of a run, its last state) in a scene."""
    made = make()
    if scene != "split":
        return [made], whole(made, count, start, options, **given)
    middle, refiner = whole(made, count, 0, options, stop=start, **given), make()
    return [made, refiner], whole(refiner, count, start, options, x=middle, **given)


def outcome(cls, name, key, value, scene="SD", runs=None):
    """(word, worst difference of results) of a key's value in a scene; None where there is none.

    "same": levels, times and results are theirs. "exact": the same levels, and the times of these
    levels, where theirs are truncated to integers. "refused": ours refuses in words; "theirs": their
    class refuses or fails. "other": anything else, which a note must explain.
    """
    family, _, options = PEERS[name]
    theirs_class = getattr(diffusers, f"{family}Scheduler")
    config = config_of(name, scene, key, value)
    if config is None:
        return None
    given = {"mu": 0.9} if config.get("use_dynamic_shifting") else {}
    given |= {"original_inference_steps": 100, "strength": 0.8} if scene == "LCM" else {}
    worst, words = 0.0, set()
    for count, start in runs or SCENES[scene]:
        word, difference = compared(
            lambda: theirs_class(**config),
            lambda held, **more: cls(name).from_config(held, **more),
            functools.partial(
                run_of, scene=scene, count=count, start=start, options=options, given=given
            ),
        )
        worst = max(worst, difference)
        words.add(word)
    if len(words) > 1:
        words -= {"theirs"}
    return (words.pop() if len(words) == 1 else "other"), worst


def compared(theirs_of, ours_of, run):
    """(word, difference of results) of one run of theirs and one of ours, from the config of theirs."""
    try:
        (theirs, *_), wanted = run(theirs_of)
    except (
        ValueError,
        NotImplementedError,
        AttributeError,
        RuntimeError,
        TypeError,
        AssertionError,
    ):
        return "theirs", 0.0
    if not wanted.isfinite().all():
        return "theirs", 0.0
    try:
        (ours, *_), found = run(lambda: ours_of(theirs.config))
    except ValueError as error:
        assert len(str(error).split()) > 4
        return "refused", 0.0
    word = "same"
    if not close(theirs.timesteps, ours.timesteps):
        (ours, *_), found = run(lambda: ours_of(theirs.config, timestep_rounding="diffusers"))
        word = "exact" if close(theirs.timesteps, ours.timesteps) else "other"
    levels = getattr(theirs, "sigmas", None)
    if levels is not None and len(levels) == len(theirs.timesteps) + 1:
        word = word if close(levels, ours.sigmas) else "other"
    difference = float((found - wanted).norm() / wanted.norm())
    return (word if difference < 1e-5 else "other"), difference


def note_of(family, scene, key, value):
    """The index of the note that explains a difference, or None."""
    for index, (of, where, on, at, _) in enumerate(NOTES):
        fits = of == family and at in (None, value)
        if fits and (where is None or scene in where) and (on is None or key in on):
            return index
    return None


CELLS = {"same": "=", "exact": "= t", "refused": "refused", "theirs": "theirs fails"}
HEAD = """# Exported schedulers and diffusers' own

An exported scheduler stands in for a class of diffusers: from the same config it has the same levels,
times and defaults, and where the method is the same, the same results. The table is made by
`python -m tests.export.matrix`, which runs a solver of each family beside its class for every config
key, and compares levels, times and results to 1e-5 in float32. The nightly tests hold this page to it.

Each key is tried as pipelines use a scheduler: a whole run of 6, 10 and 20 steps (SD); one that begins at
step 4 of 10 (img2img); one of 10 that a base stops at step 6 and the refiner's own scheduler goes on with
(split); on flow levels (flow, flow img2img); with dynamic shifting (dynamic); with
`original_inference_steps` and `strength` (LCM). A cell holds for all of these that its class knows;
after a semicolon stands what holds for the one that is named.

* **=** levels, times and results are theirs;
* **= t** levels are theirs, and the network gets the time of the level that it is at, where theirs
  truncates it to an integer; with `timestep_rounding="diffusers"` everything is theirs. Times of Karras
  and Lu levels are rounded to the nearest integer where theirs are, unless two levels would have one
  time; `timestep_rounding="exact"` rounds none;
* **refused** the key asks for another method, and the message says which solver this is;
* **theirs fails** their class refuses the value, or its result is not finite;
* a **number** is a note below; **·** the class has no such key: like theirs, ours leaves it behind when
  it comes with the config of another class.

A solver that no class of diffusers has stands in for DPMSolverMultistepScheduler. Keys that are set where
the scheduler is made are never dropped silently: they are honoured or refused.

"""
MODELS_HEAD = """
## Configs of published models

The same solvers on the configs in the folders of models, as their pipelines call `set_timesteps`: beside
the class of a solver's family made from that config by `from_config`, as above. Where there is no such
class, **levels** says that the solver walks the levels of the model's own class, **own levels** that it
walks those of its family; either way the network gets the time of the level that it is at.

"""
TAIL = """
Further keys of an exported scheduler: `solver_parameters` (a solver's own parameters, such as the
strength of its noise), `timestep_rounding`, and `sigmas_are_final` (sigmas given to `set_timesteps` are
walked as they are, not shifted, stretched or shaped again), and `shift_once` (the least level of a
flow-matching run is the shifted 1/1000; FlowMatchEulerDiscreteScheduler shifts it twice, and so does an
exported scheduler unless this is set: at shift 3 and 28 steps the last levels are 0.1059, 0.0030, 0 with
it and 0.1109, 0.0089, 0 without).

**Steps and calls.** `num_inference_steps` counts intervals of the grid. `order` is what pipelines slice
by: `timesteps[i * order]` opens step i. Where steps have different numbers of model calls, `order` is an
integer whose products are looked up in the plan, so that strength and `denoising_start` begin at a step.

**Splitting a run of two calls a step** (Heun, DPM2) by `denoising_end` and `denoising_start` cuts inside a
step: pipelines cut by time, and the end of a step has the time at which the next one opens. The base stops
after the first call of a step, which has brought the state to the end of it by DDIM; the refiner of an
exported scheduler goes on from that level, and the split costs the second half of one step. Refiners that
find an `order` of 2 begin one call earlier, with a state that is half a step further: that is why `order` of
these schedulers is 2 in products and remainders and does not equal 2. Whole and split run of a nearly Gaussian
model in 12 steps, split at 0.5: Heun 0.0074 apart (theirs 0.27), DPM2 0.0034 (0.14); solvers with one call a
step are cut between steps.

**Noise to begin with.** `init_noise_sigma` is that of the class: schedulers of Euler, Euler ancestral, Heun,
LMS and KDPM2 begin at σ of the first level with `linspace` and `trailing`, which is 0.998 of unit noise at
σ = 14.6, others at 1.

**Shift of flow models.** `shift` has the default of FlowMatchEulerDiscreteScheduler, 1; a Stable Diffusion 3
pipeline's own config says 3, and `from_config` takes it over.

**Dtypes of times.** `step` and `index_for_timestep` find a time that a host has cast to int64 or to a half; one
that several times become is refused.

**Keys without effect.** A key that means something beside another only (`clip_sample_range` without
`clip_sample`, `sigma_max` without a shape of levels, `timestep_type = "continuous"` without v-prediction…) is
named in a warning where it is set alone.

**Levels beyond the table.** A level more than half a timestep above or below those of the training timesteps is
refused, since the network has no time for it: set `timestep_type = "continuous"` for a network that is given
log(σ)/4, such as Stable Video Diffusion's. `timestep_rounding = "diffusers"` clamps its time, as theirs do.

**Times out of turn.** `step` takes the sample to be at the time that it is told. If that is not the next entry of
`timesteps`, it warns and starts over there, without history. It refuses a time that is not in the schedule.
On a GPU it checks only entries of `timesteps` themselves: to read any other, it would have to wait for the device.

**eta.** Pipelines pass `eta = 0` to every scheduler that takes it. It counts for the families of DDIM and TCD,
whose classes take it; other solvers keep the strength of their noise, which `solver_parameters` sets.

**Configs that went from class to class** keep keys of the earlier ones; those are left behind.

**Loading a saved pipeline.** `save_pretrained` puts the scheduler's file beside its config, so that
`DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)` loads the pipeline again.
"""


def cell_of(cls, names, family, key, used, unexplained):
    """What the table says of a key in a family; new notes are added to those used."""
    by_scene = {}
    for scene in SCENES:
        found = []
        for name, value in itertools.product(names, KEYS[key]):
            result = outcome(cls, name, key, value, scene)
            if result is None:
                continue
            cell = CELLS.get(result[0])
            if cell is None:
                index = note_of(family, scene, key, value)
                if index is None:
                    unexplained.append((name, scene, key, value, result))
                    print("UNEXPLAINED", unexplained[-1], flush=True)
                    continue
                text = f"{family}: {NOTES[index][-1]}"
                used[text] = max(used.get(text, 0.0), result[1])
                cell = str(list(used).index(text) + 1)
            found.append(cell)
        if found:
            by_scene.setdefault(", ".join(dict.fromkeys(found)), []).append(scene)
    usual = max(by_scene, key=lambda text: len(by_scene[text]), default="?")
    others = [f"{', '.join(s)}: {text}" for text, s in by_scene.items() if text != usual]
    return "; ".join([usual, *others])


def document(cls):
    """The page, from runs of everything."""
    columns = list(dict.fromkeys(family for family, _, _ in PEERS.values()))
    by_family = {c: [n for n, (family, _, _) in PEERS.items() if family == c] for c in columns}
    used, rows, unexplained = {}, [], []
    for key in [*KEYS, *WORDS]:
        cells = []
        for family in columns:
            if key not in keys_of(family):
                cells.append("·")
            elif key in WORDS:
                cells.append(WORDS[key].split(":")[0])
            else:
                cells.append(cell_of(cls, by_family[family], family, key, used, unexplained))
        rows.append(f"| `{key}` | " + " | ".join(cells) + " |")
    assert not unexplained, unexplained
    head = "| key | " + " | ".join(columns) + " |"
    lines = [HEAD + head, "|---" * (len(columns) + 1) + "|", *rows, ""]
    models = models_of(cls, by_family, used, unexplained)
    assert not unexplained, unexplained
    lines += [
        f"{k + 1}. {text} (results below {10 ** math.ceil(math.log10(worst)):g} apart)."
        for k, (text, worst) in enumerate(used.items())
    ]
    words = [f"* `{key}` is {value}." for key, value in WORDS.items()]
    return (
        "\n".join([*lines, "", *words, MODELS_HEAD + head.replace("key", "model"), *models])
        + "\n"
        + TAIL
    )


def beside_model(cls, name, model):
    """(word, difference) of a solver on a published config beside the class of its family."""
    family, base, options = PEERS[name]
    if not published.has_class_for(family, model):
        return published.walked_with(cls, name, model), 0.0
    own = {key: value for key, value in base.items() if key not in PLAIN and key != "shift"}
    theirs = getattr(diffusers, f"{family}Scheduler")
    held, (count, given) = published.scheduler_of(model).config, published.call_of(model)

    def run(make):
        made = make()
        return [made], whole(made, count, 0, options, **given)

    return compared(
        lambda: theirs.from_config(held, **own),
        lambda config, **more: cls(name).from_config(config, **more),
        run,
    )


def models_of(cls, by_family, used, unexplained):
    """Rows of the table of published models; new notes are added to those used."""
    rows = []
    for model in published.MODELS:
        cells = []
        for family, names in by_family.items():
            found = []
            for name in names:
                word, difference = beside_model(cls, name, model)
                scene = "flow" if published.is_flow(model) else "SD"
                kind = "prediction_type" if "(v)" in model else None
                index = note_of(family, scene, kind, None) if word == "other" else None
                if word == "other" and index is None:
                    unexplained.append((name, model, difference))
                    continue
                if index is not None:
                    text = f"{family}: {NOTES[index][-1]}"
                    used[text] = max(used.get(text, 0.0), difference)
                    word = str(list(used).index(text) + 1)
                found.append(CELLS.get(word, word))
            cells.append(", ".join(dict.fromkeys(found)))
        rows.append(f"| {model} ({published.MODELS[model][0]}) | " + " | ".join(cells) + " |")
    return ["|---" * (len(by_family) + 1) + "|", *rows]


def main():
    """Write the page."""
    import importlib
    import sys
    import tempfile

    from solvergen.derive import derive
    from solvergen.emit.exports.diffusers_file import class_name, diffusers_file
    from solvergen.gallery import load

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)

        def cls(name):
            if name not in made:
                solver = load(name)
                path = Path(folder) / f"{name}_scheduler.py"
                path.write_text(diffusers_file(solver, derive(solver)), encoding="utf-8")
                importlib.invalidate_caches()
                made[name] = getattr(importlib.import_module(path.stem), class_name(name))
            return made[name]

        DOCUMENT.write_text(document(cls), encoding="utf-8")


if __name__ == "__main__":
    main()
