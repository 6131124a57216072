"""Checks of the digit model's code that need no digits and no training: `python -m unittest discover tools/train`."""

from __future__ import annotations

import json
import math
import tempfile
import unittest
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel

from digits import architecture, autoencoder, data, elbo, evaluate, export, judge, sampling, schedule
from digits.classifier import log_probability_gradient


def tiny_classifier() -> architecture.LatentClassifier:
    torch.manual_seed(0)
    return architecture.LatentClassifier(block_out_channels=(8, 16), norm_num_groups=4).eval().requires_grad_(False)


class PointModel:
    """Stands for a LoadedModel whose data are one latent per class: the perfect v is known in closed form."""

    def __init__(self):
        generator = torch.Generator().manual_seed(5)
        self.points = torch.randn(architecture.CLASSES + 1, 4, 8, 8, generator=generator)
        self.points[architecture.NULL_CLASS] = 0
        self.classifier = tiny_classifier()

    def unet(self, latents, timesteps, labels):
        sigma = sampling.sigmas_at(timesteps).view(-1, 1, 1, 1)
        signal = (sigma * sigma + 1).rsqrt()
        v = (signal * latents - self.points[labels]) / (sigma * signal)  # x0 = signal x - noise v
        return type("Output", (), {"sample": v})


class Data(unittest.TestCase):
    def test_a_class_file_becomes_padded_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "0.json"
            path.write_text(json.dumps({"data": [0.5] + [0] * 782 + [1]}))
            pictures = data.read_class(path)
        self.assertEqual(list(pictures.shape), [1, 32, 32])
        self.assertEqual((pictures[0, 2, 2].item(), pictures[0, 29, 29].item(), pictures.int().sum().item()), (128, 255, 383))

    def test_the_split_is_fixed_and_disjoint(self):
        with tempfile.TemporaryDirectory() as folder:
            for label in range(10):
                values = [0.0] * (784 * 120)
                for index in range(120):
                    values[784 * index : 784 * index + 2] = [index / 255, label / 255]
                (Path(folder) / f"{label}.json").write_text(json.dumps({"data": values}))
            training, held_out = data.load_split(Path(folder))
            again, _ = data.load_split(Path(folder))
        self.assertEqual((len(training), len(held_out)), (200, 1000))
        torch.testing.assert_close(training.images, again.images)
        names = {tuple(p[2, 2:4].tolist()) for p in torch.cat([training.images, held_out.images])}
        self.assertEqual(len(names), 1200)

    def test_bytes_survive_the_way_to_floats_and_back(self):
        images = torch.arange(256, dtype=torch.uint8).repeat(4).view(1, 32, 32)
        torch.testing.assert_close(data.to_uint8(data.to_float(images)), images)


class Classifier(unittest.TestCase):
    def test_gradient_is_that_of_each_row_alone(self):
        model = tiny_classifier()
        latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        times, labels = torch.tensor([10.0, 400.5, 900.0]), torch.tensor([1, 7, 3])
        together = log_probability_gradient(model, latents, times, labels)
        for row in range(3):
            alone = log_probability_gradient(model, latents[row : row + 1], times[row : row + 1], labels[row : row + 1])
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=1e-4)
            step = 1e-2 * alone / alone.norm()
            def log_probability(x):
                return model(x, times[row : row + 1]).log_softmax(1)[0, labels[row]]
            here = latents[row : row + 1]
            slope = (log_probability(here + step) - log_probability(here - step)) / (2e-2)
            self.assertAlmostEqual(slope.item() / alone.norm().item(), 1, delta=0.02)

    def test_gain_is_the_share_of_signal(self):
        signal, _ = schedule.signal_and_noise()
        gain = architecture.cosine_gain(torch.arange(1000))
        torch.testing.assert_close(gain[:995], signal[:995], atol=2e-4, rtol=0)
        self.assertEqual(gain[999].item(), 0)


