#!/usr/bin/env python3
"""Checkpoints by the programs that write them, for the tests of loaders/checkpoint.h: tests/data/checkpoints.

    make_checkpoints.py [TO] [--old]

Run it with the newest PyTorch, safetensors and huggingface_hub, then with --old and PyTorch 1.13. Every file is read back by
the library that wrote it and compared, bit for bit, with what it was made from: dict.safetensors, model.safetensors and
values.json, which are what the tests expect of every file.
"""
import argparse
import collections
import json
import os
import pickle
import shutil
import struct
import sys
import types
import zipfile
from pathlib import Path

import torch

DATA = Path(__file__).resolve().parent.parent / "data" / "checkpoints"


def numbers(*shape, start=0.0):
    """The same in every version: multiples of 1/64, exact in every type that holds them."""
    count = 1
    for n in shape:
        count *= n
    return ((torch.arange(count, dtype=torch.float64) * 7 + start) % 251 / 64 - 2).reshape(shape).float()


def tensors():
    """Every type, and every way in which a tensor can lie in its storage."""
    base = numbers(6, 8)
    return collections.OrderedDict(
        [(f"type.{str(t)[6:]}", (numbers(5) * 64).to(t)) for t in (
            torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16,
            torch.int8, torch.bool)]
        + [("type.uint8", torch.arange(250, 255).byte()), ("scalar", torch.tensor(2.5)), ("empty", torch.zeros(0, 4)),
           ("conv.weight", torch.nn.Parameter(numbers(4, 3, 3, 3))), ("conv.last", numbers(2, 3, 4, 5).to(memory_format=torch.channels_last)),
           ("base", base), ("transposed", base.t()), ("row", base[2]), ("column", base[:, 3]), ("strided", base[1::2, 1::3]),
           ("expanded", numbers(3, 1).expand(3, 5)), ("permuted", numbers(2, 3, 4).permute(2, 0, 1)),
           ("half.transposed", numbers(3, 4).half().t()), ("bytes.strided", torch.arange(24).byte()[::5]),
           ("long.strided", torch.arange(12).reshape(3, 4)[:, ::2])])


class ModelCheckpoint:
    """Named by checkpoints of the training framework, which need not be installed."""


def checkpoint():
    return {"epoch": 7, "global_step": 1 << 40, "pytorch-lightning_version": "1.0.8", "state_dict": tensors(),
            "callbacks": {ModelCheckpoint: {"best_model_path": "a/b.ckpt", "best_model_score": torch.tensor(0.25)}},
            "optimizer_states": [{"state": {0: {"step": 3, "exp_avg": numbers(3)}}, "param_groups": [{"lr": 4.5e-06}]}],
            "hyper_parameters": {"ddconfig": {"ch_mult": [1, 1, 2], "double_z": False, "none": None},
                                 "betas": (0.5, 0.9), "text": "K\u00e4se", "minus": -3, "tags": {"one"}},
            "size": torch.Size([2, 3])}


class Heads(torch.nn.Module):
    """The attributes of torch.nn.MultiheadAttention, whose code would be the larger part of a TorchScript file."""

    def __init__(self, width):
        super().__init__()
        self.in_proj_weight = torch.nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = torch.nn.Parameter(torch.zeros(3 * width))
        self.out_proj = torch.nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attn = Heads(width)
        self.ln_1 = torch.nn.LayerNorm(width)
        self.mlp = torch.nn.Sequential(collections.OrderedDict(
            [("c_fc", torch.nn.Linear(width, 2 * width)), ("gelu", torch.nn.Sigmoid()),
             ("c_proj", torch.nn.Linear(2 * width, width))]))
        self.ln_2 = torch.nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.ln_2(self.ln_1(self.attn(x)))


