#!/usr/bin/env python3
"""What PyTorch computes with a pair of networks on fixed numbers, for `vqgen doctor` to compare with.

    record_reference.py --shipped                                      weights/reference.safetensors, of the pair in weights/
    record_reference.py --vqgan FILE --clip FILE -o REFERENCE [--config YAML] [--vocab FILE] [--activation NAME]

FILE is a network as it was published (a checkpoint of PyTorch's, TorchScript, safetensors under the published names) or in the project's own form;
the settings are those of --config or of the file's metadata, else a CLIP's are worked out from its shapes as OpenAI's code does. Nothing of
vqgen takes part: the networks are those of models.py, the step is that of loop.py, in float32. Needs torch and numpy.

The file is what `vqgen trace` takes, z, boxes, prompts, with PyTorch's answers beside it, each `expected.NAME` under trace's NAME.
Metadata: vqgan_sha256 and clip_sha256, of the files that it was recorded with.
"""
import argparse
import gzip
import hashlib
import json
import pickle
from pathlib import Path

import numpy
import torch

import loop
import tensorfile
from bpe import Tokeniser
from models import CLIP, VQGAN

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
PROMPTS = [["a red circle on a blue background", 1.0, None], ["a green square", -0.5, None], ["a white star", 0.7, 0.9]]
STEPS, LR, LATENT = 3, 0.1, (12, 14)  # not square, so that rows taken for columns show


class Inert(dict):
    """What a training framework has put into its checkpoint beside the weights: nothing of it runs."""

    def __init__(self, *_, **__):
        super().__init__()

    def __setstate__(self, state):
        pass


