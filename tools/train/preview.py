"""The preview decoder: a small network that is taught to paint what the autoencoder's decoder paints.

It has the shape of TAESD (diffusers' AutoencoderTiny): plain convolutions without normalisation or attention. What it
sees while a picture is in the making are not latents of pictures but estimates of them, which begin as a blur of all
pictures that the prompt allows. So it learns from mixtures of latents and from slightly noised ones, too; what they
should look like is known for any latents, because the teacher decodes them.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import load_file, save_file

import architecture
from dataset import to_float
from stage import Stage, StageSettings, save_atomically
from vae import decode, encode_means, peak_signal_to_noise, reconstruction_loss

WIDTH = 32  # oneDNN works in blocks of 16 channels: 24 would cost as much
BLOCKS = (3, 3, 1)  # residual blocks at 16x16, 32x32, 64x64
MIXED_SHARE = 0.4  # of a batch is mixtures of two to four latents
NOISE = 0.15  # standard deviations at most


def build_preview_decoder() -> AutoencoderTiny:
    """[B, 4, 16, 16] -> [B, 3, 64, 64]. The encoder is as small as can be: it is neither trained nor saved."""
    return AutoencoderTiny(
        encoder_block_out_channels=(WIDTH,) * len(BLOCKS), num_encoder_blocks=(0,) * len(BLOCKS),
        decoder_block_out_channels=(WIDTH,) * len(BLOCKS), num_decoder_blocks=BLOCKS,
        latent_channels=architecture.LATENT_CHANNELS,
    )


def estimates(latents: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """[count, 4, 16, 16]: latents as a sampler estimates them on its way, from mixtures to slightly noised ones."""
    weights = torch.rand(count, 4, generator=generator).log().neg()  # exponential: any mixture is as likely as any other
    parts = torch.randint(2, 5, (count, 1), generator=generator)
    weights[torch.arange(4) >= parts] = 0
    pure = torch.rand(count, generator=generator) >= MIXED_SHARE
    weights[pure] = torch.tensor([1.0, 0, 0, 0])
    weights /= weights.sum(1, keepdim=True)
    chosen = latents[torch.randint(len(latents), (count, 4), generator=generator)]
    mixed = (chosen * weights[:, :, None, None, None]).sum(1)
    strength = NOISE * torch.rand(count, 1, 1, 1, generator=generator).square()
    return mixed + strength * torch.randn(mixed.shape, generator=generator)


def train_preview(rank: int, world: int, settings: StageSettings, images: torch.Tensor, model: Path,
                  work_dir: Path) -> None:
    torch.manual_seed(settings.seed)
    teacher = AutoencoderKL.from_pretrained(model / "vae", torch_dtype=torch.float32).requires_grad_(False).eval()
    latents = encode_means(teacher, to_float(images))
    student = build_preview_decoder()
    student.encoder.requires_grad_(False)
    stage = Stage(settings, student, work_dir, rank, world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        shown = estimates(latents, settings.batch_size // world, generator)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            target = teacher.decode(shown).sample.float().clamp(-1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            output = student.decoder(shown).float()
        return reconstruction_loss(output, target)

    stage.run(compute_loss)
    if rank == 0:
        stage.load_average()
        save_atomically({"preview": student.state_dict()}, work_dir / "preview_final.pt")


def load_preview(path: Path) -> AutoencoderTiny:
    student = build_preview_decoder()
    student.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["preview"])
    return student.requires_grad_(False).eval()


def export_preview(folder: Path, student: AutoencoderTiny) -> None:
    """The decoder alone, fp16, in diffusers' layout."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in student.config.items() if not key.startswith("_") or key == "_class_name"}
    config = {"_class_name": "AutoencoderTiny", **config}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {f"decoder.{name}": tensor.half().contiguous() for name, tensor in student.decoder.state_dict().items()}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (folder / "diffusion_pytorch_model.safetensors").chmod(0o644)


def save_in_card(folder: Path) -> None:
    """Names the decoder in the model's card."""
    path = folder / "model.json"
    card = json.loads(path.read_text())
    card["preview"] = "preview"
    path.write_text(json.dumps(card, indent=2) + "\n")


@torch.no_grad()
def linear_preview(folder: Path, latents: torch.Tensor) -> torch.Tensor:
    """What preview.json makes of `latents`, enlarged to the picture's size."""
    preview = json.loads((folder / "preview.json").read_text())
    colours = torch.einsum("nchw,ck->nkhw", latents, torch.tensor(preview["matrix"]))
    colours = colours + torch.tensor(preview["bias"]).view(1, 3, 1, 1)
    return torch.nn.functional.interpolate(colours, scale_factor=4, mode="bilinear", align_corners=False)


@torch.no_grad()
def report_preview(folder: Path, images: torch.Tensor) -> dict[str, float]:
    """Mean PSNR in dB against what the autoencoder's decoder paints: of the linear map, and of this decoder as saved."""
    teacher = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval()
    student = build_preview_decoder()
    saved = load_file(folder / "preview" / "diffusion_pytorch_model.safetensors")
    student.decoder.load_state_dict({name.removeprefix("decoder."): t.float() for name, t in saved.items()})
    student.eval()
    latents = encode_means(teacher, to_float(images))
    target = decode(teacher, latents).clamp(-1, 1)
    tiny = torch.cat([student.decoder(chunk) for chunk in latents.split(32)])
    return {
        "linear_db": peak_signal_to_noise(linear_preview(folder, latents), target),
        "preview_db": peak_signal_to_noise(tiny, target),
        "preview_mean_of_255": ((tiny.clamp(-1, 1) - target).abs().mean() * 127.5).item(),
    }
