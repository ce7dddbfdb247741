"""Compares the tokeniser with ftfy, html, regex and a plain BPE on random awkward texts, and counts the differences.

  cc -shared -fPIC -O2 -I. -o ./tokenizer.so nets/{tokenizer,text_clean,mojibake,html_entities}.c base/status.c -lutf8proc
  pip install ftfy==6.3.1 regex
  python tests/compare/tokenizer_vs_ftfy.py ./tokenizer.so bpe_simple_vocab_16e6.txt.gz [texts [seed]]
"""
import collections, ctypes, gzip, html, html.entities, random, sys, unicodedata
import ftfy, regex

ENTRIES, CONTEXT = 49408, 1 << 16
WORD = regex.compile(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
                     regex.IGNORECASE)


class Theirs:
    def __init__(self, merges):
        printable = [b for b in range(256) if 32 < b < 127 or (b > 160 and b != 173)]
        others = [b for b in range(256) if b not in printable]
        self.symbol = {b: chr(b) for b in printable} | {b: chr(256 + k) for k, b in enumerate(others)}
        pairs = [tuple(line.split()) for line in merges.split("\n")[1:ENTRIES - 513]]
        names = list(self.symbol.values())
        names += [s + "</w>" for s in names] + [a + b for a, b in pairs] + ["<|startoftext|>", "<|endoftext|>"]
        self.id = {name: i for i, name in enumerate(names)}
        self.rank = {pair: i for i, pair in enumerate(pairs)}

    def clean(self, text):
        text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
        return regex.sub(r"\s+", " ", text).strip().lower()

    def merge(self, word):
        if word in ("<|startoftext|>", "<|endoftext|>"):
            return [word]
        parts = [self.symbol[b] for b in word.encode()]
        parts[-1] += "</w>"
        while True:
            ranked = [(self.rank[p], i) for i, p in enumerate(zip(parts, parts[1:])) if p in self.rank]
            if not ranked:
                return parts
            i = min(ranked)[1]
            parts[i:i + 2] = [parts[i] + parts[i + 1]]

    def encode(self, text):
        words = WORD.findall(self.clean(text))
        return [ENTRIES - 2] + [self.id[s] for w in words for s in self.merge(w)] + [ENTRIES - 1]


class Ours:
    def __init__(self, library, merges):
        self.lib = ctypes.CDLL(library)
        self.lib.vq_error_message.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        data = merges.encode()
        if self.lib.vq_tokenizer_create(ctypes.byref(self.handle), data, ctypes.c_size_t(len(data)), ENTRIES, CONTEXT):
            sys.exit(self.lib.vq_error_message().decode())

    def encode(self, text):
        ids, count, data = (ctypes.c_int32 * CONTEXT)(), ctypes.c_int(), text.encode()
        if self.lib.vq_tokenizer_encode(self.handle, ids, ctypes.byref(count), data, ctypes.c_size_t(len(data)), 0):
            return self.lib.vq_error_message().decode()
        return ids[:count.value]

    def clean(self, text):
        out, n, data = ctypes.c_char_p(), ctypes.c_size_t(), text.encode()
        self.lib.vq_text_clean(ctypes.byref(out), ctypes.byref(n), data, ctypes.c_size_t(len(data)))
        return ctypes.string_at(out, n.value).decode()


def misread(text, page):
    return "".join(bytes([b]).decode(page, "replace") if page != "sloppy" else
                   bytes([b]).decode("windows-1252", "ignore") or chr(b) for b in text.encode())


WORDS = "don't I'M CAFÉ naïve schön ΟΔΥΣΣΕΥΣ İstanbul 日本語 русский مرحبا हिन्दी ไทย 한국어 à la mode “quoted” it’s ﬁne ＦＵＬＬ ｱｲｳ " \
        "🙂 👩🏽‍🚀 x² 1,234.56 rock&roll <b> <|endoftext|> <|STARTOFTEXT|> a… b—c £20 50% C++ --size 3:4 ŉ ǅ ʼn e\u0301 " \
        "\u0345 '\u017f ½ Ⅷ ⓐ _under_ \ufeff \x1b[31mred\x1b[0m \x00 \u200b \xa0 \u3000 \x85 \u2028 !!! ... «déjà» ©2020 50€ ¿qué? 20°".split(" ")
NAMES = sorted(html.entities.html5)


def entity(r):
    return r.choice([
        lambda: "&" + r.choice(NAMES), lambda: "&" + r.choice(NAMES).upper(), lambda: "&amp;" + r.choice(NAMES),
        lambda: "&#%d;" % r.choice([r.randrange(300), r.randrange(0x3000), r.randrange(0x120000)]),
        lambda: "&#x%x" % r.randrange(300) + r.choice(["", ";", " "])])()


def words(r):
    return " ".join(r.choice(WORDS) for _ in range(r.randint(1, 8)))


PAGE_1252 = [chr(c) for c in range(0xA0, 0x100)] + list("€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ")
CLASSES = {
    "words": words,
    "pieces": lambda r: "".join(r.choice(WORDS) for _ in range(r.randint(1, 8))),
    "entities": lambda r: "".join(r.choice([entity(r), words(r)[:4]]) for _ in range(r.randint(1, 4))),
    "misread 1252": lambda r: misread(words(r), "sloppy"),
    "misread latin-1": lambda r: misread(words(r), "latin-1"),
    "misread twice": lambda r: misread(misread(words(r), "sloppy"), "sloppy"),
    "misread lossy": lambda r: misread(words(r), "windows-1252"),
    "misread, A0 lost": lambda r: misread(words(r), "sloppy").replace("\xa0", " "),
    "misread in good text": lambda r: words(r) + " " + misread(words(r), "sloppy") + " " + words(r),
    "characters of 1252": lambda r: "".join(r.choice(PAGE_1252 + list("aB 1'.\n")) for _ in range(r.randint(1, 6))),
    "Latin-1 text": lambda r: " ".join("".join(r.choice("abeinorstuABC" + "àâçéèêëîïôùûüÀÂÇÉÈÊÎÔÙÜäöÄÖßñÑåÅøØ«»€£°¿¡’“”–") for _ in range(r.randint(1, 7)))
                                       for _ in range(4)),
    "other pages": lambda r: misread(words(r), r.choice(["windows-1251", "windows-1250", "macroman", "cp437"])),
    "any character": lambda r: "".join(c for c in (chr(r.choice([r.randrange(0x250), r.randrange(0x3100), r.randrange(0x20000)]))
                                                   for _ in range(r.randint(1, 12))) if unicodedata.category(c) not in ("Cs", "Cn")),
    "ASCII": lambda r: "".join(chr(r.randrange(128)) for _ in range(r.randint(0, 60))),
    "letters": lambda r: "".join(r.choice("aeiouslrtn") for _ in range(r.randint(1, 200))),
}


def main():
    merges = gzip.open(sys.argv[2]).read().decode()
    theirs, ours, r = Theirs(merges), Ours(sys.argv[1], merges), random.Random(int((sys.argv[4:] or [1])[0]))
    texts = int((sys.argv[3:] or [300])[0])
    for name, make in CLASSES.items():
        wrong = [t for t in (make(r) for _ in range(texts)) if ours.encode(t) != theirs.encode(t)]
        print(f"{name:22} {len(wrong)} of {texts} differ")
        for t in wrong[:4]:
            print(f"    {ascii(t)}\n      ours   {ascii(ours.clean(t))}\n      theirs {ascii(theirs.clean(t))}")


main()
