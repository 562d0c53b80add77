"""A diffusers pipeline as a problem: its own model, with its prompts and its guidance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..problem import Problem, ProblemError

KINDS = ("epsilon", "v_prediction", "sample")


class Listener:
    """A scheduler of one step that keeps what the pipeline's model answers, guidance included."""

    order = 1
    init_noise_sigma = 1.0

    def __init__(self, config: Any, time: Tensor) -> None:
        self.config = config
        self.timesteps = time.reshape(1)
        self.heard: list[tuple[Tensor, Tensor]] = []

    def set_timesteps(self, num_inference_steps: int | None = None, device: Any = None) -> None:
        """Keep the one time."""
        self.timesteps = self.timesteps.to(device)

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        """The state as it is: it has the model's own scale."""
        return sample

    def step(
        self, model_output: Tensor, timestep: Any, sample: Tensor, return_dict: bool = True
    ) -> tuple[Tensor]:
        """Keep the model's answer and go nowhere."""
        self.heard.append((sample, model_output))
        return (sample,)


def pipeline_problem(
    pipe: Any,
    prompts: Sequence[str] = (),
    guidance: Sequence[float] = (7.5,),
    call: dict[str, Any] | None = None,
) -> Problem:
    """The model of a pipeline as a problem.

    The pipeline runs one step for each call, so that prompts, guidance and what else it does to its
    model's output are its own. Row r of a batch has prompt r modulo the number of prompts, and all
    prompts come with the first scale, then with the second: `period` rows in all. A pipeline
    without prompts is its network `unet(x, t)` alone.

    Args:
        pipe: with a scheduler that is configured by betas.
        prompts: what is drawn; guidance: one or several scales.
        call: further arguments of the pipeline, such as height or negative_prompt.

    Raises:
        ProblemError: a pipeline of a flow model, in half precision, or one that cannot be called so.
    """
    from ...hosts.diffusers.grid import time_of, train_alphas_cumprod, train_levels

    where = f"pipeline {type(pipe).__name__}"
    model = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    config = getattr(getattr(pipe, "scheduler", None), "config", None)
    if model is None or config is None:
        raise ProblemError(f"{where}: needs a unet or a transformer, and a scheduler with a config")
    kind = config.get("prediction_type", "epsilon")
    if "num_train_timesteps" not in config or "beta_schedule" not in config or kind not in KINDS:
        raise ProblemError(
            f"{where}: its scheduler {type(pipe.scheduler).__name__} has no betas, as those of flow "
            "models have none; give an object with velocity(x, t) and shape as module:name, and run "
            "the function sample() of the file"
        )
    if model.dtype not in (torch.float32, torch.float64):
        raise ProblemError(
            f"{where}: its model is in {model.dtype}; load it in float32, calibrate, and run in half"
        )
    table = train_levels(train_alphas_cumprod(config, "DDIM")).clamp_max(1e4)
    options = {"output_type": "latent", **(call or {})}
    scales = tuple(map(float, guidance)) if prompts else (1.0,)

    def asked(state: Tensor, time: Tensor, texts: list[str], scale: float) -> tuple[Tensor, Tensor]:
        if not texts:
            with torch.no_grad():
                return state, model(state, time).sample
        listener = Listener(config, time)
        before, pipe.scheduler = pipe.scheduler, listener
        bar = dict(getattr(pipe, "_progress_bar_config", {}))
        pipe.set_progress_bar_config(disable=True)
        try:
            pipe(
                prompt=texts,
                latents=state,
                num_inference_steps=1,
                guidance_scale=scale,
                **options,
            )
        finally:
            pipe.scheduler = before
            pipe.set_progress_bar_config(**bar)
        return listener.heard[0]

    shape = _shape(pipe, model, prompts, options, config, table)
    period = len(scales) * max(1, len(prompts))

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        level = sigma.detach().double().reshape(())
        alpha = float((1 + level**2) ** -0.5)
        time = time_of(level.reshape(1), table).float()[0].to(model.device)
        found = torch.empty_like(x)
        rows = torch.arange(len(x)) % period
        for at, scale in enumerate(scales):
            mine = rows // max(1, len(prompts)) == at
            if not mine.any():
                continue
            texts = [prompts[int(r) % len(prompts)] for r in rows[mine]] if prompts else []
            state = (x[mine] * alpha).to(model.device, model.dtype)
            _, out = asked(state, time, texts, scale)
            found[mine] = _data(kind, state, out, float(level), alpha).to(x)
        return found

    told = f"{len(prompts)} prompts, guidance {', '.join(f'{s:g}' for s in scales)}"
    return Problem(
        name=f"{type(pipe).__name__} ({told if prompts else 'no prompts'})",
        denoiser=denoiser,
        shape=shape,
        sigma_max=float(table[-1]),
        sigma_min=float(table[0]),
        dtype=model.dtype,
        chunk=period * max(1, 8 // period),
        period=period,
        scales=tuple(f"guidance {s:g}" for s in scales) if len(scales) > 1 else (),
    )


def _shape(
    pipe: Any,
    model: Any,
    prompts: Sequence[str],
    options: dict[str, Any],
    config: Any,
    table: Tensor,
) -> tuple[int, ...]:
    """The shape of one state: what the pipeline itself makes, or the network's own."""
    side = getattr(model.config, "sample_size", None)
    if not prompts or not {"height", "width"} & set(options):
        if side is None:
            raise ProblemError("the pipeline does not say its size; give call={'height': …}")
        size = (side, side) if isinstance(side, int) else tuple(side)
        return (int(model.config.in_channels), *map(int, size))
    listener = Listener(config, torch.tensor(float(config["num_train_timesteps"] - 1)))
    before, pipe.scheduler = pipe.scheduler, listener
    try:
        pipe(prompt=[prompts[0]], num_inference_steps=1, **options)
    finally:
        pipe.scheduler = before
    return tuple(listener.heard[0][0].shape[1:])


def _data(kind: str, state: Tensor, out: Tensor, rho: float, alpha: float) -> Tensor:
    """E[x0 | x] from the model's output of its kind, at x = α (x0 + ρ ε)."""
    if kind == "sample":
        return out
    if kind == "epsilon":
        return state / alpha - rho * out
    return alpha * state - alpha * rho * out
