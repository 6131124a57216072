"""Paints the reference latents of tests/parity for requests that come with pictures, with tiny random weights.

    python tools/parity/make_picture_fixtures.py [--out tests/parity/data/pictures] [--seed N] [--random N]

Image-to-image, inpainting with U-Nets of 4 and of 9 channels, instruct-pix2pix (8 channels) and DDIM inversion: diffusers'
own pipelines and schedulers, float32 on the CPU, one torch.Generator("cpu") per image. What diffusers has not, the kept
cells of A1111 and ComfyUI and differential diffusion, is painted by the loops of picture_loops.py, written from their
formulas. The U-Nets are new; text encoders, tokenizers and autoencoder are those of make_sdxl_fixtures.py, which comes
first. --seed makes other weights; --random adds that many random requests, for a corpus beside the committed one. Needs
torch, diffusers, transformers, pillow.
"""
import argparse
import json
import random
import shutil
from pathlib import Path

import diffusers
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import make_sdxl_fixtures as sdxl
from picture_loops import Loop, paint_differential, paint_inverted, paint_x0

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "tests/parity/data/sdxl"
SAMPLERS = {
    "DDPM": diffusers.DDPMScheduler,
    "DDIM": diffusers.DDIMScheduler,
    "PNDM": diffusers.PNDMScheduler,
    "EULER": diffusers.EulerDiscreteScheduler,
    "EULER_ANCESTRAL": diffusers.EulerAncestralDiscreteScheduler,
    "HEUN": diffusers.HeunDiscreteScheduler,
    "LMS": diffusers.LMSDiscreteScheduler,
    "DPM2": diffusers.KDPM2DiscreteScheduler,
    "DPM2_ANCESTRAL": diffusers.KDPM2AncestralDiscreteScheduler,
    "DPMPP_2M": diffusers.DPMSolverMultistepScheduler,
    "DPMPP_2M_SDE": diffusers.DPMSolverMultistepScheduler,
    "DPMPP_3M": diffusers.DPMSolverMultistepScheduler,
    "DPMPP_SINGLESTEP": diffusers.DPMSolverSinglestepScheduler,
    "UNIPC": diffusers.UniPCMultistepScheduler,
    "DEIS": diffusers.DEISMultistepScheduler,
    "LCM": diffusers.LCMScheduler,
    "TCD": diffusers.TCDScheduler,
}
OPTIONS = {"DPMPP_2M_SDE": {"algorithm_type": "sde-dpmsolver++"}, "DPMPP_3M": {"solver_order": 3}}

# variant: (pipeline of model_index.json, channels of the U-Net)
VARIANTS = {
    "sd1": ("StableDiffusionPipeline", 4),
    "inpaint": ("StableDiffusionInpaintPipeline", 9),
    "pix2pix": ("StableDiffusionInstructPix2PixPipeline", 8),
    "sdxl": ("StableDiffusionXLPipeline", 4),
    "lcm": ("LatentConsistencyModelPipeline", 4),
    "tiny_vae": ("StableDiffusionPipeline", 4),
}
KINDS = {"text": "", "img2img": "Img2Img", "inpaint": "Inpaint", "pix2pix": "InstructPix2Pix"}
SHARED_UNETS = {"sdxl": "unet", "lcm": "unet_lcm", "lcm_sdxl": "unet_lcm_sdxl"}  # of make_sdxl_fixtures.py

DEFAULTS = {
    "variant": "sd1", "kind": "img2img", "prompt": "a red apple", "negative_prompt": "x", "seed": 0, "image_index": 0,
    "width": 32, "height": 32, "steps": 6, "sampler": "DDIM", "sigma_schedule": "DEFAULT", "timestep_spacing": "DEFAULT",
    "guidance_scale": 3.0, "guidance_rescale": 0.0, "eta": 0.0, "strength": 0.6, "picture": "a", "mask": None,
    "blend_domain": "LATENTS", "differential": False, "fill": "ORIGINAL", "image_guidance_scale": 1.5,
}

REQUESTS = [{"name": f"img2img_{name.lower()}", "sampler": name, "seed": i, "steps": 4 if name == "LCM" else 7,
             "strength": 0.75} for i, name in enumerate(SAMPLERS)]
REQUESTS += [{"name": f"inpaint_{name.lower()}", "kind": "inpaint", "mask": "hard", "sampler": name, "seed": 40 + i,
              "strength": 0.8 if i % 2 else 1.0, "steps": 5} for i, name in enumerate(SAMPLERS)]
