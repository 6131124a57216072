"""Paints the reference latents of tests/parity for models that read neither text nor class, with tiny random weights.

    python tools/parity/make_pixel_fixtures.py [--out tests/parity/data/pixel] [--seed N] [--random N]

Builds a small U-Net of each odd kind that repositories hold (pixels, grey or RGB; latents of a VQModel or an AutoencoderKL;
noise levels instead of timesteps), saves each as a whole model folder, and paints with diffusers' own pipelines: float32
on the CPU, one torch.Generator("cpu") per image. Writes of each request the final latents (of a pipeline that paints pixels:
before they are clamped) and the picture. --seed makes other weights; --random adds that many random requests, for a corpus
beside the committed one. Needs torch, diffusers.
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

ROOT = Path(__file__).resolve().parents[2]
# As the DDPM repositories of 2022 have it.
DDPM = {"attention_head_dim": None, "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6,
        "mid_block_scale_factor": 1, "norm_num_groups": 4, "layers_per_block": 2}
SCORE = {"time_embedding_type": "fourier", "norm_eps": 1e-6, "mid_block_scale_factor": 1.41421356237, "norm_num_groups": 4,
         "attention_head_dim": None, "layers_per_block": 1}
LDM = {"attention_head_dim": 4, "norm_num_groups": 4, "layers_per_block": 1}


def blocks(attends):
    """Block types of a U-Net whose levels attend or not."""
    down = tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends)
    up = tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends))
    return {"down_block_types": down, "up_block_types": up}


def unet(size, channels, attends, **others):
    return diffusers.UNet2DModel(sample_size=size, block_out_channels=channels, **blocks(attends), **others)


def autoencoder(cls, **others):
    return cls(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, norm_num_groups=4,
               up_block_types=("UpDecoderBlock2D",) * 2, **others)


# name: (pipeline, U-Net, scheduler of the folder, autoencoder or None)
VARIANTS = {
    "ddpm_flat": ("DDPMPipeline", lambda: unet(16, (8, 16, 16), (0, 1, 0), **DDPM),
                  diffusers.DDPMScheduler(variance_type="fixed_large"), None),
    "ddpm_deep": ("DDPMPipeline", lambda: unet(16, (8, 8, 16, 16), (0, 0, 1, 0), **DDPM),
                  diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"), None),
    "ddpm_grey_variance": ("DDPMPipeline",
                           lambda: unet((12, 20), (8, 16), (1, 1), in_channels=1, out_channels=2, attention_head_dim=4,
                                        norm_num_groups=2, add_attention=False, layers_per_block=1),
                           diffusers.DDPMScheduler(variance_type="learned_range"), None),
    "ddpm_scale_shift": ("DDPMPipeline",
                         lambda: unet(8, (8, 16), (0, 1), resnet_time_scale_shift="scale_shift", downsample_type="resnet",
                                      upsample_type="resnet", attention_head_dim=8, norm_num_groups=4,
                                      mid_block_scale_factor=1.25, center_input_sample=True, time_embedding_dim=24),
                         diffusers.DDPMScheduler(), None),
    "ddim_of_ddpm": ("DDIMPipeline", lambda: unet(16, (8, 16, 16), (0, 0, 1), **DDPM),
                     diffusers.DDPMScheduler(clip_sample_range=1.5, steps_offset=1), None),
    "ddim_learned_times": ("DDIMPipeline",
                           lambda: unet(8, (8, 16), (1, 1), time_embedding_type="learned", num_train_timesteps=1000,
                                        attn_norm_num_groups=8, act_fn="mish", norm_num_groups=2, attention_head_dim=4),
                           diffusers.DDIMScheduler(thresholding=True, clip_sample=False), None),
    "pndm": ("PNDMPipeline", lambda: unet(16, (8, 16), (0, 1), **DDPM), diffusers.DDPMScheduler(prediction_type="v_prediction"), None),
    "score": ("ScoreSdeVePipeline", lambda: unet(8, (8, 16), (0, 1), **SCORE),
              diffusers.ScoreSdeVeScheduler(sigma_max=2.0), None),
    "score_corrected_twice": ("ScoreSdeVePipeline", lambda: unet(8, (8, 8, 8), (0, 1, 0), **SCORE),
                              diffusers.ScoreSdeVeScheduler(sigma_max=1.0, snr=0.17, correct_steps=2), None),
    "ldm_vq": ("LDMPipeline", lambda: unet(16, (8, 16), (0, 1), **LDM),
               diffusers.DDIMScheduler(beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear",
                                       prediction_type="v_prediction"),
               lambda: autoencoder(diffusers.VQModel, num_vq_embeddings=64, scaling_factor=0.5)),
    "ldm_vq_wide_codes": ("LDMPipeline", lambda: unet(8, (8, 16), (1, 0), in_channels=4, out_channels=4, **LDM),
                          diffusers.DDIMScheduler(clip_sample=False, prediction_type="v_prediction"),
                          lambda: autoencoder(diffusers.VQModel, num_vq_embeddings=32, vq_embed_dim=4, latent_channels=5)),
    "ldm_kl": ("LDMPipeline", lambda: unet(8, (8, 16), (0, 1), in_channels=4, out_channels=4, **LDM),
               diffusers.EulerDiscreteScheduler(prediction_type="v_prediction"),
               lambda: autoencoder(diffusers.AutoencoderKL)),
}
# What each paints with: DDIM's and PNDM's convert the scheduler of their folder.
SAMPLERS = {"DDPMPipeline": "DDPM", "DDIMPipeline": "DDIM", "PNDMPipeline": "PNDM", "ScoreSdeVePipeline": "SDE_VE"}
DEFAULTS = {"seed": 0, "image_index": 0, "steps": 8, "eta": 0.0, "guidance_scale": 1.0}
REQUESTS = [
    {"name": "ddpm_flat", "variant": "ddpm_flat", "seed": 1},
    {"name": "ddpm_flat_long", "variant": "ddpm_flat", "seed": 4294967302, "steps": 40},
    {"name": "ddpm_one_step", "variant": "ddpm_flat", "seed": 3, "steps": 1},
    {"name": "ddpm_deep", "variant": "ddpm_deep", "seed": 4, "steps": 12},
    {"name": "ddpm_grey_variance", "variant": "ddpm_grey_variance", "seed": 5, "image_index": 1},
    {"name": "ddpm_scale_shift", "variant": "ddpm_scale_shift", "seed": 6},
    {"name": "ddim", "variant": "ddim_of_ddpm", "seed": 7},
    {"name": "ddim_eta", "variant": "ddim_of_ddpm", "seed": 8, "eta": 1.0, "steps": 5},
    {"name": "ddim_learned_times", "variant": "ddim_learned_times", "seed": 9, "steps": 11},
    {"name": "pndm", "variant": "pndm", "seed": 10, "steps": 7},
    {"name": "score", "variant": "score", "seed": 11, "steps": 12},
    {"name": "score_corrected_twice", "variant": "score_corrected_twice", "seed": 12, "steps": 6},
    {"name": "ldm_vq", "variant": "ldm_vq", "seed": 13},
    {"name": "ldm_vq_wide_codes", "variant": "ldm_vq_wide_codes", "seed": 14, "steps": 6},
    {"name": "ldm_kl", "variant": "ldm_kl", "seed": 15, "steps": 6},
]


def random_request(i, rng):
    variant = rng.choice(list(VARIANTS))
    request = {"name": f"random_{i}", "variant": variant, "seed": rng.randrange(1 << 33),
               "image_index": rng.choice([0, 0, 2]), "steps": rng.choice([2, 3, 5, 9, 17])}
    if variant.startswith("ddim"):
        request["eta"] = rng.choice([0.0, 0.5, 1.0])
    if variant == "pndm":
        request["steps"] = max(5, request["steps"])
    return request


def livelier(module, gain):
    """Fresh networks hardly answer what they are shown; codes lie all in one place."""
    if isinstance(module, diffusers.UNet2DModel):
        module.conv_out.weight.mul_(gain)
    if isinstance(module, diffusers.VQModel):
        codes = module.quantize.embedding.weight
        codes.copy_(torch.randn(codes.shape) * 2)
    return module.half().float().eval()  # what is saved is in half precision


def old_names(path):
    """The attention of 2022."""
    rename = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    tensors = {}
    for name, tensor in load_file(path).items():
        for new, old in rename.items():
            name = name.replace(new, old)
        tensors[name] = tensor
    save_file(tensors, path)


def save(module, folder):
    module.half().save_pretrained(folder)
    file = next(folder.glob("*.safetensors"))
    save_file(load_file(file), file)  # without the writer's metadata
    module.float()


def make_variant(name, out):
    """Saves a whole folder and returns the pipeline."""
    pipeline, make_unet, scheduler, make_vae = VARIANTS[name]
    folder = out / name
    # What nobody clips grows from step to step, and so does rounding: with weights perturbed by 1e-6 every request of a
    # random corpus stays within 4e-4 of its spread.
    parts = {"unet": livelier(make_unet(), {"DDPMPipeline": 4, "DDIMPipeline": 2}.get(pipeline, 1.5))}
    if make_vae:
        parts["vqvae"] = livelier(make_vae(), 1)
    index = {"_class_name": pipeline, "_diffusers_version": "0.1.1", "scheduler": ["diffusers", type(scheduler).__name__]}
    flat = name == "ddpm_flat"
    for part, module in parts.items():
        index[part] = ["diffusers", type(module).__name__]
        save(module, folder if flat else folder / part)
    if flat:
        old_names(folder / "diffusion_pytorch_model.safetensors")
    scheduler.save_pretrained(folder if flat else folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")
    pipe = getattr(diffusers, pipeline)(**parts, scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def record_steps(pipe):
    """The list that the results of the scheduler's steps go to."""
    seen = []
    step_name = "step_pred" if isinstance(pipe, diffusers.ScoreSdeVePipeline) else "step"
    step = getattr(type(pipe.scheduler), step_name)

    def recorded(*args, **kwargs):
        output = step(pipe.scheduler, *args, **kwargs)
        seen.append(getattr(output, "prev_sample_mean", None) if step_name == "step_pred" else output.prev_sample)
        return output

    setattr(pipe.scheduler, step_name, recorded)
    return seen


