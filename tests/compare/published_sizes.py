#!/usr/bin/env python3
"""Networks of the published sizes with random weights: vqgen and PyTorch, both against PyTorch in float64.

    published_sizes.py --work FOLDER --vqgen PROGRAM [--vqgen64 PROGRAM] [--vocab FILE] [--only CASE ...] [--json]
    published_sizes.py --work FOLDER --torch-only

Each case makes a VQGAN and a CLIP (one of them of a published size, the other small) in FOLDER, a few GB, deleted
afterwards; evaluates one step in float32 and float64; and runs `vqgen trace` on the same input. Prints for each array
the relative L2 error of PyTorch's float32 and of vqgen against float64. vqgen passes with at most twice PyTorch's
error plus 1e-6; a double build (--vqgen64) with 2e-7; indices must be equal. Exits 1 if an array fails.

Without --vocab (bpe_simple_vocab_16e6.txt.gz) the CLIPs get a synthetic vocabulary of the same size.
--give-text hands the text features to vqgen, which then does not run its text tower.
"""
import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

import loop
import tensorfile
from bpe import Tokeniser, synthetic_merges
from convert_reference import read_merges
from models import CLIP, VQGAN

F16 = dict(ch=128, ch_mult=[1, 1, 2, 2, 4], num_res_blocks=2, attn_resolutions=[16], resolution=256, z_channels=256,
           in_channels=3, out_ch=3, embed_dim=256)
SMALL_VQGAN = dict(F16, ch=32, ch_mult=[1, 1, 2, 2], num_res_blocks=1, z_channels=64, embed_dim=64, n_embed=512)
B32 = dict(embed_dim=512, image_resolution=224, vision_layers=12, vision_width=768, vision_patch_size=32,
           vision_heads=12, context_length=77, vocab_size=49408, transformer_width=512, transformer_heads=8,
           transformer_layers=12, activation="quick_gelu")
SMALL_CLIP = dict(B32, embed_dim=64, image_resolution=64, vision_layers=2, vision_width=128, vision_patch_size=16,
                  vision_heads=2, vocab_size=1024, transformer_width=128, transformer_heads=2, transformer_layers=2)
CASES = {  # name: VQGAN, its kind, CLIP
    "vit-b-32": (SMALL_VQGAN, "vqgan", B32),
    "vit-b-16": (SMALL_VQGAN, "vqgan", dict(B32, vision_patch_size=16)),
    "vit-l-14": (SMALL_VQGAN, "vqgan",
                 dict(B32, embed_dim=768, vision_layers=24, vision_width=1024, vision_patch_size=14, vision_heads=16,
                      transformer_width=768, transformer_heads=12)),
    "vit-h-14": (SMALL_VQGAN, "vqgan",
                 dict(B32, embed_dim=1024, vision_layers=32, vision_width=1280, vision_patch_size=14, vision_heads=16,
                      transformer_width=1024, transformer_heads=16, transformer_layers=24, activation="gelu")),
    "f16-1024": (dict(F16, n_embed=1024), "vqgan", SMALL_CLIP),
    "f16-16384": (dict(F16, n_embed=16384), "vqgan", SMALL_CLIP),
    "gumbel-f8-8192": (dict(F16, ch_mult=[1, 1, 2, 4], attn_resolutions=[32], n_embed=8192), "gumbel", SMALL_CLIP),
}
# Width, height, boxes as shares of the shorter side. The picture for a large CLIP is cut to more and to less than 224.
LARGE, LITTLE = (256, 256), (128, 96)
BOXES = [(0, 0, 1), (0.06, 0.08, 0.9), (0.25, 0.125, 0.7), (0.4, 0.35, 0.47)]
PROMPTS = [("a painting of an apple in a fruit bowl", 1.0), ("blurry, out of focus", -0.5), ("oil on canvas", 0.7)]
ARRAYS = ["indices", "decode", "image", "cutouts", "image_features", "text_features", "losses", "grad_z"]

TIE = 1e-4  # a token whose two nearest codes differ by less, relative to the distance, could flip by rounding
EDGE = 3e-6  # so could the clamp's gradient at a pixel this near to 0 or 1
PASS_FACTOR, PASS_FLOOR, PASS_DOUBLE = 2.0, 1e-6, 2e-7


