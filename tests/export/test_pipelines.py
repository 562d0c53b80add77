"""Exported schedulers inside diffusers' own pipelines, on tiny models with random weights."""

import copy

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="exported schedulers run inside diffusers")

SOLVERS = ("dpmpp_2m", "unipc_2_bh2", "heun_edm", "dpm_solver_3", "pndm")
LATENT = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "steps_offset": 1,
}


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("pipeline", ["DDPMPipeline", "DDIMPipeline"])
def test_unconditional(name, pipeline, scheduler, unet):
    pipe = getattr(diffusers, pipeline)(unet=unet, scheduler=diffusers.DDIMScheduler())
    pipe.scheduler = scheduler(name)()
    pipe.set_progress_bar_config(disable=True)
    runs = [
        pipe(batch_size=size, generator=draw(), num_inference_steps=6, output_type="np").images
        for size in (2, 1, 2)
    ]
    assert runs[0].shape == (2, 8, 8, 3) and runs[1].shape == (1, 8, 8, 3)
    assert (runs[0] == runs[2]).all()


def stable_diffusion(parts, scheduler, cls="StableDiffusionPipeline"):
    pipe = getattr(diffusers, cls)(**parts, scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def text(pipe, **given):
    options = {"num_inference_steps": 5, "height": 16, "width": 16, "output_type": "latent"}
    return pipe("a cat", generator=draw(), guidance_scale=4.0, **{**options, **given}).images


@pytest.mark.parametrize("name", SOLVERS)
def test_text_to_image(name, scheduler, text_to_image):
    pipe = stable_diffusion(text_to_image, scheduler(name)(**LATENT))
    latents = text(pipe)
    assert latents.shape == (1, 4, 8, 8) and latents.isfinite().all()
    assert torch.equal(latents, text(pipe))


@pytest.mark.parametrize(
    "given",
    [
        {"num_inference_steps": 8},
        {"num_inference_steps": None, "timesteps": [999, 700, 400, 150, 20]},
    ],
)
def test_text_to_image_with_2m_is_diffusers(given, scheduler, text_to_image):
    theirs = diffusers.DPMSolverMultistepScheduler(**LATENT, lower_order_final=False)
    ours = scheduler("dpmpp_2m").from_config(theirs.config)
    wanted, found = (text(stable_diffusion(text_to_image, s), **given) for s in (theirs, ours))
    assert (found - wanted).norm() < 1e-4 * wanted.norm()


def test_text_to_image_with_sigmas(scheduler, text_to_image):
    pipe = stable_diffusion(text_to_image, scheduler("dpmpp_2m")(**LATENT))
    sigmas = [14.0, 5.0, 2.0, 0.7, 0.2, 0.0]
    assert text(pipe, num_inference_steps=None, sigmas=sigmas).isfinite().all()
    assert len(pipe.scheduler.timesteps) == 5


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("strength", [0.3, 0.75, 1.0])
def test_image_to_image(name, strength, scheduler, text_to_image):
    pipe = stable_diffusion(
        text_to_image, scheduler(name)(**LATENT), "StableDiffusionImg2ImgPipeline"
    )
    image = torch.rand(1, 3, 16, 16, generator=draw(1))
    options = {"num_inference_steps": 9, "strength": strength, "output_type": "latent"}
    latents = pipe("a cat", image, generator=draw(), **options).images
    assert latents.shape == (1, 4, 8, 8) and latents.isfinite().all()


def test_image_to_image_with_2m_is_diffusers(scheduler, text_to_image):
    theirs = diffusers.DPMSolverMultistepScheduler(**LATENT, lower_order_final=False)
    image, found = torch.rand(1, 3, 16, 16, generator=draw(1)), []
    for chosen in (theirs, scheduler("dpmpp_2m").from_config(theirs.config)):
        pipe = stable_diffusion(text_to_image, chosen, "StableDiffusionImg2ImgPipeline")
        options = {"num_inference_steps": 10, "strength": 0.6, "output_type": "latent"}
        found.append(pipe("a cat", image, generator=draw(), **options).images)
    assert (found[1] - found[0]).norm() < 1e-4 * found[0].norm()


@pytest.mark.parametrize("name", SOLVERS)
def test_diffusion_transformer(name, scheduler, vae):
    torch.manual_seed(0)
    transformer = diffusers.DiTTransformer2DModel(
        sample_size=4,
        num_layers=1,
        patch_size=2,
        attention_head_dim=4,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,
        num_embeds_ada_norm=1000,
        norm_elementwise_affine=False,
    ).eval()
    pipe = diffusers.DiTPipeline(transformer, vae, scheduler(name)())
    pipe.set_progress_bar_config(disable=True)
    images = pipe([1, 2], generator=draw(), num_inference_steps=4, output_type="np").images
    assert images.shape == (2, 8, 8, 3)


def sd3():
    torch.manual_seed(0)
    return diffusers.SD3Transformer2DModel(
        sample_size=8,
        patch_size=1,
        in_channels=4,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=2,
        joint_attention_dim=8,
        caption_projection_dim=8,
        pooled_projection_dim=8,
        out_channels=4,
    ).eval()


@pytest.mark.parametrize(
    ("name", "peer", "given"),
    [
        ("dpmpp_2m", "Euler", {"sigmas": [1 - k / 12 for k in range(12)]}),
        ("unipc_3_bh2", "Euler", {"sigmas": [1 - k / 12 for k in range(12)]}),
        ("heun_edm", "Euler", {"sigmas": [1 - k / 12 for k in range(12)]}),
        ("ddim", "Euler", {"sigmas": [1 - k / 12 for k in range(12)]}),
        ("flow_euler", "Euler", {"num_inference_steps": 6}),
        ("flow_heun_as_shipped_by_diffusers", "Heun", {"num_inference_steps": 6}),
    ],
)
def test_flow_matching(name, peer, given, scheduler, vae):
    transformer = sd3()
    theirs = getattr(diffusers, f"FlowMatch{peer}DiscreteScheduler")(shift=3.0)
    nothing = {
        f"{kind}{i}": None for kind in ("text_encoder", "tokenizer") for i in ("", "_2", "_3")
    }
    found = []
    for chosen in (theirs, scheduler(name).from_config(theirs.config)):
        pipe = diffusers.StableDiffusion3Pipeline(
            transformer=transformer, vae=vae, scheduler=chosen, **nothing
        )
        pipe.set_progress_bar_config(disable=True)
        words = torch.rand(1, 4, 8, generator=draw(1)), torch.rand(1, 8, generator=draw(2))
        options = {"height": 16, "width": 16, "output_type": "latent", "guidance_scale": 1.0}
        images = pipe(
            prompt_embeds=words[0],
            pooled_prompt_embeds=words[1],
            generator=draw(),
            **given,
            **options,
        ).images
        assert images.isfinite().all()
        found.append(images)
    close = 1e-5 if name in ("ddim", "flow_euler") or "heun_as" in name else 0.05
    assert (found[1] - found[0]).norm() < close * found[0].norm()


def flux():
    torch.manual_seed(0)
    return diffusers.FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(2, 2, 4),
    ).eval()