def paint(pipe, request):
    """Returns latents and picture."""
    seen = record_steps(pipe)
    generator = torch.Generator("cpu").manual_seed(request["seed"] + request["image_index"])
    options = {"eta": request["eta"]} if request["eta"] > 0 else {}
    pixels = pipe(generator=generator, num_inference_steps=request["steps"], output_type="np", **options).images[0]
    colours = torch.from_numpy(pixels).expand(-1, -1, 3)
    return seen[-1][0].contiguous().clone(), Image.fromarray((colours * 255).round().to(torch.uint8).numpy())


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "tests/parity/data/pixel")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    pipes = {name: make_variant(name, args.out) for name in VARIANTS}
    rng = random.Random(args.seed)
    requests, all_latents = [], {}
    for request in REQUESTS + [random_request(i, rng) for i in range(args.random)]:
        request = DEFAULTS | request
        pipe = pipes[request["variant"]]
        latents, picture = paint(pipe, request)
        sampler = SAMPLERS.get(type(pipe).__name__, "EULER" if request["variant"] == "ldm_kl" else "DDIM")
        requests.append(request | {"sampler": sampler, "width": picture.width, "height": picture.height})
        all_latents[request["name"]] = latents
        picture.save(args.out / f"{request['name']}.png", optimize=True)
        noise = torch.randn(1, *latents.shape)
        level = torch.tensor([1.0 if "score" in request["variant"] else 500.0])
        answer = pipe.unet(noise, level if "score" in request["variant"] else level.long()).sample
        print(f"{request['name']}: std {latents.std():.3f}, max {latents.abs().max():.3f}, U-Net {answer.std():.3f}", flush=True)
    save_file(all_latents, args.out / "latents.safetensors")
    manifest = {"made_by": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]}", "requests": requests}
    (args.out / "requests.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
