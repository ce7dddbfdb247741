"""Writes the golden files of the rows in tests/cases_basic.c and tests/cases_clip.c. Needs torch.

    python3 tests/compare/make_op_goldens_clip.py
"""
import numpy as np
import torch
import torch.nn.functional as F

from goldens import Draws, golden, write

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073], dtype=torch.float64)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711], dtype=torch.float64)


def linear(x, w, b, skip):
    return F.linear(x, w, b) + (0 if skip is None else skip)


def attention(heads, causal):
    def run(qkv):
        B, T, C3 = qkv.shape
        q, k, v = (p.view(B, T, heads, -1).transpose(1, 2) for p in qkv.split(C3 // 3, -1))
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        if causal:
            scores = scores + torch.full((T, T), -torch.inf, dtype=scores.dtype).triu(1)
        return (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C3 // 3)

    return run


def multihead(qkv):
    """attention(2, False) once more, by torch.nn.MultiheadAttention with projections that change nothing."""
    C = qkv.shape[-1] // 3
    module = torch.nn.MultiheadAttention(C, 2, bias=False, batch_first=True).double()
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.eye(C).repeat(3, 1))
        module.out_proj.weight.copy_(torch.eye(C))
    q, k, v = qkv.split(C, -1)
    return module(q, k, v, need_weights=False)[0]


def embed(ids, table, pos):
    return F.embedding(ids, table) + (0 if pos is None else pos[: ids.shape[1]])


def take_row(x, row):
    return x[torch.arange(len(x)), row]


def patchify(patch):
    """As the unit convolution of stride P that the class of models begins with; its P*P*3 outputs are the patch."""

    def run(x):
        picture = ((x - MEAN) / STD).permute(0, 3, 1, 2)
        unit = torch.eye(patch * patch * 3, dtype=x.dtype).view(-1, patch, patch, 3).permute(0, 3, 1, 2)
        return F.conv2d(picture, unit, stride=patch).flatten(2).transpose(1, 2)

    return run


def prepend(x, first, pos):
    return torch.cat([first.expand(len(x), 1, -1), x], 1) + pos


def basic():
    row = "linear"
    d = Draws(row)
    golden(row, linear, [d.normal(5, 7), d.normal(3, 7), d.normal(3), d.normal(5, 3)], [0, 1, 2, 3])
    row = "linear, frozen weights"
    d = Draws(row)
    golden(row, linear, [d.normal(2, 3, 7), d.normal(4, 7), d.normal(4), None], [0])
    row = "linear, kept as panels"
    d = Draws(row)
    golden(row, linear, [d.normal(5, 32), d.normal(48, 32), d.normal(48), d.normal(5, 48)], [0, 3])

    quick = lambda x: x * torch.sigmoid(1.702 * x)
    golden("gelu, quick", quick, [Draws("gelu, quick").normal(3, 5, 7)], [0])
    golden("gelu, exact", F.gelu, [Draws("gelu, exact").normal(3, 5, 7)], [0])
    golden("gelu, large values", quick, [Draws("gelu").normal(4, 9, spread=300)], [0])
    golden("silu", F.silu, [Draws("silu").normal(2, 3, 5, 7)], [0])
    golden("silu, large values", F.silu, [Draws("silu").normal(4, 9, spread=300)], [0])
    golden("tanh", torch.tanh, [Draws("tanh").normal(23)], [0])

    norm = lambda x, g, b: F.layer_norm(x, x.shape[-1:], g, b, 1e-5)
    row = "layer_norm"
    d = Draws(row)
    golden(row, norm, [d.normal(2, 3, 37), d.normal(37), d.normal(37)], [0, 1, 2])
    row = "layer_norm, mean far from 0"
    d = Draws(row)
    golden(row, norm, [d.normal(3, 21, mean=50, spread=0.5), d.normal(21), d.normal(21)], [0, 1, 2])

    d = Draws("add")
    golden("add", torch.add, [d.normal(3, 5, 7), d.normal(3, 5, 7)], [0, 1])
    golden("mul", torch.mul, [d.normal(3, 5, 7), d.normal(3, 5, 7)], [0, 1])
    golden("mul, by itself", torch.square, [d.normal(4, 5)], [0])
    golden("sum", torch.sum, [d.normal(3, 5, 7)], [0])

    half = lambda x: x.to(torch.float32).to(torch.bfloat16).to(torch.float64)
    golden("cast", half, [Draws("cast").normal(3, 5, 7)], [0])
    golden("cast, several tasks", half, [Draws("cast, several tasks").normal(11, 97)], [0])
    tie = 2.0**-7
    edges = [1 + tie / 2, 1 + 1.5 * tie, -1 - tie / 2, -1 - 1.5 * tie, 1 + tie / 2 + 2**-23, 1 + 1.5 * tie - 2**-23, 0, -3]
    golden("cast, edges", half, [np.array(edges)], [0])
    cast_added(half)


def cast_added(half):
    """By hand: two readers of one half add their gradients up in it, the later one's first."""
    row = "cast, added to"
    d = Draws(row)
    x, b, dy = (torch.from_numpy(d.normal(3, 5, 7)) for _ in range(3))
    dhalf = half(half(dy * b) + dy)
    out = half(x) + half(x) * b + half(x)
    arrays = {"in0": x, "in1": b, "out": out, "dy": dy, "d0": half(dy) + dhalf, "d1": dy * half(x)}
    write(row, {name: a.numpy() for name, a in arrays.items()})


def clip():
    rows = [
        ("attention", (2, 5, 18), attention(2, False)),
        ("attention, causal", (2, 7, 12), attention(2, True)),
        ("attention, several blocks", (1, 37, 9), attention(1, False)),
        ("attention, several blocks, causal", (1, 37, 12), attention(2, True)),
    ]
    for row, shape, function in rows:
        golden(row, function, [Draws(row).normal(*shape)], [0])
    golden("attention, large scores", multihead, [Draws("attention").normal(1, 6, 24, spread=4)], [0])

    row = "embed"
    d = Draws(row)
    golden(row, embed, [d.ids(11, 3, 5), d.normal(11, 7), d.normal(6, 7)], [1, 2])
    golden("embed, no places", embed, [d.ids(4, 3, 5), d.normal(4, 7), None], [1])
    d = Draws("take_row")
    golden("take_row", take_row, [d.normal(4, 3, 5), d.ids(3, 4)], [0])

    golden("patchify", patchify(2), [Draws("patchify").normal(2, 6, 6, 3)], [0])
    golden("patchify, odd patches", patchify(3), [Draws("patchify").normal(1, 9, 9, 3)], [0])
    d = Draws("prepend")
    golden("prepend", prepend, [d.normal(2, 3, 5), d.normal(5), d.normal(4, 5)], [0, 1, 2])

    d = Draws("cross_entropy")
    golden("cross_entropy", F.cross_entropy, [d.normal(5, 7), d.ids(7, 5)], [0])
    golden("cross_entropy, large logits", F.cross_entropy, [d.normal(4, 19, spread=8), d.ids(19, 4)], [0])


if __name__ == "__main__":
    basic()
    clip()
