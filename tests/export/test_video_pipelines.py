"""Exported schedulers inside diffusers' pipelines for video: Wan with two experts, Stable Video Diffusion."""

from types import SimpleNamespace

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="exported schedulers run inside diffusers")

from tests.export import published


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def wan():
    """A function from a scheduler and a boundary between experts to the latents of a run."""
    torch.manual_seed(0)

    def expert():
        return diffusers.WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=4,
            out_channels=4,
            text_dim=8,
            freq_dim=16,
            ffn_dim=16,
            num_layers=1,
            cross_attn_norm=True,
            qk_norm="rms_norm_across_heads",
            rope_max_seq_len=32,
        ).eval()

    vae = diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )  # fmt: skip
    experts, words = [expert(), expert()], torch.rand(2, 1, 4, 8, generator=draw(1))

    def run(scheduler, boundary, count=8):
        pipe = diffusers.WanPipeline(
            tokenizer=None,
            text_encoder=None,
            vae=vae,
            scheduler=scheduler,
            transformer=experts[0],
            transformer_2=experts[1] if boundary else None,
            boundary_ratio=boundary,
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe(
            prompt_embeds=words[0],
            negative_prompt_embeds=words[1],
            height=16,
            width=16,
            num_frames=5,
            num_inference_steps=count,
            guidance_scale=3.0,
            generator=draw(),
            output_type="latent",
        ).frames

    return run


@pytest.mark.parametrize("boundary", [None, 0.875])
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("unipc_2_bh2_as_shipped_by_diffusers", "Wan 2.1"),
        ("unipc_2_bh2_as_shipped_by_diffusers", "Wan 2.2"),
        ("dpmpp_2m", "Sana"),
        ("flow_euler", "Stable Diffusion 3"),
    ],
)
def test_wan_is_diffusers(name, model, boundary, wan, scheduler):
    """With the times of theirs; ours pass the time of the level, where theirs truncate it."""
    theirs = published.scheduler_of(model)
    ours = scheduler(name).from_config(theirs.config, timestep_rounding="diffusers")
    wanted, found = wan(theirs, boundary), wan(ours, boundary)
    assert wanted.isfinite().all()
    assert (found - wanted).norm() < 1e-5 * wanted.norm()
    exact = wan(scheduler(name).from_config(theirs.config), boundary)
    assert (exact - wanted).norm() < 0.05 * wanted.norm()


def test_stable_video_diffusion_is_diffusers(scheduler):
    transformers = pytest.importorskip("transformers", reason="the image encoder is theirs")
    torch.manual_seed(0)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=8,
        in_channels=8,
        out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        cross_attention_dim=16,
        num_attention_heads=2,
        projection_class_embeddings_input_dim=24,
        addition_time_embed_dim=8,
    ).eval()
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=[32, 32], down_block_types=["DownEncoderBlock2D"] * 2, latent_channels=4
    ).eval()
    config = transformers.CLIPVisionConfig(
        hidden_size=16,
        projection_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=224,
        intermediate_size=16,
        patch_size=56,
    )
    encoder = transformers.CLIPVisionModelWithProjection(config).eval()

    def extract(images, **_):
        return SimpleNamespace(pixel_values=torch.nn.functional.interpolate(images, (224, 224)))

    def run(chosen):
        pipe = diffusers.StableVideoDiffusionPipeline(
            vae=vae, image_encoder=encoder, unet=unet, scheduler=chosen, feature_extractor=extract
        )
        pipe.set_progress_bar_config(disable=True)
        given = {"height": 16, "width": 16, "num_frames": 2, "num_inference_steps": 5}
        image = torch.rand(1, 3, 16, 16, generator=draw(1))
        return pipe(image, **given, generator=draw(), output_type="latent").frames

    theirs = published.scheduler_of("Stable Video Diffusion")
    wanted, found = run(theirs), run(scheduler("euler_sigma").from_config(theirs.config))
    assert float(theirs.sigmas[0]) == 700 and wanted.isfinite().all()
    assert (found - wanted).norm() < 1e-5 * wanted.norm()


@pytest.mark.parametrize("name", ["dpmpp_2m", "heun_edm", "res_3s", "ddim", "pndm", "deis_logrho2"])
def test_every_solver_tells_an_edm_network_its_level(name, scheduler):
    made = scheduler(name).from_config(published.scheduler_of("Stable Video Diffusion").config)
    made.set_timesteps(7)
    assert float(made.sigmas[0]) == 700 and published.told_at_its_levels(made)
