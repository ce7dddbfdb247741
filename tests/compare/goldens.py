"""Golden files for tests/test_ops_golden.c: what PyTorch makes of one row of the table of cases, in float64.

A file, tests/data/ops/ROW.safetensors (ROW: the row's name, spaces and commas as _), holds the row's inputs in0 ... in5,
"out", and, if an input wants a gradient, "dy" and d0 ... d5 for those that do. Everything is in the engine's layout: the
function that is given here permutes to PyTorch's and back.
"""
import pathlib
import zlib

import numpy as np
import torch

import tensorfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "ops"
MOST_BYTES = 40000


def path_of(row):
    return FOLDER / (row.replace(" ", "_").replace(",", "_") + ".safetensors")


class Draws:
    """Inputs of a row, drawn from its name."""

    def __init__(self, row):
        self.random = np.random.default_rng(zlib.crc32(row.encode()))

    def normal(self, *shape, mean=0.0, spread=1.0):
        # of single precision, so that the float build is given the same numbers
        return np.asarray(mean + spread * self.random.standard_normal(shape)).astype(np.float32).astype(np.float64)

    def ids(self, below, *shape):
        return self.random.integers(0, below, shape).astype(np.int32)


def write(row, arrays):
    path = path_of(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensorfile.write(path, {name: np.ascontiguousarray(a) for name, a in arrays.items()}, {"row": row})
    size = path.stat().st_size
    assert size <= MOST_BYTES, f"{path.name} has {size} bytes, more than {MOST_BYTES}"
    print(f"{size:6} {path.name}")


def golden(row, function, inputs, wants):
    """`inputs`: arrays, None for one left out. `wants`: the numbers of those that want a gradient. `function` is given
    the inputs as tensors, float64 or int64."""
    tensors = []
    for i, a in enumerate(inputs):
        integers = a is not None and a.dtype == np.int32
        t = None if a is None else torch.from_numpy(a.astype(np.int64) if integers else a)
        tensors.append(t.requires_grad_() if i in wants else t)
    out = function(*tensors)
    arrays = {f"in{i}": a for i, a in enumerate(inputs) if a is not None}
    arrays["out"] = out.detach().numpy()
    if wants:
        arrays["dy"] = Draws(row + " dy").normal(*out.shape)
        out.backward(torch.from_numpy(arrays["dy"]))
        for i in wants:
            arrays[f"d{i}"] = tensors[i].grad.numpy()
    write(row, arrays)
