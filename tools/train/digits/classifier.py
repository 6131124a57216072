"""The noise-aware classifier for classifier guidance: which digit is in a latent that noise has covered."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from stage import Stage, StageSettings, checkpoint_path

from digits.architecture import LatentClassifier
from digits.schedule import signal_and_noise, stratified_timesteps


def train_classifier(rank: int, world: int, settings: StageSettings, latents: torch.Tensor, labels: torch.Tensor,
                     work_dir: Path) -> None:
    """Trains on `latents` [N, 4, 8, 8] of digits `labels` [N], at every noise level of the schedule alike."""
    torch.manual_seed(settings.seed)
    model = LatentClassifier()
    stage = Stage(settings, model, work_dir, rank, world)
    signal, noise_level = signal_and_noise()
    mine = slice(rank * settings.batch_size // world, (rank + 1) * settings.batch_size // world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        timesteps = stratified_timesteps(settings.batch_size, step, settings.seed)[mine]
        chosen = torch.randint(len(latents), (len(timesteps),), generator=generator)
        noise = torch.randn(latents[chosen].shape, generator=generator)
        a, s = signal[timesteps].view(-1, 1, 1, 1), noise_level[timesteps].view(-1, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(a * latents[chosen] + s * noise, timesteps)
        return F.cross_entropy(logits.float(), labels[chosen])

    stage.run(compute_loss)


def load_average(work_dir: Path) -> LatentClassifier:
    """The moving average in the checkpoint, finished or not."""
    model = LatentClassifier()
    state = torch.load(checkpoint_path(work_dir, "classifier"), map_location="cpu", weights_only=True)
    model.load_state_dict({**state["model"], **state["ema"]})
    return model.requires_grad_(False).eval()


@torch.no_grad()
def accuracy_by_noise(model: LatentClassifier, latents: torch.Tensor, labels: torch.Tensor,
                      timesteps: tuple[int, ...] = (0, 200, 400, 500, 600, 700, 800, 900), seed: int = 0) -> dict[int, float]:
    """Share of right answers at each timestep."""
    signal, noise_level = signal_and_noise()
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
    right = {}
    for timestep in timesteps:
        noised = signal[timestep] * latents + noise_level[timestep] * noise
        answers = torch.cat([model(chunk, torch.full((len(chunk),), timestep)).argmax(1) for chunk in noised.split(256)])
        right[timestep] = (answers == labels).float().mean().item()
    return right


def log_probability_gradient(model: LatentClassifier, latents: torch.Tensor, timesteps: torch.Tensor,
                             labels: torch.Tensor) -> torch.Tensor:
    """Gradient of log p(label | latent, timestep) with respect to each latent: [B, 4, 8, 8]. Rows never mix."""
    with torch.enable_grad():
        noised = latents.detach().requires_grad_(True)
        log_probabilities = model(noised, timesteps).log_softmax(1)
        chosen = log_probabilities.gather(1, labels[:, None]).sum()
        return torch.autograd.grad(chosen, noised)[0]
