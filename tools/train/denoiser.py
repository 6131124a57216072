"""The denoiser and its text encoder, trained together from nothing with v-prediction."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, CLIPTokenizer

import architecture
from captions import CaptionWriter
from stage import Stage, StageSettings, checkpoint_path
from text import build_text_networks, naming_loss, tokenize

EMPTY_CAPTIONS = 0.10  # share of captions replaced by "", for classifier-free guidance
NAMING_WEIGHT = 0.02  # of the loss that keeps the text encoder true to names


def signal_and_noise() -> tuple[torch.Tensor, torch.Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar) of the scaled-linear schedule, float32 [1000] each."""
    betas = torch.linspace(architecture.BETA_START**0.5, architecture.BETA_END**0.5,
                           architecture.NUM_TRAIN_TIMESTEPS, dtype=torch.float64).square()
    alpha_bar = (1 - betas).cumprod(0)
    return alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()


def build_networks(tokenizer: CLIPTokenizer, classes: int) -> torch.nn.ModuleDict:
    """{"unet", "text_encoder", "head"}: the parts this stage trains; `head` is thrown away afterwards."""
    networks = build_text_networks(tokenizer, classes)
    networks["unet"] = architecture.build_unet()
    return networks


class BatchPlan:
    """Which pictures a step uses: every picture once per epoch, in a seeded order, whatever the number of workers."""

    def __init__(self, count: int, batch_size: int, seed: int):
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._epoch, self._order = -1, []

    def _picture(self, position: int) -> int:
        epoch, offset = divmod(position, self.count)
        if epoch != self._epoch:
            self._order = list(range(self.count))
            random.Random(self.seed * 1_000_003 + epoch).shuffle(self._order)
            self._epoch = epoch
        return self._order[offset]

    def __call__(self, step: int) -> list[int]:
        return [self._picture(step * self.batch_size + index) for index in range(self.batch_size)]


def stratified_timesteps(count: int, step: int, seed: int) -> torch.Tensor:
    """`count` timesteps, one from each of `count` equally likely slices of the schedule, shuffled: int64 [count].

    They lean towards the noisy end (half of them above 646), where the text and not the picture decides what is predicted.
    """
    generator = torch.Generator().manual_seed(seed * 7_919 + step)
    fractions = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    leaning = 1 - (1 - fractions) ** 1.5
    return (leaning * architecture.NUM_TRAIN_TIMESTEPS).long().clamp_max(architecture.NUM_TRAIN_TIMESTEPS - 1)


def train_denoiser(rank: int, world: int, settings: StageSettings, writer: CaptionWriter, latents: torch.Tensor,
                   tokenizer_folder: Path, work_dir: Path) -> None:
    """Trains on `latents` [N, 4, 16, 16], one per entry of `writer.entries`."""
    torch.manual_seed(settings.seed)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder)
    networks = build_networks(tokenizer, len(writer.entries))
    named = torch.load(work_dir / "text_named.pt", map_location="cpu", weights_only=True)["text"]
    networks.load_state_dict(named, strict=False)  # the denoiser itself starts from nothing
    networks.train()
    stage = Stage(settings, networks, work_dir, rank, world)
    plan = BatchPlan(len(latents), settings.batch_size, settings.seed)
    signal, noise_level = signal_and_noise()
    mine = slice(rank * settings.batch_size // world, (rank + 1) * settings.batch_size // world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        pictures = plan(step)[mine]
        timesteps = stratified_timesteps(settings.batch_size, step, settings.seed)[mine]
        rng = random.Random((settings.seed * 1_000_003 + step) * 64 + rank)
        captions = ["" if rng.random() < EMPTY_CAPTIONS else writer.write(writer.entries[p], rng) for p in pictures]
        labels = torch.tensor([picture if caption else -100 for picture, caption in zip(pictures, captions)])
        tokens = tokenize(tokenizer, captions)
        clean = latents[pictures]
        noise = torch.randn(clean.shape, generator=generator)
        a, s = signal[timesteps].view(-1, 1, 1, 1), noise_level[timesteps].view(-1, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            text = networks["text_encoder"](tokens).last_hidden_state
            predicted = networks["unet"](a * clean + s * noise, timesteps, text).sample
        naming = naming_loss(networks["head"], text, tokens, labels, tokenizer.eos_token_id)
        return (predicted.float() - (a * noise - s * clean)).square().mean() + NAMING_WEIGHT * naming

    with sdpa_kernel(SDPBackend.MATH):  # for so few tokens, plain products beat the fused CPU kernel's backward pass
        stage.run(compute_loss)


def load_average(work_dir: Path, name: str, tokenizer: CLIPTokenizer,
                 classes: int) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """The moving average in a checkpoint, finished or not."""
    networks = build_networks(tokenizer, classes)
    state = torch.load(checkpoint_path(work_dir, name), map_location="cpu", weights_only=True)
    networks.load_state_dict({**state["model"], **state["ema"]})
    networks.requires_grad_(False).eval()
    return networks["unet"], networks["text_encoder"]
