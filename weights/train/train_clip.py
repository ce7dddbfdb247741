"""Trains a CLIP that guides: to tell the world's pictures from each other by their captions, and to lead to them.

    python3 train_clip.py --data FOLDER --vqgan vqgan.safetensors --state clip.state --out clip.safetensors [--minutes 5]

Goes on from the state if there is one, stops after --minutes (exit status 3: not done yet) or when all steps are done. Another --seed
gives another CLIP from other pictures' order and another pool: a judge.
"""
import argparse
import json
import math
import os
import random
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import cutouts
from attributes import Reader, classes_of
from captions import tell
from draw import draw
from lead import astray, blend, lead
from machine import mixed, prepare
from make_world import load
from models import CLIP, VQModel
from pool import Pool
from storage import export, load_state, save_state, write_whole
from train_vqgan import DEFAULTS, to_network
from vocabulary import Vocabulary, learn
from world import differences, family

CONFIG = dict(embed_dim=128, image_resolution=48, vision_layers=4, vision_width=128, vision_patch_size=8, vision_heads=2,
              context_length=64, transformer_width=128, transformer_heads=2, transformer_layers=3, activation="quick_gelu")
MERGES = 504
LEAD_FROM = 500
FIRST_BATCH, BATCH = 128, 56              # pictures a step
RELATIVES, FAMILIES = 32, dict(one=6, two=5, many=1, land=4)  # and so many of families, how often of each kind
BLENDS, POOL, POOL_STEP = 28, 48, 16      # blends of them; latents in the pool; those of them that a step moves
FIRST_READER_WEIGHT, READER_WEIGHT, FAKE_WEIGHT, LEAD_WEIGHT = 0.25, 0.15, 0.5, 6.0
MUON, DECAY = 4.0, 0.05  # the rate of the towers' matrices, as a multiple of all others'; weight decay
MEMORY = 0.998  # of the average of the weights over the steps
VARIANTS, PLAINLY, DRAWN = 6, 0.6, 0.85  # of a latent's scene; parts that are told in plain words, and shown as the VQGAN draws them
LESSONS = dict(shape=3, shape2=3, place=2, relation=4, count=2)  # how often siblings come that differ in it; all else: 1
BARE, THINGS, TWO, PLAINEST = 1.5, 3, 1.8, 2.5  # and how often these: landscapes without and with a thing; filled shapes on plain grounds show best what a shape is


def learning_rate(most, part):
    return most * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))


def metadata_of(path):
    with safe_open(path, "pt") as f:
        return f.metadata()


def load_weights(network, path, device):
    network.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return network.to(device)


