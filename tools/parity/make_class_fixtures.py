"""Paints the reference pictures of class-conditional generation, and a reference for the classifier's gradient.

    python tools/parity/make_class_fixtures.py [--model models/digits] [--out tests/parity/data/digits]

diffusers' UNet2DModel, AutoencoderKL and schedulers, float32 on the CPU; guidance through the null class; one
torch.Generator("cpu") per image, seeded with seed + image_index. Writes into --out

  NAME.png                          one per request
  requests.json                     the requests, and the digests of the weights, as make_pipeline_fixtures.py does
  classifier_gradient.safetensors   latents [8, 4, 8, 8], timesteps [8] float32, labels [8] int64, logits [8, 10], and
                                    gradient [8, 4, 8, 8] of log p(label | latent, timestep)

In a request class_index is null where no class is asked for, and classifier_scale weighs the classifier's gradient
(of class_index; the denoiser is told the class too). Run it again whenever the weights change.
"""

import argparse
import hashlib
import json
import pathlib
import sys

import diffusers
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools/train"))
from digits import sampling  # noqa: E402
from digits.architecture import NULL_CLASS  # noqa: E402
from digits.classifier import log_probability_gradient  # noqa: E402

SCHEDULERS = {
    "DDIM": diffusers.DDIMScheduler,
    "DDPM": diffusers.DDPMScheduler,
    "DPMPP_2M": diffusers.DPMSolverMultistepScheduler,
    "EULER": diffusers.EulerDiscreteScheduler,
    "EULER_ANCESTRAL": diffusers.EulerAncestralDiscreteScheduler,
    "UNIPC": diffusers.UniPCMultistepScheduler,
    "HEUN": diffusers.HeunDiscreteScheduler,
}
TAKES_GENERATOR = ("DDIM", "DDPM", "EULER", "EULER_ANCESTRAL")
WEIGHTS = [f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae", "classifier")]
DEFAULTS = {"seed": 0, "image_index": 0, "width": 32, "height": 32, "steps": 20, "guidance_scale": 2.0, "eta": 0.0,
            "classifier_scale": 0.0, "timestep_spacing": "DEFAULT"}
REQUESTS = [
    {"name": "ddim", "sampler": "DDIM", "class_index": 7, "seed": 1},
    {"name": "ddim_eta_1", "sampler": "DDIM", "class_index": 3, "seed": 2, "steps": 12, "eta": 1.0},
    {"name": "ddim_unguided", "sampler": "DDIM", "class_index": 5, "seed": 3, "guidance_scale": 1.0},
    {"name": "ddim_no_class", "sampler": "DDIM", "class_index": None, "seed": 4, "guidance_scale": 1.0},
    {"name": "ddim_classifier", "sampler": "DDIM", "class_index": 8, "seed": 5, "guidance_scale": 1.0, "classifier_scale": 2.0},
    {"name": "ddpm", "sampler": "DDPM", "class_index": 2, "seed": 6, "steps": 50},
    {"name": "ddpm_second_image", "sampler": "DDPM", "class_index": 0, "seed": 7, "image_index": 1, "steps": 25},
    {"name": "dpmpp_2m", "sampler": "DPMPP_2M", "class_index": 9, "seed": 8, "steps": 12},
    {"name": "dpmpp_2m_leading", "sampler": "DPMPP_2M", "class_index": 7, "seed": 15, "timestep_spacing": "LEADING"},
    {"name": "dpmpp_2m_both_guidances", "sampler": "DPMPP_2M", "class_index": 4, "seed": 9, "steps": 12, "classifier_scale": 1.0},
    {"name": "euler", "sampler": "EULER", "class_index": 6, "seed": 10, "guidance_scale": 3.0},
    {"name": "euler_wide", "sampler": "EULER", "class_index": 1, "seed": 11, "steps": 10, "width": 48},
    {"name": "euler_ancestral", "sampler": "EULER_ANCESTRAL", "class_index": 4, "seed": 12},
    {"name": "unipc", "sampler": "UNIPC", "class_index": 5, "seed": 13, "steps": 12},
    {"name": "heun", "sampler": "HEUN", "class_index": 3, "seed": 14, "steps": 10, "timestep_spacing": "LEADING"},
]


def paint(model, request):
    """One picture, a PIL image."""
    spacing = request["timestep_spacing"]
    options = {} if spacing == "DEFAULT" else {"timestep_spacing": spacing.lower()}
    scheduler = SCHEDULERS[request["sampler"]].from_pretrained(model.folder / "scheduler", **options)
    scheduler.set_timesteps(request["steps"])
    generator = torch.Generator("cpu").manual_seed(request["seed"] + request["image_index"])
    extra = {"generator": generator} if request["sampler"] in TAKES_GENERATOR else {}
    if request["sampler"] == "DDIM":
        extra["eta"] = request["eta"]
    asked = request["class_index"] is not None
    labels = torch.tensor([request["class_index"] if asked else NULL_CLASS])
    guidance = sampling.Guidance(request["guidance_scale"], request["classifier_scale"], asked)
    latents = torch.randn(1, 4, request["height"] // 4, request["width"] // 4, generator=generator)
    latents = latents * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latents, timestep)
        v = sampling.predict_v(model, scaled, timestep.float().expand(1), labels, guidance)
        latents = scheduler.step(v, timestep, latents, **extra).prev_sample
    picture = model.vae.decode(latents).sample
    return diffusers.image_processor.VaeImageProcessor().postprocess(picture, output_type="pil")[0]


def classifier_gradient(model):
    """Latents between noise and nothing, at whole and fractional timesteps."""
    generator = torch.Generator().manual_seed(20)
    latents = torch.randn(8, 4, 8, 8, generator=generator)
    timesteps = torch.tensor([0.0, 12.5, 150.0, 300.25, 500.0, 700.0, 901.75, 999.0])
    labels = torch.tensor([0, 1, 2, 3, 5, 7, 8, 9])
    return {"latents": latents, "timesteps": timesteps, "labels": labels, "logits": model.classifier(latents, timesteps),
            "gradient": log_probability_gradient(model.classifier, latents, timesteps, labels)}


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/digits")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/parity/data/digits")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for stale in arguments.out.glob("*.png"):
        stale.unlink()

    model = sampling.LoadedModel.load(arguments.model)
    requests = [DEFAULTS | request for request in REQUESTS]
    for request in requests:
        paint(model, request).save(arguments.out / f"{request['name']}.png", optimize=True)
        print(request["name"], flush=True)
    gradient = arguments.out / "classifier_gradient.safetensors"
    save_file(classifier_gradient(model), gradient)
    gradient.chmod(0o644)
    manifest = {
        "made_by": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]}",
        "weights": {name: hashlib.sha256((arguments.model / name).read_bytes()).hexdigest() for name in WEIGHTS},
        "requests": requests,
    }
    (arguments.out / "requests.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
