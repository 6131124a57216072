"""Paints the reference latents of tests/parity for models that are told more than a prompt, with tiny random weights.

    python tools/parity/make_sdxl_fixtures.py [--out tests/parity/data/sdxl] [--seed N] [--random N]

Builds one small network of each kind (SDXL, its refiner, latent consistency models with one text tower and with two),
saves them as pipelines do, in half precision, and paints with diffusers' own pipelines: float32 on the CPU, one
torch.Generator("cpu") per image. Writes the components once, a variant per model (which components, which scheduler), and
of each request the final latents and the picture. --seed makes other weights; --random adds that many random requests
(sizes, prompts, seeds, samplers, steps), for a corpus beside the committed one. Needs torch, diffusers, transformers.
"""
import argparse
import json
import random
import shutil
from pathlib import Path

import diffusers
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

ROOT = Path(__file__).resolve().parents[2]
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
EULER, ANCESTRAL = diffusers.EulerDiscreteScheduler, diffusers.EulerAncestralDiscreteScheduler
SAMPLERS = {
    "DDIM": diffusers.DDIMScheduler,
    "DDPM": diffusers.DDPMScheduler,
    "EULER": EULER,
    "EULER_ANCESTRAL": ANCESTRAL,
    "HEUN": diffusers.HeunDiscreteScheduler,
    "DPMPP_2M": diffusers.DPMSolverMultistepScheduler,
    "UNIPC": diffusers.UniPCMultistepScheduler,
    "LCM": diffusers.LCMScheduler,
}

# What a model is made of, and what its scheduler file says.
VARIANTS = {
    "base": ("StableDiffusionXLPipeline", "unet", EULER(**SCHEDULE, timestep_spacing="leading", steps_offset=1), {}),
    "no_zeros": ("StableDiffusionXLPipeline", "unet", EULER(**SCHEDULE, timestep_spacing="leading", steps_offset=1),
                 {"force_zeros_for_empty_prompt": False}),
    "v_zero_snr": ("StableDiffusionXLPipeline", "unet",
                   EULER(**SCHEDULE, prediction_type="v_prediction", rescale_betas_zero_snr=True,
                         timestep_spacing="trailing"), {}),
    "turbo": ("StableDiffusionXLPipeline", "unet", ANCESTRAL(**SCHEDULE, timestep_spacing="trailing"), {}),
    "refiner": ("StableDiffusionXLImg2ImgPipeline", "unet_refiner", EULER(**SCHEDULE, timestep_spacing="trailing"),
                {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False}),
    "refiner_leading": ("StableDiffusionXLImg2ImgPipeline", "unet_refiner",
                        EULER(**SCHEDULE, timestep_spacing="leading", steps_offset=1),
                        {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False}),
    "lcm_sdxl": ("StableDiffusionXLPipeline", "unet_lcm_sdxl", diffusers.LCMScheduler(**SCHEDULE), {}),
    "lcm": ("LatentConsistencyModelPipeline", "unet_lcm", diffusers.LCMScheduler(**SCHEDULE), {}),
}

DEFAULTS = {
    "variant": "base", "prompt": "a red apple", "prompt_2": "", "negative_prompt": None, "negative_prompt_2": "",
    "seed": 0, "image_index": 0, "width": 32, "height": 32, "steps": 6, "sampler": "EULER", "sigma_schedule": "DEFAULT",
    "timestep_spacing": "DEFAULT", "timesteps": [], "guidance_scale": 5.0, "guidance_rescale": 0.0, "eta": 0.0,
    "clip_skip": 0, "sizes": {},
}
LONG = "a quick brown fox, " * 12

