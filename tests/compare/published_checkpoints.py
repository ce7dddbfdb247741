#!/usr/bin/env python3
"""Checkpoints of the published sizes with random weights: what converting them costs, and whether it changes a bit.

    published_checkpoints.py --work FOLDER --vqgen PROGRAM --vocab FILE [--only CASE ...]

Cases: the VQGAN f16 16384 as a Lightning checkpoint, with a discriminator, VGG and optimiser state as large as the published one's
(about 934 MiB); the same with 1024 codes inside a transformer's checkpoint of more than 4 GB, as coco's is (zip64; the transformer is zeros); CLIP
ViT-B/32 and ViT-L/14 as TorchScript in 16 bits (about 300 and 820 MiB), ViT-B/32 as Hugging Face's folder (about 600 MiB), and
ViT-H/14 as open_clip's state dict in 32 bits (3.7 GiB). For each, medians of seven, by turns, warm: seconds of `convert`; of reading the input
and writing the output with cat; of the same with the output on the disk at the end, as `convert` leaves it (`sync FILE`); and of OpenSSL's SHA-256
of the input. Then the most anonymous memory, sampled in a run that is not timed; every tensor compared with what PyTorch loads; and seconds, wall
and of processor, from the converted CLIP to its first text features and to its first image features. Needs torch, numpy, safetensors
(and transformers for Hugging Face's: `pip install transformers`); several GB in FOLDER, deleted.

Fails where a bit changes, where memory is beyond the largest tensor and 64 MiB, and where `convert` takes more than twice what cat takes: for a
CLIP, whose file is written again whole, twice what cat and sync take.
"""
import argparse
import resource
import statistics
import subprocess
import time
from pathlib import Path

import numpy
import safetensors
import torch

from models import CLIP, VQGAN, Named
from published_sizes import B32, F16
from published_sizes import CASES as CASES_OF_SIZES

L14, H14 = CASES_OF_SIZES["vit-l-14"][2], CASES_OF_SIZES["vit-h-14"][2]
PICTURE = Path(__file__).parent.parent / "data" / "metadata" / "stegano.png"
EXTRA = 675e6  # bytes of the published file (934 MiB) that are not the VQGAN: discriminator, VGG, optimiser



def vqgan_case(folder, generator):
    config = dict(F16, n_embed=16384)
    state = {n: torch.randn(p.shape, generator=generator) for n, p in VQGAN(config, "vqgan").state_dict().items()}
    needed = dict(state)
    count = sum(p.numel() for p in state.values()) * 4
    for i in range(8):
        state[f"loss.perceptual_loss.net.slice{i}.weight"] = torch.randn(int(EXTRA / 2 / 8 / 4), generator=generator)
    moments = {i: {"exp_avg": torch.randn(int(EXTRA / 2 / 8 / 4), generator=generator)} for i in range(8)}
    path = folder / "vqgan_imagenet_f16_16384.ckpt"
    torch.save({"epoch": 1, "state_dict": state, "optimizer_states": [{"state": moments}]}, path)
    del state, moments
    return path, needed, count


def coco_case(folder, generator):
    """Net2NetTransformer: the VQGAN behind first_stage_model., and a transformer. Zeros that nobody has written take no memory here."""
    with torch.device("meta"):
        shapes = {n: p.shape for n, p in VQGAN(dict(F16, n_embed=1024), "vqgan").state_dict().items()}
    needed = {n: torch.randn(s, generator=generator) for n, s in shapes.items()}
    state = {f"first_stage_model.{n}": t for n, t in needed.items()}
    for i in range(24):
        for part, rows in (("attn.key", 1664), ("attn.query", 1664), ("attn.value", 1664), ("attn.proj", 1664), ("mlp.0", 6656), ("mlp.2", 6656)):
            state[f"transformer.blocks.{i}.{part}.weight"] = torch.from_numpy(numpy.zeros((rows, 4160), "f4"))
    path = folder / "coco_like.ckpt"
    torch.save({"epoch": 1, "state_dict": state}, path)
    return path, needed, 0


def clip_state(generator, config=B32):
    with torch.device("meta"):
        shapes = {n: p.shape for n, p in CLIP(config).state_dict().items()}
    return {n: torch.randn(s, generator=generator) * 0.02 for n, s in shapes.items()}


def large_case(folder, generator):
    return jit_case(folder, generator, L14)


def huge_case(folder, generator):
    state = clip_state(generator, H14)
    path = folder / "open_clip_pytorch_model.bin"
    torch.save(state, path)
    return path, state, 0


def jit_case(folder, generator, config=B32):
    state = {}
    for name, p in clip_state(generator, config).items():
        state[name] = p if "ln_" in name or "embedding" in name or name == "logit_scale" else p.half()
    module = Named()
    for name, p in state.items():
        owner = module
        *way, last = name.split(".")
        for part in way:
            if not hasattr(owner, part):
                owner.add_module(part, Named())
            owner = getattr(owner, part)
        owner.register_parameter(last, torch.nn.Parameter(p, requires_grad=False))
    path = folder / "ViT-B-32-like.pt"
    torch.jit.save(torch.jit.script(module), str(path))
    return path, state, 0


def hugging_face_case(folder, generator):
    import transformers

    model = transformers.CLIPModel(transformers.CLIPConfig())  # its own default is ViT-B/32
    path = folder / "hugging_face"
    model.save_pretrained(path)
    return path, as_openai_names_it(model.state_dict()), 0


