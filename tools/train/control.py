"""The ControlNet of models/emoji: a sketch says where, the prompt says what.

A copy of the frozen denoiser's encoder reads the sketch and adds to what the denoiser's decoder gets, as in Stable
Diffusion's ControlNets (diffusers' ControlNetModel; only its hint embedding has one step less, because a latent is a
quarter and not an eighth as wide as its picture). The denoiser has seen its pictures in one place only, so the net does
not merely choose among places that the denoiser knows: it has to carry every picture elsewhere.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, CLIPTokenizer

import sketches
from captions import CaptionWriter
from denoiser import BatchPlan, signal_and_noise, stratified_timesteps
from sketches import Artwork
from stage import Stage, StageSettings, checkpoint_path, save_atomically, step_generator
from text import tokenize

HINT_CHANNELS = (16, 32, 64)  # of the hint embedding; one stride of two between each
EMPTY_CAPTIONS = 0.10  # for classifier-free guidance, whose unconditional row sees the sketch, too
CHUNK = 64  # examples that are made together
RECUT_SHARE = 0.5  # of the examples take the silhouette of something else, half of it a blob
BENT_SHARE = 0.5  # of the others are bent besides being moved


@dataclass
class Examples:
    """What the net learns from. The sketches are drawn anew each time one is used."""

    pictures: torch.Tensor  # int64 [N], an index into the named emoji
    latents: torch.Tensor  # float16 [N, 4, 16, 16], of the moved or recut picture
    silhouettes: torch.Tensor  # uint8 [N, 1, 64, 64]


def build_control_net(unet: UNet2DConditionModel) -> ControlNetModel:
    """Starts as a copy of the denoiser's encoder, whose residuals are all zero."""
    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=HINT_CHANNELS)


def load_control(folder: Path) -> ControlNetModel:
    """A net that was exported, fp16 weights held in float32."""
    return ControlNetModel.from_pretrained(folder, variant="fp16", torch_dtype=torch.float32)


