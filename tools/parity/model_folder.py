"""What a family's model folder has of its own, beside parts that fixtures share."""
import json

import diffusers
from make_sdxl_fixtures import SAMPLERS

SHARED = ("vae", "text_encoder", "tokenizer")


def write_model(out, family, schedule, unet):
    """Writes the index and the scheduler (of the config `schedule`) of a family, "xl" or another; returns its entry of a manifest.

    The denoiser is `unet`, all else the components of tests/parity/data/sdxl; paths are below `out`.
    """
    folder = out / "models" / family
    is_xl = family == "xl"
    scheduler = SAMPLERS["EULER" if is_xl else "DDIM"]
    scheduler.from_config(schedule).save_pretrained(folder / "scheduler")
    index = {"_class_name": "StableDiffusionXLPipeline" if is_xl else "StableDiffusionPipeline",
             "_diffusers_version": diffusers.__version__, "unet": ["diffusers", "UNet2DConditionModel"],
             "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"],
             "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", scheduler.__name__]}
    if is_xl:
        index |= {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
                  "tokenizer_2": ["transformers", "CLIPTokenizer"]}
    (folder / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")
    shared = (*SHARED, "text_encoder_2", "tokenizer_2") if is_xl else SHARED
    parts = {name: f"../sdxl/{name}" for name in shared}
    return {"index": f"models/{family}/model_index.json",
            "parts": parts | {"unet": unet, "scheduler": f"models/{family}/scheduler"}}
