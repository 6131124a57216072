"""Encodes and paints the references of tests/parity/data/weighted: prompts with weights, chunks, AND and embeddings.

    python tools/parity/make_weighted_fixtures.py [--out tests/parity/data/weighted]

Reads prompts by the rules of text/README.md (prompt_reference.py), encodes them chunk by chunk with transformers, weighs and
joins what comes out, and paints with a loop of its own over diffusers' U-Nets and schedulers: a forward per row, so that texts of
different lengths need no padding. The networks are models/emoji, those of tests/parity/data/sdxl, and for Stable Diffusion 2 (OpenCLIP's
activation and padding, v-prediction) a text encoder of its own before the U-Net and the ControlNet of tests/parity/data/control. Writes
of each request the final latents, of some prompts the embeddings, and the files of two textual inversions. Needs torch, diffusers,
transformers.
"""
import argparse
import json
from pathlib import Path

import diffusers
import make_sdxl_fixtures as tiny
import numpy as np
import prompt_reference as rules
import torch
from make_control_fixtures import hint_picture
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/parity/data"
EMOJI, SDXL, CONTROL = ROOT / "models/emoji", DATA / "sdxl", DATA / "control"
SIDE = {"emoji": 64, "sdxl": 32, "sd2": 32}
LONG = "a red apple, a quick brown fox, two green pears on a table, " * 8

DEFAULTS = {"family": "emoji", "prompt": "", "negative_prompt": "", "syntax": "a1111", "seed": 0, "steps": 4, "guidance_scale": 5.0,
            "guidance_rescale": 0.0, "clip_skip": 0, "sampler": "DDIM", "eta": 0.0, "image_index": 0, "hint": None}
REQUESTS = [
    {"name": "weights", "prompt": "a (red:1.4) apple, [dark]", "negative_prompt": "(blurry:1.5)"},
    {"name": "no_norm", "prompt": "a (red:1.4) apple, [dark]", "syntax": "a1111_no_norm"},
    {"name": "negative_weight", "prompt": "a (tree:-0.5) with (snow:0)", "seed": 3},
    {"name": "long", "prompt": LONG, "negative_prompt": "blue"},
    {"name": "long_weights", "prompt": LONG + "(night:1.3)", "negative_prompt": "dark BREAK (blue:0.5)", "seed": 1},
    {"name": "breaks", "prompt": "an apple BREAK a (tree:1.2) BREAK snow", "seed": 2},
    {"name": "clip_skip", "prompt": "(an apple)", "negative_prompt": "a tree", "clip_skip": 1, "seed": 4},
    {"name": "and", "prompt": "an apple AND a tree :0.6", "negative_prompt": "blue", "seed": 5},
    {"name": "and_rescaled", "prompt": "an apple :0.8 AND " + LONG, "guidance_rescale": 0.7, "seed": 6},
    {"name": "and_unguided", "prompt": "an apple :0.7 AND a (tree:1.2) :0.5", "guidance_scale": 1.0, "seed": 7},
    {"name": "inversion", "prompt": "a wordy apple, (pair:1.3)", "seed": 8},
] + [
    {"name": f"sdxl_{name}", "family": "sdxl", "sampler": "EULER", **more} for name, more in {
        "weights": {"prompt": "a (red:1.4) apple, [dark]", "negative_prompt": "(blurry:1.5)"},
        "no_norm": {"prompt": "a (red:1.4) apple", "negative_prompt": "x", "syntax": "a1111_no_norm"},
        "long": {"prompt": "(oil:1.2) on canvas, a castle, " * 5, "negative_prompt": "x", "seed": 1},
        "long_unset": {"prompt": "a castle, " * 20, "negative_prompt": None, "seed": 2},
        "clip_skip": {"prompt": "(a castle)", "negative_prompt": "y BREAK z", "clip_skip": 1, "seed": 3},
        "and": {"prompt": "a castle AND (a tree) :0.4", "negative_prompt": "", "seed": 4},
        "inversion": {"prompt": "a wordy castle, (wordy)", "negative_prompt": "x", "seed": 5},
    }.items()
] + [
    {"name": f"sd2_{name}", "family": "sd2", **more} for name, more in {
        "weights": {"prompt": "a (red:1.4) apple, [dark]", "negative_prompt": "(blurry:1.5)"},
        "no_norm": {"prompt": "a (red:1.4) apple", "negative_prompt": "x", "syntax": "a1111_no_norm", "sampler": "EULER"},
        "long": {"prompt": "(oil:1.2) on canvas, a castle, " * 5, "negative_prompt": "x", "seed": 1},
        "long_negative": {"prompt": "a castle", "negative_prompt": "a tree, " * 30, "seed": 2, "guidance_rescale": 0.7},
        "clip_skip": {"prompt": "(a castle)", "negative_prompt": "y BREAK z", "clip_skip": 1, "seed": 3},
        "and": {"prompt": "a castle AND (a tree) :0.4", "negative_prompt": "", "seed": 4},
        "inversion": {"prompt": "a wordy castle, (pair)", "negative_prompt": "x", "seed": 5},
        "control": {"prompt": "a (castle:1.2)", "negative_prompt": "x", "seed": 6, "hint": 1},
        "control_long": {"prompt": "(oil:1.2) on canvas, a castle, " * 5, "negative_prompt": "x", "seed": 7, "hint": 2},
        "control_and": {"prompt": "a castle AND " + "(a tree), " * 25 + ":0.4", "negative_prompt": "", "seed": 8, "hint": 3},
    }.items()
]
PROMPTS = ["a (red:1.4) apple, [dark] tree", "a castle, " * 30 + "(night:0.3)", "a wordy tree BREAK (snow:-1)"]