class Sampling(unittest.TestCase):
    def test_sigmas_and_timesteps_are_inverses(self):
        for timestep in (0.0, 3.25, 500.0, 998.5, 999.0):
            sigma = sampling.sigmas_at(torch.tensor([timestep])).item()
            self.assertAlmostEqual(sampling.timestep_of(sigma), timestep, places=3)
        self.assertEqual(sampling.timestep_of(1e9), 999)
        self.assertEqual(sampling.timestep_of(1e-9), 0)

    def test_every_sampler_finds_the_point_of_the_label(self):
        model = PointModel()
        labels = torch.tensor([0, 3, 9])
        with tempfile.TemporaryDirectory() as folder:
            export.build_scheduler().save_pretrained(Path(folder) / "scheduler")
            model.folder = Path(folder)
            for sampler in sampling.SCHEDULERS:
                found = sampling.sample(model, sampler, 25, labels, sampling.Guidance(), seed=1)
                torch.testing.assert_close(found, model.points[labels], atol=2e-2, rtol=0, msg=sampler)
        found = sampling.sample_langevin(model, sampling.LangevinSettings(), labels, sampling.Guidance(), seed=1)
        torch.testing.assert_close(found, model.points[labels], atol=2e-2, rtol=0)

    def test_guidance_extrapolates_from_the_null_class(self):
        model = PointModel()
        latents, times = torch.randn(2, 4, 8, 8), torch.tensor([500.0, 20.0])
        labels = torch.tensor([2, 4])
        def v(guidance):
            return sampling.predict_v(model, latents, times, labels, guidance)
        told, nothing = v(sampling.Guidance(1.0)), v(sampling.Guidance(1.0, labelled=False))
        torch.testing.assert_close(v(sampling.Guidance(3.0)), nothing + 3 * (told - nothing))

    def test_classifier_guidance_moves_x0_along_the_gradient(self):
        model = PointModel()
        latents, times, labels = torch.randn(2, 4, 8, 8), torch.tensor([500.0, 20.0]), torch.tensor([2, 4])
        sigma = sampling.sigmas_at(times).view(-1, 1, 1, 1)
        signal = (sigma * sigma + 1).rsqrt()
        def x0(guidance):
            return signal * latents - sigma * signal * sampling.predict_v(model, latents, times, labels, guidance)
        gradient = log_probability_gradient(model.classifier, latents, times, labels)
        moved = x0(sampling.Guidance(1.0, 5.0)) - x0(sampling.Guidance(1.0, 0.0))
        torch.testing.assert_close(moved, 5 * sigma * sigma * signal * gradient, atol=1e-5, rtol=1e-3)


