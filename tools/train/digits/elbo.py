"""How many bits a digit costs: the evidence lower bound of the whole model, term by term.

-log p(x) <=  KL(q(z_T | x) || N(0, I))                                                   prior
            + sum over t = s+1 .. T of E KL(q(z_t-1 | z_t, x) || p(z_t-1 | z_t))          transitions
            + E -log p(x | z_s)                                                           reconstruction

This is a hierarchical variational autoencoder with the latents z_s .. z_T. q(z_t | x) is the noise schedule's, around the
encoder's mean: what the denoiser was trained on. p(z_t-1 | z_t) is DDPM's step, the posterior with the denoiser's x0 in
the mean's place and its variance (1 - alpha_bar_t-1) / (1 - alpha_bar_t) beta_t; so a transition is
(SNR(t-1) - SNR(t)) / 2 * |mean - x0|^2. p(x | z_s) is the autoencoder's decoder after the denoiser's x0, as a Gaussian
on 256 grey values. The lectures' s is 1; a larger one leaves out latents that describe nothing of the picture. Nats inside,
bits where it is printed. Here t counts from 1, the denoiser's timestep t - 1 from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tqdm import tqdm

from digits import architecture
from digits.autoencoder import decode, encode_means
from digits.data import Digits, to_float
from digits.sampling import LoadedModel
from digits.schedule import alpha_bar

BATCH = 64
BITS = 1 / math.log(2)  # of a nat
STARTS = (1, 10, 50, 100, 150, 200)  # values of s
BOUNDS = (*STARTS, 400, 700, 1000)  # of t, between which the table adds transitions

PredictV = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]  # latents, timesteps, labels -> v


@torch.no_grad()
def estimate(predict_v: PredictV, clean: torch.Tensor, labels: torch.Tensor, products: torch.Tensor, times: torch.Tensor,
             generator: torch.Generator) -> torch.Tensor:
    """x0 [B, C, H, W] of `clean` under fresh noise of `times` [B]."""
    noise = torch.randn(clean.shape, generator=generator)
    a, s = products[times].sqrt().float().view(-1, 1, 1, 1), (1 - products[times]).sqrt().float().view(-1, 1, 1, 1)
    noised = a * clean + s * noise
    return a * noised - s * predict_v(noised, times, labels)


@dataclass(frozen=True)
class Rate:
    """Nats per latent, averaged over latents."""

    prior: float
    transitions: torch.Tensor  # float64 [T - 1]: t = 2 .. T
    errors: torch.Tensor  # standard errors of `transitions`, from the draws

    def between(self, first: int, last: int) -> float:
        """The transitions t = first + 1 .. last."""
        return self.transitions[first - 1 : last - 1].sum().item()

    def above(self, start: int) -> float:
        """The prior and all transitions down to z_start."""
        return self.prior + self.transitions[start - 1 :].sum().item()

    def error_above(self, start: int) -> float:
        return self.errors[start - 1 :].square().sum().sqrt().item()


def measure_rate(predict_v: PredictV, latents: torch.Tensor, labels: torch.Tensor, products: torch.Tensor, draws: int,
                 seed: int = 0) -> Rate:
    """Prior and transitions for `latents` [N, C, H, W] under the noise schedule `products` (alpha_bar) [T].

    Each timestep sees `draws` latents with noise of their own; over all of them every latent is used equally often.
    """
    generator = torch.Generator().manual_seed(seed)
    total = len(products) * draws
    orders = [torch.randperm(len(latents), generator=generator) for _ in range(-(-total // len(latents)))]
    rows, times = torch.cat(orders)[:total], torch.arange(len(products)).repeat_interleave(draws)
    squares = []
    for chosen, at in tqdm(list(zip(rows.split(BATCH), times.split(BATCH))), mininterval=10, disable=total < 20_000):
        clean = latents[chosen]
        difference = estimate(predict_v, clean, labels[chosen], products, at, generator) - clean
        squares.append(difference.double().square().sum((1, 2, 3)))
    errors = torch.cat(squares).view(len(products), draws)[1:]
    ratios = products / (1 - products)  # SNR
    weights = (ratios[:-1] - ratios[1:]) / 2
    last, size = products[-1].item(), latents[0].numel()
    prior = 0.5 * (last * latents.double().square().sum((1, 2, 3)).mean().item() - size * (last + math.log1p(-last)))
    return Rate(prior, weights * errors.mean(1), weights * errors.std(1) / draws**0.5)


def value_nats(means: torch.Tensor, values: torch.Tensor, deviation: float) -> torch.Tensor:
    """-log of the probability of grey `values` 0..255 under Gaussians around `means` (-1..1), of one shape. The first and
    the last value reach to infinity (DDPM's equation 13)."""
    values, means = values.double(), means.double()
    low = ((values - 0.5) / 127.5 - 1 - means) / deviation
    high = ((values + 0.5) / 127.5 - 1 - means) / deviation
    low, high = low.where(values > 0, -torch.inf), high.where(values < 255, torch.inf)
    mirrored = low + high > 0  # an upper tail keeps its digits as a lower one
    low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    upper = torch.special.log_ndtr(high)
    return -(upper + torch.log(-torch.expm1(torch.special.log_ndtr(low) - upper)))


def picture_nats(means: torch.Tensor, images: torch.Tensor, deviation: float) -> torch.Tensor:
    """-log p(x | z_s) of uint8 pictures [N, 32, 32], given the decoder's grey means of the same shape: [N]."""
    return value_nats(means, images, deviation).sum((1, 2))


def fit_deviation(means: torch.Tensor, images: torch.Tensor) -> float:
    """The decoder's one free number: the deviation that makes these pictures likeliest, by golden section in its log."""
    low, high, golden = math.log(1e-3), math.log(1.0), (5**0.5 - 1) / 2
    while high - low > 1e-2:
        a, b = high - golden * (high - low), low + golden * (high - low)
        nats = [picture_nats(means, images, math.exp(x)).mean().item() for x in (a, b)]
        low, high = (low, b) if nats[0] < nats[1] else (a, high)
    return math.exp((low + high) / 2)


@dataclass(frozen=True)
class Elbo:
    """Of one way to tell the class. Nats per picture."""

    rate: Rate
    reconstruction: dict[int, float]  # by s
    deviation: dict[int, float]  # of the decoder's Gaussian, in grey values

    def bound(self, start: int) -> float:
        return self.rate.above(start) + self.reconstruction[start]


def measure(model: LoadedModel, training: Digits, held_out: Digits, labelled: bool, draws: int, seed: int = 0) -> Elbo:
    """The bound over held-out digits; of 500 training digits only the decoder's deviations are taken.

    `labelled`: -log p(x | class), else -log p(x) through the null class.
    """
    generator, products = torch.Generator().manual_seed(seed), alpha_bar()

    def predict_v(latents: torch.Tensor, times: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        told = labels if labelled else torch.full_like(labels, architecture.NULL_CLASS)
        return model.unet(latents, times, told).sample

    def decoded(latents: torch.Tensor, labels: torch.Tensor, start: int) -> torch.Tensor:
        times = torch.full_like(labels, start - 1)
        parts = [estimate(predict_v, *part, generator)
                 for part in ((z, c, products, t) for z, c, t in zip(latents.split(BATCH), labels.split(BATCH), times.split(BATCH)))]
        return decode(model.vae, torch.cat(parts)).mean(1)

    some = slice(None, None, max(1, len(training) // 500))
    images, labels = training.images[some], training.labels[some]
    known, latents = (encode_means(model.vae, to_float(i)) for i in (images, held_out.images))
    rate = measure_rate(predict_v, latents, held_out.labels, products, draws, seed)
    reconstruction, deviations = {}, {}
    for start in STARTS:
        deviation = fit_deviation(decoded(known, labels, start), images)
        means = decoded(latents, held_out.labels, start)
        reconstruction[start] = picture_nats(means, held_out.images, deviation).mean().item()
        deviations[start] = 127.5 * deviation
    return Elbo(rate, reconstruction, deviations)


def print_tables(columns: dict[str, Elbo], latent_values: int, pixels: int) -> None:
    """Markdown, in bits: the terms of the rate, and the bound for every s."""
    results = columns.values()
    print("| bits per picture | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    print("| prior | " + " | ".join(f"{BITS * e.rate.prior:.6f}" for e in results) + " |")
    for first, last in reversed(list(zip(BOUNDS, BOUNDS[1:]))):
        cells = [f"{BITS * e.rate.between(first, last):.1f}" for e in results]
        print(f"| transitions, t = {first + 1} to {last} | " + " | ".join(cells) + " |")
    for name, e in columns.items():
        print(f"\n{name}\n\n| s | latents | per latent value | pixels | of deviation | bound | per pixel |\n|---|---|---|---|---|---|---|")
        for start in STARTS:
            rate, error, picture = (BITS * x for x in (e.rate.above(start), e.rate.error_above(start), e.reconstruction[start]))
            print(f"| {start} | {rate:.0f} ± {error:.0f} | {rate / latent_values:.3f} | {picture:.0f} | {e.deviation[start]:.1f} | "
                  f"{rate + picture:.0f} | {(rate + picture) / pixels:.3f} |")
