#!/usr/bin/env python3
"""The peer: diffusers, doing what engine_bench does. Prints one JSON object per line.

    peer_diffusers.py ticks|jobs [--model DIR] [--device cpu|cuda] [--dtype fp32|bf16|fp16] [--compile] [--threads N]
                      [--jobs N] [--steps N] [--repeat N]

Eager, or with --compile the U-Net under torch.compile (its compilation is not counted).

`ticks`: milliseconds per UNet forward of 1, 2, 4 ... rows. `jobs`: seconds for one call of StableDiffusionPipeline that
paints --jobs pictures (DDIM, guidance 2.5), prompt encoding and VAE decoding included. Needs torch, diffusers and
transformers (tools/train/requirements.txt).
"""
import argparse
import json
import statistics
import time

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline


def seconds(work):
    """Runs `work` and returns how long it took, to the end of what it started on a device."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ticks(pipe, dtype, args):
    """Yields one measurement per row count; median over 10 * repeat forwards."""
    unet = pipe.unet
    width = unet.config.cross_attention_dim
    size = unet.config.sample_size
    rows = 1
    while rows <= args.max_rows:
        on = {"dtype": dtype, "device": args.device}
        latents = torch.randn(rows, unet.config.in_channels, size, size, **on)
        text = torch.randn(rows, 77, width, **on)
        times = torch.full((rows,), 500.0, device=args.device)
        forward = lambda: unet(latents, times, encoder_hidden_states=text, return_dict=False)
        for _ in range(3):
            forward()
        yield {"rows": rows, "tick_ms": 1e3 * statistics.median(seconds(forward) for _ in range(10 * args.repeat))}
        rows *= 2


def jobs(pipe, args):
    """Yields the median time of one pipeline call."""
    prompts = ["a red apple" if i % 2 == 0 else "panda" for i in range(args.jobs)]

    def paint(steps):
        generators = [torch.Generator().manual_seed(i) for i in range(args.jobs)]
        pipe(prompts, num_inference_steps=steps, guidance_scale=2.5, generator=generators, output_type="np")

    paint(2)
    yield {"jobs": args.jobs, "steps": args.steps,
           "wall_s": statistics.median(seconds(lambda: paint(args.steps)) for _ in range(args.repeat))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", choices=["ticks", "jobs"])
    parser.add_argument("--model", default="models/emoji")
    parser.add_argument("--dtype", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max_rows", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[args.dtype]
    pipe = StableDiffusionPipeline.from_pretrained(args.model, torch_dtype=dtype, safety_checker=None)
    pipe.to(args.device)
    if args.compile:
        pipe.unet = torch.compile(pipe.unet)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    with torch.inference_mode():
        for measurement in ticks(pipe, dtype, args) if args.scenario == "ticks" else jobs(pipe, args):
            print(json.dumps(measurement), flush=True)


if __name__ == "__main__":
    main()
