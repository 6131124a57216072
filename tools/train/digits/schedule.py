"""The cosine noise schedule (Nichol & Dhariwal 2021) and how training draws its timesteps."""

from __future__ import annotations

import torch
from diffusers.schedulers.scheduling_ddim import betas_for_alpha_bar

from digits.architecture import NUM_TRAIN_TIMESTEPS


def alpha_bar() -> torch.Tensor:
    """The products of 1 - beta of diffusers' `squaredcos_cap_v2`, float64 [1000]."""
    return (1 - betas_for_alpha_bar(NUM_TRAIN_TIMESTEPS).double()).cumprod(0)


def signal_and_noise() -> tuple[torch.Tensor, torch.Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), float32 [1000] each."""
    products = alpha_bar()
    return products.sqrt().float(), (1 - products).sqrt().float()


def stratified_timesteps(count: int, step: int, seed: int) -> torch.Tensor:
    """`count` timesteps, one from each of `count` equal slices of the schedule, shuffled: int64 [count]."""
    generator = torch.Generator().manual_seed(seed * 7_919 + step)
    fractions = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    return (fractions * NUM_TRAIN_TIMESTEPS).long().clamp_max(NUM_TRAIN_TIMESTEPS - 1)
