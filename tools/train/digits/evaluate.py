"""Measures an exported folder with the judge: does it paint the digit that was asked for, and not always the same one?

Everything here runs the fp16 weights of the folder in float32 arithmetic.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from digits import judge as judging
from digits.architecture import CLASSES, IMAGE_SIZE
from digits.autoencoder import decode, encode_means
from digits.data import Digits, to_float, to_uint8
from digits.sampling import Guidance, LangevinSettings, LoadedModel, sample, sample_langevin

SAMPLERS = {"DDPM 250": ("DDPM", 250), "DDIM 20": ("DDIM", 20), "DPM++ 2M 12": ("DPM++ 2M", 12),
            "Euler 20": ("Euler", 20), "Langevin 25x5": None}
GUIDANCE_CURVE = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
CLASSIFIER_CURVE = (0.0, 1.0, 2.0, 4.0, 8.0)
MEASURED = ("DDPM 250", "DDIM 20", "DPM++ 2M 12", "Langevin 25x5")
BATCH = 100


def paint(model: LoadedModel, sampler: str, labels: torch.Tensor, guidance: Guidance, first_seed: int = 0) -> torch.Tensor:
    """Pictures uint8 [N, 32, 32], one per label."""
    pictures = []
    for index, chunk in enumerate(labels.split(BATCH)):
        if SAMPLERS[sampler] is None:
            latents = sample_langevin(model, LangevinSettings(), chunk, guidance, first_seed + index)
        else:
            latents = sample(model, *SAMPLERS[sampler], chunk, guidance, first_seed + index)
        pictures.append(to_uint8(decode(model.vae, latents)))
    return torch.cat(pictures)


def spread(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Root mean square distance between two pictures of one class, averaged over the classes."""
    variances = [images[labels == label].flatten(1).double().var(0).sum() for label in labels.unique()]
    return (2 * torch.stack(variances)).mean().sqrt().item()


def nearest_distances(images: torch.Tensor, training: torch.Tensor) -> torch.Tensor:
    """Distance of each picture to the nearest training picture, [N]."""
    return torch.cdist(images.flatten(1).float(), training.flatten(1).float()).min(1).values


def judge_pictures(judge: nn.Module, pictures: torch.Tensor, labels: torch.Tensor, training: Digits,
                   held_out: Digits) -> dict:
    """accuracy; spread relative to real digits; nearest: median distance to the training set relative to unseen digits'."""
    answers = judging.probabilities(judge, pictures).argmax(1)
    right = answers == labels
    own = nearest_distances(pictures, training.images).median()
    unseen = nearest_distances(held_out.images, training.images).median()
    return {
        "pictures": len(labels), "accuracy": round(right.float().mean().item(), 4),
        "worst_class": round(min(right[labels == c].float().mean().item() for c in range(CLASSES)), 4),
        "spread": round(spread(pictures, labels) / spread(held_out.images, held_out.labels), 3),
        "nearest": round((own / unseen).item(), 3),
    }


def measurements() -> list[tuple[str, Guidance]]:
    """Everything that the README's tables say, cheapest samplers first."""
    order = sorted(MEASURED, key=lambda name: name == "DDPM 250")
    free = [(sampler, Guidance(scale)) for sampler in order for scale in GUIDANCE_CURVE]
    told = [("DDIM 20", Guidance(1.0, scale)) for scale in CLASSIFIER_CURVE[1:]]
    only = [(sampler, Guidance(1.0, scale, labelled=False)) for sampler in order for scale in CLASSIFIER_CURVE]
    return sorted([*free, *told, *only], key=lambda entry: entry[0] == "DDPM 250")


def evaluate(model: LoadedModel, judge: nn.Module, training: Digits, held_out: Digits, per_class: int,
             results_file: Path) -> dict:
    """Paints `per_class` pictures of each class for every measurement; goes on where an earlier call stopped."""
    results = json.loads(results_file.read_text()) if results_file.exists() else {}
    labels = torch.arange(CLASSES).repeat_interleave(per_class)[torch.randperm(
        CLASSES * per_class, generator=torch.Generator().manual_seed(1))]

    def note(name: str, result: dict) -> None:
        results[name] = result
        results_file.write_text(json.dumps(results, indent=1) + "\n")
        print(name, json.dumps(result), flush=True)

    note("judge on held-out digits", {"pictures": len(held_out), "accuracy": judging.accuracy(judge, held_out)})
    rebuilt = to_uint8(decode(model.vae, encode_means(model.vae, to_float(held_out.images))))
    note("autoencoder on held-out digits", judge_pictures(judge, rebuilt, held_out.labels, training, held_out))
    for sampler, guidance in measurements():
        name = f"{sampler}, guidance {guidance.scale:g}, classifier {guidance.classifier:g}"
        name += "" if guidance.labelled else ", no label"
        if name not in results:
            pictures = paint(model, sampler, labels, guidance, first_seed=10_000)
            note(name, judge_pictures(judge, pictures, labels, training, held_out))
    return results


def contact_sheet(model: LoadedModel, path: Path, guidance: float, sampler: str = "DPM++ 2M 12", columns: int = 16,
                  gap: int = 2) -> None:
    """A PNG of ten rows, one per digit, `columns` pictures each."""
    pictures = paint(model, sampler, torch.arange(CLASSES).repeat_interleave(columns), Guidance(guidance))
    cell = IMAGE_SIZE + gap
    sheet = Image.new("L", (columns * cell + gap, CLASSES * cell + gap), 40)
    for index, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture.numpy()), (gap + index % columns * cell, gap + index // columns * cell))
    sheet.save(path, optimize=True)
