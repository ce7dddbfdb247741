#!/usr/bin/env python3
"""A picture prompt of the seed's notebook, the first step of its run, against Pillow, PyTorch and kornia 0.5.4's own modules.

    PYTHONPATH=FOLDER_OF_KORNIA_0.5.4 python3 tests/compare/picture_prompt.py --vqgen build/release/tools/vqgen64 [--write]

The notebook resizes the picture to the run's area, sends it once through its cutouts, augmentations and noise included, and pulls each
cutout of each step to each of those: cutn embeddings, cutn x cutn distances. Here the same is computed in float64 for the tiny reference
networks, of a picture, a text that pushes away beside it, and a start that `vqgen` is given too. Boxes and noise are drawn by
philox.py; what the augmentations drew is told by `vqgen trace`. Our gradient is Adam's first moment after one step, over 0.1. Prints how
far they are apart and exits 1 if losses are off by more than 1e-5 or the gradient by more than 1e-4. --write keeps all of it as
tests/data/picture_prompt.safetensors, for tests/test_notebook_step.c.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

from notebook_step import AUGMENT, DATA, NETWORKS, augment  # makes float64 the default
import loop
import tensorfile
from check_reference import load
from philox import below, uniform

SEED, CUTN, SIDE, STOP, PROMPT_STEP = 1, 11, 48, 0.2, 2**32 - 2  # the draws of prompt number 1
TEXT = "a red cat"
CUTOUTS = 2  # vq_rng_purpose
FACTOR = 2  # of the tiny VQGAN


def boxes(width, height, see, step):
    """MakeCutouts' sizes and places, as runtime/cutouts.c draws them."""
    most, least = min(width, height), min(width, height, see)
    rows = []
    for i in range(CUTN):
        size = int(uniform(SEED, CUTOUTS, step, 3 * i) * (most - least) + least)
        x = below(SEED, CUTOUTS, step, 3 * i + 1, width - size + 1)
        rows.append([x, below(SEED, CUTOUTS, step, 3 * i + 2, height - size + 1), size])
    return np.array(rows, "i4")


def run(program, *words):
    return subprocess.run([str(w) for w in (program, *words)], check=True, stdout=subprocess.PIPE, text=True).stdout


def draws_at(program, folder, z, step):
    case, out = folder / "case.safetensors", folder / "drawn.safetensors"
    meta = {"prompts": json.dumps([["a", 1.0, None]]), "lr": "0.1", "steps": "0", "cut_method": "lanczos", "augment": AUGMENT,
            "seed": str(SEED), "step": str(step)}
    text = np.load(DATA / "reference" / "A_text_embeds.npy").astype("f4")[:1]
    given = np.array([[0, 0, SIDE]] * CUTN, "i4")
    tensorfile.write(case, {"z": z, "boxes": given, "text_features": text}, meta)
    run(program, "trace", "--vqgan", NETWORKS[0], "--clip", NETWORKS[1], "--given", case, "-o", out)
    found = tensorfile.read(out)[0]
    return [np.array(found[f"draws_{k}"]) for k in range(6)]


def ours(program, folder, picture, z):
    start, target, state = folder / "z.safetensors", folder / "target.png", folder / "state.safetensors"
    tensorfile.write(start, {"z": z}, {"kind": "latent"})
    Image.fromarray(picture).save(target)
    told = run(program, "generate", f"{TEXT}:-0.5", "--image-prompt", f"{target}:1.5:{STOP}", "--vqgan", NETWORKS[0], "--clip", NETWORKS[1],
               "--recipe", "notebook", "--cutouts", CUTN, "--metadata", "text", "-s", f"{SIDE}x{SIDE}", "--seed", SEED, "-n", 1, "--init",
               start, "--snapshot", state, "--progress", "json", "-o", folder / "out.png")
    (step,) = (e for e in map(json.loads, told.splitlines()) if e["event"] == "step")
    return np.array(step["losses"]), np.array(tensorfile.read(state)[0]["adam_m"]) / 0.1


def see(clip, image, width, height, draws, step):
    crops = [loop.resample(image[:, :, y : y + s, x : x + s], clip.image_resolution)
             for x, y, s in boxes(width, height, clip.image_resolution, step).tolist()]
    return clip.encode_image(loop.normalise(augment(torch.cat(crops), draws, SEED, step)))


def theirs(picture, z, target_draws, draws, text):
    vqgan, clip = (load(path, torch.float64) for path in NETWORKS)
    pil = Image.fromarray(picture)
    ratio, area = pil.size[0] / pil.size[1], min(pil.size[0] * pil.size[1], SIDE * SIDE)
    size = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
    resized = torch.from_numpy(np.array(pil.resize(size, Image.LANCZOS))).permute(2, 0, 1)[None] / 255.0
    with torch.no_grad():
        target = see(clip, resized, *size, target_draws, PROMPT_STEP)
    assert target.shape[0] == CUTN
    z = torch.from_numpy(z).double().requires_grad_(True)
    _, codes = vqgan.nearest(z)
    image = loop.ClampWithGrad.apply((vqgan.decode(loop.StraightThrough.apply(codes, z)) + 1) / 2)
    features = see(clip, image, SIDE, SIDE, draws, 0)
    every = lambda f, b: (f.repeat_interleave(len(b), 0), b.repeat(len(f), 1))  # each with each
    losses = torch.stack([loop.prompt_loss(*every(features, torch.from_numpy(text).double()), -0.5, float("-inf")),
                          loop.prompt_loss(*every(features, target), 1.5, STOP)])
    (gradient,) = torch.autograd.grad(losses.sum(), z)
    return losses.detach().numpy(), gradient.numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vqgen", required=True, metavar="PROGRAM")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(11)
    codes = np.array(tensorfile.read(NETWORKS[0])[0]["quantize.embedding.weight"])
    z = codes[rng.integers(0, len(codes), (SIDE // FACTOR, SIDE // FACTOR))].transpose(2, 0, 1)[None].astype("f4")
    z += 0.05 * rng.standard_normal(z.shape).astype("f4")
    picture = np.kron(rng.integers(0, 256, (10, 14, 3)), np.ones((5, 5, 1))).astype("u1")  # 70 x 50, larger than the run's
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        target_draws, draws = (draws_at(args.vqgen, folder, z, step) for step in (PROMPT_STEP, 0))
        losses, gradient = ours(args.vqgen, folder, picture, z)
        text = json.loads(run(args.vqgen, "embed", "--clip", NETWORKS[1], "--text", TEXT))
    text = np.array(text if isinstance(text, list) else text["features"], "f8").reshape(1, -1)
    want, slope = theirs(picture, z, target_draws, draws, text)
    off = np.abs(losses - want).max(), np.linalg.norm(gradient - slope) / np.linalg.norm(slope)
    print("losses", want, "off by at most %.2g; gradient by %.2g, relative" % off)
    if args.write:
        path = DATA / "picture_prompt.safetensors"
        tensorfile.write(path, {"z": z, "picture": picture, "losses": want, "grad_z": slope.astype("f4")}, {"text": TEXT})
        print(path.stat().st_size, path.name)
    return not (off[0] <= 1e-5 and off[1] <= 1e-4)


if __name__ == "__main__":
    sys.exit(main())