REQUESTS = [
    {"name": "unset_negative", "seed": 1},
    {"name": "empty_negative", "seed": 1, "negative_prompt": ""},
    {"name": "no_zeros", "variant": "no_zeros", "seed": 1},
    {"name": "negative", "seed": 2, "negative_prompt": "blurry!", "width": 48},
    {"name": "second_prompts", "seed": 3, "prompt_2": "oil on canvas", "negative_prompt": "x", "negative_prompt_2": "a photo"},
    {"name": "sizes", "seed": 4, "width": 24, "height": 40, "negative_prompt": "x",
     "sizes": {"original_width": 40, "original_height": 20, "crop_left": 6, "crop_top": 3, "target_width": 64, "target_height": 96}},
    {"name": "clip_skip", "seed": 5, "clip_skip": 1, "negative_prompt": "y", "steps": 4},
    {"name": "long_prompt", "seed": 6, "prompt": LONG, "negative_prompt": LONG[5:], "sampler": "DPMPP_2M"},
    {"name": "karras", "seed": 7, "sampler": "DPMPP_2M", "sigma_schedule": "KARRAS", "width": 40, "height": 24},
    {"name": "ancestral", "seed": 8, "sampler": "EULER_ANCESTRAL", "prompt": "Ünïcödé 東京!"},
    {"name": "ddim", "seed": 4294967301, "sampler": "DDIM", "eta": 0.5, "guidance_rescale": 0.7},
    {"name": "unguided", "seed": 9, "sampler": "UNIPC", "guidance_scale": 1.0, "negative_prompt": "unread"},
    {"name": "heun", "seed": 10, "sampler": "HEUN", "image_index": 1, "steps": 4},
    {"name": "v_zero_snr", "variant": "v_zero_snr", "seed": 11, "guidance_rescale": 0.7, "height": 40},
    {"name": "v_zero_snr_ddim", "variant": "v_zero_snr", "seed": 12, "sampler": "DDIM", "steps": 9, "negative_prompt": ""},
    {"name": "turbo", "variant": "turbo", "seed": 13, "sampler": "EULER_ANCESTRAL", "steps": 1, "guidance_scale": 0.0},
    {"name": "lightning", "seed": 14, "timestep_spacing": "TRAILING", "steps": 4, "guidance_scale": 0.0},
    {"name": "dmd2", "seed": 15, "sampler": "LCM", "steps": 4, "timesteps": [999, 749, 499, 249], "guidance_scale": 1.0},
    {"name": "refiner", "variant": "refiner", "seed": 16, "negative_prompt": "bad", "width": 40},
    {"name": "refiner_scores", "variant": "refiner", "seed": 17, "negative_prompt": "",
     "sizes": {"original_width": 48, "crop_top": 40, "aesthetic_score": 9.0, "negative_aesthetic_score": 1.5}},
    {"name": "lcm_sdxl", "variant": "lcm_sdxl", "seed": 18, "sampler": "LCM", "steps": 4, "guidance_scale": 8.0},
    {"name": "lcm_sdxl_wide", "variant": "lcm_sdxl", "seed": 19, "sampler": "LCM", "steps": 2, "guidance_scale": 1.5, "width": 56},
    {"name": "lcm", "variant": "lcm", "seed": 20, "sampler": "LCM", "steps": 4, "guidance_scale": 8.5},
    {"name": "negative_sizes", "seed": 22, "width": 40, "negative_prompt": "x",
     "sizes": {"crop_left": 6, "negative_original_width": 20, "negative_original_height": 512,
               "negative_target_width": 1024, "negative_target_height": 64}},
    {"name": "negative_crop", "seed": 23, "height": 48,
     "sizes": {"crop_top": 9, "negative_original_width": 20, "negative_original_height": 30, "negative_crop_left": 700,
               "negative_crop_top": 5, "negative_target_width": 44, "negative_target_height": 64}},
    {"name": "refiner_leading", "variant": "refiner_leading", "seed": 24, "negative_prompt": "bad", "width": 40},
    {"name": "refiner_leading_ancestral", "variant": "refiner_leading", "seed": 25, "sampler": "EULER_ANCESTRAL", "steps": 9},
    {"name": "lcm_weak", "variant": "lcm", "seed": 21, "sampler": "LCM", "steps": 3, "guidance_scale": 1.0, "height": 24},
]


