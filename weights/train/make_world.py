"""Draws pictures with captions and stores them: NAME.npy uint8 [N, side, side, 3], NAME.json scenes and captions.

    python3 make_world.py FOLDER/train --count 40000 --seed 1

Neighbours 2i and 2i+1 are siblings that differ in one attribute, which both captions of each name. Nothing is done if the
files are there.
"""
import argparse
import json
import os
import random

import numpy as np

from captions import tell
from draw import draw
from world import make_siblings


def make(name, count, seed, side=96):
    if os.path.exists(name + ".json"):
        return
    rng, pictures, told = random.Random(seed), np.empty((count, side, side, 3), np.uint8), []
    for i in range(0, count, 2):
        first, second, attribute = make_siblings(rng)
        for k, scene in enumerate((first, second)):
            pictures[i + k] = draw(scene, side)
            told.append(dict(scene=scene, captions=[tell(scene, rng, attribute) for _ in range(2)]))
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    np.save(name + ".npy", pictures)
    with open(name + ".json.part", "w") as f:
        json.dump(told, f)
    os.replace(name + ".json.part", name + ".json")  # last: it says that all is there


def load(name):
    """pictures (read from the file as they are needed), [{scene, captions}]"""
    with open(name + ".json") as f:
        return np.load(name + ".npy", mmap_mode="r"), json.load(f)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("name")
    p.add_argument("--count", type=int, default=40000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--side", type=int, default=96)
    a = p.parse_args()
    make(a.name, a.count, a.seed, a.side)
