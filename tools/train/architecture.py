"""The four networks of the emoji model, in one place so that training, export and tests agree on every shape.

Shapes used throughout this package:
  images   float32 [B, 3, 64, 64], RGB in [-1, 1], white background (= 1.0)
  latents  float32 [B, 4, 16, 16], zero mean and unit variance per channel over the artwork
  tokens   int64   [B, 77]
  text     float32 [B, 77, 128], the text encoder's last hidden state (after its final layer norm)
"""

from __future__ import annotations

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

IMAGE_SIZE = 64
LATENT_CHANNELS = 4
LATENT_SIZE = 16
TEXT_LENGTH = 77
TEXT_WIDTH = 128

# The noise schedule of Stable Diffusion 1, with v-prediction.
NUM_TRAIN_TIMESTEPS = 1000
BETA_START = 0.00085
BETA_END = 0.012


def build_autoencoder() -> AutoencoderKL:
    """A KL autoencoder with a spatial factor of 4: [B, 3, 64, 64] <-> [B, 4, 16, 16]."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=16,
        sample_size=IMAGE_SIZE,
        scaling_factor=1.0,
        force_upcast=False,
    )


def build_unet() -> UNet2DConditionModel:
    """The denoiser: latents [B, 4, 16, 16] + text [B, 77, 128] -> v [B, 4, 16, 16].

    There is no attention at 16x16, where it costs half as much again. `attention_head_dim` means the NUMBER of heads here
    (a naming accident that every Stable Diffusion 1 config shares).
    """
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128, 192),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_text_encoder(vocab_size: int, bos_id: int, eos_id: int) -> CLIPTextModel:
    """A two-layer CLIP text tower. Padding is `<|endoftext|>`, as in Stable Diffusion 1, so pad and eos share an id."""
    config = CLIPTextConfig(
        vocab_size=vocab_size,
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        hidden_act="quick_gelu",
        bos_token_id=bos_id,
        eos_token_id=eos_id,
        pad_token_id=eos_id,
    )
    return CLIPTextModel(config)


def count_parameters(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
