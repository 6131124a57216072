"""The denoiser, trained from nothing with v-prediction on the cosine schedule; one label in ten is withheld."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DModel
from torch.nn.attention import SDPBackend, sdpa_kernel

from denoiser import BatchPlan
from stage import Stage, StageSettings, checkpoint_path

from digits import architecture
from digits.schedule import signal_and_noise, stratified_timesteps

WITHHELD_LABELS = 0.10  # share of labels replaced by the null class, for classifier-free guidance


def train_denoiser(rank: int, world: int, settings: StageSettings, latents: torch.Tensor, labels: torch.Tensor,
                   work_dir: Path) -> None:
    """Trains on `latents` [N, 4, 8, 8] of digits `labels` [N]."""
    torch.manual_seed(settings.seed)
    model = architecture.build_unet().train()
    stage = Stage(settings, model, work_dir, rank, world)
    plan = BatchPlan(len(latents), settings.batch_size, settings.seed)
    signal, noise_level = signal_and_noise()
    mine = slice(rank * settings.batch_size // world, (rank + 1) * settings.batch_size // world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        chosen = torch.tensor(plan(step)[mine])
        timesteps = stratified_timesteps(settings.batch_size, step, settings.seed)[mine]
        withheld = torch.rand(len(chosen), generator=generator) < WITHHELD_LABELS
        told = torch.where(withheld, architecture.NULL_CLASS, labels[chosen])
        clean = latents[chosen]
        noise = torch.randn(clean.shape, generator=generator)
        a, s = signal[timesteps].view(-1, 1, 1, 1), noise_level[timesteps].view(-1, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = model(a * clean + s * noise, timesteps, told).sample
        return (predicted.float() - (a * noise - s * clean)).square().mean()

    with sdpa_kernel(SDPBackend.MATH):  # for so few tokens, plain products beat the fused CPU kernel's backward pass
        stage.run(compute_loss)


def load_average(work_dir: Path) -> UNet2DModel:
    """The moving average in the checkpoint, finished or not."""
    model = architecture.build_unet()
    state = torch.load(checkpoint_path(work_dir, "denoiser"), map_location="cpu", weights_only=True)
    model.load_state_dict({**state["model"], **state["ema"]})
    return model.requires_grad_(False).eval()
