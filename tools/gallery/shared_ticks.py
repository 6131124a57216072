#!/usr/bin/env python3
"""Draws what step batching is: staggered requests, and the ticks that they shared, as a running server reports them.

    tools/gallery/shared_ticks.py [--host localhost:50051] [--admin localhost:50052] [--grpcurl .deps/bin/grpcurl]

Six requests of different prompts, samplers, steps and guidance arrive one after the other. Every cell of the chart is a
denoiser row of `SchedulerService.WatchTicks`, one column a tick, its colour the request; every frame above it is a preview
or the picture of that request. Needs grpcurl and Pillow.
"""
import argparse
import base64
import io
import json
import pathlib
import subprocess
import threading

from PIL import Image, ImageDraw, ImageFont

ROOT = pathlib.Path(__file__).resolve().parents[2]
GENERATE = "stepcast.v1.ImageGenerationService/Generate"
WATCH = "stepcast.v1.SchedulerService/WatchTicks"
FRAME, GAP, CELL, MARGIN = 72, 4, 9, 16  # pixels
FRAMES = 6  # of each request, the picture included
INK, PAPER = "#24292f", "white"

# Prompt, fields beside it, and the step of the request before at which this one arrives.
REQUESTS = [
    ("a red apple", {"steps": 30, "sampler": "SAMPLER_EULER", "seed": 7}, 0),
    ("panda", {"steps": 20, "sampler": "SAMPLER_DPMPP_2M", "seed": 3}, 6),
    ("rocket in space", {"steps": 24, "sampler": "SAMPLER_DDIM", "seed": 7, "guidance_scale": 4}, 4),
    ("sunflower", {"steps": 16, "sampler": "SAMPLER_UNIPC", "seed": 5}, 5),
    ("cat face", {"steps": 24, "sampler": "SAMPLER_EULER_ANCESTRAL", "seed": 2}, 3),
    ("a slice of pizza", {"steps": 12, "sampler": "SAMPLER_HEUN", "seed": 9}, 4),
]
COLOURS = ["#cf222e", "#57606a", "#0969da", "#d4a72c", "#8250df", "#1a7f37"]


def messages(process):
    """Yields the JSON objects that a grpcurl process prints."""
    text, depth, inside = [], 0, False
    for line in process.stdout:
        inside = inside or line.startswith("{")
        depth += line.count("{") - line.count("}") if '"data"' not in line else 0
        if inside:
            text.append(line)
        if inside and depth == 0:
            yield json.loads("".join(text))
            text, inside = [], False


def start(args, host, method, request):
    """Starts grpcurl on a streaming method."""
    command = [args.grpcurl, "-plaintext", "-d", json.dumps(request), host, method]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class Painting(threading.Thread):
    """One request: its frames, and an event for the step at which the next one may come."""

    def __init__(self, args, prompt, fields, next_at):
        super().__init__()
        every = -(-fields["steps"] // 25)  # as many previews as a server allows
        self.request = {"model": "emoji", "prompt": prompt, **fields,
                        "preview": {"every_n_steps": every, "format": "IMAGE_FORMAT_PNG"}}
        self.args, self.next_at, self.frames, self.reached = args, next_at, [], threading.Event()

    def run(self):
        process = start(self.args, self.args.host, GENERATE, self.request)
        for event in messages(process):
            shown = event.get("preview") or event.get("image_chunk")
            if shown:
                self.frames.append(Image.open(io.BytesIO(base64.b64decode(shown["data"]))).convert("RGB"))
            if event.get("progress", {}).get("step", 0) >= self.next_at:
                self.reached.set()
        self.reached.set()
        if process.wait() != 0:
            raise RuntimeError(f"the server refused {self.request['prompt']!r}")


def paint(args):
    """Returns the paintings, and the denoise ticks of the meantime as lists of (job id, rows)."""
    watch = start(args, args.admin, WATCH, {})
    ticks = []

    def read():
        for message in messages(watch):
            tick = message["tick"]
            if tick["key"]["phase"] == "TICK_PHASE_DENOISE":  # all are guided: equal shares
                ticks.append([(job["job_id"], tick["rows"] // len(tick["jobs"])) for job in tick["jobs"]])

    reader = threading.Thread(target=read)
    reader.start()
    paintings = []
    for i, (prompt, fields, _) in enumerate(REQUESTS):
        if paintings:
            paintings[-1].reached.wait()
        paintings.append(Painting(args, prompt, fields, REQUESTS[i + 1][2] if i + 1 < len(REQUESTS) else 0))
        paintings[-1].start()
    for painting in paintings:
        painting.join()
    watch.terminate()
    reader.join()
    return paintings, ticks


def draw(paintings, ticks, path):
    """Writes the picture: one line of frames per request, then the chart of the ticks."""
    jobs = sorted({job for tick in ticks for job, _ in tick}, key=int)
    if len(jobs) != len(paintings):
        raise RuntimeError(f"{len(jobs)} pictures were painted, not {len(paintings)}: somebody else uses this server")
    colour = dict(zip(jobs, COLOURS))
    font = ImageFont.load_default(size=13)
    label = 190
    tallest = max(sum(rows for _, rows in tick) for tick in ticks)
    frames_height = len(paintings) * (FRAME + GAP)
    width = max(MARGIN * 2 + label + FRAMES * (FRAME + GAP), MARGIN * 2 + len(ticks) * CELL)
    sheet = Image.new("RGB", (width, MARGIN * 3 + frames_height + 44 + tallest * CELL), PAPER)
    pen = ImageDraw.Draw(sheet)
    for y, (painting, job) in enumerate(zip(paintings, jobs)):
        top = MARGIN + y * (FRAME + GAP)
        pen.rectangle([MARGIN, top, MARGIN + 6, top + FRAME - 1], fill=colour[job])
        fields = painting.request
        words = [fields["prompt"], fields["sampler"].removeprefix("SAMPLER_").lower(), f"{fields['steps']} steps"]
        for line, text in enumerate(words):
            pen.text((MARGIN + 14, top + 10 + 18 * line), text, fill=INK, font=font)
        early = sorted({round((len(painting.frames) - 1) * (i / (FRAMES - 1)) ** 2.5) for i in range(FRAMES)})
        chosen = [painting.frames[i] for i in early]  # most happens in the first steps
        for x, frame in enumerate(chosen):
            sheet.paste(frame.resize((FRAME, FRAME), Image.NEAREST), (MARGIN + label + x * (FRAME + GAP), top))
    top = MARGIN * 2 + frames_height
    pen.text((MARGIN, top), f"{len(ticks)} ticks, left to right; a cell is one denoiser row, its colour the request:",
             fill=INK, font=font)
    floor = top + 24 + tallest * CELL
    for x, tick in enumerate(ticks):
        level = 0
        for job, rows in tick:
            for _ in range(rows):
                left, bottom = MARGIN + x * CELL, floor - level * CELL
                pen.rectangle([left, bottom - CELL + 1, left + CELL - 2, bottom - 1], fill=colour[job])
                level += 1
    sheet.save(path, optimize=True)
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="localhost:50051")
    parser.add_argument("--admin", default="localhost:50052")
    parser.add_argument("--grpcurl", default=str(ROOT / ".deps/bin/grpcurl"))
    parser.add_argument("--to", type=pathlib.Path, default=ROOT / "docs/images/shared_ticks.png")
    args = parser.parse_args()
    draw(*paint(args), args.to)


if __name__ == "__main__":
    main()
