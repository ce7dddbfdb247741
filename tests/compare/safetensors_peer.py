"""safetensors_peer.py OURS THEIRS -- reads OURS with the safetensors package, compares it with the values that
tests/test_safetensors.c put there, and writes those values to THEIRS. Needs numpy and safetensors."""

import struct
import sys

import numpy as np
import safetensors

f32 = np.array([0, 1, -2, 3.5, 1e-40, 3e38], np.float32).tobytes()
f16 = struct.pack("<3H", 0x3C00, 0xC000, 0x0001)
u8 = bytes([1, 2, 3, 4, 255])
tensors = {
    "u8": ("uint8", "U8", [5], u8),
    "z.weight": ("float32", "F32", [2, 3], f32),
    "half": ("float16", "F16", [3], f16),
    "brain": ("bfloat16", "BF16", [3], f16),
    "a.weight": ("float32", "F32", [6], f32),
    "scalar": ("int64", "I64", [], struct.pack("<q", -7)),
    "empty": ("float32", "F32", [0, 4], b""),
    "\u00e9\"\\\n": ("bool", "BOOL", [1, 2], u8[:2]),
}

ours, theirs = sys.argv[1:]
with open(ours, "rb") as file:
    content = file.read()
got = dict(safetensors.deserialize(content))
if got.keys() != tensors.keys():
    sys.exit(f"{ours}: other names: {sorted(got)}")
for name, (_, dtype, shape, data) in tensors.items():
    t = got[name]
    if (t["dtype"], list(t["shape"]), bytes(t["data"])) != (dtype, shape, data):
        sys.exit(f"{ours}: {name} is {t}")


def spec(dtype, shape, data):
    if not hasattr(safetensors, "TensorSpec"):  # the package before 0.8
        return {"dtype": dtype, "shape": shape, "data": data}
    array = np.frombuffer(data, np.uint8)
    kept.append(array)
    return safetensors.TensorSpec(dtype=dtype, shape=shape, data_ptr=array.ctypes.data, data_len=len(data))


kept = []
specs = {name: spec(dtype, shape, data) for name, (dtype, _, shape, data) in tensors.items()}
safetensors.serialize_file(specs, theirs, {"prompt": "ein K\u00e4se \"im\" Wald"})
