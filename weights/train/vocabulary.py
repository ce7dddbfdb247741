"""Byte-level BPE like CLIP's, learned from the captions. Any text becomes tokens; the words of the world become one each.

The tokens are 256 bytes, 256 bytes that end a word, the merges in their order, <|startoftext|>, <|endoftext|>.
"""
import re
from collections import Counter

WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)
END = "</w>"


def byte_letters():
    """Each byte as a letter that can be seen; printable ones are themselves."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


LETTERS = byte_letters()


def letters_of(word):
    x = [LETTERS[b] for b in word.encode()]
    return x[:-1] + [x[-1] + END]


def merge(parts, pair):
    out, i = [], 0
    while i < len(parts):
        if tuple(parts[i : i + 2]) == pair:
            out.append(parts[i] + parts[i + 1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return out


def learn(captions, merges):
    """The `merges` pairs that are most frequent, each after those before it were merged; equal counts by their letters."""
    words = Counter(w for c in captions for w in WORDS.findall(c.lower()))
    parts, found = {w: letters_of(w) for w in words}, []
    while len(found) < merges:
        pairs = Counter()
        for w, n in words.items():
            for pair in zip(parts[w], parts[w][1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = max(pairs, key=lambda p: (pairs[p], p))
        found.append(best)
        parts = {w: merge(p, best) for w, p in parts.items()}
    return found


class Vocabulary:
    def __init__(self, merges):
        self.merges = merges
        self.rank = {pair: i for i, pair in enumerate(merges)}
        tokens = [*LETTERS.values(), *(x + END for x in LETTERS.values()), *(a + b for a, b in merges)]
        self.number = {t: i for i, t in enumerate(tokens)}
        self.start, self.end, self.size = len(tokens), len(tokens) + 1, len(tokens) + 2
        self.known = {}

    def word(self, word):
        if word not in self.known:
            parts = letters_of(word)
            while len(parts) > 1:
                pair = min(zip(parts, parts[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
                if pair not in self.rank:
                    break
                parts = merge(parts, pair)
            self.known[word] = [self.number[p] for p in parts]
        return self.known[word]

    def encode(self, text, context=64):
        """Start, words, end, and 0 up to the context's length."""
        x = [t for w in WORDS.findall(text.lower()) for t in self.word(w)]
        x = [self.start, *x[: context - 2], self.end]
        return x + [0] * (context - len(x))

    def text(self):
        """A merge a line, as vqgen reads it."""
        return "\n".join(f"{a} {b}" for a, b in self.merges)
