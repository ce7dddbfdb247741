"""Trains a CLIP that guides: on pictures and captions of the world, on its own optimiser's pictures, and on noise made to mislead it.

    python3 train_clip.py --data FOLDER --vqgan vqgan.safetensors --state clip.state --out clip.safetensors [--minutes 5]

Goes on from the state if there is one, stops after --minutes (exit status 3: not done yet) or when all steps are done. Another --seed
gives another CLIP from other pictures' order and another pool: a judge.
"""
import argparse
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

import cutouts
from attributes import Reader, classes_of
from machine import prepare
from make_world import load
from models import CLIP, VQModel
from pool import Pool, noise_for, share
from storage import export, load_state, save_state, write_whole
from train_vqgan import DEFAULTS, to_network
from vocabulary import Vocabulary, learn
from world import differences

CONFIG = dict(embed_dim=128, image_resolution=48, vision_layers=4, vision_width=128, vision_patch_size=8, vision_heads=2,
              context_length=64, transformer_width=128, transformer_heads=2, transformer_layers=3, activation="quick_gelu")
MERGES = 504
BATCH, POOL, POOL_STEP = 96, 96, 12  # pictures a step; latents in the pool; those of them that a step moves
NOISE, FIRST_POOL, AHEAD = 1.2, 0.3, 0.6  # the noise's L2 norm; parts of the training
READER_WEIGHT, FAKE_WEIGHT = 0.25, 0.5
LESSONS = dict(shape=3, shape2=3, place=2, relation=4, count=2)  # how often siblings come that differ in it; all else: 1
LANDSCAPES, PLAINEST = 0.5, 2.5  # landscapes are learned early; filled shapes on plain grounds show best what a shape is


def learning_rate(most, part):
    return most * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))


def metadata_of(path):
    with safe_open(path, "pt") as f:
        return f.metadata()


def load_weights(network, path, device):
    network.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return network.to(device)


def load_vqgan(path, device):
    vqgan = VQModel(json.loads(metadata_of(path)["config"]))
    return load_weights(vqgan, path, device).eval().requires_grad_(False)


def vocabulary_for(data, begin):
    """That of the CLIP which is trained on, or one that is learned from the captions once."""
    if begin:
        return Vocabulary([tuple(line.split()) for line in metadata_of(begin)["merges"].splitlines()])
    path = f"{data}/merges.json"
    if not os.path.exists(path):
        found = learn([c for t in load(f"{data}/train")[1] for c in t["captions"]], MERGES)
        write_whole(path, json.dumps(found).encode())
    with open(path) as f:
        return Vocabulary([tuple(m) for m in json.load(f)])


@torch.no_grad()
def reconstruct(path, vqgan, pictures, count, device):
    """The first `count` pictures as the VQGAN shows them, drawn once: so that what it cannot draw is not held against a latent."""
    if not os.path.exists(path):
        out = np.empty((count, *pictures.shape[1:]), np.uint8)
        for i in range(0, count, 16):
            with torch.autocast(device, torch.bfloat16):
                z = vqgan.encode(to_network(pictures[i : min(i + 16, count)], device)).float()
                y = vqgan.decode(vqgan.look_up(vqgan.nearest(z)))
            y = (y.float().clamp(-1, 1) + 1) * 127.5 + 0.5
            out[i : i + 16] = y.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        np.save(path + ".part.npy", out)
        os.replace(path + ".part.npy", path)
    return np.load(path, mmap_mode="r")


def weight_of(scene, other):
    """How often these siblings are shown."""
    if scene["kind"] == "land":
        return LANDSCAPES
    plainest = scene["style"] == "plain" and scene.get("fill") in (None, "solid") and scene.get("ground", ["plain"])[0] == "plain"
    return max(LESSONS.get(k, 1) for k in differences(scene, other)) * (PLAINEST if plainest else 1)


class World:
    """Pictures, captions and classes as tensors."""

    def __init__(self, name, vocabulary, device):
        self.pictures, told = load(name)
        self.captions = [c for t in told for c in t["captions"]]  # two of each picture
        self.tokens = torch.tensor([vocabulary.encode(c) for c in self.captions], device=device)
        self.classes = torch.tensor([classes_of(t["scene"]) for t in told], device=device)
        scenes = [t["scene"] for t in told]
        self.chances = np.cumsum([weight_of(a, b) for a, b in zip(scenes[0::2], scenes[1::2])])

    def choose_pairs(self, rng, count, among=None):
        """Numbers of siblings, those of the first `among` pictures alone if it is told."""
        chances = self.chances[: among and among // 2]
        return np.searchsorted(chances, rng.random(count) * chances[-1], "right")


def cut(tokens):
    """Without what is behind the longest text's end."""
    return tokens[:, : int((tokens != 0).sum(1).max())]


def to_clip(pictures, device):
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).contiguous().float() / 255


