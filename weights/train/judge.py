"""What judges say of pictures that tools/check-pictures has made, and how much the pictures flicker.

    python3 judge.py PICTURES --data FOLDER --judge judge-1.safetensors judge-2.safetensors

A judge is a CLIP that train_clip.py has trained with another seed and a pool of its own. One that was not trained against a pool
proves nothing: the guide's confetti pleases it as well. For each picture the rank of its own prompt is told, among 199 held-out
captions; for comparison that of the world's own picture of the prompt, and of another scene of the same kind; and the total variation
beside that of the same scenes as the world paints them.
"""
import argparse
import glob
import importlib.machinery
import importlib.util
import json
import os
import random

import numpy as np
import torch
from PIL import Image

import cutouts
from captions import tell
from draw import draw
from machine import prepare
from make_world import load
from models import CLIP
from train_clip import cut, load_weights, metadata_of, to_clip, vocabulary_for

CAPTIONS = 200


def load_checker():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "check-pictures")
    loader = importlib.machinery.SourceFileLoader("check_pictures", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_pictures", loader))
    loader.exec_module(module)
    return module


def total_variation(picture):
    """The mean of the squared differences of neighbours, of a picture from 0 to 1, at 64 pixels."""
    x = np.asarray(picture.resize((64, 64), Image.Resampling.BOX), np.float32) / 255
    return float(np.square(np.diff(x, axis=0)).mean() + np.square(np.diff(x, axis=1)).mean())


def of_the_same_kind(scenes):
    """For each scene the number of the next one of its kind, of the last one that of the first; its own if there is no other."""
    of = {kind: [i for i, s in enumerate(scenes) if s["kind"] == kind] for kind in {s["kind"] for s in scenes}}
    return [of[s["kind"]][(of[s["kind"]].index(i) + 1) % len(of[s["kind"]])] for i, s in enumerate(scenes)]


@torch.no_grad()
def ranks(path, pictures, prompts, others, device):
    """The rank of each picture's prompt, 1 the best."""
    vocabulary = vocabulary_for(None, path)
    judge = load_weights(CLIP(json.loads(metadata_of(path)["config"])), path, device)
    texts = cut(torch.tensor([vocabulary.encode(t) for t in prompts + others], device=device))
    words = torch.cat([judge.read(cut(t)) for t in texts.split(100)])
    out = []
    for i, picture in enumerate(pictures):
        x = to_clip(np.asarray(picture)[None], device)
        found = judge.see(cutouts.take(x, judge.config["image_resolution"], whole=True))[0]
        fit = found @ torch.cat([words[i : i + 1], words[len(prompts) :]]).t()
        out.append(1 + int((fit[0, 1:] > fit[0, 0]).sum()))
    return np.array(out)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("pictures", help="the folder that check-pictures --keep has filled")
    p.add_argument("--data", required=True, help="folder with held-out.json of make_world.py")
    p.add_argument("--judge", nargs="*", default=[])
    p.add_argument("--device", default="cpu")
    a = p.parse_args()
    prepare(a.device, 1)
    files = sorted(glob.glob(f"{a.pictures}/[0-9][0-9][0-9].png"))
    pictures = [Image.open(f).convert("RGB") for f in files]
    prompts = load_checker().make_prompts(len(files))
    rng = random.Random(0)
    told = load(f"{a.data}/held-out")[1]
    others = [tell(t["scene"], rng, "all") for t in told[: 2 * (CAPTIONS - 1) : 2]]
    paintings = [Image.fromarray(draw(scene, 96)) for scene, _ in prompts]
    texts, next_ones = [text for _, text in prompts], of_the_same_kind([scene for scene, _ in prompts])
    for path in a.judge:
        print(f"{path}, ranks of {CAPTIONS}:")
        for what, shown in (("these pictures", pictures), ("the world's own", paintings), ("of other scenes", [pictures[i] for i in next_ones])):
            r = ranks(path, shown, texts, others, a.device)
            print(f"  {what:16} median {np.median(r):g}, mean {r.mean():.2f}, first {100 * (r == 1).mean():.0f} % of {len(r)}")
    made, painted = (np.mean([total_variation(x) for x in some]) for some in (pictures, paintings))
    print(f"total variation {made:.5f}, the world's own {painted:.5f}: {made / painted:.2f} times")


if __name__ == "__main__":
    main()