def deepen(weights, tower, was, layers):
    """A tower's layers, spread over `layers` ones; those between add nothing yet: their last matrices are zero."""
    start, out = f"{tower}resblocks.", {}
    for k, v in weights.items():
        if not k.startswith(start):
            out[k] = v
            continue
        at, name = k.removeprefix(start).split(".", 1)
        first = int(at) * layers // was
        for i in range(first, (int(at) + 1) * layers // was):
            adds = "out_proj" in name or "c_proj" in name
            out[f"{start}{i}.{name}"] = torch.zeros_like(v) if adds and i > first else v.clone()
    return out


def load_grown(clip, path, device):
    """Weights of a CLIP that may have fewer layers, and see pictures of another side: its patches' places are interpolated."""
    weights, name = {k: v.float() for k, v in load_file(path).items()}, "visual.positional_embedding"
    config = json.loads(metadata_of(path)["config"])
    for tower, key in (("visual.transformer.", "vision_layers"), ("transformer.", "transformer_layers")):
        weights = deepen(weights, tower, config[key], clip.config[key])
    own, patches = weights[name][:1], weights[name][1:]
    was, side = (math.isqrt(len(p) - 1) for p in (weights[name], clip.visual.positional_embedding))
    if was != side:
        grid = patches.t().reshape(1, -1, was, was)
        patches = F.interpolate(grid, side, mode="bicubic").flatten(2)[0].t()
    clip.load_state_dict({**weights, name: torch.cat([own, patches])})
    return clip.to(device)


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
            with mixed(device):
                z = vqgan.encode(to_network(pictures[i : min(i + 16, count)], device)).float()
                y = vqgan.decode(vqgan.look_up(vqgan.nearest(z)))
            y = (y.float().clamp(-1, 1) + 1) * 127.5 + 0.5
            out[i : i + 16] = y.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        np.save(path + ".part.npy", out)
        os.replace(path + ".part.npy", path)
    return np.load(path, mmap_mode="r")


def plainest(scene):
    return scene["style"] == "plain" and scene.get("fill") in (None, "solid") and scene.get("ground", ["plain"])[0] == "plain"


def weight_of(scene, other):
    """How often these siblings are shown."""
    if scene["kind"] == "land":
        return BARE if scene["object"] == other["object"] == "none" else THINGS
    often = (PLAINEST if plainest(scene) else 1) * (TWO if scene["kind"] == "two" else 1)
    return often * max(LESSONS.get(k, 1) for k in differences(scene, other))


class World:
    """Pictures, captions and classes as tensors."""

    def __init__(self, name, vocabulary, device):
        self.pictures, told = load(name)
        self.captions = [c for t in told for c in t["captions"]]  # two of each picture
        self.tokens = torch.tensor([vocabulary.encode(c) for c in self.captions], device=device)
        self.classes = torch.tensor([classes_of(t["scene"]) for t in told], device=device)
        self.scenes = scenes = [t["scene"] for t in told]
        self.plainest = {kind: [s for s in scenes if s["kind"] == kind and plainest(s)] for kind in FAMILIES}
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


class Training:
    """All that one step needs and changes."""

    def __init__(self, a, world, vocabulary, vqgan, drawn):
        self.a, self.world, self.vocabulary, self.drawn = a, world, vocabulary, drawn
        torch.manual_seed(a.seed)
        config = json.loads(metadata_of(a.begin)["config"]) if a.begin else dict(CONFIG, vocab_size=vocabulary.size)
        config["image_resolution"] = a.side or config["image_resolution"]
        if a.layers:
            config["vision_layers"], config["transformer_layers"] = a.layers
        self.clip = CLIP(config).to(a.device)
        if a.begin:
            load_grown(self.clip, a.begin, a.device)
        self.side, self.reader = config["image_resolution"], Reader(config["embed_dim"]).to(a.device)
        named = [*self.clip.named_parameters(), *self.reader.named_parameters()]
        layers = [w for n, w in named if w.ndim == 2 and "resblocks" in n]
        matrices = [w for n, w in named if w.ndim >= 2 and "resblocks" not in n and "embedding" not in n]
        others = [w for n, w in named if w.ndim < 2 or "embedding" in n]
        self.muon = torch.optim.Muon(layers, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
        self.optimiser = torch.optim.AdamW([dict(params=matrices, weight_decay=DECAY), dict(params=others, weight_decay=0)], betas=(0.9, 0.98))
        self.mean = AveragedModel(self.clip, multi_avg_fn=get_ema_multi_avg_fn(MEMORY))  # what is exported: noise of single steps averages out
        self.step, more = load_state(a.state, self.modules(), self.optimiser)
        torch.manual_seed(a.seed + 1000 + self.step)
        self.rng = np.random.default_rng([a.seed, self.step])
        self.pool = Pool(vqgan, POOL, self.choose, self.show, self.paint, self.say, a.device, world.pictures.shape[1])
        if more:
            self.pool.restore(more["pool"])
        self.average, self.lead = {}, lead
        if not a.eager:
            self.lead = torch.compile(lead)
            for owner, name in ((vqgan, "decode"), (vqgan, "nearest"), (self.clip, "see")):
                setattr(owner, name, torch.compile(getattr(owner, name), dynamic=False))

    def modules(self):
        return {"clip": self.clip, "reader": self.reader, "mean": self.mean}

    def save(self):
        save_state(self.a.state, self.step, self.modules(), self.optimiser, dict(pool=self.pool.state()))
        export(self.a.out, "clip", self.mean.module, dict(DEFAULTS, size=list(self.world.pictures.shape[1:3])),
               pair=metadata_of(self.a.vqgan)["pair"], merges=self.vocabulary.text())

    def note(self, **values):
        for k, v in values.items():
            self.average[k] = 0.97 * self.average.get(k, v.item()) + 0.03 * v.item()

    # ---- what the pool asks for ----

    def choose(self, count):
        return torch.from_numpy(2 * self.world.choose_pairs(self.rng, count) + self.rng.integers(0, 2, count))

    def show(self, numbers):
        return to_network(self.world.pictures[numbers], self.a.device)

    def paint(self, number):
        picture, scene = self.world.pictures[number], self.world.scenes[number]
        seeds = self.rng.integers(0, 1 << 31, VARIANTS - 1)
        return np.stack([picture, *(draw(dict(scene, seed=int(s)), len(picture)) for s in seeds)])

    def say(self, number):
        if self.rng.random() >= PLAINLY:
            return self.world.tokens[2 * number + int(self.rng.integers(2))]
        text = tell(self.world.scenes[number], random.Random(int(self.rng.integers(1 << 31))), "all")
        return torch.tensor(self.vocabulary.encode(text), device=self.a.device)

    # ---- a step ----

    def batch(self, pooled):
        """Numbers of pictures, and of each one's sibling in the batch; half of them are among those that the VQGAN has drawn. The last
        places are the pool's own, those before them their siblings'."""
        half = ((BATCH if len(pooled) else FIRST_BATCH) // 2 - len(pooled)) // 2
        pairs = np.concatenate([self.world.choose_pairs(self.rng, half, len(self.drawn)), self.world.choose_pairs(self.rng, half)])
        own = self.pool.number[pooled].numpy()
        first, last = np.arange(len(pairs)), 2 * len(pairs) + np.arange(len(own))
        return (np.concatenate([2 * pairs, 2 * pairs + 1, own ^ 1, own]),
                np.concatenate([first + len(pairs), first, last + len(own), last]))

    def texts(self, numbers, pooled):
        tokens = self.world.tokens[2 * numbers + self.rng.integers(0, 2, len(numbers))]
        if len(pooled):
            tokens[-len(pooled) :] = torch.stack([self.pool.text[i] for i in pooled.tolist()])
        return tokens

    def pictures(self, numbers):
        drawn, seen = self.drawn, self.world.pictures
        return to_clip(np.stack([drawn[i] if i < len(drawn) and self.rng.random() < DRAWN else seen[i] for i in numbers]), self.a.device)

    def relatives(self):
        """Scenes that differ from one another in one attribute, and are told in plain words: pictures, tokens, classes."""
        scenes = []
        while len(scenes) < RELATIVES:
            kind = self.rng.choice(list(FAMILIES), p=np.array(list(FAMILIES.values())) / sum(FAMILIES.values()))
            heads = self.world.plainest[kind]
            scenes += family(heads[self.rng.integers(len(heads))])
        scenes = [dict(s, seed=int(self.rng.integers(1 << 31))) for s in scenes[:RELATIVES]]
        pictures = np.stack([draw(s, self.world.pictures.shape[1]) for s in scenes])
        told = [self.vocabulary.encode(tell(s, random.Random(s["seed"]), "all")) for s in scenes]
        kinds = [classes_of(s) for s in scenes]
        return (to_clip(pictures, self.a.device), torch.tensor(told, device=self.a.device), torch.tensor(kinds, device=self.a.device))

    def loss(self):
        """At first pictures and captions only find each other; a CLIP that cannot tell shapes apart learns slowly to lead to them."""
        leads = self.step >= self.a.lead_from
        pooled = torch.arange(POOL_STEP if leads else 0) + self.step * POOL_STEP % POOL
        numbers, siblings = self.batch(pooled)
        relatives, told, kinds = self.relatives()
        siblings = np.concatenate([np.roll(np.arange(RELATIVES), 1), RELATIVES + siblings])
        tokens, classes = cut(torch.cat([told, self.texts(numbers, pooled)])), torch.cat([kinds, self.world.classes[numbers]])
        plain = cutouts.take(torch.cat([relatives, self.pictures(numbers)]), self.side)
        with mixed(self.a.device):
            words, found = self.clip.read(tokens), self.clip.see(cutouts.vary(plain))[0]
        scale, n = self.clip.logit_scale.exp(), len(plain)
        logits = scale * found @ words.t()
        columns = logits
        if leads:
            off, seen = self.leading(plain, words, siblings, pooled)
            columns = torch.cat([logits, scale * seen @ words.t()])  # the pool's pictures are nobody's
        same = (tokens[:, None] == tokens[None]).all(2).float()
        target = same / same.sum(1, keepdim=True)
        contrast = -0.5 * ((target * F.log_softmax(logits, 1)).sum(1).mean() + (target * F.log_softmax(columns.t(), 1)[:, :n]).sum(1).mean())
        read, told = self.reader.loss(found, classes), self.reader.loss(words[:RELATIVES], kinds)  # these texts tell everything
        loss = contrast + (READER_WEIGHT if leads else FIRST_READER_WEIGHT) * (read + told)
        if leads:  # the real picture fits its caption better than the latent's does
            real, latent = (m[-len(pooled) :, n - len(pooled) : n].diagonal() for m in (logits, columns))
            loss = loss + LEAD_WEIGHT * off + FAKE_WEIGHT * F.softplus(latent - real).mean()
            self.note(real=(real / scale).mean(), latent=(latent / scale).mean(), off=off)
        self.note(loss=loss, told=told, contrast=contrast, first=(logits.argmax(1).cpu() == torch.arange(n)).float().mean())
        return loss

    def leading(self, plain, words, siblings, pooled):
        """How far it leads astray from points that a run may come by, blends and the pool's pictures; and the embeddings of the latter."""
        k = len(pooled)
        some = self.rng.permutation(len(plain) - k)[:BLENDS]
        fake = self.pool.step(pooled, self.clip, words[-k:].detach())
        both = cutouts.take(torch.cat([fake, self.pool.nearest(pooled, fake)], 1), self.side)
        self.pool.renew()
        at = torch.cat([blend(plain, some, siblings[some], self.rng), both[:, :3]])
        to, said = torch.cat([plain[some], both[:, 3:]]), torch.cat([words[some], words[-k:]])
        led, seen = self.lead(self.clip, at.detach(), said)
        self.note(pool_off=astray(led[BLENDS:], (to - at)[BLENDS:]), away=(to - at)[BLENDS:].square().mean().sqrt())
        return astray(led, to - at), seen[BLENDS:]

    def take_step(self):
        rate = learning_rate(self.a.lr, self.step / self.a.steps) * min(1, (self.step + 1) / 100)
        for optimiser, times in ((self.muon, MUON), (self.optimiser, 1)):
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = times * rate
        self.loss().backward()
        torch.nn.utils.clip_grad_norm_(self.clip.parameters(), 1.0)
        self.muon.step()
        self.optimiser.step()
        with torch.no_grad():
            self.clip.logit_scale.clamp_(0, math.log(60))
        self.mean.update_parameters(self.clip)
        self.step += 1


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", required=True, help="folder with train.npy and held-out.npy of make_world.py")
    p.add_argument("--vqgan", required=True)
    p.add_argument("--state", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--begin", help="a CLIP to train on, instead of numbers at random")
    p.add_argument("--side", type=int, help="pixels that it sees of a picture, a multiple of 8 [48; with --begin as that one]")
    p.add_argument("--layers", type=int, nargs=2, help="of the towers that see and read; with --begin, new ones come between that one's [4 3; with --begin as that one]")
    p.add_argument("--lr", type=float, default=1e-3, help="the greatest learning rate")
    p.add_argument("--lead-from", type=int, help="the first step that trains where it leads [500; with --begin 0]")
    p.add_argument("--steps", type=int, default=5000)
    p.add_argument("--minutes", type=float, default=math.inf)
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--float32", action="store_true", help="not in bfloat16: quicker on some processors (an Intel one without AMX; not a Zen 5)")
    p.add_argument("--eager", action="store_true", help="without torch.compile, which takes a third off a step and wants a C++ compiler")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--save-every", type=float, default=60, help="seconds")
    p.add_argument("--reconstructions", type=int, default=8000, help="pictures that are also shown as the VQGAN draws them")
    a = p.parse_args()
    if a.lead_from is None:
        a.lead_from = 0 if a.begin else LEAD_FROM
    prepare(a.device, a.threads, a.float32)
    began = saved = time.time()
    vocabulary = vocabulary_for(a.data, a.begin)
    world, held_out = (World(f"{a.data}/{name}", vocabulary, a.device) for name in ("train", "held-out"))
    vqgan = load_vqgan(a.vqgan, a.device)
    drawn = reconstruct(f"{a.data}/reconstructions.npy", vqgan, world.pictures, min(a.reconstructions, len(world.pictures)), a.device)
    t = Training(a, world, vocabulary, vqgan, drawn)
    while t.step < a.steps and time.time() - began < 60 * a.minutes:
        t.take_step()
        if t.step % 50 == 0:
            print(f"step {t.step} " + " ".join(f"{k} {v:.3f}" for k, v in t.average.items()) + f" {time.time() - began:.0f} s", flush=True)
        if t.step % 500 == 0:
            print("  " + measure(t.mean.module, t.reader, held_out, a.device), flush=True)
        if time.time() - saved > a.save_every:
            t.save()
            saved = time.time()
    t.save()
    if t.step < a.steps:
        sys.exit(3)
    print("held out: " + measure(t.mean.module, t.reader, held_out, a.device, 2000))


if __name__ == "__main__":
    main()
