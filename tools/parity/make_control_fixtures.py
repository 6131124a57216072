"""Paints the reference latents of tests/parity for models with ControlNets, with tiny random weights.

    python tools/parity/make_control_fixtures.py [--out tests/parity/data/control] [--only NAME ...]

Text towers, tokenizers, the autoencoder and the U-Net of SDXL are those of tests/parity/data/sdxl
(make_sdxl_fixtures.py); a U-Net in the arrangement of Stable Diffusion 1 and the ControlNets are made here, in half
precision. Everything is painted by diffusers' own pipelines: float32 on the CPU, one torch.Generator("cpu") per picture.
Hints are drawn by a formula that the test repeats (hint_picture). Needs torch, diffusers, transformers.
"""
import argparse
import json
import shutil
from pathlib import Path

import diffusers
import make_picture_fixtures as pictures
import torch
from diffusers import ControlNetModel, ControlNetUnionModel, MultiControlNetModel
from make_sdxl_fixtures import ROOT, SAMPLERS, SCHEDULE
from model_folder import write_model
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

SHARED = ROOT / "tests/parity/data/sdxl"
DEFAULTS = {"family": "sd", "prompt": "a red apple", "negative_prompt": "blurry", "seed": 0, "image_index": 0, "width": 32,
            "height": 32, "steps": 6, "sampler": "DDIM", "guidance_scale": 5.0, "eta": 0.0, "control": [],
            "kind": "text", "strength": 1.0}


def net(model, hint, *, scale=1.0, start=0.0, end=1.0, control_type=None, guess=False):
    return {"model": model, "hint": hint, "scale": scale, "start": start, "end": end, "control_type": control_type,
            "guess": guess}


REQUESTS = [
    {"name": "one", "seed": 1, "control": [net("plain", 1)]},
    {"name": "scaled", "seed": 2, "sampler": "EULER", "width": 48, "control": [net("plain", 2, scale=0.6)]},
    {"name": "window", "seed": 3, "steps": 7, "control": [net("plain", 3, scale=1.5, start=0.2, end=0.72)]},
    {"name": "window_heun", "seed": 4, "steps": 4, "sampler": "HEUN", "control": [net("plain", 3, start=0.3, end=0.8)]},
    {"name": "two", "seed": 5, "sampler": "DPMPP_2M", "control": [net("plain", 1, scale=0.8), net("bgr", 4, scale=1.2)]},
    {"name": "two_windows", "seed": 6, "control": [net("plain", 1, end=0.5), net("bgr", 4, start=0.5)]},
    {"name": "same_net_twice", "seed": 7, "control": [net("plain", 1), net("plain", 5, scale=0.5)]},
    {"name": "guess", "seed": 8, "control": [net("plain", 2, guess=True)]},
    {"name": "guess_unguided", "seed": 9, "guidance_scale": 1.0, "control": [net("plain", 2, scale=1.4, guess=True)]},
    {"name": "unguided", "seed": 10, "guidance_scale": 1.0, "sampler": "UNIPC", "control": [net("bgr", 2)]},
    {"name": "pooled", "seed": 11, "control": [net("pooled", 2)]},
    {"name": "tall", "seed": 12, "width": 24, "height": 40, "sampler": "EULER_ANCESTRAL", "control": [net("bgr", 6)]},
    {"name": "xl", "family": "xl", "seed": 13, "sampler": "EULER", "control": [net("xl", 1)]},
    {"name": "xl_window", "family": "xl", "seed": 14, "sampler": "EULER", "control": [net("xl", 2, scale=0.7, start=0.25, end=0.9)]},
    {"name": "xl_two", "family": "xl", "seed": 15, "width": 40, "control": [net("xl", 2, scale=0.7), net("xl", 3, scale=0.4)]},
    {"name": "xl_guess", "family": "xl", "seed": 16, "control": [net("xl", 2, guess=True)]},
    {"name": "union", "family": "xl", "seed": 17, "control": [net("union", 1, control_type=2)]},
    {"name": "union_scaled", "family": "xl", "seed": 18, "sampler": "EULER",
     "control": [net("union", 2, scale=0.6, end=0.7, control_type=0)]},
    {"name": "union_two", "family": "xl", "seed": 19,
     "control": [net("union", 1, scale=0.9, control_type=3), net("union", 2, scale=0.5, control_type=1)]},
    # Beside guidance the reference fails here: it counts rows for the kinds that it does not show the net.
    {"name": "union_guess", "family": "xl", "seed": 20, "guidance_scale": 1.0, "control": [net("union", 1, control_type=2, guess=True)]},
    {"name": "img2img", "kind": "img2img", "seed": 21, "strength": 0.6, "control": [net("plain", 1)]},
    {"name": "img2img_window", "kind": "img2img", "seed": 22, "strength": 0.75, "steps": 9, "sampler": "EULER", "width": 48,
     "control": [net("plain", 2, scale=1.3, start=0.2, end=0.75)]},
    {"name": "img2img_two_guess", "kind": "img2img", "seed": 23, "strength": 0.5, "sampler": "DPMPP_2M",
     "control": [net("plain", 2, guess=True), net("bgr", 5, scale=0.6, guess=True)]},
    {"name": "inpaint", "kind": "inpaint", "seed": 24, "control": [net("plain", 3)]},
    {"name": "inpaint_weak", "kind": "inpaint", "seed": 25, "strength": 0.7, "steps": 8, "sampler": "EULER_ANCESTRAL",
     "height": 40, "control": [net("bgr", 6, scale=0.8)]},
    {"name": "inpaint_two", "kind": "inpaint", "seed": 26, "strength": 0.9, "sampler": "EULER",
     "control": [net("plain", 1, end=0.6), net("bgr", 4, start=0.3)]},
]