def random_request(i, rng):
    """A request of any kind."""
    words = ["apple", "a castle", "über", "東京", "red!", "🍓", "of the night,", "<|endoftext|>", "--", "it's"]
    text = lambda: " ".join(rng.choices(words, k=rng.choice([1, 3, 7, 60])))
    variant = rng.choice(["base", "base", "base", "no_zeros", "v_zero_snr", "turbo", "refiner", "refiner_leading", "lcm_sdxl", "lcm"])
    lcm = variant.startswith("lcm")
    samplers = ["LCM"] if lcm else ["EULER", "EULER_ANCESTRAL", "DDIM", "DPMPP_2M"]
    refiner = variant.startswith("refiner")
    if refiner:
        samplers = ["EULER", "EULER_ANCESTRAL"]  # the only ones that add_noise starts from the same noise
    if variant in ("base", "no_zeros"):
        samplers += ["HEUN", "UNIPC", "DDPM"]
    request = {
        "name": f"random_{i}", "variant": variant, "seed": rng.randrange(1 << 33), "prompt": text(),
        "negative_prompt": None if lcm else rng.choice([None, "", text()]),
        "sampler": rng.choice(samplers), "steps": rng.choice([1, 2, 3, 5, 8, 13]) if not lcm else rng.randrange(1, 9),
        "width": rng.randrange(16, 81, 8), "height": rng.randrange(16, 81, 8),
        "guidance_scale": rng.choice([0.0, 1.0, 1.5, 3.0, 5.0, 7.5]),
        "guidance_rescale": 0.0 if lcm or refiner else rng.choice([0.0, 0.0, 0.4, 0.7]),
    }
    if variant != "lcm" and rng.random() < 0.5:
        side = lambda: rng.randrange(0, 2048)
        request["sizes"] = {"original_width": side() + 1, "original_height": side() + 1, "crop_left": side(), "crop_top": side()}
        if not refiner:
            request["sizes"] |= {"target_width": side() + 1, "target_height": side() + 1}
        if not refiner and rng.random() < 0.5:
            request["sizes"] |= {f"negative_{key}": side() + 1 for key in ("original_width", "original_height",
                                                                           "target_width", "target_height")}
            request["sizes"] |= rng.choice([{}, {"negative_crop_left": side(), "negative_crop_top": side()}])
    if variant != "lcm" and not refiner:
        request["prompt_2"] = rng.choice(["", text()])
        request["clip_skip"] = rng.choice([0, 0, 1, 2])
        if request["negative_prompt"] is not None:
            request["negative_prompt_2"] = rng.choice(["", text()])
    if request["sampler"] == "DDIM":
        # At a signal of zero the reference takes the root of what is 0 but for its rounding.
        request["eta"] = 0.0 if variant == "v_zero_snr" else rng.choice([0.0, 1.0])
    if request["sampler"] == "DPMPP_2M" and variant != "v_zero_snr" and request["steps"] > 1:
        request["sigma_schedule"] = rng.choice(["DEFAULT", "KARRAS"])
    return DEFAULTS | request


def unet(cross, **others):
    """A U-Net with SDXL's arrangement of blocks."""
    return diffusers.UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=cross,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 2, 4),
        transformer_layers_per_block=(1, 1, 2), use_linear_projection=True, **others)


def tower(cls, layers, vocab, act):
    """A text tower of 16 channels, whose pooled state has 12."""
    return cls(CLIPTextConfig(vocab_size=vocab, hidden_size=16, intermediate_size=32, num_hidden_layers=layers,
                              num_attention_heads=2, max_position_embeddings=77, projection_dim=12, hidden_act=act,
                              bos_token_id=0, eos_token_id=2, pad_token_id=1))


def tokenizer(pad, folder):
    """Bytes and a hundred merges of the bundled model's tokenizer; `pad` fills up."""
    source = ROOT / "models/emoji/tokenizer"
    lines = (source / "merges.txt").read_text(encoding="utf-8").splitlines()
    vocab = list(json.loads((source / "vocab.json").read_text(encoding="utf-8")))[:512]
    merges = lines[1:101]
    vocab += ["".join(merge.split()) for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocab)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("\n".join(lines[:1] + merges) + "\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": pad}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(vocab)


