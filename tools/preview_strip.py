#!/usr/bin/env python3
"""Re-makes docs/images/preview_strip.png from a running server: the previews of a few requests, then their pictures.

    tools/preview_strip.py [--host localhost:50051] [--grpcurl .deps/bin/grpcurl]

Needs grpcurl and Pillow.
"""
import argparse
import base64
import io
import json
import pathlib
import subprocess

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMPTS = ["a red apple", "rocket in space", "panda"]
CELL = 96  # pixels
STEPS, EVERY = 24, 4


def frames(args, prompt):
    """Yields the previews of one request and its picture, in order, as PIL images."""
    request = {"prompt": prompt, "seed": 7, "steps": STEPS, "sampler": "SAMPLER_EULER",
               "preview": {"every_n_steps": EVERY, "format": "IMAGE_FORMAT_PNG"}}
    done = subprocess.run([args.grpcurl, "-plaintext", "-d", json.dumps(request), args.host,
                           "stepcast.v1.ImageGenerationService/Generate"], check=True, capture_output=True, text=True)
    decoder, text = json.JSONDecoder(), done.stdout
    while text.strip():
        event, end = decoder.raw_decode(text.lstrip())
        text = text.lstrip()[end:]
        shown = event.get("preview") or event.get("image_chunk") or event.get("imageChunk")
        if shown:
            yield Image.open(io.BytesIO(base64.b64decode(shown["data"])))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="localhost:50051")
    parser.add_argument("--grpcurl", default=str(ROOT / ".deps/bin/grpcurl"))
    args = parser.parse_args()
    rows = [list(frames(args, prompt)) for prompt in PROMPTS]
    strip = Image.new("RGB", (max(map(len, rows)) * (CELL + 4), len(rows) * (CELL + 4)), "white")
    for y, row in enumerate(rows):
        for x, frame in enumerate(row):
            strip.paste(frame.convert("RGB").resize((CELL, CELL), Image.NEAREST), (x * (CELL + 4) + 2, y * (CELL + 4) + 2))
    strip.save(ROOT / "docs/images/preview_strip.png", optimize=True)


if __name__ == "__main__":
    main()
