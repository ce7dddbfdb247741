"""CLIP's byte-pair tokeniser for plain ASCII prompts without HTML entities or special tokens.

Enough to give both sides of a comparison the same tokens.
"""
import re

WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")


def byte_symbols():
    """Byte -> the character that stands for it; printable ones for themselves. In the vocabulary's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def synthetic_merges(count):
    """`count` merges of two symbols each, all different: a vocabulary of full size without the published one."""
    symbols = list(byte_symbols().values())
    pairs = (f"{a} {b}{end}" for a in symbols for end in ("", "</w>") for b in symbols)
    return [pair for pair, _ in zip(pairs, range(count))]


class Tokeniser:
    """Vocabulary: bytes, bytes at a word's end, merges in order of rank, start, end."""

    def __init__(self, merges):
        self.symbols = byte_symbols()
        ends = [s + "</w>" for s in self.symbols.values()]
        vocabulary = [*self.symbols.values(), *ends, *(m.replace(" ", "") for m in merges)]
        self.ids = {s: i for i, s in enumerate(vocabulary)}
        self.ranks = {tuple(m.split(" ")): i for i, m in enumerate(merges)}
        self.start, self.end = len(vocabulary), len(vocabulary) + 1

    def word(self, text):
        parts = [self.symbols[b] for b in text.encode()]
        parts[-1] += "</w>"
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged, i = [], 0
            while i < len(parts):
                pair = tuple(parts[i : i + 2]) == best
                merged.append("".join(parts[i : i + 2]) if pair else parts[i])
                i += 2 if pair else 1
            parts = merged
        return [self.ids[p] for p in parts]

    def encode(self, text, length):
        """Ids with start and end, padded with 0 to `length`."""
        if not text.isascii():
            raise ValueError(f"not plain ASCII: {text!r}")
        ids = [i for word in WORDS.findall(text.lower()) for i in self.word(word)]
        ids = [self.start, *ids[: length - 2], self.end]
        return ids + [0] * (length - len(ids))
