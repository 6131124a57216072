"""Measures an exported model folder: does it paint the named picture?  `--elbo`: how many bits does a digit cost?

A generated picture counts as right when the nearest of all training pictures, both by squared distance of latents and by
squared distance of pixels, is the one its prompt names. Everything here runs the fp16 weights of the folder (in float32
arithmetic), through diffusers' own schedulers. The stage `evaluate` of train.py calls it. By itself it measures the evidence
lower bound of models/digits, term by term (digits/elbo.py):

    python tools/train/evaluate.py --elbo
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
from diffusers import (AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler,
                       UNet2DConditionModel)
from PIL import Image
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

import architecture
import vae as vae_module
from captions import load_rephrasings
from dataset import Emoji, to_float, to_uint8
from text import tokenize

SAMPLERS = {"DDIM": (DDIMScheduler, 20), "Euler": (EulerDiscreteScheduler, 20),
            "DPM++ 2M": (DPMSolverMultistepScheduler, 12)}
SHEET_PROMPTS = (
    "red apple", "strawberry", "banana", "pineapple", "watermelon", "cherries",
    "rocket", "red car", "sailboat", "airplane", "bicycle", "steam locomotive",
    "panda", "fox", "penguin", "octopus", "butterfly", "elephant",
    "red heart", "blue heart", "green heart", "broken heart", "star", "rainbow",
    "sunflower", "tulip", "cactus", "mushroom", "pizza", "hamburger",
    "smiling face with sunglasses", "ghost", "robot", "snowman", "guitar", "birthday cake",
)


@dataclass
class LoadedModel:
    """The components of a folder, fp16 weights held in float32."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    folder: Path

    @classmethod
    def load(cls, folder: Path) -> LoadedModel:
        return cls(
            AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval(),
            UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval(),
            CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval(),
            CLIPTokenizer.from_pretrained(folder / "tokenizer"), folder)


@torch.no_grad()
def sample(model: LoadedModel, prompts: list[str], sampler: str, steps: int, guidance: float, first_seed: int = 0,
           batch_size: int = 32, predict: Callable | None = None, **scheduler_options) -> torch.Tensor:
    """Latents [len(prompts), 4, 16, 16]. Prompt i starts from noise of seed `first_seed` + i.

    `predict(prompts as a slice, latents, timestep, text)` takes the place of the denoiser alone, for both halves of a batch.
    """
    scheduler_class, _ = SAMPLERS[sampler]
    empty = model.text_encoder(tokenize(model.tokenizer, [""])).last_hidden_state
    finished = []
    for start in tqdm(range(0, len(prompts), batch_size), desc=f"{sampler} {steps}", mininterval=10):
        scheduler = scheduler_class.from_pretrained(model.folder / "scheduler", **scheduler_options)
        scheduler.set_timesteps(steps)
        shown = slice(start, start + batch_size)
        chunk = prompts[shown]
        text = model.text_encoder(tokenize(model.tokenizer, chunk)).last_hidden_state
        both = torch.cat([empty.expand_as(text), text])
        latents = torch.stack([
            torch.randn(architecture.LATENT_CHANNELS, architecture.LATENT_SIZE, architecture.LATENT_SIZE,
                        generator=torch.Generator().manual_seed(first_seed + start + index))
            for index in range(len(chunk))]) * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, timestep)
            doubled = torch.cat([scaled, scaled])
            predicted = predict(shown, doubled, timestep, both) if predict else model.unet(doubled, timestep, both).sample
            empty_v, text_v = predicted.chunk(2)
            latents = scheduler.step(empty_v + guidance * (text_v - empty_v), timestep, latents).prev_sample
        finished.append(latents)
    return torch.cat(finished)


