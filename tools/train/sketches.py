"""Pictures moved and recut, and the sketches that people would draw of them: data for the ControlNet.

The artwork is drawn once and centred. What teaches a network to follow an outline is the same picture elsewhere: shifted,
scaled, turned, mirrored, stretched and bent, or recut to the silhouette of something else. A sketch is made from the
silhouette of the result, as an outline or filled.

  paint       float32 [N, 3, 64, 64] in [0, 1]: the artwork, its colours carried on beyond its own outline
  silhouette  float32 [N, 1, 64, 64] in [0, 1]: its alpha channel
  grid        float32 [N, S, S, 2]: where each pixel of the result is looked up, in [-1, 1] as grid_sample counts
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

SIZE = 64
FINE = 2 * SIZE  # results are sampled so finely and averaged: no stair steps
ANGLES, RADII = 96, 64  # of an outline in polar coordinates
MARGIN = 0.95  # moved pictures stay within this share of the canvas, for the most part
GLYPHS = "ABCDEFGHJKLMNOPQRSTUVWXYZabdeghkmnpqrsuyz023456789&?"
SOLID = 0.8  # share of its polar outline that a picture must fill to be recut


@dataclass
class Artwork:
    """Pictures taken apart into paint and silhouette."""

    paint: torch.Tensor
    silhouette: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> Artwork:
        return Artwork(self.paint[index], self.silhouette[index])


def carry_colours_on(image: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """One picture [3, 64, 64] whose pixels outside `alpha` [64, 64] take the colour of the nearest pixel inside."""
    inside = (alpha > 0.9).flatten()
    if not inside.any():
        return image
    rows = torch.arange(SIZE).repeat_interleave(SIZE)
    places = torch.stack([rows, torch.arange(SIZE).repeat(SIZE)], 1).float()
    nearest = torch.cdist(places, places[inside]).argmin(1)
    return image.flatten(1)[:, inside][:, nearest].view(3, SIZE, SIZE)


def load_rgba(package: Path, file: str) -> torch.Tensor:
    """One file of the artwork: float32 [4, 64, 64] in [0, 1]."""
    pixels = np.asarray(Image.open(package / "img" / "google" / "64" / file).convert("RGBA"))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255


def load_silhouettes(package: Path, files: list[str]) -> torch.Tensor:
    """[len(files), 1, 64, 64]."""
    return torch.stack([load_rgba(package, file)[3:] for file in files])


def load_artwork(package: Path, files: list[str]) -> Artwork:
    rgba = torch.stack([load_rgba(package, file) for file in files])
    return Artwork(torch.stack([carry_colours_on(picture[:3], picture[3]) for picture in rgba]), rgba[:, 3:])


def uniform(low: float, high: float, count: int, generator: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def canvas_grid(count: int, size: int = FINE) -> torch.Tensor:
    """[count, size, size, 2]: every pixel looked up where it is."""
    return F.affine_grid(torch.eye(2, 3).expand(count, 2, 3), [count, 1, size, size], align_corners=False)


@dataclass
class Move:
    """Affine moves of N pictures. Floats [N]; `shift` [N, 2] in canvas halves; `turn` in radians; `flip` is 1 or -1."""

    scale: torch.Tensor
    aspect: torch.Tensor
    turn: torch.Tensor
    flip: torch.Tensor
    shift: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> Move:
        return Move(self.scale[index], self.aspect[index], self.turn[index], self.flip[index], self.shift[index])

    def grid(self) -> torch.Tensor:
        """Looks up through the inverse: canvas -> un-shift -> un-turn -> un-scale -> picture."""
        cos, sin = self.turn.cos(), self.turn.sin()
        wide, high = self.scale * self.aspect.sqrt() * self.flip, self.scale / self.aspect.sqrt()
        rows = torch.stack([torch.stack([cos / wide, sin / wide], 1), torch.stack([-sin / high, cos / high], 1)], 1)
        offset = -(rows @ self.shift.unsqueeze(2))
        count = len(self.scale)
        return F.affine_grid(torch.cat([rows, offset], 2), [count, 1, FINE, FINE], align_corners=False)


def draw_moves(count: int, generator: torch.Generator) -> Move:
    """Half of them mirrored, a quarter upright; small pictures may go far, large ones stay near the middle."""
    scale = uniform(0.42, 1.05, count, generator)
    aspect = uniform(math.log(0.68), math.log(1.47), count, generator).exp()
    turn = uniform(-0.8, 0.8, count, generator) * (torch.rand(count, generator=generator) > 0.25)
    flip = 1 - 2 * (torch.rand(count, generator=generator) < 0.5).float()
    room = (MARGIN + 0.1 - 0.9 * scale).clamp_min(0.06).unsqueeze(1)
    shift = room * (2 * torch.rand(count, 2, generator=generator) - 1)
    return Move(scale, aspect, turn, flip, shift)


def waves(count: int, cells: int, strength: float, size: int, generator: torch.Generator) -> torch.Tensor:
    """Smooth random displacements [count, size, size, 2]; `strength` is the deviation at the knots, in canvas halves."""
    knots = strength * torch.randn(count, 2, cells, cells, generator=generator)
    smooth = F.interpolate(knots, (size, size), mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def look_up(pictures: torch.Tensor, grid: torch.Tensor, padding: str) -> torch.Tensor:
    """[N, C, 64, 64] at `grid`, averaged down to 64x64."""
    fine = F.grid_sample(pictures, grid, mode="bilinear", padding_mode=padding, align_corners=False)
    return F.avg_pool2d(fine, fine.shape[-1] // SIZE)


def compose(paint: torch.Tensor, silhouette: torch.Tensor) -> torch.Tensor:
    """Paint within a silhouette, on white: [N, 3, 64, 64] in [0, 1]."""
    return paint * silhouette + (1 - silhouette)


def moved(artwork: Artwork, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures on white [N, 3, 64, 64] and their silhouettes [N, 1, 64, 64], looked up at `grid`."""
    silhouette = look_up(artwork.silhouette, grid, "zeros")
    return compose(look_up(artwork.paint, grid, "border"), silhouette), silhouette


