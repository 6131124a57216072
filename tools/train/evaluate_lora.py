#!/usr/bin/env python3
"""Measures loras/emoji-line-art by scale: does it draw lines, and of what the prompt names?

    python tools/train/evaluate_lora.py [--prompts 61] [--scales 0 0.5 1 1.5]
    python tools/train/evaluate_lora.py --sheet loras/strip.png

Two sets of names: `learnt`, whose line art it was trained on, and `held out`, whose colours alone the denoiser knows.

- colour: the mean distance between a pixel's strongest and weakest channel.
- lines: how dark the picture is along the lines of the named artwork; `between`: how dark elsewhere inside its outline.
- top-1: the nearest of 606 pictures, all 303 in colour and as line art, is one of the two that the prompt names; by latents
  and by pixels. `as lines`: it is that line art.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from PIL import Image

import lora
import vae as vae_module
from evaluate import LoadedModel, nearest, sample
from evaluate_control import GUIDANCE, SAMPLER, STEPS

SHOWN = ("red apple", "rocket", "panda", "red heart", "sunflower", "red car", "penguin", "pizza", "guitar", "ghost",
         "snowman", "mushroom")
SCALES = (0.0, 0.5, 1.0, 1.5)


def set_scale(model: LoadedModel, scale: float) -> None:
    model.unet.set_adapters([lora.NAME], weights=[scale])


def load_with_lora(model_folder: Path, file: Path) -> LoadedModel:
    """The model with the file put in as diffusers does it, at scale 1."""
    model = LoadedModel.load(model_folder)
    model.unet.load_lora_adapter(file.parent, weight_name=file.name, prefix="unet", adapter_name=lora.NAME)
    model.unet.eval()
    return model


def paint(model: LoadedModel, prompts: list[str], scale: float, first_seed: int = 0) -> torch.Tensor:
    """Latents [N, 4, 16, 16]; the LoRA is in both rows of classifier-free guidance."""
    set_scale(model, scale)
    return sample(model, prompts, SAMPLER, STEPS, GUIDANCE, first_seed, batch_size=16)


def decode(model: LoadedModel, latents: torch.Tensor) -> torch.Tensor:
    """Pictures [N, 3, 64, 64] in [0, 1]."""
    return (vae_module.decode(model.vae, latents) / 2 + 0.5).clamp(0, 1)


def colour(pictures: torch.Tensor) -> float:
    return (pictures.amax(1) - pictures.amin(1)).mean().item()


def darkness(pictures: torch.Tensor, where: torch.Tensor) -> float:
    """Mean of 1 - grey over the pixels of the masks [N, 1, 64, 64], each picture counting the same."""
    dark = 1 - pictures.mean(1, keepdim=True)
    return ((dark * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp_min(1)).mean().item()


class Judge:
    """Knows all artwork, in colour and as line art."""

    def __init__(self, model: LoadedModel, rgba: torch.Tensor):
        self.count, self.silhouettes = len(rgba), rgba[:, 3:] > 0.9
        drawn = lora.line_art(rgba)
        self.ink = drawn[:, :1] < 0.5
        self.pixels = torch.cat([rgba[:, :3] * rgba[:, 3:] + (1 - rgba[:, 3:]), drawn])
        self.latents = vae_module.encode_means(model.vae, self.pixels * 2 - 1)

    def __call__(self, pictures: torch.Tensor, latents: torch.Tensor, expected: torch.Tensor) -> dict:
        ink, inside = self.ink[expected], self.silhouettes[expected]
        by_latent, by_pixel = nearest(latents, self.latents), nearest(pictures, self.pixels)
        return {"count": len(expected), "colour": colour(pictures), "lines": darkness(pictures, ink),
                "between": darkness(pictures, inside & ~ink),
                "top1_latent": (by_latent % self.count == expected).float().mean().item(),
                "top1_pixel": (by_pixel % self.count == expected).float().mean().item(),
                "as_lines": (by_latent == expected + self.count).float().mean().item()}


def strip(model: LoadedModel, path: Path) -> None:
    """A PNG: SHOWN, one row for each of SCALES, all from the same noise."""
    rows = [torch.cat(list(decode(model, paint(model, list(SHOWN), scale, first_seed=1000))), 2) for scale in SCALES]
    pixels = (torch.cat(rows, 1).permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(path, optimize=True)


def spread(pictures: list[int], count: int) -> list[int]:
    """`count` of them, evenly."""
    return [pictures[place * len(pictures) // count] for place in range(min(count, len(pictures)))]


@torch.no_grad()
def main() -> None:
    from train import Work

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path("models/emoji"))
    parser.add_argument("--lora", type=Path, default=Path("loras") / f"{lora.NAME}.safetensors")
    parser.add_argument("--work-dir", type=Path, default=Path("build/train"))
    parser.add_argument("--prompts", type=int, default=61, help="names in each of the two sets")
    parser.add_argument("--scales", type=float, nargs="+", default=SCALES)
    parser.add_argument("--sheet", type=Path, help="only paint the strip of the README")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_with_lora(arguments.model, arguments.lora)
    if arguments.sheet:
        return strip(model, arguments.sheet)
    work = Work(arguments.work_dir)
    judge = Judge(model, work.named_rgba())
    results = {}
    for label, pictures in zip(("learnt", "held out"), lora.split(len(work.entries))):
        asked = spread(pictures, arguments.prompts)
        for scale in arguments.scales:
            latents = paint(model, [work.entries[picture].name for picture in asked], scale)
            result = judge(decode(model, latents), latents, torch.tensor(asked))
            results[f"{label} {scale:g}"] = result
            print(label, scale, json.dumps(result), flush=True)
    (arguments.work_dir / "lora_evaluation.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
