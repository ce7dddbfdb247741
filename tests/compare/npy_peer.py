"""npy_peer.py FOLDER -- loads what tests/test_npy.c wrote there with NumPy, compares, saves it as *_theirs.npy."""

import sys

import numpy as np

folder = sys.argv[1]
data = bytes([0, 0, 128, 63, 1, 0, 0, 0, 0, 1, 1, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
for i, name in enumerate(["f4", "f8", "i4", "i8", "u1", "f2"]):
    got = np.load(f"{folder}/{name}.npy")
    rank, dtype = i % 4, np.dtype("<" + name)
    shape = (1,) * (rank - 1) + (24 // dtype.itemsize,) if rank else ()
    if got.dtype != dtype or got.shape != shape or got.tobytes() != data[: got.nbytes]:
        sys.exit(f"{name}: {got.dtype} {got.shape} {got}")
    np.save(f"{folder}/{name}_theirs.npy", got)
np.save(f"{folder}/fortran.npy", np.asfortranarray(np.eye(3, 4)))