def make_components(out):
    """Writes every component once, in half precision."""
    vocab = tokenizer("<|endoftext|>", out / "tokenizer")
    tokenizer("!", out / "tokenizer_2")
    added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    modules = {
        "unet": unet(32, **added, projection_class_embeddings_input_dim=12 + 6 * 8),
        "unet_refiner": unet(16, **added, projection_class_embeddings_input_dim=12 + 5 * 8),
        "unet_lcm_sdxl": unet(32, **added, projection_class_embeddings_input_dim=12 + 6 * 8, time_cond_proj_dim=32),
        "unet_lcm": unet(16, time_cond_proj_dim=32),
        "text_encoder": tower(CLIPTextModel, 3, vocab, "quick_gelu"),
        "text_encoder_2": tower(CLIPTextModelWithProjection, 4, vocab, "gelu"),
        "vae": diffusers.AutoencoderKL(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
                                       up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4, scaling_factor=0.13025,
                                       sample_size=32, force_upcast=True),
    }
    for name, module in modules.items():
        for key, weight in module.named_parameters():
            # Fresh towers say nearly the same of all texts. Stronger than this, and rounding would be all that a picture
            # shows after a few steps.
            if "embeddings" in key:
                weight.mul_(10)
        if name == "text_encoder":
            module.config.architectures = ["CLIPTextModel"]
        module.half().save_pretrained(out / name)
        file = next((out / name).glob("*.safetensors"))
        save_file({key: value for key, value in load_file(file).items()}, file)  # without the writer's metadata


def parts_of(variant):
    """{component of the pipeline: folder among the fixtures}"""
    _, net, _, _ = VARIANTS[variant]
    parts = {"unet": net, "vae": "vae"}
    if not variant.startswith("refiner"):
        parts |= {"text_encoder": "text_encoder", "tokenizer": "tokenizer"}
    if variant != "lcm":
        parts |= {"text_encoder_2": "text_encoder_2", "tokenizer_2": "tokenizer_2"}
    return parts


CLASSES = {
    "unet": ("diffusers", diffusers.UNet2DConditionModel), "vae": ("diffusers", diffusers.AutoencoderKL),
    "text_encoder": ("transformers", CLIPTextModel), "text_encoder_2": ("transformers", CLIPTextModelWithProjection),
    "tokenizer": ("transformers", CLIPTokenizer), "tokenizer_2": ("transformers", CLIPTokenizer),
}