class Measures(unittest.TestCase):
    def test_copies_have_no_spread_and_no_distance(self):
        training = torch.randint(0, 255, (20, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
        labels = torch.arange(10).repeat(2)
        self.assertEqual(evaluate.spread(training[:1].repeat(20, 1, 1), labels), 0)
        self.assertLess(evaluate.nearest_distances(training[:3], training).max(), 2)  # cdist rounds
        self.assertGreater(evaluate.spread(training, labels), 1000)

    def test_deformation_keeps_the_digit_in_the_picture(self):
        pictures = torch.zeros(8, 1, 32, 32)
        pictures[:, :, 10:22, 10:22] = 1
        deformed = judge.deform(pictures, torch.Generator().manual_seed(2))
        self.assertEqual(deformed.shape, pictures.shape)
        self.assertTrue((deformed.sum((1, 2, 3)) > 100).all())


class Elbo(unittest.TestCase):
    """Latents of independent normals, whose perfect denoiser and mutual information are known in closed form."""

    DEVIATION = 0.5
    VALUES = 4 * 8 * 8

    def rate(self, draws: int = 8, blindness: float = 0.0) -> elbo.Rate:
        products, variance = schedule.alpha_bar(), self.DEVIATION**2

        def predict_v(latents, timesteps, labels):
            a, s = (p.sqrt().float().view(-1, 1, 1, 1) for p in (products[timesteps], 1 - products[timesteps]))
            gain = (1 - blindness) * a * variance / (a * a * variance + s * s)  # x0 = gain * latents
            return (a - gain) / s * latents

        latents = self.DEVIATION * torch.randn(2000, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        return elbo.measure_rate(predict_v, latents, torch.zeros(2000, dtype=torch.long), products, draws)

    def test_every_transition_is_the_closed_form(self):
        products, variance = schedule.alpha_bar(), self.DEVIATION**2
        ratios = products / (1 - products)
        expected = (ratios[:-1] - ratios[1:]) / 2 * self.VALUES * variance / (1 + ratios[1:] * variance)
        rate = self.rate()
        # A mean of 8 draws of a chi-square with 256 degrees: 3 % of it; five times that in the worst of 999.
        self.assertLess(((rate.transitions - expected) / expected).abs().max().item(), 0.15)
        last = products[-1].item()
        self.assertAlmostEqual(rate.prior, 0.5 * self.VALUES * (last * variance - last - math.log1p(-last)), delta=1e-8)

    def test_the_bound_is_above_the_information_and_near_it_in_small_steps(self):
        ratios = schedule.alpha_bar() / (1 - schedule.alpha_bar())
        rate = self.rate()
        for start in (50, 100, 200, 400):
            information = 0.5 * self.VALUES * math.log1p(ratios[start - 1].item() * self.DEVIATION**2)
            self.assertGreater(rate.above(start) + 5 * rate.error_above(start), information)
            self.assertLess(rate.above(start) - 5 * rate.error_above(start), 1.01 * information)
        # From t = 1 on a step halves what noise is left: the posterior's variance is too narrow for that.
        self.assertGreater(rate.above(1), 1.05 * 0.5 * self.VALUES * math.log1p(ratios[0].item() * self.DEVIATION**2))

    def test_a_worse_denoiser_costs_more(self):
        self.assertGreater(self.rate(blindness=0.3).above(100), 1.1 * self.rate().above(100))

    def test_grey_values_are_a_distribution(self):
        values = torch.arange(256)
        for mean in (-1.2, -1.0, -0.3, 0.9, 1.0):
            for deviation in (0.004, 0.1, 1.0):
                nats = elbo.value_nats(torch.full((256,), mean), values, deviation)
                self.assertTrue(nats.isfinite().all())
                self.assertAlmostEqual((-nats).exp().sum().item(), 1, places=9)

    def test_the_deviation_fits_the_noise(self):
        means = torch.zeros(20, 32, 32)
        noise = 0.2 * torch.randn(means.shape, generator=torch.Generator().manual_seed(3))
        images = ((noise + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        self.assertAlmostEqual(elbo.fit_deviation(means, images), 0.2, delta=0.005)  # 20,480 values: 0.5 %


class Folder(unittest.TestCase):
    def test_diffusers_loads_every_part(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            vae = architecture.build_autoencoder().eval()
            export.export_model(folder, vae, architecture.build_unet(), architecture.LatentClassifier())
            export.save_sidecar(folder)
            export.save_preview_map(folder, vae, autoencoder.decode(vae, torch.randn(4, 4, 8, 8)))
            index = json.loads((folder / "model_index.json").read_text())
            self.assertEqual(index["id2label"]["7"], "7")
            unet = UNet2DModel.from_pretrained(folder / "unet")
            self.assertEqual(unet.class_embedding.num_embeddings - 1, index["null_class"])
            AutoencoderKL.from_pretrained(folder / "vae")
            architecture.LatentClassifier.from_pretrained(folder / "classifier")
            self.assertFalse(DDIMScheduler.from_pretrained(folder / "scheduler").config.clip_sample)
            self.assertLess(sum(f.stat().st_size for f in folder.rglob("*")), 8e6)


if __name__ == "__main__":
    unittest.main()
