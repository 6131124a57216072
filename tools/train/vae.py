"""The autoencoder: training, a decoder-only refinement, and normalisation of the latents.

Stage 1 trains encoder and decoder on all artwork. Then the latents' mean and standard deviation are folded into the two
1x1 convolutions at the bottleneck, so that the denoiser sees unit-variance latents and `scaling_factor` is 1. Stage 2
trains the decoder alone on slightly noised latents: it learns to forgive the small errors that a denoiser leaves.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from architecture import build_autoencoder
from dataset import to_float
from stage import Stage, StageSettings, save_atomically

NAMED_SHARE = 0.5  # of every batch comes from the named emoji, the rest from all artwork


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 + 2 MSE + 0.4 edges + chroma + coarse colour, on images [B, 3, 64, 64].

    Without the chroma term (what is left of a pixel when its grey level is taken away) hues collapse towards grey;
    the coarse term (4x4 averages) keeps flat areas from drifting.
    """
    difference = output - target
    edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
    chroma = (difference - difference.mean(1, keepdim=True)).abs().mean()
    coarse = F.avg_pool2d(difference, 4).abs().mean()
    return difference.abs().mean() + 2 * difference.square().mean() + 0.4 * edges + chroma + coarse


def pick_images(images: torch.Tensor, named: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """A float batch [count, 3, 64, 64]; `named` holds the indices of the named emoji in `images`."""
    from_all = torch.randint(len(images), (count,), generator=generator)
    from_named = named[torch.randint(len(named), (count,), generator=generator)]
    use_named = torch.rand(count, generator=generator) < NAMED_SHARE
    return to_float(images[torch.where(use_named, from_named, from_all)])


def train_autoencoder(rank: int, world: int, settings: StageSettings, images: torch.Tensor, named: torch.Tensor,
                      work_dir: Path) -> None:
    """Stage 1: encoder and decoder."""
    torch.manual_seed(settings.seed)
    vae = build_autoencoder()
    stage = Stage(settings, vae, work_dir, rank, world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        target = pick_images(images, named, settings.batch_size // world, generator)
        with torch.autocast("cpu", torch.bfloat16):
            moments = vae.quant_conv(vae.encoder(target)).float()
            mean, log_variance = moments.chunk(2, 1)
            log_variance = log_variance.clamp(-30, 20)
            noise = torch.randn(mean.shape, generator=generator)
            output = vae.decoder(vae.post_quant_conv(mean + (0.5 * log_variance).exp() * noise)).float()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean()
        return reconstruction_loss(output, target) + 1e-4 * divergence / mean[0].numel()

    stage.run(compute_loss)
    if rank == 0:
        stage.load_average()
        fold_latent_statistics(vae, to_float(images[named]))
        save_atomically({"vae": vae.state_dict()}, work_dir / "vae_folded.pt")


@torch.no_grad()
def encode_means(vae: AutoencoderKL, images: torch.Tensor) -> torch.Tensor:
    """Latent means [N, 4, 16, 16] of float images [N, 3, 64, 64]."""
    return torch.cat([vae.encode(chunk).latent_dist.mean for chunk in images.split(32)])


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Images [N, 3, 64, 64] of latents [N, 4, 16, 16]."""
    return torch.cat([vae.decode(chunk).sample for chunk in latents.split(32)])


@torch.no_grad()
def fold_latent_statistics(vae: AutoencoderKL, images: torch.Tensor) -> None:
    """Rescales the bottleneck in place so that latents of `images` have zero mean and unit variance per channel."""
    latents = encode_means(vae, images)
    mean = latents.mean((0, 2, 3))
    deviation = latents.std((0, 2, 3))
    channels = len(mean)
    weight, bias = vae.quant_conv.weight, vae.quant_conv.bias
    weight[:channels] /= deviation.view(-1, 1, 1, 1)
    bias[:channels] = (bias[:channels] - mean) / deviation
    bias[channels:] -= 2 * deviation.log()  # the second half is a log-variance
    weight, bias = vae.post_quant_conv.weight, vae.post_quant_conv.bias
    bias += weight[:, :, 0, 0] @ mean
    weight *= deviation.view(1, -1, 1, 1)


def load_folded(path: Path) -> AutoencoderKL:
    vae = build_autoencoder()
    vae.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["vae"])
    return vae.requires_grad_(False).eval()


def refine_decoder(rank: int, world: int, settings: StageSettings, images: torch.Tensor, named: torch.Tensor,
                   work_dir: Path, latent_noise: float = 0.08) -> None:
    """Stage 2: the decoder alone, on latents with noise of up to `latent_noise` standard deviations."""
    torch.manual_seed(settings.seed)
    vae = load_folded(work_dir / "vae_folded.pt")
    latents = encode_means(vae, to_float(images))
    vae.decoder.requires_grad_(True)
    vae.post_quant_conv.requires_grad_(True)
    stage = Stage(settings, vae, work_dir, rank, world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        count = settings.batch_size // world
        from_all = torch.randint(len(images), (count,), generator=generator)
        from_named = named[torch.randint(len(named), (count,), generator=generator)]
        chosen = torch.where(torch.rand(count, generator=generator) < 0.7, from_named, from_all)
        strength = latent_noise * torch.rand(count, 1, 1, 1, generator=generator)
        noisy = latents[chosen] + strength * torch.randn(latents[chosen].shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16):
            output = vae.decoder(vae.post_quant_conv(noisy)).float()
        return reconstruction_loss(output, to_float(images[chosen]))

    stage.run(compute_loss)
    if rank == 0:
        stage.load_average()
        save_atomically({"vae": vae.state_dict()}, work_dir / "vae_final.pt")


def peak_signal_to_noise(output: torch.Tensor, target: torch.Tensor) -> float:
    """Mean PSNR in dB over images [N, 3, 64, 64] in [-1, 1] (peak 2)."""
    error = (output.clamp(-1, 1) - target).square().mean((1, 2, 3))
    return (10 * torch.log10(4 / error.clamp_min(1e-10))).mean().item()
