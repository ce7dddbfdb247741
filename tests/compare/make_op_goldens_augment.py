"""Writes the golden files of the rows in tests/cases_augment.c. Needs torch and kornia, twice: 0.5.4, which the notebooks
were written for, writes the rows of what has another meaning since; a newer one (0.9.0 here) writes all others.

    python3 tests/compare/make_op_goldens_augment.py
    PYTHONPATH=FOLDER_OF_KORNIA_0.5.4 python3 tests/compare/make_op_goldens_augment.py
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)  # kornia 0.5.4's pi is of the default type
import kornia

from goldens import Draws, golden
from philox import normal

nchw = lambda x: x.permute(0, 3, 1, 2)
nhwc = lambda x: x.permute(0, 2, 3, 1)


def mse(x, target, weight):
    return weight[0] * F.mse_loss(x, torch.zeros_like(x) if target is None else target)


def max_pool(side, share):
    return lambda x: nhwc(share * F.adaptive_max_pool2d(nchw(x), side) + (1 - share) * F.adaptive_avg_pool2d(nchw(x), side))


def warp(padding):
    """grid_sample at the points that the matrices say."""

    def run(x, M):
        H, W = x.shape[1:3]
        r, q = torch.meshgrid(torch.arange(H, dtype=x.dtype), torch.arange(W, dtype=x.dtype), indexing="ij")
        point = torch.einsum("nij,jrq->nrqi", M, torch.stack([q, r, torch.ones_like(q)]))
        u, v = point[..., 0] / point[..., 2], point[..., 1] / point[..., 2]
        grid = torch.stack([(2 * u + 1) / W - 1, (2 * v + 1) / H - 1], -1)
        return nhwc(F.grid_sample(nchw(x), grid, mode="bilinear", padding_mode=padding, align_corners=False))

    return run


def matrices(W, H):
    """A turn with shear, a perspective, the identity, far out: what the grids of kornia's warps say, in pixels."""
    from kornia.geometry.transform import get_affine_matrix2d, get_perspective_transform

    f64 = lambda *v: torch.tensor([v], dtype=torch.float64)
    outer = torch.tensor([[W / (W - 1), 0, -0.5], [0, H / (H - 1), -0.5], [0, 0, 1]], dtype=torch.float64)
    inner = torch.tensor([[(W - 1) / W, 0, (W - 1) / W / 2], [0, (H - 1) / H, (H - 1) / H / 2], [0, 0, 1]], dtype=torch.float64)
    affine = lambda degrees, right, down, shear: get_affine_matrix2d(
        f64(right, down), f64(W / 2 - 0.5, H / 2 - 0.5), f64(1.0, 1.0), torch.tensor([degrees], dtype=torch.float64),
        torch.tensor([math.radians(shear)], dtype=torch.float64), torch.tensor([0.0], dtype=torch.float64))[0]
    corners = torch.tensor([[0, 0], [W - 1, 0], [W - 1, H - 1], [0, H - 1]], dtype=torch.float64)
    u = torch.tensor([0.3, 0.9, 0.6, 0.1, 0.8, 0.45, 0.2, 0.7], dtype=torch.float64).view(4, 2)
    inwards = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    moved = corners + u * 0.6 * torch.tensor([W / 2, H / 2]) * inwards
    tilted = get_perspective_transform(corners[None], moved[None])[0]
    return torch.stack([
        outer @ torch.linalg.inv(affine(25.0, 0.7, -1.3, 4.0)) @ inner, outer @ torch.linalg.inv(tilted),
        torch.eye(3, dtype=torch.float64), outer @ torch.linalg.inv(affine(0.0, 6.5, 4.25, 0.0)) @ inner]).numpy()


# As in tests/cases_augment.c: brightness, contrast, saturation, hue, and their order, of four cutouts; a fifth is left alone.
FACTORS = [(1.08, 0.9, 1.3, 0.05), (0.93, 1.2, 0.7, -0.03), (0.95, 1.15, 1.3, 0.4), (1.05, 0.85, 0.9, -0.3)]
ORDERS = [(0, 1, 2, 3), (3, 2, 0, 1), (2, 3, 1, 0), (1, 0, 3, 2)]


def stages(first, codes, less):
    """The stages of jitter.h, by number, and their amounts: `codes` of the four adjustments, brightness less so much."""
    stage, amount = np.zeros((5, 5), np.int32), np.zeros((5, 5))
    for j, (factors, order) in enumerate(zip(FACTORS, ORDERS)):
        stage[j], amount[j, 1:] = [first, *(codes[k] for k in order)], [factors[k] - (less if k == 0 else 0) for k in order]
    return stage, amount.astype(np.float32).astype(np.float64)


