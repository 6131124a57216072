"""What a prompt of A1111's syntax means, from the rules in text/README.md: slow, short, and of another build than text/.

Weights are kept as the brackets that are open at each piece and multiplied at the end; chunks are cut by looking ahead.
"""

from __future__ import annotations

import re

ROUND, SQUARE = 1.1, 1 / 1.1
MOST, DEPTH, CHUNK, REACH = 1000.0, 64, 75, 20
CLOSES = {")": "(", "]": "["}


class Refusal(Exception):
    """A prompt that is refused: at which byte, and what for."""

    def __init__(self, text: str, index: int, kind: str):
        super().__init__(kind)
        self.offset, self.kind = len(text[:index].encode()), kind


def refuse_networks(text: str) -> None:
    if found := re.search(r"<(\w+):[^>]+>", text):
        raise Refusal(text, found.start(), "network")


def refuse_groups(text: str, begin: int, end: int) -> None:
    """Square brackets that nest properly and hold a bar, or end in a number, in text[begin:end]."""
    stack: list[list] = []
    i = begin
    colons = set()
    while i < end:
        c = text[i]
        if c == "\\":
            i += 1
        elif c in "([":
            stack.append([c, i, False])
        elif c == "|" and stack:
            stack[-1][2] = True
        elif c == ":":
            colons.add(i)
        elif c in CLOSES and stack:
            kind, start, bar = stack.pop()
            if kind != CLOSES[c]:
                stack = []
            elif c == "]" and bar:
                raise Refusal(text, start, "alternation")
            elif c == "]":
                number = re.search(r":\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*\Z", text[start:i])
                if number and start + number.start() in colons:
                    raise Refusal(text, start, "schedule")
        i += 1


def as_number(digits: str) -> float | None:
    try:
        return float(digits)
    except ValueError:
        return None


class Attention:
    """Reads text[begin:end]: pieces of text, each with the brackets that are open at it."""

    def __init__(self, text: str, begin: int, end: int):
        self.text, self.begin, self.end = text, begin, end
        self.pieces: list[tuple] = []  # (text or None for BREAK, open brackets, index)
        self.open: dict[str, list[int]] = {"(": [], "[": []}
        self.brackets = 0
        self.closed: list[tuple[int, float]] = []  # in the order of closing

    def put(self, words: str | None, index: int) -> None:
        self.pieces.append((words, frozenset(self.open["("] + self.open["["]), index))

    def put_words(self, words: str, index: int) -> None:
        for count, part in enumerate(re.split(r"\s*\bBREAK\b\s*", words)):
            if count:
                self.put(None, index)
            self.put(part, index)

    def close(self, kind: str, factor: float) -> None:
        self.closed.append((self.open[kind].pop(), factor))

    def read(self) -> list[tuple[str | None, float]]:
        i = self.begin
        while i < self.end:
            i = self.step(i)
        for kind, factor in (("(", ROUND), ("[", SQUARE)):
            self.closed += [(bracket, factor) for bracket in self.open[kind]]
        fragments: list[tuple[str | None, float]] = []
        for words, brackets, index in self.pieces or [("", frozenset(), 0)]:
            weight = 1.0
            for bracket, factor in self.closed:
                if words is not None and bracket in brackets:
                    weight *= factor
            if not abs(weight) <= MOST:
                raise Refusal(self.text, index, "weight")
            if fragments and words is not None and fragments[-1][0] is not None and fragments[-1][1] == weight:
                fragments[-1] = (fragments[-1][0] + words, weight)
            else:
                fragments.append((words, weight))
        return fragments

    def step(self, i: int) -> int:
        c, rest = self.text[i], self.text[i:self.end]
        if c == "\\":
            escaped = rest[1:2] if rest[1:2] in ("(", ")", "[", "]", "\\") else ""
            self.put(escaped, i)
            return i + 1 + len(escaped)
        if c in "([":
            if sum(map(len, self.open.values())) == DEPTH:
                raise Refusal(self.text, i, "depth")
            self.open[c].append(self.brackets)
            self.brackets += 1
            return i + 1
        if c == ":" and (weight := re.match(r":\s*([+-]?[.\d]+)\s*\)", rest)):
            if not self.open["("]:
                self.put_words(weight[0], i)
            elif (factor := as_number(weight[1])) is None:
                raise Refusal(self.text, i + 1, "number")
            else:
                self.close("(", factor)
            return i + len(weight[0])
        if c in CLOSES and self.open[CLOSES[c]]:
            self.close(CLOSES[c], ROUND if c == ")" else SQUARE)
            return i + 1
        words = c if c in ":)]" else re.match(r"[^\\()\[\]:]+", rest)[0]
        self.put_words(words, i)
        return i + len(words)


def parse_prompt(text: str) -> list[tuple[str | None, float]]:
    """Fragments (text, weight); text None: BREAK."""
    refuse_networks(text)
    refuse_groups(text, 0, len(text))
    return Attention(text, 0, len(text)).read()


def parse_parts(text: str) -> list[tuple[float, list[tuple[str | None, float]]]]:
    """(weight, fragments) of what stands between ANDs."""
    refuse_networks(text)
    parts, begin = [], 0
    for separator in [*re.finditer(r"\bAND\b", text), None]:
        stop = separator.start() if separator else len(text)
        end = begin + len(text[begin:stop].rstrip())
        weight = 1.0
        if number := re.search(r"\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+))\Z", text[begin:end]):
            weight = float(number[1])
            if not abs(weight) <= MOST:
                raise Refusal(text, begin + text[begin:end].rindex(":"), "weight")
            end = begin + number.start()
        refuse_groups(text, begin, end)
        parts.append((weight, Attention(text, begin, end).read()))
        begin = separator.end() if separator else stop
    return parts


def cut(units: list[tuple[list[int], float]], comma: int) -> list[list[tuple[list[int], float]]]:
    """Chunks of one stretch without BREAK; a unit is a token, or a pseudo-word that stays whole. The last may be short."""
    chunks, rest = [], units
    while True:
        room, fits = CHUNK, 0
        while fits < len(rest) and len(rest[fits][0]) <= room:
            room -= len(rest[fits][0])
            fits += 1
        if fits == len(rest):
            return [*chunks, rest]
        place, commas = 0, []
        for count, (ids, _) in enumerate(rest[:fits]):
            if ids == [comma]:
                commas.append((count, place))
            place += len(ids)
        if room == 0 and rest[fits][0] != [comma] and commas and CHUNK - commas[-1][1] <= REACH:
            fits = commas[-1][0] + 1
        chunks.append(rest[:fits])
        rest = rest[fits:]


def chunk(stretches: list[list[tuple[list[int], float]]], comma: int) -> list[list[tuple[list[int], float]]]:
    """Chunks of a prompt; between two stretches stood a BREAK."""
    chunks = [one for stretch in stretches for one in cut(stretch, comma)]
    return chunks[:-1] if len(chunks) > 1 and not chunks[-1] else chunks
