"""Writes the golden files of the rows in tests/cases_vqgan.c. Needs torch and torch_optimizer.

    python3 tests/compare/make_op_goldens_vqgan.py
"""
import math

import numpy as np
import torch
import torch.nn.functional as F
import torch_optimizer

import loop
import tensorfile
from goldens import FOLDER, Draws, golden

EPS = 1e-6
nchw = lambda x: x.permute(0, 3, 1, 2)  # of a picture, or of weights [O,k,k,I]
nhwc = lambda x: x.permute(0, 2, 3, 1)


def conv(stride=1, pad=(1, 1, 1, 1)):
    top, left, bottom, right = pad
    return lambda x, w, b: nhwc(F.conv2d(F.pad(nchw(x), (left, right, top, bottom)), nchw(w), b, stride))


def group_norm(groups):
    return lambda x, g, b: F.group_norm(x.movedim(-1, 1), groups, g, b, EPS).movedim(1, -1)


def norm_act_conv(groups, act):
    def run(x, g, b, w, bias, skip):
        y = nhwc(F.conv2d(act(F.group_norm(nchw(x), groups, g, b, EPS)), nchw(w), bias, padding=w.shape[1] // 2))
        return y if skip is None else y + skip

    return run


def upsample_conv(x, w, b):
    return nhwc(F.conv2d(F.interpolate(nchw(x), scale_factor=2.0, mode="nearest"), nchw(w), b, padding=1))


def nearest_rows(z, book):
    return book[torch.cdist(z.reshape(-1, z.shape[-1]), book).argmin(-1)].view_as(z)


def soft_quantise(choose):
    """Crowson's replace_grad(one_hot, probs) @ codebook, of the ids that `choose` makes of the probabilities."""

    def run(logits, book, last):
        probs = logits.softmax(-1)
        one_hot = F.one_hot(choose(probs, last), len(book)).to(logits.dtype)
        return loop.StraightThrough.apply(one_hot, probs) @ book

    return run


def clamp01(x):
    return loop.ClampWithGrad.apply((x + 1) / 2)


def total_variation(weight):
    mean_square = lambda d: (d**2).mean() if d.numel() else d.sum()
    return lambda x: weight * (mean_square(x[:, 1:] - x[:, :-1]) + mean_square(x[:, :, 1:] - x[:, :, :-1]))


def sphere(weight, stop, rows, total):
    """The published Prompt, by rows that are a part of `total`; what is beyond `rows` is padding."""

    def run(f, e):
        a, b = F.normalize(f[:rows].unsqueeze(1), dim=2), F.normalize(e.unsqueeze(0), dim=2)
        d = a.sub(b).norm(dim=2).div(2).arcsin().pow(2).mul(2) * ((weight > 0) - (weight < 0))
        d = loop.StraightThrough.apply(d, torch.maximum(d, torch.tensor(stop, dtype=d.dtype)))
        return F.pad(abs(weight) * d.sum(dim=1) / (total * len(e)), (0, len(f) - rows))

    return run


def tables(resize, length, side, run, back, boxes, axis):
    """The tables of bands.h along one axis, from what `resize` makes of the unit pictures of a box."""
    index = np.zeros((len(boxes), side + length, 2), np.int32)
    weight = np.zeros((len(boxes), side * run + length * back))
    for j, box in enumerate(boxes):
        size = box[2]
        unit = torch.eye(size, dtype=torch.float64).view(size, 1, size, 1).repeat(1, 1, 1, size)
        dense = np.zeros((side, length))
        dense[:, box[axis] : box[axis] + size] = resize(unit)[:, 0, :, 0].T.numpy()
        for many, room, rows, first, at in ((side, run, dense, 0, 0), (length, back, dense.T, side, side * run)):
            for i, row in enumerate(rows):
                (used,) = np.abs(row).nonzero()
                if len(used):
                    start, count = used[0], used[-1] + 1 - used[0]
                    index[j, first + i] = start, count
                    weight[j, at + i * room : at + i * room + count] = row[start : start + count]
    return index, weight


def resample(resize, boxes):
    def run(x, *tables_are_not_read):
        each = len(boxes) // len(x)
        crops = [nchw(x)[j // each, None, :, t : t + size, l : l + size] for j, (l, t, size) in enumerate(boxes)]
        return nhwc(torch.cat([resize(crop) for crop in crops]))

    return run


def convolutions():
    n = Draws("conv").normal
    golden("conv", conv(), [n(2, 5, 4, 3), n(7, 3, 3, 3), n(7)], [0, 1, 2])
    golden("conv, frozen weights", conv(), [n(1, 6, 5, 3), n(4, 3, 3, 3), n(4)], [0])
    golden("conv, 1x1", conv(pad=(0, 0, 0, 0)), [n(2, 3, 4, 5), n(6, 1, 1, 5), n(6)], [0, 1, 2])
    golden("conv, uneven kernel and padding", conv(pad=(1, 0, 0, 2)), [n(2, 5, 4, 2), n(3, 2, 3, 2), None], [0, 1])
    golden("conv, stride 2", conv(2, (0, 0, 1, 1)), [n(2, 6, 7, 2), n(3, 3, 3, 2), n(3)], [0, 1, 2])
    golden("conv, stride 3, padded", conv(3, (1, 2, 0, 1)), [n(1, 8, 7, 2), n(2, 4, 3, 2), None], [0, 1])
    golden("conv, several strips", conv(), [n(1, 23, 10, 1), n(2, 3, 3, 1), n(2)], [0, 1, 2])


def norms():
    n = Draws("norm").normal
    golden("group_norm", group_norm(3), [n(2, 3, 5, 12), n(12), n(12)], [0, 1, 2])
    golden("group_norm, tokens", group_norm(3), [n(2, 7, 6), n(6), n(6)], [0])
    golden("group_norm, mean far from 0", group_norm(3), [n(1, 4, 3, 6, mean=50, spread=0.5), n(6), n(6)], [0, 1, 2])
    norm_silu_conv, norm_conv = norm_act_conv(3, F.silu), norm_act_conv(2, lambda v: v)
    parameters = lambda i, o, k: [n(i), n(i), n(o, k, k, i), n(o)]
    golden("norm_act_conv", norm_silu_conv, [n(2, 5, 4, 6), *parameters(6, 5, 3), n(2, 5, 4, 5)], [0, 5])
    golden("norm_act_conv, 1x1 without activation", norm_conv, [n(2, 3, 4, 6), *parameters(6, 7, 1), None], [0])
    golden("norm_act_conv, skip is x", lambda x, g, b, w, bias: norm_silu_conv(x, g, b, w, bias, x),
           [n(2, 4, 3, 6), *parameters(6, 6, 3)], [0])
    golden("upsample_conv", upsample_conv, [n(2, 4, 3, 5), n(6, 3, 3, 5), n(6)], [0])


def pictures():
    d = Draws("picture")
    n = d.normal
    golden("nearest, its rows", nearest_rows, [n(2, 6, 5), n(13, 5)], [])
    golden("quantise", lambda z, book, ids: loop.StraightThrough.apply(book[ids], z),
           [n(2, 3, 4, 5), n(11, 5), d.ids(11, 2, 3, 4)], [0])
    golden("quantise, nearest", lambda z, book: loop.StraightThrough.apply(nearest_rows(z, book), z),
           [n(1, 5, 5, 4), n(9, 4)], [0])
    golden("clamp01", clamp01, [n(1, 9, 7, 3)], [0])
    golden("clamp01, added to", lambda x: clamp01(x) + clamp01(x), [n(1, 5, 7, 3)], [0])
    golden("total_variation", total_variation(0.7), [n(2, 5, 4, 3)], [0])
    golden("total_variation, one row", total_variation(0.7), [n(1, 1, 6, 2)], [0])


def codebook():
    d = Draws("codebook")
    n = d.normal
    given, largest = soft_quantise(lambda probs, ids: ids), soft_quantise(lambda probs, _: probs.argmax(-1))
    drawn = soft_quantise(lambda probs, u: (probs.cumsum(-1) > u[..., None]).int().argmax(-1))
    golden("soft_quantise", given, [n(2, 3, 11), n(11, 5), d.ids(11, 2, 3)], [0])
    golden("soft_quantise, chosen", largest, [n(6, 37), n(37, 4), None], [0])
    uniform = d.random.random((2, 3)).astype("f4").astype("f8")
    golden("choose, its rows", drawn, [n(2, 3, 37), n(37, 4), d.random.random((2, 3)).astype("f4").astype("f8")], [])
    golden("soft_quantise, drawn", drawn, [n(2, 3, 37), n(37, 4), uniform], [0])
    golden("soft_quantise, added to", lambda x, *rest: given(x, *rest) + x, [n(2, 3, 5), n(5, 5), d.ids(5, 2, 3)], [0])


def cutouts():
    n = Draws("cutout").normal
    for name, resize, pictures, side, run, back, boxes in (
        ("average", lambda x: F.adaptive_avg_pool2d(x, 5), 2, 5, 4, 3, [(0, 0, 11), (4, 2, 8), (10, 8, 3), (6, 1, 5)]),
        ("lanczos", lambda x: loop.resample(x, 6), 1, 6, 10, 6, [(2, 0, 11), (8, 6, 5), (3, 1, 8)]),
    ):
        down = tables(resize, 11, side, run, back, boxes, 1)
        across = tables(resize, 13, side, run, back, boxes, 0)
        golden(f"resample, {name}", resample(resize, boxes), [n(pictures, 11, 13, 3), *down, *across], [0])


def losses():
    n = Draws("loss").normal
    golden("sphere", sphere(1.5, -math.inf, 3, 7), [n(3, 5), n(2, 5)], [0, 1])
    golden("sphere, negative weight", sphere(-0.5, -math.inf, 3, 3), [n(3, 5), n(4, 5)], [0])
    golden("sphere, padded rows", sphere(1, -math.inf, 3, 8), [n(5, 6), n(1, 6)], [0, 1])
    direction = np.array([0.3, -1.1, 0.4, 0.9, -0.2]).astype(np.float32).astype(np.float64)
    near = np.stack([direction + n(5, spread=0.001), -direction + n(5, spread=0.1), n(5)])
    near = near.astype(np.float32).astype(np.float64)
    golden("sphere, near and far", sphere(1.5, -math.inf, 3, 7), [near, 2 * direction[None]], [0, 1])
    golden("sphere, stop", sphere(0.8, 1.3, 3, 3), [n(3, 5), n(4, 5)], [0, 1])
    golden("sphere, negative weight and stop", sphere(-0.8, -1.3, 3, 3), [n(3, 5), n(4, 5)], [0, 1])
    golden("clamp01, of colours", loop.ClampWithGrad.apply, [n(2, 4, 5, 3)], [0])


def adam():
    """Five updates of torch.optim.Adam, each followed by the clamp: for tests/test_vqgan_rooms.c."""
    n = Draws("adam").normal
    z, g, low, high = n(3, 4), n(5, 3, 4), n(4, mean=-1.5, spread=0.2), n(4, mean=1.5, spread=0.2)
    g[:, 0, 1] *= 1e-6  # where eps counts
    x, after = torch.from_numpy(z.copy()), []
    optimiser = torch.optim.Adam([x], lr=0.3)
    for gradient in g:
        x.grad = torch.from_numpy(gradient)
        optimiser.step()
        x.copy_(torch.maximum(torch.minimum(x, torch.from_numpy(high)), torch.from_numpy(low)))
        after.append(x.numpy().copy())
    arrays = {"z": z, "g": g, "low": low, "high": high, "after": np.stack(after)}
    tensorfile.write(FOLDER.parent / "adam_clamp.safetensors", arrays, {"lr": "0.3"})


def optimisers():
    """Eight updates of each of torch.optim's, and of torch_optimizer's: for tests/test_vqgan_rooms.c. Every other one is clamped, so that
    both are seen. AdamP has gradients of its own, of which every other one is at right angles to z."""
    n = Draws("optimisers").normal
    z, g, low, high = n(3, 4), n(8, 3, 4), n(4, mean=-1.5, spread=0.2), n(4, mean=1.5, spread=0.2)
    g[:, 0, 1] *= 1e-6  # where eps counts
    arrays = {"z": z, "g": g, "low": low, "high": high}
    for k, (name, make) in enumerate({
        "adamw": lambda x: torch.optim.AdamW([x], lr=0.3, weight_decay=0.05),
        "adagrad": lambda x: torch.optim.Adagrad([x], lr=0.3),
        "adamax": lambda x: torch.optim.Adamax([x], lr=0.3),
        "rmsprop": lambda x: torch.optim.RMSprop([x], lr=0.3),
        "radam": lambda x: torch.optim.RAdam([x], lr=0.3),
        "diffgrad": lambda x: torch_optimizer.DiffGrad([x], lr=0.3, eps=1e-9, weight_decay=1e-9),
        "adamp": lambda x: torch_optimizer.AdamP([x], lr=0.3),
    }.items()):
        x, after = torch.from_numpy(z.copy())[None], []  # one picture's, as the notebooks' z
        optimiser = make(x)
        seen = g.copy()
        for t, gradient in enumerate(seen):
            if name == "adamp" and t % 2 == 0:
                at = x[0].numpy()
                gradient[:] = (gradient - (gradient * at).sum() / (at * at).sum() * at).astype("f4")
            x.grad = torch.from_numpy(gradient.copy())[None]  # DiffGrad writes into it
            optimiser.step()
            if k % 2:
                x.copy_(torch.maximum(torch.minimum(x, torch.from_numpy(high)), torch.from_numpy(low)))
            after.append(x[0].numpy().copy())
        arrays[name] = np.stack(after)
        if name == "adamp":
            arrays["g adamp"] = seen
    tensorfile.write(FOLDER.parent / "optimisers.safetensors", arrays, {"lr": "0.3", "decay": "0.05"})


if __name__ == "__main__":
    torch.set_num_threads(1)
    convolutions()
    norms()
    pictures()
    codebook()
    cutouts()
    losses()
    adam()
    optimisers()
