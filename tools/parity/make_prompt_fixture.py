"""Makes tests/text/data/prompt_cases.json: prompts in A1111's syntax, their fragments, parts and chunks by prompt_reference.py.

Run with the Python packages of tools/train/requirements.txt:
    python tools/parity/make_prompt_fixture.py
Tokens are those of the vocabulary in tests/text/data, by transformers' CLIPTokenizer. The output depends on these scripts only.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

from prompt_reference import Refusal, chunk, parse_parts, parse_prompt
from transformers import CLIPTokenizer

DATA = Path(__file__).resolve().parents[2] / "tests" / "text" / "data"
WORDS = "a red apple on the table , blue house in snow , tree at night . old map , sky é 東京 12 it's BREAK <cat-toy> EasyNeg !".split()
PSEUDO = {"<cat-toy>": 2, "easyneg": 40}  # vectors
SYNTAX = ["(", ")", "[", "]", "((", "))", ":1.2)", ":0.5)", ": 1.3 )", ":-1)", ":", "\\(", "\\)", "\\[", "\\]", "\\\\", "\\", " ", " ", " BREAK ",
          ", ", " AND ", ":2", "\n"]

HAND_WRITTEN = [
    "", " ", "normal text", "an (important) word", "(unbalanced", "\\(literal\\]", "(unnecessary)(parens)",
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", "((x:1.2))", "(((x)))", "a :1.2)", "[x", "x]", "x)", "(]", "[)", "([)]x", "[(])x",
    "(a:+1.5)", "(a:-0.5)", "(a:0)", "(a:.5)", "(a:5.)", "(a: 1.2 )", "(a:\u00a01.2\u3000)", "(a:\u0661.\u0662)", "(a:1,2)", "(a:1.2", "(a:b:1.2)", "(a:1.2:b)",
    "(a:1.2.3)", "(a:.)", "(a:..)", "a:1.2.3)", "(a:1e3)", "(a:1001)", "((a:100):100)", "((a:0.001):1000)", "(a:-1001)", "(" * 64 + "x", "(" * 65 + "x",
    "[" * 65 + "x", "(" * 33 + "[" * 32, "()" * 80 + "x", "(:1.2)", "(\\:1.2)", "a\\b", "a\\", "\\", "\\\\(a)", "\\\\\\(a)", "(a\\))", "\\\n(", "(a)\\x(a)", "é(ö)ü", "（a:1.2）",
    "a BREAK b", "BREAK", "BREAK BREAK", "a BREAK", "BREAK a", "aBREAK", "BREAKa", "a_BREAK b", "BREAK_", "a,BREAK,b", "(a BREAK b:1.2)", "[BREAK]", "BREAK\u0301 a",
    "éBREAK", "a\n\tBREAK \u3000\x1c b", "a:BREAK:b", "\\BREAK", "(a:-1) BREAK b", "break", "1BREAK", "BREAK1",
    "a AND b", "a AND b:2", "a :0.5 AND b : -1.5 ", "AND", " AND ", "a AND", "BAND", "AND_b", "a\nAND\nb", "(a AND b:1.2)", "a AND b AND c:.5", "ratio 16:9", "at 10:30, noon",
    "a:1.", "a:.", "a:+", "a: 1 2", "a::2", ":2", "a:1001", "x AND a:1e3", "a:2 b", "a:\u0661", "[a AND b:0.5]", "a AND [b:0.5]", "(a):0.5", "a  :  1  ",
    "[a:b:0.5]", "[a:3]", "[a::5]", "[:a:5]", "[a: 3 ]", "[a:-.5e1]", "[a:b]", "[a:3 b]", "[a|b]", "[a|b|]", "[|]", "a|b", "(a|b)", "[(a|b)]", "[a|b", "a|b]", "[a\\|b]", "[a\\:3]",
    "\\[a|b]", "[a|b\\]", "x [a [b:2]", "[(a:2):3]", "((a][:b:c [d:3]", "[(a:0.5]", "é [a|b]", "[a:1.2)", "([a:0.5])", "[a:1.5.5]", "[a:e5]", "[3]", "[a:[b]:0.5]", "{a|b}",
    "<lora:x:0.8>", "é <lora:x:1> y", "<LYCO:x>", "<hypernet:y:1>", "<foo:bar>", "<foo:>", "<:x>", "<a b:c>", "<lora:x", "<<lora:x>", "<é:x>", "a < b : c > d", "<cat-toy>",
    "\\<lora:x>", "<lora:x AND y>", "<1:2>", "(<lora:x:1>:1.2)", "a <cat-toy> b", "a<CAT-TOY>b", "easyneg", "EASYNEG,", "easyneg2", "easynegs", "(easyneg:1.2) x", "<easyneg>",
]


def long_prompt(rng: random.Random, words: int, commas: float) -> str:
    """About `words` tokens, with few brackets."""
    out = []
    for _ in range(words):
        word = rng.choice([w for w in WORDS if w not in (",", "BREAK")] + ["BREAK"] * (rng.random() < 0.2))
        out.append(f"({word}:{rng.choice(['1.2', '0.8', '-1'])})" if rng.random() < 0.05 else word)
        if rng.random() < commas:
            out[-1] += ","
    return " ".join(out)


def random_prompts(seed: int) -> list[str]:
    rng = random.Random(seed)
    short = ["".join(rng.choice(SYNTAX) if rng.random() < 0.55 else rng.choice(WORDS) + " " for _ in range(rng.randint(3, 24))) for _ in range(110)]
    return short + [long_prompt(rng, rng.choice([30, 76, 90, 160, 240]), rng.choice([0.0, 0.03, 0.2])) for _ in range(40)]


class Tokens:
    """Token ids of a text, with pseudo-words as whole units."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("vocab.json", "merges.txt"):
                (Path(folder) / name).write_bytes((DATA / name).read_bytes())
            self.tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        self.vocabulary = json.loads((DATA / "vocab.json").read_text(encoding="utf-8"))
        self.first = {}
        last = max(self.vocabulary.values())
        for name, vectors in PSEUDO.items():
            self.first[name], last = last + 1, last + vectors

    def spellings(self) -> dict[str, str]:
        return {"<cat-toy>": "<cat-toy>", "<<cat-toy>>": "<cat-toy>", "easyneg": "easyneg", "<easyneg>": "easyneg"}

    def units(self, text: str) -> list[tuple[list[int]]]:
        found, done, i, lower = [], 0, 0, text.lower()
        while i < len(text):
            fits = [s for s in self.spellings() if lower.startswith(s, i)]
            best = max(fits, key=len, default="")
            around = lower[i - 1:i] + lower[i + len(best):i + len(best) + 1]
            if best and not (best[0] != "<" and any(c.isalnum() or c == "_" for c in around)):
                found += [[t] for t in self.ids(text[done:i])]
                name = self.spellings()[best]
                found.append(list(range(self.first[name], self.first[name] + PSEUDO[name])))
                done = i + len(best)
            i += max(len(best), 1)
        return found + [[t] for t in self.ids(text[done:])]

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