def nearest(candidates: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Index of the nearest reference for every candidate: int64 [N]."""
    return torch.cdist(candidates.flatten(1).double(), references.flatten(1).double()).argmin(1)


class Judge:
    """Knows the training pictures, and judges generated latents against them."""

    def __init__(self, model: LoadedModel, entries: list[Emoji], images: torch.Tensor):
        self.model, self.entries = model, entries
        self.pixels = to_float(images)
        self.latents = vae_module.encode_means(model.vae, self.pixels)

    def __call__(self, latents: torch.Tensor, expected: list[int]) -> dict:
        """Shares of right pictures, and what was painted instead in every wrong one."""
        target = torch.tensor(expected)
        by_latent = nearest(latents, self.latents)
        by_pixel = nearest(vae_module.decode(self.model.vae, latents).clamp(-1, 1), self.pixels)
        right = (by_latent == target) & (by_pixel == target)
        wrong = {i: self.entries[by_latent[i]].name for i in (~right).nonzero().flatten().tolist()}
        return {"count": len(expected), "top1": right.float().mean().item(), "wrong": wrong,
                "top1_latent": (by_latent == target).float().mean().item(),
                "top1_pixel": (by_pixel == target).float().mean().item()}


def prompt_sets(entries: list[Emoji]) -> dict[str, tuple[list[str], list[int]]]:
    """What is asked: every name, every synonym, and the rephrasings; with the index of the expected entry."""
    index = {entry.name: position for position, entry in enumerate(entries)}
    synonyms = [(synonym, index[e.name]) for e in entries for synonym in e.synonyms]
    rephrasings = [(r["prompt"], index[r["expect"]]) for r in load_rephrasings()]
    return {
        "names": ([e.name for e in entries], list(range(len(entries)))),
        "synonyms": ([s for s, _ in synonyms], [i for _, i in synonyms]),
        "rephrasings": ([p for p, _ in rephrasings], [i for _, i in rephrasings]),
    }


def evaluate(model: LoadedModel, entries: list[Emoji], images: torch.Tensor, guidance: float,
             samplers: list[str], sets: list[str]) -> dict:
    """{sampler: {set: result}} for the published step counts."""
    judge = Judge(model, entries, images)
    results: dict = {}
    for sampler in samplers:
        steps = SAMPLERS[sampler][1]
        for name in sets:
            prompts, expected = prompt_sets(entries)[name]
            result = judge(sample(model, prompts, sampler, steps, guidance), expected)
            result["wrong"] = {prompts[i]: painted for i, painted in result["wrong"].items()}
            results.setdefault(f"{sampler} {steps}", {})[name] = result
            print(json.dumps({"sampler": sampler, "steps": steps, "set": name, "guidance": guidance, **result}))
    return results


def contact_sheet(model: LoadedModel, path: Path, guidance: float, sampler: str = "DPM++ 2M", steps: int = 20,
                  columns: int = 6, gap: int = 6) -> None:
    """A PNG of SHEET_PROMPTS, one generated picture each."""
    latents = sample(model, list(SHEET_PROMPTS), sampler, steps, guidance, first_seed=1000)
    pictures = to_uint8(vae_module.decode(model.vae, latents))
    cell = architecture.IMAGE_SIZE + gap
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * cell + gap, rows * cell + gap), "white")
    for index, picture in enumerate(pictures):
        corner = (gap + index % columns * cell, gap + index // columns * cell)
        sheet.paste(Image.fromarray(picture.permute(1, 2, 0).numpy()), corner)
    sheet.save(path, optimize=True)


def main() -> None:
    from digits import architecture as digit_shapes, data, elbo, sampling

    parser = argparse.ArgumentParser(description="Bits per dimension of the digit model.")
    parser.add_argument("--elbo", action="store_true", required=True, help="the only measurement without a training run")
    parser.add_argument("--model", type=Path, default=Path("models/digits"))
    parser.add_argument("--work-dir", type=Path, default=Path("build/train_digits"), help="where the digits are kept")
    parser.add_argument("--draws", type=int, default=32, help="digits at each of the 1,000 timesteps")
    arguments = parser.parse_args()
    training, held_out = data.load_split(data.fetch_digits(arguments.work_dir / "mnist"))
    model = sampling.LoadedModel.load(arguments.model)
    columns = {name: elbo.measure(model, training, held_out, labelled, arguments.draws)
               for name, labelled in (("class told", True), ("no class", False))}
    latent = digit_shapes.LATENT_CHANNELS * digit_shapes.LATENT_SIZE**2
    elbo.print_tables(columns, latent, digit_shapes.IMAGE_SIZE**2)


if __name__ == "__main__":
    main()
