"""Paints the reference latents of tests/parity for requests with LoRAs, with tiny random weights.

    python tools/parity/make_lora_fixtures.py [--out tests/parity/data/lora]

Text towers, tokenizers, the autoencoder and the U-Net of SDXL are those of tests/parity/data/sdxl, the U-Net in the
arrangement of Stable Diffusion 1 is that of tests/parity/data/control; one in that of Stable Diffusion 2 and the LoRAs
are made here, in half precision. Everything is painted by diffusers' own pipelines with PEFT, which reads the same files;
only where diffusers does not read a layer (lora_mid) its product is added to the weights. float32 on the CPU, one
torch.Generator("cpu") per picture. Needs torch, diffusers, peft, transformers.
"""
import argparse
import json
import math
import shutil
from pathlib import Path

import diffusers
import torch
from make_sdxl_fixtures import ROOT, SAMPLERS, SCHEDULE
from model_folder import write_model
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

SHARED = ROOT / "tests/parity/data/sdxl"
UNETS = {"sd": "../control/unet", "sd2": "unet_v2", "xl": "../sdxl/unet"}  # of each family
DEFAULTS = {"family": "sd", "prompt": "a red apple", "negative_prompt": "blurry", "seed": 0, "image_index": 0, "width": 32,
            "height": 32, "steps": 5, "sampler": "DDIM", "guidance_scale": 5.0, "eta": 0.0, "loras": []}
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def lora(name, scale=1.0, text_scale=None):
    return {"name": name, "scale": scale, "text_scale": scale if text_scale is None else text_scale}


REQUESTS = [
    {"name": "kohya", "seed": 1, "loras": [lora("kohya")]},
    {"name": "negative", "seed": 2, "sampler": "EULER", "loras": [lora("kohya", -0.7)]},
    {"name": "zero", "seed": 3, "loras": [lora("kohya", 0.0)]},
    {"name": "text_alone", "seed": 4, "loras": [lora("kohya", 0.0, 1.3)]},
    {"name": "denoiser_alone", "seed": 5, "loras": [lora("kohya", 0.8, 0.0)]},
    {"name": "peft", "seed": 6, "sampler": "DPMPP_2M", "loras": [lora("peft", 0.9)]},
    {"name": "old", "seed": 7, "loras": [lora("old", 1.2)]},
    {"name": "locon", "seed": 8, "loras": [lora("locon", 1.1)]},
    {"name": "mid", "seed": 9, "loras": [lora("mid", 0.8)]},
    {"name": "two", "seed": 10, "loras": [lora("kohya", 0.6, 0.2), lora("peft", 0.5)]},
    {"name": "three", "seed": 11, "loras": [lora("kohya", 0.3), lora("locon", -0.25), lora("old", 0.4)]},
    {"name": "unguided", "seed": 12, "guidance_scale": 1.0, "loras": [lora("kohya")]},
    {"name": "tall", "seed": 13, "width": 24, "height": 40, "sampler": "EULER_ANCESTRAL", "loras": [lora("locon"), lora("peft")]},
    {"name": "v2", "family": "sd2", "seed": 14, "loras": [lora("v2", 0.7)]},
    {"name": "xl_original", "family": "xl", "seed": 15, "sampler": "EULER", "loras": [lora("xl_original", 0.9, 0.4)]},
    {"name": "xl_peft", "family": "xl", "seed": 16, "sampler": "DPMPP_2M", "loras": [lora("xl_peft", 0.5)]},
    {"name": "xl_two", "family": "xl", "seed": 17, "sampler": "EULER", "loras": [lora("xl_peft", 0.25), lora("xl_original", 0.4)]},
]


def layers_of(module, ends):
    """Names and layers of a network whose names end so."""
    for name, layer in module.named_modules():
        if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)) and any(("." + name).endswith("." + end) for end in ends):
            yield name, layer


def pair(layer, rank, strength, mid=False):
    """down, up and lora_mid that change the layer by about `strength` of its weights."""
    size = layer.weight.shape
    kernel = size[2:] if len(size) == 4 else ()
    point = (1,) * len(kernel)
    middle = torch.randn(rank, rank, *kernel) if mid else None
    down = torch.randn(rank, size[1], *(point if mid else kernel))
    up = torch.randn(size[0], rank, *point)
    fan = (size[1] * math.prod(kernel)) ** 0.5
    return down * strength / fan, up / rank ** 0.5 / (rank ** 0.5 if mid else 1), middle


