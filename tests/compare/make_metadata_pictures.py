#!/usr/bin/env python3
"""Small pictures with settings that other programs wrote, for tests/test_metadata.c.

    python3 tests/compare/make_metadata_pictures.py      needs Pillow, piexif and stegano; writes into tests/data/metadata

stegano.png   the notebook's message, hidden by the `stegano` package in a picture whose bytes are 37 i + 11 mod 256
a1111.jpg     a comment of Exif as AUTOMATIC1111's web interface writes it into JPEG and WebP, UTF-16 by piexif
a1111.webp    the same in a WebP without loss
"""
import json
import pathlib

import piexif
import piexif.helper
from PIL import Image
from stegano import lsb

MESSAGE = {"title": "a red circle:2 | gr\u00f6\u00dfe \U0001f600", "notebook": "VQGAN+CLIP", "i": 50,
           "model": "ImageNet 16384", "seed": "12345678901234567890", "input_images": True}
PARAMETERS = ('a castle, m\u00fcnster\nby the sea\nNegative prompt: fog, rain\n'
              'Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512, Lora hashes: "a: 1, b: 2"')

folder = pathlib.Path(__file__).resolve().parent.parent / "data" / "metadata"
folder.mkdir(exist_ok=True)
size = (40, 24)
picture = Image.frombytes("RGB", size, bytes((37 * i + 11) % 256 for i in range(size[0] * size[1] * 3)))
lsb.hide(picture.copy(), json.dumps(MESSAGE)).save(folder / "stegano.png", optimize=True)

comment = piexif.helper.UserComment.dump(PARAMETERS, encoding="unicode")
exif = piexif.dump({"Exif": {piexif.ExifIFD.UserComment: comment}})
gray = Image.new("RGB", (8, 8), (128, 128, 128))
gray.save(folder / "a1111.jpg", exif=exif)
gray.save(folder / "a1111.webp", exif=exif, lossless=True)