class Family:
    """Text towers, tokenizers and the vectors of the textual inversions "wordy" (three vectors) and "pair" (two)."""

    def __init__(self, towers, tokenizers, last):
        self.towers, self.tokenizers, self.last = towers, tokenizers, last
        torch.manual_seed(11)
        widths = [tower.config.hidden_size for tower in towers]
        self.words = {word: [torch.randn(n, width) * 0.3 for width in widths] for word, n in (("wordy", 3), ("pair", 2))}

    def chunks(self, fragments, which):
        """[(ids, weights, {position: vector})] of one tower."""
        tokenizer = self.tokenizers[which]
        ids_of = lambda text: tokenizer(text, add_special_tokens=False).input_ids
        comma, = ids_of(",")
        stretches, vectors = [[]], {}
        for text, weight in fragments:
            if text is None:
                stretches.append([])
                continue
            for word in rules.re.split(r"\b(wordy|pair)\b", text):
                if word in self.words:
                    ids = [10 ** 6 + len(vectors) + k for k in range(len(self.words[word][which]))]
                    vectors |= dict(zip(ids, self.words[word][which]))
                    stretches[-1].append((ids, weight))
                else:
                    stretches[-1] += [([i], weight) for i in ids_of(word)]
        for content in rules.chunk(stretches, comma):
            ids = [i for unit, _ in content for i in unit]
            weights = [weight for unit, weight in content for _ in unit]
            rest = 75 - len(ids)
            yield ([tokenizer.bos_token_id, *ids, tokenizer.eos_token_id] + [tokenizer.pad_token_id] * rest,
                   [1.0, *weights, 1.0] + [1.0] * rest, vectors)

    def states(self, which, ids, vectors, skip):
        """The states that pipelines take, and the pooled one where there is one."""
        tower = self.towers[which]
        table = tower.get_input_embeddings()
        plain = torch.tensor([[i if i < 10 ** 6 else 0 for i in ids]])
        embedded = table(plain)
        for place, i in enumerate(ids):
            if i >= 10 ** 6:
                embedded[0, place] = vectors[i]
        table.forward, forward = lambda _: embedded, table.forward
        out = tower(plain, output_hidden_states=True)
        table.forward = forward
        if len(self.towers) == 2:
            return out.hidden_states[-(skip + 2)], getattr(out, "text_embeds", None)
        model = getattr(tower, "text_model", tower)
        return model.final_layer_norm(out.hidden_states[-(skip + 1)]), None

    def encode(self, fragments, skip, restores):
        """(embeddings [1, 77 k, width], pooled)"""
        towers, pooled = [], None
        cut = [list(self.chunks(fragments, which)) for which in range(len(self.towers))]
        for which, chunks in enumerate(cut):
            states = []
            for ids, weights, vectors in chunks:
                z, each = self.states(which, ids, vectors, skip)
                if not states and each is not None:
                    pooled = each
                mean = z.mean()
                z = z * torch.tensor(weights)[:, None]
                if restores and any(weight != 1 for chunk in cut for _, found, _ in chunk for weight in found):
                    z = z * (mean / z.mean())
                states.append(z)
            towers.append(torch.cat(states, 1))
        return torch.cat(towers, 2), pooled


