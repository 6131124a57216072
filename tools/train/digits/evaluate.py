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

# name: scheduler and steps (None: Langevin), and how many pictures of each class are worth their time
SAMPLERS = {"DPM++ 2M 12": (("DPM++ 2M", 12), 50), "DDIM 20": (("DDIM", 20), 50), "Langevin 25x5": (None, 20),
            "DDPM 250": (("DDPM", 250), 20)}
QUICK = ("DPM++ 2M 12", "DDIM 20")
GUIDANCE_CURVE = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
CLASSIFIER_CURVE = (0.0, 1.0, 2.0, 4.0, 8.0)
BATCH = 100


def paint(model: LoadedModel, sampler: str, labels: torch.Tensor, guidance: Guidance, first_seed: int = 0) -> torch.Tensor:
    """Pictures uint8 [N, 32, 32], one per label."""
    pictures = []
    for index, chunk in enumerate(labels.split(BATCH)):
        scheduler = SAMPLERS[sampler][0]
        if scheduler is None:
            latents = sample_langevin(model, LangevinSettings(), chunk, guidance, first_seed + index)
        else:
            latents = sample(model, *scheduler, chunk, guidance, first_seed + index)
        pictures.append(to_uint8(decode(model.vae, latents)))
    return torch.cat(pictures)


def spread(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Root mean square distance between two pictures of one class, averaged over the classes."""
    variances = [images[labels == label].flatten(1).double().var(0).sum() for label in labels.unique()]
    return (2 * torch.stack(variances)).mean().sqrt().item()


def nearest_distances(images: torch.Tensor, training: torch.Tensor) -> torch.Tensor:
    """Distance of each picture to the nearest training picture, [N]."""
    return torch.cdist(images.flatten(1).float(), training.flatten(1).float()).min(1).values


class Bench:
    """The judge, and the real digits that pictures are compared with."""

    def __init__(self, judge: nn.Module, training: Digits, held_out: Digits):
        self.judge, self.training, self.held_out = judge, training, held_out
        self.real_spread = spread(held_out.images, held_out.labels)
        self.unseen = nearest_distances(held_out.images, training.images).median()

    def measure(self, pictures: torch.Tensor, labels: torch.Tensor) -> dict:
        """accuracy, over all and of the worst class; spread relative to that of real digits; nearest: the median distance
        to the training set relative to that of digits which nobody has seen."""
        right = judging.probabilities(self.judge, pictures).argmax(1) == labels
        nearest = nearest_distances(pictures, self.training.images).median()
        return {
            "pictures": len(labels), "accuracy": round(right.float().mean().item(), 4),
            "worst_class": round(min(right[labels == c].float().mean().item() for c in range(CLASSES)), 4),
            "spread": round(spread(pictures, labels) / self.real_spread, 3),
            "nearest": round((nearest / self.unseen).item(), 3),
        }


def measurements(sampler: str) -> list[tuple[str, Guidance]]:
    """One column of the README's tables: classifier-free guidance, the classifier alone, and the label with both."""
    quick = sampler in QUICK
    both = CLASSIFIER_CURVE[1:] if quick else ()
    free = GUIDANCE_CURVE if quick else (1.0, 1.5, 2.0, 4.0)
    only = CLASSIFIER_CURVE if quick else (0.0, 2.0, 8.0)
    return [*((f"guidance {scale:g}", Guidance(scale)) for scale in free),
            *((f"no label, classifier {scale:g}", Guidance(1.0, scale, labelled=False)) for scale in only),
            *((f"guidance 1, classifier {scale:g}", Guidance(1.0, scale)) for scale in both)]


class Notes:
    """Results by name, printed as they come and kept in a file, so that an interrupted measurement goes on."""

    def __init__(self, path: Path):
        self.path = path
        self.results = json.loads(path.read_text()) if path.exists() else {}

    def __contains__(self, name: str) -> bool:
        return name in self.results

    def add(self, name: str, result: dict) -> None:
        self.results[name] = result
        self.path.write_text(json.dumps(self.results, indent=1) + "\n")
        print(f"{self.path.stem}: {name}: {json.dumps(result)}", flush=True)


def evaluate_real(model: LoadedModel, bench: Bench, folder: Path) -> None:
    """What the judge says of unseen real digits, as they are and as the autoencoder rebuilds them."""
    notes, real = Notes(folder / "real digits.json"), bench.held_out
    notes.add("held out", bench.measure(real.images, real.labels))
    rebuilt = to_uint8(decode(model.vae, encode_means(model.vae, to_float(real.images))))
    notes.add("rebuilt", bench.measure(rebuilt, real.labels))


def evaluate(model: LoadedModel, bench: Bench, sampler: str, folder: Path) -> None:
    """Every measurement of one sampler, into `folder`/SAMPLER.json."""
    notes = Notes(folder / f"{sampler}.json")
    per_class = SAMPLERS[sampler][1]
    labels = torch.arange(CLASSES).repeat_interleave(per_class)
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    for name, guidance in measurements(sampler):
        if name not in notes:
            notes.add(name, bench.measure(paint(model, sampler, labels, guidance, first_seed=10_000), labels))


def print_tables(folder: Path) -> None:
    """The measured accuracies as Markdown: one line per measurement, one column per sampler."""
    columns = {name: Notes(folder / f"{name}.json").results for name in SAMPLERS}
    for value in ("accuracy", "spread", "nearest"):
        print(f"\n| {value} | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
        for name, _ in measurements(QUICK[0]):
            cells = [results[name][value] if name in results else None for results in columns.values()]
            percent = value == "accuracy"
            shown = ["" if c is None else f"{100 * c:.1f} %" if percent else f"{c:.2f}" for c in cells]
            print(f"| {name} | " + " | ".join(shown) + " |")


def contact_sheet(model: LoadedModel, path: Path, guidance: float, sampler: str = "DPM++ 2M 12", columns: int = 16,
                  gap: int = 2) -> None:
    """A PNG of ten rows, one per digit, `columns` pictures each."""
    pictures = paint(model, sampler, torch.arange(CLASSES).repeat_interleave(columns), Guidance(guidance))
    cell = IMAGE_SIZE + gap
    sheet = Image.new("L", (columns * cell + gap, CLASSES * cell + gap), 40)
    for index, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture.numpy()), (gap + index % columns * cell, gap + index // columns * cell))
    sheet.save(path, optimize=True)
