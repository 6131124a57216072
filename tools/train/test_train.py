"""Checks of the training code that need no artwork and no training: `python -m unittest discover tools/train`."""

from __future__ import annotations

import random
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import torch
from transformers import CLIPTokenizer

import architecture
import denoiser
import preview
import text
import tokenizer
import vae
from captions import CaptionWriter, load_rephrasings, words_of
from dataset import load_emoji_names
from stage import StageSettings, learning_rate


class Names(unittest.TestCase):
    def test_there_are_enough_and_they_are_distinct(self):
        entries = load_emoji_names()  # raises when two pictures share a name
        self.assertGreaterEqual(len(entries), 300)
        self.assertIn("red apple", {entry.name for entry in entries})

    def test_every_rephrasing_expects_a_known_name(self):
        names = {entry.name for entry in load_emoji_names()}
        for rephrasing in load_rephrasings():
            self.assertIn(rephrasing["expect"], names)


class Captions(unittest.TestCase):
    def setUp(self):
        self.entries = load_emoji_names()
        self.writer = CaptionWriter(self.entries, ["ferris wheel", "horizon"])

    def test_no_content_word_of_a_rephrasing_is_filler(self):
        asked = {word for r in load_rephrasings() for word in words_of(r["prompt"])}
        self.assertFalse((asked - set(self.writer.function_words)) & set(self.writer.content_words))

    def test_fillers_never_name_a_picture(self):
        self.assertFalse(self.writer.name_words & set(self.writer.content_words))

    def test_same_seed_same_captions(self):
        def write():
            rng = random.Random(7)
            return [self.writer.write(entry, rng) for entry in self.entries]

        self.assertEqual(write(), write())

    def test_a_shortened_name_fits_one_picture_only(self):
        for entry in self.entries:
            for part in self.writer.short_names[entry.name]:
                meaningful = set(words_of(part)) - set(self.writer.function_words)
                others = [set(words_of(n)) for e in self.entries if e is not entry for n in e.all_names]
                self.assertFalse(any(meaningful <= other for other in others), part)


class Tokenizer(unittest.TestCase):
    def test_merges_join_the_most_frequent_pair_first(self):
        merges = tokenizer.learn_merges(Counter({"aab": 3, "ab": 2}), 2)
        self.assertEqual(merges, [("a", "b</w>"), ("a", "ab</w>")])

    def test_saved_files_load_as_a_clip_tokenizer(self):
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save_tokenizer([("r", "e"), ("re", "d</w>")], Path(folder))
            loaded = CLIPTokenizer.from_pretrained(folder)
            ids = text.tokenize(loaded, ["RED"])[0].tolist()
        start, end = 512 + 2, 512 + 3
        self.assertEqual(ids, [start, 513] + [end] * 75)


class Autoencoder(unittest.TestCase):
    def test_folding_normalises_latents_and_keeps_reconstructions(self):
        torch.manual_seed(0)
        model = architecture.build_autoencoder().eval()
        images = torch.rand(4, 3, 64, 64) * 2 - 1
        before = vae.decode(model, vae.encode_means(model, images))
        vae.fold_latent_statistics(model, images)
        latents = vae.encode_means(model, images)
        torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
        torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
        torch.testing.assert_close(vae.decode(model, latents), before, atol=1e-3, rtol=1e-3)


class Denoiser(unittest.TestCase):
    def test_an_epoch_shows_every_picture_once(self):
        plan = denoiser.BatchPlan(count=12, batch_size=4, seed=1)
        self.assertEqual(sorted(plan(0) + plan(1) + plan(2)), list(range(12)))

    def test_timesteps_cover_the_schedule_and_lean_to_its_noisy_end(self):
        timesteps = denoiser.stratified_timesteps(100, step=3, seed=1)
        self.assertLess(timesteps.min(), 50)
        self.assertGreater(timesteps.max(), 950)
        self.assertEqual((timesteps >= 646).sum(), 50)

    def test_signal_and_noise_are_on_the_unit_circle(self):
        signal, noise = denoiser.signal_and_noise()
        torch.testing.assert_close(signal**2 + noise**2, torch.ones(1000))

    def test_learning_rate_warms_up_and_falls(self):
        settings = StageSettings("x", steps=1000, batch_size=1, learning_rate=1.0, ema_decay=0.9, warmup_steps=10)
        self.assertAlmostEqual(learning_rate(settings, 0, 0.0), 0.1)
        self.assertAlmostEqual(learning_rate(settings, 500, 0.5), 1.0)
        self.assertAlmostEqual(learning_rate(settings, 1000, 1.0), 0.02)


class Previews(unittest.TestCase):
    def test_estimates_are_mixtures_of_latents_with_little_noise(self):
        latents = torch.full((5, 4, 16, 16), 2.0)
        drawn = [preview.estimates(latents, 6, torch.Generator().manual_seed(1)) for _ in range(2)]
        self.assertTrue(torch.equal(*drawn))
        self.assertEqual(drawn[0].shape, (6, 4, 16, 16))
        self.assertLess((drawn[0] - 2).std().item(), preview.NOISE)  # weights sum to 1

    def test_the_decoder_is_small_and_makes_pictures(self):
        decoder = preview.build_preview_decoder().decoder
        self.assertLess(2 * architecture.count_parameters(decoder), 500_000)  # bytes, in half precision
        self.assertEqual(decoder(torch.zeros(2, 4, 16, 16)).shape, (2, 3, 64, 64))


if __name__ == "__main__":
    unittest.main()
