"""image_peer.py png FILE PIXELS KEY TEXT ... -- is FILE what PIL reads as the raw RGB in PIXELS, with these texts?
image_peer.py jpeg FOLDER -- fills FOLDER with NAME.jpg and, as PIL reads it upright, raw RGB in NAME.WIDTHxHEIGHT.

For tests/test_png.c and tests/test_jpeg.c. Needs numpy and Pillow."""

import sys

import numpy as np
from PIL import Image, ImageOps


def check_png(path, pixels, *texts):
    image = Image.open(path)
    image.load()
    with open(pixels, "rb") as file:
        if image.mode != "RGB" or image.tobytes() != file.read():
            sys.exit(f"{path}: other pixels")
    want = dict(zip(texts[::2], texts[1::2]))
    if image.text != want:
        sys.exit(f"{path}: texts {image.text}, not {want}")


def make_jpegs(folder):
    y, x = np.mgrid[0:37, 0:53]
    wave = 127 + 90 * np.sin(x / 7) * np.cos(y / 5)
    rgb = np.stack([wave, 255 - wave, 3 * x + 2 * y], -1).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(rgb)
    kinds = {
        "plain": (picture, {}),
        "full": (picture, {"subsampling": 0, "quality": 98}),
        "progressive": (picture, {"progressive": True}),
        "gray": (picture.convert("L"), {}),
        "cmyk": (picture.convert("CMYK"), {}),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        kinds[f"turned{orientation}"] = (picture, {"exif": exif})
    for name, (image, options) in kinds.items():
        image.save(f"{folder}/{name}.jpg", **options)
        read = ImageOps.exif_transpose(Image.open(f"{folder}/{name}.jpg")).convert("RGB")
        with open(f"{folder}/{name}.{read.width}x{read.height}", "wb") as file:
            file.write(read.tobytes())


{"png": check_png, "jpeg": make_jpegs}[sys.argv[1]](*sys.argv[2:])
