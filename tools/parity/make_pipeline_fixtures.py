"""Paints the reference pictures of tests/parity with diffusers.

    python tools/parity/make_pipeline_fixtures.py [--model models/emoji] [--out tests/parity/data]

Every picture comes from StableDiffusionPipeline itself: float32 on the CPU, one torch.Generator("cpu") per image,
seeded with seed + image_index. Writes one PNG per request and requests.json, which also holds the digests of the
weights, so that the test can tell a stale fixture from a wrong engine. Needs torch, diffusers, transformers, pillow.
Run it again whenever the weights change.
"""

import argparse
import hashlib
import json
from pathlib import Path

import diffusers
import torch

SCHEDULERS = {
    "DDIM": diffusers.DDIMScheduler,
    "EULER": diffusers.EulerDiscreteScheduler,
    "EULER_ANCESTRAL": diffusers.EulerAncestralDiscreteScheduler,
    "DPMPP_2M": diffusers.DPMSolverMultistepScheduler,
    "DDPM": diffusers.DDPMScheduler,
}

WEIGHTS = [
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
]

DEFAULTS = {
    "negative_prompt": "",
    "seed": 0,
    "image_index": 0,
    "width": 64,
    "height": 64,
    "steps": 20,
    "sigma_schedule": "DEFAULT",
    "guidance_scale": 2.5,
    "guidance_rescale": 0.0,
    "eta": 0.0,
    "clip_skip": 0,
}

REQUESTS = [
    {"name": "ddim", "sampler": "DDIM", "prompt": "a red apple", "seed": 7},
    {"name": "ddim_eta_1", "sampler": "DDIM", "prompt": "strawberry", "seed": 11, "steps": 12, "eta": 1.0},
    {"name": "ddim_unguided", "sampler": "DDIM", "prompt": "a fox", "seed": 3, "steps": 10, "guidance_scale": 1.0, "eta": 0.5},
    {"name": "ddim_rescale", "sampler": "DDIM", "prompt": "rocket", "seed": 5, "guidance_scale": 7.5, "guidance_rescale": 0.7},
    {"name": "ddim_clip_skip", "sampler": "DDIM", "prompt": "a yellow lemon", "seed": 8, "steps": 8, "clip_skip": 1},
    {"name": "euler", "sampler": "EULER", "prompt": "watermelon", "seed": 21, "guidance_scale": 3.0},
    {"name": "euler_karras", "sampler": "EULER", "prompt": "a panda", "seed": 22, "steps": 15, "sigma_schedule": "KARRAS"},
    {"name": "euler_wide", "sampler": "EULER", "prompt": "sunflower", "negative_prompt": "tomato", "seed": 23, "steps": 9, "width": 96},
    {"name": "euler_ancestral", "sampler": "EULER_ANCESTRAL", "prompt": "grapes", "seed": 31},
    {"name": "euler_ancestral_short", "sampler": "EULER_ANCESTRAL", "prompt": "a tiger", "seed": 32, "steps": 6, "height": 48},
    {"name": "dpmpp_2m", "sampler": "DPMPP_2M", "prompt": "a slice of pizza", "seed": 41, "steps": 12},
    {"name": "dpmpp_2m_karras", "sampler": "DPMPP_2M", "prompt": "red heart", "seed": 42, "guidance_scale": 5.0, "sigma_schedule": "KARRAS"},
    {"name": "dpmpp_2m_second_image", "sampler": "DPMPP_2M", "prompt": "hamburger", "seed": 43, "image_index": 1, "steps": 5},
    {"name": "ddpm", "sampler": "DDPM", "prompt": "a carrot", "seed": 51, "steps": 25},
    {"name": "ddpm_large_seed", "sampler": "DDPM", "prompt": "robot face", "seed": 4294967301, "steps": 10},
    {"name": "long_prompt", "sampler": "DPMPP_2M", "prompt": "Ünïcödé, 東京 & emoji 🍓! " + "very ripe " * 60, "seed": 61, "steps": 6},
]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(model):
    """The pipeline in float32. Old pipelines want a safety checker; this one has none."""
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def embeds(pipe, prompt, clip_skip):
    """What encode_prompt makes of clip_skip; its own access to the text encoder fails with transformers >= 5.6."""
    ids = pipe.tokenizer(prompt, padding="max_length", truncation=True, return_tensors="pt").input_ids
    encoded = pipe.text_encoder(ids, output_hidden_states=True)
    if clip_skip == 0:
        return encoded[0]
    encoder = getattr(pipe.text_encoder, "text_model", pipe.text_encoder)
    return encoder.final_layer_norm(encoded.hidden_states[-(clip_skip + 1)])


def paint(pipe, own_config, request):
    prompt = {"prompt": request["prompt"], "negative_prompt": request["negative_prompt"]}
    if request["clip_skip"]:
        prompt = {
            "prompt_embeds": embeds(pipe, request["prompt"], request["clip_skip"]),
            "negative_prompt_embeds": embeds(pipe, request["negative_prompt"], 0),
        }
    options = {"use_karras_sigmas": True} if request["sigma_schedule"] == "KARRAS" else {}
    pipe.scheduler = SCHEDULERS[request["sampler"]].from_config(own_config, **options)
    generator = torch.Generator("cpu").manual_seed(request["seed"] + request["image_index"])
    return pipe(
        **prompt,
        width=request["width"],
        height=request["height"],
        num_inference_steps=request["steps"],
        guidance_scale=request["guidance_scale"],
        guidance_rescale=request["guidance_rescale"],
        eta=request["eta"],
        generator=generator,
    ).images[0]


@torch.no_grad()
def main():
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=root / "models/emoji")
    parser.add_argument("--out", type=Path, default=root / "tests/parity/data")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for stale in arguments.out.glob("*.png"):
        stale.unlink()

    pipe = load(arguments.model)
    own_config = pipe.scheduler.config
    requests = [DEFAULTS | request for request in REQUESTS]
    for request in requests:
        paint(pipe, own_config, request).save(arguments.out / f"{request['name']}.png", optimize=True)
        print(request["name"], flush=True)
    manifest = {
        "made_by": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]}",
        "weights": {name: digest(arguments.model / name) for name in WEIGHTS},
        "requests": requests,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (arguments.out / "requests.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