class Careful:
    """A pickle module for torch.load that makes tensors, containers and nothing else."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if module.split(".")[0] == "torch" or (module, name) == ("collections", "OrderedDict"):
                return super().find_class(module, name)
            return type(name, (Inert,), {})

    load, loads, dump, dumps, Pickler = pickle.load, pickle.loads, pickle.dump, pickle.dumps, pickle.Pickler
    __name__ = "careful"


def load(path):
    """-> {name: tensor}, metadata"""
    if path.suffix == ".safetensors":
        arrays, meta = tensorfile.read(path)
        return {n: torch.from_numpy(numpy.array(a)) for n, a in arrays.items()}, meta
    try:
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict()), {}
    except RuntimeError:  # no TorchScript
        found = torch.load(path, map_location="cpu", pickle_module=Careful, weights_only=False)
        return dict(found.get("state_dict", found)), {}


def behind(state, anchor):
    """The tensors behind whatever stands before `anchor`, without it."""
    for name in state:
        if name.endswith(anchor):
            prefix = name[: -len(anchor)]
            return {n[len(prefix) :]: t.float() for n, t in state.items() if n.startswith(prefix) and t.is_floating_point()}
    raise SystemExit(f"there is no {anchor} in it")


def load_strictly(model, state):
    """Every tensor of the model from the file; what else the file has, discriminators and buffers, is left."""
    model.load_state_dict({name: state[name].reshape(p.shape) for name, p in model.state_dict().items()})
    return model.eval()


def vqgan_of(path, yaml_path):
    state, meta = load(path)
    state = behind(state, "decoder.conv_in.weight")
    if yaml_path:
        import yaml

        params = yaml.safe_load(yaml_path.read_text())["model"]["params"]
        params = params.get("first_stage_config", {}).get("params", params)
        config = dict(params["ddconfig"], n_embed=params["n_embed"], embed_dim=params["embed_dim"])
    elif "config" in meta:
        config = json.loads(meta["config"])
    else:
        raise SystemExit(f"{path}: name its settings by --config")
    return load_strictly(VQGAN(config, "gumbel" if "quantize.embed.weight" in state else "vqgan"), state)


def clip_config(state, activation):
    """As OpenAI's build_model reads it off the shapes."""
    width, _, patch, _ = state["visual.conv1.weight"].shape
    grid = round((len(state["visual.positional_embedding"]) - 1) ** 0.5)
    text = state["ln_final.weight"].shape[0]

    def layers(prefix):
        return 1 + max(int(n[len(prefix) :].split(".")[0]) for n in state if n.startswith(prefix))

    return dict(embed_dim=state["text_projection"].shape[1], image_resolution=grid * patch, vision_patch_size=patch, vision_width=width,
                vision_layers=layers("visual.transformer.resblocks."), vision_heads=width // (80 if width == 1280 else 64),
                context_length=len(state["positional_embedding"]), vocab_size=len(state["token_embedding.weight"]), transformer_width=text,
                transformer_layers=layers("transformer.resblocks."), transformer_heads=text // 64, activation=activation)


def merges_of(path, count):
    text = (gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")).read().split("\n")
    return text[1 : count + 1] if text[0].startswith(("#", '"')) else text[:count]


def clip_of(path, vocab, activation):
    state, meta = load(path)
    state = behind(state, "visual.conv1.weight")
    config = json.loads(meta["config"]) if "config" in meta else clip_config(state, activation)
    for side in ("vision", "transformer"):
        config[f"{side}_heads"] = int(config[f"{side}_heads"])
    if not vocab and "merges" not in meta:
        raise SystemExit(f"{path}: name its vocabulary by --vocab")
    merges = merges_of(vocab, config["vocab_size"] - 514) if vocab else meta["merges"].split("\n")
    model = CLIP(config)
    for tower, heads in ((model.visual.transformer, config["vision_heads"]), (model.transformer, config["transformer_heads"])):
        for block in tower.resblocks:
            block.attn.heads = heads
    tokeniser = Tokeniser([m for m in merges if m])
    return load_strictly(model, state), lambda text: tokeniser.encode(text, config["context_length"])


def given(vqgan):
    """z of drawn codes, a little beside them, so that no rounding changes which is nearest; boxes of many sizes."""
    draw = numpy.random.RandomState(20)
    book = vqgan.codebook.detach().numpy()
    h, w = LATENT
    z = book[draw.randint(len(book), size=h * w)]
    apart = numpy.abs(book).mean()
    z = z + draw.standard_normal(z.shape) * 0.02 * apart
    factor = 2 ** (len(vqgan.decoder.up) - 1)
    width, height = w * factor, h * factor
    boxes = [[0, 0, height], [width - height, 0, height]]
    for part in (0.8, 0.55, 0.35):
        side = int(height * part)
        boxes.append([draw.randint(width - side + 1), draw.randint(height - side + 1), side])
    return z.reshape(1, h, w, -1).transpose(0, 3, 1, 2).astype("<f4"), numpy.array(boxes, "<i4")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shipped", action="store_true")
    for name in ("vqgan", "clip", "config", "vocab"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--activation", choices=("quick_gelu", "gelu"), default="quick_gelu", help="of a published CLIP (OpenAI: quick_gelu)")
    args = parser.parse_args()
    if args.shipped:
        args.vqgan, args.clip, args.output = (WEIGHTS / f"{n}.safetensors" for n in ("vqgan", "clip", "reference"))
    if not (args.vqgan and args.clip and args.output):
        parser.error("--shipped, or --vqgan, --clip and -o")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        vqgan = vqgan_of(args.vqgan, args.config).requires_grad_(False)
        clip, tokens = clip_of(args.clip, args.vocab, args.activation)
        clip.requires_grad_(False)
        text = clip.encode_text(torch.tensor([tokens(p[0]) for p in PROMPTS]))
    z, boxes = given(vqgan)
    prompts = [(weight, float("-inf") if stop is None else stop) for _, weight, stop in PROMPTS]
    start, squares = torch.from_numpy(z), torch.from_numpy(boxes)
    expected = loop.evaluate(vqgan, clip, start, squares, text, prompts)
    last, trajectory, _ = loop.optimise(vqgan, clip, start, squares, text, prompts, LR, STEPS)
    expected.update(text_features=text, trajectory=trajectory)
    expected.pop("decode"), expected.pop("cutouts")  # image and image_features say the same
    arrays = {f"expected.{n}": a.numpy().astype("<i4" if n == "indices" else "<f4") for n, a in expected.items()}
    arrays.update(z=z, boxes=boxes)
    tensorfile.write(args.output, arrays, {
        "prompts": json.dumps(PROMPTS), "lr": str(LR), "steps": str(STEPS), "vqgan_sha256": digest(args.vqgan), "clip_sha256": digest(args.clip),
        "made_by": f"tests/compare/record_reference.py, PyTorch {torch.__version__.split('+')[0]}, float32"})
    print(f"{args.output}: {args.output.stat().st_size / 1024:.0f} KiB; losses {', '.join(f'{x:.6f}' for x in expected['losses'].tolist())}")


if __name__ == "__main__":
    main()
