#!/usr/bin/env python3
"""Turns the reference checkpoints (tiny networks in the published containers) into the project's own form.

    convert_reference.py FROM [TO] [--merges FILE]

FROM holds vqgan_tiny.ckpt and .yaml, gumbel_tiny.ckpt and .yaml, clip_tiny{A,B}_state_dict.pt, the arrays that the
published implementations computed with them, meta.json and prompts.json. TO (tests/data/reference) receives
safetensors files with the tensors that inference needs, in PyTorch's layout and names, and the arrays that tests use.
--merges: CLIP's vocabulary, bpe_simple_vocab_16e6.txt.gz or its first lines as text (tests/data/bpe_544_merges.txt).
"""
import argparse
import gzip
import json
import shutil
import sys
import types
from pathlib import Path

import torch
import yaml

import tensorfile

DATA = Path(__file__).resolve().parent.parent / "data"
ARRAYS = ["A_*.npy", "B_*.npy", "text_embeds_*.npy", "tokens_544.npy", "op_x.npy", "op_avgpool11_*.npy",
          "op_avgpool_up30_*.npy", "op_resample*.npy", "meta.json", "prompts.json"]
KEEP = ("encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.")
BUFFERS = ("input_resolution", "context_length", "vocab_size")
BYTES = 256


def load(path):
    """torch.load, where classes of the training framework that published checkpoints name need not be installed."""
    for module, name in (("model_checkpoint", "ModelCheckpoint"), ("early_stopping", "EarlyStopping")):
        package = ""
        for part in ("pytorch_lightning", "callbacks", module):
            package += ("." if package else "") + part
            sys.modules.setdefault(package, types.ModuleType(package))
        setattr(sys.modules[package], name, type(name, (), {"__module__": package}))
    return torch.load(path, map_location="cpu")


def convert_vqgan(checkpoint, settings):
    """-> arrays, metadata"""
    model = yaml.safe_load(settings.read_text())["model"]
    params = model["params"]
    names = ("ch", "ch_mult", "num_res_blocks", "attn_resolutions", "resolution", "z_channels", "in_channels", "out_ch")
    config = {name: params["ddconfig"][name] for name in names}
    config.update(embed_dim=params["embed_dim"], n_embed=params["n_embed"])
    state = load(checkpoint)["state_dict"]
    arrays = {k: tensorfile.smallest(v.float().numpy()) for k, v in sorted(state.items()) if k.startswith(KEEP)}
    kind = "gumbel" if model["target"].endswith("GumbelVQ") else "vqgan"
    return arrays, {"format": "vqgen", "kind": kind, "config": json.dumps(config)}


def clip_config(state):
    """A CLIP's dimensions, which the published file does not name, from the shapes of its tensors."""
    width, text_width = state["visual.conv1.weight"].shape[0], state["ln_final.weight"].shape[0]
    patch, positions = state["visual.conv1.weight"].shape[-1], state["visual.positional_embedding"].shape[0]
    layers = lambda tower: sum(k.startswith(tower) and k.endswith("ln_1.weight") for k in state)
    return dict(
        embed_dim=state["text_projection"].shape[1], image_resolution=patch * round((positions - 1) ** 0.5),
        vision_layers=layers("visual.transformer."), vision_width=width, vision_patch_size=patch,
        vision_heads=width // 64, context_length=state["positional_embedding"].shape[0],
        vocab_size=state["token_embedding.weight"].shape[0], transformer_width=text_width,
        transformer_heads=text_width // 64, transformer_layers=layers("transformer."), activation="quick_gelu")


def read_merges(path, count):
    """The first `count` merges, "a b" each."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    lines = text.rstrip("\n").split("\n")
    lines = lines[1:] if "#version" in lines[0] else lines
    if len(lines) < count:
        raise SystemExit(f"{path} holds {len(lines)} merges, the network needs {count}")
    return lines[:count]


def convert_clip(checkpoint, merges):
    state = load(checkpoint)
    state = {k: v.float().numpy() for k, v in sorted(state.items()) if k not in BUFFERS}
    config = clip_config(state)
    lines = read_merges(merges, config["vocab_size"] - 2 * BYTES - 2)  # less the bytes, twice, and start and end
    meta = {"format": "vqgen", "kind": "clip", "config": json.dumps(config), "merges": "\n".join(lines)}
    return {k: tensorfile.smallest(v) for k, v in state.items()}, meta


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="FROM")
    parser.add_argument("target", type=Path, metavar="TO", nargs="?", default=DATA / "reference")
    parser.add_argument("--merges", type=Path, default=DATA / "bpe_544_merges.txt")
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    for name in ("vqgan_tiny", "gumbel_tiny"):
        converted = convert_vqgan(args.source / f"{name}.ckpt", args.source / f"{name}.yaml")
        tensorfile.write(args.target / f"{name}.safetensors", *converted)
    for name in ("clip_tinyA", "clip_tinyB"):
        converted = convert_clip(args.source / f"{name}_state_dict.pt", args.merges)
        tensorfile.write(args.target / f"{name}.safetensors", *converted)
    for pattern in ARRAYS:
        for path in sorted(args.source.glob(pattern)):
            shutil.copyfile(path, args.target / path.name)
    print(f"{args.target}: {sum(p.stat().st_size for p in args.target.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
