"""Writes the corpora of tests/fuzz that are made of real files, and dictionaries of their words.

    python tests/fuzz/make_corpora.py

Small files only: the configs of the parity fixtures and bundled models, tokenizers of a dozen tokens, tiny checkpoints in the
original layout. Needs Python alone.
"""
import json
import re
import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/fuzz"
sys.path.append(str(ROOT / "tools/parity"))
from original_layout import Sizes, checkpoint_shapes  # noqa: E402

DTYPE_BYTES = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "U8": 1, "BOOL": 1}


def write(target, name, content):
    folder = HERE / f"{target}_corpus"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def header(tensors, **others):
    """Data size and header of tensors (name, dtype, shape) in a row."""
    fields, at = dict(others), 0
    for name, dtype, shape in tensors:
        size = DTYPE_BYTES[dtype]
        for side in shape:
            size *= side
        fields[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return struct.pack("<Q", at) + json.dumps(fields).encode()


def safetensors():
    write("safetensors", "two", header([("a.weight", "F32", [2, 3]), ("b", "F16", [4])]))
    write("safetensors", "scalar_and_empty", header([("s", "I64", []), ("e", "BF16", [0, 7]), ("t", "F8_E4M3", [3])]))
    write("safetensors", "metadata", header([("x", "F64", [1, 1, 1, 2])], __metadata__={"format": "pt", "modelspec.title": "é"}))
    write("safetensors", "padded", header([("y", "U8", [5])]) + b"   ")
    write("safetensors", "null_metadata", header([("z", "BOOL", [1])], __metadata__=None))
    write("safetensors", "hole", struct.pack("<Q", 12) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}')
    write("safetensors", "huge", struct.pack("<Q", 8) + b'{"a":{"dtype":"F4","shape":[4294967296,4294967296],"data_offsets":[0,8]}}')


def configs():
    kinds = {"UNet2DConditionModel": "unet", "UNet2DModel": "unet_2d", "AutoencoderKL": "vae", "VQModel": "vqvae",
             "LatentClassifier": "classifier"}
    seen = set()
    for path in sorted([*ROOT.glob("tests/parity/data/*/*/**/*.json"), *ROOT.glob("models/*/**/*.json")]):
        if path.parent.name.startswith("tokenizer") or path.stat().st_size > 8000:
            continue
        text = path.read_text(encoding="utf-8")
        values = json.loads(text)
        kind = {"model_index.json": "index", "scheduler_config.json": "scheduler", "model.json": "card",
                "preview.json": "preview"}.get(path.name) or kinds.get(values.get("_class_name"))
        kind = kind or ("text_encoder" if "num_hidden_layers" in values else None)
        compact = f"{kind}\n{json.dumps(values, separators=(',', ':'))}"
        if kind and compact not in seen:
            seen.add(compact)
            write("config", f"{kind}_{len(seen):02}", compact)
    write("config", "labels", 'labels\n{"id2label":{"0":"zero","1":"one"},"null_class":2}')
    write("config", "card", 'card\n' + json.dumps({
        "display_name": "x", "prediction_type": "v_prediction", "zero_terminal_snr": True, "vae": "../vae",
        "defaults": {"sampler": "DPMPP_2M", "sigma_schedule": "KARRAS", "timestep_spacing": "TRAILING", "steps": 20,
                     "guidance_scale": 2.5, "guidance_rescale": 0.7, "eta": 0, "clip_skip": 0, "negative_prompt": "b",
                     "width": 512, "height": 512}}))
    write("config", "card_timesteps", 'card\n{"defaults":{"sampler":"LCM","timesteps":[999,749,499,249]}}')
    for name in ("DDPM", "PNDM", "HeunDiscrete", "LMSDiscrete", "KDPM2Discrete", "DPMSolverMultistep", "DPMSolverSinglestep",
                 "UniPCMultistep", "DEISMultistep", "LCM", "TCD", "EDMEuler", "EDMDPMSolverMultistep", "ScoreSdeVe",
                 "DPMSolverSDE", "SASolver", "EulerAncestralDiscrete"):
        write("config", f"scheduler_{name}", f'scheduler\n{{"_class_name":"{name}Scheduler","num_train_timesteps":50}}')


def tokenizers():
    # Every byte has to be a token; the alphabet is that of the bundled tokenizer.
    bundled = ROOT / "models/emoji/tokenizer"
    vocab = list(json.loads((bundled / "vocab.json").read_text(encoding="utf-8")))[:512]
    merges = (bundled / "merges.txt").read_text(encoding="utf-8").splitlines()[1:9]
    vocab += ["".join(merge.split()) for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    ids = {token: i for i, token in enumerate(vocab)}
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "!"}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special}
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def folder(name, text, **files):
        write("tokenizer", name, text + "".join(f"\x1e{file}\n{content}" for file, content in files.items()))

    plain = {"vocab.json": dump(ids), "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n"}
    folder("plain", "the red apple", **plain)
    folder("config", "it's <|endoftext|>!", **plain, **{"tokenizer_config.json": dump(config), "special_tokens_map.json": dump(special)})
    folder("added", "東京 <new> tokens", **plain, **{"added_tokens.json": dump({"<new>": len(vocab)}), "tokenizer_config.json": dump({
        **config, "added_tokens_decoder": {str(ids["<|endoftext|>"]): {
            "content": "<|endoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "special": True}}})})
    folder("one_file", "über", **{"tokenizer.json": dump({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": ids[t], "content": t, "special": True, "normalized": False, "lstrip": False, "rstrip": False,
                          "single_word": False} for t in ("<|startoftext|>", "<|endoftext|>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"}]},
        "model": {"type": "BPE", "continuing_subword_prefix": "", "end_of_word_suffix": "</w>", "unk_token": "<|endoftext|>",
                  "vocab": ids, "merges": merges}})})


def prompts():
    """A byte for the rules, name and token of a textual inversion, the prompt."""
    rows = {
        "plain": "a red apple on a table, sunny day", "doctest": "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        "unbalanced": "((a] b) c:1.2) [(d:0.5", "escapes": "\\(a\\) \\[b\\] \\\\ \\c", "break": "a BREAK (b BREAK c:1.2), BREAK",
        "and": "a cat:1.2 AND (a dog:-0.5) AND :2", "schedule": "[a:b:0.5] [c::3]", "turns": "[a|b|c]", "lora": "x <lora:style:0.8>",
        "embedding": "a <toy>, EASYNEG (easyneg:1.2)", "long": "a cat, " * 40, "no_commas": "a " * 160, "numbers": "(a:1.2.3) (b:\u0661) (c:1e9)",
        "control": "a <|endoftext|> b <|startoftext|>", "deep": "(" * 70 + "x", "wide": "\u3000BREAK\u3000\u6771\u4eac\uff08a:1.2\uff09",
    }
    for index, (name, text) in enumerate(rows.items()):
        write("prompt", name, f"{chr(48 + index)}\x1estyle-{index}\x1e<toy>\x1e{text}")
    words = ["(", ")", "[", "]", "\\\\(", "\\\\", ":1.2)", ":0.5]", "|", "AND", " BREAK ", "<lora:", "<hypernet:", ", ", "easyneg", "<toy>", "\\x1e"]
    (HERE / "prompt.dict").write_text("".join(f'"{word}"\n' for word in words), encoding="utf-8")


def checkpoints():
    tiny = dict(layers=1, vae_channels=[32, 32], tokens=16)
    families = {
        "sd1": Sizes(channels=[64, 64], depths=[1, 0], context=64, clip_layers=1, clip_width=64, **tiny),
        "sd2": Sizes(channels=[64, 64], depths=[1, 0], context=64, linear=True, clip_layers=0, open_layers=2, open_width=64,
                     **tiny),
        "sdxl": Sizes(channels=[64, 64, 64], depths=[0, 1, 1], context=128, linear=True, vector=1600, clip_layers=1,
                      clip_width=64, clip_prefix="conditioner.embedders.0.transformer.text_model.", open_layers=1,
                      open_width=64, open_prefix="conditioner.embedders.1.model.", **tiny),
        "refiner": Sizes(channels=[64, 64, 64, 64], depths=[0, 1, 1, 0], context=64, linear=True, vector=1344, clip_layers=0,
                         open_layers=1, open_width=64, open_prefix="conditioner.embedders.0.model.", **tiny),
    }
    lines = {name: [f"{key} F16 {' '.join(map(str, shape))}".rstrip() for key, shape in checkpoint_shapes(sizes).items()]
             for name, sizes in families.items()}
    for name, these in lines.items():
        write("single_file", name, "\n".join(these) + "\n")
    write("single_file", "v_markers", "\n".join(lines["sdxl"] + ["v_pred F32", "ztsnr F32", "! modelspec.prediction_type v"]) + "\n")
    write("single_file", "vae", "\n".join(line for line in lines["sd1"] if line.startswith("first_stage")) + "\n")
    write("single_file", "inpainting", "\n".join(lines["sd1"]).replace("input_blocks.0.0.weight F16 64 4", "input_blocks.0.0.weight F16 64 9"))
    write("single_file", "lora", "lora_unet_down_blocks_0.lora_down.weight F16 4 64\nlora_unet_down_blocks_0.alpha F32\n")
    write("single_file", "quantised", "model.diffusion_model.input_blocks.0.0.weight F8_E4M3 64 4 3 3\nscaled_fp8 F8_E4M3 0\n")


def loras():
    """Tensors, an adapter_config.json, a card, each ended by a record separator."""
    to_k = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    dotted = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    text = "text_model.encoder.layers.0.self_attn.q_proj"

    def pair(down, up, rank=2, inner=768, outer=8, tail=""):
        return f"{down} F16 {rank} {inner}{tail}\n{up} F16 {outer} {rank}{' 1 1' if tail else ''}\n"

    kohya = pair(f"lora_unet_{to_k}.lora_down.weight", f"lora_unet_{to_k}.lora_up.weight") + f"lora_unet_{to_k}.alpha F16\n"
    tags = '! ss_tag_frequency {"10_ink": {"ink": 9, "a, b": 2}}\n! modelspec.title Ink\n'
    peft = pair(f"base_model.model.{dotted}.lora_A.weight", f"base_model.model.{dotted}.lora_B.weight")
    conv = pair("lora_unet_mid_block_resnets_0_conv1.lora_down.weight", "lora_unet_mid_block_resnets_0_conv1.lora_up.weight", 2, 8, 8, " 3 3")
    mid = ("lora_unet_mid_block_resnets_0_conv1.lora_down.weight F16 2 8 1 1\nlora_unet_mid_block_resnets_0_conv1.lora_up.weight F16 8 2 1 1\n"
           "lora_unet_mid_block_resnets_0_conv1.lora_mid.weight F16 2 2 3 3\n")
    settings = json.dumps({"r": 2, "lora_alpha": 4, "use_rslora": True, "alpha_pattern": {"to_k": 3}, "peft_type": "LORA"})
    card = json.dumps({"display_name": "Ink", "trigger_words": ["ink"], "defaults": {"sampler": "LCM", "steps": 4, "guidance_scale": 1.0}})
    rows = {
        "kohya": kohya + tags, "original": pair("lora_unet_input_blocks_1_1_proj_in.lora_down.weight", "lora_unet_input_blocks_1_1_proj_in.lora_up.weight", 1, 8, 8),
        "old": pair(f"unet.{dotted.replace('.to_k', '')}.processor.to_k_lora.down.weight", f"unet.{dotted.replace('.to_k', '')}.processor.to_k_lora.up.weight"),
        "peft": peft, "diffusers": pair(f"unet.{dotted}.lora_A.weight", f"unet.{dotted}.lora_B.weight"), "conv": conv, "mid": mid,
        "text": pair(f"text_encoder.{text}.lora_A.weight", f"text_encoder.{text}.lora_B.weight", 4, 768, 768),
        "dora": kohya + f"lora_unet_{to_k}.dora_scale F16 8\n", "loha": "lora_unet_a.hada_w1_a F16 2 2\n",
        "flux": pair("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight"),
    }
    for name, lines in rows.items():
        write("lora", name, f"{lines}\x1e{settings if name == 'peft' else ''}\x1e{card}")


def settings():
    for path in [*ROOT.glob("deploy/config.*.yaml"), ROOT / "deploy/systemd/config.yaml"]:
        write("settings", path.stem.replace(".", "_") + ("_systemd" if path.stem == "config" else ""), "0" + path.read_text())
    write("settings", "tenants", "0models: [{id: a, path: b}]\ntenants: {named: [{name: acme, weight: 2, models: [a], max_rows: 4}]}\n"
          "auth: {token_file: t}\ntls: {cert_file: c, key_file: k}\nresume: {key_file: k, token_ttl: 1h}\n")
    write("settings", "anchors", "0limits: &l {max_side: 64}\ncodec: *l\nlimits: {}\n")
    entry = "{sha256: " + "0123456789abcdef" * 4 + ", tenant: acme, name: n, roles: [paint], expires: 2027-01-31T00:00:00Z}"
    write("settings", "tokens", f"1- {entry}\n")
    write("settings", "tokens_wrong", f"1- {entry.replace('acme', '[]')}\n- {entry}\n- {entry}\n")


def resume_tokens():
    write("resume_token", "state", bytes(range(256)) * 3)
    write("resume_token", "short", b"\0")
    write("resume_token", "empty", b"")
    write("resume_token", "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    write("resume_token", "later_version", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-ever")


def dictionaries():
    """Keys that parsers ask for, and values that they know."""
    sources = {
        "config": [p for folder in ("model", "model/unet", "model/vae", "model/text_encoder", "model/classifier", "model/preview")
                   for p in (ROOT / folder).glob("*.cc")],
        "tokenizer": list((ROOT / "text").glob("*.cc")),
        "safetensors": [ROOT / "model/weights/safetensors.cc", ROOT / "model/weights/safetensors_sax.cc"],
        "single_file": list((ROOT / "model/single_file").glob("*.cc")),
        "lora": list((ROOT / "model/lora").glob("*.cc")),
        "settings": list((ROOT / "server/config").glob("*_config.cc")) + [ROOT / "server/config/config.cc"],
    }
    for target, paths in sources.items():
        words = set()
        for path in paths:
            words |= set(re.findall(r'"([A-Za-z0-9_.<|>:+-]{2,48})"', path.read_text(encoding="utf-8")))
        lines = [f'"{word}"' for word in sorted(words) if not word.endswith(".h") and "/" not in word]
        (HERE / f"{target}.dict").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    safetensors()
    configs()
    tokenizers()
    prompts()
    checkpoints()
    loras()
    settings()
    resume_tokens()
    dictionaries()