def jitter(x, stage, amount):
    """kornia's own ColorJitter, whichever it is, with given parameters."""
    rows = [nchw(x[4:])]
    for j, (factors, order) in enumerate(zip(FACTORS, ORDERS)):
        given = amount[j, 1:].tolist()  # rounded to single precision, as the engine has them
        names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
        values = {names[k]: torch.tensor([given[i]], dtype=x.dtype) for i, k in enumerate(order)}
        if kornia.__version__ == "0.5.4":
            values["brightness_factor"] += 1
        values["order"] = torch.tensor(order)
        module = kornia.augmentation.ColorJitter(0.1, 0.1, 0.1, 0.1, p=1.0)
        if kornia.__version__ == "0.5.4":
            rows.insert(j, module.apply_transform(nchw(x[j : j + 1]), values))
        else:
            rows.insert(j, module.apply_transform(nchw(x[j : j + 1]), values, module.flags))
    return nhwc(torch.cat(rows))


def sharpen(x, factor):
    return nhwc(kornia.enhance.sharpness(nchw(x), factor))


def erase(value):
    def run(x, box):
        y = x.clone()
        for j, (left, top, w, h) in enumerate(box.tolist()):
            y[j, max(top, 0) : max(top + h, 0), max(left, 0) : max(left + w, 0)] = value
        return y

    return run


def noise(x, factor, key):
    each, rows = x[0].numel(), []
    for low, high, step, number in (key & 0xFFFFFFFF).tolist():
        rows.append([normal(high << 32 | low, 5, step, number * each + e) for e in range(each)])
    return x + factor.view(-1, *[1] * (x.dim() - 1)) * torch.tensor(rows, dtype=x.dtype).view(x.shape)


def keys():
    words = np.array([[0x76543210, 0xFEDCBA98, 77, 1000003 + j] for j in range(3)], dtype=np.uint32)
    return words.view(np.int32)


def losses():
    n = Draws("mse").normal
    golden("mse", mse, [n(3, 5, 7), n(3, 5, 7), n(1)], [0, 1])
    golden("mse, to zero", mse, [n(2, 3, 5), None, n(1)], [0])


def pools():
    n = Draws("max_pool").normal
    golden("max_pool", max_pool(4, 1), [n(2, 7, 9, 3)], [0])
    golden("max_pool, and mean", max_pool(5, 0.5), [n(1, 13, 11, 3)], [0])
    golden("max_pool, to a larger side", max_pool(11, 0.3), [n(2, 5, 7, 2)], [0])
    levels = (np.arange(84) * 5 % 7 % 3).astype(np.float64).reshape(1, 6, 7, 2)
    golden("max_pool, ties", max_pool(4, 1), [levels], [0])


def warps():
    n = Draws("warp").normal
    golden("warp, zeros", warp("zeros"), [n(4, 7, 9, 3), matrices(9, 7)], [0])
    golden("warp, border", warp("border"), [n(4, 7, 9, 3), matrices(9, 7)], [0])
    golden("warp, long lines", warp("border"), [n(1, 3, 150, 1), n(1, 3, 3)], [0])


def sharpness():
    n = Draws("sharpen").normal
    factors = lambda *f: np.array(f, dtype=np.float32).astype(np.float64)
    golden("sharpen", sharpen, [n(3, 6, 5, 3, mean=0.5, spread=0.2), factors(0.3, 1, 0)], [0])
    golden("sharpen, held", sharpen, [n(3, 6, 8, 3, mean=0.5, spread=1.5), factors(1.8, 0.25, -0.5)], [0])


def others():
    n = Draws("erase").normal
    boxes = np.array([[1, 2, 3, 4], [-1, 5, 4, 9], [2, 2, 0, 3], [0, 0, 5, 7]], dtype=np.int32)
    golden("erase", erase(0.0), [n(4, 7, 5, 3), boxes], [0])
    factors = np.array([0.1, 0, 1], dtype=np.float32).astype(np.float64)
    golden("noise", noise, [n(3, 5, 3, 3), factors, keys()], [0])
    golden("noise, several draws", noise, [n(3, 11, 9, 3), n(3), keys()], [0])
    golden("noise, past a block of draws", noise, [n(3, 255), n(3), keys()], [0])


def colours(name):
    n, old = Draws("jitter").normal, name.endswith("0.5.4")
    given = stages(0, (2, 3, 6, 7), 1) if old else stages(1, (3, 4, 5, 7), 0)
    golden(name, jitter, [n(5, 4, 7, 3, mean=0.5, spread=0.2), *given], [0])
    if old:
        golden("jitter, wild colours", jitter, [n(5, 4, 6, 3, mean=0.5, spread=1.5), *given], [0])


if kornia.__version__ == "0.5.4":
    sharpness()
    colours("jitter, kornia 0.5.4")
else:
    losses()
    pools()
    warps()
    others()
    colours("jitter, kornia")