class Transformer(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        self.resblocks = torch.nn.Sequential(*[Block(width) for _ in range(2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.resblocks(x)


class Visual(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.input_resolution = 8
        self.conv1 = torch.nn.Conv2d(3, width, 4, 4, bias=False)
        self.class_embedding = torch.nn.Parameter(torch.zeros(width))
        self.positional_embedding = torch.nn.Parameter(torch.zeros(5, width))
        self.ln_pre = torch.nn.LayerNorm(width)
        self.transformer = Transformer(width)
        self.ln_post = torch.nn.LayerNorm(width)
        self.proj = torch.nn.Parameter(torch.zeros(width, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ln_post(self.transformer(self.ln_pre(self.positional_embedding + self.class_embedding)))


class Multimodal(torch.nn.Module):
    """CLIP's attributes, and its mixture of types; the computation is not."""

    def __init__(self, width=4):
        super().__init__()
        self.visual = Visual(width)
        self.transformer = Transformer(width)
        self.token_embedding = torch.nn.Embedding(10, width)
        self.positional_embedding = torch.nn.Parameter(torch.zeros(7, width))
        self.ln_final = torch.nn.LayerNorm(width)
        self.text_projection = torch.nn.Parameter(torch.zeros(width, 6))
        self.logit_scale = torch.nn.Parameter(torch.tensor(4.5))
        for i, name in enumerate(("input_resolution", "context_length", "vocab_size")):
            self.register_buffer(name, torch.tensor((8, 7, 10)[i]))
        with torch.no_grad():
            for i, (_, p) in enumerate(sorted(self.named_parameters())):
                p.copy_(numbers(*p.shape, start=i))
        for m in self.modules():
            if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear, Heads)):
                m.half()
        for m, name in ((self.visual, "proj"), (self, "text_projection")):
            setattr(m, name, torch.nn.Parameter(getattr(m, name).half()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ln_final(self.transformer(x)) + self.visual(x).sum() * self.logit_scale


class Runs:
    """What no checkpoint should have: to load it by pickle is to run a command. Here it would make a file, "it-ran"."""

    def __reduce__(self):
        return os.system, ("touch it-ran",)


def flatten(item, name=""):
    """-> {name: leaf}: keys, indices and classes on the way, joined by dots."""
    if isinstance(item, dict):
        pairs = [(f"{k.__module__}.{k.__qualname__}" if isinstance(k, type) else str(k), v) for k, v in item.items()]
    elif isinstance(item, (list, tuple, set)):
        pairs = [(str(i), v) for i, v in enumerate(item)]
    else:
        return {name: item}
    return {n: leaf for k, v in pairs for n, leaf in flatten(v, f"{name}.{k}" if name else k).items()}


def same(found, wanted):
    found, wanted = flatten(found), flatten(wanted)
    assert list(sorted(found)) == list(sorted(wanted)), set(found) ^ set(wanted)
    for name, a in wanted.items():
        b = found[name]
        if isinstance(a, torch.Tensor):
            assert a.dtype == b.dtype and a.shape == b.shape, name
            a, b = a.detach().contiguous(), b.detach().contiguous()
            assert torch.equal(a.reshape(-1).view(torch.uint8) if a.numel() else a, b.reshape(-1).view(torch.uint8) if b.numel() else b), name
        else:
            assert type(a) is type(b) and a == b, name


def load(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except TypeError:  # PyTorch before 1.13 has no weights_only
        return torch.load(path, map_location="cpu")


def repack(source, path, compression, order):
    """The same archive by Python's zipfile, entries in another order."""
    with zipfile.ZipFile(source) as a, zipfile.ZipFile(path, "w", compression) as b:
        for info in sorted(a.infolist(), key=lambda i: order(i.filename)):
            b.writestr(zipfile.ZipInfo(info.filename), a.read(info), compression)


def stream(source, path):
    """Through a pipe, so that sizes stand in data descriptors only; deflated."""
    class Pipe:
        def __init__(self, f):
            self.f = f

        def write(self, data):
            return self.f.write(data)

        def flush(self):
            self.f.flush()

    with zipfile.ZipFile(source) as a, open(path, "wb") as f, zipfile.ZipFile(Pipe(f), "w", zipfile.ZIP_DEFLATED) as b:
        for info in a.infolist():
            b.writestr(info.filename, a.read(info))


def legacy_with_views(path):
    """As PyTorch before 0.4 wrote storages that are parts of others: a sixth field (key, begin, size) in their ids."""
    import io
    storage = numbers(12)
    stream = io.BytesIO()
    for item in (0x1950a86a20f9469cfc6c, 1001, {"protocol_version": 1001, "little_endian": True,
                                                 "type_sizes": {"short": 2, "int": 4, "long": 4}}):
        pickle.dump(item, stream, protocol=2)

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            return item.id if isinstance(item, Stored) else None

    class Stored:
        def __init__(self, view):
            self.id = ("storage", torch.FloatStorage, "root", "cpu", 12, view)

    class Tensor:
        def __init__(self, view, offset, size, stride):
            self.arguments = Stored(view), offset, size, stride

        def __reduce__(self):
            return torch._utils._rebuild_tensor, self.arguments

    Pickler(stream, protocol=2).dump({"whole": Tensor(None, 0, (3, 4), (4, 1)), "part": Tensor(("part", 4, 6), 1, (5,), (1,))})
    pickle.dump(["root"], stream, protocol=2)
    stream.write(struct.pack("<q", 12) + storage.numpy().tobytes())
    path.write_bytes(stream.getvalue())
    found = load(path)
    same(found, {"whole": storage.reshape(3, 4), "part": storage[5:10]})


def write_all(to, suffix):
    state, model = checkpoint(), Multimodal()
    whole = {k: v.detach() for k, v in model.state_dict().items()}

    def save(name, item, wanted, **how):
        torch.save(item, to / name, **how)
        same(load(to / name), wanted)

    save(f"zip-{suffix}.ckpt", state, state)
    save(f"legacy-{suffix}.ckpt", state, state, _use_new_zipfile_serialization=False)
    for kind, script in (("scripted", torch.jit.script(model)), ("traced", torch.jit.trace(model, numbers(7, 4)))):
        torch.jit.save(script, to / f"{kind}-{suffix}.pt")
        same(torch.jit.load(str(to / f"{kind}-{suffix}.pt"), map_location="cpu").state_dict(), whole)
    return state, model, whole


def write_more(to, state, model, whole):
    """What does not depend on PyTorch's version, and what the tests expect."""
    import huggingface_hub
    import safetensors.torch as st
    flat = {k: v.detach().contiguous().clone() for k, v in flatten(state).items() if isinstance(v, torch.Tensor)}
    st.save_file(flat, to / "dict.safetensors")
    st.save_file({k: v.contiguous() for k, v in whole.items()}, to / "model.safetensors")
    values = {k: v for k, v in flatten(state).items() if not isinstance(v, torch.Tensor)}
    (to / "values.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")

    torch.save(state, to / "protocol4.ckpt", pickle_protocol=4)
    same(load(to / "protocol4.ckpt"), state)
    torch.save(model, to / "module.pt")
    same(load(to / "module.pt").state_dict(), whole)
    repack(to / "zip-new.ckpt", to / "deflated.ckpt", zipfile.ZIP_DEFLATED, lambda name: name[::-1])
    repack(to / "zip-new.ckpt", to / "reordered.ckpt", zipfile.ZIP_STORED, lambda name: name[::-1])
    stream(to / "zip-new.ckpt", to / "streamed.ckpt")
    for name in ("deflated", "reordered", "streamed"):
        same(load(to / f"{name}.ckpt"), state)
    legacy_with_views(to / "legacy-views.pt")

    torch.save({"kept": numbers(4), "unsigned": torch.arange(4).to(torch.uint16), "complex": torch.zeros(2, dtype=torch.complex64),
                "ranks": numbers(*[1] * 9), "sparse": torch.eye(3).to_sparse()}, to / "left-out.pt")

    folder = to / "shards"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    huggingface_hub.save_torch_state_dict({k: v.contiguous() for k, v in whole.items()}, folder, max_shard_size=1500)
    merged = {}
    for file in sorted(folder.glob("*.safetensors")):
        merged.update(st.load_file(file))
    same(merged, whole)
    assert len(list(folder.glob("*.safetensors"))) > 1

    runs = {"state_dict": {"weight": numbers(2, 2)}, "payload": Runs()}
    torch.save(runs, to / "runs.ckpt")
    torch.save(runs, to / "runs-legacy.ckpt", _use_new_zipfile_serialization=False)
    (to / "runs.pkl").write_bytes(pickle.dumps(Runs(), protocol=2))
    for name, source in (("dict", "protocol4.ckpt"), ("model", "module.pt"), ("traced", "traced-new.pt")):
        with zipfile.ZipFile(to / source) as a:  # for fuzz_pickle.c to begin with
            (to / f"{name}.pkl").write_bytes(a.read(next(n for n in a.namelist() if n.endswith("/data.pkl"))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("to", nargs="?", type=Path, default=DATA)
    parser.add_argument("--old", action="store_true", help="this is PyTorch 1.13: write its files only")
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint"):
        sys.modules[part] = types.ModuleType(part)
    sys.modules[part].ModelCheckpoint = ModelCheckpoint
    ModelCheckpoint.__module__ = part
    suffix = "1.13" if args.old else "new"
    state, model, whole = write_all(args.to, suffix)
    if not args.old:
        write_more(args.to, state, model, whole)


if __name__ == "__main__":
    main()