def hint_picture(number, width, height):
    """RGB with edges and shades: channel c of (x, y) is (number * 37 + x * (c + 3) * 5 + y * y * (c + 1)) mod 256."""
    picture = Image.new("RGB", (width, height))
    picture.putdata([tuple((number * 37 + x * (c + 3) * 5 + y * y * (c + 1)) % 256 for c in range(3))
                     for y in range(height) for x in range(width)])
    return picture


def save(module, folder):
    module.half().save_pretrained(folder)
    file = next(folder.glob("*.safetensors"))
    save_file(dict(load_file(file)), file)  # without the writer's metadata


def strong(module):
    """Convolutions that training begins with zeros say something here; diffusers' own start is all noise anyway."""
    for name, weight in module.named_parameters():
        if "controlnet_down_blocks" in name or "controlnet_mid_block" in name or "conv_out" in name or "ch_projs" in name:
            weight.uniform_(-0.5, 0.5)
    return module


def make_components(out):
    unet = diffusers.UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=2)
    xl = diffusers.UNet2DConditionModel.from_pretrained(SHARED / "unet").float()
    hints = {"conditioning_embedding_out_channels": (6, 8)}
    nets = {
        "plain": ControlNetModel.from_unet(unet, **hints),
        "bgr": ControlNetModel.from_unet(unet, controlnet_conditioning_channel_order="bgr", load_weights_from_unet=False,
                                         **hints),
        "pooled": ControlNetModel.from_unet(unet, load_weights_from_unet=False, **hints),
        "xl": ControlNetModel.from_unet(xl, **hints),
        "union": ControlNetUnionModel(**union_config(xl), **hints),
    }
    nets["pooled"].register_to_config(global_pool_conditions=True)
    save(unet, out / "unet")
    for name, module in nets.items():
        save(strong(module), out / name)


def union_config(unet):
    kept = ("block_out_channels", "layers_per_block", "norm_num_groups", "cross_attention_dim", "down_block_types",
            "attention_head_dim", "transformer_layers_per_block", "use_linear_projection", "addition_embed_type",
            "addition_time_embed_dim", "projection_class_embeddings_input_dim")
    width = unet.config.block_out_channels[0]
    return {key: unet.config[key] for key in kept} | {"num_control_type": 4, "num_trans_channel": width,
                                                      "num_proj_channel": width, "num_trans_head": 2}


def load(cls, folder):
    return cls.from_pretrained(folder).float().eval()