def make_sd2(out):
    """Writes what Stable Diffusion 2 has of its own, and returns the folders of all its parts."""
    vocabulary = CLIPTokenizer.from_pretrained(SDXL / "tokenizer_2").vocab_size
    torch.manual_seed(21)
    tower = tiny.tower(CLIPTextModel, 3, vocabulary, "gelu")
    for key, weight in tower.named_parameters():
        if "embeddings" in key:
            weight.mul_(10)
        if "final_layer_norm" in key:  # a fresh one's states have mean 0, which nothing can restore
            weight.add_(0.5 * torch.rand_like(weight))
    tower.config.architectures = ["CLIPTextModel"]
    tower.half().save_pretrained(out / "sd2/text_encoder")
    file = out / "sd2/text_encoder/model.safetensors"
    save_file(load_file(file), file)  # without the writer's metadata
    scheduler = diffusers.DDIMScheduler.from_pretrained(CONTROL / "models/sd/scheduler", prediction_type="v_prediction")
    scheduler.save_pretrained(out / "sd2/scheduler")
    return {"text_encoder": out / "sd2/text_encoder", "tokenizer": SDXL / "tokenizer_2", "vae": SDXL / "vae",
            "unet": CONTROL / "unet", "scheduler": out / "sd2/scheduler"}


def load(sd2):
    """The families, their U-Nets and their schedulers' configs."""
    tokenizer = lambda path: CLIPTokenizer.from_pretrained(path)
    emoji = Family([CLIPTextModel.from_pretrained(EMOJI / "text_encoder", torch_dtype=torch.float32)], [tokenizer(EMOJI / "tokenizer")], 0)
    pair = [CLIPTextModel.from_pretrained(SDXL / "text_encoder", torch_dtype=torch.float32),
            CLIPTextModelWithProjection.from_pretrained(SDXL / "text_encoder_2", torch_dtype=torch.float32)]
    sdxl = Family(pair, [tokenizer(SDXL / "tokenizer"), tokenizer(SDXL / "tokenizer_2")], 1)
    second = Family([CLIPTextModel.from_pretrained(sd2["text_encoder"], torch_dtype=torch.float32)], [tokenizer(sd2["tokenizer"])], 0)
    net = lambda path: diffusers.UNet2DConditionModel.from_pretrained(path, torch_dtype=torch.float32)
    return {"emoji": (emoji, net(EMOJI / "unet"), EMOJI / "scheduler"),
            "sdxl": (sdxl, net(SDXL / "unet"), SDXL / "variants/base/scheduler"),
            "sd2": (second, net(sd2["unet"]), sd2["scheduler"])}


def predict(unet, x, t, row, side, hint):
    """One row of one forward, with what the ControlNet says of `hint` where there is one."""
    embeds, pooled = row
    added = {}
    if hint is not None:
        net, picture = hint
        down, mid = net(x, t, embeds, picture, return_dict=False)
        added = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
    if pooled is not None:
        added = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": torch.tensor([[side, side, 0, 0, side, side]], dtype=torch.float32)}}
    return unet(x, t, embeds, **added).sample


