"""Makes tests/text/data: a small CLIP-format vocabulary, and what transformers' CLIPTokenizer does with it.

Run with the Python packages of tools/train/requirements.txt:
    python tools/parity/make_tokenizer_fixture.py
The output depends on this script, tokenizer_corpus.py and those versions only.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import tokenizers
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizer_corpus import HAND_WRITTEN, TRAINING, random_texts
from transformers import CLIPTokenizer

DATA = Path(__file__).resolve().parents[2] / "tests" / "text" / "data"
START, END = "<|startoftext|>", "<|endoftext|>"
SUFFIX = "</w>"
MERGES = 1900


def learn_merges() -> list[tuple[str, str]]:
    """The merges of a BPE trained behind CLIP's own normaliser and splitter."""
    clip = CLIPTokenizer().backend_tokenizer
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=SUFFIX, unk_token=END))
    tokenizer.normalizer, tokenizer.pre_tokenizer = clip.normalizer, clip.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Word-final characters as "special" tokens get fixed ids; otherwise ties would break by the order of a hash table.
    trainer = trainers.BpeTrainer(vocab_size=512 + 2 * MERGES, min_frequency=1, end_of_word_suffix=SUFFIX, show_progress=False,
                                  initial_alphabet=alphabet, special_tokens=[END, *(c + SUFFIX for c in alphabet)])
    tokenizer.train_from_iterator(TRAINING.strip().split("\n"), trainer)
    merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    if len(merges) < MERGES:
        raise ValueError(f"only {len(merges)} merges could be learnt; {MERGES} are wanted")
    return merges[:MERGES]


def write_vocabulary(merges: list[tuple[str, str]]) -> None:
    """vocab.json and merges.txt, laid out as CLIP's: byte characters, the same with the suffix, merges, controls."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(byte) for byte in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    tokens = characters + [character + SUFFIX for character in characters]
    tokens += [left + right for left, right in merges] + [START, END]
    tokens = list(dict.fromkeys(tokens))
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (DATA / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (DATA / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def token(content: str, **flags: bool) -> dict:
    """A token as special_tokens_map.json writes it."""
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, **flags}


def layouts(vocabulary: dict[str, int]) -> dict[str, dict[str, object]]:
    """Name -> the JSON files beside vocab.json and merges.txt; None: the file is taken from DATA."""
    config = {"add_prefix_space": False, "do_lower_case": True, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    strings = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    objects = {"bos_token": token(START), "eos_token": token(END), "unk_token": token(END)}
    first = len(vocabulary)
    decoder = {str(first - 2): token(START, normalized=False, special=True), str(first - 1): token(END, normalized=False, special=True),
               str(first): token("<sks>", normalized=False, special=False), str(first + 1): token("MyStyle", special=False),
               str(first + 2): token("<l>", lstrip=True, normalized=False, special=False), str(first + 3): token("<r>", rstrip=True, normalized=False, special=False),
               str(first + 4): token("solo", single_word=True, normalized=False, special=False), str(first + 5): token("Grüne Äpfel", special=False),
               str(first + 6): token("<sks>-<l>", normalized=False, special=False), str(vocabulary["é"]): token("é", normalized=False, special=False)}
    return {
        "strings": {"tokenizer_config.json": config, "special_tokens_map.json": strings},
        # As Stable Diffusion 1 ships it: padding is the end token, which is not normalised because its text is added last.
        "end_pad": {"tokenizer_config.json": {**config, **{k: {"__type": "AddedToken", **v} for k, v in objects.items()}, "pad_token": END},
                    "special_tokens_map.json": {**objects, "pad_token": END}},
        # As Stable Diffusion 2 ships it: tokenizer_config.json names the end token, special_tokens_map.json the padding "!".
        "bang_pad": {"tokenizer_config.json": {**config, **{k: {"__type": "AddedToken", **v} for k, v in objects.items()}, "pad_token": END},
                     "special_tokens_map.json": {**objects, "pad_token": "!"}},
        "decoder_wins": {"tokenizer_config.json": {**config, **strings, "pad_token": "!", "added_tokens_decoder": {**decoder, "0": token("!", normalized=False, special=True)}},
                         "special_tokens_map.json": strings},
        "added": {"tokenizer_config.json": {**config, **strings, "added_tokens_decoder": decoder, "model_max_length": 1e30}},
        "added_map": {"tokenizer_config.json": {**config, "model_max_length": 20}, "special_tokens_map.json": {**strings, "additional_special_tokens": ["<extra>"]},
                      "added_tokens.json": {"<sks>": first, "MyStyle": first + 1}},
        "split_special": {"tokenizer_config.json": {**config, **strings, "split_special_tokens": True}},
        "no_config": {},
        "json_only": {"tokenizer.json": None, "tokenizer_config.json": {**config, **strings}},
    }


ADDED_TEXTS = ["<sks>", "a <sks> dog", "a<sks>dog", "<SKS>", "mystyle", "MyStyle", "a MYSTYLE b", "amystyleb", "a  <l>  b", "  <l>", "a \u3000<r> \t b<r>", "<l><r>", "<r> <l>", "<r>  <l>x",
               "solo", "solo.", "solos", "a solo b", "_solo", "solo1", "soloé", "é solo", "grüne äpfel", "GRÜNE  ÄPFEL", "gru\u0308ne a\u0308pfel", "<sks>-<l>", "<sks>-<r>", "<sks>- <l>",
               "é", "e\u0301", "É", "<extra>", "<EXTRA> <extra>", "<sks><sks>", "<sk<sks>s>", "<|endoftext|><sks>", "x " * 76 + "MyStyle é <sks> Grüne Äpfel <r>"]


def write_files(folder: Path, files: dict[str, object]) -> None:
    for name in ["vocab.json", "merges.txt", *(n for n, content in files.items() if content is None)]:
        if name == "tokenizer.json" or "tokenizer.json" not in files:
            (folder / name).write_bytes((DATA / name).read_bytes())
    for name, content in files.items():
        if content is not None:
            (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def reference(folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)


def run(tokenizer: CLIPTokenizer, texts: list[str]) -> dict[str, object]:
    """What diffusers' pipelines ask of a tokenizer, and the text that they say was cut."""
    length = tokenizer.model_max_length if tokenizer.model_max_length < 10_000 else 77
    ids, cut = [], {}
    for index, text in enumerate(texts):
        encoded = tokenizer(text, padding="max_length", max_length=length, truncation=True)
        ids.append(encoded["input_ids"][: sum(encoded["attention_mask"])])
        everything = tokenizer(text, padding="longest")["input_ids"]
        if len(everything) > length:
            cut[str(index)] = tokenizer.decode(everything[length - 1 : -1])
    return {"max_length": length, "pad_id": tokenizer.pad_token_id, "ids": ids, "truncated": cut}