def as_openai_names_it(theirs):
    state = {"logit_scale": theirs["logit_scale"], "visual.class_embedding": theirs["vision_model.embeddings.class_embedding"],
             "visual.conv1.weight": theirs["vision_model.embeddings.patch_embedding.weight"],
             "visual.positional_embedding": theirs["vision_model.embeddings.position_embedding.weight"],
             "token_embedding.weight": theirs["text_model.embeddings.token_embedding.weight"],
             "positional_embedding": theirs["text_model.embeddings.position_embedding.weight"],
             "visual.proj": theirs["visual_projection.weight"].T, "text_projection": theirs["text_projection.weight"].T}
    parts = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}
    for kind in ("weight", "bias"):
        for name, ours in (("vision_model.pre_layrnorm", "visual.ln_pre"), ("vision_model.post_layernorm", "visual.ln_post"),
                           ("text_model.final_layer_norm", "ln_final")):
            state[f"{ours}.{kind}"] = theirs[f"{name}.{kind}"]
        for tower, ours in (("vision_model", "visual.transformer"), ("text_model", "transformer")):
            for i in range(12):
                block = f"{tower}.encoder.layers.{i}."
                for part, name in parts.items():
                    state[f"{ours}.resblocks.{i}.{name}.{kind}"] = theirs[f"{block}{part}.{kind}"]
                state[f"{ours}.resblocks.{i}.attn.in_proj_{kind}"] = torch.cat([theirs[f"{block}self_attn.{x}_proj.{kind}"] for x in "qkv"])
    return state


CASES = {"vqgan": vqgan_case, "coco": coco_case, "torchscript": jit_case, "hugging-face": hugging_face_case, "large": large_case, "huge": huge_case}


def files_of(path):
    return [path] if path.is_file() else [p for p in path.iterdir() if p.suffix == ".safetensors"]


def timed(command):
    """-> seconds of wall, seconds of processor"""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def anonymous_of(command):
    """-> most anonymous MiB"""
    most = 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        try:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    most = max(most, int(line.split()[1]) / 1024)
        except (FileNotFoundError, ProcessLookupError):
            pass
        time.sleep(0.002)
    if process.returncode:
        raise SystemExit(f"{command}: {process.stderr.read().decode()}")
    return most


def medians(commands, prepare=lambda: None, times=7):
    """By turns, so that what else the machine does meets them alike. -> for each of the shell's commands, median seconds of wall"""
    seconds = [[] for _ in commands]
    for _ in range(times):
        for kept, command in zip(seconds, commands):
            prepare()
            kept.append(timed(command)[0])
    return [statistics.median(s) for s in seconds]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--vqgen", required=True)
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in args.only:
        generator = torch.Generator().manual_seed(1)
        path, state, _ = CASES[name](args.work, generator)
        out = args.work / f"{name}.safetensors"
        convert = [args.vqgen, "convert", str(path), "--vocab", args.vocab, "-o", str(out)]
        anonymous = anonymous_of(convert)
        read, kept, copied = " ".join(str(f) for f in files_of(path)), Path(f"{out}.kept"), Path(f"{out}.copy")
        out.rename(kept)

        def fresh():  # what is written was not there before, for each alike
            out.unlink(missing_ok=True)
            copied.unlink(missing_ok=True)

        cat = f"cat {read} > /dev/null; cat {kept} > {copied}"
        seconds, copy, durable, hashed = medians([convert, ["sh", "-c", cat], ["sh", "-c", f"{cat}; sync {copied}"],
                                                  ["sh", "-c", f"openssl dgst -sha256 {read}"]], fresh)
        kept.rename(out)
        bytes_in = sum(f.stat().st_size for f in files_of(path))
        with safetensors.safe_open(out, "pt") as f:
            names, metadata = list(f.keys()), f.metadata()
            largest = max(f.get_tensor(n).numel() * f.get_tensor(n).element_size() for n in names) / 2**20
            same = set(names) == set(state) and all(
                torch.equal(f.get_tensor(n), state[n]) and f.get_tensor(n).dtype == state[n].dtype for n in state)
        print(f"{name:14} {bytes_in / 2**20:6.0f} MiB -> {out.stat().st_size / 2**20:4.0f} MiB, {len(names)} tensors, {metadata['kind']}: "
              f"{seconds:.2f} s, cat {copy:.2f} s ({seconds / copy:.1f} times), cat and sync {durable:.2f} s ({seconds / durable:.1f} times), "
              f"SHA-256 alone {hashed:.2f} s, remembered by {' '.join(k for k in metadata if k.startswith('source_'))}; anonymous {anonymous:.0f} MiB, largest tensor {largest:.0f} MiB; "
              f"{'bit for bit' if same else 'DIFFERENT'}", flush=True)
        failed |= not same or anonymous > largest + 64 or seconds > 2 * (durable if metadata["kind"] == "clip" else copy)
        if metadata["kind"] == "clip":
            for what, given in (("text", ["--text", "a red circle"]), ("image", ["--image", str(PICTURE)])):
                embed = [args.vqgen, "embed", "--clip", str(out), *given]
                timed(embed)
                runs = [timed(embed) for _ in range(5)]
                print(f"{'':14} to the first {what} features: {statistics.median(w for w, _ in runs):.2f} s, "
                      f"of processor {statistics.median(p for _, p in runs):.2f} s", flush=True)
        for f in (*files_of(path), out, copied):
            f.unlink(missing_ok=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
