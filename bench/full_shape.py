#!/usr/bin/env python3
"""Loads and steps SDXL at full size, of random weights, beside diffusers: seconds to load, seconds per step, peak memory.

    bench/full_shape.py [--build build/bench] [--peer-python PYTHON] [--work DIR] [--name full_shape_cpu] [--side N] [--rounds N]

What is loaded is what fits: all of it in fp32 where 24 GB are free, in bf16 where 14 GB are, else the U-Net alone in bf16
where 8 GB are, else nothing, and the result says so. The model is made on the spot (--work, 7 GB of disk; 5 GB of U-Net) by
tools/parity/make_random_model.py with the peer's Python, and stays there. Sides alternate; each is a process of its own that
finds the files in the page cache. Writes bench/results/NAME.json.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
THREADS = 2
# Free GiB, dtype, U-Net alone.
MODES = [(24, "fp32", False), (14, "bf16", False), (8, "bf16", True)]


def free_gib():
    for line in open("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 2**20
    return 0.0


def cpu_name():
    text = open("/proc/cpuinfo").read()
    model = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), platform.machine())
    wide = [flag for flag in ("avx512_bf16", "amx_bf16") if f" {flag} " in text]
    return f"{model}, {os.cpu_count()} cores" + "".join(f", {flag}" for flag in wide)


def run(*command):
    """Runs a program and returns the JSON object that it prints."""
    done = subprocess.run([str(c) for c in command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))


def resident(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return 0.0


def peer(args):
    """diffusers, eager, as one process; prints what bench/full_shape.cc prints."""
    import diffusers
    import torch
    import transformers  # noqa: F401, counted as a library, not as a model

    torch.set_num_threads(THREADS)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    before, start = resident("VmRSS:"), time.perf_counter()
    if args.unet_only:
        unet = diffusers.UNet2DConditionModel.from_pretrained(f"{args.model}/unet", torch_dtype=dtype)
    else:
        pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(args.model, torch_dtype=dtype, add_watermarker=False)
        unet = pipe.unet
    load_s, load_peak, loaded = time.perf_counter() - start, resident("VmHWM:") - before, resident("VmRSS:") - before
    cells = args.side // 8
    with torch.inference_mode():
        latents, text = torch.randn(1, 4, cells, cells).to(dtype), torch.randn(1, 77, 2048).to(dtype)
        added = {"text_embeds": torch.randn(1, 1280).to(dtype), "time_ids": torch.full((1, 6), 1024.0).to(dtype)}
        seconds = []
        for _ in range(args.steps + 1):
            step = time.perf_counter()
            unet(latents, torch.full((1,), 500.0), encoder_hidden_states=text, added_cond_kwargs=added, return_dict=False)
            seconds.append(time.perf_counter() - step)
    print(json.dumps({"load_s": load_s, "load_peak_mib": load_peak, "loaded_mib": loaded,
                      "step_s": statistics.median(seconds[1:]), "peak_mib": resident("VmHWM:") - before}))


def make_model(args, unet_only):
    """The folder of random weights; made where it is not there."""
    folder = args.work / ("sdxl_unet" if unet_only else "sdxl")
    if not (folder / "model_index.json").exists():
        only = ["--only", "unet"] if unet_only else []
        subprocess.run([args.peer_python, ROOT / "tools/parity/make_random_model.py", "--like", "sdxl", "--to", folder, *only],
                       check=True)
    # Once through the page cache.
    for file in folder.rglob("*.safetensors"):
        with open(file, "rb") as opened:
            while opened.read(1 << 24):
                pass
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/bench")
    parser.add_argument("--peer-python", default=os.environ.get("STEPCAST_PEER_PYTHON", ""))
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "stepcast_full_shape")
    parser.add_argument("--name", default="full_shape_cpu")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)  # the process of the other side
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", help=argparse.SUPPRESS)
    parser.add_argument("--unet_only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        peer(args)
        return
    if not args.peer_python:
        sys.exit("a Python with torch and diffusers is needed: --peer-python, or STEPCAST_PEER_PYTHON")
    free = free_gib()
    result = {"cpu": cpu_name(), "threads": THREADS, "load_average": os.getloadavg()[0], "free_gib": round(free, 1)}
    mode = next(((dtype, unet_only) for needed, dtype, unet_only in MODES if free >= needed), None)
    if mode is None:
        result["skipped"] = f"{free:.1f} GiB are free; the U-Net alone in bf16 needs {MODES[-1][0]}"
        print(json.dumps(result))
        return
    dtype, unet_only = mode
    folder = make_model(args, unet_only)
    flags = ["--dtype", dtype, "--side", args.side, "--steps", args.steps, *(["--unet_only"] if unet_only else [])]
    rounds = [(run(args.build / "bench/full_shape", "--model", folder, *flags),
               run(args.peer_python, __file__, "--peer", "--model", folder, *flags)) for _ in range(args.rounds)]
    result |= {"what": "SDXL's U-Net alone" if unet_only else "SDXL, all of it", "dtype": dtype, "side": args.side, "rows": 1}
    for key in ("load_s", "load_peak_mib", "loaded_mib", "step_s", "peak_mib"):
        ours, theirs = (statistics.median(pair[side][key] for pair in rounds) for side in (0, 1))
        result[key] = {"stepcast": round(ours, 2), "diffusers": round(theirs, 2), "ratio": round(theirs / ours, 2)}
    print(json.dumps(result, indent=1))
    (ROOT / f"bench/results/{args.name}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
