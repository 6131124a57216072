#!/usr/bin/env python3
"""Makes a model of full size and random weights: the shapes of a family that people run, without its gigabytes of download.

    make_random_model.py --like sd15|sd21|sdxl|sdxl-small --to PATH [--form folder|file] [--dtype fp16|fp32] [--seed N]
                         [--only COMPONENT]

A folder is in diffusers layout, a file in the original one. Configs are those of the published models; names and shapes of
the tensors are what diffusers and transformers make of them, so a loader that misses one fails. Values are normal with a
spread of 0.02, written tensor by tensor: memory stays small. Both forms of one seed hold the same values. Needs torch,
diffusers and transformers (tools/train/requirements.txt).
"""
import argparse
import json
import pathlib
import shutil
import struct
import zlib

import original_layout
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPREAD = 0.02
DTYPES = {"fp16": (torch.float16, "F16"), "fp32": (torch.float32, "F32")}

CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
UP = {CROSS: "CrossAttnUpBlock2D", PLAIN: "UpBlock2D"}
VIT_L = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12,
         "hidden_act": "quick_gelu", "projection_dim": 768}
VIT_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 23,
         "hidden_act": "gelu", "projection_dim": 512}
VIT_BIG_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32,
             "hidden_act": "gelu", "projection_dim": 1280}
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
            "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False}


def unet(blocks, channels, **others):
    """Config of a text-conditional U-Net."""
    return {"down_block_types": blocks, "up_block_types": [UP[b] for b in reversed(blocks)], "block_out_channels": channels,
            "in_channels": 4, "out_channels": 4, "layers_per_block": 2, **others}


FAMILIES = {
    "sd15": {
        "pipeline": "StableDiffusionPipeline",
        "unet": unet([CROSS] * 3 + [PLAIN], [320, 640, 1280, 1280], sample_size=64, cross_attention_dim=768,
                     attention_head_dim=8),
        "text": [("text_encoder", "CLIPTextModel", VIT_L)],
        "vae": {"sample_size": 512, "scaling_factor": 0.18215},
        "scheduler": ("PNDMScheduler", {**SCHEDULE, "skip_prk_steps": True}),
    },
    "sd21": {
        "pipeline": "StableDiffusionPipeline",
        "unet": unet([CROSS] * 3 + [PLAIN], [320, 640, 1280, 1280], sample_size=96, cross_attention_dim=1024,
                     attention_head_dim=[5, 10, 20, 20], use_linear_projection=True, upcast_attention=True),
        "text": [("text_encoder", "CLIPTextModel", VIT_H)],
        "vae": {"sample_size": 768, "scaling_factor": 0.18215},
        "scheduler": ("DDIMScheduler", {**SCHEDULE, "prediction_type": "v_prediction"}),
    },
    "sdxl": {
        "pipeline": "StableDiffusionXLPipeline",
        "unet": unet([PLAIN, CROSS, CROSS], [320, 640, 1280], sample_size=128, cross_attention_dim=2048,
                     attention_head_dim=[5, 10, 20], transformer_layers_per_block=[1, 2, 10], use_linear_projection=True,
                     addition_embed_type="text_time", addition_time_embed_dim=256,
                     projection_class_embeddings_input_dim=2816),
        "text": [("text_encoder", "CLIPTextModel", VIT_L),
                 ("text_encoder_2", "CLIPTextModelWithProjection", VIT_BIG_G)],
        "vae": {"sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True},
        "scheduler": ("EulerDiscreteScheduler", {**SCHEDULE, "timestep_spacing": "leading"}),
    },
}
# SDXL's arrangement at a hundredth of its size: for trying out how a file is served.
FAMILIES["sdxl-small"] = {
    **FAMILIES["sdxl"],
    "unet": {**FAMILIES["sdxl"]["unet"], "block_out_channels": [64, 128, 128], "attention_head_dim": [1, 2, 2],
             "transformer_layers_per_block": [1, 1, 2], "cross_attention_dim": 128, "projection_class_embeddings_input_dim": 1600},
    "text": [("text_encoder", "CLIPTextModel",
              {**VIT_L, "hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 1, "num_hidden_layers": 2,
               "projection_dim": 64}),
             ("text_encoder_2", "CLIPTextModelWithProjection",
              {**VIT_BIG_G, "hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 1, "num_hidden_layers": 2,
               "projection_dim": 64})],
    "vae": {**FAMILIES["sdxl"]["vae"], "block_out_channels": [32, 32, 64, 64]},
}


def values_of(name, shape, seed):
    """The random values of one tensor, which depend on its name and the seed alone."""
    # A norm whose scale is about one and all else small keeps activations finite.
    centre = 1.0 if "norm" in name and name.endswith(".weight") else 0.0
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()) ^ seed)
    return torch.randn(shape, generator=generator).mul_(SPREAD).add_(centre)