def runs(values: list[float]) -> list[list]:
    """[count, value] of equal neighbours."""
    out: list[list] = []
    for value in values:
        if out and out[-1][1] == value:
            out[-1][0] += 1
        else:
            out.append([1, value])
    return out


def chunks_of(fragments: list[tuple[str | None, float]], tokens: Tokens) -> list[dict]:
    stretches: list[list] = [[]]
    for text, weight in fragments:
        if text is None:
            stretches.append([])
        else:
            stretches[-1] += [(ids, weight) for ids in tokens.units(text)]
    return [{"ids": [i for ids, _ in one for i in ids], "weights": runs([w for ids, w in one for _ in ids])}
            for one in chunk(stretches, tokens.vocabulary[",</w>"])]


def case(text: str, tokens: Tokens) -> dict:
    out: dict = {"text": text}
    try:
        fragments = parse_prompt(text)
        out["prompt"] = fragments
        out["chunks"] = chunks_of(fragments, tokens)
    except Refusal as refusal:
        out["prompt_error"] = [refusal.offset, refusal.kind]
    try:
        parts = parse_parts(text)
        if parts != [(1.0, out.get("prompt"))]:
            out["parts"] = parts
    except Refusal as refusal:
        out["parts_error"] = [refusal.offset, refusal.kind]
    return out


def main() -> None:
    tokens = Tokens()
    texts = list(dict.fromkeys(HAND_WRITTEN + random_prompts(7)))
    lines = [json.dumps(case(text, tokens), ensure_ascii=True, separators=(",", ":")) for text in texts]
    head = json.dumps({"pseudo_words": PSEUDO}, separators=(",", ":"))[:-1]
    (DATA / "prompt_cases.json").write_text(head + ',"cases":[\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    print(len(texts), "prompts")


if __name__ == "__main__":
    main()