SCHNELL = {"shift": 1.0, "use_dynamic_shifting": False}


@pytest.mark.parametrize(
    ("pipeline", "config"),
    [
        ("StableDiffusion3Img2ImgPipeline", {"shift": 3.0}),
        ("FluxPipeline", SCHNELL),
        ("FluxPipeline", {"shift": 3.0, "use_dynamic_shifting": True}),
        ("FluxImg2ImgPipeline", {"use_dynamic_shifting": True}),
        ("FluxImg2ImgPipeline", SCHNELL),
        ("FluxInpaintPipeline", SCHNELL),
    ],
)
def test_flow_matching_with_a_pipelines_own_sigmas_is_diffusers(pipeline, config, scheduler, vae):
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(**config)
    cls, count = getattr(diffusers, pipeline), 3 if "3" in pipeline else 2
    parts = [f"{kind}{i}" for kind in ("text_encoder", "tokenizer") for i in ("", "_2", "_3")]
    nothing = dict.fromkeys(part for part in parts if count == 3 or "3" not in part)
    transformer = sd3() if count == 3 else flux()
    vae = copy.deepcopy(vae)
    vae.register_to_config(shift_factor=0.1)
    found, given = [], {}
    if pipeline != "FluxPipeline":
        given = {"image": torch.rand(1, 3, 16, 16, generator=draw(1)), "strength": 0.6}
    if "Inpaint" in pipeline:
        given["mask_image"] = torch.rand(1, 1, 16, 16, generator=draw(4)).round()
    for chosen in (theirs, scheduler("flow_euler").from_config(theirs.config)):
        pipe = cls(transformer=transformer, vae=vae, scheduler=chosen, **nothing)
        pipe.set_progress_bar_config(disable=True)
        found.append(
            pipe(
                prompt_embeds=torch.rand(1, 4, 8, generator=draw(2)),
                pooled_prompt_embeds=torch.rand(1, 8, generator=draw(3)),
                height=16,
                width=16,
                num_inference_steps=7,
                guidance_scale=1.0,
                generator=draw(),
                output_type="latent",
                **given,
            ).images
        )
    assert found[0].isfinite().all()
    assert (found[1] - found[0]).norm() < 1e-5 * found[0].norm()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("euler_sigma", diffusers.EulerDiscreteScheduler),
        ("dpmpp_2m", diffusers.DPMSolverMultistepScheduler),
    ],
)
@pytest.mark.parametrize("part", [0.5, 0.7])
def test_a_base_and_a_refiner_split_a_run_as_diffusers_do(name, theirs, part, scheduler, vae):
    """SDXL's denoising_end and denoising_start, each pipeline with a scheduler of its own."""
    found, config = [], theirs(**LATENT).config
    for make in (theirs.from_config, scheduler(name).from_config):
        run = base_and_refiner(vae, lambda make=make: make(config))
        found.append(run(part))
    assert found[0].isfinite().all()
    assert (found[1] - found[0]).norm() < 1e-4 * found[0].norm()


