"""The judge: a classifier of pictures, trained on real digits only, that tells what a generated picture shows.

It shares nothing with the model it judges: other inputs (pixels, not latents), another network, other randomness.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from stage import Stage, StageSettings, checkpoint_path

from digits.data import Digits


def build_judge() -> nn.Module:
    """Grey pictures [B, 1, 32, 32] in [0, 1] -> logits [B, 10]."""

    def stage(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(8, after), nn.ReLU(),
                nn.Conv2d(after, after, 3, padding=1), nn.GroupNorm(8, after), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*stage(1, 16), *stage(16, 32), *stage(32, 64), nn.Flatten(), nn.Dropout(0.3),
                         nn.Linear(64 * 4 * 4, 10))


def deform(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turns by up to 15 degrees, shears, scales by up to 12 % and shifts by up to 2 cells."""
    count = len(pictures)
    angle, shear, scale_x, scale_y, x, y = (torch.rand(6, count, generator=generator) * 2 - 1)
    angle = angle * math.radians(15)
    rows = torch.stack([
        torch.stack([(1 + 0.12 * scale_x) * angle.cos(), -angle.sin() + 0.2 * shear, x * 2 / 16], 1),
        torch.stack([angle.sin(), (1 + 0.12 * scale_y) * angle.cos(), y * 2 / 16], 1)], 1)
    return F.grid_sample(pictures, F.affine_grid(rows, pictures.shape, align_corners=False), align_corners=False)


def as_pictures(images: torch.Tensor) -> torch.Tensor:
    """uint8 [N, 32, 32] -> float32 [N, 1, 32, 32] in [0, 1]."""
    return images[:, None].float() / 255


def train_judge(rank: int, world: int, settings: StageSettings, training: Digits, work_dir: Path) -> None:
    torch.manual_seed(settings.seed)
    model = build_judge()
    stage = Stage(settings, model, work_dir, rank, world)
    torch.manual_seed(settings.seed + stage.step)  # of the dropout

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(training), (settings.batch_size // world,), generator=generator)
        logits = model(deform(as_pictures(training.images[chosen]), generator))
        return F.cross_entropy(logits, training.labels[chosen], label_smoothing=0.05)

    stage.run(compute_loss)


def load_average(work_dir: Path) -> nn.Module:
    model = build_judge()
    state = torch.load(checkpoint_path(work_dir, "judge"), map_location="cpu", weights_only=True)
    model.load_state_dict({**state["model"], **state["ema"]})
    return model.requires_grad_(False).eval()


@torch.no_grad()
def probabilities(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """[N, 10] of uint8 [N, 32, 32]."""
    return torch.cat([model(as_pictures(chunk)).softmax(1) for chunk in images.split(256)])


def accuracy(model: nn.Module, digits: Digits) -> float:
    return (probabilities(model, digits.images).argmax(1) == digits.labels).float().mean().item()
