"""What is kept between pieces of a training, and the files that ship.

A state is at most 16 MiB, so that it can be carried from machine to machine: weights as float16, Adam's second moment as
bfloat16, and neither its first nor Muon's, which are averages of ten or twenty steps and are soon there again. That costs nothing that could be
measured: a weight's rounding, 2^-11 of its size, is less than one update, and happens only when a piece ends; the second
moment is an average of noise, and bfloat16 has float32's range.
A state replaces the one before it in one go: a run that is killed at any time goes on from the last one.
"""
import io
import json
import os

import torch
from safetensors.torch import save as to_safetensors

MOST_BYTES = 16 << 20
RECIPE = "9"  # the recipe's version: told by the files, raised with every change of it that changes them
LICENCE = "CC0-1.0"


def write_whole(path, data):
    """A file is there whole or not at all."""
    with open(path + ".part", "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(path + ".part", path)


def narrow(tree, floats):
    """float32 tensors as `floats`, in a tree of dicts and lists."""
    if isinstance(tree, dict):
        return {k: narrow(v, floats) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [narrow(v, floats) for v in tree]
    return tree.detach().to("cpu", floats) if torch.is_tensor(tree) and tree.dtype == torch.float32 else tree


def save_state(path, step, modules, optimiser, more):
    """modules: {name: module}; more: what else the training needs, a dict."""
    squares = [optimiser.state.get(p, {}).get("exp_avg_sq") for p in parameters(optimiser)]
    state = dict(recipe=RECIPE, step=step, adam_step=max((int(s["step"]) for s in optimiser.state.values()), default=0),
                 modules={k: narrow(m.state_dict(), torch.float16) for k, m in modules.items()},
                 squares=narrow(squares, torch.bfloat16), more=more)
    data = io.BytesIO()
    torch.save(state, data)
    if data.tell() > MOST_BYTES:
        raise SystemExit(f"{path}: the state has {data.tell()} bytes, more than {MOST_BYTES}")
    write_whole(path, data.getvalue())


def load_state(path, modules, optimiser):
    """(step, more) of a state if there is one, else (0, None)."""
    if not os.path.exists(path):
        return 0, None
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("recipe") != RECIPE:
        raise SystemExit(f"{path}: a state of another recipe than {RECIPE}, which trains otherwise: remove it, or go on with the programs that made it")
    for name, module in modules.items():
        module.load_state_dict(state["modules"][name])
    for p, v in zip(parameters(optimiser), state["squares"]):
        if v is not None:
            optimiser.state[p] = dict(step=torch.tensor(float(state["adam_step"])), exp_avg=torch.zeros_like(p), exp_avg_sq=v.to(p))
    return state["step"], state["more"]


def parameters(optimiser):
    return [p for group in optimiser.param_groups for p in group["params"]]


def export(path, kind, network, defaults, pair, **more):
    """Writes the file that ships: float16, the settings and all else that a run needs in its metadata. pair: the name that the two
    networks share which were made for each other; vqgen refuses others together."""
    tensors = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in sorted(network.state_dict().items())}
    metadata = dict(format="vqgen", kind=kind, name=f"{kind}-small", licence=LICENCE, pair=pair, recipe=RECIPE,
                    config=json.dumps(network.config), defaults=json.dumps(defaults), **more)
    write_whole(path, to_safetensors(tensors, metadata))