def write_safetensors(path, shapes, dtype, values):
    """Writes tensors of these shapes ({name: shape}), one after the other; `values` makes one of its name and shape."""
    torch_dtype, name_of_dtype = DTYPES[dtype]
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = int(torch.Size(shape).numel()) * torch_dtype.itemsize
        header[name] = {"dtype": name_of_dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes.items():
            file.write(values(name, shape).to(torch_dtype).contiguous().numpy().tobytes())


def shapes_of(module):
    """{name: shape} of a module's parameters; `module` may be on the meta device."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def modules(family):
    """Returns [(folder, class name, config as it is saved, weights file, {name: shape})]; nothing is allocated."""
    weights = "diffusion_pytorch_model.safetensors"
    with torch.device("meta"):
        net = UNet2DConditionModel(**family["unet"])
        vae = AutoencoderKL(**{"block_out_channels": (128, 256, 512, 512), **family["vae"]}, layers_per_block=2,
                            latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
                            up_block_types=("UpDecoderBlock2D",) * 4)
        made = [("unet", "UNet2DConditionModel", dict(net.config), weights, shapes_of(net)),
                ("vae", "AutoencoderKL", dict(vae.config), weights, shapes_of(vae))]
        for folder, cls, sizes in family["text"]:
            # What the published files say: 2 stands for "where the largest id is".
            config = CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, eos_token_id=2, bos_token_id=0,
                                    pad_token_id=1, **sizes)
            model = {"CLIPTextModel": CLIPTextModel, "CLIPTextModelWithProjection": CLIPTextModelWithProjection}[cls](config)
            made.append((folder, cls, json.loads(config.to_json_string()), "model.safetensors", shapes_of(model)))
    return made


def make_folder(name, folder, dtype, seed, only=None):
    """Writes the family `name` as a folder in diffusers layout; `only`: of one component, all else is left out."""
    family = FAMILIES[name]
    index = {"_class_name": family["pipeline"], "_diffusers_version": "0.40.0"}
    for component, cls, config, weights, shapes in modules(family):
        if only not in (None, component):
            continue

        def values(tensor, shape, component=component):
            return values_of(f"{component}/{tensor}", shape, seed)

        write_safetensors(folder / component / weights, shapes, dtype, values)
        config = {key: value for key, value in config.items() if not key.startswith("_")}
        (folder / component / "config.json").write_text(json.dumps({**config, "_class_name": cls}, indent=1))
        index[component] = ["transformers" if component.startswith("text") else "diffusers", cls]
        if component.startswith("text"):
            tokenizer = component.replace("text_encoder", "tokenizer")
            shutil.copytree(ROOT / "models/emoji/tokenizer", folder / tokenizer, dirs_exist_ok=True)
            index[tokenizer] = ["transformers", "CLIPTokenizer"]
    cls, config = family["scheduler"]
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps({"_class_name": cls, **config}, indent=1))
    index["scheduler"] = ["diffusers", cls]
    (folder / "model_index.json").write_text(json.dumps(index, indent=1))


def make_file(name, path, dtype, seed):
    """Writes the family `name` as a checkpoint in one file, in the original layout."""
    family = {"sd15": "sd1", "sd21": "sd2", "sdxl": "sdxl", "sdxl-small": "sdxl"}[name]
    parts, shapes = {}, {}
    for component, _, config, _, named in modules(FAMILIES[name]):
        for original, (pieces, shape) in original_layout.original_parts(component, config, named, family).items():
            parts[original] = (component, pieces)
            shapes[original] = shape

    def values(original, shape):
        component, pieces = parts[original]
        made = [values_of(f"{component}/{tensor}", piece, seed) for tensor, piece in pieces]
        joined = torch.cat(made) if len(made) > 1 else made[0]
        return joined.t() if original.endswith("text_projection") else joined.reshape(shape)

    write_safetensors(path, shapes, dtype, values)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--like", required=True, choices=sorted(FAMILIES))
    parser.add_argument("--to", required=True, type=pathlib.Path, metavar="PATH")
    parser.add_argument("--form", default="folder", choices=["folder", "file"])
    parser.add_argument("--dtype", default="fp16", choices=sorted(DTYPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="COMPONENT", help="of a folder: leave out the others")
    args = parser.parse_args()
    if args.form == "folder":
        make_folder(args.like, args.to, args.dtype, args.seed, args.only)
    else:
        make_file(args.like, args.to, args.dtype, args.seed)


if __name__ == "__main__":
    main()
