#!/usr/bin/env python3
"""A whole step of the seed's notebook, augmentations and all, against PyTorch and kornia 0.5.4's own modules.

    PYTHONPATH=FOLDER_OF_KORNIA_0.5.4 python3 tests/compare/notebook_step.py --vqgen build/release/tools/vqgen64 [--write]

`vqgen trace` computes one step of the tiny reference networks and tells what each augmentation drew; models.py, loop.py and
kornia's modules, called with these numbers, compute the same in float64. Noise is drawn by philox.py. Prints how far they are apart
and exits 1 if losses are off by more than 1e-5 or the gradient by more than 1e-4. --write keeps PyTorch's losses and gradient with the
draws as tests/data/notebook_step.safetensors, for tests/test_notebook_step.c.
"""
import argparse
import functools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

torch.set_default_dtype(torch.float64)  # kornia's pi is of the default type
import kornia
import kornia.augmentation as K
import kornia.geometry.conversions as conversions
import kornia.geometry.transform.imgwarp as imgwarp

import loop
import tensorfile
from check_reference import load
from philox import normal

assert kornia.__version__ == "0.5.4", kornia.__version__
conversions.convert_points_from_homogeneous.__defaults__ = (0.0,)  # it adds 1e-8 to every divisor
imgwarp.create_meshgrid = functools.partial(imgwarp.create_meshgrid, dtype=torch.float64)  # else it rounds the grid
imgwarp._torch_solve_cast = lambda b, a: (torch.linalg.solve(a, b), None)  # it calls what PyTorch no longer has

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
NETWORKS = [DATA / "reference" / name for name in ("vqgan_tiny.safetensors", "clip_tinyA.safetensors")]
AUGMENT = ("flip:0.5,sharpness:0.4:strength=0.3,affine:0.8:degrees=30:down=0.1:padding=border,perspective:0.4:strength=0.2,"
           "jitter:0.7:saturation=0.01:hue=0.01:colours=old,noise:1:noise=0..0.1")  # --recipe notebook --explain
SEED, STEP = 20210704, 12
PROMPTS = [["a", 1.0, None], ["b", 0.5, 0.3], ["c", -0.25, -2.0]]


def given(path):
    rng = np.random.default_rng(5)
    z = np.load(DATA / "reference" / "A_z0.npy").astype("f4")
    side = np.load(DATA / "reference" / "A_decode.npy").shape[-1]
    text = np.load(DATA / "reference" / "A_text_embeds.npy").astype("f4")[: len(PROMPTS)]
    size = rng.integers(32, side + 1, 11) if side > 32 else rng.integers(20, side + 1, 11)
    corner = [[rng.integers(0, side - s + 1), rng.integers(0, side - s + 1)] for s in size]
    boxes = np.array([[x, y, s] for (x, y), s in zip(corner, size)], "i4")
    meta = {"prompts": json.dumps(PROMPTS), "lr": "0.1", "steps": "0", "cut_method": "lanczos", "augment": AUGMENT,
            "seed": str(SEED), "step": str(STEP)}
    arrays = {"z": z, "boxes": boxes, "text_features": text}
    tensorfile.write(path, arrays, meta)
    return arrays, meta


def augment(x, draws, seed=SEED, step=STEP):
    """kornia's modules with what was drawn; x [n,3,S,S]."""
    t = torch.from_numpy
    flip, sharpness, affine, perspective, jitter, noise = (d.astype("f8") for d in draws)
    side = x.shape[-1]

    def call(module, rows, **numbers):
        chosen = t(rows[:, 0] > 0)
        assert 0 < chosen.sum() < len(rows), module  # else it would show nothing
        params = {name: t(np.ascontiguousarray(v[rows[:, 0] > 0])) for name, v in numbers.items()}
        return module(x, dict(params, batch_prob=chosen))

    x = call(K.RandomHorizontalFlip(p=0.5), flip)
    x = call(K.RandomSharpness(0.3, p=0.4), sharpness, sharpness_factor=sharpness[:, 1])
    middle = np.full((len(affine), 2), side / 2 - 0.5)
    x = call(K.RandomAffine(degrees=30, translate=0.1, p=0.8, padding_mode="border"), affine, angle=affine[:, 1],
             translations=affine[:, 2:4], scale=affine[:, 4:6], sx=affine[:, 6], sy=affine[:, 7], center=middle)
    corners = np.tile(np.array([[0, 0], [side - 1, 0], [side - 1, side - 1], [0, side - 1]], "f8"), (len(affine), 1, 1))
    x = call(K.RandomPerspective(0.2, p=0.4), perspective, start_points=corners, end_points=perspective[:, 1:].reshape(-1, 4, 2))
    chosen = jitter[:, 0] > 0
    assert 0 < chosen.sum() < len(jitter)
    names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
    params = {name: t(np.ascontiguousarray(jitter[chosen, 1 + i])) for i, name in enumerate(names)}
    order = t(jitter[chosen][0, 5:9].astype("i8"))
    x = K.ColorJitter(hue=0.01, saturation=0.01, p=0.7)(x, dict(params, order=order, batch_prob=t(chosen)))
    each = side * side * 3
    drawn = [[normal(seed, 5, step, j * each + e) for e in range(each)] for j in range(len(noise))]
    drawn = torch.tensor(drawn).view(-1, side, side, 3).permute(0, 3, 1, 2)
    return x + t(noise[:, 1]).view(-1, 1, 1, 1) * drawn


def theirs(arrays, draws):
    vqgan, clip = (load(path, torch.float64) for path in NETWORKS)
    side = clip.image_resolution
    z = torch.from_numpy(arrays["z"]).double().requires_grad_(True)
    _, codes = vqgan.nearest(z)
    image = loop.ClampWithGrad.apply((vqgan.decode(loop.StraightThrough.apply(codes, z)) + 1) / 2)
    crops = torch.cat([loop.resample(image[:, :, y : y + s, x : x + s], side) for x, y, s in arrays["boxes"].tolist()])
    features = clip.encode_image(loop.normalise(augment(crops, draws)))
    text = torch.from_numpy(arrays["text_features"]).double()
    losses = torch.stack([loop.prompt_loss(features, b, weight, float("-inf") if stop is None else stop)
                          for b, (_, weight, stop) in zip(text, PROMPTS)])
    (gradient,) = torch.autograd.grad(losses.sum(), z)
    return losses.detach().numpy(), gradient.numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vqgen", required=True, metavar="PROGRAM")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        case, out = pathlib.Path(folder) / "case.safetensors", pathlib.Path(folder) / "ours.safetensors"
        arrays, meta = given(case)
        subprocess.run([args.vqgen, "trace", "--vqgan", NETWORKS[0], "--clip", NETWORKS[1], "--given", case, "-o", out], check=True)
        ours = {k: np.array(v) for k, v in tensorfile.read(out)[0].items()}
    draws = [ours[f"draws_{k}"] for k in range(6)]
    losses, gradient = theirs(arrays, draws)
    off = np.abs(ours["losses"] - losses).max(), np.linalg.norm(ours["grad_z"] - gradient) / np.linalg.norm(gradient)
    print("losses", losses, "off by at most %.2g; gradient by %.2g, relative" % off)
    if args.write:
        path = DATA / "notebook_step.safetensors"
        kept = dict(arrays, losses=losses, grad_z=gradient.astype("f4"), **{f"draws_{k}": d for k, d in enumerate(draws)})
        tensorfile.write(path, kept, meta)
        print(path.stat().st_size, path.name)
    return not (off[0] <= 1e-5 and off[1] <= 1e-4)


if __name__ == "__main__":
    sys.exit(main())
