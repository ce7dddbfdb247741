#!/usr/bin/env python3
"""Whole runs of the recipes, step after step, against PyTorch and kornia 0.5.4's own modules.

    PYTHONPATH=FOLDER_OF_KORNIA_0.5.4 python3 tests/compare/recipe_runs.py --vqgen build/release/tools/vqgen64 [--write] [RECIPE...]

Each notebook is written down here by itself, in float64: its start, its crops or pooling, its augmentations, its losses, what holds z and
how that lets go, its optimizer and when that begins anew, its clamp or none. Random numbers are given: philox.py draws what base/rng.h
says, and what the augmentations drew is told by `vqgen trace`. The networks are the tiny reference ones. `vqgen` runs the recipe as users
do, and is asked for its state after every step: its gradient is what the first moment has become by it.

Prints for each recipe how far apart the losses of all steps, the gradients and the last z are; exits 1 if a loss is off by more than 1e-5 or
a gradient by more than 1e-4 of its norm. --write keeps PyTorch's losses, first gradient and last z as tests/data/recipe_runs.safetensors, for
tests/test_recipe_runs.c.
"""
import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch

from notebook_step import DATA, NETWORKS  # makes float64 the default, and mends kornia for PyTorch of today
import kornia.augmentation as K
import loop
import tensorfile
from check_reference import load
from philox import below, normals, uniform, uniforms

SEED, SIDE, CUTN = 20210705, 48, 9
PROMPT = [("a red cat", 1.0), ("fog", -0.4)]
TOKENS, CUTOUTS, NOISE, CODES = 1, 2, 5, 9  # vq_rng_purpose

class OldClamp(torch.autograd.Function):
    """torch.clamp of the notebooks' time: its gradient passes at the ends themselves, where PyTorch of today stops it. A picture that is
    held to [0,1] and a warp that pads with zeros make many colours that lie there exactly."""

    @staticmethod
    def forward(ctx, x, low, high):
        ctx.save_for_backward((x >= low) & (x <= high))
        return clamp_of_today(x, low, high)

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.saved_tensors[0], None, None


clamp_of_today = torch.clamp
torch.clamp = lambda x, min, max: OldClamp.apply(x, min, max)  # kornia's way to call it

# How far each runs, and options beside the recipe's. mse: over the fall of what holds z, which the notebook has after its steps 50, 100 ...
RUNS = {
    "notebook": (12, []),
    "crowson": (12, []),
    "nerdyrodent": (12, ["--init-weight", "zero-decay:0.7"]),
    "mse": (54, []),
    "codebook": (12, []),
}


