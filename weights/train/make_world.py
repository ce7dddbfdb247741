"""Draws pictures with captions and stores them: NAME.npy uint8 [N, side, side, 3], NAME.json scenes and captions.

    python3 make_world.py FOLDER/train --count 40000 --seed 1

Neighbours 2i and 2i+1 are siblings that differ in one attribute, which both captions of each name. Nothing is done if the
files are there. The same seed draws the same, however many processes draw.
"""
import argparse
import functools
import json
import multiprocessing
import os
import random

import numpy as np

from captions import tell
from draw import draw
from world import make_siblings


def make(name, count, seed, side, processes):
    if os.path.exists(name + ".json"):
        return
    rng, pictures, told = random.Random(seed), np.empty((count, side, side, 3), np.uint8), []
    while len(told) < count:
        *scenes, attribute = make_siblings(rng)
        told += [dict(scene=scene, captions=[tell(scene, rng, attribute) for _ in range(2)]) for scene in scenes]
    with multiprocessing.Pool(processes) as workers:
        drawn = workers.imap(functools.partial(draw, side=side), (t["scene"] for t in told), chunksize=200)
        for i, picture in enumerate(drawn):
            pictures[i] = picture
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
    p.add_argument("--side", type=int, default=64)
    p.add_argument("--processes", type=int, help="that draw [one a processor]")
    a = p.parse_args()
    make(a.name, a.count, a.seed, a.side, a.processes)
