"""Artwork and names: the npm package `emoji-datasource-google` (Noto emoji) and this folder's `emoji_names.json`."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

PACKAGE = "emoji-datasource-google"
PACKAGE_VERSION = "16.0.0"
NAMES_FILE = Path(__file__).with_name("emoji_names.json")


@dataclass(frozen=True)
class Emoji:
    """One picture the model can paint: the image file, its plain name, and other names that mean the same picture."""

    image: str
    name: str
    synonyms: tuple[str, ...]

    @property
    def all_names(self) -> tuple[str, ...]:
        return (self.name, *self.synonyms)


def fetch_artwork(folder: Path) -> Path:
    """Downloads and unpacks the artwork once, with `npm pack`. Returns the package folder."""
    package = folder / "package"
    if (package / "emoji.json").exists():
        return package
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{PACKAGE}-{PACKAGE_VERSION}.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{PACKAGE_VERSION}"], cwd=folder, check=True)
    wanted = ("package/img/google/64/", "package/emoji.json", "package/LICENSE", "package/README.md")
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if member.name.startswith(wanted)]
        tar.extractall(folder, members=members, filter="data")
    return package


def load_image(path: Path) -> np.ndarray:
    """One RGBA file on a white background: uint8 [3, 64, 64]."""
    image = Image.open(path).convert("RGBA")
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 255))
    canvas.alpha_composite(image)
    return np.asarray(canvas.convert("RGB")).transpose(2, 0, 1).copy()


def load_emoji_names(path: Path = NAMES_FILE) -> list[Emoji]:
    """The list the model is trained on. No two pictures may share a name."""
    entries = [Emoji(e["image"], e["name"], tuple(e["synonyms"])) for e in json.loads(path.read_text())]
    seen: dict[str, str] = {}
    for entry in entries:
        for name in entry.all_names:
            if name in seen:
                raise ValueError(f"'{name}' names both {seen[name]} and {entry.image}")
            seen[name] = entry.image
    return entries


def load_all_metadata(package: Path) -> list[dict]:
    """Every base emoji of the package (no skin-tone variants) whose Noto image exists."""
    return [e for e in json.loads((package / "emoji.json").read_text()) if e["has_img_google"]]


def load_images(package: Path, files: list[str]) -> torch.Tensor:
    """uint8 [N, 3, 64, 64], in the order of `files`."""
    folder = package / "img" / "google" / "64"
    return torch.from_numpy(np.stack([load_image(folder / file) for file in files]))


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 [0, 255] -> float32 [-1, 1]."""
    return images.float() / 127.5 - 1.0


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """float [-1, 1] -> uint8 [0, 255], rounded half to even."""
    return ((images.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
