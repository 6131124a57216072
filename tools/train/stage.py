"""The training loop shared by all stages: seeded, resumable, data-parallel, with a moving average of the weights."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
import torch.distributed as dist
from tqdm import tqdm

from workers import GradientAverager, agree


@dataclass
class StageSettings:
    """What defines one stage's result: with the same values (and worker count) it is re-made step for step."""

    name: str
    steps: int
    batch_size: int  # over all workers
    learning_rate: float  # peak
    ema_decay: float
    weight_decay: float = 0.01
    decay_start: float = 0.5  # fraction of the run after which the rate falls along a cosine
    warmup_steps: int = 100
    gradient_clip: float = 1.0
    seed: int = 0
    minutes: float | None = None  # ends the stage early, schedule included; for trials, not reproducible
    checkpoint_seconds: float = 120.0


def learning_rate(settings: StageSettings, step: int, progress: float) -> float:
    """Linear warm-up, constant, then a cosine down to 2 % of the peak. `progress` runs from 0 to 1."""
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    if progress <= settings.decay_start:
        return settings.learning_rate * warm
    fraction = (progress - settings.decay_start) / (1 - settings.decay_start)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
    return settings.learning_rate * warm * (0.02 + 0.98 * cosine)


def step_generator(seed: int, step: int, rank: int) -> torch.Generator:
    """Randomness of one step of one worker: a function of its arguments only, so a resumed run continues the same stream."""
    return torch.Generator().manual_seed(((seed * 1_000_003 + step) * 64 + rank) & 0x7FFFFFFFFFFFFFFF)


def checkpoint_path(work_dir: Path, name: str) -> Path:
    return work_dir / f"{name}.pt"


def save_atomically(state: dict, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


class Stage:
    """Optimises `model` until its steps are done; keeps the moving average in `self.ema` (name -> tensor)."""

    def __init__(self, settings: StageSettings, model: torch.nn.Module, work_dir: Path, rank: int, world: int):
        self.settings, self.model, self.rank, self.world = settings, model, rank, world
        self.path = checkpoint_path(work_dir, settings.name)
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.ema = {n: p.detach().clone() for n, p in self.trained.items()}
        self.optimizer = torch.optim.AdamW(
            list(self.trained.values()), lr=settings.learning_rate, betas=(0.9, 0.99),
            weight_decay=settings.weight_decay, fused=True,
        )
        self.step, self.elapsed, self.progress = 0, 0.0, 0.0
        if self.path.exists():
            self._restore(torch.load(self.path, map_location="cpu", weights_only=True))

    def _restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema = state["ema"]
        self.step, self.elapsed, self.progress = state["step"], state["elapsed"], state["progress"]

    def save(self) -> None:
        if self.rank == 0:
            save_atomically(
                {"model": self.model.state_dict(), "ema": self.ema, "optimizer": self.optimizer.state_dict(),
                 "step": self.step, "elapsed": self.elapsed, "progress": self.progress}, self.path)

    def _advance_progress(self) -> None:
        """Updates `self.progress`: by steps, or by the clock when that is further on and a time budget is set."""
        self.progress = max(self.progress, self.step / self.settings.steps)
        if self.settings.minutes is not None and self.step % 10 == 0:
            clock = agree(self.elapsed / (60 * self.settings.minutes), self.world)
            self.progress = max(self.progress, clock)

    def _update_average(self) -> None:
        decay = min(self.settings.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.ema.values()), [p.detach() for p in self.trained.values()], 1 - decay)

    def run(self, compute_loss: Callable[[int, torch.Generator], torch.Tensor]) -> None:
        """Trains to the end. `compute_loss(step, generator)` returns this worker's scalar loss."""
        parameters = list(self.trained.values())
        average_gradients = GradientAverager(parameters, self.rank, self.world)
        bar = tqdm(total=self.settings.steps, initial=self.step, desc=self.settings.name, disable=self.rank != 0,
                   mininterval=10, maxinterval=30)
        smooth, last_save, last = None, time.monotonic(), time.monotonic()
        while self.progress < 1.0:
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.settings, self.step, self.progress)
            self.optimizer.zero_grad(set_to_none=False)
            loss = compute_loss(self.step, step_generator(self.settings.seed, self.step, self.rank))
            loss.backward()
            average_gradients()
            torch.nn.utils.clip_grad_norm_(parameters, self.settings.gradient_clip)
            self.optimizer.step()
            self.step += 1
            self._update_average()
            now = time.monotonic()
            self.elapsed, last = self.elapsed + now - last, now
            self._advance_progress()
            smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
            bar.set_postfix_str(f"loss {smooth:.4f} progress {self.progress:.3f}", refresh=False)
            bar.update()
            if now - last_save > self.settings.checkpoint_seconds:
                last_save = now
                self.save()
        self.save()
        bar.close()
        if self.world > 1:
            dist.barrier()

    def load_average(self) -> None:
        """Replaces the model's weights by their moving average."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(self.ema[name])
