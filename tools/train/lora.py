"""A style for models/emoji as a LoRA: what it paints becomes black lines on white.

The style is made by a filter on the artwork, and the LoRA learns to paint the filtered pictures beside the frozen denoiser:
low-rank products at its attention and at its convolutions, because a style is what is done at every pixel and the denoiser
has no attention at its finest resolution. One picture in five is kept from it (`split`): what it does to those is how one
tells a style from a second set of pictures learnt by heart.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from captions import CaptionWriter
from control import Frozen
from denoiser import EMPTY_CAPTIONS, BatchPlan, signal_and_noise, stratified_timesteps
from stage import Stage, StageSettings, checkpoint_path
from text import tokenize

NAME = "emoji-line-art"
RANK = 6  # with all of TARGETS the file stays below 1 MB
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_shortcut", "conv_in", "conv_out",
           "downsamplers.0.conv", "upsamplers.0.conv")
BLUR, FAINTEST, BLACKEST = 0.7, 0.25, 0.6  # of the filter: pixels, and edges that are white and black
HELD_OUT = 5  # one picture in so many is not trained on
CARD = {
    "name": NAME,
    "display_name": "Emoji line art",
    "description": "What Emoji paints, as black lines on white. Use scale 1; below it grey and colour come back.",
    "license": "Apache-2.0",
    "family": "StableDiffusionPipeline",
    "trigger_words": [],
    "defaults": {},
}


def blur(pictures: torch.Tensor, deviation: float) -> torch.Tensor:
    """A Gaussian blur of [N, C, H, W]."""
    reach = round(3 * deviation)
    weights = torch.exp(-(torch.arange(-reach, reach + 1) / deviation) ** 2 / 2)
    weights, channels = weights / weights.sum(), pictures.shape[1]
    padded = F.pad(pictures, (reach,) * 4, mode="replicate")
    rows = F.conv2d(padded, weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(rows, weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def edges(pictures: torch.Tensor) -> torch.Tensor:
    """[N, 1, H, W]: the length of Sobel's gradient over all channels."""
    kernel = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]) / 4
    channels = pictures.shape[1]
    padded = F.pad(pictures, (1,) * 4, mode="replicate")
    down, across = (F.conv2d(padded, k.expand(channels, 1, 3, 3), groups=channels) for k in (kernel, kernel.T))
    return (down.square() + across.square()).sum(1, keepdim=True).sqrt()


def line_art(rgba: torch.Tensor) -> torch.Tensor:
    """Artwork [N, 4, 64, 64] in [0, 1] as black lines on white [N, 3, 64, 64]: along its outline and between its colours."""
    alpha = rgba[:, 3:]
    on_white = rgba[:, :3] * alpha + (1 - alpha)
    ink = (edges(blur(torch.cat([on_white, alpha], 1), BLUR)) - FAINTEST) / (BLACKEST - FAINTEST)
    return (1 - ink.clamp(0, 1)).expand(-1, 3, -1, -1)


def split(count: int) -> tuple[list[int], list[int]]:
    """Which pictures are trained on, and which are only asked for."""
    held_out = range(HELD_OUT // 2, count, HELD_OUT)
    return [picture for picture in range(count) if picture not in held_out], list(held_out)


def adapt(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Puts the LoRA into a frozen denoiser; it starts as nothing. Alpha is the rank: no reader has to know it."""
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(TARGETS), init_lora_weights="gaussian"))
    return unet


def train_lora(rank: int, world: int, settings: StageSettings, writer: CaptionWriter, latents: torch.Tensor,
               model: Path, work_dir: Path) -> None:
    """Trains on those of the `latents` [N, 4, 16, 16], one per entry of the writer, that `split` gives it."""
    torch.manual_seed(settings.seed)
    frozen = Frozen.load(model)
    stage = Stage(settings, adapt(frozen.unet), work_dir, rank, world)
    learnt, _ = split(len(latents))
    plan = BatchPlan(len(learnt), settings.batch_size, settings.seed)
    signal, noise_level = signal_and_noise()
    mine = slice(rank * settings.batch_size // world, (rank + 1) * settings.batch_size // world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        pictures = [learnt[place] for place in plan(step)[mine]]
        timesteps = stratified_timesteps(settings.batch_size, step, settings.seed)[mine]
        rng = random.Random((settings.seed * 1_000_003 + step) * 64 + rank)
        captions = ["" if rng.random() < EMPTY_CAPTIONS else writer.write(writer.entries[p], rng) for p in pictures]
        clean = latents[pictures]
        noise = torch.randn(clean.shape, generator=generator)
        a, s = signal[timesteps].view(-1, 1, 1, 1), noise_level[timesteps].view(-1, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                text = frozen.text_encoder(tokenize(frozen.tokenizer, captions)).last_hidden_state
            predicted = frozen.unet(a * clean + s * noise, timesteps, text).sample
        return (predicted.float() - (a * noise - s * clean)).square().mean()

    with sdpa_kernel(SDPBackend.MATH):  # as in denoiser.py
        stage.run(compute_loss)


def load_average(work_dir: Path, name: str, model: Path) -> UNet2DConditionModel:
    """The denoiser with the moving average of a checkpoint's LoRA in it, finished or not."""
    unet = adapt(Frozen.load(model).unet)
    state = torch.load(checkpoint_path(work_dir, name), map_location="cpu", weights_only=True)
    unet.load_state_dict({**state["model"], **state["ema"]})
    return unet.requires_grad_(False).eval()


def export_lora(folder: Path, unet: UNet2DConditionModel) -> None:
    """The LoRA in fp16 as `pipe.load_lora_weights(folder, weight_name=...)` of diffusers takes it, and its card."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = {f"unet.{name}": tensor.half().contiguous() for name, tensor in get_peft_model_state_dict(unet).items()}
    config = {"unet.r": RANK, "unet.lora_alpha": RANK, "unet.target_modules": list(TARGETS)}
    path = folder / f"{NAME}.safetensors"
    save_file(layers, path, metadata={
        "format": "pt", "lora_adapter_metadata": json.dumps(config),
        "ss_network_dim": str(RANK), "ss_network_alpha": str(RANK),
        "ss_output_name": CARD["name"], "modelspec.title": CARD["display_name"],
        "modelspec.description": CARD["description"], "modelspec.license": CARD["license"]})
    path.chmod(0o644)
    path.with_suffix(".json").write_text(json.dumps(CARD, indent=2) + "\n")
