#!/usr/bin/env python3
"""Re-makes the pictures of the docs from a running server: every preview and every picture is the server's own.

    tools/gallery/gallery.py [--host localhost:50051] [--grpcurl .deps/bin/grpcurl] [--only NAME,...]

Needs grpcurl and Pillow.
"""
import argparse
import base64
import io
import json
import pathlib
import subprocess
import sys

from PIL import Image, ImageDraw

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/images"
SERVICE = "stepcast.v1.ImageGenerationService"
GAP = 4  # pixels between two pictures of a strip


class Server:
    """A server that is asked with grpcurl, as a reader of the docs would."""

    def __init__(self, args):
        self.command = [args.grpcurl, "-plaintext", "-d", "@", args.host]

    def call(self, method, request):
        """Yields the messages of the answer. Raises RuntimeError with the server's own words when it refuses."""
        done = subprocess.run([*self.command, f"{SERVICE}/{method}"], input=json.dumps(request), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().replace("\n", " "))
        decoder, text = json.JSONDecoder(), done.stdout.lstrip()
        while text:
            message, end = decoder.raw_decode(text)
            yield message
            text = text[end:].lstrip()

    def frames(self, **request):
        """Returns the previews of one request and then its picture, as PIL images."""
        frames = []
        for event in self.call("Generate", request):
            shown = event.get("preview") or event.get("imageChunk") or event.get("image_chunk")
            if shown:
                frames.append(Image.open(io.BytesIO(base64.b64decode(shown["data"]))).convert("RGB"))
        return frames

    def samplers(self, model):
        """Returns the samplers of a model, as the proto spells them."""
        answer = next(self.call("GetModel", {"model": model}))
        return [sampler["sampler"] for sampler in answer["model"]["samplers"]]


def strip(rows, path, cell):
    """Writes rows of pictures, each scaled to `cell` pixels."""
    step = cell + GAP
    sheet = Image.new("RGB", (max(map(len, rows)) * step, len(rows) * step), "white")
    for y, row in enumerate(rows):
        for x, frame in enumerate(row):
            sheet.paste(frame.resize((cell, cell), Image.NEAREST), (x * step + GAP // 2, y * step + GAP // 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)
    print(path.relative_to(ROOT))


def previews(every):
    return {"every_n_steps": every, "format": "IMAGE_FORMAT_PNG"}


def preview_strip(server):
    """The strip of the README: three prompts as they come out of the noise."""
    rows = [server.frames(prompt=prompt, seed=7, steps=24, sampler="SAMPLER_EULER", preview=previews(4))
            for prompt in ("a red apple", "rocket in space", "panda")]
    strip(rows, IMAGES / "preview_strip.png", cell=96)


def samplers(server):
    """One strip for each sampler of the bundled text model: six looks at the same picture on its way."""
    for name in server.samplers("emoji"):
        short = name.removeprefix("SAMPLER_").lower()
        steps = {"lcm": 12, "tcd": 12, "sde_ve": 96, "sde_vp": 96, "ddpm": 96}.get(short, 24)
        try:
            frames = server.frames(model="emoji", prompt="a red apple", seed=7, steps=steps, sampler=name,
                                   preview=previews(max(1, steps // 6)))
        except RuntimeError as refusal:
            print(f"{short}: no strip: {refusal}", file=sys.stderr)
            continue
        strip([frames], IMAGES / "samplers" / f"{short}.png", cell=64)


def preview_decoders(server):
    """What a tiny decoder is worth: the same pictures unfinished, by the matrix, by the network. Needs a server with
    models/emoji twice: as `emoji`, and as `emoji-linear` with `preview: linear`."""
    rows = []
    for prompt, seed in (("rocket in space", 7), ("panda", 3), ("a slice of pizza", 9)):
        for model in ("emoji-linear", "emoji"):
            rows.append(server.frames(model=model, prompt=prompt, seed=seed, steps=24, sampler="SAMPLER_EULER",
                                      preview=previews(4), priority="PRIORITY_INTERACTIVE"))
    strip(rows, IMAGES / "preview_decoders.png", cell=96)


def encoded(picture):
    """A picture as a field of a request holds it."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def mask(*box):
    """What lies in `box` is repainted."""
    drawn = Image.new("L", (64, 64), 0)
    ImageDraw.Draw(drawn).rectangle(box, fill=255)
    return drawn


def input_pictures(server):
    """The strips of docs/pictures.md: what came with the request, and what the server made of it."""
    def paint(prompt, **fields):
        return server.frames(model="emoji", prompt=prompt, seed=7, **fields)[-1]

    apple = paint("a red apple")
    begun = {"init_image": encoded(apple)}
    half, middle = mask(0, 32, 63, 63), mask(20, 20, 44, 44)
    save = lambda name, *rows: strip(rows, IMAGES / "pictures" / f"{name}.png", cell=96)
    save("strength", [apple, *(paint("a green apple", strength=s, **begun) for s in (0.3, 0.5, 0.6, 0.8, 1.0))])
    save("inpaint",
         [apple, half, paint("a pear", mask_image=encoded(half), strength=1.0, **begun)],
         [apple, middle, paint("a lemon", mask_image=encoded(middle), strength=0.9,
                               inpaint={"only_masked": True, "blur": 2}, **begun)])
    inverted = {"invert": True, "sampler": "SAMPLER_DDIM", "steps": 50, **begun}
    save("invert", [apple, paint("a red apple", guidance_scale=1.0, **inverted),
                    paint("a green apple", guidance_scale=2.5, **inverted)])
    sketches = {name: Image.open(IMAGES / "sketches" / f"{name}.png").convert("RGB")
                for name in ("apple", "pear", "star", "mushroom")}
    follow = lambda sketch: {"control": [{"model": "emoji-sketch", "image": encoded(sketch)}]}
    save("control", list(sketches.values()),
         [paint(name, **follow(sketch)) for name, sketch in sketches.items()],
         [paint(name) for name in sketches])


PICTURES = {f.__name__: f for f in (preview_strip, samplers, preview_decoders, input_pictures)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="localhost:50051")
    parser.add_argument("--grpcurl", default=str(ROOT / ".deps/bin/grpcurl"))
    parser.add_argument("--only", default=",".join(PICTURES), help="which pictures: %(default)s")
    args = parser.parse_args()
    for name in args.only.split(","):
        PICTURES[name](Server(args))


if __name__ == "__main__":
    main()
