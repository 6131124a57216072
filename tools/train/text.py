"""Teaches the text encoder to find the name in a caption, before any picture is painted.

It learns to classify which emoji a caption names, from its last hidden states at `<|endoftext|>` and at the padding after
it (which, as in Stable Diffusion 1, is what most of cross-attention sees). This costs little, and the denoiser starts with
text that already says which picture is meant. The classifier's head is thrown away at the end; while the denoiser
trains, it adds a small loss that keeps the encoder true to names.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import CLIPTokenizer

import architecture
from captions import CaptionWriter
from stage import Stage, StageSettings, save_atomically


def build_text_networks(tokenizer: CLIPTokenizer, classes: int) -> torch.nn.ModuleDict:
    """{"text_encoder", "head"}."""
    encoder = architecture.build_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    return torch.nn.ModuleDict({"text_encoder": encoder, "head": torch.nn.Linear(architecture.TEXT_WIDTH, classes)})


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """int64 [len(captions), 77]."""
    return tokenizer(captions, padding="max_length", max_length=architecture.TEXT_LENGTH, truncation=True,
                     return_tensors="pt").input_ids


def naming_loss(head: torch.nn.Module, hidden: torch.Tensor, tokens: torch.Tensor, labels: torch.Tensor,
                end_id: int) -> torch.Tensor:
    """Cross entropy of the named emoji, judged at the end token and at the mean over all end and padding tokens.

    hidden [B, 77, 128], tokens [B, 77], labels [B] (-100 for captions that name nothing).
    """
    after = (tokens == end_id).float().unsqueeze(-1)  # padding is the end token too
    mean = (hidden.float() * after).sum(1) / after.sum(1)
    first = hidden.float()[torch.arange(len(tokens)), (tokens == end_id).int().argmax(1)]
    return 0.5 * (F.cross_entropy(head(mean), labels) + F.cross_entropy(head(first), labels))


def train_text(rank: int, world: int, settings: StageSettings, writer: CaptionWriter, tokenizer_folder: Path,
               work_dir: Path) -> None:
    """Writes text_named.pt: the moving average of encoder and head."""
    torch.manual_seed(settings.seed)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder)
    networks = build_text_networks(tokenizer, len(writer.entries))
    stage = Stage(settings, networks, work_dir, rank, world)

    def compute_loss(step: int, generator: torch.Generator) -> torch.Tensor:
        rng = random.Random((settings.seed * 1_000_003 + step) * 64 + rank)
        labels = [rng.randrange(len(writer.entries)) for _ in range(settings.batch_size // world)]
        tokens = tokenize(tokenizer, [writer.write(writer.entries[label], rng) for label in labels])
        with torch.autocast("cpu", torch.bfloat16):
            hidden = networks["text_encoder"](tokens).last_hidden_state
        return naming_loss(networks["head"], hidden, tokens, torch.tensor(labels), tokenizer.eos_token_id)

    stage.run(compute_loss)
    if rank == 0:
        stage.load_average()
        save_atomically({"text": networks.state_dict()}, work_dir / "text_named.pt")
