"""Checks of the ControlNet's training that need no artwork: `python -m unittest discover tools/train`."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import torch
from diffusers import ControlNetModel
from PIL import Image

import architecture
import control
import evaluate_control
import sketches
from captions import CaptionWriter
from dataset import load_emoji_names
from evaluate import LoadedModel
from sketches import Artwork, Move
from stage import StageSettings

torch.set_num_threads(1)  # as the workers of a training run
MODEL = Path(__file__).resolve().parents[2] / "models" / "emoji"


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def box(top: int, bottom: int, left: int, right: int) -> torch.Tensor:
    """A silhouette [1, 1, 64, 64]."""
    silhouette = torch.zeros(1, 1, 64, 64)
    silhouette[..., top:bottom, left:right] = 1
    return silhouette


def red(silhouette: torch.Tensor) -> Artwork:
    paint = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(len(silhouette), 3, 64, 64)
    return Artwork(paint, silhouette)


def move(scale: float = 1, aspect: float = 1, turn: float = 0, flip: float = 1, shift: tuple = (0, 0)) -> Move:
    return Move(*(torch.tensor([float(v)]) for v in (scale, aspect, turn, flip)), torch.tensor([shift]).float())


def silhouette_after(silhouette: torch.Tensor, **how) -> torch.Tensor:
    return sketches.moved(red(silhouette), move(**how).grid())[1]


class Moves(unittest.TestCase):
    def test_no_move_changes_no_pixel_inside(self):
        torch.testing.assert_close(silhouette_after(box(20, 40, 10, 30))[..., 22:38, 12:28], torch.ones(1, 1, 16, 16))

    def test_shifts_go_right_and_down(self):
        before = box(28, 36, 28, 36)
        centre = sketches.centres(silhouette_after(before, shift=(0.25, 0.5)))[0]
        torch.testing.assert_close(centre, torch.tensor([0.25, 0.5]), atol=0.02, rtol=0)

    def test_mirrors_turns_and_sizes(self):
        before = box(28, 36, 44, 52)  # right of the middle, centre (0.5, 0)
        for how, expected in (({"flip": -1}, (-0.5, 0)), ({"turn": torch.pi / 2}, (0, 0.5)), ({"scale": 0.5}, (0.25, 0)),
                              ({"aspect": 2.25}, (0.75, 0))):
            with self.subTest(how):
                centre = sketches.centres(silhouette_after(before, **how))[0]
                torch.testing.assert_close(centre, torch.tensor(expected).float(), atol=0.02, rtol=0)

    def test_a_move_of_several_kinds_applies_size_then_turn_then_shift(self):
        centre = sketches.centres(silhouette_after(box(28, 36, 44, 52), scale=0.5, turn=torch.pi / 2, shift=(0.5, 0)))[0]
        torch.testing.assert_close(centre, torch.tensor([0.5, 0.25]), atol=0.02, rtol=0)

    def test_drawn_moves_keep_most_of_a_picture_on_the_canvas(self):
        moves = sketches.draw_moves(200, generator())
        disc = (sketches.canvas_grid(1).square().sum(3).sqrt() < 0.85).float().unsqueeze(1)
        disc = torch.nn.functional.avg_pool2d(disc, 2).expand(200, -1, -1, -1)
        seen = sketches.look_up(disc, moves.grid(), "zeros").sum((1, 2, 3))
        share = seen / (disc[0].sum() * moves.scale**2)
        self.assertGreater(share.min().item(), 0.7)
        self.assertTrue((moves.flip == -1).any() and (moves.flip == 1).any())


class Recutting(unittest.TestCase):
    def test_a_picture_takes_the_other_silhouette(self):
        target = box(10, 30, 30, 60)
        picture = sketches.recut(red(box(20, 50, 20, 40)), target)
        torch.testing.assert_close(picture[:, 1:2], 1 - target)  # red inside, white outside
        torch.testing.assert_close(picture[:, 0], torch.ones(1, 64, 64))

    def test_what_was_left_stays_left(self):
        artwork = red(box(16, 48, 16, 48))
        artwork.paint = artwork.paint.clone()
        artwork.paint[:, :, :, :32] = torch.tensor([0, 0, 1.0]).view(1, 3, 1, 1)  # blue on the left
        picture = sketches.recut(artwork, box(4, 24, 20, 60))[0]  # centre at column 40
        self.assertLess(picture[0, 14, 22:37].max().item(), 0.1)
        self.assertGreater(picture[0, 14, 43:58].min().item(), 0.9)

    def test_colours_are_carried_on_from_the_nearest_pixel(self):
        image, alpha = torch.zeros(3, 64, 64), torch.zeros(64, 64)
        alpha[30:34, 20:44] = 1
        image[0, :, :32] = 1
        image[1, :, 32:] = 1
        carried = sketches.carry_colours_on(image * alpha, alpha)
        torch.testing.assert_close(carried, image)

    def test_a_ring_is_not_solid(self):
        self.assertGreater(sketches.solidity(box(12, 52, 12, 52)).item(), 0.9)
        self.assertLess(sketches.solidity(box(4, 60, 4, 60) - box(12, 52, 12, 52)).item(), sketches.SOLID)

    def test_letters_lie_on_the_canvas_and_grow_bolder(self):
        thin, bold = sketches.glyph("L", 8), sketches.glyph("L", 26)
        for silhouette in (thin, bold):
            self.assertEqual(silhouette.shape, (1, 64, 64))
            self.assertEqual(silhouette[:, [0, -1]].max().item(), 0)  # nothing is cut off
            self.assertEqual(silhouette[..., [0, -1]].max().item(), 0)
        self.assertGreater(bold.mean().item(), 1.2 * thin.mean().item())
        self.assertGreater(sketches.glyphs().mean((1, 2, 3)).min().item(), 0.15)  # split_outlines leaves thinner ones out

    def test_blobs_are_shapes(self):
        area = sketches.blobs(50, generator()).mean((1, 2, 3))
        self.assertGreater(area.min().item(), 0.03)
        self.assertLess(area.max().item(), 0.95)


class Sketches(unittest.TestCase):
    def test_an_outline_is_closed_and_white_on_both_sides(self):
        sketch = sketches.plain_sketch(box(10, 50, 10, 50), filled=False)
        self.assertEqual(sketch.shape, (1, 3, 64, 64))
        self.assertTrue((sketch[..., 30, 30] == 1).all() and (sketch[..., 3, 3] == 1).all())
        inside = evaluate_control.filled_mask(sketch[:, 0] < 0.5)
        self.assertTrue(inside[0, 12:48, 12:48].all())

    def test_the_border_of_the_canvas_closes_an_outline(self):
        sketch = sketches.plain_sketch(box(10, 50, 0, 30), filled=False)
        self.assertTrue((sketch[0, 0, 12:48, 0] < 0.5).all())

    def test_same_seed_same_sketches_on_white(self):
        shapes = box(20, 44, 20, 44).expand(20, -1, -1, -1)
        first, second = (sketches.draw_sketches(shapes, generator()) for _ in range(2))
        self.assertTrue(torch.equal(first, second))
        self.assertTrue((first[..., :8, :8] == 1).all())
        middle = first[:, :, 32, 32].amin(1)
        self.assertTrue((middle == 1).any() and (middle < 0.9).any())  # outlines, and filled ones
        self.assertGreaterEqual(first.min().item(), 0)


class Examples(unittest.TestCase):
    def test_same_seed_same_examples(self):
        autoencoder = architecture.build_autoencoder().eval()
        artwork, outlines = red(box(16, 48, 16, 48)), box(10, 40, 10, 60)
        first, second = (control.make_examples(artwork, outlines, autoencoder, control.CHUNK + 5, seed=3) for _ in range(2))
        self.assertEqual(len(first.pictures), control.CHUNK)
        for name, value in vars(first).items():
            self.assertTrue(torch.equal(value, getattr(second, name)), name)
        self.assertGreater(first.silhouettes.float().mean((1, 2, 3)).min().item(), 0)

    def test_outlines_for_the_evaluation_are_kept_apart(self):
        shapes = torch.cat([box(4 + i, 40, 4, 60) for i in range(25)] + [box(31, 33, 4, 60)])
        learnt, held_out = control.split_outlines(shapes)
        self.assertEqual((len(learnt), len(held_out)), (22, 3))  # the thin one is in neither
        self.assertFalse(any(torch.equal(a, b) for a in learnt for b in held_out))


class Net(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.frozen = control.Frozen.load(MODEL)

    def inputs(self):
        draw = generator()
        return (torch.randn(2, 4, 16, 16, generator=draw), torch.tensor([900, 100]),
                torch.randn(2, 77, 128, generator=draw), torch.rand(2, 3, 64, 64, generator=draw))

    def test_it_starts_as_nothing(self):
        latents, timesteps, text, hints = self.inputs()
        net = control.build_control_net(self.frozen.unet)
        with torch.no_grad():
            with_net = control.predict(self.frozen.unet, net, latents, timesteps, text, hints)
            without = self.frozen.unet(latents, timesteps, text).sample
        torch.testing.assert_close(with_net, without, atol=0, rtol=0)

    def test_diffusers_loads_the_folder_and_it_is_small(self):
        net = control.build_control_net(self.frozen.unet)
        with tempfile.TemporaryDirectory() as folder:
            control.export_control(Path(folder), net)
            self.assertLess((Path(folder) / "diffusion_pytorch_model.fp16.safetensors").stat().st_size, 12_000_000)
            loaded = ControlNetModel.from_pretrained(folder, variant="fp16", torch_dtype=torch.float32)
        for name, tensor in net.state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[name], tensor.half().float(), atol=0, rtol=0)

    def test_two_steps_teach_the_net_alone(self):
        writer = CaptionWriter(load_emoji_names(), [])
        examples = control.Examples(torch.arange(8), torch.randn(8, 4, 16, 16, generator=generator()).half(),
                                    (255 * box(20, 44, 20, 44)).to(torch.uint8).expand(8, -1, -1, -1))
        settings = StageSettings("control", 2, batch_size=4, learning_rate=1e-3, ema_decay=0.9, warmup_steps=1)
        with tempfile.TemporaryDirectory() as folder:
            control.train_control(0, 1, settings, writer, examples, MODEL, Path(folder))
            net = control.load_average(Path(folder), "control", MODEL)
            self.assertGreater(net.controlnet_mid_block.weight.abs().max().item(), 0)
            self.assertGreater(net.controlnet_cond_embedding.conv_out.weight.abs().max().item(), 0)

            exported, work = Path(folder) / "exported", Path(folder) / "again"
            work.mkdir()
            control.export_control(exported, net)
            settings.steps, settings.learning_rate = 1, 1e-9  # what it starts from is what it ends with
            control.train_control(0, 1, settings, writer, examples, MODEL, work, exported)
            again = control.load_average(work, "control", MODEL)
        for name, tensor in again.state_dict().items():
            torch.testing.assert_close(tensor, net.state_dict()[name], atol=1e-3, rtol=1e-3)  # exported in fp16


class Painting(unittest.TestCase):
    def test_a_net_that_says_nothing_changes_nothing(self):
        model = LoadedModel.load(MODEL)
        net = control.build_control_net(model.unet).eval()
        with torch.no_grad():
            with_net = evaluate_control.paint(model, net, ["red apple"], torch.zeros(1, 3, 64, 64))
            without = evaluate_control.paint(model, None, ["red apple"], torch.zeros(1, 3, 64, 64))
        torch.testing.assert_close(with_net, without, atol=0, rtol=0)

    def test_the_net_that_ships_moves_an_apple(self):
        model = LoadedModel.load(MODEL)
        net = ControlNetModel.from_pretrained(MODEL.parent / "emoji-sketch", variant="fp16", torch_dtype=torch.float32).eval()
        places = torch.cat([box(4, 32, 4, 32), box(32, 60, 32, 60)])
        with torch.no_grad():
            painted = evaluate_control.paint(model, net, ["red apple"] * 2, sketches.plain_sketch(places, filled=False))
        centres = sketches.centres((1 - painted).amax(1, keepdim=True))
        self.assertLess(centres[0].max().item(), -0.25)  # upper left, and lower right: the sketches' centres are at 0.44
        self.assertGreater(centres[1].min().item(), 0.25)

    def test_sketches_of_the_docs_have_the_models_size(self):
        folder = MODEL.parents[1] / "docs" / "images" / "sketches"
        for name, _ in evaluate_control.SHOWN:
            with Image.open(folder / f"{name}.png") as sketch:
                self.assertEqual(sketch.size, (64, 64))


class Measures(unittest.TestCase):
    def test_overlap_of_what_is_painted(self):
        asked = box(10, 50, 10, 50)
        pictures = torch.cat([1 - asked, 1 - box(10, 50, 10, 30), torch.ones(1, 1, 64, 64)]).expand(-1, 3, -1, -1)
        torch.testing.assert_close(evaluate_control.overlap(pictures, asked.expand(3, -1, -1, -1)), torch.tensor([1, 0.5, 0]))

    def test_white_inside_a_picture_is_painted(self):
        ring = box(10, 50, 10, 50) - box(20, 40, 20, 40)
        mask = evaluate_control.painted_mask((1 - ring).expand(-1, 3, -1, -1))
        self.assertTrue(torch.equal(mask[0], box(10, 50, 10, 50)[0, 0] > 0))

    def test_the_named_picture_moved_is_the_nearest(self):
        artwork = red(torch.cat([box(12, 52, 4, 36), box(4, 60, 16, 48), box(4, 36, 20, 62)]))
        for name in evaluate_control.SETS:
            with self.subTest(name):
                outlines = evaluate_control.draw_set(name, artwork, box(10, 50, 4, 60).expand(3, -1, -1, -1), 2, generator())
                targets = [evaluate_control.references(artwork, outlines, i)[outlines.pictures[i]] for i in range(2)]
                if name != "foreign":  # recut red is red: there any of them is nearest
                    self.assertEqual(evaluate_control.top_one(artwork, outlines, torch.stack(targets)), 1.0)
                self.assertGreater(evaluate_control.overlap(torch.stack(targets), outlines.silhouettes).min().item(), 0.8)  # but for pixels on the edge


if __name__ == "__main__":
    unittest.main()