def randomise(model, generator):
    """Activations keep about unit size: weights N(0, 1/fan_in), norms near 1, biases N(0, 0.1), tables N(0, 1)."""
    for name, p in model.state_dict().items():
        if name == "logit_scale":
            p.fill_(np.log(1 / 0.07))
        elif "embed" in name:  # codebooks, tokens, positions, the class token
            p.normal_(0, 1, generator=generator)
        elif name.endswith("proj") or name.endswith("projection"):  # stored [in,out]
            p.normal_(0, p.shape[0] ** -0.5, generator=generator)
        elif p.dim() > 1:
            p.normal_(0, p[0].numel() ** -0.5, generator=generator)
        elif "norm" in name or "ln_" in name:
            p.normal_(float(name.endswith("weight")), 0.1, generator=generator)
        else:
            p.normal_(0, 0.1, generator=generator)
    return model.eval().requires_grad_(False)


def save(path, model, kind, config, **meta):
    arrays = {name: p.numpy() for name, p in model.state_dict().items()}
    tensorfile.write(path, arrays, {"format": "vqgen", "kind": kind, "config": json.dumps(config), **meta})


def draw_z(vqgan, width, height, generator):
    """z [1,C,h,w], float32, where rounding cannot flip a code or the side of the clamp that a pixel is on.

    Either would change the gradient by far more than rounding does. vqgan is the float64 one.
    """
    f = 2 ** (len(vqgan.decoder.up) - 1)
    shape = (1, vqgan.codebook.shape[1], height // f, width // f)
    for _ in range(20):
        z = torch.randn(shape, generator=generator)
        for _ in range(20):
            first, second = vqgan.distances(z.double()).topk(2, dim=-1, largest=False).values.unbind(-1)
            tied = (second - first < TIE * first)[:, None]
            if not tied.any():
                break
            z = torch.where(tied, torch.randn(shape, generator=generator), z)
        image = (vqgan.decode(vqgan.nearest(z.double())[1]) + 1) / 2
        if min(image.abs().min(), (image - 1).abs().min()) > EDGE:
            return z
    raise SystemExit("no start without ties in 20 draws; try another --seed")


def middle_stop(features, text, weight):
    """A stop that half of the cutouts fall below, as far from any of them as can be."""
    d = loop.signed_distances(features, text, weight).sort().values
    return float((d[len(d) // 2 - 1] + d[len(d) // 2]) / 2)


def relative_error(got, want):
    if got.shape != want.shape:
        return float("inf")
    if want.dtype.kind == "i":
        return float((got != want).mean())
    return float(np.linalg.norm(got.astype("f8") - want) / np.linalg.norm(want))


def run_trace(program, options, networks, given, out):
    command = [program, "trace", *networks, "--given", str(given), "-o", str(out), *shlex.split(options)]
    done = subprocess.run(command, stdout=sys.stderr)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}: exit status {done.returncode}")
    return tensorfile.read(out)[0]


def run_case(name, args):
    """-> rows of array, error of PyTorch's float32, of vqgen, of its double build (None where not run), passed"""
    vqgan_config, kind, clip_config = CASES[name]
    generator = torch.Generator().manual_seed(args.seed)
    files = {part: args.work / f"{name}-{part}.safetensors" for part in ("vqgan", "clip", "given", "out", "out64")}
    networks = ["--vqgan", str(files["vqgan"]), "--clip", str(files["clip"])]

    merge_count = clip_config["vocab_size"] - 514
    merges = read_merges(args.vocab, merge_count) if args.vocab else synthetic_merges(merge_count)
    tokeniser = Tokeniser(merges)
    tokens = torch.tensor([tokeniser.encode(text, clip_config["context_length"]) for text, _ in PROMPTS])

    vqgan = randomise(VQGAN(vqgan_config, kind), generator)
    save(files["vqgan"], vqgan, kind, vqgan_config)
    clip = randomise(CLIP(clip_config), generator)
    save(files["clip"], clip, "clip", clip_config, merges="\n".join(merges))

    width, height = LARGE if clip_config["image_resolution"] == 224 else LITTLE
    boxes = torch.tensor([[int(share * min(width, height)) for share in box] for box in BOXES], dtype=torch.int32)
    vqgan64 = VQGAN(vqgan_config, kind).double().requires_grad_(False)
    vqgan64.load_state_dict(vqgan.state_dict())
    z = draw_z(vqgan64, width, height, generator)

    text = clip.encode_text(tokens)
    prompts = [(weight, float("-inf")) for _, weight in PROMPTS]
    features = loop.evaluate(vqgan, clip, z, boxes, text, prompts, gradient=False)["image_features"]
    prompts[-1] = (prompts[-1][0], middle_stop(features, text[-1], prompts[-1][0]))

    single = loop.evaluate(vqgan, clip, z, boxes, text, prompts)
    single["text_features"] = text
    clip.double()
    text = clip.encode_text(tokens)
    exact = loop.evaluate(vqgan64, clip, z.double(), boxes, text, prompts)
    exact["text_features"] = text
    single, exact = ({k: v.numpy() for k, v in result.items()} for result in (single, exact))
    del vqgan, vqgan64, clip

    given = {"z": z.numpy(), "boxes": boxes.numpy()}
    if args.give_text:
        given["text_features"] = exact["text_features"].astype("f4")
    spoken = [[text, weight, stop if np.isfinite(stop) else "-inf"]
              for (text, _), (weight, stop) in zip(PROMPTS, prompts)]
    tensorfile.write(files["given"], given, {"prompts": json.dumps(spoken), "lr": "0.1", "steps": "1", "keep": "[]"})
    traced = {}
    for option, out in (("vqgen", "out"), ("vqgen64", "out64")):
        if getattr(args, option):
            traced[option] = run_trace(getattr(args, option), args.options, networks, files["given"], files[out])

    rows = []
    for array in ARRAYS:
        want = exact[array]
        torch_error = relative_error(single[array], want)
        limits = {"vqgen": PASS_FACTOR * torch_error + PASS_FLOOR, "vqgen64": PASS_DOUBLE}
        row = {"case": name, "array": array, "torch": torch_error, "vqgen": None, "vqgen64": None, "passed": True}
        for option, arrays in traced.items():
            row[option] = relative_error(arrays[array], want) if array in arrays else float("inf")
            limit = 0 if array == "indices" else limits[option]
            row["passed"] &= bool(row[option] <= limit)  # false for NaN
        rows.append(row)
    if not args.keep:
        for path in files.values():
            path.unlink(missing_ok=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--vqgen", metavar="PROGRAM")
    parser.add_argument("--vqgen64", metavar="PROGRAM")
    parser.add_argument("--options", default="", help='more for vqgen trace, such as "--device cuda"')
    parser.add_argument("--torch-only", action="store_true", help="PyTorch's own float32 error alone")
    parser.add_argument("--vocab", type=Path, metavar="FILE")
    parser.add_argument("--give-text", action="store_true")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="for PyTorch (1)")
    parser.add_argument("--keep", action="store_true", help="leave the files in FOLDER")
    parser.add_argument("--json", action="store_true", help="the rows as JSON on standard output")
    args = parser.parse_args()
    if not (args.torch_only or args.vqgen or args.vqgen64):
        parser.error("give --vqgen PROGRAM, or --torch-only")
    if args.torch_only:
        args.vqgen = args.vqgen64 = None
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)

    rows, table = [], sys.stderr if args.json else sys.stdout
    for name in args.only:
        started = time.monotonic()
        print(f"{name:16}{'PyTorch f32':>14}{'vqgen':>10}{'vqgen64':>10}", file=table)
        for row in run_case(name, args):
            errors = [f"{row[k]:.1e}" if row[k] is not None else "-" for k in ("torch", "vqgen", "vqgen64")]
            verdict = "" if args.torch_only else "pass" if row["passed"] else "FAIL"
            print(f"  {row['array']:14}{errors[0]:>14}{errors[1]:>10}{errors[2]:>10}  {verdict}", file=table)
            rows.append(row)
        print(f"  {time.monotonic() - started:.0f} s", file=table, flush=True)
    if args.json:
        print(json.dumps(rows, indent=1))
    raise SystemExit(0 if all(row["passed"] for row in rows) else 1)


if __name__ == "__main__":
    main()
