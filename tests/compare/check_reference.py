#!/usr/bin/env python3
"""Checks models.py and loop.py against arrays that the published implementations computed. Exits 1 if one is off.

    check_reference.py [FOLDER] [--double]

FOLDER (tests/data/reference) is what convert_reference.py wrote. Prints one line an array: relative L2 error and
largest difference. --double computes in float64, which shows how far the published float32 itself is from exact.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch

import loop
import tensorfile
from models import CLIP, VQGAN

DATA = Path(__file__).resolve().parent.parent / "data"
CASES = {"A": ("vqgan_tiny", "clip_tinyA"), "B": ("gumbel_tiny", "clip_tinyB")}
# Relative L2. Rounding in the last place of float32 is amplified by the backward pass, then by Adam, whose first steps
# are nearly the sign of the gradient: meta.json says how much for the published loop against itself in float64.
TOLERANCE = {"grad": 1e-5, "z_after": 3e-5, "image_final": 1e-5, "encode": 5e-6, "": 3e-6}


def load(path, dtype):
    """A network of the project's own form -> a model in `dtype`, without gradients for its weights."""
    arrays, meta = tensorfile.read(path)
    config = json.loads(meta["config"])
    model = CLIP(config) if meta["kind"] == "clip" else VQGAN(config, meta["kind"])
    model.load_state_dict({k: torch.from_numpy(v.astype("f4")) for k, v in arrays.items()})
    return model.to(dtype).eval().requires_grad_(False)


class Report:
    def __init__(self, case):
        self.case, self.failed = case, False

    def close(self, name, got, want):
        got, want = got.double().numpy().reshape(want.shape), want.astype("f8")
        error = np.linalg.norm(got - want) / np.linalg.norm(want)
        tolerance = next(t for key, t in TOLERANCE.items() if key in name)
        self.line(name, error <= tolerance, f"{error:.1e} relative, {np.abs(got - want).max():.1e} at most")

    def equal(self, name, got, want):
        wrong = int((got.numpy().reshape(want.shape) != want).sum())
        self.line(name, wrong == 0, f"{wrong} of {want.size} differ")

    def line(self, name, good, text):
        self.failed |= not good
        print(f"{self.case} {name:28} {text}{'' if good else '   FAILED'}")


def check_case(case, folder, dtype):
    report = Report(case)
    array = lambda name: np.load(folder / f"{case}_{name}.npy")
    tensor = lambda name: torch.from_numpy(array(name)).to(dtype)
    meta = json.loads((folder / "meta.json").read_text())
    vqgan, clip = (load(folder / f"{name}.safetensors", dtype) for name in CASES[case])

    tokens = torch.from_numpy(np.load(folder / "tokens_544.npy")).long()
    text = clip.encode_text(tokens)
    report.close("text_embeds", text, array("text_embeds"))
    report.close("text_embeds (all prompts)", text, np.load(folder / f"text_embeds_tiny{case}.npy"))

    chosen, boxes, z = meta[f"{case}_prompts"], torch.from_numpy(array("boxes_xys")), tensor("z0")
    wanted, prompts = text[[p for p, _, _ in chosen]], [(weight, float(stop)) for _, weight, stop in chosen]
    now = loop.evaluate(vqgan, clip, z, boxes, wanted, prompts)
    report.equal("indices", now["indices"], array("indices"))
    report.close("decode", now["decode"], array("decode"))
    report.close("cutouts_normalized_first3", loop.normalise(now["cutouts"][:3]), array("cutouts_normalized_first3"))
    report.close("image_embeds", now["image_features"], array("image_embeds"))
    report.close("prompt_losses", now["losses"], array("prompt_losses"))
    report.close("grad_z0", now["grad_z"], array("grad_z0"))

    steps = meta[f"{case}_steps"]
    z, trajectory, kept = loop.optimise(
        vqgan, clip, z, boxes, wanted, prompts, meta[f"{case}_lr"], steps, keep=(1, 10, 50))
    for step, after in kept.items():
        report.close(f"z_after_{step}", after, array(f"z_after_{step}"))
    report.close("loss_trajectory", trajectory, array("loss_trajectory"))
    final = loop.evaluate(vqgan, clip, z, boxes, wanted, prompts, gradient=False)["image"]
    report.close("image_final", final, array("image_final"))

    check_encoder(case, report, vqgan, tensor("decode").clamp(-1, 1), array)
    return not report.failed


def check_encoder(case, report, vqgan, image, array):
    encoded = vqgan.encode(image)
    report.close("encode_prequant", encoded, array("encode_prequant"))
    if case == "A":
        indices, codes = vqgan.nearest(encoded)
        report.equal("encode_indices", indices, array("encode_indices"))
        report.close("encode_quant", codes, array("encode_quant"))
    else:
        logits = vqgan.gumbel_logits(encoded)
        report.close("encode_logits_first32", logits[:, :, :1], array("encode_logits_first32"))
        report.equal("encode_argmax_nonoise", logits.argmax(1), array("encode_argmax_nonoise"))


def check_cutouts(folder, dtype):
    """Each way from a box to CLIP's size, smaller and larger; the upstream gradient is sin(0.37 i)."""
    report = Report("op")
    pool, resample = torch.nn.functional.adaptive_avg_pool2d, loop.resample
    cases = {"avgpool11": (pool, None), "avgpool_up30": (pool, (4, 3, 16)),  # box: x, y, side; None: the whole picture
             "resample13": (resample, (5, 2, 20)), "resample_up27": (resample, (5, 2, 20))}
    for name, (function, box) in cases.items():
        want = np.load(folder / f"op_{name}_out.npy")
        x = torch.from_numpy(np.load(folder / "op_x.npy")).to(dtype).requires_grad_()
        crop = x if box is None else x[:, :, box[1] : box[1] + box[2], box[0] : box[0] + box[2]]
        y = function(crop, want.shape[-1])
        report.close(f"{name}_out", y.detach(), want)
        y.backward((torch.arange(y.numel(), dtype=torch.float64) * 0.37).sin().to(dtype).view_as(y))
        report.close(f"{name}_grad", x.grad, np.load(folder / f"op_{name}_grad.npy"))
    return not report.failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", nargs="?", default=DATA / "reference")
    parser.add_argument("--double", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    dtype = torch.float64 if args.double else torch.float32
    good = [check_case(case, args.folder, dtype) for case in CASES] + [check_cutouts(args.folder, dtype)]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