def run(program, *words):
    done = subprocess.run([str(w) for w in (program, *words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


PAIR = ["--vqgan", NETWORKS[0], "--clip", NETWORKS[1]]


def explained(program, recipe, more):
    """{field: value} of `--explain`."""
    rows = (shlex.split(line, comments=True) for line in run(program, "--recipe", recipe, "--explain", *PAIR, *more).splitlines())
    return {row[0].removeprefix("--"): row[1] for row in rows if len(row) == 2}


# ---- vqgen's run ----


def ours(program, folder, recipe, steps, more):
    """Losses [steps, targets and what holds z], gradients and the last z, by runs that are taken up from their snapshots."""
    losses, gradients, before = [], [], None
    for step in range(1, steps + 1):
        state = folder / f"state{step}.safetensors"
        take = (["generate", *(f"{text}:{weight}" for text, weight in PROMPT), *PAIR, "--recipe", recipe, "--cutouts", CUTN, "-s",
                 f"{SIDE}x{SIDE}", "--seed", SEED, "--metadata", "text", *more] if step == 1 else ["resume", folder / f"state{step - 1}.safetensors"])
        told = run(program, *take, "-n", step, "--snapshot", state, "--progress", "json", "--force", "--save-every", 0, "-o", folder / "out.png")
        (event,) = (e for e in map(json.loads, told.splitlines()) if e["event"] == "step")
        losses.append([*event["losses"], event["init"]])
        now = {k: np.array(v) for k, v in tensorfile.read(state)[0].items()}
        updates = int(tensorfile.read(state)[1]["updates"])
        gradients.append((now["adam_m"] - (0.9 * before["adam_m"] if updates > 1 else 0)) / (1 - 0.9))
        before = now
    return np.array(losses), np.array(gradients), now.get("z", now.get("logits"))


# ---- the notebooks' ----


def drawn(program, folder, augment, step):
    """What each augmentation of the list drew for each cutout in that step."""
    case, out = folder / "case.safetensors", folder / "drawn.safetensors"
    meta = {"prompts": json.dumps([["a", 1.0, None]]), "lr": "0.1", "steps": "0", "cut_method": "lanczos", "augment": augment,
            "seed": str(SEED), "step": str(step)}
    z = np.load(DATA / "reference" / "A_z0.npy").astype("f4")
    text = np.load(DATA / "reference" / "A_text_embeds.npy").astype("f4")[:1]
    tensorfile.write(case, {"z": z, "boxes": np.array([[0, 0, 16]] * CUTN, "i4"), "text_features": text}, meta)
    run(program, "trace", *PAIR, "--given", case, "-o", out)
    found = tensorfile.read(out)[0]
    return [np.array(found[f"draws_{k}"]) for k in range(len(augment.split(",")))]


def settings_of(item):
    kind, _, rest = item.partition(":")
    probability, *pairs = rest.split(":") if rest else ["1"]
    return kind, float(probability), dict(pair.split("=") for pair in pairs)


def module_of(kind, p, s):
    number = lambda key: float(s.get(key, 0))
    if kind == "flip":
        return K.RandomHorizontalFlip(p=p)
    if kind == "sharpness":
        return K.RandomSharpness(number("strength"), p=p)
    if kind == "affine":
        return K.RandomAffine(degrees=number("degrees"), translate=number("down"), shear=number("shear") or None, p=p, padding_mode=s["padding"])
    if kind == "perspective":
        return K.RandomPerspective(number("strength"), p=p)
    if kind == "jitter":
        assert s["colours"] == "old"
        return K.ColorJitter(number("brightness"), number("contrast"), number("saturation"), number("hue"), p=p)
    assert kind == "erase", kind
    area, ratio = (tuple(map(float, s[key].split(".."))) for key in ("area", "ratio"))
    return K.RandomErasing(area, ratio, p=p, same_on_batch=s["together"] == "yes")


def parameters_of(kind, rows, side):
    """kornia's names for the numbers of vq_augment_row; rows of those that were chosen."""
    n = len(rows)
    if kind == "flip":
        return {}
    if kind == "sharpness":
        return {"sharpness_factor": rows[:, 1]}
    if kind == "affine":
        return {"angle": rows[:, 1], "translations": rows[:, 2:4], "scale": rows[:, 4:6], "sx": rows[:, 6], "sy": rows[:, 7],
                "center": np.full((n, 2), side / 2 - 0.5)}
    if kind == "perspective":
        corners = np.array([[0, 0], [side - 1, 0], [side - 1, side - 1], [0, side - 1]], "f8")
        return {"start_points": np.tile(corners, (n, 1, 1)), "end_points": rows[:, 1:9].reshape(-1, 4, 2)}
    if kind == "jitter":
        names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
        return {**{name: rows[:, 1 + i] for i, name in enumerate(names)}, "order": rows[0, 5:9].astype("i8")}
    return {"xs": rows[:, 1], "ys": rows[:, 2], "widths": rows[:, 3], "heights": rows[:, 4], "values": np.zeros(n)}


def augmented(x, augment, draws, step):
    side = x.shape[-1]
    for item, rows in zip(augment.split(","), draws):
        kind, p, s = settings_of(item)
        chosen = rows[:, 0] > 0
        if kind == "clamp":
            x = loop.ClampWithGrad.apply(x)
        elif kind == "noise":
            each = side * side * 3
            noise = normals(SEED, NOISE, step, 0, each * len(rows)).reshape(-1, side, side, 3)
            x = x + torch.from_numpy(rows[:, 1]).view(-1, 1, 1, 1) * torch.from_numpy(noise).permute(0, 3, 1, 2)
        elif chosen.any():
            given = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in parameters_of(kind, rows[chosen], side).items()}
            x = module_of(kind, p, s)(x, dict(given, batch_prob=torch.from_numpy(chosen)))
    return x


def boxes(see, power, step):
    most, least = SIDE, min(SIDE, see)
    rows = []
    for i in range(CUTN):
        size = int(uniform(SEED, CUTOUTS, step, 3 * i) ** power * (most - least) + least)
        rows.append([below(SEED, CUTOUTS, step, 3 * i + k, SIDE - size + 1) for k in (1, 2)] + [size])
    return rows


def cutouts_of(image, s, side, step):
    if s["cut-method"] == "whole":
        pooled = (torch.nn.functional.adaptive_avg_pool2d(image, side) + torch.nn.functional.adaptive_max_pool2d(image, side)) / 2
        return pooled.repeat(CUTN, 1, 1, 1)
    assert s["cut-method"] == "lanczos"
    return torch.cat([loop.resample(image[:, :, y : y + d, x : x + d], side) for x, y, d in boxes(side, float(s["cut-power"]), step)])


class OfLogits:
    """Katherine Crowson's codebook sampling: what moves are logits, and each step draws codes by them."""

    def __init__(self, vqgan, f):
        self.shape, self.book = (SIDE // f, SIDE // f), vqgan.codebook.detach()
        tokens, codes = self.shape[0] * self.shape[1], len(self.book)
        self.x = torch.from_numpy(normals(SEED, CODES, 2**32 - 1, 0, tokens * codes)).view(tokens, codes).requires_grad_(True)

    def codes(self, step):
        probs = self.x.softmax(1)
        u = torch.from_numpy(uniforms(SEED, CODES, step, len(self.x)))[:, None]
        ids = (probs.cumsum(1) > u * probs.sum(1, keepdim=True)).double().argmax(1)  # the first that is beyond the draw
        one_hot = torch.nn.functional.one_hot(ids, len(self.book)).double()
        return (loop.StraightThrough.apply(one_hot, probs) @ self.book).view(1, *self.shape, -1).permute(0, 3, 1, 2)

    def picture(self, flat):
        return flat.reshape(*self.shape, -1).permute(2, 0, 1)[None].numpy()


class OfZ:
    """z, of which the nearest codes are decoded."""

    def __init__(self, vqgan, f):
        self.vqgan, h = vqgan, SIDE // f
        book = vqgan.codebook.detach()
        rows = [below(SEED, TOKENS, 0, i, len(book)) for i in range(h * h)]
        self.x = book[rows].view(1, h, h, -1).permute(0, 3, 1, 2).contiguous().requires_grad_(True)

    def codes(self, step):
        _, codes = self.vqgan.nearest(self.x)
        return loop.StraightThrough.apply(codes, self.x)

    def picture(self, x):
        return x.numpy()


def theirs(program, folder, recipe, steps, more):
    s = explained(program, recipe, [*more, "--cutouts", str(CUTN)])
    vqgan, clip = (load(path, torch.float64) for path in NETWORKS)
    low, high = (f(0).values.view(1, -1, 1, 1) for f in (vqgan.codebook.detach().min, vqgan.codebook.detach().max))
    tokens = json.loads("[" + ",".join(run(program, "tokenize", "--clip", NETWORKS[1], "--pad", *(t for t, _ in PROMPT)).split("\n")[: len(PROMPT)]) + "]")
    text = clip.encode_text(torch.tensor(tokens))
    moved = (OfLogits if s["latent"] == "logits" else OfZ)(vqgan, 2)
    home = moved.x.detach().clone()
    lr, make = float(s["lr"]), {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[s["optimizer"]]
    decay = {"weight_decay": float(s["weight-decay"])} if s["optimizer"] == "adamw" else {}
    anew = lambda: make([moved.x], lr=lr, **decay)
    optimiser = anew()
    kind, weight = s["init-weight"].split(":") if ":" in s["init-weight"] else ("start", s["init-weight"])
    first = weight = float(weight)
    every, times = map(int, s["init-drop"].split(":")) if s["init-drop"] != "none" else (0, 0)
    losses, gradients = [], []
    for i in range(steps):
        image = loop.ClampWithGrad.apply((vqgan.decode(moved.codes(i)) + 1) / 2)
        cuts = cutouts_of(image, s, clip.image_resolution, i)
        features = clip.encode_image(loop.normalise(augmented(cuts, s["augment"], drawn(program, folder, s["augment"], i), i)))
        each = [loop.prompt_loss(features, b, w, float("-inf")) for b, (_, w) in zip(text, PROMPT)]
        if weight:
            apart = moved.x - home if kind == "start" else moved.x
            each.append((apart**2).mean() * weight / 2 / (2 * i + 1 if kind == "zero-decay" else 1))
        (gradient,) = torch.autograd.grad(sum(each), moved.x)
        losses.append([x.item() for x in each] + [0.0] * (len(PROMPT) + 1 - len(each)))
        gradients.append(moved.picture(gradient))
        moved.x.grad = gradient
        optimiser.step()
        if every and i > 0 and i % every == 0 and i <= every * times:
            weight -= first / times
            optimiser = anew()
        if s["latent"] == "z" and s["z-clamp"] == "yes":
            with torch.no_grad():
                moved.x.copy_(moved.x.maximum(low).minimum(high))
    return np.array(losses), np.array(gradients), moved.picture(moved.x.detach())


def norm(x):
    return np.linalg.norm(x.ravel())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vqgen", required=True, metavar="PROGRAM", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("recipe", nargs="*", metavar="RECIPE", choices=[[], *RUNS])
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # PyTorch of today has much to say of kornia 0.5.4
    kept, bad = {}, False
    for recipe in args.recipe or RUNS:
        steps, more = RUNS[recipe]
        with tempfile.TemporaryDirectory() as folder:
            losses, gradients, last = ours(args.vqgen.resolve(), pathlib.Path(folder), recipe, steps, more)
            want, slopes, end = theirs(args.vqgen.resolve(), pathlib.Path(folder), recipe, steps, more)
        off = np.abs(losses - want).max(), max(norm(g - w) / norm(w) for g, w in zip(gradients, slopes))
        print(f"{recipe:12} {steps} steps: losses off by at most {off[0]:.2g}, gradients by {off[1]:.2g} of their norm, the last z by "
              f"{np.abs(last - end).max():.2g}; loss {want[0].sum():.4f} to {want[-1].sum():.4f}", flush=True)
        bad |= not (off[0] <= 1e-5 and off[1] <= 1e-4)
        kept.update({f"{recipe}_losses": want, f"{recipe}_grad": slopes[0].astype("f4"), f"{recipe}_end": end.astype("f4")})
    if args.write:
        path = DATA / "recipe_runs.safetensors"
        meta = {"seed": str(SEED), "side": str(SIDE), "cutouts": str(CUTN), "prompts": json.dumps(PROMPT)}
        tensorfile.write(path, kept, meta)
        print(path.stat().st_size, path.name)
    return bad


if __name__ == "__main__":
    sys.exit(main())
