"""Makes tests/text/data/clip_cases.json: what transformers' CLIPTokenizer does with CLIP's own vocabulary.

Run with the Python packages of tools/train/requirements.txt:
    python tools/parity/make_clip_fixture.py
More than 1,000 texts in over 20 scripts, by both paddings of the published models. The vocabulary is the one that the server
carries (text/clip_vocabulary). The output depends on this script, tokenizer_corpus.py and those versions only.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import tempfile
from pathlib import Path

import tokenizers
import transformers
from tokenizer_corpus import HAND_WRITTEN, TRAINING, random_texts
from transformers import CLIPTokenizer

ROOT = Path(__file__).resolve().parents[2]
MERGES = ROOT / "text" / "clip_vocabulary" / "merges.txt.gz"
TARGET = ROOT / "tests" / "text" / "data" / "clip_cases.json"
START, END = "<|startoftext|>", "<|endoftext|>"
SUFFIX = "</w>"
STYLES = ["masterpiece, best quality", "(detailed eyes:1.3)", "[blurry]", "8k", "trending on artstation", "by Claude Monet", "35mm f/1.4",
          "1girl, solo", "score_9, score_8_up", "<lora:style:0.8>", "BREAK", "--ar 16:9", "no text!"]


def write_vocabulary(folder: Path) -> None:
    """vocab.json and merges.txt, as OpenAI's code derives them from the list of merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(byte) for byte in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    merges = gzip.decompress(MERGES.read_bytes()).decode("utf-8").strip("\n").split("\n")
    tokens = characters + [c + SUFFIX for c in characters] + [merge.replace(" ", "") for merge in merges] + [START, END]
    if len(tokens) != 49408 or len(set(tokens)) != 49408:
        raise ValueError(f"{len(tokens)} tokens; CLIP has 49408")
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")


def reference(folder: Path, pad: str) -> CLIPTokenizer:
    """The tokenizer with the special tokens of the published Stable Diffusion repositories."""
    def token(content: str) -> dict:
        return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

    special = {"bos_token": token(START), "eos_token": token(END), "unk_token": token(END), "pad_token": pad}
    config = {"add_prefix_space": False, "do_lower_case": True, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)


def texts() -> list[str]:
    """Phrases of every language of the corpus, alone and as prompts are put together from them, and the decisive cases."""
    phrases = [p.strip() for p in re.split(r"[.,;。，、।؛،\n]", TRAINING) if p.strip()]
    generator = random.Random(7)
    chosen = phrases + HAND_WRITTEN
    for _ in range(400):
        parts = [generator.choice(phrases) for _ in range(generator.randint(1, 4))] + generator.sample(STYLES, generator.randint(0, 3))
        generator.shuffle(parts)
        text = generator.choice([", ", ". ", " ", "，"]).join(parts)
        chosen.append(generator.choice([str, str, str.upper, str.title])(text))
    chosen += random_texts(200, seed=49408)
    return list(dict.fromkeys(chosen))


def main() -> None:
    transformers.logging.set_verbosity_error()
    chosen = texts()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_vocabulary(folder)
        ids = {}
        for pad in (END, "!"):
            tokenizer = reference(folder, pad)
            encoded = [tokenizer(t, padding="max_length", max_length=77, truncation=True) for t in chosen]
            ids[pad] = [e["input_ids"][: sum(e["attention_mask"])] for e in encoded]
    bang = {str(i): with_bang for i, (plain, with_bang) in enumerate(zip(ids[END], ids["!"], strict=True)) if plain != with_bang}
    content = {"made_with": f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}",
               "texts": chosen, "ids": ids[END], "ids_with_padding_bang": bang}
    TARGET.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{len(chosen)} texts, {len(bang)} of them other with padding '!'")


if __name__ == "__main__":
    main()