REQUESTS += [
    {"name": "weakest", "strength": 0.02, "steps": 50, "seed": 1},
    {"name": "truncated", "strength": 0.58, "steps": 50, "sampler": "DPMPP_2M", "seed": 2},
    {"name": "full_strength", "strength": 1.0, "sampler": "EULER", "seed": 3},
    {"name": "one_step", "strength": 1.0, "steps": 1, "sampler": "HEUN", "seed": 4},
    {"name": "odd_size", "width": 56, "height": 24, "sampler": "EULER_ANCESTRAL", "seed": 5, "picture": "wide"},
    {"name": "second_image", "image_index": 1, "seed": 6, "sampler": "DDPM"},
    {"name": "karras", "sampler": "DPMPP_2M", "sigma_schedule": "KARRAS", "seed": 7},
    {"name": "unguided", "sampler": "UNIPC", "guidance_scale": 1.0, "seed": 8, "strength": 0.3, "steps": 20},
    {"name": "rescaled", "variant": "sdxl", "seed": 9, "guidance_rescale": 0.0, "sampler": "EULER"},
    {"name": "sdxl_heun", "variant": "sdxl", "seed": 10, "sampler": "HEUN", "strength": 0.5, "width": 40},
    {"name": "sdxl_inpaint", "variant": "sdxl", "kind": "inpaint", "mask": "hard", "seed": 11, "sampler": "EULER_ANCESTRAL"},
    {"name": "grown_mask", "kind": "inpaint", "mask": "soft", "seed": 12, "sampler": "EULER", "soft": True},
    {"name": "nine_channels", "variant": "inpaint", "kind": "inpaint", "mask": "hard", "seed": 13, "strength": 1.0},
    {"name": "nine_euler", "variant": "inpaint", "kind": "inpaint", "mask": "hard", "seed": 14, "sampler": "EULER"},
    {"name": "nine_ancestral", "variant": "inpaint", "kind": "inpaint", "mask": "soft", "seed": 15,
     "sampler": "EULER_ANCESTRAL", "strength": 0.9, "width": 24, "height": 40, "picture": "high"},
    {"name": "nine_unguided", "variant": "inpaint", "kind": "inpaint", "mask": "hard", "seed": 16, "sampler": "DPM2",
     "guidance_scale": 1.0},
    {"name": "pix2pix", "variant": "pix2pix", "kind": "pix2pix", "seed": 17},
    {"name": "pix2pix_euler", "variant": "pix2pix", "kind": "pix2pix", "seed": 18, "sampler": "EULER",
     "image_guidance_scale": 2.25, "width": 40},
    {"name": "pix2pix_ancestral", "variant": "pix2pix", "kind": "pix2pix", "seed": 19, "sampler": "EULER_ANCESTRAL",
     "image_guidance_scale": 1.0},
    {"name": "pix2pix_unguided", "variant": "pix2pix", "kind": "pix2pix", "seed": 20, "guidance_scale": 1.0},
    {"name": "lcm_strong", "variant": "lcm", "sampler": "LCM", "seed": 28, "steps": 4, "strength": 0.5, "guidance_scale": 8.5},
    {"name": "lcm_weak", "variant": "lcm", "sampler": "LCM", "seed": 29, "steps": 3, "strength": 0.11, "guidance_scale": 2.0,
     "width": 40},
    {"name": "tiny_vae", "variant": "tiny_vae", "seed": 33, "strength": 0.7},
    {"name": "tiny_vae_euler", "variant": "tiny_vae", "seed": 34, "sampler": "EULER_ANCESTRAL", "width": 56, "height": 24,
     "picture": "wide"},
    {"name": "tiny_vae_inpaint", "variant": "tiny_vae", "kind": "inpaint", "mask": "hard", "seed": 35, "sampler": "DPMPP_2M"},
    {"name": "tiny_vae_text", "variant": "tiny_vae", "kind": "text", "seed": 36, "sampler": "EULER"},
    {"name": "tiny_vae_text_wide", "variant": "tiny_vae", "kind": "text", "seed": 37, "width": 48, "guidance_scale": 1.0},
    {"name": "x0_euler", "kind": "x0", "mask": "soft", "blend_domain": "X0", "seed": 21, "sampler": "EULER"},
    {"name": "x0_ancestral", "kind": "x0", "mask": "hard", "blend_domain": "X0", "seed": 22, "sampler": "EULER_ANCESTRAL"},
    {"name": "x0_noise", "kind": "x0", "mask": "hard", "blend_domain": "X0", "seed": 23, "sampler": "EULER",
     "fill": "NOISE", "strength": 0.9},
    {"name": "differential", "kind": "differential", "mask": "grey", "differential": True, "seed": 24, "strength": 0.9,
     "steps": 8},
    {"name": "differential_euler", "kind": "differential", "mask": "grey", "differential": True, "seed": 25,
     "sampler": "EULER", "strength": 0.7, "steps": 10},
    {"name": "inverted", "kind": "invert", "seed": 26, "strength": 1.0, "steps": 10, "guidance_scale": 1.0},
    {"name": "inverted_guided", "kind": "invert", "seed": 27, "strength": 1.0, "steps": 10, "guidance_scale": 3.0},
]


