"""Autoencoders in tiles, and tiny ones: networks that make_layer_fixtures.py runs."""
from __future__ import annotations

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, VQModel

from parity_case import Case


def autoencoder_tiled(name, size, *, seed=5, **arguments):
    """The decode path in tiles; diffusers' own sizes, overlap and blending."""

    def run(draws, config_of):
        module = draws.own_init(AutoencoderKL(**arguments), seed)
        latents = draws.randn("latents", 2, module.config.latent_channels, *size)
        module.enable_tiling()
        return module.decode(latents / module.config.scaling_factor).sample, config_of(module)

    return Case(name, "autoencoder_tiled", run)


def autoencoder_tiny(name, size, *, kind="autoencoder_tiny", seed=6, **arguments):
    """TAESD: latents to pictures, also in tiles, or pictures to latents."""

    def run(draws, config_of):
        module = draws.own_init(AutoencoderTiny(**arguments), seed)
        if kind == "autoencoder_tiny_encoder_tiled":
            module.enable_tiling()
        if kind.startswith("autoencoder_tiny_encoder"):
            pictures = draws.randn("pictures", 2, 3, *size)
            return module.encode(pictures).latents * module.config.scaling_factor, config_of(module)
        if kind == "autoencoder_tiny_tiled":
            module.enable_tiling()
        latents = draws.randn("latents", 2, module.config.latent_channels, *size) * 4  # into the clamp
        return module.decode(latents / module.config.scaling_factor).sample, config_of(module)

    return Case(name, kind, run)


def autoencoder_encoder(name, size, *, tiled=False, seed=7, **arguments):
    """Pictures to the posterior: its mean, then its deviation."""

    def run(draws, config_of):
        module = draws.own_init(AutoencoderKL(**arguments), seed)
        if tiled:
            module.enable_tiling()
        posterior = module.encode(draws.randn("pictures", 2, 3, *size)).latent_dist
        return torch.cat([posterior.mean, posterior.std], 1), config_of(module)

    return Case(name, "autoencoder_encoder_tiled" if tiled else "autoencoder_encoder", run)


def vq_encoder(name, size, *, seed=8, **arguments):
    """Pictures to what is compared with the codes."""

    def run(draws, config_of):
        module = draws.own_init(VQModel(**arguments), seed)
        return module.encode(draws.randn("pictures", 2, 3, *size)).latents, config_of(module)

    return Case(name, "vq_encoder", run)


def tiled_and_tiny_list():
    two = dict(block_out_channels=(4, 8), norm_num_groups=2, down_block_types=("DownEncoderBlock2D",) * 2,
               up_block_types=("UpDecoderBlock2D",) * 2)
    three = dict(block_out_channels=(4, 4, 8), norm_num_groups=2, down_block_types=("DownEncoderBlock2D",) * 3,
                 up_block_types=("UpDecoderBlock2D",) * 3)
    tiny = dict(encoder_block_out_channels=(6,) * 3, decoder_block_out_channels=(8,) * 3, num_encoder_blocks=(1, 2, 1),
                num_decoder_blocks=(2, 1, 1), latent_channels=5, scaling_factor=1.25)
    narrow = dict(encoder_block_out_channels=(2,) * 4, decoder_block_out_channels=(2,) * 4,
                  num_encoder_blocks=(1, 1, 1, 1), num_decoder_blocks=(1, 1, 0, 1))
    sd = dict(block_out_channels=(4, 8), norm_num_groups=2, layers_per_block=2,
              down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)
    return [
        # 16 cells a tile, 12 from one to the next: the last tiles are narrower than the overlap.
        autoencoder_tiled("autoencoder_tiled", (26, 15), sample_size=32, **two),
        autoencoder_tiled("autoencoder_tiled_odd", (21, 43), sample_size=32, **three),
        autoencoder_tiny("autoencoder_tiny", (5, 7), **tiny),
        autoencoder_tiny("autoencoder_tiny_encoder", (20, 28), kind="autoencoder_tiny_encoder", **tiny),
        # 64 cells a tile, 56 from one to the next.
        autoencoder_tiny("autoencoder_tiny_tiled", (61, 119), kind="autoencoder_tiny_tiled", **narrow),
        # diffusers' tiles make 4 channels whatever the encoder has.
        autoencoder_tiny("autoencoder_tiny_encoder_tiled", (488, 952), kind="autoencoder_tiny_encoder_tiled", **narrow),
        autoencoder_encoder("autoencoder_encoder_sd1", (18, 26), **sd),
        autoencoder_encoder("autoencoder_encoder_bare", (12, 8), **(three | dict(use_quant_conv=False,
                                                                               mid_block_add_attention=False))),
        autoencoder_encoder("autoencoder_encoder_tiled", (52, 30), tiled=True, sample_size=32, **two),
        autoencoder_encoder("autoencoder_encoder_tiled_odd", (84, 172), tiled=True, sample_size=32, **three),
        vq_encoder("vq_encoder", (16, 20), latent_channels=3, vq_embed_dim=2, num_vq_embeddings=8, **two),
    ]