def paint(request, family, unet, scheduler_config):
    """The final latents [C, h, w]."""
    side, restores, skip = SIDE[request["family"]], request["syntax"] == "a1111", request["clip_skip"]
    cls = {"DDIM": diffusers.DDIMScheduler, "EULER": diffusers.EulerDiscreteScheduler}[request["sampler"]]
    scheduler = cls.from_pretrained(scheduler_config)
    parts = [(weight, family.encode(fragments, skip, restores)) for weight, fragments in rules.parse_parts(request["prompt"])]
    unset = request["negative_prompt"] is None
    negative = family.encode(rules.parse_prompt(request["negative_prompt"] or ""), skip, restores)
    if unset:
        negative = tuple(torch.zeros_like(each) for each in negative)
    scheduler.set_timesteps(request["steps"])
    factor = side // unet.config.sample_size
    generator = torch.Generator("cpu").manual_seed(request["seed"])
    x = torch.randn((1, unet.config.in_channels, side // factor, side // factor), generator=generator) * scheduler.init_noise_sigma
    hint = None
    if request["hint"] is not None:
        pixels = torch.from_numpy(np.array(hint_picture(request["hint"], side, side))).permute(2, 0, 1)[None] / 255.0
        hint = (diffusers.ControlNetModel.from_pretrained(CONTROL / "plain", torch_dtype=torch.float32), pixels)
    scale, total = request["guidance_scale"], sum(weight for weight, _ in parts)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t)
        u = predict(unet, seen, t, negative, side, hint)
        rows = [predict(unet, seen, t, row, side, hint) for _, row in parts]
        guided = u + sum(scale * weight * (c - u) for (weight, _), c in zip(parts, rows))
        if phi := request["guidance_rescale"]:
            cond = sum(weight * c for (weight, _), c in zip(parts, rows)) / total
            guided = phi * guided * cond.std() / guided.std() + (1 - phi) * guided
        x = scheduler.step(guided, t, x, return_dict=False)[0]
    return x[0].contiguous()


def main():
    """Writes the fixtures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "tests/parity/data/weighted")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_grad_enabled(False)
    sd2 = make_sd2(out)
    families = load(sd2)
    requests = [DEFAULTS | request for request in REQUESTS]
    save_file({request["name"]: paint(request, *families[request["family"]]) for request in requests}, out / "latents.safetensors")
    embeddings = {}
    for name, (family, _, _) in families.items():
        for i, prompt in enumerate(PROMPTS):
            for syntax in ("a1111", "a1111_no_norm"):
                embeds, pooled = family.encode(rules.parse_prompt(prompt), 0, syntax == "a1111")
                # A sixteenth of the numbers says whether all are right.
                embeddings[f"{name}.{i}.{syntax}"] = embeds[0].flatten()[::16].contiguous()
                if pooled is not None:
                    embeddings[f"{name}.{i}.{syntax}.pooled"] = pooled[0].contiguous()
        for word, towers in family.words.items():
            tensors = {"emb_params": towers[0]} if len(towers) == 1 else {"clip_l": towers[0], "clip_g": towers[1]}
            save_file(tensors, out / f"{name}_{word}.safetensors")
    save_file(embeddings, out / "embeddings.safetensors")
    for request in requests:
        request |= {"width": SIDE[request["family"]], "height": SIDE[request["family"]]}
    for file in out.rglob("*.*"):
        file.chmod(0o644)
    variant = {"parts": {part: str(folder.relative_to(out.parent)) if folder.is_relative_to(out) else str(folder.relative_to(DATA))
                         for part, folder in sd2.items()}, "index": "control/models/sd/model_index.json"}
    manifest = {"prompts": PROMPTS, "variants": {"sd2": variant}, "requests": requests}
    (out / "requests.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
