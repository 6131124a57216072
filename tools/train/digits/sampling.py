"""Paints digits with an exported folder: diffusers' schedulers, annealed Langevin dynamics, and both kinds of guidance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import (AutoencoderKL, DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler,
                       UNet2DModel)

from digits import architecture
from digits.classifier import log_probability_gradient
from digits.schedule import alpha_bar

SCHEDULERS = {"DDPM": DDPMScheduler, "DDIM": DDIMScheduler, "DPM++ 2M": DPMSolverMultistepScheduler,
              "Euler": EulerDiscreteScheduler}


@dataclass
class LoadedModel:
    """The components of a folder, fp16 weights held in float32."""

    vae: AutoencoderKL
    unet: UNet2DModel
    classifier: architecture.LatentClassifier
    folder: Path

    @classmethod
    def load(cls, folder: Path) -> LoadedModel:
        parts = [kind.from_pretrained(folder / name, torch_dtype=torch.float32).eval().requires_grad_(False)
                 for kind, name in ((AutoencoderKL, "vae"), (UNet2DModel, "unet"),
                                    (architecture.LatentClassifier, "classifier"))]
        return cls(*parts, folder)


@dataclass(frozen=True)
class Guidance:
    """`scale`: classifier-free guidance, off at 1. `classifier`: scale of the classifier's gradient, off at 0."""

    scale: float = 1.0
    classifier: float = 0.0
    labelled: bool = True  # False: the denoiser is told the null class, and only the classifier knows the label


def predict_v(model: LoadedModel, latents: torch.Tensor, timesteps: torch.Tensor, labels: torch.Tensor,
              guidance: Guidance) -> torch.Tensor:
    """Guided v [B, 4, 8, 8] of variance-preserving latents at timesteps [B] (fractions allowed)."""
    nothing = torch.full_like(labels, architecture.NULL_CLASS)
    told = labels if guidance.labelled else nothing
    if guidance.scale > 1:
        both = model.unet(latents.repeat(2, 1, 1, 1), timesteps.repeat(2), torch.cat([nothing, told])).sample
        unconditional, conditional = both.chunk(2)
        v = unconditional + guidance.scale * (conditional - unconditional)
    else:
        v = model.unet(latents, timesteps, told).sample
    if guidance.classifier > 0:  # epsilon falls by sqrt(1 - alpha_bar) * gradient, so v by 1 / sqrt(alpha_bar) of that
        sigma = sigmas_at(timesteps).view(-1, 1, 1, 1)
        v = v - guidance.classifier * sigma * log_probability_gradient(model.classifier, latents, timesteps, labels)
    return v


def sigma_table() -> torch.Tensor:
    """sqrt((1 - alpha_bar) / alpha_bar), float64 [1000], ascending."""
    products = alpha_bar()
    return ((1 - products) / products).sqrt()


def sigmas_at(timesteps: torch.Tensor) -> torch.Tensor:
    """sigma [B] float32 of timesteps [B]: linear in ln sigma between whole timesteps."""
    logs = sigma_table().log()
    low = timesteps.double().floor().long().clamp(0, len(logs) - 2)
    share = timesteps.double() - low
    return ((1 - share) * logs[low] + share * logs[low + 1]).exp().float()


def timestep_of(sigma: float) -> float:
    """The inverse of `sigmas_at`, clamped to the schedule."""
    logs = sigma_table().log()
    wanted = torch.tensor(sigma, dtype=torch.float64).log()
    low = int((logs <= wanted).sum().sub(1).clamp(0, len(logs) - 2))
    share = ((wanted - logs[low]) / (logs[low + 1] - logs[low])).clamp(0, 1)
    return float(low + share)


@torch.no_grad()
def sample(model: LoadedModel, sampler: str, steps: int, labels: torch.Tensor, guidance: Guidance, seed: int,
           **scheduler_options) -> torch.Tensor:
    """Latents [B, 4, 8, 8] of `labels` [B] with one of SCHEDULERS."""
    scheduler = SCHEDULERS[sampler].from_pretrained(model.folder / "scheduler", **scheduler_options)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    latents = initial_noise(len(labels), generator) * scheduler.init_noise_sigma
    takes_generator = not isinstance(scheduler, DDIMScheduler)
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latents, timestep)
        v = predict_v(model, scaled, timestep.float().expand(len(labels)), labels, guidance)
        extra = {"generator": generator} if takes_generator else {}
        latents = scheduler.step(v, timestep, latents, **extra).prev_sample
    return latents


def initial_noise(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(count, architecture.LATENT_CHANNELS, architecture.LATENT_SIZE, architecture.LATENT_SIZE,
                       generator=generator)


@dataclass(frozen=True)
class LangevinSettings:
    """Annealed Langevin dynamics (Song & Ermon 2019): `levels` noise levels, `inner_steps` moves at each."""

    levels: int = 25
    inner_steps: int = 5
    first_sigma: float = 20.0  # about the distance between two latents
    last_sigma: float = 0.05
    epsilon: float = 0.3 * 0.05**2  # alpha_i = epsilon (sigma_i / last_sigma)^2
    final_denoise: bool = True

    def sigmas(self) -> list[float]:
        """Geometric, from the first down to the last."""
        return torch.logspace(torch.tensor(self.first_sigma).log10().item(), torch.tensor(self.last_sigma).log10().item(),
                              self.levels, dtype=torch.float64).tolist()


@torch.no_grad()
def sample_langevin(model: LoadedModel, settings: LangevinSettings, labels: torch.Tensor, guidance: Guidance,
                    seed: int) -> torch.Tensor:
    """Latents [B, 4, 8, 8]. Works on x0 + sigma * noise; the network sees that over sqrt(sigma^2 + 1).

    x += alpha / 2 * score + sqrt(alpha) * noise, with score = -epsilon / sigma; at the end x += sigma^2 * score.
    """
    generator = torch.Generator().manual_seed(seed)
    x = initial_noise(len(labels), generator) * settings.first_sigma

    def score(sigma: float) -> torch.Tensor:
        scale = (sigma * sigma + 1) ** 0.5
        latents = x / scale
        timesteps = torch.full((len(labels),), timestep_of(sigma))
        v = predict_v(model, latents, timesteps, labels, guidance)
        return -(v + sigma * latents) / scale / sigma  # epsilon = sqrt(alpha_bar) v + sqrt(1 - alpha_bar) x

    for sigma in settings.sigmas():
        alpha = settings.epsilon * (sigma / settings.last_sigma) ** 2
        for _ in range(settings.inner_steps):
            x = x + alpha / 2 * score(sigma) + alpha**0.5 * torch.randn(x.shape, generator=generator)
    return x + settings.last_sigma**2 * score(settings.last_sigma) if settings.final_denoise else x
