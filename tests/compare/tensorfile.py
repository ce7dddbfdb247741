"""safetensors files, read and written with numpy alone: an 8-byte length, a JSON header, the arrays."""
import json
import math
import struct

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


def read(path):
    """-> {name: array}, {key: text}"""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(length)), memoryview(f.read())
    meta = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(data[start:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays, meta


def write(path, arrays, meta=None):
    """Wider types first, so that every array is aligned to its own."""
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    header, offset = {"__metadata__": meta or {}}, 0
    for name, a in arrays.items():
        size = a.itemsize * math.prod(a.shape)
        header[name] = {"dtype": NAMES[a.dtype], "shape": list(a.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            f.write(np.ascontiguousarray(a).tobytes())


def smallest(array):
    """Half precision if it holds every value exactly, else single."""
    half = array.astype("<f2")
    return half if np.array_equal(half.astype(array.dtype), array) else array.astype("<f4")
