"""A byte-level BPE in CLIP's file format, learnt on this model's own words.

Ids are laid out as in CLIP: 256 byte characters, the same with `</w>`, one per merge, `<|startoftext|>`, `<|endoftext|>`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = 1800


def byte_characters() -> list[str]:
    """The printable character that stands for each byte, in CLIP's vocabulary order (which is not byte order)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(byte) for byte in printable]
    return characters + [chr(256 + n) for n in range(256 - len(printable))]


def byte_table() -> dict[int, str]:
    """byte -> character."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return dict(zip(printable + others, byte_characters()))


def learn_merges(word_counts: Counter[str], count: int) -> list[tuple[str, str]]:
    """The `count` most frequent pair merges; ties break alphabetically, so the result depends on the words only."""
    table = byte_table()
    words = {}
    for word in word_counts:
        symbols = [table[byte] for byte in word.encode()]
        symbols[-1] += "</w>"
        words[word] = symbols
    merges = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += word_counts[word]
        if not pairs:
            raise ValueError(f"only {len(merges)} merges can be learnt from these words")
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word, symbols in words.items():
            words[word] = apply_merge(symbols, best)
    return merges


def apply_merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """`symbols` with every adjacent occurrence of `pair` joined."""
    joined, position = [], 0
    while position < len(symbols):
        if position + 1 < len(symbols) and (symbols[position], symbols[position + 1]) == pair:
            joined.append(symbols[position] + symbols[position + 1])
            position += 2
        else:
            joined.append(symbols[position])
            position += 1
    return joined


def save_tokenizer(merges: list[tuple[str, str]], folder: Path) -> None:
    """Writes vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json."""
    folder.mkdir(parents=True, exist_ok=True)
    characters = byte_characters()
    tokens = characters + [c + "</w>" for c in characters] + [a + b for a, b in merges] + [START, END]
    if len(set(tokens)) != len(tokens):
        raise ValueError("two merges give the same token")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    config = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": 77,
              "tokenizer_class": "CLIPTokenizer", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
