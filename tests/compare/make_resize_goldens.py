#!/usr/bin/env python3
"""tests/data/resize.safetensors, for tests/test_session.c: what Pillow's Image.resize makes of small pictures.

"in" [H,W,3] u8 is noise with flat patches and an edge of full contrast, where kernels with negative lobes ring and
clip; every other array is FILTER_WxH, made from it. Made with Pillow 9.4 and NumPy 1.24.
"""
import pathlib

import numpy as np
from PIL import Image

import tensorfile

SIZES = [(13, 9), (29, 17), (40, 40), (5, 4), (7, 31), (26, 3), (1, 1), (12, 9), (13, 10)]
FILTERS = {"bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}


def main():
    picture = np.random.default_rng(1).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    picture[:, 4:7] = 255
    picture[:, 7:10] = 0
    arrays = {"in": picture}
    for name, kernel in FILTERS.items():
        for width, height in SIZES:
            arrays[f"{name}_{width}x{height}"] = np.asarray(Image.fromarray(picture).resize((width, height), kernel))
    tensorfile.write(pathlib.Path(__file__).resolve().parent.parent / "data" / "resize.safetensors", arrays)


if __name__ == "__main__":
    main()
