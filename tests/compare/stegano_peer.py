"""Reveals, by Python's stegano, what vqgen has hidden in a picture: stegano_peer.py PICTURE WANTED, where WANTED is a file
with the message as JSON. It must be what json.dumps makes of it, to the letter."""
import json
import sys

from PIL import Image
from stegano import lsb

message = lsb.reveal(sys.argv[1])
wanted = json.load(open(sys.argv[2], encoding="utf-8"))
assert json.loads(message) == wanted, (message, wanted)
assert message == json.dumps(wanted), (message, json.dumps(wanted))
assert list(wanted) == ["title", "notebook", "i", "model", "seed", "input_images"]
assert Image.open(sys.argv[1]).mode == "RGB"
