#!/usr/bin/env python3
"""How much bf16 costs: vqgen's against PyTorch's, both against PyTorch in float64 on the same weights.

    bf16_vs_pytorch.py --work FOLDER --vqgen PROGRAM [--size 256] [--seed 1] [--options "--device cpu"]

VQGAN f16 with 1024 codes and CLIP ViT-B/32 with seeded random weights, one step with eight cutouts and three prompts. PyTorch's bf16 is
autocast on the CPU around decoder and tower (its search for the nearest codes stays float32, as ours does; else other
codes would be compared). Prints for each, and for both in float32, the PSNR of the picture (of 1, in dB), the relative L2 error of
what the decoder makes before it is clamped, and the cosine of the gradient of z. vqgen's bf16 passes with a PSNR of at least 40 dB and at
least PyTorch's less 1 dB, and a cosine of at least PyTorch's less 0.002. Exits 1 if it does not. Takes some minutes: float64 is slow.
"""
import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

import loop
import tensorfile
from bpe import synthetic_merges
from models import CLIP, VQGAN
from published_sizes import B32, F16, PROMPTS, draw_z, randomise, run_trace, save

CONFIG = dict(F16, n_embed=1024)
BOXES = [(0, 0, 1), (0.06, 0.08, 0.9), (0.25, 0.125, 0.7), (0.4, 0.35, 0.47), (0.1, 0.5, 0.5), (0.5, 0, 0.5),
         (0.02, 0.2, 0.8), (0.3, 0.3, 0.6)]
LEAST_PSNR, PSNR_BEHIND, COSINE_BEHIND = 40.0, 1.0, 0.002


def compare(got, exact):
    """-> PSNR of the picture, relative error of the decoder's output, cosine of the gradients"""
    got = {name: np.asarray(array, dtype="f8") for name, array in got.items() if name in ("image", "decode", "grad_z")}
    square = float(np.mean((got["image"] - exact["image"]) ** 2))
    psnr = -10 * math.log10(square) if square > 0 else math.inf
    apart = np.linalg.norm(got["decode"] - exact["decode"]) / np.linalg.norm(exact["decode"])
    a, b = got["grad_z"].ravel(), exact["grad_z"].ravel()
    return psnr, float(apart), float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--vqgen", required=True, metavar="PROGRAM")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--options", default="--device cpu", help='for vqgen trace, beside --precision')
    parser.add_argument("--threads", type=int, default=1, help="for PyTorch (1)")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    files = {part: args.work / f"bf16-{part}.safetensors" for part in ("vqgan", "clip", "given", "out")}
    networks = ["--vqgan", str(files["vqgan"]), "--clip", str(files["clip"])]

    generator = torch.Generator().manual_seed(args.seed)
    vqgan = randomise(VQGAN(CONFIG, "vqgan"), generator)
    save(files["vqgan"], vqgan, "vqgan", CONFIG)
    clip = randomise(CLIP(B32), generator)
    save(files["clip"], clip, "clip", B32, merges="\n".join(synthetic_merges(B32["vocab_size"] - 514)))
    boxes = torch.tensor([[int(share * args.size) for share in box] for box in BOXES], dtype=torch.int32)
    text = torch.randn(len(PROMPTS), B32["embed_dim"], generator=generator)
    prompts = [(weight, -math.inf) for _, weight in PROMPTS]

    double = VQGAN(CONFIG, "vqgan").double().requires_grad_(False)
    double.load_state_dict(vqgan.state_dict())
    z = draw_z(double, args.size, args.size, generator)
    made = {"PyTorch f32": loop.evaluate(vqgan, clip, z, boxes, text, prompts)}
    decode, encode_image = vqgan.decode, clip.encode_image
    loop.use_autocast(vqgan, clip)
    made["PyTorch bf16"] = loop.evaluate(vqgan, clip, z, boxes, text, prompts)
    vqgan.decode, clip.encode_image = decode, encode_image
    exact = loop.evaluate(double, clip.double(), z.double(), boxes, text.double(), prompts)
    exact = {name: array.numpy() for name, array in exact.items()}
    made = {who: {name: array.numpy() for name, array in arrays.items()} for who, arrays in made.items()}
    del vqgan, clip, double

    spoken = [[words, weight, "-inf"] for words, weight in PROMPTS]
    given = {"z": z.numpy(), "boxes": boxes.numpy(), "text_features": text.numpy()}
    tensorfile.write(files["given"], given, {"prompts": json.dumps(spoken), "lr": "0.1", "steps": "1", "keep": "[]"})
    for precision in ("fp32", "bf16"):
        made[f"vqgen {'f32' if precision == 'fp32' else precision}"] = run_trace(
            args.vqgen, f"{args.options} --precision {precision}", networks, files["given"], files["out"])
    for path in files.values():
        path.unlink(missing_ok=True)

    results = {}
    for who, arrays in made.items():
        same = "the same codes" if np.array_equal(arrays["indices"], exact["indices"]) else "OTHER CODES"
        psnr, apart, cosine = results[who] = compare(arrays, exact)
        print(f"{who:14} PSNR {psnr:6.2f} dB, before the clamp {apart:.2e} apart, cosine {cosine:.6f}, {same}")
    ours, theirs = results["vqgen bf16"], results["PyTorch bf16"]
    good = ours[0] >= max(LEAST_PSNR, theirs[0] - PSNR_BEHIND) and ours[2] >= theirs[2] - COSINE_BEHIND  # a NaN is not
    print("pass" if good else "FAIL")
    sys.exit(not good)


if __name__ == "__main__":
    main()