def kohya(prefix, module, ends, rank, alpha, *, rename=lambda name: name, mid=False, strength=2.0):
    tensors = {}
    for name, layer in layers_of(module, ends):
        down, up, middle = pair(layer, rank, strength, mid and layer.weight.dim() == 4)
        key = prefix + rename(name).replace(".", "_")
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(float(alpha))}
        if middle is not None:
            tensors[f"{key}.lora_mid.weight"] = middle
    return tensors


def peft(prefix, module, ends, rank):
    tensors = {}
    for name, layer in layers_of(module, ends):
        down, up, _ = pair(layer, rank, 2.0)
        tensors |= {f"{prefix}{name}.lora_A.weight": down, f"{prefix}{name}.lora_B.weight": up}
    return tensors


def old(unet, rank):
    """Attention processors, as diffusers wrote them before PEFT."""
    tensors = {}
    for name, layer in layers_of(unet, ATTENTION):
        down, up, _ = pair(layer, rank, 2.0)
        scope, part = name.replace(".to_out.0", ".to_out").rsplit(".", 1)
        tensors |= {f"unet.{scope}.processor.{part}_lora.down.weight": down,
                    f"unet.{scope}.processor.{part}_lora.up.weight": up}
    return tensors


def original(name):
    """A layer of the XL U-Net, whose blocks have one resnet, in the original layout."""
    tables = [("conv1", "in_layers.2"), ("conv2", "out_layers.3"), ("time_emb_proj", "emb_layers.1"),
              ("conv_shortcut", "skip_connection")]
    parts = name.split(".")
    if parts[0] == "mid_block":
        number = 1 if parts[1] == "attentions" else 2 * int(parts[2])
        head, rest = f"middle_block.{number}", parts[3:]
    else:
        level, down = int(parts[1]), parts[0] == "down_blocks"
        layers = 1 if down else 2
        block = lambda layer: (level * 2 + layer + 1) if down else level * layers + layer
        if parts[2] in ("downsamplers", "upsamplers"):
            raise ValueError(name)
        head = f"{'input' if down else 'output'}_blocks.{block(int(parts[3]))}.{0 if parts[2] == 'resnets' else 1}"
        rest = parts[4:]
    rest = ".".join(rest)
    if ".attentions." not in name:
        rest = dict(tables)[rest]
    return f"{head}.{rest}"


def text_name(name):
    return name if name.startswith("text_model.") else "text_model." + name


def make_loras(out):
    sd, text = unet_of("sd", out), load(CLIPTextModel, SHARED / "text_encoder")
    xl, text_2 = unet_of("xl", out), load(CLIPTextModelWithProjection, SHARED / "text_encoder_2")
    blocks = ATTENTION + ("proj", "net.2", "proj_in", "proj_out")
    files = {
        "kohya": kohya("lora_unet_", sd, blocks, 4, 2) | kohya("lora_te_", text, TEXT, 4, 2, rename=text_name),
        "peft": peft("unet.", sd, ATTENTION, 2) | {
            key.replace("text_encoder.", "text_encoder.text_model.") if ".text_model." not in key else key: value
            for key, value in peft("text_encoder.", text, ("q_proj", "v_proj"), 2).items()},
        "old": old(sd, 3),
        "locon": kohya("lora_unet_", sd, ATTENTION + ("conv1", "conv2", "conv_shortcut", "0.conv", "time_emb_proj"), 3, 1),
        "mid": kohya("lora_unet_", sd, ("conv1", "conv2"), 3, 2, mid=True, strength=1.0),
        "v2": kohya("lora_unet_", unet_of("sd2", out), blocks, 4, 4),
        "xl_original": kohya("lora_unet_", xl, blocks, 4, 3, rename=original)
        | kohya("lora_te1_", text, TEXT, 2, 2, rename=text_name) | kohya("lora_te2_", text_2, TEXT, 2, 1, rename=text_name),
        "xl_peft": peft("unet.", xl, ATTENTION + ("proj", "net.2"), 3),
    }
    metadata = {"peft": {"format": "pt", "lora_adapter_metadata": json.dumps(
        {"unet.r": 2, "unet.lora_alpha": 3, "unet.target_modules": list(ATTENTION),
         "text_encoder.r": 2, "text_encoder.lora_alpha": 1, "text_encoder.target_modules": ["q_proj", "v_proj"]})}}
    for name, tensors in files.items():
        halves = {key: value.half().contiguous() for key, value in tensors.items()}
        save_file(halves, out / "loras" / f"{name}.safetensors", metadata=metadata.get(name))


def load(cls, folder):
    return cls.from_pretrained(folder).float().eval()