def pipeline_of(request, out):
    family = request["family"]
    parts = {"vae": load(diffusers.AutoencoderKL, SHARED / "vae"),
             "text_encoder": load(CLIPTextModel, SHARED / "text_encoder"),
             "tokenizer": CLIPTokenizer.from_pretrained(SHARED / "tokenizer"),
             "unet": load(diffusers.UNet2DConditionModel, SHARED / "unet" if family == "xl" else out / "unet"),
             "scheduler": SAMPLERS[request["sampler"]].from_config(schedule_of(family))}
    union = request["control"][0]["control_type"] is not None
    nets = [load(ControlNetUnionModel if union else ControlNetModel, out / each["model"]) for each in request["control"]]
    if family == "sd":
        kind = {"text": "", "img2img": "Img2Img", "inpaint": "Inpaint"}[request["kind"]]
        pipe = getattr(diffusers, f"StableDiffusionControlNet{kind}Pipeline")(
            **parts, controlnet=nets[0] if len(nets) == 1 else MultiControlNetModel(nets), safety_checker=None,
            feature_extractor=None, requires_safety_checker=False)
    else:
        parts["text_encoder_2"] = load(CLIPTextModelWithProjection, SHARED / "text_encoder_2")
        parts["tokenizer_2"] = CLIPTokenizer.from_pretrained(SHARED / "tokenizer_2")
        cls = (diffusers.StableDiffusionXLControlNetUnionPipeline if union
               else diffusers.StableDiffusionXLControlNetPipeline)
        pipe = cls(**parts, controlnet=nets[0] if union or len(nets) == 1 else MultiControlNetModel(nets),
                   add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def schedule_of(family):
    config = dict(SCHEDULE, steps_offset=1, timestep_spacing="leading")
    return config if family == "xl" else dict(config, clip_sample=False, set_alpha_to_one=False)


def begun_with(request):
    return pictures.picture_of("a", request["width"], request["height"])


def mask_of(request):
    return pictures.mask_of("hard", request["width"], request["height"])


def paint(request, out):
    """Returns latents and picture."""
    pipe, control = pipeline_of(request, out), request["control"]
    hints = [hint_picture(each["hint"], request["width"], request["height"]) for each in control]
    union = control[0]["control_type"] is not None
    single = len(control) == 1
    pick = lambda key: control[0][key] if single else [each[key] for each in control]
    named = {"guess_mode": control[0]["guess"]}
    if union:
        named |= {"control_image": hints, "control_mode": [each["control_type"] for each in control],
                  "controlnet_conditioning_scale": [each["scale"] for each in control]}
        named |= {"control_guidance_start": control[0]["start"], "control_guidance_end": control[0]["end"]}
    else:
        named |= {"image": hints[0] if single else hints, "controlnet_conditioning_scale": pick("scale"),
                  "control_guidance_start": pick("start"), "control_guidance_end": pick("end")}
    if request["kind"] == "img2img":
        named |= {"control_image": named.pop("image"), "image": begun_with(request), "strength": request["strength"]}
    elif request["kind"] == "inpaint":
        named |= {"control_image": named.pop("image"), "image": begun_with(request), "mask_image": mask_of(request),
                  "strength": request["strength"]}
    if request["sampler"] == "DDIM":
        named["eta"] = request["eta"]
    generator = torch.Generator("cpu").manual_seed(request["seed"] + request["image_index"])
    latents = pipe(request["prompt"], negative_prompt=request["negative_prompt"], width=request["width"],
                   height=request["height"], num_inference_steps=request["steps"], generator=generator,
                   guidance_scale=request["guidance_scale"], output_type="latent", **named).images
    decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return latents[0].contiguous(), pipe.image_processor.postprocess(decoded)[0]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "tests/parity/data/control")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(3)
    shutil.rmtree(args.out, ignore_errors=True)
    make_components(args.out)
    all_latents = {}
    requests = [DEFAULTS | request for request in REQUESTS]
    for request in requests:
        latents, picture = paint(request, args.out)
        all_latents[request["name"]] = latents
        picture.save(args.out / f"{request['name']}.png", optimize=True)
        if request["kind"] != "text":
            request["picture_file"] = f"in_{request['width']}x{request['height']}.png"
            begun_with(request).save(args.out / request["picture_file"], optimize=True)
        if request["kind"] == "inpaint":
            request["mask_file"] = f"mask_{request['width']}x{request['height']}.png"
            mask_of(request).save(args.out / request["mask_file"], optimize=True)
        print(f"{request['name']}: std {latents.std():.3f}, max {latents.abs().max():.3f}", flush=True)
    save_file(all_latents, args.out / "latents.safetensors")
    manifest = {"made_by": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]}",
                "models": {family: write_model(args.out, family, schedule_of(family), unet)
                           for family, unet in (("sd", "unet"), ("xl", "../sdxl/unet"))}, "requests": requests}
    (args.out / "requests.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    for file in args.out.rglob("*.safetensors"):
        file.chmod(0o644)


if __name__ == "__main__":
    main()