@pytest.mark.parametrize(("name", "apart"), [("heun_edm", 0.03), ("dpm2", 0.015)])
def test_a_split_inside_a_step_goes_on_from_the_level_of_its_state(name, apart, scheduler, vae):
    """Pipelines cut by time, so that a base stops inside a step of two calls."""
    variance = 0.25  # of the data of the model below

    def gaussian(x, t, *_, **__):
        kept = diffusers.DDIMScheduler(**LATENT).alphas_cumprod[int(t)]
        rest = 1 - kept
        return (x * rest.sqrt() / (kept * variance + rest) + 0.05 * torch.tanh(2 * x),)

    run = base_and_refiner(vae, lambda: scheduler(name)(**LATENT), gaussian)
    whole, split = run(None), run(0.5)
    gap = float((split - whole).norm() / whole.norm())
    assert gap < apart, gap


def base_and_refiner(vae, make, network=None):
    """A function from the part of a run that the base takes, or None, to the end of the run."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=56,
    ).eval()
    parts = [f"{kind}{i}" for kind in ("text_encoder", "tokenizer") for i in ("", "_2")]
    words = {
        "prompt_embeds": torch.rand(1, 4, 16, generator=draw(1)),
        "pooled_prompt_embeds": torch.rand(1, 8, generator=draw(2)),
        "guidance_scale": 1.0,
        "num_inference_steps": 8,
        "output_type": "latent",
    }
    if network is not None:
        unet.forward = network

    def pipe(cls):
        made = cls(unet=unet, vae=vae, scheduler=make(), **dict.fromkeys(parts))
        made.set_progress_bar_config(disable=True)
        return made

    def run(part):
        base = pipe(diffusers.StableDiffusionXLPipeline)
        size = {"height": 16, "width": 16, "generator": draw()}
        if part is None:
            return base(**size, **words).images
        middle = base(denoising_end=part, **size, **words).images
        refiner = pipe(diffusers.StableDiffusionXLImg2ImgPipeline)
        return refiner(image=middle, denoising_start=part, generator=draw(), **words).images

    return run
