#!/usr/bin/env python3
"""The same step in vqgen and in PyTorch on one GPU, by turns: milliseconds, memory, and ratios.

    step_on_gpu.py --vqbench PROGRAM [--size 512] [--cutouts 32] [--precision bf16] [--steps 30] [--forms eager compiled]

VQGAN f16 with 1024 codes and CLIP ViT-B/32 with made-up weights, cutouts by adaptive average pooling, one text, Adam: models.py
and loop.py on the GPU's side of PyTorch, `vqbench step` on the other. PyTorch is given its best settings: channels-last
convolutions that are benchmarked first, TF32 where it is not bf16, and as `compiled` torch.compile of the decoder and the tower with
CUDA graphs. In bf16 the networks' weights and activations are bf16, z, losses and Adam float, as in vqgen.

A line for each turn; then the medians of three turns and the ratios (PyTorch / vqgen: above 1, vqgen is faster).
"""
import argparse
import json
import statistics
import subprocess
import sys

import torch
from torch.nn import functional as F

import loop
from models import CLIP, VQGAN
from published_sizes import B32, F16, SMALL_CLIP, SMALL_VQGAN, randomise

TURNS = 3
WARM_UP = 5


class Step:
    """One update of z at a time."""

    def __init__(self, args, form):
        torch.manual_seed(1)
        self.device = torch.device(args.torch_device)
        self.dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
        small = args.small
        vqgan, clip = VQGAN(SMALL_VQGAN if small else dict(F16, n_embed=1024), "vqgan"), CLIP(SMALL_CLIP if small else B32)
        generator = torch.Generator().manual_seed(1)
        for model in (vqgan, clip):
            randomise(model, generator)
            model.eval().requires_grad_(False).to(self.device)
        self.book = vqgan.codebook.detach().float().clone()
        vqgan.to(self.dtype).to(memory_format=torch.channels_last)
        clip.to(self.dtype)
        self.decode, self.see, self.side = vqgan.decode, clip.encode_image, clip.image_resolution
        if form == "compiled":
            self.decode, self.see = (torch.compile(f, mode="reduce-overhead") for f in (self.decode, self.see))
        factor = 8 if small else 16
        h = args.size // factor
        codes = torch.randint(len(self.book), (h, h), generator=generator).to(self.device)
        self.z = self.book[codes].permute(2, 0, 1)[None].contiguous().requires_grad_()
        self.adam = torch.optim.Adam([self.z], lr=0.1, fused=self.device.type == "cuda")
        self.low, self.high = (f(0).values.view(1, -1, 1, 1) for f in (self.book.min, self.book.max))
        self.text = torch.randn(clip.encode_text(torch.ones(1, 77, dtype=torch.long, device=self.device)).shape[-1],
                                generator=generator).to(self.device)
        self.args, self.generator = args, generator

    def boxes(self):
        size, n = self.args.size, self.args.cutouts
        side = torch.randint(size // 2, size + 1, (n,), generator=self.generator)
        corner = (torch.rand(n, 2, generator=self.generator) * (size - side[:, None] + 1)).int()
        return torch.cat([corner, side[:, None].int()], 1)

    def take(self):
        z = self.z
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        nearest = (flat.pow(2).sum(1, keepdim=True) + self.book.pow(2).sum(1) - 2 * flat @ self.book.T).argmin(1)
        codes = self.book[nearest].view(1, z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
        decoded = self.decode(loop.StraightThrough.apply(codes, z).to(self.dtype).contiguous(memory_format=torch.channels_last))
        image = loop.ClampWithGrad.apply((decoded.float() + 1) / 2)
        cutouts = loop.normalise(loop.cut(image, self.boxes(), self.side)).to(self.dtype)
        loss = loop.prompt_loss(self.see(cutouts).float(), self.text, 1.0, float("-inf"))
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        with torch.no_grad():
            z.copy_(z.clamp(self.low, self.high))
        return loss


def milliseconds(step, steps):
    for _ in range(WARM_UP):
        step.take()
    if step.device.type != "cuda":
        import time

        start = time.monotonic()
        for _ in range(steps):
            step.take()
        return 1000 * (time.monotonic() - start) / steps
    torch.cuda.synchronize()
    times = []
    for _ in range(steps):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        float(step.take())  # as a run does, which tells the loss
        last.record()
        last.synchronize()
        times.append(first.elapsed_time(last))
    return statistics.median(times)


def ours(args):
    command = [args.vqbench, "step", "--device", args.device, "--precision", args.precision, "-s", f"{args.size}x{args.size}",
               "--cutouts", str(args.cutouts), "-n", str(args.steps), "--json"]
    if args.small:
        command += ["--vqgan", "tiny", "--clip", "tiny"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return {"ms": 1000 * found["seconds"], "MiB": found["planned_bytes"] / 2**20}


def theirs(args, form):
    if args.torch_device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    found = {"ms": milliseconds(Step(args, form), args.steps)}
    if args.torch_device == "cuda":
        found["MiB"] = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.empty_cache()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vqbench", required=True, metavar="PROGRAM")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--cutouts", type=int, default=32)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--forms", nargs="+", choices=["eager", "compiled"], default=["eager", "compiled"])
    parser.add_argument("--device", default="cuda", help="vqgen's")
    parser.add_argument("--torch-device", default="cuda")
    parser.add_argument("--small", action="store_true", help="small networks: does it work, not how fast is it")
    args = parser.parse_args()
    if args.torch_device == "cuda" and not torch.cuda.is_available():
        sys.exit("step_on_gpu.py: PyTorch sees no GPU")
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    card = torch.cuda.get_device_name() if args.torch_device == "cuda" else "the CPU"
    print(f"{card}, PyTorch {torch.__version__}, {args.size}x{args.size}, {args.cutouts} cutouts, {args.precision}")
    rows = {who: [] for who in ["vqgen", *args.forms]}
    for turn in range(TURNS):
        for who in rows:
            rows[who].append(ours(args) if who == "vqgen" else theirs(args, who))
            print(f"turn {turn + 1} {who:8}" + "".join(f"  {value:9.2f} {name}" for name, value in rows[who][-1].items()), flush=True)
    median = {who: statistics.median(row["ms"] for row in made) for who, made in rows.items()}
    for form in args.forms:
        print(f"PyTorch {form} / vqgen: {median[form] / median['vqgen']:.2f}")


if __name__ == "__main__":
    main()