@torch.no_grad()
def measure(clip, reader, world, device, count=1000):
    """How often a text finds its picture of 200, how often it fits better than to the sibling's, and attributes that are right."""
    f, t, attributes = [], [], []
    count = min(count, len(world.pictures)) // 100 * 100
    for i in range(0, count, 100):
        seen = cutouts.take(to_clip(world.pictures[i : i + 100], device), clip.config["image_resolution"], whole=True)
        f.append(clip.see(seen)[0])
        t.append(clip.read(cut(world.tokens[2 * i : 2 * i + 200 : 2])))
        attributes.append(reader.right(f[-1], world.classes[i : i + 100]))
    f, t = torch.cat(f), torch.cat(t)
    rank = torch.cat([(s > s.diag()[:, None]).sum(1) for s in (t[k : k + 400 : 2] @ f[k : k + 400 : 2].t() for k in range(0, count - 399, 400))])
    own, other = (f[0::2] * t[0::2]).sum(1), (f[0::2] * t[1::2]).sum(1)
    right = {k: np.nanmean([a[k] for a in attributes]) for k in ("colour", "ground1", "shape", "place", "relation", "count", "time")}
    return (f"first of 200 {(rank == 0).float().mean():.3f}, before its sibling {(own > other).float().mean():.3f}; "
            + ", ".join(f"{k} {v:.2f}" for k, v in right.items()))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", required=True, help="folder with train.npy and held-out.npy of make_world.py")
    p.add_argument("--vqgan", required=True)
    p.add_argument("--state", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--begin", help="a CLIP to train on, instead of numbers at random")
    p.add_argument("--lr", type=float, default=1e-3, help="the greatest learning rate")
    p.add_argument("--noise", type=float, default=NOISE, help="L2 norm of the noise that misleads")
    p.add_argument("--ahead", type=float, help="part of the training that noise and pool are ahead of it; -1: neither of them "
                   f"[{AHEAD} with --begin, else 0]")
    p.add_argument("--steps", type=int, default=6000)
    p.add_argument("--minutes", type=float, default=math.inf)
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--save-every", type=float, default=60, help="seconds")
    p.add_argument("--reconstructions", type=int, default=8000, help="pictures that are also shown as the VQGAN draws them")
    a = p.parse_args()
    prepare(a.device, a.threads)
    began = saved = time.time()
    vocabulary = vocabulary_for(a.data, a.begin)
    world, held_out = (World(f"{a.data}/{name}", vocabulary, a.device) for name in ("train", "held-out"))
    vqgan = load_vqgan(a.vqgan, a.device)
    drawn = reconstruct(f"{a.data}/reconstructions.npy", vqgan, world.pictures, min(a.reconstructions, len(world.pictures)), a.device)
    torch.manual_seed(a.seed)
    clip = CLIP(json.loads(metadata_of(a.begin)["config"]) if a.begin else dict(CONFIG, vocab_size=vocabulary.size)).to(a.device)
    if a.begin:
        load_weights(clip, a.begin, a.device)
    ahead = a.ahead if a.ahead is not None else AHEAD if a.begin else 0  # of the schedule of what is made against it
    reader = Reader(CONFIG["embed_dim"]).to(a.device)
    matrices = [w for n, w in clip.named_parameters() if w.ndim >= 2 and "embedding" not in n] + [reader.linear.weight]
    others = [w for n, w in clip.named_parameters() if w.ndim < 2 or "embedding" in n] + [reader.linear.bias]
    optimiser = torch.optim.AdamW([dict(params=matrices, weight_decay=0.05), dict(params=others, weight_decay=0)], betas=(0.9, 0.98))
    step, more = load_state(a.state, {"clip": clip, "reader": reader}, optimiser)
    torch.manual_seed(a.seed + 1000 + step)
    rng = np.random.default_rng([a.seed, step])

    def choose_captions(count):
        return torch.from_numpy(4 * world.choose_pairs(rng, count) + rng.integers(0, 4, count))

    def show_sibling(captions):
        return to_network(world.pictures[(captions.numpy() // 2) ^ 1], a.device)

    pool = Pool(vqgan, POOL, choose_captions, show_sibling, a.device, world.pictures.shape[1])
    if more:
        pool.restore(more["pool"])
    average, side = {}, CONFIG["image_resolution"]

    def note(**values):
        for k, v in values.items():
            average[k] = v if k not in average else 0.97 * average[k] + 0.03 * v

    def save():
        save_state(a.state, step, {"clip": clip, "reader": reader}, optimiser, dict(pool=pool.state()))
        export(a.out, "clip", clip, dict(DEFAULTS, size=list(world.pictures.shape[1:3])), merges=vocabulary.text())

    while step < a.steps and time.time() - began < 60 * a.minutes:
        part = step / a.steps
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(a.lr, part) * min(1, (step + 1) / 100)
        # Siblings together; half of them as the VQGAN draws them. The last places belong to the pool's own captions, those
        # before them to their siblings.
        pooled = torch.arange(POOL_STEP) + step * POOL_STEP % POOL if part + ahead > FIRST_POOL else torch.arange(0)
        half = (BATCH // 2 - len(pooled)) // 2
        pairs = np.concatenate([world.choose_pairs(rng, half, len(drawn)), world.choose_pairs(rng, half)])
        own = pool.text[pooled].numpy()
        which = np.concatenate([2 * pairs, 2 * pairs + 1, (own // 2) ^ 1, own // 2])
        text = 2 * which + rng.integers(0, 2, len(which))
        text[len(text) - len(own) :] = own
        x = np.stack([drawn[i] if i < len(drawn) and rng.random() < 0.85 else world.pictures[i] for i in which])
        x = cutouts.vary(cutouts.take(to_clip(x, a.device), side))
        tokens, classes = cut(world.tokens[text]), world.classes[which]
        same = (tokens[:, None] == tokens[None]).all(2).float()
        target = same / same.sum(1, keepdim=True)
        with torch.autocast(a.device, torch.bfloat16):
            words = clip.read(tokens)
        scale = clip.logit_scale.exp()

        def contrast(rows, columns):
            """Cross entropies both ways; columns may have more rows, which are nobody's."""
            return -0.5 * ((target * F.log_softmax(rows, 1)).sum(1).mean() + (target * F.log_softmax(columns.t(), 1)[:, : len(target)]).sum(1).mean())

        def misled(x):
            with torch.autocast(a.device, torch.bfloat16):
                logits = scale.detach() * clip.see(x)[0] @ words.detach().t()
            return contrast(logits, logits)

        fake = None
        if len(pooled):
            fake, fit = pool.step(pooled, clip, words[-len(pooled) :].detach())
            # Half of them mixed with the real picture: the whole way to it leads upwards.
            mix = (torch.rand(len(fake), 1, 1, 1, device=a.device) - 0.5).clamp(min=0)
            fake = cutouts.take(fake, side).lerp(x[-len(fake) :], mix)
            pool.renew()
        strength = share(part + ahead)
        if strength > 0:
            x = x + noise_for(x, misled, a.noise * strength)
        with torch.autocast(a.device, torch.bfloat16):
            found = clip.see(torch.cat([x, fake]) if len(pooled) else x)[0]
        logits, n = scale * found @ words.t(), len(x)
        loss = contrast(logits[:n], logits) + READER_WEIGHT * reader.loss(found[:n], classes)
        if len(pooled):  # the real picture fits its caption better than the latent's does
            k = len(pooled)
            real, latent = logits[n - k : n, n - k :].diagonal(), logits[n:, n - k :].diagonal()
            loss = loss + FAKE_WEIGHT * F.softplus(latent - real).mean()
            note(real=(real / scale).mean().item(), latent=(latent / scale).mean().item(), fit=fit)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(0, math.log(60))
        note(loss=loss.item(), first=(logits[:n].argmax(1).cpu() == torch.arange(n)).float().mean().item())
        step += 1
        if step % 50 == 0:
            print(f"step {step} " + " ".join(f"{k} {v:.3f}" for k, v in average.items()) + f" {time.time() - began:.0f} s", flush=True)
        if step % 500 == 0:
            print("  " + measure(clip, reader, held_out, a.device), flush=True)
        if time.time() - saved > a.save_every:
            save()
            saved = time.time()
    save()
    if step < a.steps:
        sys.exit(3)
    print("held out: " + measure(clip, reader, held_out, a.device, 2000))


if __name__ == "__main__":
    main()