def make_cases() -> dict[str, object]:
    texts = HAND_WRITTEN + random_texts(120, seed=33)
    few = [text for index, text in enumerate(texts) if index % 4 == 0]
    specials = [text for text in texts if "<|" in text or "!" in text]
    vocabulary = json.loads((DATA / "vocab.json").read_text(encoding="utf-8"))
    cases = {}
    for name, files in layouts(vocabulary).items():
        chosen = texts if name in ("end_pad", "bang_pad", "json_only") else few + specials + ADDED_TEXTS
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder), files)
            cases[name] = {"files": files, "texts": chosen, **run(reference(Path(folder)), chosen)}
    return cases


def save_tokenizer_json() -> None:
    """tokenizer.json as transformers 5 saves it, without the white space."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {})
        reference(Path(folder)).save_pretrained(folder + "/saved")
        saved = json.loads((Path(folder) / "saved" / "tokenizer.json").read_text(encoding="utf-8"))
    (DATA / "tokenizer.json").write_text(json.dumps(saved, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def class_ranges() -> dict[str, list[list[int]]]:
    """What the splitter takes each code point for: L letter, N number, S space; anything else is left out."""
    splitter = CLIPTokenizer().backend_tokenizer.pre_tokenizer
    kinds = {(1, 3): "L", (3, 3): "N", (2, 2): "S", (3, 1): None}
    ranges: dict[str, list[list[int]]] = {"L": [], "N": [], "S": []}
    for code_point in code_points():
        character = chr(code_point)
        pieces = tuple(len(splitter.pre_tokenize_str(fence + character + fence)) for fence in "a!")
        kind = kinds[pieces]
        if kind is None:
            continue
        if ranges[kind] and ranges[kind][-1][1] == code_point - 1:
            ranges[kind][-1][1] = code_point
        else:
            ranges[kind].append([code_point, code_point])
    return ranges


def code_points() -> list[int]:
    return [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def lowercase_digest() -> str:
    """SHA-256 of every character that its lower case changes, followed by that lower case, in code point order."""
    lowercase, digest = normalizers.Lowercase(), hashlib.sha256()
    for character in map(chr, code_points()):
        if (lower := lowercase.normalize_str(character)) != character:
            digest.update((character + lower).encode())
    return digest.hexdigest()


def composition_digest() -> str:
    """SHA-256 of the composed form of: each character; each behind "a" and U+0323; each between "a" and U+0301."""
    compose, digest = normalizers.NFC(), hashlib.sha256()
    for character in map(chr, code_points()):
        digest.update(compose.normalize_str(f"{character} a\u0323{character} a{character}\u0301").encode())
    return digest.hexdigest()


def main() -> None:
    transformers.logging.set_verbosity_error()
    DATA.mkdir(parents=True, exist_ok=True)
    write_vocabulary(learn_merges())
    save_tokenizer_json()
    made_with = f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"
    cases = {"made_with": made_with, "layouts": make_cases()}
    unicode_facts = {"made_with": made_with, "classes": class_ranges(), "lowercase_sha256": lowercase_digest(), "composition_sha256": composition_digest()}
    for name, content in (("cases.json", cases), ("unicode.json", unicode_facts)):
        (DATA / name).write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")
    count = sum(len(layout["texts"]) for layout in cases["layouts"].values())
    print(f"{made_with}: {count} cases in {len(cases['layouts'])} layouts")


if __name__ == "__main__":
    main()