def random_request(i, rng):
    """A request of any kind that diffusers has."""
    kind = rng.choice(["img2img", "img2img", "inpaint", "inpaint", "pix2pix"])
    variant = {"img2img": ["sd1", "sdxl"], "inpaint": ["sd1", "inpaint", "sdxl"], "pix2pix": ["pix2pix"]}[kind]
    sampler = rng.choice(list(SAMPLERS))
    steps = rng.choice([4, 5, 8, 13])
    request = {
        "name": f"random_{i}", "kind": kind, "variant": rng.choice(variant), "seed": rng.randrange(1 << 33),
        "sampler": sampler, "steps": steps, "strength": rng.choice([0.3, 0.5, 0.77, 0.99, 1.0]),
        "width": rng.randrange(16, 73, 8), "height": rng.randrange(16, 73, 8), "picture": rng.choice(["a", "wide", "high"]),
        "guidance_scale": rng.choice([1.0, 1.5, 3.0, 7.5]), "image_guidance_scale": rng.choice([1.0, 1.5, 2.5]),
        "mask": "hard" if kind == "inpaint" else None,
    }
    return DEFAULTS | request


def picture_of(name, width, height):
    """An RGB picture with something everywhere; `name` chooses which."""
    shift = sum(map(ord, name))
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes(((5 * x + shift) % 256, (7 * y + 3 * shift) % 256, (3 * x * y // 4 + 128) % 256))
    return Image.frombytes("RGB", (width, height), bytes(pixels))


def mask_of(name, width, height):
    """hard: a rectangle. soft: the same with a grey edge. grey: a ramp."""
    values = bytearray()
    for y in range(height):
        for x in range(width):
            inside = width // 4 <= x < 3 * width // 4 and height // 3 <= y
            edge = x < 3 * width // 8
            grey = 255 * x // (width - 1)
            values.append({"hard": 255 * inside, "soft": (90 + 70 * (x % 3) if edge else 255) * inside, "grey": grey}[name])
    return Image.frombytes("L", (width, height), bytes(values))


def make_components(out):
    for variant, (_, channels) in VARIANTS.items():
        if variant in SHARED_UNETS or variant == "tiny_vae":
            continue
        net = sdxl.unet(16, in_channels=channels).half()
        net.save_pretrained(out / f"unet_{variant}")
        file = next((out / f"unet_{variant}").glob("*.safetensors"))
        save_file(dict(load_file(file).items()), file)
    vae = diffusers.AutoencoderTiny(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
                                    num_encoder_blocks=(1, 2), num_decoder_blocks=(2, 1))
    for weight in vae.parameters():
        weight.mul_(1.2)  # fresh ones show nothing but grey
    vae.half().save_pretrained(out / "vae_tiny")


def scheduler_of(variant):
    if variant == "sdxl":
        return diffusers.EulerDiscreteScheduler(**sdxl.SCHEDULE, timestep_spacing="leading", steps_offset=1)
    if variant.startswith("lcm"):
        return diffusers.LCMScheduler(**sdxl.SCHEDULE)
    return diffusers.DDIMScheduler(**sdxl.SCHEDULE, clip_sample=False, steps_offset=1, set_alpha_to_one=False)


def folder_of(part, variant, out):
    if part == "unet":
        own = "sd1" if variant == "tiny_vae" else variant
        return SHARED / SHARED_UNETS[variant] if variant in SHARED_UNETS else out / f"unet_{own}"
    if part == "vae" and variant == "tiny_vae":
        return out / "vae_tiny"
    return SHARED / part


def class_of(part, variant):
    """(library, class)"""
    return ("diffusers", diffusers.AutoencoderTiny) if (part, variant) == ("vae", "tiny_vae") else sdxl.CLASSES[part]


def parts_of(variant):
    parts = ["text_encoder", "tokenizer", "vae", "unet"]
    return parts + ["text_encoder_2", "tokenizer_2"] if variant in ("sdxl", "lcm_sdxl") else parts


def write_variant(variant, out):
    folder = out / "variants" / variant
    scheduler_of(variant).save_pretrained(folder / "scheduler")
    file = folder / "scheduler/scheduler_config.json"
    config = json.loads(file.read_text()) | {"skip_prk_steps": True}  # for PNDM, as published files have it
    file.write_text(json.dumps(config, indent=1) + "\n")
    index = {"_class_name": VARIANTS[variant][0], "_diffusers_version": diffusers.__version__}
    for part in sdxl.CLASSES:
        library, cls = class_of(part, variant)
        if part in parts_of(variant):
            index[part] = [library, cls.__name__]
    index["scheduler"] = ["diffusers", type(scheduler_of(variant)).__name__]
    (folder / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")
    named = {part: str(folder_of(part, variant, out).relative_to(out.parent)) for part in parts_of(variant)}
    return {"parts": named | {"scheduler": f"{out.name}/variants/{variant}/scheduler"},
            "index": f"{out.name}/variants/{variant}/model_index.json"}


def load_pipeline(variant, kind, out):
    parts = {part: class_of(part, variant)[1].from_pretrained(folder_of(part, variant, out)) for part in parts_of(variant)}
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.float()
    family = {"sdxl": "StableDiffusionXL", "lcm_sdxl": "StableDiffusionXL",
              "lcm": "LatentConsistencyModel"}.get(variant, "StableDiffusion")
    name = family + KINDS.get(kind, "Img2Img") + "Pipeline"
    more = {} if family == "StableDiffusionXL" else {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipe = getattr(diffusers, name)(**parts, **more, scheduler=scheduler_of(variant))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def paint_with_pipeline(pipe, request, picture, mask, generator):
    named = {"prompt": request["prompt"], "negative_prompt": request["negative_prompt"], "image": picture,
             "num_inference_steps": request["steps"], "guidance_scale": request["guidance_scale"], "generator": generator,
             "output_type": "latent"}
    if request["variant"] == "lcm":
        named["original_inference_steps"] = 50
        del named["negative_prompt"]
    if request["kind"] == "text":
        del named["image"]
        named |= {"width": request["width"], "height": request["height"]}
    elif request["kind"] == "pix2pix":
        named["image_guidance_scale"] = request["image_guidance_scale"]
    else:
        named["strength"] = request["strength"]
    if request["kind"] == "inpaint":
        named |= {"mask_image": mask, "width": request["width"], "height": request["height"]}
    if request["variant"] == "sdxl" and request["guidance_rescale"]:
        named["guidance_rescale"] = request["guidance_rescale"]
    if request.get("soft"):
        pipe.mask_processor.config.do_binarize = False
    return pipe(**named).images


def paint(pipe, request, picture, mask, out):
    """Returns latents and picture."""
    # As a server reads it: what the file says counts, defaults of its class included.
    folder = out / "variants" / request["variant"] / "scheduler"
    config = type(scheduler_of(request["variant"])).from_pretrained(folder).config
    options = {"use_karras_sigmas": True} if request["sigma_schedule"] == "KARRAS" else {}
    options |= OPTIONS.get(request["sampler"], {})
    pipe.scheduler = SAMPLERS[request["sampler"]].from_config(config, **options)
    generator = torch.Generator("cpu").manual_seed(request["seed"] + request["image_index"])
    if request["kind"] in KINDS:
        latents = paint_with_pipeline(pipe, request, picture, mask, generator)
    else:
        loop = Loop(pipe, request, picture, generator)
        if mask is not None:
            values = torch.tensor(list(mask.getdata()), dtype=torch.float32).view(1, 1, mask.height, mask.width) / 255
            loop.latent_mask_nearest = torch.nn.functional.interpolate(values, size=loop.image.shape[-2:])
        if request["kind"] == "x0":
            latents = paint_x0(loop, mask)
        elif request["kind"] == "differential":
            latents = paint_differential(loop, mask)
        else:
            latents = paint_inverted(loop, pipe.scheduler.config)
    decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return latents[0].contiguous(), pipe.image_processor.postprocess(decoded)[0]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "tests/parity/data/pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    make_components(args.out)
    rng = random.Random(args.seed)
    requests = [DEFAULTS | request for request in REQUESTS] + [random_request(i, rng) for i in range(args.random)]
    variants = {variant: write_variant(variant, args.out) for variant in VARIANTS}
    pipes, latents = {}, {}
    for request in requests:
        key = (request["variant"], request["kind"])
        if key not in pipes:
            pipes[key] = load_pipeline(*key, args.out)
        size = request["width"], request["height"]
        picture = picture_of(request["picture"], *size)
        mask = mask_of(request["mask"], *size) if request["mask"] else None
        name = request["name"]
        latents[name], image = paint(pipes[key], request, picture, mask, args.out)
        assert latents[name].isfinite().all(), name
        image.save(args.out / f"{name}.png", optimize=True)
        request["picture_file"] = f"in_{request['picture']}_{size[0]}x{size[1]}.png"
        picture.save(args.out / request["picture_file"], optimize=True)
        if mask is not None:
            request["mask_file"] = f"mask_{request['mask']}_{size[0]}x{size[1]}.png"
            mask.save(args.out / request["mask_file"], optimize=True)
        print(name, flush=True)
    save_file(latents, args.out / "latents.safetensors")
    manifest = {
        "made_by": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]}",
        "variants": variants,
        "requests": requests,
    }
    (args.out / "requests.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