def centres(silhouette: torch.Tensor) -> torch.Tensor:
    """[N, 2]: the centre of gravity (x, y), in [-1, 1]."""
    axis = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    weight = silhouette[:, 0] / silhouette.sum((1, 2, 3), keepdim=True)[:, 0].clamp_min(1e-6)
    return torch.stack([(weight * axis).sum((1, 2)), (weight * axis.unsqueeze(1)).sum((1, 2))], 1)


def polar_outline(silhouette: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """[N, ANGLES]: how far the silhouette reaches from `centre` in each direction, smoothed a little."""
    angle = torch.arange(ANGLES) / ANGLES * 2 * math.pi
    radius = (torch.arange(RADII) + 1) / RADII * 1.5
    rays = torch.stack([angle.cos(), angle.sin()], 1)[:, None] * radius[None, :, None]
    seen = F.grid_sample(silhouette, centre[:, None, None] + rays, padding_mode="zeros", align_corners=False)[:, 0]
    reach = ((seen > 0.5) * radius).amax(2).clamp_min(0.05)
    around = torch.cat([reach[:, -2:], reach, reach[:, :2]], 1).unsqueeze(1)
    return F.avg_pool1d(around, 5, stride=1)[:, 0]


def solidity(silhouette: torch.Tensor) -> torch.Tensor:
    """[N]: the share of its polar outline that a silhouette fills; near 1 for an apple, low for a bicycle."""
    outline = polar_outline(silhouette, centres(silhouette))
    hull = outline.square().mean(1) * math.pi  # area in canvas halves
    return silhouette.sum((1, 2, 3)) * (2 / SIZE) ** 2 / hull


def recut_grid(silhouette: torch.Tensor, target: torch.Tensor, size: int = FINE) -> torch.Tensor:
    """Looks up a picture so that its outline, seen from its centre, comes to lie on that of `target`."""
    own, other = centres(silhouette), centres(target)
    reach_own, reach_other = polar_outline(silhouette, own), polar_outline(target, other)
    offset = canvas_grid(len(target), size) - other[:, None, None]
    angle = torch.atan2(offset[..., 1], offset[..., 0]) / (2 * math.pi) % 1 * ANGLES
    lower = angle.floor()
    index, share = lower.long() % ANGLES, angle - lower

    def at(reach: torch.Tensor) -> torch.Tensor:
        flat, following = index.flatten(1), ((index + 1) % ANGLES).flatten(1)
        low, high = reach.gather(1, flat).view_as(share), reach.gather(1, following).view_as(share)
        return low + (high - low) * share

    return own[:, None, None] + offset * (at(reach_own) / at(reach_other)).unsqueeze(3)


def recut(artwork: Artwork, target: torch.Tensor, size: int = FINE) -> torch.Tensor:
    """The pictures' paint, stretched to and cut by other silhouettes [N, 1, 64, 64]: on white [N, 3, 64, 64]."""
    return compose(look_up(artwork.paint, recut_grid(artwork.silhouette, target, size), "border"), target)


def blobs(count: int, generator: torch.Generator) -> torch.Tensor:
    """Silhouettes of nothing in particular [count, 1, 64, 64]: circles, bumpy rounds, stars and boxes."""
    angle_of = canvas_grid(count)
    angle = torch.atan2(angle_of[..., 1], angle_of[..., 0])
    order = torch.arange(1, 7)
    strength = torch.randn(count, 6, generator=generator) / order**1.3 * uniform(0, 0.35, count, generator).unsqueeze(1)
    phase = 2 * math.pi * torch.rand(count, 6, generator=generator)
    bumps = (strength[:, :, None, None] * (order[:, None, None] * angle.unsqueeze(1) + phase[:, :, None, None]).cos()).sum(1)
    corners = torch.randint(3, 7, (count, 1, 1), generator=generator).float()
    sector = math.pi / corners
    polygon = sector.cos() / ((angle + phase[:, :1, None]) % (2 * sector) - sector).cos()
    angular = (torch.rand(count, generator=generator) < 0.4)[:, None, None]
    radius = 0.75 * torch.where(angular, polygon, bumps.exp())
    inside = (angle_of.square().sum(3).sqrt() < radius).float().unsqueeze(1)
    return F.avg_pool2d(inside, 2)


def glyph(character: str, stroke: int) -> torch.Tensor:
    """One letter as a silhouette [1, 64, 64], as large as the artwork; `stroke` thickens it, in 256ths of the canvas."""
    font = ImageFont.load_default(size=160)  # Pillow's own: no font has to be installed
    left, top, right, bottom = font.getbbox(character, stroke_width=stroke)
    tile = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(tile).text((-left, -top), character, fill=255, font=font, stroke_width=stroke)
    share = 0.9 * 4 * SIZE / max(tile.size)
    tile = tile.resize([max(1, round(share * side)) for side in tile.size], Image.Resampling.BILINEAR)
    canvas = Image.new("L", (4 * SIZE, 4 * SIZE))
    canvas.paste(tile, tuple((4 * SIZE - side) // 2 for side in tile.size))
    return F.avg_pool2d(torch.from_numpy(np.asarray(canvas).copy()).float()[None] / 255, 4)


def glyphs() -> torch.Tensor:
    """Letters and figures, bold and bolder, as silhouettes [N, 1, 64, 64]: outlines that no artwork has."""
    return torch.stack([glyph(character, stroke) for stroke in (8, 16, 26) for character in GLYPHS])


def dilate(mask: torch.Tensor, width: int) -> torch.Tensor:
    return F.max_pool2d(mask, width, stride=1, padding=width // 2) if width > 1 else mask


def erode(mask: torch.Tensor, width: int) -> torch.Tensor:
    return 1 - dilate(1 - mask, width)


def outline(silhouette: torch.Tensor, outside: int = 1, inside: int = 3) -> torch.Tensor:
    """The line around silhouettes, 1 where it is: it reaches outside // 2 and inside // 2 pixels from the edge."""
    padded = F.pad(silhouette, (4, 4, 4, 4))  # the canvas's border closes an outline
    return (dilate(padded, outside) - erode(padded, inside))[..., 4:-4, 4:-4]


def draw_sketches(silhouette: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One sketch [3, 64, 64] in [0, 1] of each silhouette, on white: outlines of any width and ink, or filled, by an
    unsteady hand."""
    count = len(silhouette)
    unsteady = canvas_grid(count) + waves(count, 7, 0.014, FINE, generator)
    drawn = look_up(silhouette, unsteady, "border")
    widths = [(1, 3), (3, 1), (3, 3), (3, 5), (5, 5)]
    style = torch.randint(len(widths), (count,), generator=generator)
    lines = torch.stack([outline(drawn[i : i + 1], *widths[style[i]])[0] for i in range(count)])
    filled = (torch.rand(count, generator=generator) < 0.4)[:, None, None, None]
    grey = torch.rand(count, 1, generator=generator)
    tint = (torch.rand(count, 3, generator=generator) - 0.5) * (torch.rand(count, 1, generator=generator) < 0.3)
    dark = torch.where(filled[:, :, 0, 0], 0.75 * grey, 0.4 * grey.square())
    ink = (dark + tint).clamp(0, 0.85)[:, :, None, None]
    mark = torch.where(filled, drawn, lines)
    return 1 - mark * (1 - ink)


def plain_sketch(silhouette: torch.Tensor, filled: bool) -> torch.Tensor:
    """The sketch that measurements and docs use: a black line of two pixels, or black all over."""
    mark = silhouette if filled else outline(silhouette, 3, 3)
    return (1 - mark).expand(-1, 3, -1, -1)