def folder_of(family, out):
    return {"sd": ROOT / "tests/parity/data/control/unet", "sd2": out / "unet_v2", "xl": SHARED / "unet"}[family]


def unet_of(family, out):
    return load(diffusers.UNet2DConditionModel, folder_of(family, out))


def make_unet(out):
    unet = diffusers.UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=(2, 4), use_linear_projection=True)
    unet.half().save_pretrained(out / "unet_v2")
    file = next((out / "unet_v2").glob("*.safetensors"))
    save_file(dict(load_file(file)), file)


def schedule_of(family):
    config = dict(SCHEDULE, steps_offset=1, timestep_spacing="leading")
    if family == "xl":
        return config
    return dict(config, clip_sample=False, set_alpha_to_one=False,
                prediction_type="v_prediction" if family == "sd2" else "epsilon")


def add_products(pipe, file, scale):
    """What diffusers does not read, into the weights."""
    tensors = {key: value.float() for key, value in load_file(file).items()}
    layers = {"lora_unet_" + name.replace(".", "_"): layer for name, layer in pipe.unet.named_modules()}
    for key in {key.split(".")[0] for key in tensors}:
        down, up, mid = (tensors[f"{key}.lora_{part}.weight"] for part in ("down", "up", "mid"))
        product = torch.einsum("om,mrkl,ri->oikl", up.flatten(1), mid, down.flatten(1))
        layers[key].weight.data += scale * tensors[f"{key}.alpha"] / up.shape[1] * product


def pipeline_of(request, out):
    family = request["family"]
    parts = {"vae": load(diffusers.AutoencoderKL, SHARED / "vae"),
             "text_encoder": load(CLIPTextModel, SHARED / "text_encoder"),
             "tokenizer": CLIPTokenizer.from_pretrained(SHARED / "tokenizer"), "unet": unet_of(family, out),
             "scheduler": SAMPLERS[request["sampler"]].from_config(schedule_of(family))}
    if family == "xl":
        parts |= {"text_encoder_2": load(CLIPTextModelWithProjection, SHARED / "text_encoder_2"),
                  "tokenizer_2": CLIPTokenizer.from_pretrained(SHARED / "tokenizer_2")}
        pipe = diffusers.StableDiffusionXLPipeline(**parts, add_watermarker=False)
    else:
        pipe = diffusers.StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None,
                                                 requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def adapt(pipe, loras, out):
    towers = [name for name in ("text_encoder", "text_encoder_2") if hasattr(pipe, name)]
    names, weights = [], []
    for each in loras:
        if each["name"] == "mid":
            add_products(pipe, out / "loras/mid.safetensors", each["scale"])
            continue
        pipe.load_lora_weights(out / "loras", weight_name=each["name"] + ".safetensors", adapter_name=each["name"])
        names.append(each["name"])
        found = pipe.get_list_adapters()
        weight = {"unet": each["scale"]}
        weight |= {tower: each["text_scale"] for tower in towers if each["name"] in found.get(tower, [])}
        weights.append(weight)
    if names:
        pipe.set_adapters(names, weights)
        print(pipe.get_list_adapters())


def paint(request, out):
    pipe = pipeline_of(request, out)
    adapt(pipe, request["loras"], out)
    named = {"eta": request["eta"]} if request["sampler"] == "DDIM" else {}
    generator = torch.Generator("cpu").manual_seed(request["seed"] + request["image_index"])
    return pipe(request["prompt"], negative_prompt=request["negative_prompt"], width=request["width"],
                height=request["height"], num_inference_steps=request["steps"], generator=generator,
                guidance_scale=request["guidance_scale"], output_type="latent", **named).images[0].contiguous()


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "tests/parity/data/lora")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(5)
    shutil.rmtree(args.out, ignore_errors=True)
    (args.out / "loras").mkdir(parents=True)
    make_unet(args.out)
    make_loras(args.out)
    requests = [DEFAULTS | request for request in REQUESTS]
    all_latents = {}
    for request in requests:
        latents = paint(request, args.out)
        plain = paint(request | {"loras": []}, args.out)
        all_latents[request["name"]] = latents
        print(f"{request['name']}: std {latents.std():.3f}, moved by {(latents - plain).std():.3f}", flush=True)
    save_file(all_latents, args.out / "latents.safetensors")
    manifest = {"made_by": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]}",
                "models": {family: write_model(args.out, family, schedule_of(family), unet) for family, unet in UNETS.items()},
                "requests": requests}
    (args.out / "requests.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    for file in args.out.rglob("*.safetensors"):
        file.chmod(0o644)


if __name__ == "__main__":
    main()
