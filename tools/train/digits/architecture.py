"""The networks of the digit model, in one place so that training, export and tests agree on every shape.

Shapes used throughout this package:
  images   float32 [B, 3, 32, 32], three equal channels in [-1, 1], black background (= -1.0)
  latents  float32 [B, 4, 8, 8], zero mean and unit variance per channel over the training digits
  labels   int64 [B], 0..9, or NULL_CLASS for "any digit"
  timesteps  int64 or float32 [B], 0..999
"""

from __future__ import annotations

import math

import torch
from diffusers import AutoencoderKL, UNet2DModel
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_blocks import DownBlock2D
from torch import nn

IMAGE_SIZE = 32
LATENT_CHANNELS = 4
LATENT_SIZE = 8
CLASSES = 10
NULL_CLASS = CLASSES  # what the denoiser is told when no class is asked for; last row of its class embedding
NUM_TRAIN_TIMESTEPS = 1000


def build_autoencoder() -> AutoencoderKL:
    """A KL autoencoder with a spatial factor of 4: [B, 3, 32, 32] <-> [B, 4, 8, 8]."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 48),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        scaling_factor=1.0,
        force_upcast=False,
    )


def build_unet() -> UNet2DModel:
    """The denoiser: latents [B, 4, 8, 8], timesteps and labels -> v [B, 4, 8, 8]. Heads are 32 channels wide."""
    return UNet2DModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128),
        layers_per_block=1,
        attention_head_dim=32,
        norm_num_groups=16,
        num_class_embeds=CLASSES + 1,
    )


class LatentClassifier(ModelMixin, ConfigMixin):
    """Which digit a noised latent shows: [B, 4, 8, 8] at timesteps [B] -> logits [B, num_classes].

    The downward half of a UNet2DModel with a linear head. In order:
      emb  = time_embedding.linear_2(SiLU(time_embedding.linear_1(sinusoid(t))))        sinusoid: block_out_channels[0] wide
      h    = conv_in(x)                                                                 3x3, padding 1
      h    = for each block: its resnets, then (unless it is the last) a 3x3 convolution of stride 2, padding 1
      h    = SiLU(conv_norm_out(h))                                                     GroupNorm
      out  = head(mean of h over height and width)                                      Linear
      out *= cosine_gain(t)                                                             if logit_gain is "cosine"
    A resnet is diffusers' ResnetBlock2D: conv1(SiLU(norm1(x))) + time_emb_proj(SiLU(emb)); conv2(SiLU(norm2(.)));
    plus x, through the 1x1 conv_shortcut where the number of channels changes.

    The gain is the share of signal in x. What noise hides, the gradient must not depend on: a guided x0 moves by
    (1 - alpha_bar) / sqrt(alpha_bar) times the gradient, up to 20,000 times at the noisy end of the schedule.
    """

    @register_to_config
    def __init__(self, in_channels: int = LATENT_CHANNELS, sample_size: int = LATENT_SIZE, num_classes: int = CLASSES,
                 block_out_channels: tuple[int, ...] = (48, 64), layers_per_block: int = 2, norm_num_groups: int = 16,
                 norm_eps: float = 1e-5, flip_sin_to_cos: bool = True, freq_shift: float = 0, act_fn: str = "silu",
                 logit_gain: str | None = "cosine"):
        super().__init__()
        first, last = block_out_channels[0], block_out_channels[-1]
        self.conv_in = nn.Conv2d(in_channels, first, 3, padding=1)
        self.time_proj = Timesteps(first, flip_sin_to_cos, freq_shift)
        self.time_embedding = TimestepEmbedding(first, 4 * first, act_fn=act_fn)
        inputs = (first, *block_out_channels[:-1])
        self.down_blocks = nn.ModuleList(
            DownBlock2D(in_channels=before, out_channels=after, temb_channels=4 * first, num_layers=layers_per_block,
                        resnet_eps=norm_eps, resnet_act_fn=act_fn, resnet_groups=norm_num_groups,
                        add_downsample=index < len(inputs) - 1)
            for index, (before, after) in enumerate(zip(inputs, block_out_channels)))
        self.conv_norm_out = nn.GroupNorm(norm_num_groups, last, eps=norm_eps)
        self.head = nn.Linear(last, num_classes)

    def forward(self, latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        embedding = self.time_embedding(self.time_proj(timesteps).to(latents.dtype))
        hidden = self.conv_in(latents)
        for block in self.down_blocks:
            hidden, _ = block(hidden, embedding)
        hidden = nn.functional.silu(self.conv_norm_out(hidden))
        logits = self.head(hidden.mean((2, 3)))
        return logits if self.config.logit_gain is None else logits * cosine_gain(timesteps)[:, None].to(logits.dtype)


def cosine_gain(timesteps: torch.Tensor) -> torch.Tensor:
    """cos of the angle ((t + 1) / 1000 + 0.008) / 1.008 * pi / 2, not below 0: sqrt(alpha_bar) of the cosine schedule."""
    angle = ((timesteps.float() + 1) / NUM_TRAIN_TIMESTEPS + 0.008) / 1.008 * (math.pi / 2)
    return angle.cos().clamp_min(0)


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
