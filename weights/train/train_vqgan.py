"""Trains the VQGAN on pictures of the world.

    python3 train_vqgan.py --data FOLDER --state vqgan.state --out vqgan.safetensors [--minutes 5] [--device cuda]

Goes on from the state if there is one, stops after --minutes (exit status 3: not done yet) or when all steps are done.
An autoencoder first, without codes; then k-means of what it says becomes the codebook, whose codes follow their means; codes that
nobody uses begin again where something is.
"""
import argparse
import math
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from machine import mixed, prepare
from make_world import load
from models import VQModel
from storage import RECIPE, export, load_state, save_state

CONFIG = dict(ch=32, ch_mult=[1, 1, 2], num_res_blocks=1, attn_resolutions=[], resolution=64, z_channels=64, in_channels=3,
              out_ch=3, embed_dim=32, n_embed=2048)
DEFAULTS = {"steps": 120, "cutouts": 8, "cut_size": [0.9, 1.0], "lr": 0.2, "lr_schedule": "linear:0.04", "tv_weight": 1.0,
            "init": "gray"}  # of a run with the pair; the size is that of the pictures in training
BATCH, WITHOUT_CODES = 8, 0.08  # pictures a step; the part of the training before there are codes
KEEP = 0.99                     # of a code's running mean


def learning_rate(part):
    return 1.2e-3 * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))


def to_network(pictures, device):
    """uint8 [N, H, W, 3] to [N, 3, H, W] from -1 to 1"""
    x = torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2)
    return x.contiguous().float().div(127.5).sub(1)  # planes: PyTorch's group norm is slow on a CPU otherwise


def batch_of(pictures, rng, device):
    x = to_network(pictures[np.sort(rng.integers(len(pictures), size=BATCH))], device)
    return x.flip(3) if rng.random() < 0.5 else x


class Codes:
    """Each code is the running mean of what is nearest to it."""

    def __init__(self, codebook):
        self.codebook, self.count, self.sum = codebook, torch.ones(len(codebook), device=codebook.device), codebook.clone()

    def begin(self, points, rounds=10):
        """k-means"""
        centres = points[torch.randperm(len(points), device=points.device)[: len(self.codebook)]].clone()
        for _ in range(rounds):
            nearest = (centres.square().sum(1) - 2 * points @ centres.t()).argmin(1)
            count = torch.bincount(nearest, minlength=len(centres)).float()
            total = torch.zeros_like(centres).index_add_(0, nearest, points)
            elsewhere = points[torch.randint(len(points), (len(centres),), device=points.device)]
            centres = torch.where(count[:, None] > 0, total / count[:, None].clamp(min=1), elsewhere)
        self.codebook.copy_(centres)
        self.count, self.sum = torch.ones_like(self.count), centres.clone()

    def follow(self, points, nearest, revive):
        count = torch.bincount(nearest, minlength=len(self.count)).float()
        self.count.lerp_(count, 1 - KEEP)
        self.sum.lerp_(torch.zeros_like(self.sum).index_add_(0, nearest, points), 1 - KEEP)
        dead = self.count < 0.02
        if revive and dead.any():
            self.sum[dead] = points[torch.randint(len(points), (int(dead.sum()),), device=points.device)]
            self.count[dead] = 1.0
        self.codebook.copy_(self.sum / self.count[:, None])


def loss_of(difference):
    """Besides the difference, that of neighbours: edges stay where they are, and flat stays flat."""
    across = (difference[..., 1:] - difference[..., :-1]).abs().mean()
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    return difference.abs().mean() + difference.square().mean() + 0.5 * (across + down)


@torch.no_grad()
def measure(model, pictures, device):
    """(mean PSNR in dB, codes used)"""
    used, psnr = set(), []
    for i in range(0, len(pictures), 16):
        x = to_network(pictures[i : i + 16], device)
        codes = model.nearest(model.encode(x))
        y = model.decode(model.look_up(codes)).clamp(-1, 1)
        used.update(codes.unique().tolist())
        psnr += (-10 * ((x - y) / 2).square().mean((1, 2, 3)).clamp(min=1e-9).log10()).tolist()
    return sum(psnr) / len(psnr), len(used)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", required=True, help="folder with train.npy and held-out.npy of make_world.py")
    p.add_argument("--state", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=20000)
    p.add_argument("--minutes", type=float, default=math.inf)
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--float32", action="store_true", help="not in bfloat16: quicker on some processors (an Intel one without AMX; not a Zen 5)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--save-every", type=float, default=60, help="seconds")
    a = p.parse_args()
    prepare(a.device, a.threads, a.float32)
    began = saved = time.time()
    pictures, held_out = load(f"{a.data}/train")[0], load(f"{a.data}/held-out")[0]
    torch.manual_seed(a.seed)
    model = VQModel(CONFIG).to(a.device)
    model.codebook.requires_grad_(False)
    weights = [w for w in model.parameters() if w.requires_grad]
    optimiser = torch.optim.Adam(weights, betas=(0.9, 0.97))
    codes = Codes(model.codebook)
    step, more = load_state(a.state, {"vqgan": model}, optimiser)
    if more:
        codes.count, codes.sum = more["count"].to(a.device), more["sum"].to(a.device)
    torch.manual_seed(a.seed + step)
    rng = np.random.default_rng([a.seed, step])
    average = None

    def save():
        save_state(a.state, step, {"vqgan": model}, optimiser, dict(count=codes.count.cpu(), sum=codes.sum.cpu()))
        export(a.out, "vqgan", model, dict(DEFAULTS, size=list(pictures.shape[1:3])), pair=f"small-{RECIPE}-{a.seed}")

    while step < a.steps and time.time() - began < 60 * a.minutes:
        part = step / a.steps
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(part) * min(1, (step + 1) / 100)
        first_codes = int(WITHOUT_CODES * a.steps)
        if step == first_codes:
            with torch.no_grad():
                seen = [model.encode(batch_of(pictures, rng, a.device)) for _ in range(60)]
                codes.begin(torch.cat([z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]) for z in seen]))
        x = batch_of(pictures, rng, a.device)
        with mixed(a.device):
            z = model.encode(x).float()
        loss, zq = 0, z
        if step >= first_codes:
            nearest = model.nearest(z.detach())
            loss = 0.25 * F.mse_loss(z, model.look_up(nearest))
            zq = z + (model.look_up(nearest) - z).detach()
            with torch.no_grad():
                codes.follow(z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]), nearest.flatten(), step % 20 == 0 and part < 0.85)
        with mixed(a.device):
            y = model.decode(zq)
        loss = loss + loss_of(y.float() - x)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        step += 1
        if step % 100 == 0:
            print(f"step {step} loss {average:.4f} {time.time() - began:.0f} s", flush=True)
        if step % 1000 == 0:
            print("  PSNR {:.2f} dB, {} codes used".format(*measure(model, held_out[:128], a.device)), flush=True)
        if time.time() - saved > a.save_every:
            save()
            saved = time.time()
    save()
    if step < a.steps:
        sys.exit(3)
    print("held out: PSNR {:.2f} dB, {} codes used".format(*measure(model, held_out[:500], a.device)))


if __name__ == "__main__":
    main()