def write_variant(variant, out):
    """Writes model_index.json and the scheduler; returns what the manifest says of it."""
    pipeline, _, scheduler, options = VARIANTS[variant]
    folder = out / "variants" / variant
    scheduler.save_pretrained(folder / "scheduler")
    index = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__, **options}
    for part in CLASSES:
        library, cls = CLASSES[part]
        index[part] = [library, cls.__name__] if part in parts_of(variant) else [None, None]
    index["scheduler"] = ["diffusers", type(scheduler).__name__]
    (folder / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")
    return {"parts": parts_of(variant) | {"scheduler": f"variants/{variant}/scheduler"},
            "index": f"variants/{variant}/model_index.json"}


def load_pipeline(variant, out):
    name, _, scheduler, options = VARIANTS[variant]
    parts = {part: CLASSES[part][1].from_pretrained(out / folder) for part, folder in parts_of(variant).items()}
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.float()
    absent = {part: None for part in CLASSES if part not in parts and (part != "text_encoder_2" and part != "tokenizer_2")}
    if name == "LatentConsistencyModelPipeline":
        absent |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    elif name == "StableDiffusionXLPipeline":
        absent["add_watermarker"] = False
    else:
        absent["add_watermarker"] = False
    pipe = getattr(diffusers, name)(**parts, **absent, scheduler=scheduler, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def rest_of_noise(scheduler, request):
    """What an image-to-image pipeline's noise lacks of what a sampler begins with."""
    scheduler.set_timesteps(request["steps"])
    shape = (1, 4, request["height"] // 2, request["width"] // 2)
    generator = torch.Generator("cpu").manual_seed(request["seed"] + request["image_index"])
    return torch.randn(shape, generator=generator) * (scheduler.init_noise_sigma - scheduler.sigmas[0])


def arguments_of(request, scheduler):
    """The call's keywords beyond those that all pipelines take."""
    variant, sizes = request["variant"], request["sizes"]
    width, height = request["width"], request["height"]
    if variant == "lcm":
        return {"width": width, "height": height, "original_inference_steps": 50}
    size = lambda key, default: sizes.get(key, default)
    named = {
        "prompt_2": request["prompt_2"] or None, "negative_prompt": request["negative_prompt"],
        "negative_prompt_2": request["negative_prompt_2"] or None, "eta": request["eta"],
        "guidance_rescale": request["guidance_rescale"], "clip_skip": request["clip_skip"] or None,
        "original_size": (size("original_height", height), size("original_width", width)),
        "crops_coords_top_left": (size("crop_top", 0), size("crop_left", 0)),
    }
    if variant.startswith("refiner"):
        # From nothing but noise, which the pipeline scales for a picture to be added to, not for none.
        named |= {"image": rest_of_noise(scheduler, request), "strength": 1.0,
                  "aesthetic_score": size("aesthetic_score", 6.0),
                  "negative_aesthetic_score": size("negative_aesthetic_score", 2.5), "target_size": (height, width)}
    else:
        named |= {"width": width, "height": height,
                  "target_size": (size("target_height", height), size("target_width", width))}
        pair = lambda first, second: (sizes[first], sizes[second]) if first in sizes else None
        named |= {"negative_original_size": pair("negative_original_height", "negative_original_width"),
                  "negative_crops_coords_top_left": pair("negative_crop_top", "negative_crop_left") or (0, 0),
                  "negative_target_size": pair("negative_target_height", "negative_target_width")}
    if request["timesteps"]:
        named["timesteps"] = request["timesteps"]
    return named


def paint(pipe, own_config, request):
    """Returns latents and picture."""
    options = {"use_karras_sigmas": True} if request["sigma_schedule"] == "KARRAS" else {}
    if request["timestep_spacing"] != "DEFAULT":
        options["timestep_spacing"] = request["timestep_spacing"].lower()
    pipe.scheduler = SAMPLERS[request["sampler"]].from_config(own_config, **options)
    generator = torch.Generator("cpu").manual_seed(request["seed"] + request["image_index"])
    latents = pipe(prompt=request["prompt"], num_inference_steps=request["steps"], guidance_scale=request["guidance_scale"],
                   generator=generator, output_type="latent", **arguments_of(request, pipe.scheduler)).images
    decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return latents[0].contiguous(), pipe.image_processor.postprocess(decoded)[0]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "tests/parity/data/sdxl")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    shutil.rmtree(args.out, ignore_errors=True)
    make_components(args.out)
    rng = random.Random(args.seed)
    requests = [DEFAULTS | request for request in REQUESTS] + [random_request(i, rng) for i in range(args.random)]
    pipes = {variant: load_pipeline(variant, args.out) for variant in VARIANTS}
    own = {variant: pipe.scheduler.config for variant, pipe in pipes.items()}
    all_latents = {}
    for request in requests:
        latents, picture = paint(pipes[request["variant"]], own[request["variant"]], request)
        all_latents[request["name"]] = latents
        picture.save(args.out / f"{request['name']}.png", optimize=True)
        print(f"{request['name']}: std {latents.std():.3f}, max {latents.abs().max():.3f}", flush=True)
    save_file(all_latents, args.out / "latents.safetensors")
    manifest = {"made_by": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]}",
                "variants": {variant: write_variant(variant, args.out) for variant in VARIANTS}, "requests": requests}
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (args.out / "requests.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