def split_outlines(silhouettes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Foreign silhouettes to learn from, and those that only the evaluation sees: one in ten. Thin ones are left out."""
    usable = silhouettes[(sketches.solidity(silhouettes) > 0.7) & (silhouettes.mean((1, 2, 3)) > 0.15)]
    held_out = torch.arange(len(usable)) % 10 == 0
    return usable[~held_out], usable[held_out]


def foreign_silhouettes(outlines: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """[count, 1, 64, 64]: silhouettes of other artwork and blobs, moved."""
    chosen = outlines[torch.randint(len(outlines), (count,), generator=generator)]
    blob = (torch.rand(count, generator=generator) < 0.5)[:, None, None, None]
    shapes = torch.where(blob, sketches.blobs(count, generator), chosen)
    return sketches.look_up(shapes, sketches.draw_moves(count, generator).grid(), "zeros")


def make_pictures(artwork: Artwork, outlines: torch.Tensor, chosen: torch.Tensor,
                  generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [N, 3, 64, 64] in [0, 1] and silhouettes [N, 1, 64, 64] of the `chosen` artwork, moved, bent or recut."""
    count = len(chosen)
    grid = sketches.draw_moves(count, generator).grid()
    bent = (torch.rand(count, generator=generator) < BENT_SHARE).float()[:, None, None, None]
    bends = sketches.waves(count, 4, 0.07, sketches.FINE, generator)
    pictures, silhouettes = sketches.moved(artwork[chosen], grid + bent * bends)
    foreign = foreign_silhouettes(outlines, count, generator)
    cut = torch.rand(count, generator=generator) < RECUT_SHARE
    cut &= (sketches.solidity(artwork.silhouette[chosen]) > sketches.SOLID) & (foreign.mean((1, 2, 3)) > 0.03)
    cut = cut[:, None, None, None]
    recut = sketches.recut(artwork[chosen], foreign)
    return torch.where(cut, recut, pictures), torch.where(cut, foreign, silhouettes)


@torch.no_grad()
def make_examples(artwork: Artwork, outlines: torch.Tensor, autoencoder: AutoencoderKL, count: int,
                  seed: int) -> Examples:
    """`count` examples, rounded down to whole chunks; the same for the same seed."""
    pictures, latents, silhouettes = [], [], []
    for chunk in range(count // CHUNK):
        generator = step_generator(seed, chunk, 0)
        chosen = torch.randint(len(artwork.paint), (CHUNK,), generator=generator)
        images, shapes = make_pictures(artwork, outlines, chosen, generator)
        with torch.autocast("cpu", torch.bfloat16):
            latents.append(autoencoder.encode(images * 2 - 1).latent_dist.mean.half())
        pictures.append(chosen)
        silhouettes.append((shapes * 255).round().to(torch.uint8))
    return Examples(torch.cat(pictures), torch.cat(latents), torch.cat(silhouettes))


def load_examples(path: Path, make, count: int) -> Examples:
    """The examples kept in `path`, or `make()`, which is then kept there."""
    if path.exists():
        kept = Examples(**torch.load(path, map_location="cpu", weights_only=True))
        if len(kept.pictures) == count // CHUNK * CHUNK:
            return kept
    examples = make()
    save_atomically(vars(examples), path)
    return examples


@dataclass
class Frozen:
    """The parts of the model folder that the net learns beside."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer

    @classmethod
    def load(cls, folder: Path) -> Frozen:
        return cls(
            UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).requires_grad_(False),
            CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).requires_grad_(False).eval(),
            CLIPTokenizer.from_pretrained(folder / "tokenizer"))


def predict(unet: UNet2DConditionModel, net: ControlNetModel, noisy: torch.Tensor, timesteps: torch.Tensor,
            text: torch.Tensor, hints: torch.Tensor) -> torch.Tensor:
    """The denoiser's v [N, 4, 16, 16] with the net's residuals added; hints [N, 3, 64, 64] in [0, 1]."""
    down, middle = net(noisy, timesteps, text, hints, return_dict=False)
    return unet(noisy, timesteps, text, down_block_additional_residuals=down,
                mid_block_additional_residual=middle).sample


def train_control(rank: int, world: int, settings: StageSettings, writer: CaptionWriter, examples: Examples,
                  model: Path, work_dir: Path, start: Path | None = None) -> None:
    """Trains on `examples` beside the frozen networks of the folder `model`, from nothing or from the net in `start`."""
    torch.manual_seed(settings.seed)
    frozen = Frozen.load(model)
    net = (load_control(start) if start else build_control_net(frozen.unet)).train()
    stage = Stage(settings, net, work_dir, rank, world)
    plan = BatchPlan(len(examples.pictures), settings.batch_size, settings.seed)
    signal, noise_level = signal_and_noise()
    mine = slice(rank * settings.batch_size // world, (rank + 1) * settings.batch_size // world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        chosen = torch.tensor(plan(step)[mine])
        timesteps = stratified_timesteps(settings.batch_size, step, settings.seed)[mine]
        rng = random.Random((settings.seed * 1_000_003 + step) * 64 + rank)
        named = [writer.entries[picture] for picture in examples.pictures[chosen].tolist()]
        captions = ["" if rng.random() < EMPTY_CAPTIONS else writer.write(entry, rng) for entry in named]
        hints = sketches.draw_sketches(examples.silhouettes[chosen].float() / 255, generator)
        clean = examples.latents[chosen].float()
        noise = torch.randn(clean.shape, generator=generator)
        a, s = signal[timesteps].view(-1, 1, 1, 1), noise_level[timesteps].view(-1, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                text = frozen.text_encoder(tokenize(frozen.tokenizer, captions)).last_hidden_state
            predicted = predict(frozen.unet, net, a * clean + s * noise, timesteps, text, hints)
        return (predicted.float() - (a * noise - s * clean)).square().mean()

    with sdpa_kernel(SDPBackend.MATH):  # as in denoiser.py
        stage.run(compute_loss)


def load_average(work_dir: Path, name: str, model: Path) -> ControlNetModel:
    """The moving average in a checkpoint, finished or not."""
    net = build_control_net(Frozen.load(model).unet)
    state = torch.load(checkpoint_path(work_dir, name), map_location="cpu", weights_only=True)
    net.load_state_dict({**state["model"], **state["ema"]})
    return net.requires_grad_(False).eval()


def export_control(folder: Path, net: ControlNetModel) -> None:
    """fp16, in diffusers' layout: `ControlNetModel.from_pretrained(folder, variant="fp16")`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in net.config.items() if not key.startswith("_") or key == "_class_name"}
    config = {"_class_name": "ControlNetModel", **config}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    path = folder / "diffusion_pytorch_model.fp16.safetensors"
    save_file({name: tensor.half().contiguous() for name, tensor in net.state_dict().items()}, path,
              metadata={"format": "pt"})
    path.chmod(0o644)
