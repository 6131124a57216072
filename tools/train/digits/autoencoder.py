"""The autoencoder: trained on the digits, then its latents' statistics are folded into the bottleneck."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL

import vae as shared
from stage import Stage, StageSettings, save_atomically

from digits.architecture import build_autoencoder
from digits.data import to_float

KL_WEIGHT = 1e-3  # per latent value: enough to keep the latents smooth, too little to cost strokes


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 + 2 MSE + 0.4 edges, on images [B, 3, 32, 32]: strokes stay as sharp as they were written."""
    difference = output - target
    edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
    return difference.abs().mean() + 2 * difference.square().mean() + 0.4 * edges


def train_autoencoder(rank: int, world: int, settings: StageSettings, images: torch.Tensor, work_dir: Path) -> None:
    """On uint8 images [N, 32, 32]."""
    torch.manual_seed(settings.seed)
    model = build_autoencoder()
    stage = Stage(settings, model, work_dir, rank, world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(images), (settings.batch_size // world,), generator=generator)
        target = to_float(images[chosen])
        with torch.autocast("cpu", torch.bfloat16):
            moments = model.quant_conv(model.encoder(target)).float()
            mean, log_variance = moments.chunk(2, 1)
            log_variance = log_variance.clamp(-30, 20)
            noise = torch.randn(mean.shape, generator=generator)
            output = model.decoder(model.post_quant_conv(mean + (0.5 * log_variance).exp() * noise)).float()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return reconstruction_loss(output, target) + KL_WEIGHT * divergence

    stage.run(compute_loss)
    if rank == 0:
        stage.load_average()
        model.eval()
        shared.fold_latent_statistics(model, to_float(images))
        save_atomically({"vae": model.state_dict()}, work_dir / "vae_folded.pt")


@torch.no_grad()
def encode_means(model: AutoencoderKL, images: torch.Tensor) -> torch.Tensor:
    """Latent means [N, 4, 8, 8] of float images [N, 3, 32, 32]."""
    return shared.encode_means(model, images)


@torch.no_grad()
def decode(model: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Images [N, 3, 32, 32] of latents [N, 4, 8, 8]."""
    return shared.decode(model, latents)


def load_folded(work_dir: Path) -> AutoencoderKL:
    model = build_autoencoder()
    model.load_state_dict(torch.load(work_dir / "vae_folded.pt", map_location="cpu", weights_only=True)["vae"])
    return model.requires_grad_(False).eval()
