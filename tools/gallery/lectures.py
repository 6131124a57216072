#!/usr/bin/env python3
"""Makes the two pictures of docs/from_lecture_to_code.md with the weights of models/digits.

    tools/gallery/lectures.py            (in the environment of tools/train/requirements.txt)

forward_noising.png     a digit under more and more noise: its pixels, and its latents as the decoder shows them
one_step_or_many.png    noised latents; x0 of one evaluation; and what DDPM makes of them step by step
"""
import pathlib
import sys

import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/train"))

from digits import sampling  # noqa: E402
from digits.autoencoder import decode  # noqa: E402
from digits.data import to_uint8  # noqa: E402
from digits.schedule import alpha_bar  # noqa: E402

IMAGES = ROOT / "docs/images/lectures"
TIMESTEPS = (0, 100, 250, 400, 550, 700, 850, 999)
DIGIT = 5
STRIDE = 9  # training timesteps in one step of the progressive denoising
CELL, GAP = 64, 4


def noised(clean, timestep, generator):
    """x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise."""
    product = alpha_bar()[timestep].item()
    return product**0.5 * clean + (1 - product) ** 0.5 * torch.randn(clean.shape, generator=generator)


def predict_x0(model, latents, timestep):
    product = alpha_bar()[timestep].item()
    labels, times = torch.full((len(latents),), DIGIT), torch.full((len(latents),), float(timestep))
    v = sampling.predict_v(model, latents, times, labels, sampling.Guidance())
    return product**0.5 * latents - (1 - product) ** 0.5 * v


def denoise(model, latents, timestep, generator):
    """DDPM from `timestep` down to the picture, STRIDE training timesteps at a time."""
    products = alpha_bar()
    times = [*range(timestep, 0, -STRIDE), 0]
    for here, after in zip(times, [*times[1:], None]):
        a, p = products[here].item(), 1.0 if after is None else products[after].item()
        x0, beta = predict_x0(model, latents, here), 1 - a / p
        latents = p**0.5 * beta / (1 - a) * x0 + (a / p) ** 0.5 * (1 - p) / (1 - a) * latents
        if after is not None:
            latents = latents + ((1 - p) / (1 - a) * beta) ** 0.5 * torch.randn(latents.shape, generator=generator)
    return latents


def save(rows, name):
    """Writes rows of pictures [N, 3, 32, 32] as a sheet."""
    step = CELL + GAP
    sheet = Image.new("L", (len(rows[0]) * step - GAP, len(rows) * step - GAP), 255)
    for y, row in enumerate(rows):
        for x, picture in enumerate(to_uint8(row)):
            sheet.paste(Image.fromarray(picture.numpy()).resize((CELL, CELL), Image.NEAREST), (x * step, y * step))
    IMAGES.mkdir(parents=True, exist_ok=True)
    sheet.save(IMAGES / name, optimize=True)
    print((IMAGES / name).relative_to(ROOT))


@torch.no_grad()
def main():
    model = sampling.LoadedModel.load(ROOT / "models/digits")
    clean = sampling.sample(model, "DPM++ 2M", 20, torch.tensor([DIGIT]), sampling.Guidance(2.0), seed=4)
    picture = decode(model.vae, clean).clamp(-1, 1)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.cat([noised(picture, t, generator) for t in TIMESTEPS])
    latents = [noised(clean, t, generator) for t in TIMESTEPS]
    shown = decode(model.vae, torch.cat(latents))
    save([pixels, shown], "forward_noising.png")
    once = torch.cat([predict_x0(model, z, t) for z, t in zip(latents, TIMESTEPS)])
    many = torch.cat([denoise(model, z, t, generator) for z, t in zip(latents, TIMESTEPS)])
    save([shown, decode(model.vae, once), decode(model.vae, many)], "one_step_or_many.png")


if __name__ == "__main__":
    main()
