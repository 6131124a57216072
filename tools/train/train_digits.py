#!/usr/bin/env python3
"""Re-makes models/digits: `python tools/train/train_digits.py all`. See digits/README.md in this folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from digits import autoencoder, classifier, data, denoiser, evaluate, export, judge, sampling
from stage import StageSettings
from vae import peak_signal_to_noise
from workers import run_workers


class Work:
    """The digits, and where intermediate results live."""

    def __init__(self, work_dir: Path):
        self.dir = work_dir
        self.training, self.held_out = data.load_split(data.fetch_digits(work_dir / "mnist"))


def run_vae(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("vae", arguments.vae_steps, batch_size=32, learning_rate=1.5e-3, ema_decay=0.995,
                             weight_decay=1e-4, seed=11, minutes=arguments.minutes)
    run_workers(arguments.workers, autoencoder.train_autoencoder, settings, work.training.images, work.dir)
    model = autoencoder.load_folded(work.dir)
    for name, digits in (("training", work.training), ("held out", work.held_out)):
        target = data.to_float(digits.images[:2000])
        latents = autoencoder.encode_means(model, target)
        quality = peak_signal_to_noise(autoencoder.decode(model, latents), target)
        print(f"{name} {quality:.2f} dB, latents mean {latents.mean():.3f} deviation {latents.std():.3f}")


def run_denoiser(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("denoiser", arguments.denoiser_steps, batch_size=64, learning_rate=1e-3, ema_decay=0.999,
                             seed=12, minutes=arguments.minutes)
    latents = autoencoder.encode_means(autoencoder.load_folded(work.dir), data.to_float(work.training.images))
    run_workers(arguments.workers, denoiser.train_denoiser, settings, latents, work.training.labels, work.dir)


def run_classifier(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("classifier", arguments.classifier_steps, batch_size=128, learning_rate=2e-3,
                             ema_decay=0.995, weight_decay=0.05, seed=13, minutes=arguments.minutes)
    vae = autoencoder.load_folded(work.dir)
    latents = autoencoder.encode_means(vae, data.to_float(work.training.images))
    run_workers(arguments.workers, classifier.train_classifier, settings, latents, work.training.labels, work.dir)
    latents = autoencoder.encode_means(vae, data.to_float(work.held_out.images))
    print(classifier.accuracy_by_noise(classifier.load_average(work.dir), latents, work.held_out.labels))


def run_judge(work: Work, arguments: argparse.Namespace) -> None:
    settings = StageSettings("judge", arguments.judge_steps, batch_size=64, learning_rate=2e-3, ema_decay=0.995,
                             weight_decay=0.05, seed=14, minutes=arguments.minutes)
    run_workers(arguments.workers, judge.train_judge, settings, work.training, work.dir)
    print(f"held out: {judge.accuracy(judge.load_average(work.dir), work.held_out):.4f}")


def run_export(work: Work, arguments: argparse.Namespace) -> None:
    vae = autoencoder.load_folded(work.dir)
    export.export_model(arguments.output, vae, denoiser.load_average(work.dir), classifier.load_average(work.dir))
    export.save_sidecar(arguments.output)
    export.save_preview_map(arguments.output, vae, data.to_float(work.training.images[::5]))


def run_sheet(work: Work, arguments: argparse.Namespace) -> None:
    evaluate.contact_sheet(sampling.LoadedModel.load(arguments.output), arguments.output / "contact_sheet.png",
                           export.DEFAULT_GUIDANCE)


def run_evaluate(work: Work, arguments: argparse.Namespace) -> None:
    model = sampling.LoadedModel.load(arguments.output)
    bench = evaluate.Bench(judge.load_average(work.dir), work.training, work.held_out)
    folder = work.dir / "evaluation"
    folder.mkdir(exist_ok=True)
    evaluate.evaluate_real(model, bench, folder)
    for sampler in arguments.samplers:
        evaluate.evaluate(model, bench, sampler, folder)
    evaluate.print_tables(folder)


STAGES = {"vae": run_vae, "judge": run_judge, "classifier": run_classifier, "denoiser": run_denoiser,
          "export": run_export, "sheet": run_sheet, "evaluate": run_evaluate}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["all", *STAGES])
    parser.add_argument("--work-dir", type=Path, default=Path("build/train_digits"), help="digits and checkpoints")
    parser.add_argument("--output", type=Path, default=Path("models/digits"))
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each; divides the batches")
    parser.add_argument("--vae-steps", type=int, default=2200)
    parser.add_argument("--judge-steps", type=int, default=1500)
    parser.add_argument("--classifier-steps", type=int, default=3500)
    parser.add_argument("--denoiser-steps", type=int, default=9000)
    parser.add_argument("--minutes", type=float, help="trials: end a training stage after so long (not reproducible)")
    parser.add_argument("--samplers", nargs="+", choices=list(evaluate.SAMPLERS), default=list(evaluate.SAMPLERS))
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    work = Work(arguments.work_dir)
    for stage in STAGES if arguments.stage == "all" else [arguments.stage]:
        STAGES[stage](work, arguments)


if __name__ == "__main__":
    main()
