"""Writes the model folder in diffusers' layout, in half precision."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

import architecture
import vae as vae_module
from dataset import load_emoji_names


def build_scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        num_train_timesteps=architecture.NUM_TRAIN_TIMESTEPS, beta_start=architecture.BETA_START,
        beta_end=architecture.BETA_END, beta_schedule="scaled_linear", prediction_type="v_prediction",
        clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="trailing",
    )


def save_half(module, folder: Path) -> None:
    """Saves a component as fp16 safetensors; the module itself keeps its precision."""
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.half().save_pretrained(folder, safe_serialization=True)
    module.float().load_state_dict(state)


def export_model(folder: Path, vae: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel,
                 tokenizer_folder: Path) -> None:
    """Everything but the documents: components, configs, and the preview map."""
    folder.mkdir(parents=True, exist_ok=True)
    save_half(vae, folder / "vae")
    save_half(unet, folder / "unet")
    save_half(text_encoder, folder / "text_encoder")
    build_scheduler().save_pretrained(folder / "scheduler")
    shutil.copytree(tokenizer_folder, folder / "tokenizer", dirs_exist_ok=True)
    index = {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None], "image_encoder": [None, None], "requires_safety_checker": False,
        "safety_checker": [None, None], "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    for config in folder.glob("*/*config.json"):
        _tidy_config(config)
    for weights in folder.glob("*/*.safetensors"):
        weights.chmod(0o644)


def _tidy_config(config: Path) -> None:
    """Drops local paths, and asks transformers to load in float32, as diffusers does unless told otherwise.

    Without that, `StableDiffusionPipeline.from_pretrained(folder)` mixes an fp16 text encoder with an fp32 denoiser.
    """
    values = json.loads(config.read_text())
    values.pop("_name_or_path", None)
    if "dtype" in values:
        values["dtype"] = "float32"
    config.write_text(json.dumps(values, indent=2) + "\n")


def save_sidecar(folder: Path) -> None:
    """model.json: what the server tells its users about this model."""
    sidecar = {
        "display_name": "Emoji",
        "description": f"{len(load_emoji_names())} Noto emoji by name, 64x64 on white. Small enough for any CPU; it "
                       "memorises its pictures.",
        "defaults": {"sampler": "DPMPP_2M", "steps": 20, "guidance_scale": 2.5, "width": 64, "height": 64},
        "license": "Apache-2.0",
        "attribution": "Trained on the Noto emoji artwork, copyright Google LLC, Apache-2.0 "
                       "(via emoji-datasource-google 16.0.0).",
    }
    (folder / "model.json").write_text(json.dumps(sidecar, indent=2) + "\n")


@torch.no_grad()
def save_preview_map(folder: Path, vae: AutoencoderKL, images: torch.Tensor) -> None:
    """preview.json: the least-squares linear map from latents to RGB at latent resolution.

    `images` is float [N, 3, 64, 64]; each latent pixel is fitted to the mean colour of its 4x4 image block.
    """
    write_preview_map(folder, vae_module.encode_means(vae, images), images)


def write_preview_map(folder: Path, latents: torch.Tensor, images: torch.Tensor) -> None:
    """The same for any model with a spatial factor of 4: latents [N, C, h, w], images [N, 3, 4h, 4w]."""
    colours = torch.nn.functional.avg_pool2d(images, 4)
    inputs = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1]).double()
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], 1)
    targets = colours.permute(0, 2, 3, 1).reshape(-1, 3).double()
    solution = torch.linalg.lstsq(inputs, targets).solution
    rounded = [[round(value, 5) for value in row] for row in solution.tolist()]
    preview = {
        "comment": "rgb = latent . matrix + bias, in [-1, 1] at latent resolution; one row per latent channel, columns R, G, B",
        "latent_channels": latents.shape[1], "matrix": rounded[:-1], "bias": rounded[-1],
    }
    (folder / "preview.json").write_text(json.dumps(preview, indent=2) + "\n")
