#!/usr/bin/env python3
"""Re-makes models/emoji: `python tools/train/train.py all`. See README.md in this folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

import control
import dataset
import denoiser
import evaluate
import export
import lora
import preview
import sketches
import text
import tokenizer
import vae
from captions import CaptionWriter
from stage import StageSettings
from workers import run_workers


class Work:
    """The artwork, the list, and where intermediate results live."""

    def __init__(self, work_dir: Path):
        self.dir = work_dir
        self.package = package = dataset.fetch_artwork(work_dir / "artwork")
        metadata = [e for e in dataset.load_all_metadata(package) if e["category"] != "Flags"]
        self.files = files = [e["image"] for e in metadata]
        self.entries = dataset.load_emoji_names()
        position = {file: index for index, file in enumerate(files)}
        self.named = torch.tensor([position[e.image] for e in self.entries])  # indices into `images`
        self.images = dataset.load_images(package, files)  # uint8 [N, 3, 64, 64], everything but flags
        used = {e.image for e in self.entries}
        unrelated = [e["name"].lower() for e in metadata if e["image"] not in used and e["name"]]
        self.writer = CaptionWriter(self.entries, unrelated)

    def others(self) -> torch.Tensor:
        """Silhouettes of the artwork without a name, float32 [N, 1, 64, 64]."""
        used = {entry.image for entry in self.entries}
        return sketches.load_silhouettes(self.package, [file for file in self.files if file not in used])

    def named_rgba(self) -> torch.Tensor:
        """float32 [len(entries), 4, 64, 64] in [0, 1]."""
        return torch.stack([sketches.load_rgba(self.package, entry.image) for entry in self.entries])

    @property
    def named_images(self) -> torch.Tensor:
        """uint8 [len(entries), 3, 64, 64]."""
        return self.images[self.named]


def run_tokenizer(work: Work, arguments: argparse.Namespace) -> None:
    merges = tokenizer.learn_merges(work.writer.corpus(), tokenizer.MERGES)
    tokenizer.save_tokenizer(merges, work.dir / "tokenizer")


def run_text(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("text", arguments.text_steps, batch_size=64, learning_rate=2e-3, ema_decay=0.98,
                             warmup_steps=30, decay_start=0.3, seed=4, minutes=arguments.minutes)
    run_workers(arguments.workers, text.train_text, settings, work.writer, work.dir / "tokenizer", work.dir)


def run_vae(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("vae", arguments.vae_steps, batch_size=6, learning_rate=1e-3, ema_decay=0.998,
                             weight_decay=1e-4, seed=1, minutes=arguments.minutes)
    run_workers(arguments.workers, vae.train_autoencoder, settings, work.images, work.named, work.dir)
    report_vae(work, "vae_folded.pt")


def run_decoder(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("decoder", arguments.decoder_steps, batch_size=6, learning_rate=5e-4, ema_decay=0.998,
                             weight_decay=1e-4, decay_start=0.3, seed=2, minutes=arguments.minutes)
    run_workers(arguments.workers, vae.refine_decoder, settings, work.images, work.named, work.dir)
    report_vae(work, "vae_final.pt")


def report_vae(work: Work, file: str) -> None:
    """Prints the reconstruction quality on the named emoji and on all artwork."""
    model = vae.load_folded(work.dir / file)
    for label, images in (("named", work.named_images), ("all", work.images)):
        target = dataset.to_float(images)
        latents = vae.encode_means(model, target)
        quality = vae.peak_signal_to_noise(vae.decode(model, latents), target)
        print(f"{file}: {label} {quality:.2f} dB, latents mean {latents.mean():.3f} deviation {latents.std():.3f}")


def run_denoiser(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("denoiser", arguments.denoiser_steps, batch_size=32, learning_rate=1.2e-3,
                             ema_decay=0.995, seed=3, minutes=arguments.minutes)
    autoencoder = vae.load_folded(work.dir / "vae_folded.pt")
    latents = vae.encode_means(autoencoder, dataset.to_float(work.named_images))
    run_workers(arguments.workers, denoiser.train_denoiser, settings, work.writer, latents, work.dir / "tokenizer",
                work.dir)


def run_export(work: Work, arguments: argparse.Namespace) -> None:
    final = work.dir / "vae_final.pt"
    autoencoder = vae.load_folded(final if final.exists() else work.dir / "vae_folded.pt")
    words = CLIPTokenizer.from_pretrained(work.dir / "tokenizer")
    unet, text_encoder = denoiser.load_average(work.dir, "denoiser", words, len(work.entries))
    export.export_model(arguments.output, autoencoder, unet, text_encoder, work.dir / "tokenizer")
    export.save_sidecar(arguments.output)
    export.save_preview_map(arguments.output, autoencoder, dataset.to_float(work.named_images))


def run_preview(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("preview", arguments.preview_steps, batch_size=8, learning_rate=1e-3, ema_decay=0.998,
                             weight_decay=1e-4, decay_start=0.3, seed=5, minutes=arguments.minutes)
    run_workers(arguments.workers, preview.train_preview, settings, work.images, arguments.output, work.dir)
    preview.export_preview(arguments.output / "preview", preview.load_preview(work.dir / "preview_final.pt"))
    preview.save_in_card(arguments.output)
    for label, images in (("named", work.named_images), ("all", work.images)):
        print(label, preview.report_preview(arguments.output, images))


def run_control(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("control", arguments.control_steps, batch_size=8, learning_rate=6e-4, ema_decay=0.998,
                             weight_decay=1e-4, decay_start=0.4, seed=6, minutes=arguments.minutes)
    if arguments.control_from:  # other examples and captions than those that it has learnt from
        settings.seed = 7
    count = arguments.control_examples
    examples = control.load_examples(work.dir / f"control_examples_{settings.seed}.pt",
                                     lambda: make_examples(work, arguments, count, settings.seed), count)
    run_workers(arguments.workers, control.train_control, settings, work.writer, examples, arguments.output, work.dir,
                arguments.control_from)
    control.export_control(arguments.control_output, control.load_average(work.dir, "control", arguments.output))


def make_examples(work: Work, arguments: argparse.Namespace, count: int, seed: int) -> control.Examples:
    autoencoder = AutoencoderKL.from_pretrained(arguments.output / "vae", torch_dtype=torch.float32).eval()
    artwork = sketches.load_artwork(work.package, [entry.image for entry in work.entries])
    outlines, _ = control.split_outlines(work.others())
    return control.make_examples(artwork, torch.cat([outlines, sketches.glyphs()]), autoencoder, count, seed)


def run_lora(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("lora", arguments.lora_steps, batch_size=16, learning_rate=2e-3, ema_decay=0.98,
                             weight_decay=1e-4, warmup_steps=20, decay_start=0.3, seed=8, minutes=arguments.minutes)
    autoencoder = AutoencoderKL.from_pretrained(arguments.output / "vae", torch_dtype=torch.float32).eval()
    pictures = lora.line_art(work.named_rgba())
    latents = vae.encode_means(autoencoder, pictures * 2 - 1)
    run_workers(arguments.workers, lora.train_lora, settings, work.writer, latents, arguments.output, work.dir)
    lora.export_lora(arguments.lora_output, lora.load_average(work.dir, "lora", arguments.output))


def run_sheet(work: Work, arguments: argparse.Namespace) -> None:
    model = evaluate.LoadedModel.load(arguments.output)
    evaluate.contact_sheet(model, arguments.output / "contact_sheet.png", arguments.guidance)


def run_evaluate(work: Work, arguments: argparse.Namespace) -> None:
    model = evaluate.LoadedModel.load(arguments.output)
    results = evaluate.evaluate(model, work.entries, work.named_images, arguments.guidance, arguments.samplers,
                                arguments.sets)
    (work.dir / "evaluation.json").write_text(json.dumps(results, indent=2) + "\n")


STAGES = {"tokenizer": run_tokenizer, "text": run_text, "vae": run_vae, "denoiser": run_denoiser, "decoder": run_decoder,
          "export": run_export, "preview": run_preview,
          "control": run_control, "lora": run_lora, "sheet": run_sheet, "evaluate": run_evaluate}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["all", *STAGES])
    parser.add_argument("--work-dir", type=Path, default=Path("build/train"), help="artwork and checkpoints")
    parser.add_argument("--output", type=Path, default=Path("models/emoji"))
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each; divides batches of 6, 8, 32 and 64")
    parser.add_argument("--text-steps", type=int, default=700)
    parser.add_argument("--vae-steps", type=int, default=4700)
    parser.add_argument("--decoder-steps", type=int, default=2500)
    parser.add_argument("--preview-steps", type=int, default=2360)
    parser.add_argument("--control-steps", type=int, default=6000)
    parser.add_argument("--control-examples", type=int, default=13_184)
    parser.add_argument("--control-from", type=Path, help="a net to train on, instead of one from nothing")
    parser.add_argument("--control-output", type=Path, default=Path("models/emoji-sketch"))
    parser.add_argument("--lora-steps", type=int, default=600)
    parser.add_argument("--lora-output", type=Path, default=Path("loras"))
    parser.add_argument("--denoiser-steps", type=int, default=3800)
    parser.add_argument("--minutes", type=float, help="trials: end a training stage after so long (not reproducible)")
    parser.add_argument("--guidance", type=float, default=2.5)
    parser.add_argument("--samplers", nargs="+", choices=list(evaluate.SAMPLERS), default=list(evaluate.SAMPLERS))
    parser.add_argument("--sets", nargs="+", choices=["names", "synonyms", "rephrasings"],
                        default=["names", "synonyms", "rephrasings"])
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)  # threads that wait for each other waste a busy machine; see workers.py
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    work = Work(arguments.work_dir)
    for stage in STAGES if arguments.stage == "all" else [arguments.stage]:
        STAGES[stage](work, arguments)


if __name__ == "__main__":
    main()
