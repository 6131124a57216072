#!/usr/bin/env python3
"""Measures models/emoji-sketch on outlines it has not seen: does the picture keep within the outline, and is it the named one?

    python tools/train/evaluate_control.py [--net models/emoji-sketch] [--outlines 20] [--filled]
    python tools/train/evaluate_control.py --sheet docs/images/sketches

Six sets of outlines: the named artwork shifted, scaled, rotated, flipped or bent, each by numbers that training did not
draw, and foreign ones, the silhouettes of artwork that training never used as an outline. Every set is painted twice with
the same prompts and noise, with the net and without.

- overlap: intersection over union of what was painted and the silhouette. What counts as painted is everything that is not
  white from the border in; holes are filled on both sides. `ceiling` is what the target picture itself reaches once
  the autoencoder has encoded and decoded it.
- top-1: of all 303 pictures, moved or recut in the same way, the named one is nearest in pixels.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ControlNetModel
from PIL import Image

import control
import sketches
import vae as vae_module
from evaluate import LoadedModel, sample
from sketches import Artwork, Move

SAMPLER, STEPS, GUIDANCE = "DPM++ 2M", 12, 2.5
WHITE = 0.92  # a pixel whose darkest channel is above this may be background
SEED = 20_000  # of the moves; training uses seeds of its stage
SHOWN = (("apple", "red apple"), ("star", "star"), ("pear", "pear"), ("mushroom", "mushroom"), ("egg", "pizza"),
         ("box", "smiling face with sunglasses"), ("star", "watermelon"), ("egg", "balloon"), ("box", "red car"),
         ("pear", "penguin"))  # sketches of docs/images/sketches, and what is asked
SETS = ("shifted", "scaled", "rotated", "flipped", "bent", "foreign")


@dataclass
class Outlines:
    """One set: what is asked, and in which silhouette. `grids` [N, ...] look all artwork up; None where it is recut."""

    pictures: torch.Tensor
    silhouettes: torch.Tensor
    grids: torch.Tensor | None


def draw_set(name: str, artwork: Artwork, held_out: torch.Tensor, count: int, generator: torch.Generator) -> Outlines:
    one = torch.ones(count)
    side = 1 - 2 * (torch.rand(count, 2, generator=generator) < 0.5).float()
    pictures = torch.randperm(len(artwork.paint), generator=generator)[:count]
    move = Move(scale=0.8 * one, aspect=one, turn=0 * one, flip=one, shift=torch.zeros(count, 2))
    if name == "shifted":
        move.scale = 0.6 * one
        move.shift = side * (0.15 + 0.25 * torch.rand(count, 2, generator=generator))
    elif name == "scaled":
        move.scale = sketches.uniform(0.45, 0.75, count, generator)
        move.aspect = sketches.uniform(0.75, 1.33, count, generator)
    elif name == "rotated":
        move.turn = side[:, 0] * sketches.uniform(0.25, 0.75, count, generator)
    elif name == "flipped":
        move.flip = -one
    grids = move.grid()
    if name == "bent":
        grids = grids + sketches.waves(count, 4, 0.07, sketches.FINE, generator)
    if name != "foreign":
        return Outlines(pictures, sketches.moved(artwork[pictures], grids)[1], grids)
    solid = (sketches.solidity(artwork.silhouette) > sketches.SOLID).nonzero()[:, 0]
    pictures = solid[torch.randperm(len(solid), generator=generator)[:count]]
    chosen = held_out[torch.randperm(len(held_out), generator=generator)[:count]]
    return Outlines(pictures, sketches.look_up(chosen, grids, "zeros"), None)


def references(artwork: Artwork, outlines: Outlines, index: int) -> torch.Tensor:
    """All artwork as outline `index` would have it: [303, 3, 64, 64] in [0, 1]. Not sampled finely: they are many."""
    count = len(artwork.paint)
    if outlines.grids is None:
        return sketches.recut(artwork, outlines.silhouettes[index].expand(count, -1, -1, -1), sketches.SIZE)
    coarse = F.avg_pool2d(outlines.grids[index].permute(2, 0, 1), 2).permute(1, 2, 0)
    return sketches.moved(artwork, coarse.expand(count, -1, -1, -1))[0]


def filled_mask(dark: torch.Tensor) -> torch.Tensor:
    """bool [N, 64, 64], holes filled: all but the background that reaches the border through pixels that are not `dark`."""
    light = F.pad((~dark).float().unsqueeze(1), (1, 1, 1, 1), value=1.0)
    outside = torch.zeros_like(light)
    outside[..., 0, :] = outside[..., -1, :] = outside[..., :, 0] = outside[..., :, -1] = 1
    while True:  # it only grows
        up_down = F.max_pool2d(outside, (3, 1), stride=1, padding=(1, 0))
        across = F.max_pool2d(outside, (1, 3), stride=1, padding=(0, 1))
        grown = torch.maximum(up_down, across) * light
        if torch.equal(grown, outside):
            return grown[:, 0, 1:-1, 1:-1] == 0
        outside = grown


def painted_mask(pictures: torch.Tensor) -> torch.Tensor:
    """bool [N, 64, 64] of pictures [N, 3, 64, 64] in [0, 1]."""
    return filled_mask(pictures.amin(1) < WHITE)


def overlap(pictures: torch.Tensor, silhouettes: torch.Tensor) -> torch.Tensor:
    """[N]: intersection over union of what is painted and the silhouettes [N, 1, 64, 64]."""
    painted, asked = painted_mask(pictures), filled_mask(silhouettes[:, 0] > 0.5)
    return (painted & asked).sum((1, 2)) / (painted | asked).sum((1, 2)).clamp_min(1)


def top_one(artwork: Artwork, outlines: Outlines, pictures: torch.Tensor) -> float:
    """Share of `pictures` whose nearest reference is the one that was named."""
    right = 0
    for index, picture in enumerate(pictures):
        distance = (references(artwork, outlines, index) - picture).square().sum((1, 2, 3))
        right += int(distance.argmin() == outlines.pictures[index])
    return right / len(pictures)


def paint(model: LoadedModel, net: ControlNetModel | None, prompts: list[str], hints: torch.Tensor,
          scale: float = 1.0) -> torch.Tensor:
    """Pictures [N, 3, 64, 64] in [0, 1]; the hints go with both rows of classifier-free guidance."""

    def predict(shown: slice, latents: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        down, middle = net(latents, timestep, text, torch.cat([hints[shown]] * 2), scale, return_dict=False)
        return model.unet(latents, timestep, text, down_block_additional_residuals=down,
                          mid_block_additional_residual=middle).sample

    latents = sample(model, prompts, SAMPLER, STEPS, GUIDANCE, batch_size=16, predict=predict if net else None)
    return (vae_module.decode(model.vae, latents) / 2 + 0.5).clamp(0, 1)


def ceiling(model: LoadedModel, artwork: Artwork, outlines: Outlines) -> float:
    """Mean overlap of the target pictures after the autoencoder."""
    chosen = artwork[outlines.pictures]
    if outlines.grids is None:
        targets = sketches.recut(chosen, outlines.silhouettes)
    else:
        targets = sketches.moved(chosen, outlines.grids)[0]
    again = vae_module.decode(model.vae, vae_module.encode_means(model.vae, targets * 2 - 1))
    return overlap((again / 2 + 0.5).clamp(0, 1), outlines.silhouettes).mean().item()


def sheet(rows: list[torch.Tensor], path: Path) -> None:
    """A PNG: one row for each tensor [N, 3, 64, 64] in [0, 1]."""
    pixels = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    Image.fromarray((pixels.permute(1, 2, 0) * 255).round().byte().numpy()).save(path, optimize=True)


def measure(model: LoadedModel, net: ControlNetModel, artwork: Artwork, names: list[str], outlines: Outlines,
            filled: bool) -> tuple[dict, list[torch.Tensor]]:
    """The numbers of one set, and its sketches and pictures."""
    prompts = [names[picture] for picture in outlines.pictures]
    hints = sketches.plain_sketch(outlines.silhouettes, filled)
    followed, free = paint(model, net, prompts, hints), paint(model, None, prompts, hints)
    held = overlap(followed, outlines.silhouettes)
    numbers = {"count": len(prompts), "overlap": held.mean().item(), "worst_tenth": held.quantile(0.1).item(),
               "without": overlap(free, outlines.silhouettes).mean().item(), "ceiling": ceiling(model, artwork, outlines),
               "top1": top_one(artwork, outlines, followed), "top1_without": top_one(artwork, outlines, free)}
    return numbers, [hints, followed, free]


def contact_sheet(model: LoadedModel, net: ControlNetModel, folder: Path, path: Path) -> None:
    """A PNG of the sketches SHOWN in `folder`, each above what was painted into it."""
    drawn = [np.asarray(Image.open(folder / f"{name}.png").convert("RGB")).transpose(2, 0, 1) for name, _ in SHOWN]
    hints = torch.from_numpy(np.stack(drawn)).float() / 255
    sheet([hints, paint(model, net, [prompt for _, prompt in SHOWN], hints)], path)


@torch.no_grad()
def main() -> None:
    from train import Work

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path("models/emoji"))
    parser.add_argument("--net", type=Path, default=Path("models/emoji-sketch"))
    parser.add_argument("--work-dir", type=Path, default=Path("build/train"))
    parser.add_argument("--outlines", type=int, default=20, help="in each of the six sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--filled", action="store_true", help="sketches filled with black, not outlines")
    parser.add_argument("--sheet", type=Path, help="only paint into the sketches of this folder: the net's contact sheet")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = LoadedModel.load(arguments.model)
    net = ControlNetModel.from_pretrained(arguments.net, variant="fp16", torch_dtype=torch.float32).eval()
    if arguments.sheet:
        return contact_sheet(model, net, arguments.sheet, arguments.net / "contact_sheet.png")
    work = Work(arguments.work_dir)
    artwork = sketches.load_artwork(work.package, [entry.image for entry in work.entries])
    _, held_out = control.split_outlines(work.others())
    names = [entry.name for entry in work.entries]
    results = {}
    for name in arguments.sets:
        generator = torch.Generator().manual_seed(SEED + SETS.index(name))
        outlines = draw_set(name, artwork, held_out, arguments.outlines, generator)
        results[name], rows = measure(model, net, artwork, names, outlines, arguments.filled)
        print(name, json.dumps(results[name]), flush=True)
        sheet([row[:12] for row in rows], arguments.work_dir / f"control_{name}.png")
    (arguments.work_dir / "control_evaluation.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
