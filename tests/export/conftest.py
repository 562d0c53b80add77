"""Exported schedulers as classes, and tiny models for the pipelines that run them."""

import importlib
import sys

import pytest
import torch

from solvergen.derive import derive
from solvergen.emit.exports.diffusers_file import class_name, diffusers_file
from solvergen.gallery import load

pytest.importorskip("diffusers", reason="exported schedulers run inside diffusers")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory):
    """A function from a gallery name to the class in its exported file."""
    folder, made = tmp_path_factory.mktemp("exported"), {}
    sys.path.insert(0, str(folder))

    def build(name):
        if name not in made:
            solver = load(name)
            path = folder / f"{name}_scheduler.py"
            path.write_text(diffusers_file(solver, derive(solver)), encoding="utf-8")
            importlib.invalidate_caches()
            made[name] = getattr(importlib.import_module(path.stem), class_name(name))
        return made[name]

    yield build
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def vae():
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(8, 8),
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    ).eval()


@pytest.fixture(scope="session")
def unet():
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
    ).eval()


class Tokenizer:
    """As much of a tokenizer as Stable Diffusion calls: letters to numbers."""

    model_max_length = 8

    def __call__(self, text, **_):
        texts = [text] if isinstance(text, str) else text
        rows = [[1, *(ord(c) % 90 + 3 for c in t[:6])] for t in texts]
        ids = torch.tensor([(row + [2] * 8)[:8] for row in rows])
        return type("Tokens", (), {"input_ids": ids, "attention_mask": torch.ones_like(ids)})()

    def tokenize(self, text):
        return list(text)

    @property
    def added_tokens_encoder(self):
        return {}

    def batch_decode(self, ids, **_):
        return ["" for _ in ids]


@pytest.fixture(scope="session")
def text_to_image(vae):
    """The parts of a Stable Diffusion pipeline, without its scheduler."""
    transformers = pytest.importorskip("transformers", reason="the text encoder is theirs")
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    ).eval()
    config = transformers.CLIPTextConfig(
        hidden_size=16,
        intermediate_size=16,
        num_attention_heads=2,
        num_hidden_layers=1,
        vocab_size=100,
        max_position_embeddings=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    encoder = transformers.CLIPTextModel(config).eval()
    rest = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return {"vae": vae, "unet": unet, "text_encoder": encoder, "tokenizer": Tokenizer(), **rest}
