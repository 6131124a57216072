#!/usr/bin/env python3
"""Draws the sketches of docs/images/sketches, which models/emoji-sketch follows: a few strokes each, 64x64, black on white.

    tools/gallery/draw_sketches.py

Needs Pillow. None of them is the outline of a picture that the model knows.
"""
import math
import pathlib

from PIL import Image, ImageDraw

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs/images/sketches"
SIZE, FINE, STROKE = 64, 8, 2.2  # pixels; drawn FINE times as large; width of the pen


def smooth(points, parts=16):
    """A closed Catmull-Rom curve through `points`."""
    curve = []
    for i in range(len(points)):
        a, b, c, d = (points[(i + k - 1) % len(points)] for k in range(4))
        for step in range(parts):
            t = step / parts
            curve.append(tuple(0.5 * (2 * b[k] + (c[k] - a[k]) * t + (2 * a[k] - 5 * b[k] + 4 * c[k] - d[k]) * t**2
                                      + (3 * b[k] - a[k] - 3 * c[k] + d[k]) * t**3) for k in range(2)))
    return curve


def star(middle, outer, inner, turn):
    """The ten corners of a star."""
    return [(middle[0] + (inner if i % 2 else outer) * math.sin(turn + i * math.pi / 5),
             middle[1] - (inner if i % 2 else outer) * math.cos(turn + i * math.pi / 5)) for i in range(10)]


# Closed strokes in pixels of the finished sketch.
SKETCHES = {
    "apple": [smooth([(24, 29), (16, 26), (8, 32), (7, 43), (13, 55), (21, 58), (26, 56), (32, 58), (40, 53), (44, 42),
                      (41, 31), (33, 26), (28, 28), (30, 19), (36, 13), (33, 11), (26, 18)])],
    "star": [star((40, 26), 21, 10, 0.3)],
    "pear": [smooth([(44, 9), (38, 16), (34, 27), (25, 33), (21, 44), (27, 55), (39, 58), (50, 52), (53, 41), (48, 29),
                     (47, 18)])],
    "mushroom": [smooth([(6, 33), (10, 20), (24, 11), (41, 12), (54, 22), (57, 33), (48, 37), (38, 37), (38, 48), (42, 57),
                         (31, 59), (22, 57), (26, 47), (25, 37), (14, 37)])],
    "egg": [smooth([(32, 6), (22, 14), (14, 30), (13, 44), (20, 55), (32, 59), (44, 55), (51, 44), (50, 30), (42, 14)])],
    "box": [[(10, 18), (55, 14), (57, 48), (12, 53)]],
}


def draw(strokes):
    """One sketch as a greyscale picture."""
    canvas = Image.new("L", (SIZE * FINE, SIZE * FINE), 255)
    pen = ImageDraw.Draw(canvas)
    for stroke in strokes:
        points = [(x * FINE, y * FINE) for x, y in [*stroke, *stroke[:2]]]
        pen.line(points, fill=0, width=round(STROKE * FINE), joint="curve")
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGB")


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, strokes in SKETCHES.items():
        draw(strokes).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
