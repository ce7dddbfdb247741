#!/usr/bin/env python3
"""What a step loses in bf16, in PyTorch: the measure for ours, which tests/test_half_quality.c computes on a card.

    half_quality.py [-o tests/data/half_quality]

For the shipped pair and the two tiny reference pairs, on the z, boxes and texts that were recorded with them. The exact step is that of
models.py and loop.py in float64. PyTorch's bf16 is both of the usual ways: the networks' weights and activations in bfloat16
(`.bfloat16()`), and float32 networks under autocast. z, its nearest codes, the picture's clamp, the cutouts and the features' losses are
float32 in both, as they are in ours.

Writes a file for each pair: what `vqgen trace` takes, with `exact.image` and `exact.grad_z`, and of [.bfloat16(), autocast] the
`psnr` of the picture in dB (its largest value is 1) and the `cosine` of z's gradient, both to the exact ones.
"""
import argparse
import json
from pathlib import Path

import numpy
import torch

import check_reference
import loop
import tensorfile

ROOT = Path(__file__).resolve().parents[2]
DATA, WEIGHTS = ROOT / "tests" / "data", ROOT / "weights"


class Half:
    """A network in bf16 whose inputs and outputs are float32."""

    def __init__(self, network, autocast):
        self.network = network.float() if autocast else network.bfloat16()
        self.dtype, self.autocast = torch.float32 if autocast else torch.bfloat16, autocast

    def run(self, method, x):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            return method(x.to(self.dtype)).float()


class HalfVQGAN(Half):
    def __init__(self, network, autocast, exact):
        super().__init__(network, autocast)
        self.nearest = exact.nearest

    def decode(self, z):
        return self.run(self.network.decode, z)


class HalfCLIP(Half):
    @property
    def image_resolution(self):
        return self.network.image_resolution

    def encode_image(self, x):
        return self.run(self.network.encode_image, x)


def shipped(dtype):
    given, meta = tensorfile.read(WEIGHTS / "reference.safetensors")
    prompts = [(weight, float("-inf") if stop is None else stop) for _, weight, stop in json.loads(meta["prompts"])]
    networks = [check_reference.load(WEIGHTS / f"{name}.safetensors", dtype) for name in ("vqgan", "clip")]
    return networks, given["z"], given["boxes"], given["expected.text_features"], prompts


def tiny(case, dtype):
    folder = DATA / "reference"
    z, boxes, text = (numpy.load(folder / f"{case}_{name}.npy") for name in ("z0", "boxes_xys", "text_embeds"))
    chosen = json.loads((folder / "meta.json").read_text())[f"{case}_prompts"]
    networks = [check_reference.load(folder / f"{name}.safetensors", dtype) for name in check_reference.CASES[case]]
    return networks, z, boxes, text[[p for p, _, _ in chosen]], [(weight, float(stop)) for _, weight, stop in chosen]


PAIRS = {"shipped": shipped, "tiny_a": lambda dtype: tiny("A", dtype), "tiny_b": lambda dtype: tiny("B", dtype)}


def step(pair, way):
    """way: "exact", or whether autocast -> picture [1,3,H,W], gradient of z"""
    dtype = torch.float64 if way == "exact" else torch.float32
    (vqgan, clip), z, boxes, text, prompts = PAIRS[pair](dtype)
    if way != "exact":
        exact, _ = PAIRS[pair](dtype)[0]
        vqgan, clip = HalfVQGAN(vqgan, way, exact), HalfCLIP(clip, way)
    found = loop.evaluate(vqgan, clip, torch.from_numpy(z.copy()).to(dtype), torch.from_numpy(boxes.copy()),
                          torch.from_numpy(text.copy()).to(dtype), prompts)
    return found["image"].double(), found["grad_z"].double(), found["indices"]


def psnr(x, exact):
    return float(-10 * torch.log10(((x - exact) ** 2).mean()))


def cosine(x, exact):
    return float((x * exact).sum() / x.norm() / exact.norm())


def record(pair, path):
    picture, grad, indices = step(pair, "exact")
    ways = [step(pair, autocast) for autocast in (False, True)]
    assert all((way[2] == indices).all() for way in ways), "another code is nearest: the pictures cannot be compared"
    quality = {"psnr": [psnr(way[0], picture) for way in ways], "cosine": [cosine(way[1], grad) for way in ways]}
    _, z, boxes, text, prompts = PAIRS[pair](torch.float32)
    prompts = [["", weight, None if stop == float("-inf") else stop] for weight, stop in prompts]
    arrays = {"z": z, "text_features": text, "exact.image": picture.numpy(), "exact.grad_z": grad.numpy(), **quality}
    arrays = {name: numpy.asarray(a).astype("<f4") for name, a in arrays.items()}
    arrays["boxes"] = boxes.astype("<i4")
    tensorfile.write(path, arrays, {
        "prompts": json.dumps(prompts), "lr": "0.1", "steps": "0",
        "made_by": f"tests/compare/half_quality.py, PyTorch {torch.__version__.split('+')[0]}"})
    print(pair, *(f"{name}: {', '.join(f'{x:.5g}' for x in measured)}" for name, measured in quality.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=DATA / "half_quality", help="a folder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(exist_ok=True)
    for pair in PAIRS:
        record(pair, args.output / f"{pair}.safetensors")


if __name__ == "__main__":
    main()
