"""Checks of the LoRA's training that need no artwork: `python -m unittest discover tools/train`."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open

import evaluate_lora
import lora
from captions import CaptionWriter
from control import Frozen
from dataset import load_emoji_names
from evaluate import LoadedModel
from stage import StageSettings

torch.set_num_threads(1)  # as the workers of a training run
ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "emoji"


def square(colour: tuple[float, float, float], top: int = 16, bottom: int = 48) -> torch.Tensor:
    """A square in one colour as artwork [1, 4, 64, 64]."""
    rgba = torch.zeros(1, 4, 64, 64)
    rgba[:, :3, top:bottom, 16:48] = torch.tensor(colour).view(1, 3, 1, 1)
    rgba[:, 3, top:bottom, 16:48] = 1
    return rgba


def trained(folder: Path, steps: int = 2):
    """A denoiser whose LoRA has learnt something, however little."""
    writer = CaptionWriter(load_emoji_names()[:10], [])
    latents = torch.randn(10, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    settings = StageSettings("lora", steps, batch_size=4, learning_rate=1e-2, ema_decay=0.9, warmup_steps=1)
    lora.train_lora(0, 1, settings, writer, latents, MODEL, folder)
    return lora.load_average(folder, "lora", MODEL)


class LineArt(unittest.TestCase):
    def test_a_square_becomes_its_outline(self):
        for colour in ((1, 0, 0), (0, 0, 0), (1, 1, 1)):  # white on white has an outline, too
            with self.subTest(colour):
                drawn = lora.line_art(square(colour))
                self.assertEqual(drawn.shape, (1, 3, 64, 64))
                self.assertTrue((drawn[..., 22:42, 22:42] == 1).all() and (drawn[..., :12, :] == 1).all())
                self.assertLess(drawn[..., 15:17, 30].min().item(), 0.1)

    def test_colours_are_parted_by_a_line(self):
        both = square((1, 0, 0))
        both[:, :3, 32:48, 16:48] = torch.tensor([0, 0, 1.0]).view(1, 3, 1, 1)
        self.assertLess(lora.line_art(both)[0, :, 31:33, 32].max().item(), 0.1)

    def test_it_is_monochrome(self):
        drawn = lora.line_art(torch.rand(2, 4, 64, 64, generator=torch.Generator().manual_seed(2)))
        self.assertEqual(evaluate_lora.colour(drawn), 0)


class Split(unittest.TestCase):
    def test_every_picture_is_in_one_set(self):
        learnt, held_out = lora.split(303)
        self.assertEqual(sorted(learnt + held_out), list(range(303)))
        self.assertEqual(len(held_out), 61)

    def test_names_are_spread_evenly(self):
        self.assertEqual(evaluate_lora.spread(list(range(10)), 5), [0, 2, 4, 6, 8])
        self.assertEqual(evaluate_lora.spread([3, 4], 2), [3, 4])


class Measures(unittest.TestCase):
    def test_darkness_is_measured_where_the_mask_is(self):
        picture = torch.ones(1, 3, 64, 64)
        picture[..., :32] = 0.25
        left = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
        left[..., :32] = True
        self.assertEqual(evaluate_lora.darkness(picture, left), 0.75)
        self.assertEqual(evaluate_lora.darkness(picture, ~left), 0)

    def test_line_art_and_artwork_are_both_recognised(self):
        rgba = torch.cat([square((1, 0, 0)), square((0, 0, 1), 8, 56), square((0, 1, 0), 30, 50)])
        judge = evaluate_lora.Judge(LoadedModel.load(MODEL), rgba)
        for first, as_lines in ((0, 0.0), (3, 1.0)):
            chosen = torch.tensor([first, first + 2])
            with torch.no_grad():
                found = judge(judge.pixels[chosen], judge.latents[chosen], torch.tensor([0, 2]))
            self.assertEqual((found["top1_latent"], found["top1_pixel"], found["as_lines"]), (1.0, 1.0, as_lines))
        self.assertGreater(found["lines"], 0.5)
        self.assertLess(found["between"], 0.2)


class Training(unittest.TestCase):
    def test_it_starts_as_nothing(self):
        frozen = Frozen.load(MODEL)
        inputs = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, 128)
        with torch.no_grad():
            before = frozen.unet(*inputs).sample
            after = lora.adapt(frozen.unet)(*inputs).sample
        torch.testing.assert_close(after, before, atol=0, rtol=0)

    def test_two_steps_teach_the_lora_alone_and_diffusers_paints_with_the_file(self):
        inputs = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, 128)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            with torch.enable_grad():
                unet = trained(Path(folder))
            lora.export_lora(Path(folder), unet)
            pipe = StableDiffusionPipeline.from_pretrained(MODEL)
            plain = pipe.unet(*inputs).sample
            pipe.load_lora_weights(folder, weight_name=f"{lora.NAME}.safetensors", adapter_name="style")
            painted = pipe.unet(*inputs).sample
            torch.testing.assert_close(painted, unet(*inputs).sample, atol=2e-3, rtol=2e-3)  # the file is in fp16
            self.assertGreater((painted - plain).abs().max().item(), 1e-2)
            pipe.set_adapters("style", 0.0)
            torch.testing.assert_close(pipe.unet(*inputs).sample, plain, atol=1e-6, rtol=0)


class Shipped(unittest.TestCase):
    """loras/emoji-line-art: what a reader of the file relies on."""

    FILE = ROOT / "loras" / f"{lora.NAME}.safetensors"

    def test_the_card_is_the_recipes(self):
        self.assertEqual(json.loads(self.FILE.with_suffix(".json").read_text()), lora.CARD)

    def test_it_is_small_and_in_pairs_of_peft(self):
        self.assertLess(self.FILE.stat().st_size, 1_000_000)
        with safe_open(self.FILE, "pt") as file:
            self.assertEqual(file.metadata()["ss_network_dim"], str(lora.RANK))
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
        pairs = [name.removesuffix(".lora_A.weight") for name in shapes if name.endswith(".lora_A.weight")]
        self.assertEqual(len(shapes), 2 * len(pairs))
        for module in pairs:
            self.assertTrue(module.startswith("unet."))
            self.assertEqual(shapes[f"{module}.lora_A.weight"][0], lora.RANK)
            self.assertEqual(shapes[f"{module}.lora_B.weight"][1], lora.RANK)

    @torch.no_grad()
    def test_an_apple_becomes_lines(self):
        model = evaluate_lora.load_with_lora(MODEL, self.FILE)
        coloured, drawn = (evaluate_lora.decode(model, evaluate_lora.paint(model, ["red apple"], s)) for s in (0.0, 1.0))
        self.assertGreater(evaluate_lora.colour(coloured), 0.2)
        self.assertLess(evaluate_lora.colour(drawn), 0.05)
        self.assertGreater(drawn.mean().item(), coloured.mean().item())


if __name__ == "__main__":
    unittest.main()
