"""Training captions: an emoji's name among words that mean nothing to the picture.

The denoiser memorises its few hundred pictures, so all that prompts can vary is how the name is wrapped. From the first step
on, captions are therefore wrapped at random: phrases, function words, unrelated words and made-up words before and after
the name, in any order. What the model must learn is to find the name and ignore the rest.

`rephrasings.json` measures that on sentences it never saw: their content words are removed from the filler words here.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

from dataset import Emoji

REPHRASINGS_FILE = Path(__file__).with_name("rephrasings.json")
WORDS_FILE = Path(__file__).with_name("filler_words.json")
LETTERS_VOWELS, LETTERS_CONSONANTS = "aaeeiioouy", "bbccddffgghjkkllmmnnppqrrssttvwxz"


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def load_rephrasings() -> list[dict]:
    return json.loads(REPHRASINGS_FILE.read_text())["prompts"]


class CaptionWriter:
    """Writes random captions; everything random comes from the `random.Random` that is passed in."""

    def __init__(self, entries: list[Emoji], unrelated_names: list[str]):
        self.entries = entries
        lists = json.loads(WORDS_FILE.read_text())
        self.function_words: list[str] = lists["function_words"]
        self.phrases: list[str] = lists["phrases"]
        self.name_words = {w for e in entries for name in e.all_names for w in words_of(name)}
        held_out = {w for r in load_rephrasings() for w in words_of(r["prompt"])} - set(self.function_words)
        unrelated = {w for name in unrelated_names for w in words_of(name) if len(w) > 2}
        fillers = {*lists["content_words"], *unrelated} - self.name_words - held_out - set(self.function_words)
        self.content_words = sorted(fillers)
        self.short_names = {e.name: self._unambiguous_parts(e) for e in entries}

    def _unambiguous_parts(self, entry: Emoji) -> list[str]:
        """The entry's names less one word, where no other entry's name contains all the words that remain.

        A single word is left over only when it was "face" that went: "slice" should not mean pizza.
        """
        others = [set(words_of(name)) for e in self.entries if e is not entry for name in e.all_names]
        parts = []
        for name in entry.all_names:
            words = words_of(name)
            for index in range(len(words)):
                rest = words[:index] + words[index + 1:]
                meaningful = set(rest) - set(self.function_words)
                if len(meaningful) < 2 and words[index] != "face":
                    continue
                if meaningful and not any(meaningful <= other for other in others):
                    parts.append(" ".join(rest))
        return parts

    def corpus(self) -> Counter[str]:
        """Words with weights, for the tokenizer: the names' own words come out as single tokens."""
        counts: Counter[str] = Counter()
        for word in self.content_words:
            counts[word] += 4
        for word in self.function_words:
            counts[word] += 30
        for phrase in self.phrases:
            counts.update(words_of(phrase))
        for word in self.name_words:
            counts[word] += 60
        return counts

    def _made_up_word(self, rng: random.Random) -> str:
        letters = []
        for _ in range(rng.randint(1, 4)):
            letters.append(rng.choice(LETTERS_CONSONANTS) + rng.choice(LETTERS_VOWELS))
            if rng.random() < 0.35:
                letters.append(rng.choice(LETTERS_CONSONANTS))
        return "".join(letters)

    def _filler(self, rng: random.Random) -> str:
        draw = rng.random()
        if draw < 0.40:
            word = rng.choice(self.function_words)
        elif draw < 0.78:
            word = rng.choice(self.content_words)
            if rng.random() < 0.1:
                word += rng.choice(("s", "ed", "ing", "ly", "er", "'s"))
        else:
            word = self._made_up_word(rng)
        return word + rng.choice((",", ",", ".", "!", "?", ":", ";", "...")) if rng.random() < 0.08 else word

    def _name(self, entry: Emoji, rng: random.Random) -> str:
        draw = rng.random()
        if draw < 0.15 and self.short_names[entry.name]:
            return rng.choice(self.short_names[entry.name])
        name = entry.name if draw < 0.6 else rng.choice(entry.all_names)
        if rng.random() < 0.04:
            name = name[:-1] if name.endswith("s") else name + "s"
        return name

    def write(self, entry: Emoji, rng: random.Random) -> str:
        """One caption for `entry`."""
        name = self._name(entry, rng)
        style = rng.random()
        if style < 0.22:
            return name
        if style < 0.34:
            return f"{rng.choice(('a', 'an', 'the', 'one', 'my', 'some'))} {name}"
        if style < 0.44:
            return rng.choice(self.phrases).format(name)
        before = [self._filler(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 5, 6)))]
        after = [self._filler(rng) for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 4, 5, 6)))]
        article = [rng.choice(("a", "an", "the"))] if rng.random() < 0.4 else []
        ending = rng.choice((".", "!", "?", ",", "'s")) if rng.random() < 0.12 else ""
        return " ".join([*before, *article, name + ending, *after])
